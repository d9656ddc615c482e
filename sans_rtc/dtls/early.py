"""What has come before its time, kept within bounds until it can be used."""

from __future__ import annotations

from typing import Generic, TypeVar

Item = TypeVar("Item")


class EarlyBuffer(Generic[Item]):
    """A bounded list; what does not fit is the caller's to discard, so that the first to come are kept.

    count_max  items
    bytes_max  of all items
    """

    __slots__ = ("_bytes", "_bytes_max", "_count_max", "_items")

    def __init__(self, count_max: int, bytes_max: int) -> None:
        self._count_max = count_max
        self._bytes_max = bytes_max
        self._items: list[Item] = []
        self._bytes = 0

    def add(self, item: Item, size: int) -> bool:
        """Keep an item of this many bytes; False where the buffer is full."""
        if len(self._items) >= self._count_max or self._bytes + size > self._bytes_max:
            return False
        self._items.append(item)
        self._bytes += size
        return True

    def take(self) -> list[Item]:
        """Hand over everything, in the order it came."""
        items, self._items, self._bytes = self._items, [], 0
        return items

    def __len__(self) -> int:
        return len(self._items)

    def close(self) -> None:
        """Drop everything and keep nothing more."""
        self._items, self._bytes, self._count_max = [], 0, 0
