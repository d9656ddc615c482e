"""The happy path: every suite, group and role; what it agrees on; the same entropy gives the same bytes."""

import attrs
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from sans_rtc.dtls import (
    ApplicationData,
    Certificate,
    CipherSuite,
    Connected,
    DtlsConfig,
    NamedGroup,
    SrtpProfile,
)
from sans_rtc.dtls.extensions import ExtensionType
from sans_rtc.dtls.handshake import HandshakeType
from sans_rtc.testing import LinkConditions

ECDSA_SUITES = [suite for suite in CipherSuite if "ECDSA" in suite.name]
RSA_SUITES = [suite for suite in CipherSuite if "ECDSA" not in suite.name]


@pytest.fixture(scope="module")
def rsa_certificate():
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "rsa")])
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, start, start + datetime.timedelta(days=30))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Certificate.from_pem(pem + builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))


def assert_works(pair, label=b"EXTRACTOR-dtls_srtp"):
    """Connected on both ends, data both ways, equal exports."""
    (client,), (server,) = pair.connected(0), pair.connected(1)
    assert client.peer_certificate_der == pair.server_certificate.der
    assert server.peer_certificate_der == pair.client_certificate.der
    assert attrs.astuple(client)[:4] == attrs.astuple(server)[:4]
    pair.client.send(b"from client", pair.now)
    pair.server.send(b"from server", pair.now)
    pair.link.run_for(1.0)
    assert pair.events(0, ApplicationData) == [ApplicationData(b"from server")]
    assert pair.events(1, ApplicationData) == [ApplicationData(b"from client")]
    exported = [end.export_keying_material(label, 60) for end in pair.ends]
    assert exported[0] == exported[1]
    return client


@pytest.mark.parametrize("group", NamedGroup)
@pytest.mark.parametrize("suite", ECDSA_SUITES)
def test_each_ecdsa_suite_works_with_each_group(make_pair, suite, group):
    pair = make_pair(DtlsConfig(cipher_suites=(suite,), groups=(group,))).connect()
    connected = assert_works(pair)
    assert (connected.version, connected.cipher_suite, connected.group) == (0xFEFD, suite, group)
    assert pair.client.record_overhead_bytes == (29 if "CHACHA" in suite.name else 37)


@pytest.mark.proves("RFC5246-7.4.2-2-ed8e", "RFC5246-7.4.2-8-b052")
@pytest.mark.parametrize("group", NamedGroup)
@pytest.mark.parametrize("suite", RSA_SUITES)
def test_each_rsa_suite_works_with_each_group(make_pair, rsa_certificate, suite, group):
    config = DtlsConfig(cipher_suites=(suite,), groups=(group,))
    pair = make_pair(config, server_certificate=rsa_certificate).connect()
    connected = assert_works(pair)
    assert (connected.cipher_suite, connected.group) == (suite, group)


@pytest.mark.proves("RFC5246-7.4.6-2-84a7", "RFC5246-7.4.6-4-84aa")
def test_client_may_have_an_rsa_certificate(make_pair, rsa_certificate):
    assert_works(make_pair(client_certificate=rsa_certificate).connect())


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP521R1()])
def test_certificates_of_other_curves_work(make_pair, curve):
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    key = ec.derive_private_key(1234567, curve)
    name = x509.Name([])
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, start, start + datetime.timedelta(days=30))
    der = builder.sign(key, hashes.SHA256()).public_bytes(encoding_der())
    certificate = Certificate(der, key, 0)
    assert_works(make_pair(client_certificate=certificate, server_certificate=certificate).connect())


def encoding_der():
    from cryptography.hazmat.primitives.serialization import Encoding

    return Encoding.DER


def test_handshake_takes_two_round_trips(make_pair):
    pair = make_pair(conditions=LinkConditions(delay_s=0.02)).start()
    assert pair.link.run_until(lambda: pair.server.state == "connected") == pytest.approx(0.06)
    assert pair.link.run_until(lambda: pair.client.state == "connected") == pytest.approx(0.02)


