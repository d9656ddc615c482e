"""Rules of RFC 3550 about single packets of RTP."""

import pytest

from sans_rtc.rtp import RtpPacket, parse_rtp, serialize_rtp


@pytest.mark.proves("RFC3550-5.1-1-b7af", "RFC3550-5.3.1-2-e767")
def test_one_extension_follows_the_contributing_sources():
    packet = RtpPacket(96, 1, 2, 3, b"payload", csrcs=(4, 5), extensions=[(1, b"a"), (2, b"bc")])
    data = serialize_rtp(packet)
    assert data[0] == 0x92
    assert data[12:] == bytes.fromhex("00000004 00000005 bede0002 1061 216263 000000") + b"payload"
    assert parse_rtp(data) == packet


@pytest.mark.proves("RFC3551-2-1-99c9")
def test_extension_of_an_unknown_profile_is_stepped_over():
    packet = RtpPacket(0, 1, 2, 3, b"payload", other_extension=(0x1234, b"12345678"))
    assert parse_rtp(serialize_rtp(packet)).payload == b"payload"
