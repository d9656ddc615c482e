"""SCTP packets, their chunks, and the parameters of those. The checksum is put right before."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.codec import check_codec, refuse
from sans_rtc.sctp.chunks import CHUNKS, Chunk, parse_chunk, serialize
from sans_rtc.sctp.params import CauseCode, Parameter, describe_cause, parse_reconfig, serialize_reconfig, text_cause
from sans_rtc.sctp.wire import Packet, parse_packet, serialize_packet, split_chunks, split_data
from tests.property.scenes.forgeries import reseal_sctp


def run(data: bytes) -> None:
    """The bytes are a packet."""
    packet = reseal_sctp(data)
    parsed = refuse(parse_packet, packet)
    split_data(packet[12:])
    if parsed is None:
        return
    check_codec(parse_packet, serialize_packet, packet)
    for raw in parsed.chunks:
        chunk = refuse(parse_chunk, raw)
        if chunk is not None:
            _check_chunk(chunk)


def _check_chunk(chunk: Chunk) -> None:
    written = serialize(chunk)
    chunks, is_whole = split_chunks(written, 0)
    assert is_whole and len(chunks) == 1, "a chunk that was written is not one chunk"
    again = parse_chunk(chunks[0])
    assert serialize(again) == written
    for cause in getattr(chunk, "causes", ()):
        describe_cause(cause)
    for parameter in getattr(chunk, "parameters", ()):
        _check_reconfig(parameter)


def _check_reconfig(parameter: Parameter) -> None:
    item = refuse(parse_reconfig, parameter)
    if item is not None:
        assert parse_reconfig(serialize_reconfig(item)) == item


def seeds() -> Iterator[bytes]:
    """A packet of each chunk type with contents that fit none badly, and some that fit."""
    for code in CHUNKS:
        for value in (b"", bytes(4), bytes(range(16)), bytes(20), b"\x00\x0d\x00\x12" + bytes(14)):
            yield serialize_packet(Packet(5000, 5000, 7, [(int(code), 3, value)]))
    cause = text_cause(CauseCode.USER_INITIATED_ABORT, "enough")
    value = cause.type.to_bytes(2, "big") + (4 + len(cause.value)).to_bytes(2, "big") + cause.value
    yield serialize_packet(Packet(5000, 5000, 7, [(6, 0, value), (9, 0, value)]))
