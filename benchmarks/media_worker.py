"""One end of the media benchmark: a process with one stack, told what to do line by line on stdin.

python -m benchmarks.media_worker --stack S --mbit-s 10 --frames-per-s 30
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import time

from benchmarks.media_stack import Frames, MediaEndpoint, load_media_stack
from benchmarks.remote_end import Line, RemoteEnd, serve
from benchmarks.sampler import Sampler
from benchmarks.worker import cpu_s


class MediaEnd(RemoteEnd):
    """The end that offers sends, the other one receives."""

    def __init__(self, endpoint: MediaEndpoint, frames: Frames) -> None:
        super().__init__(endpoint)
        self._endpoint = endpoint
        self._frames = frames

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
