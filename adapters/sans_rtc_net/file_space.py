"""Hints to the system for a file that grows fast and is not read again: what makes writing it cheap.

    advance(size)   after each large write: the file has so many bytes
    end(size)       the file is complete

Fresh memory for the page cache is what a write costs most: the system looks for it, a virtual machine asks its host for
it. So what was written is sent to the disk and its memory given back 2 MB later, for the next write to take. And
blocks are reserved in large steps ahead, behind the end of the file, instead of one by one. Where the system knows no
such hint nothing happens.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Callable
from typing import Final

RESERVED_BYTES: Final = 8 << 20
"""Reserved in one step; a process that is killed leaves as much behind the end of its file, unused."""
GIVEN_BACK_BYTES: Final = 1 << 20
"""Written between two hints: twice as much stays in memory, more where the disk does not keep up."""
_KEEP_SIZE: Final = 1  # FALLOC_FL_KEEP_SIZE

Fallocate = Callable[[int, int, int, int], int]


class FileSpace:
    """The hints for one file."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._reserved_end = 0
        self._hint_at = GIVEN_BACK_BYTES
        self._hinted_end = 0
        self._gone_end = 0
        self._fallocate = _find_fallocate()

    def advance(self, size: int) -> None:
        """Look ahead and behind: the file has so many bytes."""
        if self._fallocate is not None and size + RESERVED_BYTES // 2 > self._reserved_end:
            if self._fallocate(self._fd, _KEEP_SIZE, self._reserved_end, RESERVED_BYTES):
                self._fallocate = None  # a file system without it, or the disk is nearly full
            self._reserved_end += RESERVED_BYTES
        if size >= self._hint_at:
            self._give_back(size)

    def end(self, size: int) -> None:
        """Give back what was reserved and is not needed."""
        if self._reserved_end > size:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, size)

    def _give_back(self, size: int) -> None:
        self._hint_at = size + GIVEN_BACK_BYTES
        if hasattr(os, "posix_fadvise"):
            # Of what is new writing begins; what was hinted at before has been written meanwhile, and goes.
            with contextlib.suppress(OSError):
                os.posix_fadvise(self._fd, self._gone_end, size - self._gone_end, os.POSIX_FADV_DONTNEED)
        self._gone_end, self._hinted_end = self._hinted_end, size


def _find_fallocate() -> Fallocate | None:
    """`fallocate(2)`: Python has only `posix_fallocate`, which makes the file longer, or writes all of it."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        function = ctypes.CDLL(None).fallocate64
    except (OSError, AttributeError):
        return None
    function.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    found: Fallocate = function
    return found
