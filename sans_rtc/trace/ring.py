"""A sink bounded in size: the newest records, and with them what makes sense of them."""

from __future__ import annotations

from collections import deque
from typing import Final

from sans_rtc.errors import InvalidArgument
from sans_rtc.trace.wire import FRAME, Record, RecordKind

# Kept however old: what the machine is, and the keys of its datagrams.
_PINNED: Final = frozenset({RecordKind.HEADER, RecordKind.CONSTRUCTION, RecordKind.KEY_LOG})
PINNED_COUNT_MAX: Final = 256


class Ring:
    """Keeps the newest records of a recording, up to a number of bytes.

    Once records have been dropped there is no replay, which needs all from the first; the rest can be looked at,
    exported and decrypted.
    """

    def __init__(self, bytes_max: int) -> None:
        """Make an empty one.

        bytes_max  of the records, pinned ones aside; the newest is kept whatever its size
        """
        if bytes_max < 1:
            raise InvalidArgument(f"bytes_max is at least 1, not {bytes_max}")
        self._bytes_max = bytes_max
        self._pinned: list[bytes] = []
        self._records: deque[bytes] = deque()
        self._byte_count = 0
        self._dropped_count = 0

    def __call__(self, record: bytes) -> None:
        """Take one record: a ring is a sink."""
        self._records.append(record)
        self._byte_count += len(record)
        while self._byte_count > self._bytes_max and len(self._records) > 1:
            self._drop(self._records.popleft())

    @property
    def dropped_count(self) -> int:
        """How many records there is no room for any more."""
        return self._dropped_count

    def contents(self) -> bytes:
        """The recording as it is kept."""
        gap = []
        if self._dropped_count:
            gap = [Record(RecordKind.DROPPED, self._dropped_count.to_bytes(8, "big")).serialize()]
        return b"".join([*self._pinned[:1], *gap, *self._pinned[1:], *self._records])

    def _drop(self, record: bytes) -> None:
        self._byte_count -= len(record)
        if FRAME.unpack_from(record)[1] in _PINNED and len(self._pinned) < PINNED_COUNT_MAX:
            self._pinned.append(record)
        else:
            self._dropped_count += 1
