"""How long a handshake may take: time on a path that is alive; silence of the path is not the peer's."""

from __future__ import annotations

import math


class HandshakeClock:
    """Runs from the beginning of a handshake to its end, and stands still while the path is silent.

    Each silence leaves what was left: one that is there and gone again, and again, gains no time by it.

    deadline  when the handshake is given up; math.inf where none is under way, or the path is silent
    is_still  the path is silent
    """

    __slots__ = ("_left_s", "_timeout_s", "deadline", "is_still")

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._left_s: float | None = None  # as of when it was set or stood still; None: no handshake is under way
        self.deadline = math.inf
        self.is_still = False

    def start(self, now: float) -> None:
        """A handshake is under way; no effect where that is known."""
        if self._left_s is None:
            self._give(self._timeout_s, now)

    def renew(self, now: float) -> None:
        """Give the handshake that is under way, if one is, all of its time."""
        if self._left_s is not None:
            self._give(self._timeout_s, now)

    def stop(self) -> None:
        """The handshake is over."""
        self._left_s = None
        self.deadline = math.inf

    def stand_still(self, now: float) -> None:
        """The path is silent; no effect where that is known."""
        if self._left_s is not None and not self.is_still:
            self._left_s = max(self.deadline - now, 0.0)
        self.is_still = True
        self.deadline = math.inf

    def go_on(self, now: float) -> None:
        """The path is alive again; no effect where it was not silent."""
        if self.is_still:
            self.is_still = False
            if self._left_s is not None:
                self._give(self._left_s, now)

    def _give(self, left_s: float, now: float) -> None:
        self._left_s = left_s
        self.deadline = math.inf if self.is_still else now + left_s
