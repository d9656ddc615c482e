"""Sending and receiving telephone events (RFC 4733 section 2.5), as transforms: the caller says the RTP timestamp.

    sender     start(5, ts=0, duration 1600)   report(400)  report(800) ... report(1600)  report(2000)  report(2400)
    packets    ts=0 in all of them             M 400        800             E 1600        E 1600        E 1600

The final packet of an event, and of each segment of 65535 ticks of a long one, goes out three times (2.5.1.4).
"""

from __future__ import annotations

from collections.abc import Collection

import attrs

from sans_rtc.errors import InvalidArgument, InvalidState
from sans_rtc.rtp.payload.telephone_event import (
    DTMF_EVENTS,
    DTMF_VOLUME,
    DURATION_MAX,
    EventReport,
    parse_event_payload,
    serialize_event_payload,
)

_TICKS = 1 << 32
# Section 2.5.1.4: "SHOULD be sent a total of three times".
_REPEATS = 2
# Final reports whose repetitions are still due; more can only come of events that are shorter than a report interval.
_REPEATED_COUNT_MAX = 8
# A report that skips so many segments comes of a caller that has not called for a minute: 8 segments of 8.2 s.
_SEGMENTS_MAX = 8


@attrs.define(slots=True)
class EventPacket:
    """One RTP packet to send: the timestamp of the event's (or segment's) beginning, marker on an event's first one."""

    payload: bytes
    timestamp: int
    marker: bool


@attrs.define(slots=True)
class _Running:
    event: int
    volume: int
    timestamp: int  # of the segment
    ticks_left: int | None  # from the beginning of the segment; None: until stop()
    is_reported: bool = False


@attrs.define(slots=True)
class _Repeated:
    payload: bytes
    timestamp: int
    count: int = _REPEATS


class EventSender:
    """Makes the packets of one event after another. Call `report` once in each packet interval (50 ms is usual).

    events  that the receiver takes, as `parse_events` reads them of its `a=fmtp`; where it has said none, those of DTMF
            and no other (section 2.5.1.1)
    """

    def __init__(self, events: Collection[int] = DTMF_EVENTS) -> None:
        self._events = frozenset(events)
        self._running: _Running | None = None
        self._repeated: list[_Repeated] = []

    @property
    def is_active(self) -> bool:
        """Whether an event lasts."""
        return self._running is not None

    @property
    def is_idle(self) -> bool:
        """Whether nothing is left to report."""
        return self._running is None and not self._repeated

    def start(
        self, event: int, *, timestamp: int, duration_ticks: int | None = None, volume: int | None = None
    ) -> None:
        """Begin an event at this RTP timestamp, lasting so many ticks, or until `stop`.

        volume  0 to 63 -dBm0, of events that are tones only; None: 10 for DTMF and 0 for any other (section 2.3.4)
        Errors  InvalidState: one goes on; InvalidArgument: the receiver does not take this event, or a value is out of
                range
        """
        if self._running is not None:
            raise InvalidState("an event is going on")
        if duration_ticks is not None and duration_ticks < 1:
            raise InvalidArgument(f"a duration is 1 tick at least, not {duration_ticks}")
        if volume is None:
            volume = DTMF_VOLUME if event in DTMF_EVENTS else 0
        if event not in self._events:
            raise InvalidArgument(f"the receiver does not take event {event}")
        if not 0 <= event <= 255 or not 0 <= volume <= 63:
            raise InvalidArgument(f"event {event} with volume {volume}")
        self._running = _Running(event, volume, timestamp % _TICKS, duration_ticks)

    def stop(self, timestamp: int) -> None:
        """End the present event at this RTP timestamp, if it does not end before. InvalidState: there is none."""
        running = self._running
        if running is None:
            raise InvalidState("no event is going on")
        elapsed = max(1, _elapsed(running.timestamp, timestamp))
        running.ticks_left = elapsed if running.ticks_left is None else min(elapsed, running.ticks_left)

    def report(self, timestamp: int) -> list[EventPacket]:
        """The packets due at this RTP timestamp: repetitions of final packets first, then the present event."""
        packets = [EventPacket(repeated.payload, repeated.timestamp, False) for repeated in self._repeated]
        for repeated in self._repeated:
            repeated.count -= 1
        self._repeated = [repeated for repeated in self._repeated if repeated.count]
        for _ in range(_SEGMENTS_MAX):
            running = self._running
            if running is None:
                break
            elapsed = _elapsed(running.timestamp, timestamp)
            if running.ticks_left is not None:
                elapsed = min(elapsed, running.ticks_left)
            # A sender MUST NOT transmit a zero duration (2.3.5): the event began this moment.
            if elapsed:
                packets.append(self._report(running, elapsed))
            if elapsed <= DURATION_MAX:
                break
        return packets

    def _report(self, running: _Running, elapsed: int) -> EventPacket:
        segment = min(elapsed, DURATION_MAX)
        is_end = running.ticks_left is not None and segment == running.ticks_left
        payload = serialize_event_payload([EventReport(running.event, segment, is_end, running.volume)])
        packet = EventPacket(payload, running.timestamp, not running.is_reported)
        running.is_reported = True
        if is_end:
            self._running = None
        elif elapsed > DURATION_MAX:
            # Section 2.5.1.3: the segment ends without the E bit, the next one begins there, without the M bit.
            running.timestamp = (running.timestamp + DURATION_MAX) % _TICKS
            if running.ticks_left is not None:
                running.ticks_left -= DURATION_MAX
        if is_end or elapsed > DURATION_MAX:
            self._repeated = [*self._repeated[1 - _REPEATED_COUNT_MAX :], _Repeated(payload, packet.timestamp)]
        return packet


