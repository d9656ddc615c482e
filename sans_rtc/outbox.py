"""A queue whose whole content is handed over at once, by swapping lists.

No iteration protocol, no callbacks: the taker owns what it took, and the machine goes on with a new list.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Outbox(Generic[Item]):
    """What a machine has to say, in order, until somebody takes it."""

    __slots__ = ("_items", "append")

    def __init__(self) -> None:
        self._items: list[Item] = []
        self.append = self._items.append

    def extend(self, items: Sequence[Item]) -> None:
        """Append each."""
        self._items += items

    def put_back(self, items: Sequence[Item]) -> None:
        """Put what was taken in front of everything again."""
        self._items[:0] = items

    def drop_first(self, count: int) -> None:
        """Forget so many from the front."""
        del self._items[:count]

    def take(self) -> Sequence[Item]:
        """Hand over everything; the next call returns only what came later."""
        items = self._items
        if not items:
            return ()
        self._items = []
        self.append = self._items.append
        return items

    def __len__(self) -> int:
        return len(self._items)
