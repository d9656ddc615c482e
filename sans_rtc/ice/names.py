"""Names that somebody else has to resolve: each is asked for once, and waits no longer than it should."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sans_rtc.outbox import Outbox


class Names:
    """Questions to the driver, and its answers.

    count_max  names known at a time; for one beyond that the answer is at once that it does not exist
    """

    __slots__ = ("_answered", "_answers", "_count_max", "_pending", "_questions", "_timeout_s")

    def __init__(self, timeout_s: float, count_max: int) -> None:
        self._timeout_s = timeout_s
        self._count_max = count_max
        self._pending: dict[str, float] = {}
        self._answered: dict[str, tuple[str, ...]] = {}
        self._questions: Outbox[str] = Outbox()
        self._answers: Outbox[tuple[str, tuple[str, ...]]] = Outbox()

    def ask(self, name: str, now: float) -> None:
        """Ask for a name; what is known already is answered again, what is being asked for is not asked twice."""
        if name in self._answered:
            self._answers.append((name, self._answered[name]))
        elif len(self._pending) + len(self._answered) >= self._count_max:
            self._answers.append((name, ()))
        elif name not in self._pending:
            self._pending[name] = now + self._timeout_s
            self._questions.append(name)

    def answer(self, name: str, hosts: tuple[str, ...]) -> None:
        """The driver's answer; one that was not asked for, or comes too late, is ignored."""
        if self._pending.pop(name, None) is not None:
            self._answered[name] = hosts
            self._answers.append((name, hosts))

    def handle_timer(self, now: float) -> None:
        """Give up on names that have waited for too long."""
        for name in [name for name, deadline in self._pending.items() if deadline <= now]:
            self.answer(name, ())

    def forget(self) -> None:
        """Drop the answers: the network may have changed."""
        self._answered.clear()

    def take_questions(self) -> Sequence[str]:
        """Hand over the names to be resolved."""
        return self._questions.take()

    def take_answers(self) -> Sequence[tuple[str, tuple[str, ...]]]:
        """Hand over names with their hosts, none where a name does not exist."""
        return self._answers.take()

    @property
    def deadline(self) -> float:
        """When the next name is given up."""
        return min(self._pending.values()) if self._pending else math.inf
