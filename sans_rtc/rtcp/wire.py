"""RTCP packets as bytes, alone and compound (RFC 3550 sections 6.1 and 6.4 to 6.7, RFC 5506).

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |V=2|P| RC/FMT  |       PT      |       length in words - 1     |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

A datagram holds one packet or more, one behind the other. The one table of packets is here; how each is laid out stands
in the modules that it names.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import Any, TypeAlias

import attrs

from sans_rtc.errors import InvalidArgument, Malformed, Truncated, Unsupported
from sans_rtc.rtcp import congestion_feedback, extended, feedback, reports, transport_feedback
from sans_rtc.rtcp.congestion_feedback import CongestionControlFeedback
from sans_rtc.rtcp.extended import ExtendedReport
from sans_rtc.rtcp.feedback import (
    BitrateNotification,
    BitrateRequest,
    FullIntraRequest,
    Nack,
    PictureLossIndication,
    ReferencePictureSelection,
    Remb,
    SliceLossIndication,
    UnknownFeedback,
)
from sans_rtc.rtcp.reports import App, Goodbye, ReceiverReport, SenderReport, SourceDescription
from sans_rtc.rtcp.transport_feedback import TransportFeedback

HEADER_BYTES = 4
# The length counts words without the header, in 16 bits.
PACKET_BYTES_MAX = 4 * 0x10000
# A browser sends fewer than ten in a datagram; a forwarder of many sources some dozens. A datagram could hold 16383.
PACKET_COUNT_MAX = 256
# Packets that feedback in one datagram tells of: a few bytes of runs tell of 65535, at 8 bytes of memory each. All the
# sequence numbers there are, twice, is plenty.
TOLD_COUNT_MAX = 2 * 65536
# Padding is counted by its last byte; what a caller adds has whole words: 252 is the most.
PADDING_BYTES_MAX = 252

_HEADER = struct.Struct("!BBH")


class PacketType(IntEnum):
    """Packet types that are known (RFC 3550 section 12.1, RFC 4585 section 6.1, RFC 3611 section 2)."""

    SR = 200
    RR = 201
    SDES = 202
    BYE = 203
    APP = 204
    RTPFB = 205
    PSFB = 206
    XR = 207


@attrs.define(slots=True)
class UnknownPacket:
    """A packet of a type without a row, kept as it came; `count` is the 5 bits of its header."""

    packet_type: int
    count: int
    body: bytes


RtcpPacket: TypeAlias = (
    SenderReport
    | ReceiverReport
    | SourceDescription
    | Goodbye
    | App
    | Nack
    | BitrateRequest
    | BitrateNotification
    | CongestionControlFeedback
    | TransportFeedback
    | PictureLossIndication
    | SliceLossIndication
    | ReferencePictureSelection
    | FullIntraRequest
    | Remb
    | ExtendedReport
    | UnknownFeedback
    | UnknownPacket
)


@attrs.frozen(slots=True)
class PacketRow:
    """What is known about one kind of packet.

    format     of a feedback message; None where the packet type says it all
    serialize  takes the class `kind`, returns (count or format, body)
    """

    packet_type: PacketType
    format: int | None
    kind: type
    name: str
    parse: Callable[[int, bytes], RtcpPacket]
    serialize: Callable[[Any], tuple[int, bytes]]
    section: str


_P, _R, _F = PacketType, reports, feedback
_T, _C, _X = transport_feedback, congestion_feedback, extended

TABLE = (
    PacketRow(_P.SR, None, SenderReport, "SR", _R.parse_sender_report, _R.serialize_sender_report, "RFC 3550 6.4.1"),
    PacketRow(
        _P.RR, None, ReceiverReport, "RR", _R.parse_receiver_report, _R.serialize_receiver_report, "RFC 3550 6.4.2"
    ),
    PacketRow(
        _P.SDES,
        None,
        SourceDescription,
        "SDES",
        _R.parse_source_description,
        _R.serialize_source_description,
        "RFC 3550 6.5",
    ),
    PacketRow(_P.BYE, None, Goodbye, "BYE", _R.parse_goodbye, _R.serialize_goodbye, "RFC 3550 6.6"),
    PacketRow(_P.APP, None, App, "APP", _R.parse_app, _R.serialize_app, "RFC 3550 6.7"),
    PacketRow(_P.RTPFB, 1, Nack, "NACK", _F.parse_nack, _F.serialize_nack, "RFC 4585 6.2.1"),
    PacketRow(_P.RTPFB, 3, BitrateRequest, "TMMBR", _F.parse_tmmbr, _F.serialize_tmmbr, "RFC 5104 4.2.1"),
    PacketRow(_P.RTPFB, 4, BitrateNotification, "TMMBN", _F.parse_tmmbn, _F.serialize_tmmbn, "RFC 5104 4.2.2"),
    PacketRow(
        _P.RTPFB,
        11,
        CongestionControlFeedback,
        "CCFB",
        _C.parse_congestion_feedback,
        _C.serialize_congestion_feedback,
        "RFC 8888 3.1",
    ),
    PacketRow(
        _P.RTPFB,
        15,
        TransportFeedback,
        "transport feedback",
        _T.parse_transport_feedback,
        _T.serialize_transport_feedback,
        "draft-holmer-rmcat-transport-wide-cc-extensions-01 3",
    ),
    PacketRow(_P.PSFB, 1, PictureLossIndication, "PLI", _F.parse_pli, _F.serialize_pli, "RFC 4585 6.3.1"),
    PacketRow(_P.PSFB, 2, SliceLossIndication, "SLI", _F.parse_sli, _F.serialize_sli, "RFC 4585 6.3.2"),
    PacketRow(_P.PSFB, 3, ReferencePictureSelection, "RPSI", _F.parse_rpsi, _F.serialize_rpsi, "RFC 4585 6.3.3"),
    PacketRow(_P.PSFB, 4, FullIntraRequest, "FIR", _F.parse_fir, _F.serialize_fir, "RFC 5104 4.3.1"),
    PacketRow(
        _P.PSFB,
        15,
        Remb,
        "REMB",
        _F.parse_application_feedback,
        _F.serialize_remb,
        "draft-alvestrand-rmcat-remb-03 2.2",
    ),
    PacketRow(_P.XR, None, ExtendedReport, "XR", _X.parse_extended_report, _X.serialize_extended_report, "RFC 3611 2"),
)

_PLAIN: Mapping[int, PacketRow] = {row.packet_type: row for row in TABLE if row.format is None}
_FEEDBACK: Mapping[tuple[int, int], PacketRow] = {
    (row.packet_type, row.format): row for row in TABLE if row.format is not None
}
_ROW_OF_CLASS: Mapping[type, PacketRow] = {row.kind: row for row in TABLE}


def parse_compound(data: bytes, *, allow_reduced_size: bool = False) -> list[RtcpPacket]:
    """Parse the RTCP packets that fill a datagram.

    allow_reduced_size  the first packet may be of any type (RFC 5506), not only SR or RR
    Errors   Truncated, Malformed, Unsupported (a version other than 2); one broken packet refuses all
    Source   RFC 3550 appendix A.2: version, type and padding of the first packet, lengths that add up
    """
    packets: list[RtcpPacket] = []
    size = len(data)
    offset = told = 0
    while True:
        if offset + HEADER_BYTES > size:
            raise Truncated(f"an RTCP header in {size - offset} bytes", field="header", offset=offset)
        first, packet_type, words = _HEADER.unpack_from(data, offset)
        start, end = offset + HEADER_BYTES, offset + HEADER_BYTES + 4 * words
        if first & 0xC0 != 0x80:
            raise Unsupported(f"RTCP version {first >> 6}", field="version", offset=offset)
        if not offset and packet_type not in (PacketType.SR, PacketType.RR) and not allow_reduced_size:
            raise Malformed(f"a compound that begins with {packet_type}", field="packet type", offset=1)
        if end > size:
            raise Truncated(f"a packet of {words} words leaves its datagram", field="length", offset=offset + 2)
        stop = end - _padding_bytes(data, start, end) if first & 0x20 else end
        packet = _parse_body(packet_type, first & 0x1F, data[start:stop])
        packets.append(packet)
        told += _told_count(packet)
        if end == size:
            return packets
        if len(packets) == PACKET_COUNT_MAX or told > TOLD_COUNT_MAX:
            raise Malformed(f"{len(packets)} packets that tell of {told} are enough", field="compound", offset=end)
        offset = end


def _padding_bytes(data: bytes, start: int, end: int) -> int:
    """The count in the last byte of a packet, checked: at least itself, and no more than the body.

    deviation: RFC 3550 section 6.4.1 allows padding in the last packet only, and whole words of it. Browsers pad
    transport-wide feedback with one to three bytes wherever it stands; so only a first report that others follow is
    held to the place, as appendix A.2 checks, and only what is not feedback to the words.
    """
    if start == HEADER_BYTES and end != len(data) and data[1] in (PacketType.SR, PacketType.RR):
        raise Malformed("padding in the first of several packets", field="padding", offset=0)
    packet_type = data[start - HEADER_BYTES + 1]
    count = data[end - 1] if end > start else 0
    if not count or count > end - start or (count & 3 and packet_type in _PLAIN):
        raise Malformed(f"{count} bytes of padding", field="padding", offset=end - 1)
    return count


def _parse_body(packet_type: int, count: int, body: bytes) -> RtcpPacket:
    row = _PLAIN.get(packet_type) or _FEEDBACK.get((packet_type, count))
    if row is not None:
        return row.parse(count, body)
    if packet_type in (PacketType.RTPFB, PacketType.PSFB):
        sender, media = feedback.parse_sources(body)
        return UnknownFeedback(packet_type, count, sender, media, body[feedback.SOURCES.size :])
    return UnknownPacket(packet_type, count, body)


def _told_count(packet: RtcpPacket) -> int:
    match packet:
        case TransportFeedback(deltas=deltas):
            return len(deltas)
        case Nack(lost=lost):
            return len(lost)
    return 0


def serialize_compound(packets: Sequence[RtcpPacket], *, padding_bytes: int = 0) -> bytes:
    """Serialize packets one behind the other; what a compound must begin with is the caller's to give.

    padding_bytes  0 to 252 in whole words, in the last packet
    Errors         InvalidArgument for a value that does not fit its field, or no packet
    """
    if not packets:
        raise InvalidArgument("a datagram has at least one RTCP packet")
    if padding_bytes & 3 or not 0 <= padding_bytes <= PADDING_BYTES_MAX:
        raise InvalidArgument(f"padding has whole words, at most {PADDING_BYTES_MAX} bytes, not {padding_bytes}")
    parts = [serialize_packet(packet) for packet in packets[:-1]]
    parts.append(serialize_packet(packets[-1], padding_bytes=padding_bytes))
    return b"".join(parts)


def serialize_packet(packet: RtcpPacket, *, padding_bytes: int = 0) -> bytes:
    """Serialize one packet. InvalidArgument for a value that does not fit its field."""
    try:
        packet_type, count, body = _serialize_body(packet)
    except struct.error as error:
        raise InvalidArgument(f"a field of {type(packet).__name__} is out of its range: {error}") from error
    if not 0 <= count <= reports.COUNT_MAX or not 0 <= packet_type <= 0xFF:
        raise InvalidArgument(f"a count or format has 5 bits, a packet type 8: {count}, {packet_type}")
    first = 0x80 | count
    padding_bytes += -len(body) & 3
    if padding_bytes:
        first |= 0x20
        body += bytes(padding_bytes - 1) + bytes([padding_bytes])
    if len(body) > PACKET_BYTES_MAX - HEADER_BYTES:
        raise InvalidArgument(f"a body of {len(body)} bytes does not fit an RTCP packet")
    return _HEADER.pack(first, packet_type, len(body) >> 2) + body


def _serialize_body(packet: RtcpPacket) -> tuple[int, int, bytes]:
    row = _ROW_OF_CLASS.get(type(packet))
    if row is not None:
        return row.packet_type, *row.serialize(packet)
    if isinstance(packet, UnknownFeedback):
        return packet.packet_type, *feedback.serialize_unknown_feedback(packet)
    if isinstance(packet, UnknownPacket):
        return packet.packet_type, packet.count, packet.body
    raise InvalidArgument(f"not an RTCP packet: {packet!r}")
