"""The processes that a benchmark measures: each runs one stack, and talks with the benchmark in lines of JSON.

python -m benchmarks.worker transfer --stack S     one end of a transfer, told what to do line by line on stdin
python -m benchmarks.worker connect|rtt|memory     both ends in this process; prints one result and ends
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
import tracemalloc

from benchmarks.remote_end import Line, RemoteEnd, serve
from benchmarks.sampler import Sampler
from benchmarks.stack import Counter, Endpoint, MakeEndpoint, connect, is_linux, load_stack

WARM_UP_PAIRS = 3
WARM_UP_ECHOES = 50
WARM_UP_MEMORY_PAIRS = 4


class Transfer(RemoteEnd):
    """One end of a transfer between two processes."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        self._endpoint = endpoint
        self._counter = Counter()

    async def opened(self) -> Line:
        """Wait for the channel, and count what arrives from now on."""
        await self._endpoint.opened()
        self._endpoint.count(self._counter)
        return {}

    async def send(self, message_bytes: int) -> Line:
        """Begin to send messages of this size, as many as go."""
        self._sending = asyncio.create_task(self._send(os.urandom(message_bytes)))
        return {}

    async def mark(self) -> Line:
        """How much has been received, and how much processor time was used, until now."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        times = {"user_s": usage.ru_utime, "sys_s": usage.ru_stime, "cpu_s": usage.ru_utime + usage.ru_stime}
        return {"at_s": time.perf_counter(), "bytes": self._counter.byte_count, **times}

    async def _send(self, data: bytes) -> None:
        while True:
            await self._endpoint.send(data)  # waits by itself as soon as much is buffered


def cpu_s() -> float:
    """User and system time of this process, seconds."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def resident_bytes() -> int:
    """Memory of this process that is in RAM now; the highest so far where the system does not tell."""
    if is_linux():
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


async def serve_transfer(make_endpoint: MakeEndpoint) -> None:
    """Be one end of a transfer."""
    await serve(Transfer(await make_endpoint()))


async def measure_connect(make_endpoint: MakeEndpoint, count: int) -> Line:
    """Set up pairs one after the other; the durations and the processor time of each, seconds."""
    durations_s: list[float] = []
    cpu_per_pair_s: list[float] = []
    for _ in range(WARM_UP_PAIRS + count):
        cpu_before_s, started_at = time.process_time(), time.perf_counter()
        offering, answering = await make_endpoint(), await make_endpoint()
        await connect(offering, answering)
        durations_s.append(time.perf_counter() - started_at)
        cpu_per_pair_s.append(time.process_time() - cpu_before_s)
        await asyncio.gather(offering.close(), answering.close())
    return {"durations_s": durations_s[WARM_UP_PAIRS:], "cpu_s": cpu_per_pair_s[WARM_UP_PAIRS:]}


async def measure_rtt(make_endpoint: MakeEndpoint, count: int, message_bytes: int) -> Line:
    """Send a message there and back, one after the other; the durations and the processor time of all, seconds."""
    offering, answering = await make_endpoint(), await make_endpoint()
    await connect(offering, answering)
    answering.echo()
    data = os.urandom(message_bytes)
    for _ in range(WARM_UP_ECHOES):
        await offering.round_trip(data)
    durations_s: list[float] = []
    cpu_before_s = time.process_time()
    for _ in range(count):
        started_at = time.perf_counter()
        await offering.round_trip(data)
        durations_s.append(time.perf_counter() - started_at)
    cpu_used_s = time.process_time() - cpu_before_s
    await asyncio.gather(offering.close(), answering.close())
    return {"durations_s": durations_s, "cpu_s": cpu_used_s}


async def measure_memory(make_endpoint: MakeEndpoint, count: int, *, is_traced: bool) -> Line:
    """Connect pairs and keep them; how much the process has grown by, bytes."""
    kept = []

    async def add_pairs(pair_count: int) -> None:
        for _ in range(pair_count):
            offering, answering = await make_endpoint(), await make_endpoint()
            await connect(offering, answering)
            kept.append((offering, answering))

    await add_pairs(WARM_UP_MEMORY_PAIRS)
    if is_traced:
        tracemalloc.start()
    resident_before, traced_before = _settled_bytes()
    await add_pairs(count)
    resident_after, traced_after = _settled_bytes()
    for pair in kept:
        await asyncio.gather(*(endpoint.close() for endpoint in pair))
    return {"resident_bytes": resident_after - resident_before, "traced_bytes": traced_after - traced_before}


def _settled_bytes() -> tuple[int, int]:
    gc.collect()
    return resident_bytes(), tracemalloc.get_traced_memory()[0]


def main() -> None:
    """Run one measurement of one stack."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worker")
    parser.add_argument("what", choices=["transfer", "connect", "rtt", "memory"])
    parser.add_argument("--stack", required=True)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--message-bytes", type=int, default=100)
    parser.add_argument("--tracemalloc", action="store_true")
    parser.add_argument("--profile", default="")
    args = parser.parse_args()
    make_endpoint = load_stack(args.stack)
    measurements = {
        "connect": lambda: measure_connect(make_endpoint, args.count),
        "rtt": lambda: measure_rtt(make_endpoint, args.count, args.message_bytes),
        "memory": lambda: measure_memory(make_endpoint, args.count, is_traced=args.tracemalloc),
    }
    with Sampler(args.profile) if args.profile else contextlib.nullcontext():
        if args.what == "transfer":
            asyncio.run(serve_transfer(make_endpoint))
        else:
            print(json.dumps(asyncio.run(measurements[args.what]())), flush=True)


if __name__ == "__main__":
    main()
