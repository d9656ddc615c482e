"""The SCTP association; the first byte decides which end it is. Damaged packets get the checksum that they deserve."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.arguments import a_number, a_reliability, some_data
from fuzz.life import lives, of_kind, play
from tests.property.scenes.table import KINDS

VERBS = (
    lambda association, script, now: association.connect(now),
    lambda association, script, now: association.send(
        a_number(script), 51, some_data(script), a_reliability(script), now
    ),
    lambda association, script, now: association.send(
        script.below(8), 53, some_data(script), a_reliability(script), now
    ),
    lambda association, script, now: association.consume(a_number(script), now),
    lambda association, script, now: association.reset_streams([script.below(8) for _ in range(script.below(4))], now),
    lambda association, script, now: association.reset_streams([a_number(script)], now),
    lambda association, script, now: association.set_stream_weight(script.below(8), a_number(script), now),
    lambda association, script, now: association.set_low_threshold(script.below(8), a_number(script), now),
    lambda association, script, now: association.path_changed(now),
    lambda association, script, now: association.path_silent(now),
    lambda association, script, now: association.path_alive(now),
    lambda association, script, now: association.allow_probes(bool(script.below(2)), now),
    lambda association, script, now: association.take_probe(now),
)
SUBJECTS = tuple(of_kind(KINDS[f"sctp {end}"], VERBS) for end in ("caller", "callee"))


def run(data: bytes) -> None:
    """The first byte chooses the end, the rest is a script."""
    if data:
        play(SUBJECTS[data[0] & 1], data[1:])


def seeds() -> Iterator[bytes]:
    """Both lives, meddled with at each step."""
    for number, life in enumerate(lives(len(VERBS), steps=28)):
        yield bytes((number & 1,)) + life
