"""DTLS 1.2 against NSS, the library of Firefox, over UDP on the loopback interface, as client and as server.

`nss/peer.c` is compiled here, once, and runs with Debian's NSS and with the newer one inside Firefox. Between it and us
is a path that loses, repeats, reorders, damages and limits datagrams as a seed tells. Skipped where there is no C
compiler or no NSS (Debian: libnss3-dev, pkg-config), unless SANS_RTC_REQUIRE_INTEROP=1 says that there has to be.
"""

import contextlib
import itertools
import os
import time

import pytest
from interop_peers.absent import give_up
from interop_peers.certificates import make_rsa_certificate
from interop_peers.nss import LIBRARIES, Conversation, NssSettings, Roughness, build, library_path
from interop_peers.processes import Missing

from sans_rtc.dtls import (
    ApplicationData,
    Certificate,
    CipherSuite,
    Connected,
    Connection,
    DtlsConfig,
    NamedGroup,
    Role,
    SrtpProfile,
)
from sans_rtc.machine import Terminated
from sans_rtc.testing import SeededEntropy

pytestmark = pytest.mark.interop

EXPORT_LABEL = b"EXTRACTOR-dtls_srtp"
EXPORT_BYTES = 60
DTLS_1_2 = 0x0303  # as NSS counts
DTLS_1_3 = 0x0304
ROLES = [Role.CLIENT, Role.SERVER]
KINDS = {"ecdsa": "ECDHE_ECDSA", "rsa": "ECDHE_RSA"}
PROFILES = [
    SrtpProfile.AEAD_AES_128_GCM,
    SrtpProfile.AEAD_AES_256_GCM,
    SrtpProfile.AES128_CM_SHA1_80,
    SrtpProfile.AES128_CM_SHA1_32,
]
# NSS itself passes over those with AEAD in a list, and refuses a list of nothing else.
PROFILES_OF_NSS = PROFILES[2:]
ROUGH = Roughness(loss=0.2, duplication=0.2, reordering=0.2)

each_role = pytest.mark.parametrize("role", ROLES, ids=lambda role: f"we are {role}")


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    try:
        return build(tmp_path_factory.mktemp("nss") / "peer")
    except Missing as missing:
        give_up(missing)


@pytest.fixture
def library():
    """Which NSS: Debian's, but where a test asks for another."""
    return "debian"


@pytest.fixture(scope="module")
def certificates():
    """Ours and theirs of each kind, and one of nobody."""
    start = int(time.time()) - 86400
    made = {"ecdsa": [Certificate.generate(os.urandom, start) for _ in range(3)]}
    return {**made, "rsa": [make_rsa_certificate(serial) for serial in (1, 2)]}


@pytest.fixture
def converse(program, library, certificates, tmp_path):
    """converse(role, ...): a conversation that has begun. `promised` are the certificates that each end is told of."""
    numbers = itertools.count()
    with contextlib.ExitStack() as stack:

        def converse(role, *, kind="ecdsa", config=None, promised=(None, None), roughness=None, seed="0", **theirs):
            try:
                path = library_path(library)
            except Missing as missing:
                give_up(missing)
            mine, other = certificates[kind][:2]
            settings = {
                "role": ROLES[1 - ROLES.index(role)],
                "certificate": other,
                "peer_fingerprint": (promised[1] or mine).fingerprint().value,
                "cipher_suites": list(CipherSuite),
                "groups": list(NamedGroup),
                **theirs,
            }
            connection = Connection(
                config or DtlsConfig(),
                role=role,
                certificate=mine,
                peer_fingerprints=[(promised[0] or other).fingerprint()],
                entropy=SeededEntropy(seed),
            )
            directory = tmp_path / str(next(numbers))
            directory.mkdir()
            conversation = Conversation(program, path, directory, connection, NssSettings(**settings), seed)
            stack.callback(conversation.end)
            conversation.set_roughness(roughness or Roughness())
            conversation.start()
            return conversation

        yield converse


def agreed(conversation):
    """Await the handshake; both ends say the same of it, whose certificates were there, and export the same keys."""
    assert conversation.run_until(lambda: conversation.connected is not None and bool(conversation.of(Connected))), (
        conversation.events,
        conversation.lines,
        conversation.connection.stats,
    )
    (ours,), theirs = conversation.of(Connected), conversation.connected
    assert (theirs.version, theirs.has_extended_master_secret) == (DTLS_1_2, True)
    assert theirs.peer_fingerprint == conversation.peer_fingerprint
    assert (ours.cipher_suite, ours.group) == (theirs.cipher_suite, theirs.group)
    assert (ours.srtp_profile or 0) == theirs.srtp_profile
    export = conversation.connection.export_keying_material
    expected = export(EXPORT_LABEL, EXPORT_BYTES), export(EXPORT_LABEL, EXPORT_BYTES, b"context")
    is_exported = not CipherSuite(ours.cipher_suite).name.endswith("SHA384")  # NSS has no exporter with SHA-384
    assert (theirs.keys, theirs.keys_with_context) == (expected if is_exported else (None, None))
    return ours


