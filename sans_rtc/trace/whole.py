"""A recording with everything in it again that it tells by checksums: what the machine sent and said, from a replay."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from sans_rtc.entropy import Entropy
from sans_rtc.errors import WireError
from sans_rtc.trace.replay import NotReplayable, Replayer, ReplayMismatch
from sans_rtc.trace.values import Encoder
from sans_rtc.trace.wire import Outcome, Record, RecordKind, parse_header, serialize_header

# What a replay raises where the machine has a bug, or is called with what no recording of this version says.
BUGS: Final = (AssertionError, TypeError, ValueError, AttributeError, LookupError, ArithmeticError)
_OUTPUTS: Final = frozenset({"take_datagrams", "take_events"})
_FRAME_BYTES: Final = 5


def whole(records: Iterable[Record], make: Callable[[Entropy], Any] | None = None) -> Iterator[Record]:
    """The same records, outputs whole. Where the replay ends early, for whatever reason, the rest comes as it is.

    make  as `replay` takes it
    """
    replayer: Replayer | None = Replayer(make)
    encoder = Encoder()
    for record in records:
        if record.kind is RecordKind.HEADER:
            header = parse_header(record)
            if header.has_checksums:
                serialized = serialize_header(
                    has_payloads=header.has_payloads, has_secrets=header.has_secrets, library=header.library
                )
                yield Record(RecordKind.HEADER, serialized[_FRAME_BYTES:])
            else:
                replayer = None
                yield record
                continue
        replayer = _stepped(replayer, record)
        if record.kind is RecordKind.HEADER:
            continue
        call = None if replayer is None or record.kind is not RecordKind.CALL else replayer.last_call
        if replayer is None or call is None or call.name not in _OUTPUTS or call.outcome is not Outcome.RETURNED:
            yield record
        else:
            head = record.body[: len(record.body) - len(call.result)]
            yield Record(RecordKind.CALL, head + encoder.encode(replayer.last_result))


def _stepped(replayer: Replayer | None, record: Record) -> Replayer | None:
    """The replayer after one more record; None once it goes on no further."""
    if replayer is None:
        return None
    try:
        replayer.step(record)
    except (NotReplayable, ReplayMismatch, WireError, *BUGS):
        # An altered recording calls with anything; of what it says the machine did, no more can be made out.
        return None
    return replayer
