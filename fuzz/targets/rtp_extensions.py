"""The values of RTP header extensions, the dependency descriptor among them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from fuzz.codec import check_codec, refuse
from sans_rtc.rtp.dependency_descriptor import (
    DependencyDescriptor,
    parse_dependency_descriptor,
    serialize_dependency_descriptor,
)
from sans_rtc.rtp.extensions import TABLE, parse_extension, serialize_extension


def run(data: bytes) -> None:
    """The first byte is the row of the table, the rest the value; beyond the table, a dependency descriptor."""
    if not data:
        return
    row = data[0] % (len(TABLE) + 1)
    if row == len(TABLE):
        check_descriptor(data[1:])
    else:
        uri = TABLE[row].uri
        check_codec(partial(parse_extension, uri), partial(serialize_extension, uri), data[1:])


def check_descriptor(data: bytes) -> None:
    """A descriptor that brings its structure can be written again; a second one may refer to the structure."""
    first = refuse(parse_dependency_descriptor, data)
    if first is None or first.structure is None:
        return
    written = serialize_dependency_descriptor(first)
    again: DependencyDescriptor = parse_dependency_descriptor(written)
    assert serialize_dependency_descriptor(again, first.structure) == written
    refuse(parse_dependency_descriptor, data[:3], first.structure)


def seeds() -> Iterator[bytes]:
    """Values of all the sizes that a row takes."""
    for index, row in enumerate(TABLE):
        for size in {row.size_min, min(row.size_max, 28), (row.size_min + min(row.size_max, 28)) // 2}:
            yield bytes((index,)) + b"a" * size
            yield bytes((index,)) + bytes(size)
    yield bytes((len(TABLE),)) + bytes.fromhex("800001 80 00 00 d0 00 8a 50 00 00 00 00")
    yield bytes((len(TABLE),)) + bytes.fromhex("c0000080021484eaa860414d141020842701df010d")
