"""The client of a DTLS connection, before, during and after the handshake."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.arguments import a_number, some_data
from fuzz.insider import speak_dtls
from fuzz.life import lives, of_kind, play
from tests.property.scenes.table import KINDS

VERBS = (
    lambda connection, script, now: connection.start(now),
    lambda connection, script, now: connection.send(some_data(script), now),
    lambda connection, script, now: connection.path_changed(now),
    lambda connection, script, now: connection.path_silent(now),
    lambda connection, script, now: connection.path_alive(now),
    lambda connection, script, now: connection.export_keying_material(b"EXTRACTOR-dtls_srtp", a_number(script) & 0xFFF),
)
SUBJECT = of_kind(KINDS["dtls client"], VERBS, insider=speak_dtls)


def run(data: bytes) -> None:
    """The bytes are a script."""
    play(SUBJECT, data)


def seeds() -> Iterator[bytes]:
    """Its life, meddled with at each step."""
    yield from lives(len(VERBS), steps=10)
