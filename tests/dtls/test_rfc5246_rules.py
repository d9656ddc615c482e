"""Rules of RFC 5246 that no other test is about: what both ends say in a handshake, and what a server answers to."""

import pytest
from cryptography import x509

from sans_rtc.dtls import CipherSuite, DtlsConfig
from sans_rtc.dtls.alert import AlertDescription
from sans_rtc.dtls.extensions import ExtensionType
from sans_rtc.dtls.handshake import HandshakeType
from sans_rtc.dtls.keys import SessionKeys, prf
from sans_rtc.dtls.messages import SCSV_RENEGOTIATION
from sans_rtc.dtls.wire import ContentType

CLIENT, SERVER = 0, 1


def first_of(read_messages, datagrams, kind):
    return next(body for type_, body in read_messages(datagrams) if type_ == kind)


@pytest.mark.proves(
    "RFC5246-7.4.1.2-3-ebd3", "RFC5246-7.4.1.2-6-7580", "RFC5246-7.4.1.4.1-1-a1bc", "RFC5246-7.4.1.4.1-2-725c"
)
def test_client_offers_1_2_without_compression_and_names_its_signature_schemes(make_pair, read_messages):
    pair = make_pair().connect()
    hello = first_of(read_messages, pair.link.sent[CLIENT], HandshakeType.CLIENT_HELLO)
    assert (hello.version, hello.session_id, hello.compression_methods) == (0xFEFD, b"", b"\x00")
    assert hello.extensions.signature_algorithms == DtlsConfig().signature_schemes
    request = first_of(read_messages, pair.link.sent[SERVER], HandshakeType.CERTIFICATE_REQUEST)
    for schemes in (hello.extensions.signature_algorithms, request.signature_algorithms):
        assert not [scheme for scheme in schemes if scheme & 0xFF == 0]  # anonymous


@pytest.mark.proves("RFC5246-7.4.1.3-1-607e")
def test_randoms_of_both_ends_are_their_own(make_pair, read_messages):
    seen = set()
    for seed in (1, 2):
        pair = make_pair(seed=seed).connect()
        seen.add(first_of(read_messages, pair.link.sent[CLIENT], HandshakeType.CLIENT_HELLO).random)
        seen.add(first_of(read_messages, pair.link.sent[SERVER], HandshakeType.SERVER_HELLO).random)
    assert len(seen) == 4


@pytest.mark.proves(
    "RFC5246-6.1-1-3fa6",
    "RFC5246-6.1-2-d733",
    "RFC5246-6.1-3-8411",
    "RFC5246-6.2.1-2-c453",
    "RFC5246-7.1-1-a4b1",
    "RFC5246-7.1-2-be6d",
)
def test_no_record_is_empty_and_what_follows_change_cipher_spec_is_protected(make_pair, split_records):
    pair = make_pair().connect()
    pair.client.close(pair.now)
    pair.link.run_for(1.0)
    for sent in pair.link.sent:
        records = [record for datagram in sent for record in split_records(datagram)]
        assert all(body for *_, body in records)
        kinds = [(type_, epoch) for type_, epoch, *_ in records]
        changed = kinds.index((ContentType.CHANGE_CIPHER_SPEC, 0))
        assert {epoch for _, epoch in kinds[:changed]} == {0}
        assert {epoch for _, epoch in kinds[changed + 1 :]} == {1}
        assert [number for _, epoch, number, _ in records if epoch == 1] == list(range(len(kinds) - changed - 1))


@pytest.mark.proves("RFC5246-A.5-2-3490", "SECURITY-4.3.1-1-63dc")
def test_every_suite_has_forward_secrecy_and_proves_the_server():
    assert {suite.name.split("_WITH_")[0] for suite in CipherSuite} == {"ECDHE_ECDSA", "ECDHE_RSA"}


@pytest.mark.proves("RFC5246-7.2.2-7-982b", "RFC5246-7.2.2-8-982b", "RFC5246-7.2.2-9-982b")
def test_alerts_of_old_versions_have_no_name_here():
    assert not {21, 41, 60} & set(AlertDescription)


@pytest.mark.proves("RFC5246-E.1-2-b0ee")
@pytest.mark.parametrize("version", [0xFEFC, 0xFEFB])
def test_newer_client_is_answered_with_1_2(make_pair, read_messages, tamper, version):
    pair = make_pair()
    tamper.on_the_path(pair, HandshakeType.CLIENT_HELLO, lambda hello: setattr(hello, "version", version))
    pair.start()
    pair.link.run_for(0.015)
    assert first_of(read_messages, pair.link.sent[SERVER], HandshakeType.SERVER_HELLO).version == 0xFEFD


