"""Entropy that is the same at every run: SHA-256 of a seed and a counter, as a stream of bytes.

For tests and simulations only: whoever knows the seed knows every key.
"""

from __future__ import annotations

import hashlib


class SeededEntropy:
    """A deterministic `Entropy`: equal seeds give equal streams; streams of different seeds are unrelated."""

    def __init__(self, seed: int | str) -> None:
        self._prefix = str(seed).encode() + b"/"
        self._counter = 0
        self._left = b""

    def __call__(self, length: int) -> bytes:
        """Return the next `length` bytes of the stream."""
        if length <= len(self._left):
            taken, self._left = self._left[:length], self._left[length:]
            return taken
        blocks = [self._left]
        have = len(self._left)
        while have < length:
            blocks.append(hashlib.sha256(self._prefix + str(self._counter).encode()).digest())
            self._counter += 1
            have += 32
        stream = b"".join(blocks)
        self._left = stream[length:]
        return stream[:length]

    def fraction(self) -> float:
        """The next float from 0.0 up to, not including, 1.0."""
        return (int.from_bytes(self(8), "big") >> 11) / (1 << 53)

    def below(self, limit: int) -> int:
        """The next integer from 0 to limit - 1."""
        return int.from_bytes(self(16), "big") % limit
