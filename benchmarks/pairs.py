"""What pairs of peers in one process cost: to set up, to echo between, and to keep; beside another stack.

Each measurement runs in a process of its own stack; rounds alternate which stack goes first.
"""

from __future__ import annotations

import statistics
from typing import Final

import attrs

from benchmarks.processes import Line, run_once
from benchmarks.report import Cell, percentile

ECHO_MESSAGE_BYTES: Final = 100
START_S_MAX: Final = 30.0
PAIR_S_MAX: Final = 5.0
ECHO_S_MAX: Final = 0.1


@attrs.frozen(slots=True)
class Options:
    """How much is measured.

    count    pairs, or echoes, of each round
    rounds   processes of each stack
    profile  a file for the profile of the last process; empty: none
    """

    count: int
    rounds: int = 2
    profile: str = ""


def measure_connect(peer: str | None, options: Options) -> list[dict[str, Cell]]:
    """Set-up of a pair, from making both peers to the open channel at both ends: one row a stack."""
    results = _all_rounds("connect", peer, options, [], START_S_MAX + PAIR_S_MAX * options.count)
    return [_connect_row(stack, lines) for stack, lines in results.items()]


def measure_rtt(peer: str | None, options: Options) -> list[dict[str, Cell]]:
    """Round trip of a small message, one at a time: one row a stack."""
    arguments = ["--message-bytes", str(ECHO_MESSAGE_BYTES)]
    results = _all_rounds("rtt", peer, options, arguments, START_S_MAX + ECHO_S_MAX * options.count)
    return [_rtt_row(stack, lines) for stack, lines in results.items()]


def measure_memory(peer: str | None, options: Options, *, is_traced: bool) -> list[dict[str, Cell]]:
    """Growth of the process for each idle connected peer: one row a stack."""
    arguments = ["--tracemalloc"] if is_traced else []
    results = _all_rounds("memory", peer, options, arguments, START_S_MAX + PAIR_S_MAX * options.count)
    return [_memory_row(stack, lines, options.count) for stack, lines in results.items()]


def _all_rounds(
    what: str, peer: str | None, options: Options, arguments: list[str], timeout_s: float
) -> dict[str, list[Line]]:
    results: dict[str, list[Line]] = {stack: [] for stack in ("sans_rtc", peer) if stack}
    arguments = ["--count", str(options.count), *arguments]
    for number in range(options.rounds):
        for stack in results if number % 2 == 0 else reversed(results):
            profile = f"{options.profile}-{stack}.txt" if options.profile else ""
            results[stack].append(run_once(what, stack, arguments, timeout_s=timeout_s, profile=profile))
    return results


def _connect_row(stack: str, lines: list[Line]) -> dict[str, Cell]:
    durations_s, cpu_s = _numbers(lines, "durations_s"), _numbers(lines, "cpu_s")
    return {
        "stack": stack,
        "pairs": len(durations_s),
        "median_ms": statistics.median(durations_s) * 1e3,
        "p90_ms": percentile(durations_s, 0.9) * 1e3,
        "cpu_ms_per_pair": statistics.fmean(cpu_s) * 1e3,
        "pairs_per_cpu_s": len(cpu_s) / sum(cpu_s),
    }


def _rtt_row(stack: str, lines: list[Line]) -> dict[str, Cell]:
    durations_s = _numbers(lines, "durations_s")
    return {
        "stack": stack,
        "message_bytes": ECHO_MESSAGE_BYTES,
        "echoes": len(durations_s),
        "median_us": statistics.median(durations_s) * 1e6,
        "p90_us": percentile(durations_s, 0.9) * 1e6,
        "p99_us": percentile(durations_s, 0.99) * 1e6,
        "cpu_us_per_echo": sum(_numbers(lines, "cpu_s")) / len(durations_s) * 1e6,
    }


def _memory_row(stack: str, lines: list[Line], pair_count: int) -> dict[str, Cell]:
    resident, traced = _numbers(lines, "resident_bytes"), _numbers(lines, "traced_bytes")
    return {
        "stack": stack,
        "pairs": pair_count,
        "resident_kib_per_peer": statistics.median(resident) / (2 * pair_count) / 1024,
        "python_kib_per_peer": statistics.median(traced) / (2 * pair_count) / 1024 if any(traced) else None,
    }


def _numbers(lines: list[Line], field: str) -> list[float]:
    """The numbers of a field in all lines; a field holds one number or a list of them."""
    numbers: list[float] = []
    for line in lines:
        value = line[field]
        numbers += value if isinstance(value, list) else [value]  # type: ignore[list-item]  # JSON of our own worker
    return numbers