@pytest.mark.proves("RFC5246-7.4.1.4-1-bce9")
def test_server_answers_no_extension_that_was_not_offered(make_pair, read_messages, tamper):
    def bare(hello):
        extensions = hello.extensions
        extensions.use_srtp = extensions.ec_point_formats = extensions.renegotiation_info = None
        assert SCSV_RENEGOTIATION not in hello.cipher_suites

    pair = make_pair()
    tamper.on_the_path(pair, HandshakeType.CLIENT_HELLO, bare)
    pair.start()
    pair.link.run_for(0.015)
    answer = first_of(read_messages, pair.link.sent[SERVER], HandshakeType.SERVER_HELLO)
    assert answer.extensions.types == (ExtensionType.EXTENDED_MASTER_SECRET,)


@pytest.mark.proves("RFC5246-7.4.8-2-8438")
def test_client_signs_with_a_scheme_that_the_server_takes(make_pair, read_messages):
    pair = make_pair(DtlsConfig(), DtlsConfig(signature_schemes=(0x0503, 0x0603))).connect()
    verify = first_of(read_messages, pair.link.sent[CLIENT], HandshakeType.CERTIFICATE_VERIFY)
    assert verify.scheme == 0x0503


@pytest.mark.proves("RFC5246-7.4.4-3-0774")
def test_client_whose_key_suits_no_scheme_of_the_server_ends_it(make_pair, refuses):
    rsa_only = DtlsConfig(signature_schemes=(0x0401, 0x0804))
    refuses(make_pair(DtlsConfig(), rsa_only), CLIENT, "nothing_shared", "handshake_failure")


@pytest.mark.proves("RFC5246-7.4.1.4.1-6-15e2", "RFC5246-7.4.3-2-00a4")
def test_server_picks_a_scheme_that_the_client_takes(make_pair, read_messages):
    pair = make_pair(DtlsConfig(signature_schemes=(0x0603,)), DtlsConfig()).connect()
    assert first_of(read_messages, pair.link.sent[SERVER], HandshakeType.SERVER_KEY_EXCHANGE).scheme == 0x0603


@pytest.mark.proves("RFC5246-7.4.9-2-90da")
@pytest.mark.parametrize("suite", CipherSuite)
def test_finished_is_made_with_the_hash_of_the_suite(suite):
    hash_name = "sha384" if suite.name.endswith("384") else "sha256"
    keys = SessionKeys(suite, bytes(range(48)), bytes(32), bytes(32))
    for sender in ("client", "server"):
        expected = prf(bytes(range(48)), f"{sender} finished".encode(), b"hash", 12, hash_name)
        assert keys.verify_data(sender, b"hash") == expected


@pytest.mark.proves("RFC5246-7.4.9-2-90da")
def test_transcript_is_hashed_with_the_hash_of_the_suite(make_pair, monkeypatch):
    seen = []
    original = SessionKeys.verify_data
    monkeypatch.setattr(SessionKeys, "verify_data", lambda *args: seen.append(len(args[2])) or original(*args))
    for suite, size in ((0xC02B, 32), (0xC02C, 48), (0xCCA9, 32)):
        seen.clear()
        make_pair(DtlsConfig(cipher_suites=(suite,))).connect()
        assert set(seen) == {size}


@pytest.mark.proves("RFC5246-7.4.2-8-b052", "RFC5246-7.4.2-12-5c7c", "RFC5246-7.4.6-6-db1e", "RFC5763-6.1-4-0da8")
def test_certificate_has_no_extension_that_names_anybody_or_limits_its_key(make_certificate):
    assert list(x509.load_der_x509_certificate(make_certificate("client").der).extensions) == []


@pytest.mark.proves("RFC6347-4.1.2.6-4-3f12")
def test_repeated_record_is_thrown_away_before_it_is_decrypted(make_pair):
    """RFC 6347 section 4.1.2.6"""
    pair = make_pair().connect()
    pair.client.send(b"data", pair.now)
    (record,) = pair.client.take_datagrams(pair.now)
    pair.server.receive(record, pair.now)
    pair.server.receive(record[:-1] + bytes((record[-1] ^ 1,)), pair.now)
    assert dict(pair.server.stats.discards)["replayed"] == 1
    assert pair.server.stats.discards["bad_mac"] == 0