def test_each_flight_is_one_datagram(make_pair):
    pair = make_pair().connect()
    assert [len(sent) for sent in pair.link.sent] == [2, 2]
    assert [end.stats.flights_sent for end in pair.ends] == [2, 2]
    assert [sum(end.stats.discards.values()) for end in pair.ends] == [0, 0]


@pytest.mark.proves(
    "RFC5246-7.3-2-0279", "RFC5246-7.4-1-bf1e", "RFC5246-7.4.2-1-916d", "RFC5246-7.4.7-1-5de1", "RFC5246-7.4.8-1-2d97"
)
def test_messages_come_in_the_order_of_the_flights(make_pair, read_messages):
    pair = make_pair().connect()
    names = [[type_ for type_, _ in read_messages(sent)] for sent in pair.link.sent]
    h = HandshakeType
    assert names[0] == [h.CLIENT_HELLO, h.CERTIFICATE, h.CLIENT_KEY_EXCHANGE, h.CERTIFICATE_VERIFY]
    assert names[1] == [
        h.SERVER_HELLO,
        h.CERTIFICATE,
        h.SERVER_KEY_EXCHANGE,
        h.CERTIFICATE_REQUEST,
        h.SERVER_HELLO_DONE,
    ]


def test_same_entropy_gives_the_same_bytes(make_pair):
    runs = []
    for _ in range(2):
        pair = make_pair(seed=3).connect()
        pair.client.send(b"data", pair.now)
        pair.client.close(pair.now)
        pair.link.run_for(1.0)
        runs.append(pair)
    assert runs[0].link.sent == runs[1].link.sent
    assert runs[0].link.events == runs[1].link.events
    assert make_pair(seed=4).connect().link.sent[0] != runs[0].link.sent[0]


def test_connected_comes_once_and_before_data(make_pair):
    pair = make_pair()
    pair.link.on_event = lambda end, event: (
        pair.ends[end].send(b"at once", pair.now) if isinstance(event, Connected) else None
    )
    pair.connect()
    pair.link.run_for(1.0)
    for end in (0, 1):
        assert [type(event) for event in pair.link.events[end]] == [Connected, ApplicationData]


@pytest.mark.proves("RFC6347-4.2.4-2-fb40", "RFC6347-4.1-4-c693")
def test_data_of_the_server_may_overtake_its_finished(make_pair):
    """RFC 6347 section 4.2.4: data before Finished is kept, or discarded; here kept, and in order."""
    pair = make_pair()
    held = []

    def hold_finished(end, datagram):
        if end == 1 and pair.server.state == "connected" and not held:
            held.append(datagram)
            pair.server.send(b"early 1", pair.now)
            pair.server.send(b"early 2", pair.now)
            return None
        return datagram

    pair.link.filter = hold_finished
    pair.start()
    pair.link.run_until(lambda: held)
    pair.link.run_for(0.03)
    assert pair.client.state == "connecting"
    assert not pair.link.events[0]
    pair.client.receive(held[0], pair.now)
    pair.link.run_for(0.01)
    assert pair.events(0, ApplicationData) == [ApplicationData(b"early 1"), ApplicationData(b"early 2")]


def test_data_in_the_datagram_behind_the_finished_is_delivered(make_pair):
    pair = make_pair()
    pair.start()
    pair.link.run_until(lambda: pair.server.state == "connected")
    pair.link.filter = lambda end, datagram: None
    pair.server.send(b"behind", pair.now)
    finished, data = pair.link.sent[1][-1], pair.server.take_datagrams(pair.now)[0]
    pair.client.receive(finished + data, pair.now)
    kinds = [type(event) for event in pair.client.take_events()]
    assert kinds == [Connected, ApplicationData]


@pytest.mark.proves("RFC5764-4.1.1-2-b456", "RFC5764-4.1.1-3-3503")
@pytest.mark.parametrize("profile", [1, 2, 7, 8])
def test_each_srtp_profile_is_agreed(make_pair, profile):
    pair = make_pair(DtlsConfig(), DtlsConfig(srtp_profiles=(profile,))).connect()
    assert [pair.connected(end)[0].srtp_profile for end in (0, 1)] == [profile, profile]


