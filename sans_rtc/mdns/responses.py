"""What a responder says, how often, and what it counts (RFC 6762 sections 7.1 and 18)."""

from __future__ import annotations

import math
from collections.abc import Iterable

import attrs

from sans_rtc.mdns.wire import DnsMessage, Record, name_key


@attrs.define(slots=True)
class ResponderStats:
    """Counters of a responder; `discards` by ResponderDiscardReason."""

    announcements_sent: int = 0
    responses_sent: int = 0
    goodbyes_sent: int = 0
    discards: dict[str, int] = attrs.field(factory=dict)


class Rate:
    """So many a second, and as many at once after a second of silence."""

    __slots__ = ("_credit", "_credit_at", "_per_s")

    def __init__(self, per_s: float) -> None:
        self._per_s = self._credit = per_s
        self._credit_at = -math.inf

    def take(self, now: float) -> bool:
        """Take one, where there is one left."""
        self._credit = min(self._per_s, self._credit + self._per_s * (now - self._credit_at))
        self._credit_at = now
        if self._credit < 1.0:
            return False
        self._credit -= 1.0
        return True


def response(records: list[Record]) -> DnsMessage:
    """Section 18: id zero, authoritative; who asked is not told to the group."""
    return DnsMessage(is_response=True, is_authoritative=True, answers=records)


def is_known(record: Record, known_answers: Iterable[Record]) -> bool:
    """Section 7.1: the asker knows it, and for at least half of its time to come."""
    key = name_key(record.name)
    return any(
        known.type == record.type
        and known.data == record.data
        and 2 * known.ttl_s >= record.ttl_s
        and name_key(known.name) == key
        for known in known_answers
    )
