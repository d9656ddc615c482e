"""Who looks on while a `Network` runs: told of every datagram sent, every event, and every step that is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from sans_rtc.machine import Datagram

if TYPE_CHECKING:
    from sans_rtc.testing.host import Program


class Watch(Protocol):
    """What `Network.watch` may be; it must not change anything, and raises AssertionError where something is wrong."""

    def on_datagram(self, program: Program, datagram: Datagram) -> None:
        """A machine has handed this over, before anything happens to it on the way."""

    def on_event(self, program: Program, event: Any) -> None:
        """A machine has told this; the application hears of it next."""

    def on_step(self, program: Program) -> None:
        """A machine has nothing more to say at this moment."""
