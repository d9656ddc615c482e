"""Drives a fresh machine through a recording and compares every byte that comes out of it.

    report = replay(file_bytes)        ReplayMismatch where anything differs, NotReplayable where it cannot be done

The machine draws its entropy from the recording: the same draws, in the same calls, of the same lengths.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import attrs

from sans_rtc.entropy import Entropy
from sans_rtc.errors import LocalError, SansRtcError, Unsupported
from sans_rtc.machine import Datagram
from sans_rtc.trace.reading import Decoder, find_maker
from sans_rtc.trace.recorder import inputs_of, kind_of
from sans_rtc.trace.values import Bursts, Encoder
from sans_rtc.trace.wire import (
    Call,
    Construction,
    Header,
    Outcome,
    Record,
    RecordKind,
    parse_call,
    parse_construction,
    parse_header,
    read_records,
    shorten,
)
from sans_rtc.trace.withheld import LeftOut


class NotReplayable(SansRtcError):
    """The recording lacks what a replay needs; the message says what."""


class ReplayMismatch(SansRtcError):
    """The machine did something else than it did when it was recorded.

    index     of the call, from 0; -1: the construction
    call      what led to it, for people
    expected  what the recording says
    actual    what came
    """

    def __init__(self, index: int, call: str, expected: object, actual: object) -> None:
        super().__init__(
            f"call {index}: {call}\n  expected {shorten(repr(expected), 400)}\n  actual   {shorten(repr(actual), 400)}"
        )
        self.index = index
        self.call = call
        self.expected = expected
        self.actual = actual


@attrs.define(slots=True)
class ReplayReport:
    """What was replayed, all of it the same.

    datagrams_in, datagrams_out  how many
    compared_bytes               of results: datagrams, events, what verbs return or raise
    draws                        of entropy
    last_now                     seconds, of the last call
    """

    calls: int = 0
    datagrams_in: int = 0
    datagrams_out: int = 0
    events: int = 0
    compared_bytes: int = 0
    draws: int = 0
    first_now: float = 0.0
    last_now: float = 0.0


def replay(
    records: bytes | Iterable[bytes],
    *,
    make: Callable[[Entropy], Any] | None = None,
) -> ReplayReport:
    """Play a recording to a fresh machine.

    records  a recording, whole or in pieces of any size, as a file is read
    make     makes the machine from the entropy it is given; None: as the recording says that it was made
    Errors   ReplayMismatch at the first difference; NotReplayable; WireError for what is no recording
    """
    return Replayer(make).run(read_records(records))


class Replayer:
    """One replay."""

    def __init__(self, make: Callable[[Entropy], Any] | None = None) -> None:
        self.machine: Any = None
        """The machine, as far as it has come."""
        self.report = ReplayReport()
        self.last_call: Call | None = None
        """The call played last, and what it returned."""
        self.last_result: object = None
        self._make = make
        self._draws: deque[bytes] = deque()
        self._encoder = Encoder()
        self._inputs: frozenset[str] = frozenset()
        self._at = "the construction"

    def run(self, records: Iterable[Record]) -> ReplayReport:
        """Take all records; return what was done."""
        for record in records:
            self.step(record)
        if self.machine is None:
            raise NotReplayable("it does not say how the machine was made")
        return self.report

    def step(self, record: Record) -> None:
        """Take one record: between two of them the machine may be read."""
        match record.kind:
            case RecordKind.CALL:
                self._on_call(record)
            case RecordKind.ENTROPY:
                self._draws.append(record.body)
            case RecordKind.CONSTRUCTION:
                self._construct(parse_construction(record))
            case RecordKind.HEADER:
                header = _require_whole(record)
                if header.has_checksums:
                    self._encoder = Encoder(bursts=Bursts.SINGLY if header.version == 2 else Bursts.CHECKED)
            case RecordKind.DROPPED:
                raise NotReplayable("its older records were dropped, and a replay needs all from the first")
            case RecordKind.KEY_LOG:
                pass

    def _draw(self, length: int) -> bytes:
        if not self._draws:
            raise ReplayMismatch(self._index, self._at, "no draw of entropy", f"a draw of {length} bytes")
        drawn = self._draws.popleft()
        if len(drawn) != length:
            expected = f"a draw of {len(drawn)} bytes"
            raise ReplayMismatch(self._index, self._at, expected, f"a draw of {length} bytes")
        self.report.draws += 1
        return drawn

    @property
    def _index(self) -> int:
        return -1 if self.machine is None else self.report.calls

    def _construct(self, construction: Construction | None) -> None:
        if self._make is not None:
            self.machine = self._make(self._draw)
        elif construction is None or not construction.class_name:
            raise NotReplayable("it does not say how the machine was made: give `make`")
        else:
            self.machine = _constructed(construction, self._draw)
        if construction is not None:
            self._require_no_draws_left(-1)
        self._inputs = frozenset([*inputs_of(kind_of(self.machine)), "take_events"])

    def _on_call(self, record: Record) -> None:
        call = parse_call(record)
        index = self.report.calls
        if self.machine is None:
            self._at = "the construction"
            self._construct(None)
        if call.name not in self._inputs:
            raise ReplayMismatch(index, str(call), call.name, f"{type(self.machine).__name__} takes no such call")
        self._at = call.name
        outcome, result = self._play(call)
        if call.outcome is not Outcome.NOT_COMPARED:
            encoded = self._encoder.encode(result)
            if outcome is not call.outcome or encoded != call.result:
                raise ReplayMismatch(index, str(call), _shown(call.outcome, call.result), _shown(outcome, encoded))
            self.report.compared_bytes += len(encoded)
        self._require_no_draws_left(index, call)
        self._count(call, result)
        self.last_call, self.last_result = call, result

    def _play(self, call: Call) -> tuple[Outcome, object]:
        method = getattr(self.machine, call.name)
        arguments = call.arguments if call.name == "take_events" else (*call.arguments, call.now)
        has_returned = False
        try:
            result = method(*arguments)
            has_returned = True
        except LocalError as error:
            return Outcome.RAISED, [type(error).__qualname__, str(error)]
        finally:
            failure = sys.exc_info()[1]
            if not has_returned and call.outcome is Outcome.RAISED and failure is not None:
                failure.add_note(f"as the recording says of call {self.report.calls}: {call}")
        return Outcome.RETURNED, result

    def _require_no_draws_left(self, index: int, call: Call | None = None) -> None:
        if self._draws:
            left = f"{len(self._draws)} more draws of entropy"
            raise ReplayMismatch(index, str(call or "the construction"), left, "none")

    def _count(self, call: Call, result: object) -> None:
        report = self.report
        if not report.calls:
            report.first_now = call.now
        report.calls += 1
        report.last_now = call.now
        if call.name == "take_datagrams" and isinstance(result, Sequence):
            report.datagrams_out += len(result)
        elif call.name == "take_events" and isinstance(result, Sequence):
            report.events += len(result)
        elif call.name == "receive":
            report.datagrams_in += 1
        elif call.name == "receive_many" and isinstance(call.arguments[0], Sequence):
            report.datagrams_in += len(call.arguments[0])


def _require_whole(record: Record) -> Header:
    header = parse_header(record)
    if header.is_redacted:
        raise NotReplayable("it was redacted: what a replay needs, keys and payloads, is not in it")
    if not header.has_secrets:
        raise NotReplayable("it was made without secrets, and a replay needs the entropy")
    if not header.has_payloads:
        raise NotReplayable("it was made without payloads, and a replay needs them")
    return header


def _constructed(construction: Construction, entropy: Entropy) -> Any:
    make = find_maker(construction.class_name)
    arguments = [_plain(argument) for argument in construction.arguments]
    named = {name: _plain(value) for name, value in construction.named.items()}
    try:
        return make(*arguments, entropy=entropy, **named)
    except LocalError as error:  # a snapshot of another version of the library
        raise NotReplayable(f"the machine cannot be made as it was: {error}") from error
    except TypeError as error:
        raise Unsupported(f"{construction.class_name} is made in another way now: {error}", field="class") from error


def _plain(value: object) -> object:
    if isinstance(value, LeftOut):
        raise NotReplayable(f"an argument of the construction is not in it: {value.what}")
    return value


def _shown(outcome: Outcome, encoded: bytes) -> object:
    value = Decoder(encoded).value()
    if outcome is Outcome.RAISED:
        return ("raised", value)
    if isinstance(value, tuple):
        return [(item.data.hex(), str(item.path)) if isinstance(item, Datagram) else item for item in value]
    return value
