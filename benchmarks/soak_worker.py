"""One end of a soak: sends numbered messages without end, and checks every message that it receives.

python -m benchmarks.soak_worker      told what to do line by line on stdin, as the other workers
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import json
import sys
from typing import Final

from benchmarks.stack import HIGH_WATER_BYTES, LOW_WATER_BYTES
from benchmarks.worker import cpu_s, resident_bytes
from sans_rtc_asyncio import ChannelClosed, ConnectionLost, DataChannel, PeerConnection

# Each has a channel of its own, and each end sends on all.
KINDS: Final = {
    "ordered": {},
    "unordered": {"ordered": False},
    "partial": {"ordered": False, "max_retransmits": 0},
}
SIZES_BYTES: Final = (20, 100, 400, 1000, 3000, 12_000)
# Unordered messages that have come before an earlier one: the numbers above the first that is missing.
AHEAD_MAX: Final = 4096

Line = dict[str, object]


def content(kind: str, number: int) -> bytes:
    """The message with this number: its number, and bytes that follow from it."""
    size = SIZES_BYTES[number % len(SIZES_BYTES)] if kind != "partial" else SIZES_BYTES[number % 4]
    head = number.to_bytes(8, "big")
    seed = hashlib.sha256(kind.encode() + head).digest()
    return (head + seed * (size // len(seed) + 1))[:size]


class Checker:
    """Which messages of one channel have come, and what was wrong with them."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.message_count = 0
        self.byte_count = 0
        self.errors: list[str] = []
        self._next = 0
        self._ahead: set[int] = set()

    def take(self, message: bytes | str) -> None:
        """Check one message: what it holds, that it comes for the first time, and in order where that is promised."""
        if isinstance(message, str):
            self._complain("text in place of bytes")
            return
        number = int.from_bytes(message[:8], "big")
        self.message_count += 1
        self.byte_count += len(message)
        if message != content(self.kind, number):
            self._complain(f"message {number} is not what was sent")
        elif number < self._next or number in self._ahead:
            self._complain(f"message {number} comes a second time")
        elif self.kind == "ordered" and number != self._next:
            self._complain(f"message {number} comes in place of {self._next}")
        else:
            self._note(number)

    def is_complete(self, sent_count: int) -> bool:
        """True where everything has come that was sent and must."""
        return self.kind == "partial" or self._next == sent_count

    def _note(self, number: int) -> None:
        self._ahead.add(number)
        if len(self._ahead) > AHEAD_MAX and self.kind == "partial":
            self._next = min(self._ahead)  # what is missing for so long is lost
        while self._next in self._ahead:
            self._ahead.remove(self._next)
            self._next += 1

    def _complain(self, text: str) -> None:
        if len(self.errors) < 20:
            self.errors.append(f"{self.kind}: {text}")


