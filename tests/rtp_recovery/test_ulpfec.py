"""ULPFEC received, alone and inside RED."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.errors import InvalidArgument, Malformed, Truncated, Unsupported
from sans_rtc.rtp.recovery import (
    DiscardReason,
    FecReceiverConfig,
    RedBlock,
    RedUlpFecReceiver,
    UlpFecReceiver,
    parse_red,
    parse_ulpfec,
    serialize_red,
)
from sans_rtc.rtp.wire import RtpPacket, parse_rtp, serialize_rtp
from sans_rtc.testing import SeededEntropy

SSRC = 0xBEEF
RED, ULPFEC, VP8 = 116, 117, 96


def media(count, first=0):
    entropy = SeededEntropy(3)
    return [
        serialize_rtp(
            RtpPacket(
                VP8, (first + n) & 0xFFFF, 3000 * n, SSRC, entropy(10 + n), n % 2 == 0, (), [(1, b"abc")] * (n % 3)
            )
        )
        for n in range(count)
    ]


def repair_of(packets, offsets, *, is_long=False, cut=0):
    """A repair packet by RFC 5109, byte by byte: an encoder that shares nothing with the receiver."""
    base = struct.unpack("!H", packets[0][2:4])[0]
    chosen = [packets[offset] for offset in offsets]
    size = max(len(packet) for packet in chosen) - 12 - cut
    head, length, body = [0] * 8, 0, [0] * size
    for packet in chosen:
        for index in range(8):
            head[index] ^= packet[index]
        length ^= len(packet) - 12
        for index, byte in enumerate(packet[12 : 12 + size]):
            body[index] ^= byte
    first = head[0] & 0x3F | (0x40 if is_long else 0)
    bits = 48 if is_long else 16
    mask = sum(1 << (bits - 1 - offset) for offset in offsets)
    return (
        bytes([first, head[1]])
        + struct.pack("!H", base)
        + bytes(head[4:8])
        + struct.pack("!HH", length, size)
        + mask.to_bytes(bits // 8, "big")
        + bytes(body)
    )


@pytest.mark.parametrize(("count", "is_long"), [(2, False), (16, False), (16, True), (48, True)])
def test_any_single_loss_is_found_byte_for_byte(count, is_long):
    packets = media(count, first=0xFFF8)
    repair = repair_of(packets, range(count), is_long=is_long)
    for lost in range(count):
        receiver = UlpFecReceiver(FecReceiverConfig(), ssrc=SSRC)
        for index, data in enumerate(packets):
            if index != lost:
                assert receiver.receive_media(data) == []
        assert receiver.receive_repair(repair) == [packets[lost]]


def test_packet_that_is_protected_only_in_part_is_not_found():
    packets = media(2)
    receiver = UlpFecReceiver(FecReceiverConfig(), ssrc=SSRC)
    receiver.receive_media(packets[0])
    assert receiver.receive_repair(repair_of(packets, [0, 1], cut=3)) == []
    assert receiver.stats.discards == {DiscardReason.INCONSISTENT: 1}


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (bytes(13), Truncated),
        (b"\x80" + bytes(20), Unsupported),
        (b"\x40" + bytes(15), Truncated),
        (bytes(14), Malformed),
        (bytes(10) + b"\x00\x05\x80\x00" + bytes(4), Truncated),
    ],
)
def test_repair_packet_that_is_none_is_refused_and_counted(payload, error):
    with pytest.raises(error):
        parse_ulpfec(payload)
    receiver = UlpFecReceiver(FecReceiverConfig(), ssrc=SSRC)
    assert receiver.receive_repair(payload) == []
    assert receiver.stats.discards == {DiscardReason.MALFORMED: 1}


def in_red(data, number):
    packet = parse_rtp(data)
    packet.sequence_number = number
    packet.payload = serialize_red([RedBlock(packet.payload_type, 0, packet.payload)])
    packet.payload_type = RED
    return serialize_rtp(packet)


def repair_in_red(repair, number):
    return serialize_rtp(RtpPacket(RED, number, 0, SSRC, serialize_red([RedBlock(ULPFEC, 0, repair)])))


def test_media_and_repair_inside_red_find_what_is_lost():
    packets = media(4)
    receiver = RedUlpFecReceiver(FecReceiverConfig(), ssrc=SSRC, ulpfec_payload_type=ULPFEC)
    for number in (0, 1, 3):
        result = receiver.receive(in_red(packets[number], number))
        assert (result.media, result.recovered, result.is_repair) == (packets[number], [], False)
    result = receiver.receive(repair_in_red(repair_of(packets, range(4)), 4))
    assert (result.media, result.recovered, result.is_repair) == (None, [packets[2]], True)


def test_padding_of_a_red_packet_stays_with_the_media():
    receiver = RedUlpFecReceiver(FecReceiverConfig(), ssrc=SSRC, ulpfec_payload_type=ULPFEC)
    plain = RtpPacket(VP8, 1, 2, SSRC, b"media", True, (1,), [(1, b"x")], 7)
    wrapped = RtpPacket(RED, 1, 2, SSRC, bytes([VP8]) + b"media", True, (1,), [(1, b"x")], 7)
    assert receiver.receive(serialize_rtp(wrapped)).media == serialize_rtp(plain)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=50), max_size=20))
def test_any_bytes_are_taken(inputs):
    receiver = RedUlpFecReceiver(FecReceiverConfig(equation_count_max=4), ssrc=SSRC, ulpfec_payload_type=ULPFEC)
    for number, data in enumerate(inputs):
        receiver.receive(data)
        receiver.receive(serialize_rtp(RtpPacket(RED, number, 0, SSRC, data)))
        receiver.receive(repair_in_red(data, number))


BLOCKS = st.lists(st.builds(RedBlock, st.integers(0, 127), st.integers(0, 16383), st.binary(max_size=40)), max_size=32)


@given(BLOCKS, st.integers(0, 127), st.binary(max_size=40))
def test_red_blocks_survive_the_wire(blocks, payload_type, primary):
    blocks = [*blocks, RedBlock(payload_type, 0, primary)]
    assert parse_red(serialize_red(blocks)) == blocks


def test_red_block_is_four_bytes_of_header_and_the_primary_one():
    data = serialize_red([RedBlock(111, 960, b"old"), RedBlock(111, 0, b"new")])
    assert data == bytes([0x80 | 111, 960 >> 6, (960 & 63) << 2, 3, 111]) + b"oldnew"


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (b"", Truncated),
        (b"\x80\0\0", Truncated),
        (b"\x80\0\0\x05", Truncated),
        (b"\x80\0\0\x05\x60abc", Truncated),
        (b"\x80\0\0\0" * 33 + b"\x60", Malformed),
    ],
)
def test_red_payload_that_is_none_is_refused(payload, error):
    with pytest.raises(error):
        parse_red(payload)


@pytest.mark.parametrize(
    "blocks",
    [
        [],
        [RedBlock(128, 0, b"")],
        [RedBlock(1, 1, b"")],
        [RedBlock(1, 1 << 14, b""), RedBlock(1, 0, b"")],
        [RedBlock(1, 1, bytes(1024)), RedBlock(1, 0, b"")],
        [RedBlock(1, 0, b"")] * 34,
    ],
)
def test_red_blocks_that_do_not_fit_are_refused(blocks):
    with pytest.raises(InvalidArgument):
        serialize_red(blocks)
