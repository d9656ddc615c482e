"""SRTCP: its index and E flag, encrypted or not, in whatever order it comes."""

import pytest

from sans_rtc.srtp import SrtpConfig, SrtpReceiver


def word_of(pair, data):
    end = len(data) - (0 if pair.profile >= 7 else 10)
    return int.from_bytes(data[end - 4 : end], "big")


@pytest.mark.proves("RFC3711-3.2.1-8-d874", "RFC3711-3.4-1-1063", "RFC3711-3.4-6-158e", "RFC3711-3.4-7-7f9f")
def test_index_begins_at_0_and_counts_each_packet_of_an_ssrc(profile, tools, make_pair):
    pair = make_pair(profile)
    words = [word_of(pair, pair.sender.protect_rtcp(tools.rtcp(ssrc=ssrc))) for ssrc in (1, 1, 2, 1)]
    assert words == [0x80000000, 0x80000001, 0x80000000, 0x80000002]


def test_rtp_does_not_move_the_index_of_rtcp(kind, tools, make_pair):
    pair = make_pair(kind)
    pair.send(1)
    assert word_of(pair, pair.sender.protect_rtcp(tools.rtcp())) == 0x80000000


@pytest.mark.proves("RFC3711-3.4-5-0a06", "RFC3711-4.1.3-1-b421")
def test_unencrypted_rtcp_is_readable_and_authentic(profile, tools, make_pair):
    pair = make_pair(profile, encrypts_rtcp=False, accepts_unencrypted_rtcp=True)
    data = pair.sender.protect_rtcp(tools.rtcp())
    assert data.startswith(tools.rtcp())
    assert word_of(pair, data) == 0
    for bit in range(8 * len(data)):
        forged = bytearray(data)
        forged[bit // 8] ^= 1 << bit % 8
        assert pair.receive_rtcp(bytes(forged)) in ("authentication_failed", "malformed")
    assert pair.receive_rtcp(data) == tools.rtcp()
    assert pair.receive_rtcp(data) == "replayed"


def test_unencrypted_rtcp_is_discarded_where_it_is_not_asked_for(profile, tools, make_pair):
    pair = make_pair(profile, encrypts_rtcp=False)
    assert pair.receive_rtcp(pair.sender.protect_rtcp(tools.rtcp())) == "unencrypted_rtcp"
    assert tools.state_of(pair.receiver) == ({}, {}, {})


def test_receiver_of_unencrypted_rtcp_takes_encrypted_as_well(profile, tools, make_pair):
    pair = make_pair(profile)
    receiver = SrtpReceiver(profile, pair.master, SrtpConfig(accepts_unencrypted_rtcp=True))
    assert receiver.unprotect_rtcp(pair.sender.protect_rtcp(tools.rtcp())) == tools.rtcp()


@pytest.mark.parametrize("accepts", [False, True])
def test_e_flag_cannot_be_changed(profile, tools, make_pair, accepts):
    pair = make_pair(profile, accepts_unencrypted_rtcp=accepts)
    data = bytearray(pair.sender.protect_rtcp(tools.rtcp()))
    data[len(data) - (4 if profile >= 7 else 14)] ^= 0x80
    assert pair.receive_rtcp(bytes(data)) == ("authentication_failed" if accepts else "unencrypted_rtcp")


@pytest.mark.proves("RFC3711-5.2-3-1626")
def test_tag_of_rtcp_has_80_bits_even_in_the_profiles_with_32(tools, make_pair):
    for number in (1, 2, 3, 4):
        assert make_pair(number).sender.rtcp_overhead_bytes == 4 + 10


def test_header_of_8_bytes_alone_is_rtcp(profile, make_pair):
    pair = make_pair(profile)
    packet = b"\x80\xc9\x00\x01\xca\xfe\xba\xbe"
    assert pair.receive_rtcp(pair.sender.protect_rtcp(packet)) == packet


def test_compound_is_encrypted_behind_its_first_header(profile, tools, make_pair):
    pair = make_pair(profile)
    packet = tools.rtcp() + b"\x81\xca\x00\x03\xca\xfe\xba\xbe\x01\x02me\x00\x00\x00\x00"
    data = pair.sender.protect_rtcp(packet)
    assert data[:8] == packet[:8]
    assert b"\xca\xfe\xba\xbe" not in data[8:]
    assert pair.receive_rtcp(data) == packet


def test_lost_and_late_packets_are_told_by_their_index(profile, tools, make_pair):
    pair = make_pair(profile)
    packets = [pair.sender.protect_rtcp(tools.rtcp()) for _ in range(10)]
    for number in (3, 9, 1, 8):
        assert pair.receive_rtcp(packets[number]) == tools.rtcp()
    assert pair.receiver.explain().rtcp[0].sequence_number == 9
