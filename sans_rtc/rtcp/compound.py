"""RTCP packets into datagrams: what is too large for one is split, and each compound begins as it must.

RFC 3550 section 6.1: a compound begins with SR or RR, and has SDES with CNAME. So where packets take several datagrams,
each after the first begins with an empty RR and that SDES again; with reduced size (RFC 5506), it need not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc.rtcp.congestion_feedback import CongestionControlFeedback
from sans_rtc.rtcp.extended import ExtendedReport
from sans_rtc.rtcp.feedback import BitrateRequest, FullIntraRequest, Nack, Remb, SliceLossIndication
from sans_rtc.rtcp.reports import COUNT_MAX, Goodbye, ReceiverReport, SenderReport, SourceDescription
from sans_rtc.rtcp.wire import RtcpPacket, serialize_packet

# IPv6's least MTU 1280 - 40 (IPv6) - 8 (UDP) - 14 (SRTCP index and tag) leaves more: what browsers budget with.
DATAGRAM_BYTES_MAX = 1200


def serialize_datagrams(
    packets: Sequence[RtcpPacket],
    *,
    datagram_bytes_max: int = DATAGRAM_BYTES_MAX,
    is_reduced_size: bool = False,
) -> list[bytes]:
    """Serialize packets into as few datagrams as their order allows; lists that are too long are split.

    packets          in their order; more than 31 report blocks in SR and RR, or sources in SDES and BYE, are taken
    is_reduced_size  the datagrams need not begin with SR or RR
    Errors           InvalidArgument for a compound that does not begin with SR or RR, or a packet that is too large and
                     cannot be split: transport-wide feedback, APP, what is unknown
    """
    if not is_reduced_size and not (packets and isinstance(packets[0], SenderReport | ReceiverReport)):
        raise InvalidArgument("a compound begins with SR or RR")
    head = b"" if is_reduced_size else _continuation_head(packets)
    room = datagram_bytes_max - len(head)
    datagrams: list[bytes] = []
    parts: list[bytes] = []
    size = 0
    for packet in packets:
        for piece in _pieces(packet, room):
            if parts and size + len(piece) > datagram_bytes_max:
                datagrams.append(b"".join(parts))
                parts, size = ([head], len(head)) if head else ([], 0)
            parts.append(piece)
            size += len(piece)
    if parts:
        datagrams.append(b"".join(parts))
    return datagrams


def _continuation_head(packets: Sequence[RtcpPacket]) -> bytes:
    first = packets[0]
    assert isinstance(first, SenderReport | ReceiverReport)
    head = serialize_packet(ReceiverReport(first.ssrc))
    for packet in packets:
        if isinstance(packet, SourceDescription) and packet.chunks:
            return head + serialize_packet(SourceDescription(packet.chunks[:1]))
    return head


def _pieces(packet: RtcpPacket, room: int) -> list[bytes]:
    """The packet, or the packets that it is split into, each of at most `room` bytes."""
    row = _SPLITS.get(type(packet))
    if row is None:
        return [_whole(packet, room)]
    name, count_max = row
    items = getattr(packet, name)
    if len(items) <= count_max:
        data = serialize_packet(packet)
        if len(data) <= room:
            return [data]
    if len(items) < 2:
        return [_whole(packet, room)]
    middle = count_max if len(items) > count_max else len(items) + 1 >> 1
    front = attrs.evolve(packet, **{name: items[:middle]})
    back = attrs.evolve(_follower(packet), **{name: items[middle:]})
    return _pieces(front, room) + _pieces(back, room)


def _whole(packet: RtcpPacket, room: int) -> bytes:
    data = serialize_packet(packet)
    if len(data) > room:
        raise InvalidArgument(f"{type(packet).__name__} of {len(data)} bytes, where {room} fit, cannot be split")
    return data


def _follower(packet: RtcpPacket) -> Any:  # one of the classes of _SPLITS, to be evolved
    """What carries the rest of a packet: further report blocks stand in RR (RFC 3550 section 6.1)."""
    return ReceiverReport(packet.ssrc) if isinstance(packet, SenderReport) else packet


_Split = tuple[str, int]
_UNBOUNDED = 1 << 30
# Which list of a packet may be divided between packets, and how long it may be in one.
_SPLITS: dict[type, _Split] = {
    SenderReport: ("blocks", COUNT_MAX),
    ReceiverReport: ("blocks", COUNT_MAX),
    SourceDescription: ("chunks", COUNT_MAX),
    Goodbye: ("ssrcs", COUNT_MAX),
    Nack: ("lost", _UNBOUNDED),
    SliceLossIndication: ("losses", _UNBOUNDED),
    FullIntraRequest: ("entries", _UNBOUNDED),
    BitrateRequest: ("limits", _UNBOUNDED),
    Remb: ("ssrcs", 255),
    CongestionControlFeedback: ("streams", 1024),
    ExtendedReport: ("blocks", 256),
}
