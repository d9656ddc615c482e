"""Frames from packets in order: whole ones come out, ones with a loss are named, never a wrong one."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.errors import InvalidArgument
from sans_rtc.rtp.payload import (
    Av1Packetizer,
    BrokenFrame,
    BrokenReason,
    Frame,
    FrameAssembler,
    FrameAssemblerConfig,
    H264Packetizer,
    H265Packetizer,
    Obu,
    Vp8Packetizer,
    Vp9Packetizer,
    codecs_named,
    join_annex_b,
    serialize_obus,
)

PACKETIZERS = {
    "VP8": Vp8Packetizer, "VP9": Vp9Packetizer, "H264": H264Packetizer, "H265": H265Packetizer, "AV1": Av1Packetizer,
}  # fmt: skip


def frame_of(name, size, rng):
    """A frame as the packetizer of this codec takes it, of several units where there are units."""
    bodies = [rng.randbytes(rng.randint(1, size)).replace(b"\0", b"\1") for _ in range(rng.randint(1, 5))]
    match name:
        case "H264":
            return join_annex_b([b"\x41" + body for body in bodies])
        case "H265":
            return join_annex_b([b"\x02\x01" + body for body in bodies])
        case "AV1":
            return serialize_obus([Obu(b"\x30", body) for body in bodies])
    return b"\x31" + b"".join(bodies)


def stream(name, seed, *, count=12, size=600, budget=150, first=65500):
    """(frames, packets): packets are (payload, keyword arguments)."""
    rng = random.Random(seed)
    packetizer, frames, packets = PACKETIZERS[name](), [], []
    for number in range(count):
        frame = frame_of(name, size, rng)
        frames.append(frame)
        payloads = packetizer.packetize(frame, payload_bytes_max=budget)
        for index, payload in enumerate(payloads, 1):
            at = {"timestamp": 4294960000 + number * 3000 & 0xFFFFFFFF, "marker": index == len(payloads)}
            packets.append((payload, {"sequence_number": (first + len(packets)) % 65536, **at}))
    return frames, packets


def assembler_of(name, **settings):
    return FrameAssembler.of(codecs_named(name)[0], **settings)


def run(assembler, packets):
    return [result for payload, at in packets for result in assembler.receive(payload, **at)]


@pytest.mark.parametrize("name", PACKETIZERS)
def test_frames_without_loss_come_out_but_for_a_first_one_that_may_be_cut(name):
    frames, packets = stream(name, 1)
    results = run(assembler_of(name), packets)
    if name in ("VP8", "VP9"):
        assert frames == [result.data for result in results]
    else:
        assert isinstance(results[0], BrokenFrame)
        assert frames[1:] == [result.data for result in results[1:]]


@pytest.mark.parametrize("name", PACKETIZERS)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1 << 30), loss=st.floats(0, 0.5), duplicates=st.floats(0, 0.3))
def test_with_any_losses_no_wrong_frame_comes_out(name, seed, loss, duplicates):
    frames, packets = stream(name, seed)
    of_timestamp = {4294960000 + number * 3000 & 0xFFFFFFFF: frame for number, frame in enumerate(frames)}
    rng = random.Random(seed)
    heard, lost = [], set()
    for packet in packets:
        if rng.random() < loss:
            lost.add(packet[1]["timestamp"])
            continue
        heard += [packet] * (1 + (rng.random() < duplicates))
    results = run(assembler_of(name), heard)
    whole = [result for result in results if isinstance(result, Frame)]
    for frame in whole:
        assert of_timestamp[frame.timestamp] == frame.data
        assert frame.timestamp not in lost
    named = [result.timestamp for result in results]
    assert len(named) == len(set(named))
    if name in ("VP8", "VP9"):
        # Whatever lost nothing comes out, for these formats mark their beginnings.
        assert len(frames) - len(lost) == len(whole)


@pytest.mark.proves("RFC6184-5.8-11-1e6d")
@pytest.mark.parametrize("name", PACKETIZERS)
@pytest.mark.parametrize("seed", range(5))
def test_each_single_loss_breaks_its_frame(name, seed):
    frames, packets = stream(name, seed, count=4, budget=100)
    for number in range(len(packets)):
        results = run(assembler_of(name), packets[:number] + packets[number + 1 :])
        timestamp = packets[number][1]["timestamp"]
        assert timestamp not in [result.timestamp for result in results if isinstance(result, Frame)]
        assert all(result.data in frames for result in results if isinstance(result, Frame))


def vp8(assembler, payload, sequence, timestamp, marker):
    return assembler.receive(payload, sequence_number=sequence, timestamp=timestamp, marker=marker)


@pytest.mark.proves("RFC6184-5.1-3-935c")
def test_frame_without_marker_ends_where_the_next_begins():
    assembler = assembler_of("VP8")
    assert vp8(assembler, b"\x10\x01a", 1, 100, False) == []
    assert vp8(assembler, b"\x10\x01b", 2, 200, True) == [Frame(100, b"\x01a", False), Frame(200, b"\x01b", False)]


def test_packets_behind_the_marker_of_the_same_frame_are_no_frame():
    assembler = assembler_of("H264")
    vp8(assembler, b"\x67abc", 1, 100, True)
    assert vp8(assembler, b"\x41abc", 2, 100, True) == [BrokenFrame(100, BrokenReason.PACKET_MISSING)]


def test_padding_counts_in_the_sequence_and_is_nothing_else():
    assembler = assembler_of("H264")
    vp8(assembler, b"\x67abc", 1, 100, True)
    assert vp8(assembler, b"", 2, 100, False) == []
    assert vp8(assembler, b"\x41abc", 3, 200, True) == [Frame(200, b"\0\0\0\1\x41abc", False)]
    assert vp8(assembler, b"", 5, 200, False) == []
    assert vp8(assembler, b"\x41abc", 6, 300, True) == [BrokenFrame(300, BrokenReason.PACKET_MISSING)]
    assert assembler.stats.empty_packets == 2


def test_late_packets_are_counted():
    assembler = assembler_of("VP8")
    vp8(assembler, b"\x10\x01a", 1, 100, True)
    assert vp8(assembler, b"\x10\x01a", 1, 100, True) == []
    assert vp8(assembler, b"\x10\x01a", 65535, 0, True) == []
    assert assembler.stats.late_packets == 2


def test_malformed_frame_is_named():
    assembler = assembler_of("H264")
    vp8(assembler, b"\x67abc", 1, 100, True)
    (broken,) = vp8(assembler, b"\x7c\x85abc", 2, 200, True)
    assert broken.reason is BrokenReason.MALFORMED
    assert "missing" in broken.detail
    assert assembler.stats.broken == {BrokenReason.MALFORMED: 1}


@pytest.mark.parametrize(
    "config", [FrameAssemblerConfig(frame_bytes_max=100), FrameAssemblerConfig(packet_count_max=9)]
)
def test_frame_over_the_bounds_is_broken_and_takes_no_memory(config):
    assembler = assembler_of("VP8", config=config)
    for number in range(10_000):
        assert vp8(assembler, b"\x10" + bytes(20), number, 100, False) == []
        assert len(assembler._payloads) <= 9
    assert vp8(assembler, b"\x00end", 10_000, 100, True) == [BrokenFrame(100, BrokenReason.TOO_LARGE)]
    assert vp8(assembler, b"\x10\x01a", 10_001, 200, True) == [Frame(200, b"\x01a", False)]


def test_reset_forgets_the_open_frame():
    assembler = assembler_of("VP8")
    vp8(assembler, b"\x10\x01a", 1, 100, False)
    assembler.reset()
    assert vp8(assembler, b"\x10\x01b", 500, 100, True) == [Frame(100, b"\x01b", False)]


def test_bounds_are_positive():
    with pytest.raises(InvalidArgument):
        FrameAssemblerConfig(frame_bytes_max=0)
    with pytest.raises(InvalidArgument):
        assembler_of("red")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=8), st.integers(0, 65535), st.integers(0, 3), st.booleans()), max_size=30))
def test_any_packets_in_any_order_raise_nothing(packets):
    for name in PACKETIZERS:
        assembler = assembler_of(name, config=FrameAssemblerConfig(packet_count_max=4))
        for payload, sequence, timestamp, marker in packets:
            assert len(vp8(assembler, payload, sequence, timestamp, marker)) <= 2
