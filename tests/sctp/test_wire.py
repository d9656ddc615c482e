"""Packets and chunks as bytes: vectors, round trips, and every way to be malformed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.errors import Malformed, Truncated, Unsupported, WireError
from sans_rtc.sctp.chunks import (
    CHUNKS,
    Abort,
    ChunkType,
    CookieAck,
    CookieEcho,
    Data,
    Error,
    ForwardTsn,
    Heartbeat,
    Init,
    Pad,
    ReConfig,
    Sack,
    Shutdown,
    ShutdownAck,
    ShutdownComplete,
    parse_chunk,
    serialize,
)
from sans_rtc.sctp.params import Parameter
from sans_rtc.sctp.wire import (
    Packet,
    PacketWriter,
    Sealer,
    crc32c_extend,
    parse_packet,
    serialize_chunk,
    serialize_packet,
    split_chunks,
)

# RFC 3720 appendix B.4; the values there are the bytes in transmission order.
CRC_VECTORS = {
    "zeros": (bytes(32), 0x8A9136AA),
    "ones": (b"\xff" * 32, 0x62A8AB43),
    "incrementing": (bytes(range(32)), 0x46DD794E),
    "decrementing": (bytes(range(31, -1, -1)), 0x113FDB5C),
    "iscsi read": (
        bytes.fromhex(
            "01c000000000000000000000000000001400000000000400000000140000001828000000000000000200000000000000"
        ),
        0xD9963A56,
    ),
}

# From the opened DTLS of a Firefox ESR 153 pair (dcSCTP): INIT, INIT ACK, COOKIE ECHO, RE-CONFIG, ABORT.
FIREFOX_INIT = "1388138800000000bc339767010000205bdad52901000000ffffffff8b06d8e4c00000048008000882c040c2"
FIREFOX_INIT_ACK = (
    "1388138891712156d70da793020000505bdad52901000000ffffffff8b06d8e400070030646353435450303091712156"
    "5bdad5299acf39c38b06d8e401000000000000000000000001010100ffffffffc00000048008000882c040c2"
)

SAMPLES = [
    Data(3, 1, 2, 3, 51, b"payload"),
    Data(0x0C, 0xFFFFFFFF, 65534, 65535, 0xFFFFFFFF, b"x"),
    Init(1, 1500, 1, 1, 0, []),
    Init(0xFFFFFFFF, 1 << 20, 65535, 65535, 7, [Parameter(0xC000, b""), Parameter(0x8008, b"\xc0\x82\x40")], True),
    Sack(5, 100, []),
    Sack(5, 0, [(2, 2), (4, 9)], (1, 2, 3)),
    Heartbeat(b"\0\1\0\x08info"),
    Heartbeat(b"\0\1\0\x09info!", is_ack=True),
    Abort([]),
    Abort([Parameter(12, b"bye")], is_reflected=True),
    Shutdown(77),
    ShutdownAck(),
    Error([Parameter(3, b"\0\0\0\1"), Parameter(9, b"\0\0\0\2")]),
    CookieEcho(b"cookie"),
    CookieAck(),
    ShutdownComplete(),
    ShutdownComplete(is_reflected=True),
    ReConfig([Parameter(13, bytes(12) + b"\0\1"), Parameter(16, bytes(8))]),
    ForwardTsn(9, []),
    ForwardTsn(9, [(1, 2), (65534, 65535)]),
    Pad(0),
    Pad(1000),
]


@pytest.mark.proves("RFC4960-6.8-1-adbe", "RFC4960-6.8-2-a6a3")
@pytest.mark.parametrize("name", CRC_VECTORS)
def test_crc32c_matches_rfc_3720_vectors(name):
    data, expected = CRC_VECTORS[name]
    assert crc32c_extend(0, data) == expected
    assert crc32c_extend(crc32c_extend(0, data[:11]), data[11:]) == expected


@pytest.mark.parametrize("chunk", SAMPLES, ids=lambda chunk: type(chunk).__name__)
def test_chunk_survives_a_round_trip(chunk):
    data = serialize(chunk)
    assert len(data) % 4 == 0
    chunks, is_whole = split_chunks(data, 0)
    assert is_whole
    assert [parse_chunk(raw) for raw in chunks] == [chunk]


def test_every_row_has_a_sample():
    assert {serialize(chunk)[0] for chunk in SAMPLES} == set(CHUNKS) == set(ChunkType)


def test_packet_survives_a_round_trip():
    packet = Packet(5000, 5001, 0xDEADBEEF, [(10, 0, b"cookie"), (3, 0, bytes(12))])
    assert parse_packet(serialize_packet(packet)) == packet


@pytest.mark.proves("RFC4960-3-2-3388", "RFC4960-3.3.2.1-1-6861", "RFC4960-6.8-1-adbe", "RFC4960-6.8-2-a6a3")
def test_firefox_init_is_read_and_written_to_the_byte():
    data = bytes.fromhex(FIREFOX_INIT)
    packet = parse_packet(data)
    (init,) = [parse_chunk(raw) for raw in packet.chunks]
    assert (packet.verification_tag, init.initiate_tag, init.window_bytes) == (0, 0x5BDAD529, 1 << 24)
    assert init.parameters == [Parameter(0xC000, b""), Parameter(0x8008, b"\x82\xc0\x40\xc2")]
    assert Sealer(5000, 5000, 0).seal(serialize(init)) == data


def test_firefox_init_ack_is_read_and_written_to_the_byte():
    data = bytes.fromhex(FIREFOX_INIT_ACK)
    packet = parse_packet(data)
    (init_ack,) = [parse_chunk(raw) for raw in packet.chunks]
    assert init_ack.is_ack and init_ack.parameters[0].value.startswith(b"dcSCTP00")
    assert Sealer(5000, 5000, packet.verification_tag).seal(serialize(init_ack)) == data


@pytest.mark.parametrize("size", range(16))
def test_packet_without_a_chunk_header_is_truncated(size):
    with pytest.raises(Truncated):
        parse_packet(serialize_packet(Packet(1, 2, 3, [(11, 0, b"")]))[:size])


def test_any_flipped_bit_breaks_the_checksum():
    whole = serialize_packet(Packet(5000, 5000, 7, [(11, 0, b"")]))
    for bit in range(8 * len(whole)):
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Malformed):
            print("bit", bit, parse_packet(bytes(data)))


@pytest.mark.parametrize("length", [0, 1, 2, 3, 9, 0xFFFF])
def test_chunk_length_outside_of_the_packet_is_not_a_chunk(length):
    data = serialize_chunk(11, 0, b"abcd")
    assert split_chunks(data[:2] + length.to_bytes(2, "big") + data[4:], 0) == ([], False)


def test_partial_chunk_at_the_end_leaves_those_before():
    data = serialize_chunk(11, 0, b"") + serialize_chunk(5, 0, b"12345678")[:-4]
    assert split_chunks(data, 0) == ([(11, 0, b"")], False)
    assert split_chunks(serialize_chunk(11, 0, b"") + b"\0\0", 0) == ([(11, 0, b"")], False)


def test_last_chunk_may_lack_its_padding():
    assert split_chunks(serialize_chunk(10, 0, b"abcde")[:-3], 0) == ([(10, 0, b"abcde")], True)


MALFORMED = {
    "DATA header short": (0, bytes(11)),
    "INIT fixed part short": (1, bytes(15)),
    "INIT parameter header short": (1, bytes(16) + b"\0\1"),
    "INIT parameter length zero": (1, bytes(16) + b"\0\1\0\0"),
    "INIT parameter length too long": (1, bytes(16) + b"\0\1\0\x09abcd"),
    "INIT ACK fixed part short": (2, bytes(15)),
    "SACK fixed part short": (3, bytes(11)),
    "SACK fewer gaps than counted": (3, bytes(8) + b"\0\2\0\0" + bytes(4)),
    "SACK fewer duplicates than counted": (3, bytes(8) + b"\0\0\0\2" + bytes(4)),
    "SACK more than counted": (3, bytes(12) + bytes(4)),
    "HEARTBEAT empty": (4, b""),
    "HEARTBEAT ACK short": (5, b"abc"),
    "SHUTDOWN short": (7, bytes(3)),
    "SHUTDOWN long": (7, bytes(8)),
    "ERROR cause length": (9, b"\0\1\0\x03"),
    "RE-CONFIG without parameters": (130, b""),
    "RE-CONFIG with three": (130, (b"\0\x10\0\x0c" + bytes(8)) * 3),
    "RE-CONFIG parameter length": (130, b"\0\x0d\0\x02"),
    "FORWARD-TSN short": (192, bytes(3)),
    "FORWARD-TSN half a stream": (192, bytes(6)),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_chunk_raises_wire_error(name):
    chunk_type, value = MALFORMED[name]
    with pytest.raises((Truncated, Malformed)):
        parse_chunk((chunk_type, 0, value))


def test_abort_with_broken_causes_is_still_an_abort():
    assert parse_chunk((6, 1, b"\0\1\0\0")) == Abort([], is_reflected=True)


def test_unknown_chunk_type_is_unsupported():
    with pytest.raises(Unsupported):
        parse_chunk((64, 0, bytes(16)))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(CHUNKS)), st.integers(0, 255), st.binary(max_size=80))
def test_any_chunk_bytes_give_a_chunk_or_wire_error(chunk_type, flags, value):
    try:
        chunk = parse_chunk((chunk_type, flags, value))
    except WireError:
        return
    serialize(chunk)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=120))
def test_any_bytes_split_into_chunks_that_lie_within(data):
    chunks, is_whole = split_chunks(data, 0)
    total = sum((len(value) + 7) & ~3 for _, _, value in chunks)
    assert total <= len(data) + 3
    assert not is_whole or total >= len(data)


def test_writer_fills_packets_and_numbers_them():
    writer = PacketWriter(44)
    writer.sealer = Sealer(1, 2, 3)
    assert [writer.add(bytes((15, 0, 0, 16)) + bytes(12)) for _ in range(3)] == [0, 0, 1]
    packets = writer.take()
    assert [len(parse_packet(data).chunks) for data in packets] == [2, 1]
    assert writer.take() == ()
    assert writer.number == 2