def exchange(conversation, ours, theirs):
    """Send records both ways, and await that each has come once, in whatever order."""
    for record in ours:
        conversation.connection.send(record, time.monotonic())
    conversation.flush()
    for record in theirs:
        conversation.tell(f"data {record.hex()}")
    assert conversation.run_until(
        lambda: len(conversation.told("data")) >= len(ours) and len(conversation.of(ApplicationData)) >= len(theirs)
    ), (conversation.told("data"), conversation.of(ApplicationData))
    conversation.run_until(lambda: conversation.to_us.deadline == conversation.to_nss.deadline)  # late ones, too
    assert sorted(conversation.told("data")) == sorted(record.hex() for record in ours)
    assert sorted(event.data for event in conversation.of(ApplicationData)) == sorted(theirs)


def records(seed, count=1, size_max=1000):
    chance = SeededEntropy(seed)
    return [number.to_bytes(2, "big") + chance(chance.below(size_max)) for number in range(count)]


def with_p256(groups):
    """NSS wants the certificate's curve among the groups."""
    return list(dict.fromkeys([*groups, NamedGroup.SECP256R1]))


# --- what is agreed on


@each_role
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("suite", CipherSuite, ids=lambda suite: suite.name)
def test_each_suite_is_spoken_with_both_certificates(converse, role, library, suite):
    kind = next(kind for kind, name in KINDS.items() if suite.name.startswith(name))
    conversation = converse(role, kind=kind, cipher_suites=[suite], seed=suite.name)
    assert agreed(conversation).cipher_suite == suite
    exchange(conversation, records("ours"), records("theirs"))


@each_role
@pytest.mark.parametrize("group", NamedGroup, ids=lambda group: group.name)
def test_each_group_is_agreed_on(converse, role, group):
    groups = with_p256([group])
    conversation = converse(role, config=DtlsConfig(groups=tuple(groups)), groups=groups)
    assert agreed(conversation).group == group


@each_role
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("profile", PROFILES_OF_NSS)
def test_each_srtp_profile_is_agreed_on(converse, role, library, profile):
    conversation = converse(role, srtp_profiles=[profile])
    assert agreed(conversation).srtp_profile == profile


@each_role
def test_no_srtp_profile_is_agreed_on_where_none_is_shared(converse, role):
    config = DtlsConfig(srtp_profiles=(SrtpProfile.AES128_CM_SHA1_32,))
    conversation = converse(role, config=config, srtp_profiles=[SrtpProfile.AES128_CM_SHA1_80])
    assert agreed(conversation).srtp_profile is None


@each_role
@pytest.mark.parametrize("library", LIBRARIES)
def test_an_nss_that_prefers_dtls_1_3_comes_down_to_1_2(converse, role, library):
    conversation = converse(role, versions=(DTLS_1_2, DTLS_1_3))
    agreed(conversation)
    exchange(conversation, records("ours"), records("theirs"))


def test_nss_answers_our_cookie_exchange(converse):
    conversation = converse(Role.SERVER, config=DtlsConfig(use_cookies=True))
    agreed(conversation)
    assert conversation.connection.stats.flights_sent == 3


@pytest.mark.parametrize("seed", range(8))
def test_what_is_agreed_on_is_the_servers_choice_of_what_both_have(converse, seed):
    """Random lists on both ends, each in random order; the server's order counts."""
    chance = SeededEntropy(f"lists {seed}")

    def some(of):
        picked = sorted(of, key=lambda _: chance.fraction())
        return picked[: 2 + chance.below(len(picked) - 1)]

    role = ROLES[seed % 2]
    ecdsa = [suite for suite in CipherSuite if "ECDSA" in suite.name]
    ours = {"cipher_suites": some(ecdsa), "groups": some(NamedGroup), "srtp_profiles": some(PROFILES)}
    theirs = {"cipher_suites": some(ecdsa), "groups": some(NamedGroup), "srtp_profiles": some(PROFILES_OF_NSS)}
    ours["groups"], theirs["groups"] = with_p256(ours["groups"]), with_p256(theirs["groups"])
    config = DtlsConfig(**{name: tuple(values) for name, values in ours.items()})
    connected = agreed(converse(role, config=config, seed=str(seed), **theirs))
    both = {name: [value for value in ours[name] if value in theirs[name]] for name in ours}
    assert connected.cipher_suite in both["cipher_suites"]
    assert connected.srtp_profile in (both["srtp_profiles"] or [None])
    assert connected.group in both["groups"]
    if role is Role.SERVER:
        assert connected.cipher_suite == both["cipher_suites"][0]
        assert connected.group == both["groups"][0]


