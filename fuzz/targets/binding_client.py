"""The client of STUN Binding, with a server that answers late."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.life import lives, of_kind, play
from tests.property.scenes.table import KINDS

VERBS = (lambda client, script, now: client.start(now),)
SUBJECT = of_kind(KINDS["binding answered"], VERBS)


def run(data: bytes) -> None:
    """The bytes are a script."""
    play(SUBJECT, data)


def seeds() -> Iterator[bytes]:
    """Its life, meddled with at each step."""
    yield from lives(len(VERBS), steps=5)
