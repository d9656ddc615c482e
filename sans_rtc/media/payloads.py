"""What a payload type of one m= section stands for when it is received."""

from __future__ import annotations

from enum import Enum, auto

import attrs

from sans_rtc.media.parameters import CodecParameters, ReceiveParameters
from sans_rtc.rtp.payload.interface import Depacketizer, Purpose


class Role(Enum):
    """What is done with a packet."""

    MEDIA = auto()
    REDUNDANCY = auto()  # RED of audio
    RTX = auto()
    RED = auto()  # RED of video, around media and ULPFEC
    ULPFEC = auto()
    FLEXFEC = auto()


@attrs.define(slots=True, eq=False)
class PayloadRow:
    """A payload type: its role, its codec where it is one, and for RTX the payload type that it stands for."""

    role: Role
    codec: CodecParameters | None = None
    original: int = -1


_FEC_ROLES = {"red": Role.RED, "ulpfec": Role.ULPFEC, "flexfec-03": Role.FLEXFEC, "flexfec": Role.FLEXFEC}


def payload_rows(parameters: ReceiveParameters) -> dict[int, PayloadRow]:
    """The rows of a section."""
    rows: dict[int, PayloadRow] = {}
    for codec in parameters.codecs:
        is_redundancy = codec.codec.purpose is Purpose.REDUNDANCY
        rows[codec.payload_type] = PayloadRow(Role.REDUNDANCY if is_redundancy else Role.MEDIA, codec)
        if codec.rtx_payload_type is not None:
            rows[codec.rtx_payload_type] = PayloadRow(Role.RTX, None, codec.payload_type)
    for fec in parameters.fec:
        role = _FEC_ROLES.get(fec.name.lower())
        if role is not None:
            rows[fec.payload_type] = PayloadRow(role)
    return rows


class Depacketizers:
    """The depacketizers of one stream, made when they are needed."""

    __slots__ = ("_made",)

    def __init__(self) -> None:
        self._made: dict[int, tuple[CodecParameters, Depacketizer]] = {}

    def of(self, codec: CodecParameters) -> Depacketizer | None:
        """The depacketizer of a codec; None where it has none."""
        known = self._made.get(codec.payload_type)
        if known is not None and (known[0] is codec or known[0] == codec):
            return known[1]
        if codec.codec.new_depacketizer is None:
            return None
        made = codec.codec.new_depacketizer(codec.parameters)
        self._made[codec.payload_type] = (codec, made)
        return made
