"""What applications and signalling do, and when: part of the same virtual time as the link."""

import heapq
import math

from sans_rtc.testing import ContractMonitor


class Timeline:
    """Calls at moments, in order; equal moments in the order in which they were added."""

    def __init__(self):
        self._calls = []
        self._count = 0

    def add(self, at, call):
        """Have call() done at a moment."""
        self._count += 1
        heapq.heappush(self._calls, (at, self._count, call))

    def run_due(self, now):
        """Do what is due."""
        while self._calls and self._calls[0][0] <= now:
            heapq.heappop(self._calls)[2]()

    @property
    def next_at(self):
        return self._calls[0][0] if self._calls else math.inf


class Scheduled(ContractMonitor):
    """Stands before a machine on the link, asserts the contract, and wakes the link for the timeline as well."""

    def __init__(self, machine, timeline):
        super().__init__(machine)
        self._timeline = timeline

    def handle_timer(self, now):
        if self.machine.deadline <= now:
            super().handle_timer(now)
        self._timeline.run_due(now)

    @property
    def deadline(self):
        return min(self.machine.deadline, self._timeline.next_at)
