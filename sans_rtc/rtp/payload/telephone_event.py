"""Named telephone events, DTMF first of all (RFC 4733 section 2).

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |     event     |E|R| volume    |          duration             |   one or more, one after the other in time
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

`EventSender` and `EventReceiver` are in event_transforms.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

import attrs

from sans_rtc.errors import InvalidArgument, Malformed, Truncated

# Section 3.2, table 3: the digits, in the order of their codes 0 to 15.
DTMF_DIGITS = "0123456789*#ABCD"
# Section 2.4.1 has no bound; a payload of 64 events is 256 bytes, and contiguous events are rarely packed at all.
EVENT_COUNT_MAX = 64
DURATION_MAX = 0xFFFF
# Section 2.5.1.1: "the sender SHOULD assume support for the DTMF events 0-15 but for no other events".
DTMF_EVENTS = frozenset(range(16))
# -dBm0: what browsers say of their digits.
DTMF_VOLUME = 10

_REPORT = struct.Struct("!BBH")


@attrs.define(slots=True)
class EventReport:
    """One report: an event has lasted `duration_ticks` so far, or, with is_end, altogether; volume is 0 to 63 -dBm0."""

    event: int
    duration_ticks: int
    is_end: bool = False
    volume: int = DTMF_VOLUME


def parse_event_payload(payload: bytes) -> list[EventReport]:
    """The reports of a payload, in the order of time; the reserved bit is ignored (section 2.3.3)."""
    if not payload or len(payload) % 4:
        raise Truncated(f"event reports in {len(payload)} bytes", field="event", offset=len(payload) & ~3)
    if len(payload) > EVENT_COUNT_MAX * 4:
        raise Malformed(f"more than {EVENT_COUNT_MAX} event reports", field="event")
    return [
        EventReport(e, duration, flags >= 0x80, flags & 0x3F) for e, flags, duration in _REPORT.iter_unpack(payload)
    ]


def serialize_event_payload(reports: Sequence[EventReport]) -> bytes:
    """Reports as one payload; InvalidArgument for values out of range."""
    if not 0 < len(reports) <= EVENT_COUNT_MAX:
        raise InvalidArgument(f"1 to {EVENT_COUNT_MAX} event reports, not {len(reports)}")
    for report in reports:
        if not (0 <= report.event <= 255 and 0 <= report.volume <= 63 and 0 <= report.duration_ticks <= DURATION_MAX):
            raise InvalidArgument(f"out of range: {report}")
    return b"".join([_REPORT.pack(r.event, r.is_end << 7 | r.volume, r.duration_ticks) for r in reports])


def event_of_digit(digit: str) -> int:
    """The event code of a DTMF digit: 0 to 9, * and #, A to D."""
    code = DTMF_DIGITS.find(digit.upper()) if len(digit) == 1 else -1
    if code < 0:
        raise InvalidArgument(f"not a DTMF digit: {digit!r}")
    return code


def parse_events(text: str) -> frozenset[int]:
    """The events of `a=fmtp:101 0-15,66,70` (section 2.4.1); Malformed where it is something else."""
    if not text.strip():
        return DTMF_EVENTS
    events: set[int] = set()
    text = text.strip()
    if text.lower().startswith("events="):
        text = text[len("events=") :].strip('"')
    for part in text.split(",", 256):
        first, dash, last = part.strip().partition("-")
        numbers = (first, last) if dash else (first, first)
        if not all(number.isascii() and number.isdigit() and len(number) <= 3 for number in numbers):
            raise Malformed(f"not a range of events: {part[:40]!r}", field="events")
        low, high = map(int, numbers)
        if not low <= high <= 255:
            raise Malformed(f"not a range of events: {part[:40]!r}", field="events")
        events.update(range(low, high + 1))
    return frozenset(events)


def serialize_events(events: Iterable[int]) -> str:
    """Events as the shortest list of codes and ranges in rising order."""
    ranges: list[list[int]] = []
    for event in sorted(set(events)):
        if not 0 <= event <= 255:
            raise InvalidArgument(f"an event is 0 to 255, not {event}")
        if ranges and ranges[-1][1] == event - 1:
            ranges[-1][1] = event
        else:
            ranges.append([event, event])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in ranges)


def negotiate_events(ours: str, theirs: str) -> str | None:
    """Answer with the events that we handle and they named; None where there are none.

    The answer says what we receive, and the sender "MUST restrict the set of events it sends to those listed"
    (section 2.5.1.1), so listing more would be useless and is left out.
    """
    common = parse_events(ours) & parse_events(theirs)
    return serialize_events(common) if common else None


class EventFormat:
    """Packetizer and depacketizer of plain payloads, for forwarding."""

    def packetize(self, frame: bytes, *, payload_bytes_max: int) -> list[bytes]:
        """The payload as it is."""
        if not 0 < len(frame) <= payload_bytes_max:
            raise InvalidArgument(f"event reports of {len(frame)} bytes, {payload_bytes_max} is the most")
        return [frame]

    def depacketize(self, payloads: Sequence[bytes]) -> bytes:
        """The payload as it is, checked."""
        if len(payloads) != 1:
            raise Malformed(f"event reports in {len(payloads)} payloads", field="payload")
        parse_event_payload(payloads[0])
        return payloads[0]
