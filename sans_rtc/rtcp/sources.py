"""Who speaks in an RTCP packet."""

from __future__ import annotations

from sans_rtc.rtcp.extended import ExtendedReport
from sans_rtc.rtcp.reports import App, Goodbye, ReceiverReport, SenderReport, SourceDescription
from sans_rtc.rtcp.wire import RtcpPacket, UnknownPacket


def source_ssrcs(packet: RtcpPacket) -> tuple[int, ...]:
    """The sources that a packet comes from, so that they are members (RFC 3550 section 6.2.1); none for BYE."""
    match packet:
        case Goodbye() | UnknownPacket():
            return ()
        case SourceDescription(chunks=chunks):
            return tuple([chunk.ssrc for chunk in chunks])
        case SenderReport(ssrc=ssrc) | ReceiverReport(ssrc=ssrc) | App(ssrc=ssrc) | ExtendedReport(ssrc=ssrc):
            return (ssrc,)
    return (packet.sender_ssrc,)
