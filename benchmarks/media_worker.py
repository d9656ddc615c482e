"""One end of the media benchmark: a process with one stack, told what to do line by line on stdin.

python -m benchmarks.media_worker --stack S --mbit-s 10 --frames-per-s 30
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import time

from benchmarks.media_stack import Frames, MediaEndpoint, load_media_stack
from benchmarks.sampler import Sampler
from benchmarks.worker import Line, cpu_s, serve


class MediaEnd:
    """Each request is a method, each answer what it returns."""

    def __init__(self, endpoint: MediaEndpoint, frames: Frames) -> None:
        self._endpoint = endpoint
        self._frames = frames
        self._sending: asyncio.Task[None] | None = None

    async def offer(self) -> Line:
        """Begin as the end that sends."""
        return {"sdp": await self._endpoint.offer()}

    async def answer(self, sdp: str) -> Line:
        """Begin as the end that receives."""
        return {"sdp": await self._endpoint.answer(sdp)}

    async def accept(self, sdp: str) -> Line:
        """Take the answer."""
        await self._endpoint.accept(sdp)
        return {}

    async def connected(self) -> Line:
        """Wait until media can flow."""
        await self._endpoint.connected()
        return {}

    async def send(self) -> Line:
        """Begin to send."""
        self._sending = asyncio.create_task(self._endpoint.send(self._frames))
        return {}

    async def mark(self) -> Line:
        """How much was sent and has arrived, and how much processor time was used, until now."""
        if self._sending is not None and self._sending.done():
            self._sending.result()
        counts = await self._endpoint.counts()
        return {
            "at_s": time.perf_counter(),
            "cpu_s": cpu_s(),
            "frames_sent": self._frames.count,
            "packets": counts.packets,
            "frames": counts.frames,
        }

    async def close(self) -> Line:
        """Stop sending and end the connection."""
        if self._sending is not None:
            self._sending.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2.0):
                await self._endpoint.close()
        return {}


async def _run(stack: str, frames: Frames) -> None:
    await serve(MediaEnd(load_media_stack(stack)(frames.mbit_s), frames))


def main() -> None:
    """Run one end of one stack."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.media_worker")
    parser.add_argument("--stack", required=True)
    parser.add_argument("--mbit-s", type=float, required=True)
    parser.add_argument("--frames-per-s", type=float, default=30.0)
    parser.add_argument("--profile", default="")
    args = parser.parse_args()
    with Sampler(args.profile) if args.profile else contextlib.nullcontext():
        asyncio.run(_run(args.stack, Frames(args.mbit_s, args.frames_per_s)))


if __name__ == "__main__":
    main()