def test_server_goes_by_its_own_order_of_srtp_profiles(make_pair):
    config = DtlsConfig(srtp_profiles=(SrtpProfile.AES128_CM_SHA1_80, SrtpProfile.AEAD_AES_128_GCM))
    assert make_pair(DtlsConfig(), config).connect().connected(0)[0].srtp_profile == 1


@pytest.mark.proves("RFC5764-4.1.1-4-ca0d", "RFC5764-4.1.1-5-0f97")
@pytest.mark.parametrize("profiles", [((1,), (7,)), ((), (7,)), ((7,), ())])
def test_without_a_shared_srtp_profile_there_is_none(make_pair, profiles):
    """RFC 5764 section 4.1.1"""
    configs = [DtlsConfig(srtp_profiles=each) for each in profiles]
    pair = make_pair(*configs).connect()
    assert [pair.connected(end)[0].srtp_profile for end in (0, 1)] == [None, None]


def test_server_goes_by_its_own_order_of_suites_and_groups(make_pair):
    server = DtlsConfig(
        cipher_suites=tuple(reversed(DtlsConfig().cipher_suites)), groups=tuple(reversed(DtlsConfig().groups))
    )
    connected = make_pair(DtlsConfig(), server).connect().connected(0)[0]
    assert connected.cipher_suite == CipherSuite.ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
    assert connected.group == NamedGroup.SECP384R1


@pytest.mark.proves("RFC5764-4.1.1-1-32b5", "RFC5246-7.4.1.2-1-6f8e", "RFC5246-7.4.1.4.1-5-4040")
def test_hellos_carry_what_they_must(make_pair, read_messages):
    pair = make_pair().connect()
    _, hello = read_messages(pair.link.sent[0])[0]
    assert hello.extensions.extended_master_secret == b""
    assert hello.extensions.renegotiation_info == b""
    assert hello.extensions.use_srtp.mki == b""
    assert hello.extensions.supported_versions is None
    _, answer = read_messages(pair.link.sent[1])[0]
    assert set(answer.extensions.types) == {
        ExtensionType.EXTENDED_MASTER_SECRET,
        ExtensionType.RENEGOTIATION_INFO,
        ExtensionType.EC_POINT_FORMATS,
        ExtensionType.USE_SRTP,
    }
    assert (answer.session_id, answer.compression_method) == (b"", 0)


@pytest.mark.proves("RFC8122-6.2-4-6372")
def test_server_always_asks_for_a_certificate(make_pair, read_messages):
    pair = make_pair().connect()
    requests = [body for type_, body in read_messages(pair.link.sent[1]) if type_ == HandshakeType.CERTIFICATE_REQUEST]
    assert len(requests) == 1
    assert requests[0].certificate_types == bytes((64, 1))


@pytest.mark.proves("RFC5246-7.4.2-3-2f91")
def test_chain_behind_the_certificate_is_sent_and_not_looked_at(make_pair, make_certificate):
    own = make_certificate("client")
    certificate = Certificate(own.der, own.key, own.not_after, (b"not even a certificate",))
    assert_works(make_pair(client_certificate=certificate).connect())


@pytest.mark.proves("RFC6347-4.2.6-1-9db0", "RFC6347-4.1.1.1-10-7e41")
def test_certificates_larger_than_the_mtu_are_fragmented_and_reassembled(make_pair, make_certificate):
    own = make_certificate("server")
    certificate = Certificate(own.der, own.key, own.not_after, (bytes(5000),))
    pair = make_pair(DtlsConfig(mtu_bytes=256), server_certificate=certificate).connect()
    assert max(len(datagram) for sent in pair.link.sent for datagram in sent) <= 256
    assert_works(pair)


def test_key_log_has_the_nss_format_and_both_ends_agree(make_pair):
    lines = [[], []]
    pair = make_pair(DtlsConfig(key_log=lines[0].append), DtlsConfig(key_log=lines[1].append)).connect()
    assert lines[0] == lines[1]
    assert len(lines[0]) == 1
    label, random, secret = lines[0][0].split(" ")
    assert (label, len(random), len(secret)) == ("CLIENT_RANDOM", 64, 96)
    assert bytes.fromhex(random) in pair.link.sent[0][0]


