"""What came of the pairs, in the words of the oracle, and as a table for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace

from interop_peers.nat_lab import PORT, TLS_PORT
from interop_peers.nat_matrix import Result
from tests.nat.access import KINDS as ACCESSES
from tests.nat.oracle import APART, BY_PROTOCOL, DIRECT, NONE, OUTCOMES, TCP, TLS, UDP, expected

SERVICES = (("udp", PORT), ("tcp", PORT), ("tls", TLS_PORT))
SHORT = {DIRECT: "direct", UDP: "UDP", TCP: "TCP", TLS: "TLS", NONE: "none"}


def must_be(first: str, second: str) -> str:
    """What must come of two kinds of hosts, with every way to the server open that their firewalls leave."""
    accesses = (ACCESSES[first], ACCESSES[second])
    return expected(SimpleNamespace(accesses=accesses, relation=APART, services=SERVICES))


def outcome_of(result: Result) -> str:
    """What has come of a pair: the worst of what both ends need."""
    if result.took_s is None:
        return NONE
    return max((BY_PROTOCOL[relay] for relay in result.relays), key=OUTCOMES.index, default=DIRECT)


def table_of(kinds: Sequence[str], results: Mapping[tuple[str, str], Result]) -> str:
    """A table in Markdown: both ends' kinds, and how their data travel."""
    lines = ["| | " + " | ".join(kinds) + " |", "| --- |" + " --- |" * len(kinds)]
    for row, first in enumerate(kinds):
        cells = [SHORT[outcome_of(results[kinds[min(row, column)], kinds[max(row, column)]])]
                 for column in range(len(kinds))]  # fmt: skip
        lines.append(f"| **{first}** | " + " | ".join(cells) + " |")
    return "\n".join(lines)
