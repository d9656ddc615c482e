"""RTCP packets derived by hand from the figures: read as they say, and written back to the byte."""

import attrs
import pytest

from sans_rtc.rtcp import parse_compound, serialize_compound


def plain(value):
    """A value as JSON writes it: bytes in hex, tuples and the classes inside a packet as lists."""
    if isinstance(value, bytes):
        return value.hex()
    if attrs.has(type(value)):
        return [plain(getattr(value, field.name)) for field in attrs.fields(type(value))]
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


def data_of(vector):
    return bytes.fromhex("".join(vector["bytes"]).replace(" ", ""))


@pytest.mark.proves("RFC4585-6.1-1-70e6")
def test_packet_is_read_as_the_figure_says(vector):
    [packet] = parse_compound(data_of(vector), allow_reduced_size=True)
    names = [field.name for field in attrs.fields(type(packet))]
    assert type(packet).__name__ == vector["class"]
    assert {name: plain(getattr(packet, name)) for name in names} == vector["packet"]


@pytest.mark.proves("RFC4585-6.1-1-70e6")
def test_packet_is_written_as_it_was_read(vector):
    data = data_of(vector)
    assert serialize_compound(parse_compound(data, allow_reduced_size=True)) == data
