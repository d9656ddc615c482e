"""Whose request an answer answers, where its path is not the asker's yet: of first checks, and of STUN servers."""

from __future__ import annotations

# RFC 8489 section 6.2.1: a transaction over UDP fails 39.5 s after its first request.
LIFETIME_S = 40.0


class Transactions:
    """Transaction ids and who has drawn them, for one to two lifetimes; bounded: the oldest half goes first."""

    __slots__ = ("_began_at", "_half_max", "_newer", "_older")

    def __init__(self, count_max: int) -> None:
        self._half_max = max(1, count_max // 2)
        self._newer: dict[bytes, int] = {}
        self._older: dict[bytes, int] = {}
        self._began_at = 0.0

    def add(self, transaction_id: bytes, key: int, now: float) -> None:
        """A request with this id has been sent."""
        if now >= self._began_at + LIFETIME_S or len(self._newer) >= self._half_max:
            self._older, self._newer = self._newer, {}
            self._began_at = now
        self._newer[transaction_id] = key

    def find(self, transaction_id: bytes) -> int | None:
        """Who has sent it; None where nobody has, or too long ago."""
        key = self._newer.get(transaction_id)
        return self._older.get(transaction_id) if key is None else key

    def __len__(self) -> int:
        return len(self._newer) + len(self._older)
