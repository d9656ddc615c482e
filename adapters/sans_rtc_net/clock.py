"""The system's clocks, read in one place."""

from __future__ import annotations

import time
from collections.abc import Callable

monotonic = time.monotonic
"""Seconds since some moment in the past, never decreasing: the `now` of every machine an adapter drives."""


def wall_clock_offset_s(clock: Callable[[], float] = monotonic) -> float:
    """Seconds to add to `clock()` for Unix time; read once and given to a configuration (design.md, rule 6)."""
    return time.time() - clock()
