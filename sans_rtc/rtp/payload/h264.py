"""H.264 (RFC 6184): single NAL unit packets, STAP-A and FU-A; packetization modes 0 and 1.

    single   |F|NRI|Type 1-23| rest of the unit ...
    STAP-A   |F|NRI|   24    | size (16) | unit | size (16) | unit ...                   section 5.7.1
    FU-A     |F|NRI|   28    | |S|E|R|  Type  | piece of the unit without its header     section 5.8

The interleaved mode 2 (STAP-B, MTAP, FU-B) is Unsupported: no WebRTC endpoint has it. A unit that a packet left out is
not seen in the packets around it: sequence numbers tell (`FrameAssembler`). A fragment left out at the beginning or
the end of a unit is seen here.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from sans_rtc.errors import InvalidArgument, WireError
from sans_rtc.rtp.payload.interface import cut, require_budget
from sans_rtc.rtp.payload.nal import (
    NalFormat,
    ParameterSets,
    aggregate,
    join_nal_units,
    split_annex_b,
    split_nal_units,
)
from sans_rtc.rtp.payload.nal_packets import START, PacketLayout, fragment_flags


class H264NalType(IntEnum):
    """nal_unit_type (H.264 table 7-1) and the packet types of RFC 6184 table 1, as far as they are told apart here."""

    SLICE = 1
    IDR = 5
    SEI = 6
    SPS = 7
    PPS = 8
    ACCESS_UNIT_DELIMITER = 9
    STAP_A = 24
    FU_A = 28


_STAP_A, _FU_A = 24, 28
_IDR, _SPS, _PPS, _DELIMITER = 5, 7, 8, 9


def nal_type(unit: bytes) -> int:
    """nal_unit_type of a unit or payload: the low five bits of its first byte."""
    return unit[0] & 0x1F


def _is_parameter_set(unit: bytes) -> bool:
    return nal_type(unit) in (_SPS, _PPS)


def _is_idr(unit: bytes) -> bool:
    return nal_type(unit) == _IDR


def h264_parameter_sets() -> ParameterSets:
    """A memory for SPS and PPS."""
    return ParameterSets(_is_parameter_set, _is_idr)


class H264Packetizer:
    """Makes payloads of access units.

    packetization_mode      0: one unit a packet, each within the budget; 1: STAP-A and FU-A as well
    nal_format              of the frames given
    repeats_parameter_sets  adds the last SPS and PPS to an IDR picture without any, for receivers that join late
    """

    def __init__(
        self,
        packetization_mode: int = 1,
        *,
        nal_format: NalFormat = NalFormat.ANNEX_B,
        repeats_parameter_sets: bool = False,
    ) -> None:
        if packetization_mode not in (0, 1):
            raise InvalidArgument(f"packetization-mode is 0 or 1, not {packetization_mode}")
        self._mode = packetization_mode
        self._nal_format = nal_format
        self.parameter_sets = h264_parameter_sets() if repeats_parameter_sets else None

    def packetize(self, frame: bytes, *, payload_bytes_max: int) -> list[bytes]:
        """The payloads of one access unit."""
        require_budget(payload_bytes_max, 3)
        try:
            units = split_nal_units(frame, self._nal_format)
        except WireError as error:
            raise InvalidArgument(f"not an access unit: {error}") from error
        return self.packetize_units(units, payload_bytes_max=payload_bytes_max)

    def packetize_units(self, units: list[bytes], *, payload_bytes_max: int) -> list[bytes]:
        """The payloads of the NAL units of one access unit."""
        require_budget(payload_bytes_max, 3)
        for unit in units:
            if not unit or not 1 <= nal_type(unit) <= 23:
                raise InvalidArgument("a NAL unit is of type 1 to 23")
            if self._mode == 0 and len(unit) > payload_bytes_max:
                raise InvalidArgument(f"a NAL unit of {len(unit)} bytes, mode 0 takes {payload_bytes_max}")
        if self.parameter_sets is not None:
            units = self.parameter_sets.complete(units)
        if self._mode == 0:
            return list(units)
        payloads: list[bytes] = []
        room = min(payload_bytes_max, 0xFFFF)
        for group in aggregate(units, room=room, is_alone=lambda unit: len(unit) + 3 > room, header_bytes=1):
            if len(group) > 1:
                payloads.append(_stap_a(group))
            elif len(group[0]) <= payload_bytes_max:
                payloads.append(group[0])
            else:
                payloads += _fragments(group[0], payload_bytes_max)
        return payloads


def _stap_a(units: list[bytes]) -> bytes:
    # Section 5.7: F is set if it is set in any unit, NRI is the greatest.
    forbidden = max(unit[0] & 0x80 for unit in units)
    importance = max(unit[0] & 0x60 for unit in units)
    parts = [bytes((forbidden | importance | _STAP_A,))]
    for unit in units:
        parts += (len(unit).to_bytes(2, "big"), unit)
    return b"".join(parts)


def _fragments(unit: bytes, payload_bytes_max: int) -> list[bytes]:
    indicator, kind = unit[0] & 0xE0 | _FU_A, unit[0] & 0x1F
    pieces = cut(unit[1:], payload_bytes_max - 2)
    last = len(pieces) - 1
    # Section 5.8: "The Start bit and End bit MUST NOT both be set": a unit over the budget has two pieces at least.
    return [bytes((indicator, kind | fragment_flags(number, last))) + piece for number, piece in enumerate(pieces)]


class H264Depacketizer:
    """Makes access units of payloads.

    nal_format              of the frames given out
    repeats_parameter_sets  adds remembered SPS and PPS to an IDR picture without any; `parameter_sets.replace` takes
                            those of sprop-parameter-sets
    """

    def __init__(self, *, nal_format: NalFormat = NalFormat.ANNEX_B, repeats_parameter_sets: bool = False) -> None:
        self._nal_format = nal_format
        self.parameter_sets = h264_parameter_sets() if repeats_parameter_sets else None

    def depacketize(self, payloads: Sequence[bytes]) -> bytes:
        """The access unit in these payloads."""
        units = depacketize_h264(payloads)
        if self.parameter_sets is not None:
            units = self.parameter_sets.complete(units)
        return join_nal_units(units, self._nal_format)


_LAYOUT = PacketLayout(
    header_bytes=1,
    header_field="NAL unit type",
    size_field="NAL unit size",
    unit_types=range(1, 24),
    aggregation=_STAP_A,
    fragment=_FU_A,
    type_of=nal_type,
    fragment_mask=0x1F,
    unit_header=lambda payload, kind: bytes((payload[0] & 0xE0 | kind,)),
    # Section 5.4, table 3: reserved; units of these types "MUST be ignored by a receiver".
    ignored_types=frozenset((0, 30, 31)),
)


def depacketize_h264(payloads: Sequence[bytes]) -> list[bytes]:
    """The NAL units in the payloads of one access unit. Errors: Truncated, Malformed, Unsupported."""
    return _LAYOUT.depacketize(payloads)


def is_h264_keyframe(frame: bytes) -> bool:
    """Whether an access unit in Annex B holds a slice of an IDR picture."""
    try:
        return any(map(_is_idr, split_annex_b(frame)))
    except WireError:
        return False


def _payload_nal_types(payload: bytes) -> list[int]:
    """The types of the units that begin in this payload; none if it is malformed."""
    if not payload:
        return []
    kind = nal_type(payload)
    if kind == _FU_A:
        return [payload[1] & 0x1F] if len(payload) > 1 and payload[1] & START else []
    if kind == _STAP_A:
        try:
            return [nal_type(unit) for unit in _LAYOUT.split_aggregation(payload)]
        except WireError:
            return []
    return [kind]


def is_h264_keyframe_payload(payload: bytes) -> bool:
    """Whether an IDR slice or the SPS before it begins in this payload."""
    return any(kind in (_IDR, _SPS) for kind in _payload_nal_types(payload))


def is_h264_frame_start(payload: bytes) -> bool:
    """Whether the payload begins with an access unit delimiter or an SPS, which only stand at the beginning."""
    return _payload_nal_types(payload)[:1] in ([_DELIMITER], [_SPS])
