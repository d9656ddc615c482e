"""The two processes of the benchmark of many peers on one port: a server with a mux, and clients with a socket each.

python -m benchmarks.mux_worker server|clients        told what to do line by line on stdin, answers on stdout
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import resource
import sys
import time
from collections.abc import Sequence
from typing import Protocol

from benchmarks.remote_end import Line
from benchmarks.sampler import Sampler
from benchmarks.stack import Counter
from benchmarks.worker import cpu_s, resident_bytes
from sans_rtc.ice import IceConfig
from sans_rtc.machine import Datagram
from sans_rtc.peer.config import PeerConfig
from sans_rtc_asyncio import DataChannel, PeerConnection
from sans_rtc_asyncio.mux import UdpMux
from sans_rtc_net.errors import ConnectionLost

DESCRIPTORS_BESIDE_PEERS = 64
BURST = 64
ROUTED = 200_000


class End(Protocol):
    """One process: each request is a method, each answer what it returns."""

    async def close(self) -> Line:
        """End the connections."""


class Peers:
    """What both ends have in common."""

    def __init__(self, check_s: float) -> None:
        self.config = PeerConfig(ice=ice_config(check_s))
        self.connections: list[PeerConnection] = []
        self.channels: list[DataChannel] = []
        self.counter = Counter()
        self.tasks: list[asyncio.Task[None]] = []

    async def mark(self, is_settled: bool = False) -> Line:
        """How much has been received, and what this process has used, until now."""
        if is_settled:
            gc.collect()
        used = {"at_s": time.perf_counter(), "cpu_s": cpu_s(), "resident_bytes": resident_bytes()}
        return {**used, "bytes": self.counter.byte_count}

    async def send(self, message_bytes: int) -> Line:
        """Begin to send on the first channel, as much as goes."""
        self.tasks.append(asyncio.create_task(self._send(os.urandom(message_bytes))))
        return {}

    async def stop(self) -> Line:
        """Send no more, and let what is on the way arrive."""
        while self.tasks:
            self.tasks.pop().cancel()
        await self.channels[0].drain()
        return {}

    async def _send(self, data: bytes) -> None:
        while True:
            await self.channels[0].send(data)

    async def _count(self, channel: DataChannel) -> None:
        with contextlib.suppress(ConnectionLost):
            async for message in channel:
                self.counter.byte_count += len(message)

    async def _described(self, connection: PeerConnection) -> str:
        await connection.set_local_description()
        await connection.gathering_complete()
        description = connection.local_description
        assert description is not None
        return description.sdp


class Server(Peers):
    """All peers on one port."""

    def __init__(self, mux: UdpMux, check_s: float) -> None:
        super().__init__(check_s)
        self._mux = mux

    async def answer(self, sdps: Sequence[str]) -> Line:
        """Make a peer for each offer."""
        answers = []
        for sdp in sdps:
            connection = PeerConnection(self.config, mux=self._mux)
            self.connections.append(connection)
            await connection.set_remote_description({"type": "offer", "sdp": sdp})
            answers.append(await self._described(connection))
        return {"sdps": answers}

    async def opened(self) -> Line:
        """Wait for the channels of the peers that have none yet."""
        for connection in self.connections[len(self.channels) :]:
            channel = await anext(connection.incoming_channels())
            self.channels.append(channel)
            if len(self.channels) == 1:
                self._counting = asyncio.create_task(self._count(channel))
        return {}

    async def route(self) -> Line:
        """What it costs to find whose a datagram is, seconds for each, in bursts of one peer."""
        selected = self.connections[-1].explain().ice.selected
        assert selected is not None
        port = self._mux._port
        burst = [Datagram(b"\x17" + bytes(1199), selected.path) for _ in range(BURST)]
        took_s = []
        for _ in range(5):
            began_at = time.perf_counter()
            for _ in range(ROUTED // BURST // 5):
                port.router.sort(burst, 0.0)
            took_s.append((time.perf_counter() - began_at) / (ROUTED // BURST // 5 * BURST))
        return {"route_s": min(took_s), "strangers": len(self._mux.knocks.items)}

    async def close(self) -> Line:
        """End the connections."""
        self._mux.abort()
        return {}


class Clients(Peers):
    """Peers with a socket each, as clients on the network are."""

    async def offer(self, count: int) -> Line:
        """Make so many more clients."""
        sdps = []
        for _ in range(count):
            connection = PeerConnection(self.config, bind="127.0.0.1")
            self.connections.append(connection)
            self.channels.append(connection.create_data_channel("benchmark"))
            sdps.append(await self._described(connection))
        return {"sdps": sdps}

    async def accept(self, sdps: Sequence[str]) -> Line:
        """Take the answers to the last offers, and wait for the channels."""
        start = len(self.connections) - len(sdps)
        for connection, sdp in zip(self.connections[start:], sdps, strict=True):
            await connection.set_remote_description({"type": "answer", "sdp": sdp})
        for channel in self.channels[start:]:
            await channel.opened()
        return {}

    async def close(self) -> Line:
        """End the connections."""
        for connection in self.connections:
            connection.abort()
        return {}


async def _serve(end: End) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 26)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        request = json.loads(line)
        do = getattr(end, request.pop("do"))
        print(json.dumps(await do(**request)), flush=True)


async def _run(role: str, check_s: float) -> None:
    if role == "clients":
        await _serve(Clients(check_s))
        return
    async with UdpMux(bind="127.0.0.1") as mux:
        await _serve(Server(mux, check_s))


def ice_config(check_s: float) -> IceConfig:
    """Peers that look so often whether the other end is there, and call it gone after three times that."""
    gone_s = max(3.0, 3.0 * check_s)
    return IceConfig(liveness_interval_s=check_s, disconnected_after_s=gone_s, failed_after_s=30.0)


def main() -> None:
    """Be one of the two processes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mux_worker")
    parser.add_argument("role", choices=["server", "clients"])
    parser.add_argument("--peers", type=int, required=True)
    parser.add_argument("--check", type=float, default=1.0)
    parser.add_argument("--profile", default="")
    args = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = args.peers + DESCRIPTORS_BESIDE_PEERS
    if args.role == "clients" and hard != resource.RLIM_INFINITY and wanted > hard:
        sys.exit(f"{wanted} open files are needed and {hard} allowed")
    if args.role == "clients":
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[0]), hard))
    with Sampler(args.profile) if args.profile else contextlib.nullcontext():
        asyncio.run(_run(args.role, args.check))


if __name__ == "__main__":
    main()