def test_exports_differ_by_label_and_context(make_pair):
    client = make_pair().connect().client
    exports = {
        client.export_keying_material(label, 32, context)
        for label in (b"EXPORTER-a", b"EXPORTER-b")
        for context in (None, b"", b"x")
    }
    assert len(exports) == 6
    assert client.export_keying_material(b"EXPORTER-a", 16) == client.export_keying_material(b"EXPORTER-a", 32)[:16]


@pytest.mark.proves(
    "RFC6347-4.2.1-1-48a7",
    "RFC6347-4.2.1-3-805c",
    "RFC6347-4.2.1-4-a197",
    "RFC6347-4.2.1-5-05b7",
    "RFC6347-4.2.1-15-8e78",
    "RFC6347-5-2-8e78",
    "RFC6347-4.2.6-2-3615",
    "RFC6347-4.2.1-2-b9c1",
)
def test_cookie_exchange_takes_one_more_round_trip(make_pair, read_messages):
    pair = make_pair(DtlsConfig(use_cookies=True), conditions=LinkConditions(delay_s=0.02)).start()
    assert pair.link.run_until(lambda: pair.server.state == "connected") == pytest.approx(0.1)
    pair.link.run_until(lambda: pair.client.state == "connected")
    assert_works(pair)
    hellos = [body for type_, body in read_messages(pair.link.sent[0]) if type_ == HandshakeType.CLIENT_HELLO]
    assert [len(hello.cookie) for hello in hellos] == [0, 32]
    assert hellos[0].random == hellos[1].random
    request = read_messages(pair.link.sent[1])[0][1]
    assert request.version == 0xFEFF


@pytest.mark.proves("RFC6347-4.2.1-9-84a0", "RFC6347-4.2.1-11-eb07")
def test_record_numbers_of_the_cookie_exchange_mirror_the_clients(make_pair, split_records):
    """RFC 6347 section 4.2.1"""
    pair = make_pair(DtlsConfig(use_cookies=True))
    lost = []
    pair.link.filter = lambda end, datagram: lost.append(datagram) if end == 0 and len(lost) < 2 else datagram
    pair.connect()
    hellos = [split_records(datagram)[0][2] for datagram in pair.link.sent[0][:4]]
    assert hellos == [0, 1, 2, 3]
    assert split_records(pair.link.sent[1][0])[0][2] == 2
    assert split_records(pair.link.sent[1][1])[0][2] == 3


def test_several_fingerprints_may_be_acceptable(make_pair, make_certificate):
    expected = [make_certificate("somebody").fingerprint(), make_certificate("server").fingerprint()]
    assert_works(make_pair(client_expects=expected).connect())


@pytest.mark.parametrize("algorithm", ["sha-256", "sha-384", "sha-512"])
def test_fingerprints_of_each_hash_are_taken(make_pair, make_certificate, algorithm):
    pair = make_pair(
        client_expects=[make_certificate("server").fingerprint(algorithm)],
        server_expects=[make_certificate("client").fingerprint(algorithm)],
    )
    assert_works(pair.connect())


def test_pinned_certificate_that_was_signalled_is_taken(make_pair, make_certificate):
    config = DtlsConfig(pinned_fingerprints=(make_certificate("server").fingerprint("sha-512"),))
    assert_works(make_pair(config, DtlsConfig()).connect())


def test_trace_tells_the_steps_and_no_secret(make_pair):
    pair = make_pair()
    records = []
    pair.client._trace = records.append
    pair.connect()
    pair.client.close(pair.now)
    sent = "flight_datagram_sent"
    names = [record.name for record in records]
    assert names == ["state", sent, sent, "state", "alert_sent", "state", "terminated"]
    assert {record.layer for record in records} == {"dtls"}
    values = {value for record in records for value in record.fields.values()}
    assert all(isinstance(value, str | int) for value in values)
