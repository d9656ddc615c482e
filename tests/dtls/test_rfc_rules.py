"""Rules of RFC 5764 and 6347 that no other test is about, each with the sentence it proves."""

import pytest

from sans_rtc.demux import PacketKind, classify
from sans_rtc.dtls import CipherSuite, DtlsConfig
from sans_rtc.dtls.ciphers import SUITES
from sans_rtc.dtls.extensions import UseSrtp
from sans_rtc.dtls.handshake import HandshakeType
from sans_rtc.dtls.wire import ContentType
from sans_rtc.machine import Terminated

CLIENT, SERVER = 0, 1


@pytest.mark.proves("RFC5764-4.1.3-3-e219")
def test_clients_mki_is_answered_with_none(make_pair, read_messages, tamper):
    pair = make_pair(DtlsConfig(srtp_profiles=(7,)))

    def offer_mki(hello):
        hello.extensions.use_srtp = UseSrtp((7,), b"mki")

    tamper.on_the_path(pair, HandshakeType.CLIENT_HELLO, offer_mki)
    pair.start()
    pair.link.run_for(0.015)
    _, answer = read_messages(pair.link.sent[SERVER])[0]
    assert answer.extensions.use_srtp == UseSrtp((7,), b"")


@pytest.mark.proves("RFC5764-4.1-2-7994", "RFC5246-6-1-1c4f")
def test_every_datagram_holds_whole_dtls_records_and_nothing_else(make_pair, split_records):
    pair = make_pair().connect()
    pair.client.send(b"data", pair.now)
    pair.client.close(pair.now)
    pair.link.run_for(1.0)
    for datagram in (datagram for sent in pair.link.sent for datagram in sent):
        assert classify(datagram) is PacketKind.DTLS
        records = split_records(datagram)
        assert {type_ for type_, *_ in records} <= set(ContentType)
        assert sum(13 + len(body) for *_, body in records) == len(datagram)


@pytest.mark.proves("RFC6347-4.1.2.2-1-855b", "RFC5246-A.5-1-7f61", "RFC8122-7-1-6022")
def test_no_suite_uses_rc4_or_anything_but_aead():
    assert {suite.name.split("_WITH_")[1].split("_")[0] for suite in CipherSuite} == {"AES", "CHACHA20"}
    assert not [suite.name for suite in CipherSuite if not ("GCM" in suite.name or "POLY1305" in suite.name)]
    assert set(SUITES) == set(CipherSuite)


@pytest.mark.proves("RFC6347-4.1.2.1-2-d9ad", "RFC6347-4.1.2.7-2-a5a8")
def test_alert_for_too_many_forgeries_is_fatal_bad_record_mac_and_ends(make_pair, make_record):
    pair = make_pair(DtlsConfig(forgery_count_max=2), DtlsConfig()).connect()
    for number in range(2):
        pair.client.receive(make_record(23, bytes(40), epoch=1, number=100 + number), pair.now)
    assert pair.client.is_terminated
    pair.link.run_for(1.0)
    (ended,) = pair.events(SERVER, Terminated)
    assert (ended.reason, "bad_record_mac" in ended.detail) == ("peer_alert", True)
