"""Security rules that must fail closed: who is not proven gets no connection, no keys and no data.

A dishonest peer is an honest one with one step of its handshake replaced; an attacker on the path is the link's filter.
"""

import attrs
import pytest

from sans_rtc.dtls import ApplicationData, Certificate, DtlsConfig, Fingerprint, server12
from sans_rtc.dtls import messages as dtls_messages
from sans_rtc.dtls.cookie import CookieJar
from sans_rtc.dtls.extensions import Extensions
from sans_rtc.dtls.handshake import HandshakeMessage, HandshakeType
from sans_rtc.dtls.keys import SessionKeys
from sans_rtc.errors import InvalidArgument, InvalidState
from sans_rtc.machine import Terminated
from sans_rtc.testing import SeededEntropy

CLIENT, SERVER = 0, 1


# before Connected


@pytest.mark.proves("RFC5764-5.1-1-3537")
def test_nothing_is_exported_before_connected(make_pair, export_label):
    pair = make_pair().start()
    steps = 0
    while not pair.is_connected():
        for end in pair.ends:
            if end.state != "connected":
                with pytest.raises(InvalidState):
                    end.export_keying_material(export_label, 60)
                steps += 1
        pair.link.run_for(0.001)
    assert steps > 20


@pytest.mark.proves("RFC6347-4.1-5-9f3d", "RFC8261-6.1-1-89d1", "RFC5246-7.3-3-b1da")
def test_nothing_is_sent_before_connected(make_pair):
    pair = make_pair()
    for end in pair.ends:
        with pytest.raises(InvalidState):
            end.send(b"data", pair.now)
    pair.start()
    for end in pair.ends:
        with pytest.raises(InvalidState):
            end.send(b"data", pair.now)


def test_exporting_after_the_end_is_refused(make_pair, export_label):
    pair = make_pair().connect()
    pair.client.close(pair.now)
    with pytest.raises(InvalidState):
        pair.client.export_keying_material(export_label, 60)


def test_unprotected_data_is_never_delivered(make_pair, make_record):
    pair = make_pair().start()
    for _ in range(60):
        for end in pair.ends:
            end.receive(make_record(23, b"forged", number=77), pair.now)
        pair.link.run_for(0.001)
    assert pair.is_connected()
    assert [pair.events(end, ApplicationData) for end in (0, 1)] == [[], []]
    assert all(end.stats.discards["unprotected_data"] > 0 for end in pair.ends)


@pytest.mark.proves("RFC6347-4.2.4-2-fb40", "RFC8122-6.2-6-98d0")
def test_data_of_a_client_that_never_finishes_is_not_delivered(make_pair, tamper):
    """Its keys are right, but it has not proven who it is."""
    pair = make_pair(DtlsConfig(), DtlsConfig(handshake_timeout_s=3))
    tamper.hold_from(pair, SERVER, HandshakeType.CERTIFICATE)
    (flight,) = [datagram for datagram in pair.link.sent[0] if pair.client_certificate.der in datagram]
    unproven = tamper.without(flight, HandshakeType.CERTIFICATE_VERIFY)
    pair.server.receive(unproven + pair.client._records.seal(23, b"data of a stranger"), pair.now)
    assert pair.server._records.read_epoch == 1
    assert pair.server.stats.discards["bad_mac"] == 0
    pair.link.run_for(10)
    assert pair.reason(SERVER) == "handshake_timeout"
    assert pair.events(SERVER, ApplicationData) == []
    assert pair.connected(SERVER) == []


# the certificate


@pytest.mark.proves("RFC8122-5.1-5-c5b2", "RFC8122-6.2-2-8414", "RFC5246-7.4.5-1-28aa")
def test_server_with_another_fingerprint_is_refused(make_pair, make_certificate, refuses):
    pair = make_pair(client_expects=[make_certificate("other").fingerprint()])
    refuses(pair, CLIENT, "fingerprint_mismatch", "bad_certificate")


@pytest.mark.proves("RFC8122-5.1-5-c5b2", "RFC8122-6.2-4-6372", "RFC8122-6.2-7-146b")
def test_client_with_another_fingerprint_is_refused(make_pair, make_certificate, refuses):
    pair = make_pair(server_expects=[make_certificate("other").fingerprint()])
    refuses(pair, SERVER, "fingerprint_mismatch", "bad_certificate")


def test_refused_certificate_is_named_for_people(make_pair, make_certificate):
    pair = make_pair(client_expects=[make_certificate("other").fingerprint()]).run_to_the_end()
    assert str(make_certificate("server").fingerprint()) in pair.events(CLIENT, Terminated)[0].detail


