"""What a TURN server costs: processor time of each relayed packet, memory of each allocation; coturn's beside it.

    clients (one process) --ChannelData--> server (another process) --> peer --> server --ChannelData--> clients

Counted are the packets that arrived, each way, and the processor time of the server's process, user and system.
"""

from __future__ import annotations

from typing import Final

import attrs

from benchmarks.report import Cell, ratio
from benchmarks.turn_load import Load
from benchmarks.turn_servers import PASSWORD, USER, TurnProcess, is_installed

SERVERS: Final = ("sans_rtc", "coturn")


@attrs.frozen(slots=True)
class Options:
    """How much is measured.

    allocations  held at the same time, each with a channel that carries data
    size         payload bytes of a packet
    burst        packets that a client sends at once
    """

    allocations: int = 500
    seconds: float = 5.0
    size: int = 1000
    burst: int = 1
    rounds: int = 2


def measure(options: Options) -> list[dict[str, Cell]]:
    """One row for each server that is here, and where both are, how they compare."""
    servers = [name for name in SERVERS if is_installed(name)]
    results: dict[str, list[dict[str, float]]] = {name: [] for name in servers}
    for number in range(options.rounds):
        for name in servers if number % 2 == 0 else reversed(servers):
            results[name].append(_round(name, options))
    rows = [_row(name, rounds, options) for name, rounds in results.items()]
    if len(rows) == 2:
        rows.append(_compared(*rows))
    return rows


def _round(name: str, options: Options) -> dict[str, float]:
    with TurnProcess(name, options.allocations) as server:
        load = Load(server.port, USER, PASSWORD)
        try:
            load.exchange(0.0, options.size, options.burst)
            before_bytes, before_s = server.resident_bytes, server.cpu_s
            allocate_s = load.allocate(options.allocations)
            allocate_cpu_s = server.cpu_s - before_s
            memory_bytes = server.resident_bytes - before_bytes
            load.exchange(min(1.0, options.seconds / 4), options.size, options.burst)
            cpu_s, count = server.cpu_s, load.to_peer_count + load.to_clients_count
            elapsed_s = load.exchange(options.seconds, options.size, options.burst)
            return {
                "packets": load.to_peer_count + load.to_clients_count - count,
                "cpu_s": server.cpu_s - cpu_s,
                "elapsed_s": elapsed_s,
                "memory_bytes": memory_bytes,
                "allocate_s": allocate_s,
                "allocate_cpu_s": allocate_cpu_s,
            }
        finally:
            load.close()


def _row(name: str, rounds: list[dict[str, float]], options: Options) -> dict[str, Cell]:
    total = {key: sum(one[key] for one in rounds) for key in rounds[0]}
    allocation_count = options.allocations * len(rounds)
    return {
        "server": name,
        "allocations": options.allocations,
        "packets_per_s": total["packets"] / total["elapsed_s"],
        "packets_per_cpu_s": total["packets"] / max(total["cpu_s"], 1e-9),
        "cpu_ns_per_packet": total["cpu_s"] / max(total["packets"], 1.0) * 1e9,
        "kib_per_allocation": total["memory_bytes"] / allocation_count / 1024,
        "cpu_us_per_allocation": total["allocate_cpu_s"] / allocation_count * 1e6,
    }


def _compared(ours: dict[str, Cell], theirs: dict[str, Cell]) -> dict[str, Cell]:
    """Ours over theirs."""
    row: dict[str, Cell] = {"server": "ratio", "allocations": ""}
    for name in list(ours)[2:]:
        our, their = ours[name], theirs[name]
        row[name] = ratio(our, their) if isinstance(our, float) and isinstance(their, float) else None
    return row
