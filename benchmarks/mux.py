"""Many idle peers on one UDP port: their memory, what they cost while nothing happens, and how fast one of them is.

The peers of one port are in one process, their clients in another, each with a socket of its own, so that the costs of
the two are told apart. Idle peers are not silent: each checks about once a second that the other end is there.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import attrs

from benchmarks.processes import Line, Worker
from benchmarks.report import Cell

BATCH = 20
MESSAGE_BYTES = 16_384


@attrs.frozen(slots=True)
class Options:
    """How much is measured.

    peers      on the one port
    idle_s     how long nothing happens
    seconds    duration of each transfer
    warm_up_s  what is sent before it counts
    settle_s   after the set-up, before anything is measured
    check_s    how often each peer looks whether the other end is there
    profile    a folder for profiles of both processes; empty: none
    """

    peers: int = 1000
    idle_s: float = 10.0
    seconds: float = 3.0
    warm_up_s: float = 1.0
    settle_s: float = 3.0
    check_s: float = 1.0
    profile: str = ""


def measure(options: Options) -> list[dict[str, Cell]]:
    """One row; WorkerFailed where a process fails."""
    with _worker("server", options) as server, _worker("clients", options) as clients:
        _connect(server, clients, 1)
        alone = _transfer(server, clients, options)
        before = server.ask("mark", is_settled=True), clients.ask("mark", is_settled=True)
        began_at = time.perf_counter()
        for start in range(1, options.peers, BATCH):
            _connect(server, clients, min(BATCH, options.peers - start))
        connect_s = time.perf_counter() - began_at
        time.sleep(options.settle_s)
        full = server.ask("mark", is_settled=True), clients.ask("mark", is_settled=True)
        idle = _idle(server, clients, options)
        among = _transfer(server, clients, options)
        route_s = server.ask("route")["route_s"]
        for end in (clients, server):
            end.ask("close")
    assert isinstance(route_s, float)
    added = max(1, options.peers - 1)
    return [
        {
            "peers": options.peers,
            "check_s": options.check_s,
            "server_kib_per_peer": _difference(before[0], full[0], "resident_bytes") / 1024 / added,
            "client_kib_per_peer": _difference(before[1], full[1], "resident_bytes") / 1024 / added,
            "connect_ms_per_peer": connect_s / added * 1e3,
            "server_idle_cpu_ms_per_s": idle[0],
            "client_idle_cpu_ms_per_s": idle[1],
            "server_idle_cpu_us_per_peer_s": idle[0] * 1e3 / options.peers,
            "mb_s_alone": alone,
            "mb_s_among_idle": among,
            "route_ns_per_datagram": route_s * 1e9,
        }
    ]


def _worker(role: str, options: Options) -> Worker:
    command = [sys.executable, "-m", "benchmarks.mux_worker", role, "--peers", str(options.peers)]
    command += ["--check", str(options.check_s)]
    if options.profile:
        command += ["--profile", str(Path(options.profile).resolve() / f"mux-{role}.txt")]
    return Worker(f"mux {role}", command=command)


def _connect(server: Worker, clients: Worker, count: int) -> None:
    offers = clients.ask("offer", count=count)["sdps"]
    answers = server.ask("answer", sdps=offers)["sdps"]
    clients.ask("accept", sdps=answers)
    server.ask("opened")


def _transfer(server: Worker, clients: Worker, options: Options) -> float:
    """What the first client brings to its peer, megabytes a second."""
    clients.ask("send", message_bytes=MESSAGE_BYTES)
    time.sleep(options.warm_up_s)
    before = server.ask("mark")
    time.sleep(options.seconds)
    after = server.ask("mark")
    clients.ask("stop")
    return _difference(before, after, "bytes") / _difference(before, after, "at_s") / 1e6


def _idle(server: Worker, clients: Worker, options: Options) -> tuple[float, float]:
    """Processor time of each process while nothing happens, milliseconds a second."""
    before = server.ask("mark"), clients.ask("mark")
    time.sleep(options.idle_s)
    after = server.ask("mark"), clients.ask("mark")
    shares = [
        _difference(first, last, "cpu_s") / _difference(first, last, "at_s") * 1e3
        for first, last in zip(before, after, strict=True)
    ]
    return shares[0], shares[1]


def _difference(before: Line, after: Line, field: str) -> float:
    first, last = before[field], after[field]
    assert isinstance(first, int | float) and isinstance(last, int | float)
    return last - first