def test_client_tells_nothing_of_itself_to_a_server_with_another_fingerprint(make_pair, make_certificate):
    pair = make_pair(client_expects=[make_certificate("other").fingerprint()]).run_to_the_end()
    assert not any(pair.client_certificate.der in datagram for datagram in pair.link.sent[0])


def test_fingerprint_of_a_weaker_hash_does_not_help(make_pair, make_certificate, refuses):
    right, wrong = make_certificate("server").fingerprint("sha-256"), make_certificate("other").fingerprint("sha-512")
    refuses(make_pair(client_expects=[right, wrong]), CLIENT, "fingerprint_mismatch")


def test_fingerprint_that_differs_in_one_bit_is_another(make_pair, make_certificate, refuses):
    right = make_certificate("server").fingerprint()
    wrong = Fingerprint("sha-256", right.value[:-1] + bytes([right.value[-1] ^ 1]))
    refuses(make_pair(client_expects=[wrong]), CLIENT, "fingerprint_mismatch")


def test_second_certificate_of_the_chain_does_not_count(make_pair, make_certificate, refuses):
    """The fingerprint is of the certificate whose key signs."""
    own, signalled = make_certificate("server"), make_certificate("other")
    certificate = Certificate(own.der, own.key, own.not_after, (signalled.der,))
    pair = make_pair(server_certificate=certificate, client_expects=[signalled.fingerprint()])
    refuses(pair, CLIENT, "fingerprint_mismatch")


@pytest.mark.parametrize("end", [CLIENT, SERVER])
def test_signalled_certificate_that_is_not_pinned_is_refused(make_pair, make_certificate, end, refuses):
    configs = [DtlsConfig(), DtlsConfig()]
    configs[end] = DtlsConfig(pinned_fingerprints=(make_certificate("other").fingerprint(),))
    refuses(make_pair(*configs), end, "fingerprint_mismatch")


@pytest.mark.parametrize("end", [CLIENT, SERVER])
def test_pinned_certificate_that_is_not_signalled_is_refused(make_pair, make_certificate, end, refuses):
    configs = [DtlsConfig(), DtlsConfig()]
    configs[end] = DtlsConfig(
        pinned_fingerprints=tuple(make_certificate(n).fingerprint() for n in ("client", "server"))
    )
    expects = {("client_expects", "server_expects")[end]: [make_certificate("other").fingerprint()]}
    refuses(make_pair(*configs, **expects), end, "fingerprint_mismatch")


@pytest.mark.proves("RFC8122-5-1-3eae")
def test_connection_without_any_fingerprint_cannot_be_made(make_pair, make_certificate):
    from sans_rtc.dtls import Connection, Role

    with pytest.raises(InvalidArgument):
        Connection(
            DtlsConfig(),
            role=Role.CLIENT,
            certificate=make_certificate("client"),
            peer_fingerprints=[],
            entropy=SeededEntropy(0),
        )


@pytest.mark.proves("RFC8122-6.2-1-a119", "RFC8122-6.2-3-b5e2", "RFC8122-6.2-4-6372")
@pytest.mark.parametrize("end", [CLIENT, SERVER])
def test_peer_without_a_certificate_is_refused(make_pair, end, refuses):
    pair = make_pair()
    dishonest = (pair.client_session, pair.server_session)[1 - end]()
    empty = dtls_messages.serialize_certificate_list(dtls_messages.CertificateList(()))
    dishonest.certificate_message = lambda: dishonest.message(HandshakeType.CERTIFICATE, empty)
    refuses(pair, end, "certificate_missing", "bad_certificate")


def test_server_that_does_not_ask_for_a_certificate_is_refused(make_pair, monkeypatch, refuses):
    original = server12.Server12._send_server_hello

    def without_request(self, *arguments):
        progress = original(self, *arguments)
        done = HandshakeMessage(HandshakeType.SERVER_HELLO_DONE, 3, b"")
        progress.flight = [*progress.flight[:3], type(progress.flight[0])(0, done)]
        return progress

    monkeypatch.setattr(server12.Server12, "_send_server_hello", without_request)
    refuses(make_pair(), CLIENT, "certificate_missing", "handshake_failure")


@pytest.mark.parametrize("end", [CLIENT, SERVER])
def test_certificate_without_a_usable_key_is_refused(make_pair, make_certificate, end, refuses):
    own = make_certificate("client")
    junk = Certificate(b"\x30\x03\x02\x01\x05", own.key, 0)
    name = ("server_certificate", "client_certificate")[end]
    refuses(make_pair(**{name: junk}), end, "certificate_invalid", "unsupported_certificate")


# proof of possession


