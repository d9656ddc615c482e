"""The contract of design.md as a checker: wrap any machine, use it as before, and every breach is an AssertionError.

Checked at each step: `now` never decreases; after a drain the deadline is not in the past; reads change nothing;
`Terminated` comes once and last; afterwards nothing is armed and nothing more comes out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from sans_rtc.machine import Machine, Path, Terminated

In = TypeVar("In")
Out = TypeVar("Out")
Event = TypeVar("Event")

# A machine that still has a timer due after this many runs at one instant is spinning.
TIMER_RUNS_PER_INSTANT_MAX = 100


def drain(machine: Machine[Any, Out, Event], now: float) -> tuple[list[Out], list[Event]]:
    """Take datagrams and events until no more events come, as a driver does (design.md, rule 4)."""
    datagrams: list[Out] = list(machine.take_datagrams(now))
    events: list[Event] = []
    for _ in range(TIMER_RUNS_PER_INSTANT_MAX):
        new = machine.take_events()
        if not new:
            return datagrams, events
        events += new
        datagrams += machine.take_datagrams(now)
    raise AssertionError("events never stop coming")


class ContractMonitor(Generic[In, Out, Event]):
    """Stands before a machine, passes every call on and asserts the contract around it.

    The machine's own verbs are reached through `machine`; call `check(now)` after using one.
    """

    def __init__(self, machine: Machine[In, Out, Event]) -> None:
        self.machine = machine
        self._now = -math.inf
        self._ended = False

    def receive(self, datagram: In, now: float) -> None:
        self._advance(now)
        self.machine.receive(datagram, now)

    def handle_timer(self, now: float) -> None:
        self._advance(now)
        self.machine.handle_timer(now)

    def stream_opened(self, path: Path, now: float) -> None:
        self._advance(now)
        self.machine.stream_opened(path, now)  # type: ignore[attr-defined]  # called for machines that use streams

    def stream_closed(self, path: Path, reason: str, now: float) -> None:
        self._advance(now)
        self.machine.stream_closed(path, reason, now)  # type: ignore[attr-defined]  # as above

    def close(self, now: float) -> None:
        self._advance(now)
        self.machine.close(now)

    def take_datagrams(self, now: float) -> Sequence[Out]:
        self._advance(now)
        datagrams = self.machine.take_datagrams(now)
        assert not self.machine.take_datagrams(now), "a second take at the same instant hands over more"
        return datagrams

    def take_events(self) -> Sequence[Event]:
        events = self.machine.take_events()
        for index, event in enumerate(events):
            assert not self._ended, f"{event!r} after Terminated"
            if isinstance(event, Terminated):
                assert index == len(events) - 1, "Terminated is not the last event"
                self._ended = True
        if self._ended:
            assert self.machine.is_terminated, "Terminated was taken, is_terminated says no"
        return events

    @property
    def deadline(self) -> float:
        return self.machine.deadline

    @property
    def is_terminated(self) -> bool:
        return self.machine.is_terminated

    def check(self, now: float) -> None:
        """Assert what must hold after a drain at `now`."""
        machine = self.machine
        deadline = machine.deadline
        assert not math.isnan(deadline), "the deadline is not a number"
        assert deadline == machine.deadline, "reading the deadline changes it"
        assert deadline == math.inf or deadline < now + 1e9, "a far-future deadline stands for none"
        for _ in range(TIMER_RUNS_PER_INSTANT_MAX):
            if deadline > now:
                break
            machine.handle_timer(now)
            deadline = machine.deadline
        else:
            raise AssertionError("a timer stays due however often it is handled")
        if self._ended:
            assert deadline == math.inf, "a timer is armed after Terminated"

    def _advance(self, now: float) -> None:
        assert now >= self._now, "the test lets time run backwards"
        self._now = now
