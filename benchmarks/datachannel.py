"""Throughput of one data channel between two processes on loopback, beside another stack in the same run.

One process sends messages of one size, as many as go; the other counts what its application received. The warm-up is
left out: both processes are asked for their counters at its end and at the end, and the differences count. Rounds
alternate which stack goes first, so that a machine that gets slower or busier does not favour one of them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import attrs

from benchmarks.processes import Line, Worker
from benchmarks.report import Cell, ratio

SIZES_BYTES = (1024, 16_384, 65_536)


@attrs.define(slots=True)
class Transferred:
    """What one stack did with one message size, all rounds together."""

    byte_count: float = 0.0
    duration_s: float = 0.0
    cpu_s: float = 0.0

    @property
    def mb_s(self) -> float:
        """Megabytes (10**6 bytes) a second."""
        return self.byte_count / self.duration_s / 1e6

    @property
    def cpu_ns_per_byte(self) -> float | None:
        """Processor time of both processes for each byte, nanoseconds; None where nothing was transferred."""
        return self.cpu_s / self.byte_count * 1e9 if self.byte_count else None


@attrs.frozen(slots=True)
class Options:
    """How much is measured.

    seconds    duration of one transfer, after the warm-up
    warm_up_s  what is sent before it counts
    rounds     transfers of each stack and size
    profile    a folder for profiles of the processes; empty: none
    """

    seconds: float = 3.0
    warm_up_s: float = 1.0
    rounds: int = 2
    profile: str = ""


def measure(peer: str | None, sizes: Sequence[int], options: Options) -> list[dict[str, Cell]]:
    """One row for each message size; WorkerFailed where a process fails."""
    return [_row(peer, size, options) for size in sizes]


Ends = tuple[str, str]
"""The stack of the sender, and that of the receiver."""


def measure_stacks(stacks: Sequence[Ends], size: int, options: Options) -> list[Transferred]:
    """What each pair did with messages of one size, in turns; WorkerFailed where a process fails."""
    done = {ends: Transferred() for ends in stacks}
    for number in range(options.rounds):
        for ends in stacks if number % 2 == 0 else reversed(stacks):
            _transfer(ends, size, options, done[ends])
    return list(done.values())


def _row(peer: str | None, size: int, options: Options) -> dict[str, Cell]:
    stacks = ["sans_rtc", peer] if peer else ["sans_rtc"]
    done = dict(zip(stacks, measure_stacks([(stack, stack) for stack in stacks], size, options), strict=True))
    ours, theirs = done["sans_rtc"], done.get(peer or "")
    return {
        "message_bytes": size,
        "sans_rtc_mb_s": ours.mb_s,
        "peer_mb_s": theirs.mb_s if theirs else None,
        "ratio": ratio(ours.mb_s, theirs.mb_s) if theirs else None,
        "sans_rtc_cpu_ns_per_byte": ours.cpu_ns_per_byte,
        "peer_cpu_ns_per_byte": theirs.cpu_ns_per_byte if theirs else None,
    }


def _transfer(ends: Ends, size: int, options: Options, done: Transferred) -> None:
    roles = zip(ends, ("sender", "receiver"), strict=True)
    profiles = [_profile_path(options.profile, stack, size, role) for stack, role in roles]
    with Worker(ends[0], profile=profiles[0]) as sender, Worker(ends[1], profile=profiles[1]) as receiver:
        offer = sender.ask("offer")["sdp"]
        answer = receiver.ask("answer", sdp=offer)["sdp"]
        sender.ask("accept", sdp=answer)
        _ask_both(sender, receiver, "opened")
        sender.ask("send", message_bytes=size)
        time.sleep(options.warm_up_s)
        before = _ask_both(sender, receiver, "mark")
        time.sleep(options.seconds)
        after = _ask_both(sender, receiver, "mark")
        _ask_both(sender, receiver, "close")
    done.byte_count += _difference(before[1], after[1], "bytes")
    done.duration_s += _difference(before[1], after[1], "at_s")
    done.cpu_s += sum(_difference(before[end], after[end], "cpu_s") for end in (0, 1))


def _ask_both(sender: Worker, receiver: Worker, do: str) -> tuple[Line, Line]:
    sender.begin(do)
    receiver.begin(do)
    return sender.answer(do), receiver.answer(do)


def _difference(before: Line, after: Line, field: str) -> float:
    first, last = before[field], after[field]
    assert isinstance(first, int | float) and isinstance(last, int | float)
    return last - first


def _profile_path(folder: str, stack: str, size: int, end: str) -> str:
    return str(Path(folder).resolve() / f"{stack}-{size}-{end}.txt") if folder else ""
