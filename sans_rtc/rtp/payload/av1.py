"""AV1 (RTP Payload Format For AV1, version 1.0, of the Alliance for Open Media): OBU elements behind one header byte.

     0 1 2 3 4 5 6 7
    +-+-+-+-+-+-+-+-+   Z  the first element goes on with the last one of the packet before
    |Z|Y| W |N|-|-|-|   Y  the last element goes on in the next packet
    +-+-+-+-+-+-+-+-+   W  number of elements, the last one has no length then; 0: all have one
                        N  a coded video sequence begins

    elements:  length (leb128), unit or piece of a unit, without obu_size ...

Temporal delimiters and tile lists are left out (section 5). Units of different layers do not share a packet.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from sans_rtc.errors import InvalidArgument, Malformed, Truncated, WireError
from sans_rtc.rtp.payload.av1_obu import (
    OBU_COUNT_MAX,
    Obu,
    ObuType,
    parse_leb128,
    parse_obu,
    parse_obus,
    serialize_leb128,
    serialize_obus,
)
from sans_rtc.rtp.payload.fmtp import (
    IntegerParameter,
    check_integers,
    parse_integers,
    parse_parameters,
    serialize_parameters,
)
from sans_rtc.rtp.payload.interface import require_budget, require_frame, require_payloads

_CONTINUES, _CONTINUED, _NEW_SEQUENCE = 0x80, 0x40, 0x08
_COUNTED_ELEMENTS_MAX = 3
_NOT_SENT = frozenset({ObuType.TEMPORAL_DELIMITER, ObuType.TILE_LIST})
_TEMPORAL_DELIMITER = b"\x12\x00"


@attrs.define(slots=True)
class Av1Payload:
    """A payload taken apart: elements in order, the flags Z, Y and N."""

    elements: list[bytes]
    continues: bool
    is_continued: bool
    starts_sequence: bool


def parse_av1_payload(payload: bytes) -> Av1Payload:
    """The elements of a payload. Errors: Truncated, Malformed."""
    if not payload:
        raise Truncated("an AV1 payload without its header", field="aggregation header", offset=0)
    first = payload[0]
    count = first >> 4 & 3
    if first & _NEW_SEQUENCE and first & _CONTINUES:
        raise Malformed("a sequence that begins in the middle of a unit", field="N", offset=0)
    elements: list[bytes] = []
    offset, end = 1, len(payload)
    while offset < end:
        if len(elements) + 1 == count:
            size = end - offset
        else:
            size, offset = parse_leb128(payload, offset)
        if not size:
            raise Malformed("an element without bytes", field="OBU element", offset=offset)
        if offset + size > end:
            raise Truncated(f"an element of {size} bytes", field="OBU element size", offset=offset)
        elements.append(payload[offset : offset + size])
        offset += size
        if len(elements) > OBU_COUNT_MAX:
            raise Malformed(f"more than {OBU_COUNT_MAX} elements", field="OBU element")
    if not elements or (count and len(elements) != count):
        raise Truncated(f"{len(elements)} elements of {count}", field="W", offset=0)
    return Av1Payload(elements, bool(first & _CONTINUES), bool(first & _CONTINUED), bool(first & _NEW_SEQUENCE))


def serialize_av1_payload(payload: Av1Payload) -> bytes:
    """The bytes of a payload: the last of up to three elements without its length."""
    elements = payload.elements
    if not elements or not all(elements):
        raise InvalidArgument("an AV1 payload has elements, and they have bytes")
    count = len(elements) if len(elements) <= _COUNTED_ELEMENTS_MAX else 0
    flags = payload.continues << 7 | payload.is_continued << 6 | count << 4 | payload.starts_sequence << 3
    parts = [bytes((flags,))]
    for index, element in enumerate(elements, 1):
        if index != count:
            parts.append(serialize_leb128(len(element)))
        parts.append(element)
    return b"".join(parts)


class Av1Packetizer:
    """Makes payloads of temporal units, or of the frame of one layer, given in the low overhead format."""

    def packetize(self, frame: bytes, *, payload_bytes_max: int) -> list[bytes]:
        """The payloads of one temporal unit."""
        require_frame(frame)
        # One byte of header, one of length where a fourth element comes, one of data.
        require_budget(payload_bytes_max, 3)
        try:
            obus = [obu for obu in parse_obus(frame) if obu.type not in _NOT_SENT]
        except WireError as error:
            raise InvalidArgument(f"not a temporal unit: {error}") from error
        if not obus:
            raise InvalidArgument("a temporal unit without anything to send")
        payloads = _fill(obus, payload_bytes_max)
        payloads[0].starts_sequence = _starts_sequence(obus)
        return [serialize_av1_payload(payload) for payload in payloads]


def _fill(obus: list[Obu], payload_bytes_max: int) -> list[Av1Payload]:
    """Elements in as few payloads as there must be: cut where a payload is full, or a new layer begins."""
    payloads: list[Av1Payload] = []
    room = 0  # for the next element with its length; each element counts as if it had one
    layer: int | None = None
    for obu in obus:
        data, start = obu.data, 0
        is_other_layer = layer is not None and obu.layer is not None and obu.layer != layer
        if is_other_layer:
            room = 0
        layer = obu.layer if is_other_layer or layer is None else layer
        while start < len(data):
            size = _element_room(room, len(data) - start)
            if not size:
                payloads.append(Av1Payload([], start > 0, False, False))
                if start:
                    payloads[-2].is_continued = True
                room = payload_bytes_max - 1
                layer = obu.layer
                # Alone in its payload, an element needs no length.
                size = min(room, len(data) - start)
            payloads[-1].elements.append(data[start : start + size])
            room -= size + len(serialize_leb128(size))
            start += size
    return payloads


def _element_room(room: int, wanted: int) -> int:
    """How many bytes of an element fit behind their length."""
    size = min(wanted, room - 1)
    while size > 0 and size + len(serialize_leb128(size)) > room:
        size -= 1
    return max(size, 0)


def _is_shown_keyframe_header(payload: bytes) -> bool:
    """uncompressed_header() of a full sequence: show_existing_frame 0 (1 bit), frame_type 0 (2 bits), show_frame."""
    return bool(payload) and payload[0] & 0xE0 == 0


def _starts_sequence(obus: Sequence[Obu]) -> bool:
    """Whether a sequence header comes with a keyframe: a decoder can begin here."""
    headers = [obu for obu in obus if obu.type == ObuType.SEQUENCE_HEADER]
    frames = [obu for obu in obus if obu.type in (ObuType.FRAME, ObuType.FRAME_HEADER)]
    if not headers or not frames or not headers[0].payload:
        return False
    is_reduced = bool(headers[0].payload[0] & 0x08)  # reduced_still_picture_header: keyframes and nothing else
    return is_reduced or _is_shown_keyframe_header(frames[0].payload)


class Av1Depacketizer:
    """Makes temporal units of payloads, in the low overhead format.

    adds_temporal_delimiter   begin each with a temporal delimiter, as files have it
    """

    def __init__(self, *, adds_temporal_delimiter: bool = False) -> None:
        self._prefix = _TEMPORAL_DELIMITER if adds_temporal_delimiter else b""

    def depacketize(self, payloads: Sequence[bytes]) -> bytes:
        """The temporal unit in these payloads. A unit that begins or ends short is Malformed."""
        require_payloads(payloads)
        obus: list[Obu] = []
        pieces: list[bytes] = []  # of the unit that goes on
        is_continued = False
        for data in payloads:
            payload = parse_av1_payload(data)
            if payload.continues != is_continued:
                raise Malformed("a unit is missing its beginning or its end", field="Z", offset=0)
            is_continued = payload.is_continued
            last = len(payload.elements) - 1
            for index, element in enumerate(payload.elements):
                pieces.append(element)
                if index < last or not is_continued:
                    obus.append(parse_obu(b"".join(pieces)))
                    pieces = []
            if len(obus) > OBU_COUNT_MAX:
                raise Malformed(f"more than {OBU_COUNT_MAX} units", field="OBU")
        if is_continued:
            raise Malformed("the end of a unit is missing", field="Y")
        obus = [obu for obu in obus if obu.type not in _NOT_SENT]
        if not obus:
            raise Malformed("a temporal unit of nothing but delimiters", field="OBU")
        return self._prefix + serialize_obus(obus)


def is_av1_keyframe(frame: bytes) -> bool:
    """Whether a temporal unit holds a sequence header and a keyframe."""
    try:
        return _starts_sequence(parse_obus(frame))
    except WireError:
        return False


def is_av1_keyframe_payload(payload: bytes) -> bool:
    """Whether a coded video sequence begins in this payload (N), or at least a sequence header."""
    try:
        parsed = parse_av1_payload(payload)
    except WireError:
        return False
    if parsed.starts_sequence:
        return True
    return not parsed.continues and parsed.elements[0][0] >> 3 & 15 == ObuType.SEQUENCE_HEADER


def is_av1_frame_start(payload: bytes) -> bool:
    """Whether the payload is marked as the first of a coded video sequence (N); other beginnings are not marked."""
    return bool(payload) and payload[0] & (_NEW_SEQUENCE | _CONTINUES) == _NEW_SEQUENCE


# Section 7.1: the range of seq_profile, seq_level_idx and seq_tier.
_ROWS = (
    IntegerParameter("profile", 0, 2, 0),
    IntegerParameter("level-idx", 0, 31, 5),
    IntegerParameter("tier", 0, 1, 0),
)


@attrs.frozen(slots=True)
class Av1Parameters:
    """What a receiver can decode: profile, level (5 is level 3.1) and tier, as a sequence header numbers them."""

    profile: int = 0
    level_idx: int = 5
    tier: int = 0

    def __attrs_post_init__(self) -> None:
        check_integers(self, _ROWS)

    @classmethod
    def parse(cls, text: str) -> Av1Parameters:
        """Take the format parameters; unknown ones are ignored. WireError for values that are none."""
        return cls(**parse_integers(parse_parameters(text), _ROWS))  # type: ignore[arg-type]  # see fmtp

    def __str__(self) -> str:
        # Browsers name all three even where they are the default.
        return serialize_parameters(
            {"level-idx": str(self.level_idx), "profile": str(self.profile), "tier": str(self.tier)}
        )


def negotiate_av1(ours: str, theirs: str) -> str | None:
    """Level and tier are each end's own; None for another profile.

    deviation: the specification lets the profiles differ as well (section 7.2.2), but browsers offer each profile as a
    format of its own and take an answer with another profile for another format.
    """
    own = Av1Parameters.parse(ours)
    return str(own) if own.profile == Av1Parameters.parse(theirs).profile else None
