"""What may be sent now: negotiation, keys, settings and circuit breakers let it."""

from __future__ import annotations

from sans_rtc.media.circuit_breaker import SessionBreaker, StreamWatch
from sans_rtc.media.encoding import EncodingSender
from sans_rtc.media.event_queue import EventQueue
from sans_rtc.media.events import DropReason, FramesDropped
from sans_rtc.media.sections import Sections
from sans_rtc.media.sender import SectionSender
from sans_rtc.media.stats import DiscardReason, MediaStats
from sans_rtc.media.transmit import Transmitter


class Gate:
    """Lets through what may be sent, and counts the rest; a transform.

    breaker  of the session
    """

    __slots__ = ("_events", "_stats", "_transmitter", "breaker")

    def __init__(self, transmitter: Transmitter, events: EventQueue, stats: MediaStats, *, has_breaker: bool) -> None:
        self._transmitter = transmitter
        self._events = events
        self._stats = stats
        self.breaker = SessionBreaker(is_enabled=has_breaker)

    def encoding(self, sender: SectionSender, rid: str, now: float) -> EncodingSender | None:
        """The encoding of a rid; None, and counted, where it may not send now. InvalidArgument: there is none."""
        if not sender.is_sending:
            self._stats.discard(DiscardReason.NOT_SENDING)
            return None
        if not self._transmitter.can_send:
            self._stats.discard(DiscardReason.NO_KEYS)
            return None
        encoding = sender.encoding(rid)
        if not encoding.settings.is_active:
            self._stats.discard(DiscardReason.NOT_ACTIVE)
            return None
        if self.breaker.blocks(encoding.media.watch, now) is not None:
            self._events.append(FramesDropped(encoding.handle, rid, 1, DropReason.CIRCUIT_BREAKER))
            self._stats.discard(DiscardReason.CIRCUIT_BREAKER)
            return None
        return encoding

    def path_changed(self, sections: Sections) -> None:
        """This is another path: all may be tried."""
        self.breaker.path_changed()
        for stream in sections.streams.values():
            stream.watch = StreamWatch()
