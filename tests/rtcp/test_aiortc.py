"""What aiortc's RTP module and ours both know is the same bytes."""

import pytest

from sans_rtc import rtcp, rtp

aiortc = pytest.importorskip("aiortc.rtp")
BLOCK = rtcp.ReportBlock(7, 128, -3, 0x10005, 16, 0x11223344, 0x18000)
BLOCK_THERE = (7, 128, -3, 0x10005, 16, 0x11223344, 0x18000)


def pairs():
    info = aiortc.RtcpReceiverInfo(*BLOCK_THERE)
    source = aiortc.RtcpSourceInfo(1, [(1, b"abc"), (15, b"0")])
    items = [rtcp.SdesItem(1, b"abc"), rtcp.SdesItem(15, b"0")]
    remb = aiortc.RtcpPsfbPacket(15, 1, 0, aiortc.pack_remb_fci(2_000_000, [3, 4]))
    return [
        (rtcp.ReceiverReport(1, [BLOCK]), aiortc.RtcpRrPacket(1, [info])),
        (
            rtcp.SenderReport(1, 2 << 32, 3, 4, 5, [BLOCK]),
            aiortc.RtcpSrPacket(1, aiortc.RtcpSenderInfo(2 << 32, 3, 4, 5), [info]),
        ),
        (rtcp.SourceDescription([rtcp.SdesChunk(1, items)]), aiortc.RtcpSdesPacket([source])),
        (rtcp.Goodbye((1, 2)), aiortc.RtcpByePacket([1, 2])),
        (rtcp.Nack(1, 2, [10, 11, 26, 40]), aiortc.RtcpRtpfbPacket(1, 1, 2, [10, 11, 26, 40])),
        (rtcp.PictureLossIndication(1, 2), aiortc.RtcpPsfbPacket(1, 1, 2)),
        (rtcp.Remb(1, 2_000_000, (3, 4)), remb),
    ]


@pytest.mark.parametrize(("ours", "theirs"), pairs(), ids=lambda packet: type(packet).__name__)
def test_rtcp_is_the_same_bytes(ours, theirs):
    data = rtcp.serialize_packet(ours)
    assert data == bytes(theirs)
    assert aiortc.RtcpPacket.parse(data) == [theirs]
    assert rtcp.parse_compound(bytes(theirs), allow_reduced_size=True) == [ours]


def test_rtp_is_the_same_bytes():
    theirs = aiortc.RtpPacket(96, 1, 1234, 0xFFFFFFFF, 7, b"payload")
    theirs.csrc, theirs.padding_size = [1, 2], 5
    data = theirs.serialize()
    ours = rtp.RtpPacket(96, 1234, 0xFFFFFFFF, 7, b"payload", True, (1, 2), padding_bytes=5)
    parsed = rtp.parse_rtp(data)
    assert parsed == ours
    back = aiortc.RtpPacket.parse(rtp.serialize_rtp(ours))
    assert (back.payload, back.csrc, back.padding_size, back.marker) == (b"payload", [1, 2], 5, 1)


@pytest.mark.parametrize("elements", [[(1, b"0"), (3, b"abc")], [(1, bytes(17))], [(15, b"a"), (2, b"")]])
def test_header_extensions_are_the_same_elements(elements):
    profile, value = aiortc.pack_header_extensions(elements)
    data = rtp.serialize_rtp(rtp.RtpPacket(96, 1, 2, 3, b"", extensions=elements))
    assert data[12:14] == profile.to_bytes(2, "big")
    assert aiortc.unpack_header_extensions(profile, data[16:]) == elements
    head = bytes.fromhex("906000010000000200000003") + profile.to_bytes(2, "big")
    assert rtp.parse_rtp(head + (len(value) // 4).to_bytes(2, "big") + value).extensions == elements
