"""Every first byte of the table of RFC 7983 section 7, as RFC 9443 has it."""

import pytest

from sans_rtc.demux import PacketKind, classify

# Written out beside the module's own table; RFC 9443 gave 80 to 127 and 192 to 255 to QUIC.
EXPECTED = {
    **dict.fromkeys(range(4), PacketKind.STUN),
    **dict.fromkeys(range(4, 16), PacketKind.UNKNOWN),
    **dict.fromkeys(range(16, 20), PacketKind.ZRTP),
    **dict.fromkeys(range(20, 64), PacketKind.DTLS),
    **dict.fromkeys(range(64, 80), PacketKind.TURN_CHANNEL),
    **dict.fromkeys(range(80, 128), PacketKind.QUIC),
    **dict.fromkeys(range(128, 192), PacketKind.RTP),
    **dict.fromkeys(range(192, 256), PacketKind.QUIC),
}


@pytest.mark.proves("RFC5764-5.1.2-1-b7d5", "RFC5764-5.1.2-2-9a6a", "RFC7983-7-1-33d6")
def test_first_byte_tells_the_protocol():
    for rest in (b"", bytes(30)):
        assert {first: classify(bytes([first]) + rest) for first in range(256)} == EXPECTED


def test_empty_datagram_is_nobodys():
    assert classify(b"") is PacketKind.UNKNOWN


@pytest.mark.proves("RFC5764-5.1.2-1-b7d5", "RFC5764-5.1.2-2-9a6a")
@pytest.mark.parametrize("first", [128, 0x80 | 0x20 | 0x1F, 191])
def test_second_byte_tells_rtcp_from_rtp(first):
    # RFC 5761 section 4: RTCP packet types 192 to 223, whatever the version's other bits.
    expected = {second: PacketKind.RTCP if 192 <= second <= 223 else PacketKind.RTP for second in range(256)}
    assert {second: classify(bytes([first, second])) for second in range(256)} == expected


@pytest.mark.parametrize("first", [0, 20, 64, 100, 200])
def test_second_byte_matters_only_for_rtp(first):
    assert classify(bytes([first, 200])) is EXPECTED[first]
