"""Lines over descriptors: cut right, bounded, and never in the way of the event loop."""

import asyncio
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sans_rtc_demo.jsonl import PENDING_BYTES_MAX, READ_BYTES, LineReader, LineSplitter, LineTooLong, LineWriter

TIMEOUT_S = 5


def run(coroutine):
    async def bounded():
        async with asyncio.timeout(TIMEOUT_S):
            return await coroutine

    return asyncio.run(bounded())


async def all_lines(descriptor):
    return [line async for line in LineReader(descriptor).lines()]


@pytest.fixture
def pipe():
    ends = list(os.pipe())
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            pass


@given(
    st.lists(st.binary(min_size=1, max_size=20).map(lambda b: b.translate(None, b" \t\n\r\x0b\x0c")).filter(bool)),
    st.integers(1, 7),
)
def test_lines_are_the_same_however_the_stream_is_cut(lines, step):
    stream = b"".join(line + b"\n" for line in lines)
    splitter = LineSplitter()
    got = [line for start in range(0, len(stream), step) for line in splitter.feed(stream[start : start + step])]
    assert lines == got + splitter.end()


def test_line_ends_of_every_system_and_empty_lines_are_dropped():
    assert LineSplitter().feed(b"a\r\n\n  \n\r\nb\n") == [b"a", b"b"]


def test_the_last_line_needs_no_end():
    splitter = LineSplitter()
    assert splitter.feed(b"a") == []
    assert splitter.end() == [b"a"]
    assert splitter.end() == []


def test_a_line_of_the_greatest_length_is_taken_and_one_byte_more_is_not():
    splitter = LineSplitter(line_bytes_max=4)
    lines = splitter.feed(b"1234\n12345\nab\n")
    assert [line for line in lines if isinstance(line, bytes)] == [b"1234", b"ab"]
    assert isinstance(lines[1], LineTooLong)


def test_a_line_that_is_too_long_is_reported_once_and_not_kept():
    splitter = LineSplitter(line_bytes_max=4)
    lines = [line for _ in range(100) for line in splitter.feed(b"xxxxxx")]
    assert len(lines) == 1
    assert splitter.feed(b"\nok\n") == [b"ok"]


def test_a_file_is_read_to_its_end(tmp_path):
    path = tmp_path / "requests.jsonl"
    path.write_bytes(b"one\ntwo")
    with path.open("rb") as file:
        assert run(all_lines(file.fileno())) == [b"one", b"two"]


def test_a_pipe_is_read_to_its_end(pipe):
    os.write(pipe[1], b"one\ntwo\n")
    os.close(pipe[1])
    assert run(all_lines(pipe[0])) == [b"one", b"two"]


def test_a_terminal_is_read_line_by_line():
    ours, theirs = os.openpty()

    async def type_and_read():
        lines = LineReader(theirs).lines()
        os.write(ours, b"one\n")
        first = await anext(lines)
        os.write(ours, b"\x04")  # ^D at the start of a line ends the input
        return first, [line async for line in lines]

    try:
        assert run(type_and_read()) == (b"one", [])
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_descriptor_that_others_made_non_blocking_is_waited_for(pipe):
    os.set_blocking(pipe[0], False)

    async def read_late():
        reading = asyncio.create_task(all_lines(pipe[0]))
        await asyncio.sleep(0.02)  # long enough for the thread to find nothing
        os.write(pipe[1], b"late\n")
        os.close(pipe[1])
        return await reading

    assert run(read_late()) == [b"late"]


def test_the_loop_runs_on_while_nothing_is_typed(pipe):
    async def count_while_reading():
        reading = asyncio.create_task(all_lines(pipe[0]))
        turns = 0
        while turns < 1000:
            await asyncio.sleep(0)
            turns += 1
        assert not reading.done()
        os.close(pipe[1])
        return await reading

    assert run(count_while_reading()) == []


def test_the_reader_stays_one_chunk_ahead_of_its_user(pipe):
    os.set_blocking(pipe[1], False)

    async def read_one_line():
        lines = LineReader(pipe[0]).lines()
        written = os.write(pipe[1], b"x" * 10 + b"\n")
        await anext(lines)
        try:
            while True:
                written += os.write(pipe[1], b"y" * 1023 + b"\n")
                await asyncio.sleep(0)
        except BlockingIOError:
            return written

    assert run(read_one_line()) < 3 * READ_BYTES + 2**16


def test_objects_become_lines_of_json_in_order(pipe):
    async def write():
        writer = LineWriter(pipe[1])
        await writer.write({"type": "message", "text": "hé\n"})
        await writer.write({"type": "closed"})
        await writer.flush()

    run(write())
    written = os.read(pipe[0], 1000).split(b"\n")
    assert [json.loads(line) for line in written[:-1]] == [{"type": "message", "text": "hé\n"}, {"type": "closed"}]


def test_half_a_surrogate_pair_does_not_stop_the_writer(pipe):
    async def write():
        writer = LineWriter(pipe[1])
        await writer.write({"text": "\ud800"})
        await writer.flush()

    run(write())
    assert json.loads(os.read(pipe[0], 1000)) == {"text": "\ud800"}


def test_a_slow_reader_makes_the_writer_wait_and_nobody_else(pipe):
    async def write():
        writer = LineWriter(pipe[1])
        line = {"text": "x" * 100_000}
        writing = asyncio.create_task(write_many(writer, line))
        for _ in range(100):
            await asyncio.sleep(0.001)
        assert not writing.done()
        held = writer._pending_bytes
        writing.cancel()
        return held

    async def write_many(writer, line):
        for _ in range(100):
            await writer.write(line)

    assert run(write()) < PENDING_BYTES_MAX + 200_000


def test_a_reader_that_has_gone_is_noticed_and_nothing_raises(pipe):
    async def write():
        writer = LineWriter(pipe[1])
        os.close(pipe[0])
        await writer.write({"type": "state"})
        await writer.broken.wait()
        await writer.write({"type": "state"})
        await writer.flush()

    run(write())