@pytest.mark.proves("RFC5246-7.2.2-3-5b40")
@pytest.mark.parametrize("end", [CLIENT, SERVER])
def test_stolen_certificate_without_its_key_is_refused(make_pair, make_certificate, end, refuses):
    """The right certificate, so the right fingerprint, but signatures by another key."""
    stolen, other = make_certificate("victim"), make_certificate("thief")
    thief = Certificate(stolen.der, other.key, 0)
    name = ("server_certificate", "client_certificate")[end]
    refuses(make_pair(**{name: thief}), end, "signature_invalid", "decrypt_error")


def test_client_finished_without_valid_certificate_verify_exports_nothing(make_pair, export_label, refuses):
    key_log = []
    pair = make_pair(DtlsConfig(), DtlsConfig(key_log=key_log.append))
    session = pair.client_session()
    session.sign = lambda scheme: b"\x30\x06\x02\x01\x01\x02\x01\x01"
    refuses(pair, SERVER, "signature_invalid", "decrypt_error")
    assert key_log == []


def test_client_finished_without_certificate_verify_is_unexpected(make_pair, refuses):
    pair = make_pair()
    session = pair.client_session()
    original = session.message

    def renumbering(type_, body):
        if type_ is HandshakeType.CERTIFICATE_VERIFY:
            # left out altogether, as if it had never been written
            return type(original(type_, body))(0, HandshakeMessage(HandshakeType.CERTIFICATE, 1, b""))
        item = original(type_, body)
        if type_ is HandshakeType.FINISHED:
            return type(item)(1, HandshakeMessage(type_, item.message.message_seq - 1, item.message.body))
        return item

    session.message = renumbering
    refuses(pair, SERVER, "protocol_violation", "unexpected_message")


def test_signature_over_other_randoms_is_refused(make_pair, tamper, refuses):
    """A ServerKeyExchange replayed from another handshake."""
    first = make_pair(seed=1).connect()
    pair = make_pair(seed=2)
    exchange = tamper.body_of(first.link.sent[1], HandshakeType.SERVER_KEY_EXCHANGE)
    pair.link.filter = lambda end, datagram: tamper.replace(
        datagram, HandshakeType.SERVER_KEY_EXCHANGE, lambda body: exchange
    )
    refuses(pair, CLIENT, "signature_invalid")


@pytest.mark.proves("RFC5246-7.4.3-2-00a4")
def test_scheme_that_was_not_offered_is_refused(make_pair, refuses):
    config = DtlsConfig(signature_schemes=(0x0503,))
    pair = make_pair(config, DtlsConfig())
    session = pair.server_session()
    session.signing_scheme = lambda accepted: 0x0403
    refuses(pair, CLIENT, "protocol_violation", "illegal_parameter")


# the handshake as a whole


@pytest.mark.proves("RFC5246-7.4.9-1-131c")
@pytest.mark.parametrize("sender", ["client", "server"])
def test_bad_finished_is_refused(make_pair, monkeypatch, sender):
    original = SessionKeys.verify_data
    pair = make_pair()
    liar = (pair.client_session if sender == "client" else pair.server_session)()

    def lie(self, who, handshake_hash):
        data = original(self, who, handshake_hash)
        is_liars_own = who == sender and self is liar.keys
        return bytes([data[0] ^ 1]) + data[1:] if is_liars_own else data

    monkeypatch.setattr(SessionKeys, "verify_data", lie)
    end = SERVER if sender == "client" else CLIENT
    pair.run_to_the_end()
    assert pair.reason(end) == "finished_invalid"
    assert pair.connected(end) == []
    if end == SERVER:
        assert pair.connected(CLIENT) == []


@pytest.mark.parametrize("size", [0, 11, 13])
def test_finished_of_another_length_is_refused(make_pair, monkeypatch, size):
    pair = make_pair(DtlsConfig(), DtlsConfig(handshake_timeout_s=2))
    session = pair.client_session()
    original = session.message
    session.message = lambda type_, body: original(
        type_, (body + bytes(1))[:size] if type_ is HandshakeType.FINISHED else body
    )
    pair.run_to_the_end()
    assert pair.reason(SERVER) in ("finished_invalid", "protocol_violation", "handshake_timeout")
    assert pair.connected(SERVER) == []


def keep_only(suite):
    def change(hello):
        hello.cipher_suites = (suite,)

    return change


def remove_srtp(hello):
    hello.extensions.use_srtp = None


def weaken_srtp(hello):
    if hello.extensions.use_srtp is not None:
        hello.extensions.use_srtp = type(hello.extensions.use_srtp)((2,))


def only_p256(hello):
    hello.extensions.supported_groups = (23,)


def other_random(hello):
    hello.random = bytes(32)


def add_session_id(hello):
    hello.session_id = bytes(8)


