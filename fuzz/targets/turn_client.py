"""The TURN client with a server that keeps the rules, and whoever meddles with what that says."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.arguments import HOSTS, a_stream, an_address, some_data
from fuzz.life import lives, play
from fuzz.relay import PEER, subject

VERBS = (
    lambda client, script, now: client.allocate(now),
    lambda client, script, now: client.send(some_data(script), PEER, now),
    lambda client, script, now: client.send(some_data(script), an_address(script), now),
    lambda client, script, now: client.create_permission(script.pick(HOSTS), now),
    lambda client, script, now: client.bind_channel(an_address(script), now),
    lambda client, script, now: client.connect(an_address(script), now),
    lambda client, script, now: client.disconnect(an_address(script), now),
    lambda client, script, now: client.set_credentials(script.text(8), script.text(8), now),
    lambda client, script, now: client.set_credentials("alice", script.pick(("secret", "wrong")), now),
    lambda client, script, now: client.stream_opened(a_stream(script), now),
    lambda client, script, now: client.stream_closed(a_stream(script), "gone", now),
    lambda client, script, now: client.explain(),
)
SUBJECT = subject(0, VERBS)


def run(data: bytes) -> None:
    """The bytes are a script."""
    play(SUBJECT, data)


def seeds() -> Iterator[bytes]:
    """Its life, meddled with at each step."""
    yield from lives(len(VERBS), steps=9)
