"""Timers as a table: a name for each, a deadline for those that are armed.

A protocol has a handful of timers, so the minimum over a small dict beats a heap, and arming again is one store.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)


class Timers(Generic[Name]):
    """Deadlines by name, in seconds on the caller's monotonic scale."""

    __slots__ = ("_deadlines",)

    def __init__(self) -> None:
        self._deadlines: dict[Name, float] = {}

    def arm(self, name: Name, deadline: float) -> None:
        """Set the timer to fire at `deadline`, in place of any earlier setting."""
        assert deadline < math.inf, "an unarmed timer is cancelled, not set to infinity"
        self._deadlines[name] = deadline

    def cancel(self, name: Name) -> None:
        """Disarm the timer; no effect where it is not armed."""
        self._deadlines.pop(name, None)

    def clear(self) -> None:
        """Disarm all."""
        self._deadlines.clear()

    def take_due(self, now: float) -> Sequence[Name]:
        """Disarm and return the timers with deadline <= now, earliest first; equal deadlines in arming order."""
        due = [name for name, deadline in self._deadlines.items() if deadline <= now]
        due.sort(key=self._deadlines.__getitem__)
        for name in due:
            del self._deadlines[name]
        return due

    def is_armed(self, name: Name) -> bool:
        """True where the timer is set."""
        return name in self._deadlines

    def deadline_of(self, name: Name) -> float:
        """When the timer fires; math.inf where it is not armed."""
        return self._deadlines.get(name, math.inf)

    @property
    def deadline(self) -> float:
        """The earliest deadline; math.inf where nothing is armed."""
        return min(self._deadlines.values()) if self._deadlines else math.inf
