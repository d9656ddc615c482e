"""Packets and extensions derived by hand from the figures: read as they say, and written back."""

import attrs
import pytest

from sans_rtc.rtp import Extension, parse_extension, parse_rtp, serialize_extension, serialize_rtp


def plain(value):
    if isinstance(value, bytes):
        return value.hex()
    if attrs.has(type(value)):
        return {field.name: plain(getattr(value, field.name)) for field in attrs.fields(type(value))}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


@pytest.mark.proves("RTP-USAGE-5.2-1-0e63")
def test_packet_is_read_as_the_figure_says(packet_vector):
    data = bytes.fromhex("".join(packet_vector["bytes"]))
    assert plain(parse_rtp(data)) == packet_vector["packet"]


def test_packet_that_was_read_is_read_the_same_after_writing(packet_vector):
    packet = parse_rtp(bytes.fromhex("".join(packet_vector["bytes"])))
    assert parse_rtp(serialize_rtp(packet)) == packet


def test_extension_is_read_as_its_layout_says(extension_vector):
    value = parse_extension(Extension[extension_vector["extension"]], bytes.fromhex(extension_vector["bytes"]))
    assert plain(value) == extension_vector["value"]


def test_extension_is_written_as_it_was_read(extension_vector):
    uri, data = Extension[extension_vector["extension"]], bytes.fromhex(extension_vector["bytes"])
    assert serialize_extension(uri, parse_extension(uri, data)) == data
