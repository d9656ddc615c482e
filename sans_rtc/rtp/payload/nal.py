"""NAL units of H.264 and H.265 as byte streams: start codes (Annex B of both), or a length before each (avcC, hvcC).

Annex B          00 00 00 01 <unit> 00 00 01 <unit> ...
length-prefixed  00 00 00 2F <47 bytes> ...
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum

from sans_rtc.errors import InvalidArgument, LimitExceeded, Malformed, Truncated

START_CODE = b"\0\0\0\1"
# A picture has at most a few hundred slices; level 6.2 of H.264 has 1620 rows of macroblocks at the most.
NAL_UNIT_COUNT_MAX = 4096
# Parameter sets of an encoder are tens of bytes.
PARAMETER_SETS_BYTES_MAX = 16384
PARAMETER_SETS_COUNT_MAX = 32

_START = re.compile(b"\0\0\1")


class NalFormat(StrEnum):
    """How the units of a frame stand one after the other."""

    ANNEX_B = "annex-b"
    LENGTH_PREFIXED = "length-prefixed"


def split_annex_b(data: bytes) -> list[bytes]:
    """The units between start codes. Zero bytes behind a unit belong to none (Annex B, trailing_zero_8bits).

    Errors   Malformed: bytes before the first start code, no unit at all, too many
    """
    starts = [match.start() for match in _START.finditer(data)]
    if not starts or data[: starts[0]].strip(b"\0"):
        raise Malformed("no start code at the beginning", field="start code", offset=0)
    if len(starts) > NAL_UNIT_COUNT_MAX:
        raise Malformed(f"more than {NAL_UNIT_COUNT_MAX} NAL units", field="start code")
    ends = [*starts[1:], len(data)]
    units = [data[start + 3 : end].rstrip(b"\0") for start, end in zip(starts, ends, strict=True)]
    units = [unit for unit in units if unit]
    if not units:
        raise Malformed("no NAL unit", field="NAL unit")
    return units


def join_annex_b(units: Iterable[bytes]) -> bytes:
    """Units with a start code of four bytes before each."""
    return b"".join([part for unit in units for part in (START_CODE, unit)])


def split_length_prefixed(data: bytes, length_bytes: int = 4) -> list[bytes]:
    """The units behind lengths of 1, 2 or 4 bytes. Errors: Truncated, Malformed (an empty unit, too many)."""
    units: list[bytes] = []
    offset, end = 0, len(data)
    while offset < end:
        start = offset + length_bytes
        size = int.from_bytes(data[offset:start], "big")
        offset = start + size
        if offset > end:
            raise Truncated(f"a NAL unit of {size} bytes", field="NAL unit length", offset=start - length_bytes)
        if not size:
            raise Malformed("a NAL unit without bytes", field="NAL unit length", offset=start - length_bytes)
        units.append(data[start:offset])
        if len(units) > NAL_UNIT_COUNT_MAX:
            raise Malformed(f"more than {NAL_UNIT_COUNT_MAX} NAL units", field="NAL unit")
    if not units:
        raise Malformed("no NAL unit", field="NAL unit")
    return units


def join_length_prefixed(units: Iterable[bytes], length_bytes: int = 4) -> bytes:
    """Units with a length before each; InvalidArgument where a unit is too long for its length field."""
    parts: list[bytes] = []
    for unit in units:
        if len(unit) >> 8 * length_bytes:
            raise InvalidArgument(f"a NAL unit of {len(unit)} bytes with a length of {length_bytes} bytes")
        parts += (len(unit).to_bytes(length_bytes, "big"), unit)
    return b"".join(parts)


def split_nal_units(data: bytes, nal_format: NalFormat) -> list[bytes]:
    """The units of a frame in this format (lengths of four bytes)."""
    return split_annex_b(data) if nal_format is NalFormat.ANNEX_B else split_length_prefixed(data)


def join_nal_units(units: Iterable[bytes], nal_format: NalFormat) -> bytes:
    """A frame in this format (lengths of four bytes)."""
    return join_annex_b(units) if nal_format is NalFormat.ANNEX_B else join_length_prefixed(units)


def without_emulation_prevention(unit: bytes) -> bytes:
    """A unit without the bytes that keep start codes out of it: 00 00 03 becomes 00 00 (H.264 section 7.4.1)."""
    return unit.replace(b"\0\0\3", b"\0\0")


def aggregate(
    units: Sequence[bytes], *, room: int, is_alone: Callable[[bytes], bool], header_bytes: int
) -> list[list[bytes]]:
    """Group neighbouring units whose aggregation packet stays within `room` bytes; units alone in their group are sent
    as they are. A unit of which is_alone holds is never in company.
    """
    groups: list[list[bytes]] = []
    size = room + 1
    for unit in units:
        alone = is_alone(unit)
        size += 2 + len(unit)
        if alone or size > room:
            groups.append([])
            size = header_bytes + 2 + len(unit)
        groups[-1].append(unit)
        if alone:
            size = room + 1
    return groups


class ParameterSets:
    """Transform: remembers the last parameter sets, and adds them to a keyframe that has none."""

    def __init__(self, is_parameter_set: Callable[[bytes], bool], is_keyframe_unit: Callable[[bytes], bool]) -> None:
        self._is_parameter_set = is_parameter_set
        self._is_keyframe_unit = is_keyframe_unit
        self.units: list[bytes] = []

    def replace(self, units: Sequence[bytes]) -> None:
        """Take these from now on. InvalidArgument: not parameter sets; LimitExceeded: too many."""
        if not all(unit and self._is_parameter_set(unit) for unit in units):
            raise InvalidArgument("not a parameter set")
        if len(units) > PARAMETER_SETS_COUNT_MAX or sum(map(len, units)) > PARAMETER_SETS_BYTES_MAX:
            raise LimitExceeded(
                f"{PARAMETER_SETS_COUNT_MAX} parameter sets, {PARAMETER_SETS_BYTES_MAX} bytes are the most"
            )
        self.units = list(units)

    def complete(self, units: list[bytes]) -> list[bytes]:
        """The units of a frame, behind the remembered parameter sets where it is a keyframe without any."""
        own = [unit for unit in units if self._is_parameter_set(unit)]
        if own:
            if len(own) <= PARAMETER_SETS_COUNT_MAX and sum(map(len, own)) <= PARAMETER_SETS_BYTES_MAX:
                self.units = own
            return units
        if not any(map(self._is_keyframe_unit, units)):
            return units
        return [*self.units, *units]
