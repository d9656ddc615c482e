"""Two machines joined by a link in virtual time: delay, jitter, loss, duplication, reordering, corruption, from a seed.

    link = Link(client, server, seed=7, conditions=LinkConditions(loss=0.2, delay_s=0.03))
    link.run_until(lambda: client_is_connected, within_s=10)

The link drives both ends as an adapter would: datagrams, then events, then the earlier of deadlines and arrivals.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from typing import Any

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc.machine import Datagram, Machine
from sans_rtc.testing.cable import Lane, LinkConditions, damaged
from sans_rtc.testing.clock import VirtualClock
from sans_rtc.testing.entropy import SeededEntropy

# One instant of virtual time may not take more steps than this: two machines answering each other for ever.
STEPS_PER_INSTANT_MAX = 100_000


@attrs.define(slots=True, order=True)
class _Arrival:
    at: float
    order: int
    end: int = attrs.field(order=False)
    item: Any = attrs.field(order=False)


class Link:
    """Joins two machines, `ends[0]` and `ends[1]`; both speak `bytes` or both speak `Datagram`.

    Attributes for tests:
    now         the virtual time, seconds
    events      two lists: every event each end has produced
    sent        two lists: every datagram each end has handed over, before loss
    filter      called as filter(end, datagram) for each datagram sent by an end; returns it, changed or not, or None
                to drop it
    on_event    called as on_event(end, event) at once for each event, so that a test can answer with a verb
    """

    def __init__(
        self,
        first: Machine[Any, Any, Any],
        second: Machine[Any, Any, Any],
        *,
        seed: int | str = 0,
        conditions: LinkConditions | None = None,
        clock: VirtualClock | None = None,
    ) -> None:
        self.ends = (first, second)
        self.conditions = conditions or LinkConditions()
        self.clock = clock or VirtualClock()
        self.events: tuple[list[Any], list[Any]] = ([], [])
        self.sent: tuple[list[Any], list[Any]] = ([], [])
        self.filter: Callable[[int, Any], Any] = lambda end, datagram: datagram
        self.on_event: Callable[[int, Any], None] = lambda end, event: None
        self._chance = SeededEntropy(f"link {seed}")
        self._arrivals: list[_Arrival] = []
        self._order = 0
        self._lanes = (Lane(), Lane())

    @property
    def now(self) -> float:
        """The virtual time, in seconds."""
        return self.clock.now

    def run_for(self, duration_s: float) -> None:
        """Let this much virtual time pass."""
        self._run(self.now + duration_s, lambda: False)

    def run_until(self, condition: Callable[[], bool], *, within_s: float = 60.0) -> float:
        """Run until the condition holds and return the virtual seconds it took; AssertionError where it does not."""
        start = self.now
        if not self._run(start + within_s, condition):
            raise AssertionError(f"the condition does not hold after {within_s} s of virtual time")
        return self.now - start

    def run_until_idle(self, *, within_s: float = 600.0) -> None:
        """Run until nothing is on the way and no timer is armed."""
        idle = self._run(self.now + within_s, lambda: not self._arrivals and self._deadline() == math.inf)
        assert idle, f"still not idle after {within_s} s of virtual time"

    def flush(self) -> None:
        """Take what both ends have to say now, without letting time pass. Call it after using a verb."""
        for _ in range(STEPS_PER_INSTANT_MAX):
            events_came = [self._flush_end(end) for end in (0, 1)]
            if not any(events_came):
                return
        raise AssertionError("events never stop coming")

    def inject(self, end: int, datagram: Any, *, after_s: float = 0.0) -> None:
        """Let something arrive at an end that the other has not sent: a stranger's datagram, or an old one again.

        datagram  as it is received: the `local` of its path is the end's own address
        after_s   seconds from now; no condition of the link applies to it
        """
        if after_s < 0.0:
            raise InvalidArgument(f"after_s must not be negative, is {after_s}")
        self._order += 1
        heapq.heappush(self._arrivals, _Arrival(self.now + after_s, self._order, end, datagram))

    def _run(self, until: float, condition: Callable[[], bool]) -> bool:
        steps = 0
        while True:
            self.flush()
            if condition():
                return True
            moment = min(self._deadline(), self._arrivals[0].at if self._arrivals else math.inf)
            if moment > until:
                if until < math.inf:
                    self.clock.advance_to(max(until, self.now))
                return False
            steps = steps + 1 if moment <= self.now else 0
            assert steps < STEPS_PER_INSTANT_MAX, "time stands still: a deadline in the past that never clears"
            self.clock.advance_to(max(moment, self.now))
            self._deliver_due()
            for machine in self.ends:
                if machine.deadline <= self.now:
                    machine.handle_timer(self.now)

    def _deadline(self) -> float:
        return min(machine.deadline for machine in self.ends)

    def _deliver_due(self) -> None:
        while self._arrivals and self._arrivals[0].at <= self.now:
            arrival = heapq.heappop(self._arrivals)
            self.ends[arrival.end].receive(arrival.item, self.now)

    def _flush_end(self, end: int) -> bool:
        machine = self.ends[end]
        for datagram in machine.take_datagrams(self.now):
            self.sent[end].append(datagram)
            passed = self.filter(end, datagram)
            if passed is not None:
                self._transmit(end, passed)
        events = machine.take_events()
        for event in events:
            self.events[end].append(event)
            self.on_event(end, event)
        return bool(events)

    def _transmit(self, end: int, datagram: Any) -> None:
        size = len(datagram.data if isinstance(datagram, Datagram) else datagram)
        for arrival in self._lanes[end].arrivals(size, self.conditions, self._chance, self.now):
            self._order += 1
            item = self._as_received(datagram)
            heapq.heappush(self._arrivals, _Arrival(arrival, self._order, 1 - end, item))

    def _as_received(self, datagram: Any) -> Any:
        data = datagram.data if isinstance(datagram, Datagram) else datagram
        data = damaged(data, self.conditions, self._chance)
        if isinstance(datagram, Datagram):
            return Datagram(data, datagram.path.reversed(), datagram.ecn)
        return data
