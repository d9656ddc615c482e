"""One end of a connection in a process of its own, told what to do line by line on stdin: what all benchmarks share."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from typing import Protocol

Line = dict[str, object]

CLOSE_S = 2.0


class Describing(Protocol):
    """An endpoint of any stack, as far as its descriptions and its end go."""

    async def offer(self) -> str:
        """The offer with all candidates."""

    async def answer(self, offer: str) -> str:
        """The answer with all candidates."""

    async def accept(self, answer: str) -> None:
        """Take the answer."""

    async def close(self) -> None:
        """End the connection."""


class RemoteEnd:
    """Each request is a method, each answer what it returns."""

    def __init__(self, endpoint: Describing) -> None:
        self._describing = endpoint
        self._sending: asyncio.Task[None] | None = None

    async def offer(self) -> Line:
        """Begin as the end that offers."""
        return {"sdp": await self._describing.offer()}

    async def answer(self, sdp: str) -> Line:
        """Begin as the end that answers."""
        return {"sdp": await self._describing.answer(sdp)}

    async def accept(self, sdp: str) -> Line:
        """Take the answer."""
        await self._describing.accept(sdp)
        return {}

    async def close(self) -> Line:
        """Stop sending and end the connection."""
        if self._sending is not None:
            self._sending.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._describing.close()
        return {}


async def serve(end: object) -> None:
    """Do what the lines of stdin ask for, each by a method, and answer each with a line, until stdin ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        request = json.loads(line)
        do = getattr(end, request.pop("do"))
        print(json.dumps(await do(**request)), flush=True)
