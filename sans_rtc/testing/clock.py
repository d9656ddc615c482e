"""A clock that moves only when told to."""

from __future__ import annotations

from sans_rtc.errors import InvalidArgument


class VirtualClock:
    """Monotonic seconds under the test's control. It starts at a number that is not zero, to catch code that
    mistakes "never" for 0.0."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def advance(self, duration_s: float) -> float:
        """Move forward and return the new now."""
        return self.advance_to(self.now + duration_s)

    def advance_to(self, moment: float) -> float:
        """Move to a later moment and return it."""
        if moment < self.now:
            raise InvalidArgument(f"time does not run backwards: {moment} < {self.now}")
        self.now = moment
        return moment
