"""H.265 (RFC 7798): single NAL unit packets, aggregation packets and fragmentation units.

    header   |F|  Type (6)  | LayerId (6) |TID (3)|        of every unit, and of every payload
    single   header, rest of the unit ...                                                    section 4.4.1
    AP       header with type 48, size (16), unit, size (16), unit ...                       section 4.4.2
    FU       header with type 49, |S|E| Type (6) |, piece of the unit without its header     section 4.4.3

The DONL and DOND fields are there only with sprop-max-don-diff above zero, which is not negotiated; PACI packets
(type 50) are Unsupported.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import attrs

from sans_rtc.errors import InvalidArgument, WireError
from sans_rtc.rtp.payload.fmtp import (
    IntegerParameter,
    check_integers,
    parse_integers,
    parse_parameters,
    serialize_integers,
    serialize_parameters,
)
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


class H265NalType(IntEnum):
    """nal_unit_type (H.265 table 7-1) and the packet types of RFC 7798, as far as they are told apart here."""

    IDR_W_RADL = 19
    IDR_N_LP = 20
    CRA = 21
    VPS = 32
    SPS = 33
    PPS = 34
    ACCESS_UNIT_DELIMITER = 35
    PREFIX_SEI = 39
    AP = 48
    FU = 49
    PACI = 50


_AP, _FU = 48, 49
_VPS, _SPS, _PPS, _DELIMITER = 32, 33, 34, 35
# H.265 table 7-1: intra random access points, 16 to 23 (22 and 23 reserved).
_IRAP = range(16, 24)


def nal_type(unit: bytes) -> int:
    """The type of a unit or payload."""
    return unit[0] >> 1 & 0x3F


def _is_parameter_set(unit: bytes) -> bool:
    return _VPS <= nal_type(unit) <= _PPS


def _is_irap(unit: bytes) -> bool:
    return nal_type(unit) in _IRAP


def h265_parameter_sets() -> ParameterSets:
    """A memory for VPS, SPS and PPS."""
    return ParameterSets(_is_parameter_set, _is_irap)


class H265Packetizer:
    """Makes payloads of access units.

    nal_format              of the frames given
    repeats_parameter_sets  adds the last VPS, SPS and PPS to an IRAP picture without any
    """

    def __init__(self, *, nal_format: NalFormat = NalFormat.ANNEX_B, repeats_parameter_sets: bool = False) -> None:
        self._nal_format = nal_format
        self.parameter_sets = h265_parameter_sets() if repeats_parameter_sets else None

    def packetize(self, frame: bytes, *, payload_bytes_max: int) -> list[bytes]:
        """The payloads of one access unit."""
        require_budget(payload_bytes_max, 4)
        try:
            units = split_nal_units(frame, self._nal_format)
        except WireError as error:
            raise InvalidArgument(f"not an access unit: {error}") from error
        return self.packetize_units(units, payload_bytes_max=payload_bytes_max)

    def packetize_units(self, units: list[bytes], *, payload_bytes_max: int) -> list[bytes]:
        """The payloads of the NAL units of one access unit."""
        require_budget(payload_bytes_max, 4)
        if any(len(unit) < 2 or nal_type(unit) >= _AP for unit in units):
            raise InvalidArgument("a NAL unit has two bytes at least and a type of 0 to 47")
        if self.parameter_sets is not None:
            units = self.parameter_sets.complete(units)
        payloads: list[bytes] = []
        room = min(payload_bytes_max, 0xFFFF)
        for group in aggregate(units, room=room, is_alone=lambda unit: len(unit) + 4 > room, header_bytes=2):
            if len(group) > 1:
                payloads.append(_aggregation_packet(group))
            elif len(group[0]) <= payload_bytes_max:
                payloads.append(group[0])
            else:
                payloads += _fragments(group[0], payload_bytes_max)
        return payloads


def _aggregation_packet(units: list[bytes]) -> bytes:
    # Section 4.4.2: F if it is set in any unit, LayerId and TID the lowest of all.
    headers = [int.from_bytes(unit[:2], "big") for unit in units]
    forbidden = max(header & 0x8000 for header in headers)
    layer = min(header >> 3 & 0x3F for header in headers)
    temporal = min(header & 7 for header in headers)
    parts = [(forbidden | _AP << 9 | layer << 3 | temporal).to_bytes(2, "big")]
    for unit in units:
        parts += (len(unit).to_bytes(2, "big"), unit)
    return b"".join(parts)


def _fragments(unit: bytes, payload_bytes_max: int) -> list[bytes]:
    header, kind = bytes((unit[0] & 0x81 | _FU << 1, unit[1])), nal_type(unit)
    pieces = cut(unit[2:], payload_bytes_max - 3)
    last = len(pieces) - 1
    # A unit over the budget has two pieces at least: "A non-fragmented NAL unit MUST NOT be transmitted in one FU".
    return [
        b"".join((header, bytes((kind | fragment_flags(number, last),)), piece)) for number, piece in enumerate(pieces)
    ]


class H265Depacketizer:
    """Makes access units of payloads.

    nal_format              of the frames given out
    repeats_parameter_sets  adds remembered VPS, SPS and PPS to an IRAP picture without any
    """

    def __init__(self, *, nal_format: NalFormat = NalFormat.ANNEX_B, repeats_parameter_sets: bool = False) -> None:
        self._nal_format = nal_format
        self.parameter_sets = h265_parameter_sets() if repeats_parameter_sets else None

    def depacketize(self, payloads: Sequence[bytes]) -> bytes:
        """The access unit in these payloads."""
        units = depacketize_h265(payloads)
        if self.parameter_sets is not None:
            units = self.parameter_sets.complete(units)
        return join_nal_units(units, self._nal_format)


_LAYOUT = PacketLayout(
    header_bytes=2,
    header_field="PayloadHdr",
    size_field="NALU size",
    unit_types=range(_AP),
    aggregation=_AP,
    fragment=_FU,
    type_of=nal_type,
    fragment_mask=0x3F,
    unit_header=lambda payload, kind: bytes((payload[0] & 0x81 | kind << 1, payload[1])),
)


def depacketize_h265(payloads: Sequence[bytes]) -> list[bytes]:
    """The NAL units in the payloads of one access unit. Errors: Truncated, Malformed, Unsupported."""
    return _LAYOUT.depacketize(payloads)


def is_h265_keyframe(frame: bytes) -> bool:
    """Whether an access unit in Annex B holds a slice of an intra random access point: IDR, CRA or BLA."""
    try:
        return any(map(_is_irap, split_annex_b(frame)))
    except WireError:
        return False


def _payload_nal_types(payload: bytes) -> list[int]:
    """The types of the units that begin in this payload; none if it is malformed."""
    if len(payload) < 3:
        return []
    kind = nal_type(payload)
    if kind == _FU:
        return [payload[2] & 0x3F] if payload[2] & START else []
    if kind == _AP:
        try:
            return [nal_type(unit) for unit in _LAYOUT.split_aggregation(payload)]
        except WireError:
            return []
    return [kind]


def is_h265_keyframe_payload(payload: bytes) -> bool:
    """Whether a slice of an IRAP picture, or the VPS or SPS before it, begins in this payload."""
    return any(kind in _IRAP or kind in (_VPS, _SPS) for kind in _payload_nal_types(payload))


def is_h265_frame_start(payload: bytes) -> bool:
    """Whether the payload begins with an access unit delimiter or a VPS, which only stand at the beginning."""
    return _payload_nal_types(payload)[:1] in ([_DELIMITER], [_VPS])


_ROWS = (
    IntegerParameter("profile-space", 0, 3, 0),
    IntegerParameter("profile-id", 0, 31, 1),
    IntegerParameter("tier-flag", 0, 1, 0),
    IntegerParameter("level-id", 0, 255, 93),
    IntegerParameter("sprop-max-don-diff", 0, 32767, 0),
)
_SINGLE_STREAM = "SRST"


@attrs.frozen(slots=True)
class H265Parameters:
    """Profile, tier and level (RFC 7798 section 7.1); level-id is thirty times the level: 93 is level 3.1."""

    profile_space: int = 0
    profile_id: int = 1
    tier_flag: int = 0
    level_id: int = 93
    sprop_max_don_diff: int = 0
    tx_mode: str = _SINGLE_STREAM

    def __attrs_post_init__(self) -> None:
        check_integers(self, _ROWS)

    @classmethod
    def parse(cls, text: str) -> H265Parameters:
        """Take the format parameters; unknown ones are ignored. WireError for values that are none."""
        parameters = parse_parameters(text)
        mode = parameters.get("tx-mode", _SINGLE_STREAM)
        return cls(tx_mode=mode, **parse_integers(parameters, _ROWS))  # type: ignore[arg-type]  # see fmtp

    def __str__(self) -> str:
        # Browsers name these four even where they are the default.
        return serialize_parameters(
            {
                "level-id": str(self.level_id),
                "profile-id": str(self.profile_id),
                "tier-flag": str(self.tier_flag),
                "tx-mode": self.tx_mode,
            }
            | serialize_integers(self, _ROWS)
        )


def negotiate_h265(ours: str, theirs: str) -> str | None:
    """The answer to an offer: the profile and tier are kept, the level is the lower of both (RFC 7798 section 7.2.2).

    None for another profile or tier, several streams (tx-mode), or decoding order numbers.
    """
    own, offer = H265Parameters.parse(ours), H265Parameters.parse(theirs)
    if (own.profile_space, own.profile_id, own.tier_flag) != (offer.profile_space, offer.profile_id, offer.tier_flag):
        return None
    if offer.tx_mode.upper() != _SINGLE_STREAM or offer.sprop_max_don_diff:
        return None
    return str(attrs.evolve(own, level_id=min(own.level_id, offer.level_id)))
