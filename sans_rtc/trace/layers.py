"""The SCTP association of a recorded peer, as a recording of its own that can be shown to others and replayed.

    peer's recording --lived again--> calls of its association --lived again, blank--> calls of the same kinds and sizes

What identifies a session and what opens it is below SCTP or above it, and what an association does depends on the sizes
of messages, not on what is in them. So, unlike the redacted recording of a whole peer (`redact`), this one is replayed
to the byte: windows, losses, retransmissions and resets, as they were.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from sans_rtc.entropy import Entropy
from sans_rtc.errors import LocalError
from sans_rtc.machine import Trace
from sans_rtc.peer.connection import PeerConnection
from sans_rtc.peer.layers import tap_association
from sans_rtc.sctp import Association, SctpConfig
from sans_rtc.trace.recorder import RecordOptions, make_recorded
from sans_rtc.trace.redact_sctp import blank_packet
from sans_rtc.trace.replay import NotReplayable, Replayer
from sans_rtc.trace.wire import Call, Record, RecordKind, parse_call, parse_construction, read_records

_WHOLE: Final = RecordOptions(checksums=False)
_ASSOCIATION: Final = f"{Association.__module__}:{Association.__qualname__}"


def redact_association(records: Iterable[Record], number: int = 0) -> Iterator[bytes]:
    """The association of a peer's recording, or a recorded association, with every payload blank: a recording.

    number  which of the associations of the peer's life, from 0: each DTLS handshake makes one
    Errors  NotReplayable where the recording has no replay, or no such association in it; ReplayMismatch; WireError for
            what is no recording
    """
    before: list[Record] = []
    rest = iter(records)
    for record in rest:
        before.append(record)
        if record.kind is RecordKind.CONSTRUCTION:
            break
    everything = chain(before, rest)
    is_association = before and before[-1].kind is RecordKind.CONSTRUCTION and _class_of(before[-1]) == _ASSOCIATION
    return _lived_blank(everything if is_association else read_records(_lived_within(everything, number)))


def _class_of(record: Record) -> str:
    return parse_construction(record).class_name


def _lived_within(records: Iterable[Record], number: int) -> Iterator[bytes]:
    """A peer lives again, and one of its associations is recorded as it does."""
    replayer = Replayer()
    made: list[list[bytes]] = []

    def make(config: SctpConfig, *, entropy: Entropy, trace: Trace | None) -> Association:
        made.append([])
        return make_recorded(Association, config, entropy=entropy, sink=made[-1].append, options=_WHOLE)

    for record in records:
        replayer.step(record)
        if record.kind is RecordKind.CONSTRUCTION:
            if not isinstance(replayer.machine, PeerConnection):
                raise NotReplayable(f"a {type(replayer.machine).__name__} has no SCTP association")
            tap_association(replayer.machine, make)
        for index, pieces in enumerate(made):
            if index == number:
                yield from pieces
            pieces.clear()
    if len(made) <= number:
        raise NotReplayable(f"it has {len(made)} SCTP associations, and none with number {number}, from 0")


def _lived_blank(records: Iterable[Record]) -> Iterator[bytes]:
    """An association lives again, with blank messages of the same sizes; the recording of that."""
    draws: deque[bytes] = deque()
    pieces: list[bytes] = []
    machine: Association | None = None

    def draw(length: int) -> bytes:
        if not draws or len(draws[0]) != length:
            raise NotReplayable(f"it has no draw of {length} bytes where one is needed")
        return draws.popleft()

    for record in records:
        if record.kind is RecordKind.ENTROPY:
            draws.append(record.body)
        elif record.kind is RecordKind.CONSTRUCTION:
            construction = parse_construction(record)
            config = construction.arguments[0]
            if not isinstance(config, SctpConfig):
                raise NotReplayable("the configuration of the association is not in it")
            machine = make_recorded(Association, config, entropy=draw, sink=pieces.append)
        elif record.kind is RecordKind.CALL and machine is not None:
            _call(machine, parse_call(record))
        elif record.kind is RecordKind.DROPPED:
            raise NotReplayable("its older records were dropped, and a replay needs all from the first")
        yield from pieces
        pieces.clear()


def _call(machine: Association, call: Call) -> None:
    arguments = tuple([_blank(call.name, argument) for argument in call.arguments])
    try:
        getattr(machine, call.name)(*arguments, *(() if call.name == "take_events" else (call.now,)))
    except LocalError:
        pass  # as it was when it was recorded; it is in this recording as well


def _blank(name: str, argument: object) -> object:
    if not isinstance(argument, bytes):
        return argument
    return blank_packet(argument) if name == "receive" else bytes(len(argument))
