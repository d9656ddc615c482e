"""Looks at recordings without replaying them: what is in one, where two differ, and a part of one."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import zip_longest

import attrs

from sans_rtc.machine import Terminated
from sans_rtc.trace.packets import packets_of
from sans_rtc.trace.wire import (
    Construction,
    Header,
    Outcome,
    Record,
    RecordKind,
    call_now,
    parse_call,
    parse_construction,
    parse_header,
    shorten,
    without_result,
)


@attrs.define(slots=True)
class Summary:
    """What a recording holds.

    calls, events      how many, by name and by class
    datagrams          how many and how many bytes: in, out
    states             (seconds from the first call, event) of what marks the session's way
    dropped            records that were dropped before the rest
    """

    header: Header = attrs.Factory(lambda: Header(0, True, True))
    construction: Construction | None = None
    record_count: int = 0
    byte_count: int = 0
    first_now: float = math.inf
    last_now: float = -math.inf
    calls: Counter[str] = attrs.Factory(Counter)
    raised: Counter[str] = attrs.Factory(Counter)
    events: Counter[str] = attrs.Factory(Counter)
    datagrams_in: int = 0
    datagrams_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    draws: int = 0
    key_log_lines: int = 0
    dropped: int = 0
    states: list[tuple[float, str]] = attrs.Factory(list)

    @property
    def is_replayable(self) -> bool:
        """True where everything is there that a replay needs."""
        is_made = self.construction is not None and bool(self.construction.class_name)
        return is_made and not self.dropped and self.header.has_payloads and self.header.has_secrets

    @property
    def duration_s(self) -> float:
        """Seconds from the first call to the last."""
        return max(0.0, self.last_now - self.first_now) if self.calls else 0.0


def summarize(records: Iterable[Record]) -> Summary:
    """Read a recording from end to end."""
    summary = Summary()
    for record in records:
        summary.record_count += 1
        summary.byte_count += len(record.body) + 5
        match record.kind:
            case RecordKind.HEADER:
                summary.header = parse_header(record)
            case RecordKind.CONSTRUCTION:
                summary.construction = parse_construction(record)
            case RecordKind.ENTROPY:
                summary.draws += 1
            case RecordKind.KEY_LOG:
                summary.key_log_lines += 1
            case RecordKind.DROPPED:
                summary.dropped += int.from_bytes(record.body, "big")
            case RecordKind.CALL:
                _count_call(summary, record)
    return summary


@attrs.frozen(slots=True)
class Difference:
    """The first place where two recordings differ: which record, at what time, and what is there; None: an end."""

    index: int
    now: float
    first: str | None
    second: str | None


def first_difference(first: Iterable[Record], second: Iterable[Record]) -> Difference | None:
    """Compare two recordings record by record; None where they are the same."""
    now = 0.0
    for index, (one, other) in enumerate(zip_longest(first, second)):
        if one is not None and one.kind is RecordKind.CALL:
            now = call_now(one)
        if one != other:
            return Difference(index, now, *[None if item is None else describe(item) for item in (one, other)])
    return None


def describe(record: Record) -> str:
    """One record in a line or two, for people."""
    match record.kind:
        case RecordKind.CALL:
            call = parse_call(record)
            if call.outcome is Outcome.NOT_COMPARED:
                return f"{call} -> (cut away)"
            return f"{call} -> {'raised ' * (call.outcome is Outcome.RAISED)}{shorten(repr(call.value()), 300)}"
        case RecordKind.CONSTRUCTION:
            return f"construction: {shorten(repr(parse_construction(record)), 2000)}"
        case RecordKind.ENTROPY:
            return f"entropy: {len(record.body)} bytes"  # they are keys
        case RecordKind.KEY_LOG:
            return "a line of the key log"
        case _:
            return f"{record.kind.name.lower()}: {record.body.hex()}"


def cut(records: Iterable[Record], from_s: float = -math.inf, to_s: float = math.inf) -> Iterator[Record]:
    """The part from one moment to another, seconds from the first call, with what a replay of it needs.

    What comes later is left out. Of what comes earlier the results are: a replay has to do it all again, since what a
    machine does follows from everything it was told, but compares only what lies within.
    """
    start: float | None = None
    waiting: list[Record] = []  # draws, which belong to the call behind them
    for record in records:
        if record.kind is not RecordKind.CALL:
            if record.kind in (RecordKind.ENTROPY, RecordKind.KEY_LOG):
                waiting.append(record)
            else:
                yield from (*waiting, record)
                waiting = []
            continue
        now = call_now(record)
        start = now if start is None else start
        if now - start > to_s:
            return
        yield from waiting
        waiting = []
        yield record if now - start >= from_s else without_result(record)


def _count_call(summary: Summary, record: Record) -> None:
    call = parse_call(record)
    summary.first_now, summary.last_now = min(summary.first_now, call.now), max(summary.last_now, call.now)
    summary.calls[call.name] += 1
    if call.outcome is Outcome.RAISED:
        summary.raised[call.name] += 1
    for packet in packets_of(call):
        if packet.is_outgoing:
            summary.datagrams_out, summary.bytes_out = summary.datagrams_out + 1, summary.bytes_out + packet.size
        else:
            summary.datagrams_in, summary.bytes_in = summary.datagrams_in + 1, summary.bytes_in + packet.size
    if call.name == "take_events" and call.outcome is Outcome.RETURNED:
        events = call.value()
        for event in events if isinstance(events, tuple) else ():
            name = type(event).__name__
            summary.events[name] += 1
            if isinstance(event, Terminated) or "State" in name:
                summary.states.append((call.now - summary.first_now, event_words(event)))


def event_words(event: object) -> str:
    """An event that changes a state, for people: "ConnectionStateChanged" is "connection state: connected"."""
    if isinstance(event, Terminated):
        return f"terminated: {event.reason} {event.detail}".rstrip()
    name = type(event).__name__
    spaced = "".join([f" {character.lower()}" if character.isupper() else character for character in name])
    state = getattr(event, "state", "")
    return spaced.strip().removesuffix(" changed") + (f": {state}" if state else "")
