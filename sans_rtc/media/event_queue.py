"""Events that wait to be taken, with a bound for those that hold media."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sans_rtc.media.events import DropReason, FrameReceived, FramesDropped, MediaEvent, PacketReceived


class EventQueue:
    """Events in order. Of frames and packets at most so many: then the oldest of them go, and an event says so."""

    __slots__ = ("_count", "_count_max", "_events", "append")

    def __init__(self, count_max: int) -> None:
        self._count_max = count_max
        self._count = 0
        self._events: list[MediaEvent] = []
        self.append = self._events.append

    def append_media(self, event: FrameReceived | PacketReceived) -> None:
        """Queue a frame or a packet."""
        if self._count >= self._count_max:
            self._drop_oldest(1 + self._count_max // 8)
        self._count += 1
        self.append(event)

    def _drop_oldest(self, count: int) -> None:
        """An eighth at once, so that the cost of each drop is small."""
        kept: list[MediaEvent] = []
        dropped: Counter[tuple[int, str]] = Counter()
        for event in self._events:
            if count and isinstance(event, FrameReceived | PacketReceived):
                rid = event.frame.rid if isinstance(event, FrameReceived) else event.rid
                dropped[event.handle, rid] += 1
                count -= 1
                self._count -= 1
            elif isinstance(event, FramesDropped) and event.reason is DropReason.EVENT_QUEUE:
                dropped[event.handle, event.rid] += event.count
            else:
                kept.append(event)
        self._events = [
            FramesDropped(handle, rid, number, DropReason.EVENT_QUEUE) for (handle, rid), number in dropped.items()
        ]
        self._events += kept
        self.append = self._events.append

    def take(self) -> Sequence[MediaEvent]:
        """Hand over everything."""
        events = self._events
        if not events:
            return ()
        self._events = []
        self._count = 0
        self.append = self._events.append
        return events
