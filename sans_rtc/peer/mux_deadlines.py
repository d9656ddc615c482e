"""The earliest of many deadlines, each of which moves often: a heap whose first entry always counts."""

from __future__ import annotations

import heapq

from sans_rtc.machine import UNARMED

# Entries for each key before those that are of no use any more are swept out.
STALE_FACTOR = 4


class Deadlines:
    """When each of many machines wants to be looked at. Arming costs O(log n), reading the earliest nothing.

    A deadline that comes nearer is noted at once. One that moves away is not: its machine is looked at when it would
    have been due, and noted anew then. So a timer that is put off with every packet costs nothing.
    """

    __slots__ = ("_armed", "_heap")

    def __init__(self) -> None:
        self._armed: dict[int, float] = {}
        self._heap: list[tuple[float, int]] = []

    def arm(self, key: int, deadline: float) -> None:
        """Look at this machine then, or earlier."""
        if deadline >= self._armed.get(key, UNARMED):
            return
        self._armed[key] = deadline
        heapq.heappush(self._heap, (deadline, key))
        if len(self._heap) > STALE_FACTOR * (len(self._armed) + 1):
            self._heap = [(deadline, key) for key, deadline in self._armed.items()]
            heapq.heapify(self._heap)

    def forget(self, key: int) -> None:
        """The machine is gone."""
        self._armed.pop(key, None)
        self._prune()

    def take_due(self, now: float) -> list[int]:
        """Disarm and return those that are to be looked at now, each once."""
        due = []
        while self._heap and self._heap[0][0] <= now:
            deadline, key = heapq.heappop(self._heap)
            if self._armed.get(key) == deadline:
                del self._armed[key]
                due.append(key)
        self._prune()
        return due

    @property
    def earliest(self) -> float:
        """When the first of them is to be looked at; math.inf where none is."""
        return self._heap[0][0] if self._heap else UNARMED

    def __len__(self) -> int:
        return len(self._heap)

    def _prune(self) -> None:
        """Drop entries at the top that do not count any more."""
        heap, armed = self._heap, self._armed
        while heap and armed.get(heap[0][1]) != heap[0][0]:
            heapq.heappop(heap)
