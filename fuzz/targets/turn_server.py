"""The TURN server with one client that knows the password, and with strangers."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.arguments import a_stream, an_address
from fuzz.life import lives, play
from fuzz.relay import subject
from sans_rtc.turn.server import Credentials, User

USERS = ((), (User("alice", "secret"),), (User("alice", "other"),), (User("bob", "secret"),))
VERBS = (
    lambda server, script, now: server.set_credentials(Credentials(users=script.pick(USERS)), now),
    lambda server, script, now: server.relay_opened(script.below(4), an_address(script), now),
    lambda server, script, now: server.relay_failed(script.below(4), "taken", now),
    lambda server, script, now: server.stream_opened(a_stream(script), now),
    lambda server, script, now: server.stream_closed(a_stream(script), "gone", now),
    lambda server, script, now: server.explain(now),
)
SUBJECT = subject(1, VERBS)


def run(data: bytes) -> None:
    """The bytes are a script."""
    play(SUBJECT, data)


def seeds() -> Iterator[bytes]:
    """The client's life, meddled with at each step."""
    yield from lives(len(VERBS), steps=9)
