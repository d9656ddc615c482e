"""CRC32c of RFC 3720, and packets of browsers: read as tshark reads them, and written back to the byte."""

import json
from pathlib import Path

import pytest

from sans_rtc.datachannel.wire import AckMessage, OpenMessage, parse_dcep, serialize_dcep
from sans_rtc.sctp.chunks import CHUNKS, Data, Init, Sack, parse_chunk, serialize
from sans_rtc.sctp.wire import (
    CHECKSUM,
    crc32c_extend,
    is_checksum_valid,
    parse_packet,
    serialize_packet,
    split_chunks,
)
from sans_rtc.trace.decode_sctp import decode_sctp

VECTORS = Path(__file__).parents[2] / "rfc-vectors" / "sctp"
CHECKSUMS = json.loads((VECTORS / "rfc3720.json").read_text())["vectors"]
PACKETS = json.loads((VECTORS / "packets.json").read_text())["packets"]
WITH_OPEN = [vector for vector in PACKETS if vector.get("dcep", {}).get("label")]


@pytest.fixture(params=PACKETS, ids=lambda vector: f"{vector['session']}, packet {vector['number']}")
def vector(request):
    return {**request.param, "data": bytes.fromhex(request.param["data"])}


@pytest.mark.parametrize("row", CHECKSUMS, ids=lambda row: row["name"])
@pytest.mark.parametrize("split", [0, 8, 31])
def test_checksum_is_the_known_one_wherever_it_goes_on(row, split):
    data = bytes.fromhex(row["data"])
    assert CHECKSUM.pack(crc32c_extend(crc32c_extend(0, data[:split]), data[split:])).hex() == row["crc"]


def test_packet_of_a_browser_is_taken_apart(vector):
    packet = parse_packet(vector["data"])
    assert is_checksum_valid(vector["data"]) and packet.is_whole
    assert (packet.source_port, packet.destination_port, packet.verification_tag) == (5000, 5000, vector["tag"])
    assert [chunk[0] for chunk in packet.chunks] == vector["chunks"]
    assert serialize_packet(packet) == vector["data"]


def test_any_changed_bit_makes_the_checksum_wrong(vector):
    data = vector["data"]
    for index in range(0, len(data), max(1, len(data) // 40)):
        damaged = bytearray(data)
        damaged[index] ^= 1 << index % 8
        assert not is_checksum_valid(bytes(damaged)), index


def test_chunks_of_a_browser_are_read_and_written_back(vector):
    for raw in parse_packet(vector["data"]).chunks:
        if raw[0] not in CHUNKS:
            continue  # I-DATA, which is not offered, only decoded: see below
        chunk = parse_chunk(raw)
        assert split_chunks(serialize(chunk), 0) == ([raw], True)
        if isinstance(chunk, Init):
            found = {"initiate_tag": chunk.initiate_tag, "window_bytes": chunk.window_bytes}
            assert {**found, "initial_tsn": chunk.initial_tsn} == vector["init"]
            assert chunk.streams_outbound == chunk.streams_inbound == 65535
        if isinstance(chunk, Sack):
            assert chunk.cumulative_tsn == vector["acknowledged_tsn"]
        if isinstance(chunk, Data):
            found = {"tsn": chunk.tsn, "stream_id": chunk.stream_id, "ppid": chunk.ppid}
            assert found == vector["message"]


def test_dcep_of_a_browser_is_decoded(vector):
    messages = [(name, fields) for layer, name, _, fields in decode_sctp(vector["data"]) if layer == "dcep"]
    if "dcep" not in vector:
        assert messages == []
    elif vector["dcep"]["label"] is None:
        assert [name for name, _ in messages] == ["DATA_CHANNEL_ACK"]
    else:
        assert [(name, fields["label"]) for name, fields in messages] == [
            ("DATA_CHANNEL_OPEN", vector["dcep"]["label"])
        ]


@pytest.mark.parametrize("vector", WITH_OPEN, ids=lambda vector: vector["peer"])
def test_open_of_a_browser_is_made_again_to_the_byte(vector):
    raw = next(chunk for chunk in parse_packet(bytes.fromhex(vector["data"])).chunks if chunk[0] in (0, 64))
    payload = raw[2][12 if raw[0] == 0 else 16 :]
    message = parse_dcep(payload)
    assert isinstance(message, OpenMessage)
    assert (message.label, message.priority) == (vector["dcep"]["label"], vector["dcep"]["priority"])
    assert serialize_dcep(message) == payload
    assert serialize_dcep(AckMessage()) == b"\x02"