@pytest.mark.parametrize(
    ("type_", "change"),
    [
        (HandshakeType.CLIENT_HELLO, keep_only(0xCCA9)),
        (HandshakeType.CLIENT_HELLO, remove_srtp),
        (HandshakeType.CLIENT_HELLO, weaken_srtp),
        (HandshakeType.CLIENT_HELLO, only_p256),
        (HandshakeType.CLIENT_HELLO, other_random),
        (HandshakeType.SERVER_HELLO, remove_srtp),
        (HandshakeType.SERVER_HELLO, weaken_srtp),
        (HandshakeType.SERVER_HELLO, other_random),
        (HandshakeType.SERVER_HELLO, add_session_id),
    ],
)
def test_downgrade_on_the_path_is_noticed(make_pair, type_, change, tamper):
    pair = make_pair()
    tamper.on_the_path(pair, type_, change)
    pair.run_to_the_end()
    assert [pair.connected(end) for end in (0, 1)] == [[], []]
    assert {pair.reason(0), pair.reason(1)} & {"signature_invalid", "finished_invalid"}


# replay


def test_replayed_data_is_delivered_once(make_pair):
    pair = make_pair().connect()
    pair.client.send(b"pay 100", pair.now)
    (record,) = pair.client.take_datagrams(pair.now)
    for _ in range(3):
        pair.server.receive(record, pair.now)
    pair.link.run_for(0.1)
    assert pair.events(SERVER, ApplicationData) == [ApplicationData(b"pay 100")]
    assert pair.server.stats.discards["replayed"] == 2


def test_replayed_flights_of_another_handshake_prove_nobody(make_pair):
    """All datagrams of a client, replayed to a server with other entropy."""
    first = make_pair(seed=1).connect()
    server = make_pair(seed=2).server
    server.start(0.0)
    for datagram in first.link.sent[0]:
        server.receive(datagram, 0.0)
    assert [type(event) for event in server.take_events()] == [Terminated]


def test_records_of_another_connection_do_not_open(make_pair):
    first, second = make_pair(seed=1).connect(), make_pair(seed=2).connect()
    first.client.send(b"data", first.now)
    for datagram in first.client.take_datagrams(first.now):
        second.server.receive(datagram, second.now)
    assert second.server.stats.discards["bad_mac"] == 1
    assert second.server.take_events() == ()


# the cookie and ChangeCipherSpec


def test_early_change_cipher_spec_brings_no_keys(make_pair, make_record):
    """The flaw of CVE-2014-0224: a ChangeCipherSpec before there is a secret."""
    pair = make_pair().start()
    for end in pair.ends:
        end.receive(make_record(20, b"\x01"), pair.now)
        end.receive(make_record(20, b"\x02"), pair.now)
        assert end._records.read_epoch == 0
        assert end.stats.discards["malformed_change_cipher_spec"] == 1
    pair.link.run_until(pair.is_connected)


@pytest.mark.proves("RFC6347-4.2.1-16-634b")
def test_cookie_of_another_client_is_not_ours(make_pair, tamper):
    config = DtlsConfig(use_cookies=True)
    pair, other = make_pair(config, seed=1), make_pair(config, seed=2)
    other.connect()
    second = tamper.body_of(other.link.sent[0][1:], HandshakeType.CLIENT_HELLO)
    cookie = dtls_messages.parse_client_hello(second).cookie
    pair.start()
    (hello,) = pair.client.take_datagrams(pair.now)

    def with_cookie(body):
        message = dtls_messages.parse_client_hello(body)
        message.cookie = cookie
        return dtls_messages.serialize_client_hello(message)

    pair.server.receive(tamper.replace(hello, HandshakeType.CLIENT_HELLO, with_cookie), pair.now)
    (answer,) = pair.server.take_datagrams(pair.now)
    assert answer[13] == HandshakeType.HELLO_VERIFY_REQUEST
    assert len(answer) < len(hello)  # no amplification


@pytest.mark.proves("RFC6347-4.2.1-6-1305")
@pytest.mark.parametrize(
    "change",
    [
        {"version": 0xFEFC},
        {"random": bytes(31) + b"\x01"},
        {"session_id": b"x"},
        {"cipher_suites": (0xC02B,)},
        {"compression_methods": b"\x00\x01"},
    ],
)
def test_cookie_is_good_for_the_parameters_it_was_baked_for_only(change):
    """RFC 6347 section 4.2.1: the client must repeat them unchanged."""
    jar = CookieJar(SeededEntropy("jar"))
    hello = dtls_messages.ClientHello(0xFEFD, bytes(32), b"", b"", (0xC02B, 0xC02C), b"\x00", Extensions())
    hello.cookie = jar.bake(hello)
    assert jar.is_ours(hello)
    assert not jar.is_ours(attrs.evolve(hello, **change))
    assert not CookieJar(SeededEntropy("another")).is_ours(hello)
