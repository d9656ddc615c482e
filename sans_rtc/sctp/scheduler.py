"""Which message is sent next: fair shares between streams, in order within one (RFC 8260 section 3.6, WFQ).

Without I-DATA the fragments of a message have consecutive TSNs (RFC 9260 6.9), so the unit is a whole message. Each
stream has a finish time on a virtual clock that advances by bytes / weight; the stream that is earliest goes next. A
stream that comes back from idleness starts at the present, so it cannot save up its share.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence

from sans_rtc.sctp.config import Reliability

WEIGHT_DEFAULT = 256
WEIGHT_MAX = 65535
# Fixed point for bytes / weight: exact integers, so equal inputs give equal schedules.
_SCALE = WEIGHT_MAX


class OutboundMessage:
    """A message on its way out.

    offset      bytes that have been cut into chunks
    first_tsn, last_tsn   of the chunks so far; -1 before the first
    expires_at  point in time after which it is no longer sent; None: never
    """

    __slots__ = (
        "data",
        "expires_at",
        "first_tsn",
        "is_abandoned",
        "is_ordered",
        "is_partial",
        "last_tsn",
        "max_retransmits",
        "offset",
        "ppid",
        "ssn",
        "stream",
    )

    def __init__(self, stream: OutboundStream, ppid: int, data: bytes, reliability: Reliability, now: float) -> None:
        self.stream = stream
        self.ppid = ppid
        self.data = data
        self.offset = 0
        self.ssn = 0
        self.first_tsn = -1
        self.last_tsn = -1
        self.is_ordered = reliability.ordered
        self.max_retransmits = reliability.max_retransmits
        self.expires_at = None if reliability.lifetime_s is None else now + reliability.lifetime_s
        self.is_partial = self.max_retransmits is not None or self.expires_at is not None
        self.is_abandoned = False

    def is_expired(self, now: float) -> bool:
        """True where the lifetime is over."""
        return self.expires_at is not None and now >= self.expires_at


class OutboundStream:
    """One outgoing stream: its queue, its numbering, its share.

    held      messages queued behind a reset that is not performed yet (RFC 6525 5.1.2 A1), in one list for each reset
              that was asked for since; empty: no reset
    is_ready  True where the scheduler has it on its heap
    """

    __slots__ = (
        "buffered_bytes",
        "finish",
        "held",
        "id",
        "is_ready",
        "low_threshold_bytes",
        "next_ssn",
        "queue",
        "weight",
    )

    def __init__(self, stream_id: int) -> None:
        self.id = stream_id
        self.queue: deque[OutboundMessage] = deque()
        self.held: list[deque[OutboundMessage]] = []
        self.buffered_bytes = 0
        self.low_threshold_bytes = 0
        self.next_ssn = 0
        self.weight = WEIGHT_DEFAULT
        self.finish = 0
        self.is_ready = False


class Scheduler:
    """The queues of all streams, and the order in which their messages leave.

    queued_bytes, queued_messages  accepted and not yet sent, over all streams
    """

    __slots__ = ("_heap", "_virtual_time", "queued_bytes", "queued_messages", "streams")

    def __init__(self) -> None:
        self.streams: dict[int, OutboundStream] = {}
        self.queued_bytes = 0
        self.queued_messages = 0
        # (finish time, stream id, stream): an id is on the heap at most once, so streams are never compared
        self._heap: list[tuple[int, int, OutboundStream]] = []
        self._virtual_time = 0

    def stream(self, stream_id: int) -> OutboundStream:
        """The stream, made at its first use."""
        stream = self.streams.get(stream_id)
        if stream is None:
            stream = self.streams[stream_id] = OutboundStream(stream_id)
        return stream

    def enqueue(self, message: OutboundMessage) -> None:
        """Queue a message on its stream, behind a pending reset of it where there is one."""
        stream = message.stream
        size = len(message.data)
        stream.buffered_bytes += size
        self.queued_bytes += size
        self.queued_messages += 1
        if stream.held:
            stream.held[-1].append(message)
            return
        stream.queue.append(message)
        if not stream.is_ready:
            self._make_ready(stream)

    def next(self) -> OutboundMessage | None:
        """Take the next message off its queue and charge its stream for it; None where nothing waits."""
        heap = self._heap
        if not heap:
            return None
        finish, stream_id, stream = heap[0]
        message = stream.queue.popleft()
        self._virtual_time = finish
        stream.finish = finish + len(message.data) * _SCALE // stream.weight
        if stream.queue:
            heapq.heapreplace(heap, (stream.finish, stream_id, stream))
        else:
            heapq.heappop(heap)
            stream.is_ready = False
        self.queued_messages -= 1
        return message

    def has_waiting(self) -> bool:
        """True where `next` has a message."""
        return bool(self._heap)

    def hold(self, stream: OutboundStream) -> bool:
        """From now on, queue this stream's messages behind a reset; False where it is behind another one's messages,
        and must wait until those have gone."""
        if stream.held and stream.held[-1]:
            stream.held.append(deque())
            return False
        if not stream.held:
            stream.held.append(deque())
        return len(stream.held) == 1

    def release(self, stream: OutboundStream) -> bool:
        """The reset is decided: what was held behind it may go; True where a further reset waits behind that."""
        if stream.held:
            stream.queue.extend(stream.held.pop(0))
            if stream.queue and not stream.is_ready:
                self._make_ready(stream)
        return bool(stream.held)

    def forget_where_new(self, stream_id: int) -> None:
        """Keep nothing of a stream that has been reset and is as it was before its first use."""
        stream = self.streams[stream_id]
        is_plain = stream.weight == WEIGHT_DEFAULT and not stream.low_threshold_bytes and not stream.next_ssn
        if is_plain and not stream.buffered_bytes and not stream.is_ready:
            del self.streams[stream_id]

    def expired(self, now: float) -> list[OutboundMessage]:
        """Every message whose lifetime ended before it was begun."""
        queues = [queue for stream in self.streams.values() for queue in (stream.queue, *stream.held)]
        return [message for queue in queues for message in queue if message.is_expired(now)]

    def remove_where_expired(self, now: float) -> list[OutboundMessage]:
        """Take every message out whose lifetime ended before it was begun; the caller accounts for their bytes."""
        expired: list[OutboundMessage] = []
        for stream in self.streams.values():
            for queue in (stream.queue, *stream.held):
                expired += _remove_expired(queue, now) if queue else ()
        self._unlist(expired)
        return expired

    def remove_beyond(self, stream_count: int) -> list[OutboundMessage]:
        """Take everything out that is queued on streams the peer does not have; the caller accounts for it."""
        removed: list[OutboundMessage] = []
        for stream_id in [stream_id for stream_id in self.streams if stream_id >= stream_count]:
            stream = self.streams.pop(stream_id)
            removed += [message for queue in (stream.queue, *stream.held) for message in queue]
            stream.queue.clear()
        self._unlist(removed)
        return removed

    def _unlist(self, messages: Sequence[OutboundMessage]) -> None:
        self.queued_messages -= len(messages)
        ready = [entry for entry in self._heap if entry[2].queue]
        if len(ready) != len(self._heap):
            for entry in self._heap:
                entry[2].is_ready = bool(entry[2].queue)
            heapq.heapify(ready)
            self._heap = ready

    def _make_ready(self, stream: OutboundStream) -> None:
        stream.finish = max(stream.finish, self._virtual_time)
        stream.is_ready = True
        heapq.heappush(self._heap, (stream.finish, stream.id, stream))


def _remove_expired(queue: deque[OutboundMessage], now: float) -> list[OutboundMessage]:
    expired = [message for message in queue if message.is_expired(now)]
    if expired:
        kept = [message for message in queue if not message.is_expired(now)]
        queue.clear()
        queue.extend(kept)
    return expired