class Soaker:
    """One end: each request is a method, each answer what it returns."""

    def __init__(self) -> None:
        self._connection: PeerConnection | None = None
        self._channels: dict[str, DataChannel] = {}
        self._checkers = {kind: Checker(kind) for kind in KINDS}
        self._sent = dict.fromkeys(KINDS, 0)
        self._tasks: list[asyncio.Task[None]] = []
        self._sending: list[asyncio.Task[None]] = []
        self._states: list[str] = []
        self._errors: list[str] = []
        self._is_over = False

    async def offer(self, ice_servers: list[dict[str, str]]) -> Line:
        """Begin as the end that offers; ice_servers: a TURN server, and then nothing but it; none: host addresses."""
        self._make(ice_servers)
        assert self._connection is not None
        for number, (kind, options) in enumerate(KINDS.items()):
            channel = self._connection.create_data_channel(kind, negotiated_id=2 * number, **options)  # type: ignore[arg-type]  # one table of keywords
            self._use(kind, channel)
        return await self._described()

    async def answer(self, sdp: str, ice_servers: list[dict[str, str]]) -> Line:
        """Begin as the end that answers."""
        self._make(ice_servers)
        assert self._connection is not None
        for number, (kind, options) in enumerate(KINDS.items()):
            channel = self._connection.create_data_channel(kind, negotiated_id=2 * number, **options)  # type: ignore[arg-type]  # as above
            self._use(kind, channel)
        await self._connection.set_remote_description({"type": "offer", "sdp": sdp})
        return await self._described()

    async def accept(self, sdp: str) -> Line:
        """Take the answer."""
        assert self._connection is not None
        await self._connection.set_remote_description({"type": "answer", "sdp": sdp})
        return {}

    async def opened(self) -> Line:
        """Wait until all channels are open."""
        assert self._connection is not None
        for channel in self._channels.values():
            await channel.opened()
        return {}

    async def start(self) -> Line:
        """Send on every channel, from now on."""
        for kind, channel in self._channels.items():
            self._sending.append(asyncio.create_task(self._send(kind, channel)))
        return {}

    async def mark(self) -> Line:
        """How things stand, and how much memory the process has."""
        selected = self._connection.explain().ice.selected if self._connection is not None else None
        return {
            "path": [] if selected is None else [str(selected.local.type), str(selected.remote.type)],
            "resident_bytes": resident_bytes(),
            "cpu_s": cpu_s(),
            "sent": dict(self._sent),
            "received": {kind: checker.message_count for kind, checker in self._checkers.items()},
            "bytes": sum(checker.byte_count for checker in self._checkers.values()),
            "errors": [*self._errors, *(text for checker in self._checkers.values() for text in checker.errors)],
            "states": list(self._states),
        }

    async def stop(self) -> Line:
        """Send nothing more."""
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        gc.collect()
        return {"sent": dict(self._sent)}

    async def complete(self, sent: dict[str, int]) -> Line:
        """Whether everything that the other end has sent is there."""
        return {"is_complete": all(checker.is_complete(sent[kind]) for kind, checker in self._checkers.items())}

    async def close(self) -> Line:
        """End the connection."""
        self._is_over = True
        for task in self._tasks:
            task.cancel()
        if self._connection is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5.0):
                    await self._connection.close()
        return {}

    def _make(self, ice_servers: list[dict[str, str]]) -> None:
        policy = "relay" if ice_servers else "all"
        self._connection = PeerConnection(bind="127.0.0.1", ice_servers=ice_servers, ice_transport_policy=policy)
        self._tasks.append(asyncio.create_task(self._follow_states()))

    def _use(self, kind: str, channel: DataChannel) -> None:
        channel.high_water_bytes, channel.low_water_bytes = HIGH_WATER_BYTES // 8, LOW_WATER_BYTES // 8
        self._channels[kind] = channel
        self._tasks.append(asyncio.create_task(self._check(kind, channel)))

    async def _described(self) -> Line:
        assert self._connection is not None
        await self._connection.set_local_description()
        await self._connection.gathering_complete()
        description = self._connection.local_description
        assert description is not None
        return {"sdp": description.sdp}

    async def _follow_states(self) -> None:
        assert self._connection is not None
        async for state in self._connection.connection_states():
            self._states.append(str(state))

    async def _send(self, kind: str, channel: DataChannel) -> None:
        try:
            while True:
                message = content(kind, self._sent[kind])
                await channel.send(message)  # waits by itself as soon as much is buffered
                self._sent[kind] += 1
        except (ChannelClosed, ConnectionLost) as error:
            self._errors.append(f"{kind}: sending: {error}")

    async def _check(self, kind: str, channel: DataChannel) -> None:
        try:
            await channel.opened()
            async for message in channel:
                self._checkers[kind].take(message)
        except (ChannelClosed, ConnectionLost) as error:
            if not self._is_over:
                self._errors.append(f"{kind}: receiving: {error}")


async def serve() -> None:
    """Do what the lines of stdin ask for, and answer each with a line, until stdin ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    soaker = Soaker()
    while line := await reader.readline():
        request = json.loads(line)
        do = getattr(soaker, request.pop("do"))
        print(json.dumps(await do(**request)), flush=True)


if __name__ == "__main__":
    asyncio.run(serve())
