"""Fuzzed bytes as a script: read from the front, one decision after the other; at the end every decision is zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Choice = TypeVar("Choice")


class Script:
    """A reader that never fails: what a shorter input leaves open is zero, so that inputs can be cut anywhere."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0

    @property
    def is_over(self) -> bool:
        """True where every byte has been read."""
        return self._offset >= len(self._data)

    def below(self, limit: int) -> int:
        """A number of 0 to limit - 1, of as few bytes as it takes."""
        size = max(1, ((limit - 1).bit_length() + 7) // 8)
        return int.from_bytes(self.take(size), "big") % limit

    def pick(self, choices: Sequence[Choice]) -> Choice:
        """One of these."""
        return choices[self.below(len(choices))]

    def blob(self, size_max: int = 0xFFFF) -> bytes:
        """Bytes with their length before them."""
        return self.take(self.below(size_max + 1))

    def text(self, size_max: int = 255) -> str:
        """A text with its length before it."""
        return self.blob(size_max).decode("utf-8", "replace")

    def take(self, size: int) -> bytes:
        """So many bytes, fewer at the end."""
        taken = self._data[self._offset : self._offset + size]
        self._offset += size
        return taken

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self._data))