@attrs.define(slots=True)
class EventStarted:
    """The peer has begun an event."""

    event: int
    timestamp: int
    volume: int


@attrs.define(slots=True)
class EventEnded:
    """The event is over. is_certain is False where its end was not heard of, but the next event, or nothing more."""

    event: int
    timestamp: int
    duration_ticks: int
    is_certain: bool = True


@attrs.define(slots=True)
class _Heard:
    event: int
    started_at: int  # timestamp of the first segment
    segment_at: int  # timestamp of the newest segment
    duration: int  # of the newest segment

    @property
    def total(self) -> int:
        return _elapsed(self.started_at, self.segment_at) + self.duration


class EventReceiver:
    """Turns event packets, with losses and repetitions, into one EventStarted and one EventEnded for each event.

    A report with the duration zero, a state, is ignored (2.3.5): DTMF has no states.
    """

    def __init__(self, silence_ticks_max: int = 1200) -> None:
        """silence_ticks_max: give an event up after so much silence; the default is 150 ms at 8000 Hz.

        Section 2.5.2.2: "the tone SHOULD NOT be extended by more than three packet interarrival times".
        """
        if silence_ticks_max < 1:
            raise InvalidArgument(f"silence_ticks_max is 1 at least, not {silence_ticks_max}")
        self._silence_ticks_max = silence_ticks_max
        self._heard: _Heard | None = None
        self._newest_at: int | None = None  # beginning of the newest event or segment; what began before it is old

    def receive(self, payload: bytes, *, timestamp: int) -> list[EventStarted | EventEnded]:
        """Take one packet. WireError for a malformed payload, which changes nothing."""
        news: list[EventStarted | EventEnded] = []
        for report in parse_event_payload(payload):
            if report.duration_ticks:
                self._on_report(report, timestamp % _TICKS, news)
            timestamp += report.duration_ticks  # section 2.5.1.5: packed events follow without a pause
        return news

    def expire(self, timestamp: int) -> list[EventStarted | EventEnded]:
        """End an event of which nothing was heard for too long; `timestamp` is that of now, of the media clock."""
        heard = self._heard
        if heard is None or _elapsed(heard.segment_at, timestamp) <= heard.duration + self._silence_ticks_max:
            return []
        return [self._end(heard, is_certain=False)]

    def _on_report(self, report: EventReport, at: int, news: list[EventStarted | EventEnded]) -> None:
        heard = self._heard
        if heard is not None and at == heard.segment_at and report.event == heard.event:
            heard.duration = max(heard.duration, report.duration_ticks)
        elif heard is not None and report.event == heard.event and at == (heard.segment_at + DURATION_MAX) % _TICKS:
            heard.segment_at, heard.duration = at, report.duration_ticks
            self._newest_at = at
        elif self._newest_at is not None and (self._newest_at - at) % _TICKS < _TICKS // 2:
            return  # a repetition, or late
        else:
            if heard is not None:
                news.append(self._end(heard, is_certain=False))
            self._heard = heard = _Heard(report.event, at, at, report.duration_ticks)
            self._newest_at = at
            news.append(EventStarted(report.event, at, report.volume))
        if report.is_end:
            news.append(self._end(heard, is_certain=True))

    def _end(self, heard: _Heard, *, is_certain: bool) -> EventEnded:
        self._heard = None
        return EventEnded(heard.event, heard.started_at, heard.total, is_certain)


def _elapsed(since: int, timestamp: int) -> int:
    """Ticks from one timestamp to another, over the wrap; 0 where the other one is before it."""
    ticks = (timestamp - since) % _TICKS
    return ticks if ticks < _TICKS // 2 else 0
