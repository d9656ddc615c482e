"""The mDNS querier on a link where one name is known."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.arguments import an_address
from fuzz.life import lives, of_kind, play
from tests.property.scenes.table import KINDS

NAMES = ("known.local", "other.local", "KNOWN.LOCAL.", "example.org", "..local", "\\300.local", "x" * 64 + ".local", "")
NETWORKS = ("10.0.0.0/8", "fe80::/10", "nonsense", "10.0.0.1/99")
VERBS = (
    lambda querier, script, now: querier.resolve(script.pick(NAMES), now),
    lambda querier, script, now: querier.resolve(script.text(80) + ".local", now),
    lambda querier, script, now: querier.cancel(script.pick(NAMES), now),
    lambda querier, script, now: querier.add_local_address(an_address(script), now),
    lambda querier, script, now: querier.remove_local_address(an_address(script), now),
    lambda querier, script, now: querier.set_networks(querier_address(script), [script.pick(NETWORKS)], now),
)
SUBJECT = of_kind(KINDS["querier"], VERBS)


def querier_address(script):
    """The address that the scene has, or another."""
    address = an_address(script)
    return address._replace(host="10.0.0.1", port=5353) if script.below(2) else address


def run(data: bytes) -> None:
    """The bytes are a script."""
    play(SUBJECT, data)


def seeds() -> Iterator[bytes]:
    """Its life, meddled with at each step."""
    yield from lives(len(VERBS), steps=10)
