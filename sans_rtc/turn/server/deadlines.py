"""Many deadlines, most of which move before they come: a heap that finds out late.

Each item says in `wake_at` when it wants to be looked at. Moving that further away costs nothing: the item is looked
at in vain once. Moving it nearer pushes a second entry; the first is stale and skipped. So a packet, a refresh or a
permission costs at most one push, whatever the number of allocations.
"""

from __future__ import annotations

import heapq
import math
from typing import Generic, Protocol, TypeVar

# Stale entries kept before the heap is built anew, beside two for each item that waits.
STALE_COUNT_MAX = 1024


class Waking(Protocol):
    """What can wait in `Deadlines`. `wake_at` is math.inf while it does not; only `Deadlines` sets it."""

    wake_at: float


Item = TypeVar("Item", bound=Waking)


class Deadlines(Generic[Item]):
    """Items by the time at which they want to be looked at."""

    __slots__ = ("_heap", "_order", "_waiting_count")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Item]] = []
        self._order = 0
        self._waiting_count = 0

    def wake(self, item: Item, at: float) -> None:
        """Look at the item no later than `at`."""
        if at >= item.wake_at:
            return
        if item.wake_at == math.inf:
            self._waiting_count += 1
        item.wake_at = at
        self._order += 1
        heapq.heappush(self._heap, (at, self._order, item))
        if len(self._heap) > 2 * self._waiting_count + STALE_COUNT_MAX:
            self._heap = [entry for entry in self._heap if entry[2].wake_at == entry[0]]
            heapq.heapify(self._heap)

    def forget(self, item: Item) -> None:
        """The item is gone; its entries go when their time comes, or when they become too many."""
        if item.wake_at < math.inf:
            item.wake_at = math.inf
            self._waiting_count -= 1

    def take_due(self, now: float) -> list[Item]:
        """The items to look at now; they wait no longer until `wake` is called again."""
        due = []
        while self._heap and self._heap[0][0] <= now:
            at, _, item = heapq.heappop(self._heap)
            if item.wake_at == at:
                self.forget(item)
                due.append(item)
        return due

    def clear(self) -> None:
        """Forget everything."""
        self._heap.clear()
        self._waiting_count = 0

    @property
    def deadline(self) -> float:
        """When the first item wants to be looked at, stale entries included; math.inf without any."""
        return self._heap[0][0] if self._heap else math.inf

    def __len__(self) -> int:
        return len(self._heap)
