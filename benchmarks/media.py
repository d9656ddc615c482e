"""RTP packets through a whole peer between two processes on loopback, beside another stack in the same run.

One process sends encoded video in real time, the other counts the packets and the whole frames that came. At a rate
that both bear, the processor time for each packet tells them apart; the rate then grows until frames stay away, which
tells the packets in a second. The warm-up is left out, and rounds alternate which stack goes first, as with the data
channel.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from benchmarks.media_stack import PACKET_BYTES
from benchmarks.processes import Line, Worker
from benchmarks.report import Cell, ratio

RATES_MBIT_S = (2.5, 10.0)
FRAMES_PER_S = 30.0
# The search for the most: 1800 packets a second at first, then this much more each time.
MOST_BEGINS_MBIT_S = 16.0
MOST_ENDS_MBIT_S = 2000.0
MOST_STEP = 1.3
MOST_HALVINGS = 3
MOST_PACKETS_PER_FRAME = 10
MOST_SHARE = 0.99


@attrs.frozen(slots=True)
class Load:
    """What is sent."""

    mbit_s: float
    frames_per_s: float


@attrs.define(slots=True)
class Received:
    """What one stack did at one rate, all rounds together."""

    packets: int = 0
    frames: int = 0
    frames_sent: int = 0
    frames_due: float = 0.0
    duration_s: float = 0.0
    sender_cpu_s: float = 0.0
    receiver_cpu_s: float = 0.0

    @property
    def keeps_up(self) -> bool:
        """Nearly every frame was sent in time and came."""
        return min(self.frames, self.frames_sent) >= MOST_SHARE * self.frames_due

    @property
    def packets_per_s(self) -> float:
        """Packets that arrived in a second."""
        return self.packets / self.duration_s if self.duration_s else 0.0

    @property
    def packets_per_cpu_s(self) -> float | None:
        """Packets that arrived for each second of processor time of both processes."""
        return ratio(self.packets, self.sender_cpu_s + self.receiver_cpu_s)


@attrs.frozen(slots=True)
class Options:
    """How much is measured.

    seconds    duration of one transfer, after the warm-up
    warm_up_s  what is sent before it counts: congestion control finds the rate meanwhile
    rounds     transfers of each stack and rate
    finds_most the rate grows, too
    profile    a folder for profiles of the processes; empty: none
    """

    seconds: float = 3.0
    warm_up_s: float = 3.0
    rounds: int = 2
    profile: str = ""
    finds_most: bool = True


def measure(peer: str | None, rates_mbit_s: Sequence[float], options: Options) -> list[dict[str, Cell]]:
    """One row for each rate and stack, and one of the most that each stack bears; WorkerFailed where one fails."""
    stacks = ["sans_rtc", peer] if peer else ["sans_rtc"]
    rows: list[dict[str, Cell]] = []
    for mbit_s in rates_mbit_s:
        done = {stack: Received() for stack in stacks}
        for number in range(options.rounds):
            for stack in stacks if number % 2 == 0 else reversed(stacks):
                _transfer(stack, Load(mbit_s, FRAMES_PER_S), options, done[stack])
        rows += _rows(f"{mbit_s:g}", done, peer)
    if options.finds_most:
        rows += _rows("most", {stack: _most(stack, options) for stack in stacks}, peer)
    return rows


def _most(stack: str, options: Options) -> Received:
    """The highest rate at which nearly every frame comes: by large steps, then between the last two by halves."""
    best = Received()
    mbit_s = MOST_BEGINS_MBIT_S
    while mbit_s < MOST_ENDS_MBIT_S:
        done = _tried(stack, mbit_s, options)
        if not done.keeps_up:
            break
        best = done
        mbit_s *= MOST_STEP
    low, high = mbit_s / MOST_STEP, mbit_s
    for _ in range(MOST_HALVINGS):
        middle = (low + high) / 2
        done = _tried(stack, middle, options)
        if done.keeps_up:
            low, best = middle, done
        else:
            high = middle
    return best


def _tried(stack: str, mbit_s: float, options: Options) -> Received:
    """A transfer at a rate, and another one where it did not keep up: the machine may have had something else to do."""
    for _ in range(2):
        done = Received()
        # Frames of a few packets: an unpaced frame of hundreds overflows a socket's buffer, whatever the stack.
        _transfer(stack, Load(mbit_s, mbit_s * 1e6 / 8 / PACKET_BYTES / MOST_PACKETS_PER_FRAME), options, done)
        if done.keeps_up:
            break
    return done


def _rows(rate: str, done: Mapping[str, Received], peer: str | None) -> list[dict[str, Cell]]:
    theirs = done.get(peer or "")
    return [_row(rate, stack, received, theirs) for stack, received in done.items()]


def _row(rate: str, stack: str, received: Received, theirs: Received | None) -> dict[str, Cell]:
    sender_s, receiver_s = (
        ratio(received.sender_cpu_s, received.packets),
        ratio(received.receiver_cpu_s, received.packets),
    )
    return {
        "mbit_s": rate,
        "stack": stack,
        "packets_per_s": received.packets_per_s,
        "frames_received_share": ratio(received.frames, received.frames_sent),
        "sender_cpu_us_per_packet": None if sender_s is None else sender_s * 1e6,
        "receiver_cpu_us_per_packet": None if receiver_s is None else receiver_s * 1e6,
        "packets_per_cpu_s": received.packets_per_cpu_s,
        "times_peer": ratio(received.packets_per_cpu_s, theirs.packets_per_cpu_s) if theirs else None,
    }


def _transfer(stack: str, load: Load, options: Options, done: Received) -> None:
    with _worker(stack, load, "sender", options) as sender, _worker(stack, load, "receiver", options) as receiver:
        offer = sender.ask("offer")["sdp"]
        answer = receiver.ask("answer", sdp=offer)["sdp"]
        sender.ask("accept", sdp=answer)
        _ask_both(sender, receiver, "connected")
        sender.ask("send")
        time.sleep(options.warm_up_s)
        before = _ask_both(sender, receiver, "mark")
        time.sleep(options.seconds)
        after = _ask_both(sender, receiver, "mark")
        _ask_both(sender, receiver, "close")
    sent, received = (_differences(before[end], after[end]) for end in (0, 1))
    done.packets += int(received["packets"])
    done.frames += int(received["frames"])
    done.frames_sent += int(sent["frames_sent"])
    done.frames_due += load.frames_per_s * sent["at_s"]
    done.duration_s += received["at_s"]
    done.sender_cpu_s += sent["cpu_s"]
    done.receiver_cpu_s += received["cpu_s"]


def _worker(stack: str, load: Load, end: str, options: Options) -> Worker:
    command = [sys.executable, "-m", "benchmarks.media_worker", "--stack", stack]
    command += ["--mbit-s", str(load.mbit_s), "--frames-per-s", str(load.frames_per_s)]
    if options.profile:
        command += ["--profile", str(Path(options.profile).resolve() / f"media-{stack}-{load.mbit_s:g}-{end}.txt")]
    return Worker(stack, command=command)


def _ask_both(sender: Worker, receiver: Worker, do: str) -> tuple[Line, Line]:
    sender.begin(do)
    receiver.begin(do)
    return sender.answer(do), receiver.answer(do)


def _differences(before: Line, after: Line) -> dict[str, float]:
    found = {}
    for field, first in before.items():
        last = after[field]
        assert isinstance(first, int | float) and isinstance(last, int | float)
        found[field] = last - first
    return found