# --- paths


@each_role
@pytest.mark.parametrize("seed", range(4))
def test_lost_repeated_and_reordered_flights_recover(converse, role, seed):
    conversation = converse(role, roughness=ROUGH, seed=str(seed))
    agreed(conversation)
    ways = conversation.to_nss, conversation.to_us
    assert sum(way.dropped + way.repeated + way.held_count for way in ways) > 0


@each_role
@pytest.mark.parametrize("seed", range(2))
def test_small_datagrams_are_put_together_by_both_in_any_order(converse, role, seed):
    config = DtlsConfig(mtu_bytes=256)
    roughness = Roughness(duplication=0.3, reordering=0.5)
    conversation = converse(role, kind="rsa", config=config, roughness=roughness, seed=str(seed))
    agreed(conversation)


def test_both_make_smaller_datagrams_where_large_ones_do_not_pass(converse):
    """After some retransmissions. NSS does so as a client only: as a server it begins to count with each ClientHello.

    Here it has fallen back before it has much to send, since our flight is what is lost first.
    """
    config = DtlsConfig(mtu_bytes=1400)
    conversation = converse(Role.SERVER, kind="rsa", config=config, roughness=Roughness(size_max=560))
    agreed(conversation)
    assert conversation.to_nss.dropped > 0


@each_role
@pytest.mark.parametrize("seed", range(3))
def test_records_arrive_once_and_unaltered_over_a_path_that_repeats_reorders_and_damages(converse, role, seed):
    conversation = converse(role, seed=str(seed))
    agreed(conversation)
    conversation.set_roughness(Roughness(duplication=0.4, reordering=0.4, corruption=0.4))
    exchange(conversation, records(f"ours {seed}", 40), records(f"theirs {seed}", 40))
    assert conversation.to_us.corrupted > 0 < conversation.to_nss.corrupted
    assert conversation.connection.stats.discards  # those that were repeated, and those that were altered


# --- ends and refusals


@each_role
@pytest.mark.parametrize("library", LIBRARIES)
def test_our_close_is_heard_by_nss(converse, role, library):
    conversation = converse(role)
    agreed(conversation)
    conversation.connection.close(time.monotonic())
    conversation.flush()
    assert conversation.run_until(lambda: "closed" in conversation.lines)
    assert [event.reason for event in conversation.of(Terminated)] == ["closed"]


@each_role
@pytest.mark.parametrize("library", LIBRARIES)
def test_the_close_of_nss_is_heard(converse, role, library):
    conversation = converse(role)
    agreed(conversation)
    conversation.tell("close")
    assert conversation.run_until(lambda: bool(conversation.of(Terminated)))
    assert [event.reason for event in conversation.of(Terminated)] == ["peer_closed"]


def refused(conversation, reason, error):
    """Our end is terminated for this reason, NSS fails with this error, and none is connected."""
    assert conversation.run_until(lambda: bool(conversation.of(Terminated) and conversation.told("failed")))
    assert [event.reason for event in conversation.of(Terminated)] == [reason]
    assert conversation.told("failed") == [error]
    assert not conversation.of(Connected)


@each_role
def test_certificate_that_was_not_promised_is_refused_by_us(converse, certificates, role):
    conversation = converse(role, promised=(certificates["ecdsa"][2], None))
    refused(conversation, "fingerprint_mismatch", "SSL_ERROR_BAD_CERT_ALERT")


def test_certificate_that_was_not_promised_is_refused_by_nss(converse, certificates):
    conversation = converse(Role.SERVER, promised=(None, certificates["ecdsa"][2]))
    refused(conversation, "peer_alert", "SSL_ERROR_BAD_CERTIFICATE")


def test_nss_without_a_certificate_is_refused(converse):
    refused(converse(Role.SERVER, certificate=None), "certificate_missing", "SSL_ERROR_BAD_CERT_ALERT")


def test_nss_that_wants_dtls_1_3_only_is_refused(converse):
    refused(
        converse(Role.SERVER, versions=(DTLS_1_3, DTLS_1_3)),
        "version_unsupported",
        "SSL_ERROR_PROTOCOL_VERSION_ALERT",
    )


@pytest.mark.parametrize("role", ROLES)
def test_nothing_in_common_ends_both(converse, role):
    config = DtlsConfig(cipher_suites=(CipherSuite.ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,))
    conversation = converse(role, config=config, cipher_suites=[CipherSuite.ECDHE_ECDSA_WITH_AES_256_GCM_SHA384])
    assert conversation.run_until(lambda: bool(conversation.of(Terminated) and conversation.told("failed")))
    assert not conversation.of(Connected) and conversation.connected is None
