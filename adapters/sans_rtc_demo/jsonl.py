"""JSON lines over stdin and stdout for an asyncio program, without ever blocking its loop.

The event loop can wait for pipes and terminals and not for files, so one thread reads and one writes: both work with
whatever the descriptor is, and both hold a bounded amount. The threads are daemons: a terminal that nobody types into
must not keep the process from ending.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import select
import threading
from collections.abc import AsyncIterator, Mapping

LINE_BYTES_MAX = 1 << 20
"""The longest line that is taken: a message of 256 KiB is 350 KB in Base64, and descriptions are far shorter."""

READ_BYTES = 1 << 16
PENDING_BYTES_MAX = 1 << 20
"""How much may wait for a slow reader of our stdout before `LineWriter.write` waits too."""


class LineTooLong:
    """Stands in the place of a line of more than LINE_BYTES_MAX bytes."""


class LineSplitter:
    """Cuts a stream of bytes into lines and holds one unfinished line at most, of bounded length."""

    def __init__(self, line_bytes_max: int = LINE_BYTES_MAX) -> None:
        self._line_bytes_max = line_bytes_max
        self._unfinished = bytearray()
        self._is_skipping = False

    def feed(self, chunk: bytes) -> list[bytes | LineTooLong]:
        """Take the next bytes and return the lines that they complete, without their ends; empty lines are dropped."""
        *complete, rest = chunk.split(b"\n")
        lines: list[bytes | LineTooLong] = []
        for piece in complete:
            self._take(piece, lines)
            self._end_line(lines)
        self._take(rest, lines)
        return lines

    def end(self) -> list[bytes | LineTooLong]:
        """Return the last line where it has no end."""
        lines: list[bytes | LineTooLong] = []
        self._end_line(lines)
        return lines

    def _take(self, piece: bytes, lines: list[bytes | LineTooLong]) -> None:
        if self._is_skipping:
            return
        if len(self._unfinished) + len(piece) > self._line_bytes_max:
            lines.append(LineTooLong())
            self._is_skipping = True
            self._unfinished.clear()
        else:
            self._unfinished += piece

    def _end_line(self, lines: list[bytes | LineTooLong]) -> None:
        line = bytes(self._unfinished).strip()
        self._unfinished.clear()
        self._is_skipping = False
        if line:
            lines.append(line)


class LineReader:
    """The lines of a descriptor, read by a thread one chunk ahead of the reader and no more."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._wanted = threading.Semaphore(0)
        self._chunks: asyncio.Queue[bytes] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, name="stdin", daemon=True).start()

    async def lines(self) -> AsyncIterator[bytes | LineTooLong]:
        """Yield every line until the end of the input, which is also what a broken descriptor counts as."""
        splitter = LineSplitter()
        while True:
            self._wanted.release()
            chunk = await self._chunks.get()
            for line in splitter.feed(chunk) if chunk else splitter.end():
                yield line
            if not chunk:
                return

    def _read(self) -> None:
        chunk = b"-"
        while chunk:
            self._wanted.acquire()
            chunk = self._read_chunk()
            try:
                self._loop.call_soon_threadsafe(self._chunks.put_nowait, chunk)
            except RuntimeError:  # the loop has been closed: nobody wants it any more
                return

    def _read_chunk(self) -> bytes:
        while True:
            try:
                return os.read(self._descriptor, READ_BYTES)
            except BlockingIOError:  # whoever shares the descriptor has made it non-blocking
                select.select([self._descriptor], [], [])
            except OSError:
                return b""


class LineWriter:
    """Writes objects as lines of JSON, by a thread, so that a slow reader of ours delays only who waits for it.

    broken  set once the other end has gone; what is written from then on is dropped
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._pending_bytes = 0
        self._written = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.broken = asyncio.Event()
        threading.Thread(target=self._write, name="stdout", daemon=True).start()

    async def write(self, message: Mapping[str, object]) -> None:
        """Queue one line; wait while more than PENDING_BYTES_MAX bytes are unwritten."""
        line = json.dumps(message, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        self._pending_bytes += len(line)
        self._lines.put(line)
        await self._until_pending_at_most(PENDING_BYTES_MAX)

    async def flush(self) -> None:
        """Wait until everything has been written."""
        await self._until_pending_at_most(0)

    async def _until_pending_at_most(self, byte_count: int) -> None:
        while self._pending_bytes > byte_count:
            self._written.clear()
            await self._written.wait()

    def _write(self) -> None:
        is_open = True
        while True:
            line = self._lines.get()
            is_open = is_open and self._write_line(line)
            try:
                self._loop.call_soon_threadsafe(self._note_written, len(line), is_open)
            except RuntimeError:  # the loop has been closed
                return

    def _write_line(self, line: bytes) -> bool:
        rest = memoryview(line)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                select.select([], [self._descriptor], [])
            except OSError:
                return False
        return True

    def _note_written(self, byte_count: int, is_open: bool) -> None:
        self._pending_bytes -= byte_count
        self._written.set()
        if not is_open:
            self.broken.set()
