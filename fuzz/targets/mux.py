"""The mux with two clients, and with strangers who knock."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.arguments import a_stream, an_address
from fuzz.life import Subject, lives, play
from sans_rtc.machine import Datagram
from sans_rtc.testing import LinkConditions
from tests.mux.conftest import Plaza, certificate, client_address
from tests.property.scenes.forgeries import forge_any
from tests.property.scenes.scene import Step


def _key(mux, script):
    return mux.keys[script.below(len(mux.keys))] if mux.keys else script.below(4)


VERBS = (
    lambda mux, script, now: mux.create(None, certificate("server"), now),
    lambda mux, script, now: mux.remove(_key(mux, script), now),
    lambda mux, script, now: mux.touch(_key(mux, script), now),
    lambda mux, script, now: mux.peer(script.below(4)).close(now),
    lambda mux, script, now: mux.add_local_address(an_address(script), "eth1", now),
    lambda mux, script, now: mux.remove_local_address(an_address(script), now),
    lambda mux, script, now: mux.add_tcp_listener(an_address(script), "eth0", now),
    lambda mux, script, now: mux.remove_tcp_listener(an_address(script), now),
    lambda mux, script, now: mux.stream_opened(a_stream(script), now),
    lambda mux, script, now: mux.stream_closed(a_stream(script), "gone", now),
)


class Square:
    """A plaza as a scene: its mux is the machine."""

    end = 0

    def __init__(self, conditions: LinkConditions) -> None:
        self.plaza = Plaza(conditions=conditions)
        self.machine, self.front, self.link = self.plaza.mux, self.plaza.front, self.plaza.link
        self.usual_path = self.plaza.path(0)
        self.wire: list[bytes] = []
        self._as_usual = self.link.filter
        self.link.filter = self._overhear
        self.steps = [
            Step(0.0, lambda: self.plaza.offer(0)),
            Step(0.02, lambda: self.plaza.offer(1)),
            Step(0.05, lambda: None),
            Step(2.0, lambda: self._talk(0)),
            Step(0.1, lambda: self._talk(1)),
            Step(8.0, lambda: self.plaza.clients[0].close(self.now)),
            Step(2.0, lambda: self._remove(1)),
        ]

    @property
    def now(self) -> float:
        return self.link.now

    def as_input(self, data, source=None):
        """Bytes as a datagram, from the first client or a stranger."""
        return Datagram(data, source or self.usual_path)

    def _talk(self, number):
        if number in self.plaza.handles:
            self.plaza.say(number, "to")
            self.plaza.ask(number, "from")

    def _remove(self, number):
        if number in self.plaza.keys:  # the script may have closed the mux before it could be made
            self.machine.remove(self.plaza.keys[number], self.now)

    def _overhear(self, end, datagram):
        if end == 1 and datagram.path.local == client_address(0):
            self.wire.append(datagram.data)
        return self._as_usual(end, datagram)


SUBJECT = Subject(Square, VERBS, forge_any, items_max=100_000, bytes_max=8_000_000)


def run(data: bytes) -> None:
    """The bytes are a script."""
    play(SUBJECT, data)


def seeds() -> Iterator[bytes]:
    """Its life, meddled with at each step."""
    yield from lives(len(VERBS), steps=7)
