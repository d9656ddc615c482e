"""The chunks that are sent and not yet cumulatively acknowledged, in TSN order (RFC 9260 6.2.1, 6.3, RFC 3758 3.5).

    first_tsn                                                 next_tsn
        | IN_FLIGHT | ACKED | LOST | IN_FLIGHT | ABANDONED | IN_FLIGHT |
                      by a gap  to be sent again   PR-SCTP

TSNs are counted without wrapping, from the initial TSN up; only the wire sees them modulo 2**32. A chunk's place in the
list is its TSN less the first. Each chunk knows how many bytes had been sent up to and including it, so acknowledging
a run of chunks that nothing has ever happened to is one subtraction, however long the run.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from sans_rtc.sctp.scheduler import OutboundMessage

IN_FLIGHT = 0
ACKED = 1
LOST = 2
ABANDONED = 3

# A peer may take back gap reports under memory pressure (6.2), which it hardly ever does. One that does it again and
# again only makes us work: after this many times its gap reports are not believed.
RENEGES_MAX = 16

Range: TypeAlias = tuple[int, int]
"""First and last TSN, both included."""


class OutstandingChunk:
    """One DATA chunk that was sent.

    body            the chunk with header and padding, ready to be sent again
    end_bytes       bytes of chunks sent up to and including this one, over the life of the association
    packet_number   of the packet that carried it last; later packets have higher numbers
    first_number    of the packet that carried it first
    sent_at         when it was sent last
    status          IN_FLIGHT, ACKED, LOST or ABANDONED
    is_regular      True while it is in flight for the first time
    """

    __slots__ = (
        "body",
        "end_bytes",
        "first_number",
        "is_regular",
        "message",
        "packet_number",
        "sent_at",
        "status",
        "transmit_count",
        "tsn",
    )

    def __init__(
        self, tsn: int, body: bytes, message: OutboundMessage, packet_number: int, sent_at: float, end_bytes: int
    ) -> None:
        self.tsn = tsn
        self.body = body
        self.message = message
        self.packet_number = self.first_number = packet_number
        self.sent_at = sent_at
        self.end_bytes = end_bytes
        self.transmit_count = 1
        self.status = IN_FLIGHT
        self.is_regular = True


class Outstanding:
    """The list of outstanding chunks and its sums.

    flight_bytes      of the chunks IN_FLIGHT
    lost_bytes        of the chunks LOST
    gaps              what the last SACK reported above the cumulative TSN
    newest_number     something sent in this packet or later is known to have arrived; -1: nothing
    """

    __slots__ = (
        "_irregular_count",
        "_lost_heap",
        "_min_rtt_s",
        "_now",
        "_released_bytes",
        "_renege_count",
        "chunks",
        "first_tsn",
        "flight_bytes",
        "gaps",
        "lost_bytes",
        "newest_number",
        "reneged_tsn",
        "sent_bytes",
    )

    def __init__(self, initial_tsn: int) -> None:
        self.chunks: list[OutstandingChunk] = []
        self.first_tsn = initial_tsn
        self.flight_bytes = 0
        self.lost_bytes = 0
        self.sent_bytes = 0
        self.gaps: Sequence[Range] = ()
        self.newest_number = -1
        self.reneged_tsn: int | None = None
        self._released_bytes = 0
        self._irregular_count = 0
        self._renege_count = 0
        self._lost_heap: list[int] = []
        self._now = 0.0
        self._min_rtt_s = 0.0

    @property
    def next_tsn(self) -> int:
        """The TSN of the next new chunk."""
        return self.first_tsn + len(self.chunks)

    @property
    def held_bytes(self) -> int:
        """Bytes of all outstanding chunks, whatever their status."""
        return self.sent_bytes - self._released_bytes

    @property
    def is_regular(self) -> bool:
        """True where every outstanding chunk is in flight for the first time."""
        return not self._irregular_count

    def at(self, tsn: int) -> OutstandingChunk:
        """The outstanding chunk of this TSN."""
        return self.chunks[tsn - self.first_tsn]

    def note_appended(self, sent_bytes: int) -> None:
        """Count chunks that have just been appended, sent for the first time, the next TSNs in order.

        sent_bytes  the `end_bytes` of the last
        """
        self.flight_bytes += sent_bytes - self.sent_bytes
        self.sent_bytes = sent_bytes

    # acknowledgement

    def acknowledge(self, cumulative_tsn: int, gaps: Sequence[Range] | None, now: float, min_rtt_s: float) -> int:
        """Take what a SACK says and return the bytes it acknowledges for the first time.

        cumulative_tsn  from first_tsn - 1 to next_tsn - 1
        gaps            above it, ascending, apart from each other, below next_tsn; None: not told
        min_rtt_s       an answer faster than this to a repeated chunk is an answer to an earlier sending
        """
        self._now = now
        self._min_rtt_s = min_rtt_s
        acked_bytes = 0
        count = cumulative_tsn - self.first_tsn + 1
        if count:
            last = self.chunks[count - 1]
            if self._irregular_count:
                acked_bytes = self._settle_run(count)
            else:
                acked_bytes = last.end_bytes - self._released_bytes
                self.flight_bytes -= acked_bytes
                self._note_arrival(last)
            self._released_bytes = last.end_bytes
            del self.chunks[:count]
            self.first_tsn += count
        if gaps is not None and (gaps or self.gaps) and self._renege_count < RENEGES_MAX:
            acked_bytes += self._take_gaps(gaps)
        return acked_bytes

    def _settle_run(self, count: int) -> int:
        acked_bytes = 0
        for chunk in self.chunks[:count]:
            if chunk.status != ACKED:
                acked_bytes += self._acknowledge_chunk(chunk)
            if not chunk.is_regular:
                self._irregular_count -= 1
        return acked_bytes

    def _take_gaps(self, gaps: Sequence[Range]) -> int:
        old = self._gaps_left()
        same = 0
        for before, after in zip(old, gaps, strict=False):
            if before != after:
                break
            same += 1
        acked_bytes = 0
        for first, last in subtract_ranges(gaps[same:], old[same:]):
            for chunk in self.chunks[first - self.first_tsn : last - self.first_tsn + 1]:
                acked_bytes += self._acknowledge_chunk(chunk)
        revoked = subtract_ranges(old[same:], gaps[same:])
        self._renege_count += bool(revoked)
        for first, last in revoked:
            self._renege(first, last)
        self.gaps = gaps
        return acked_bytes

    def _gaps_left(self) -> Sequence[Range]:
        """The known gap reports, without what the cumulative TSN has passed."""
        gaps = self.gaps
        if not gaps or gaps[0][0] >= self.first_tsn:
            return gaps
        return [(max(first, self.first_tsn), last) for first, last in gaps if last >= self.first_tsn]

    def _acknowledge_chunk(self, chunk: OutstandingChunk) -> int:
        """Bytes it takes out of flight or off the list of lost ones."""
        size = len(chunk.body)
        if chunk.status == IN_FLIGHT:
            self.flight_bytes -= size
        elif chunk.status == LOST:
            self.lost_bytes -= size
        else:
            return 0
        chunk.status = ACKED
        self._mark_irregular(chunk)
        self._note_arrival(chunk)
        return size

    def _note_arrival(self, chunk: OutstandingChunk) -> None:
        number = chunk.packet_number
        if number <= self.newest_number:
            return
        # RFC 8985 6.2 step 2: an answer that came sooner than any round trip is to an earlier sending of the chunk.
        if chunk.transmit_count > 1 and self._now - chunk.sent_at < self._min_rtt_s:
            number = max(chunk.first_number, self.newest_number)
        self.newest_number = number

    def _renege(self, first: int, last: int) -> None:
        """The peer no longer reports what it once had (6.2.1 D iii)."""
        for chunk in self.chunks[first - self.first_tsn : last - self.first_tsn + 1]:
            if chunk.status == ACKED:
                chunk.status = IN_FLIGHT
                self.flight_bytes += len(chunk.body)
                if self.reneged_tsn is None or chunk.tsn < self.reneged_tsn:
                    self.reneged_tsn = chunk.tsn

    # loss and retransmission

    def mark_lost(self, chunk: OutstandingChunk) -> None:
        """The chunk in flight is taken for lost: it leaves the flight and waits to be sent again."""
        assert chunk.status == IN_FLIGHT, "only what is in flight can be lost"
        size = len(chunk.body)
        self.flight_bytes -= size
        self.lost_bytes += size
        chunk.status = LOST
        self._mark_irregular(chunk)
        heapq.heappush(self._lost_heap, chunk.tsn)

    def next_lost(self) -> OutstandingChunk | None:
        """The lost chunk with the lowest TSN; None where nothing is lost."""
        heap = self._lost_heap
        while heap:
            tsn = heap[0]
            if tsn >= self.first_tsn:
                chunk = self.at(tsn)
                if chunk.status == LOST:
                    return chunk
            heapq.heappop(heap)
        return None

    def resend(self, chunk: OutstandingChunk, packet_number: int, now: float) -> None:
        """Note that the chunk, LOST or still IN_FLIGHT, is being sent again."""
        if chunk.status == LOST:
            size = len(chunk.body)
            self.lost_bytes -= size
            self.flight_bytes += size
            chunk.status = IN_FLIGHT
        self._mark_irregular(chunk)
        chunk.transmit_count += 1
        chunk.packet_number = packet_number
        chunk.sent_at = now

    def abandon(self, chunks: Iterable[OutstandingChunk]) -> None:
        """Give these up, acknowledged by a gap or not (RFC 3758 3.5 A3)."""
        for chunk in chunks:
            if chunk.status == IN_FLIGHT:
                self.flight_bytes -= len(chunk.body)
            elif chunk.status == LOST:
                self.lost_bytes -= len(chunk.body)
            chunk.status = ABANDONED
            self._mark_irregular(chunk)

    def _mark_irregular(self, chunk: OutstandingChunk) -> None:
        if chunk.is_regular:
            chunk.is_regular = False
            self._irregular_count += 1

    def check(self) -> None:
        """Assert that the sums are the sums; for tests, O(n)."""
        sizes = dict.fromkeys((IN_FLIGHT, ACKED, LOST, ABANDONED), 0)
        for index, chunk in enumerate(self.chunks):
            assert chunk.tsn == self.first_tsn + index, "the TSNs are consecutive"
            assert chunk.is_regular == (chunk.status == IN_FLIGHT and chunk.transmit_count == 1) or not chunk.is_regular
            sizes[chunk.status] += len(chunk.body)
        assert self.flight_bytes == sizes[IN_FLIGHT], "the flight is what is in flight"
        assert self.lost_bytes == sizes[LOST], "the lost bytes are those of lost chunks"
        assert self.held_bytes == sum(sizes.values()), "what is held is what was sent and not released"
        assert self._irregular_count == sum(not chunk.is_regular for chunk in self.chunks)


def subtract_ranges(ranges: Sequence[Range], others: Sequence[Range]) -> list[Range]:
    """What the ranges cover and the others do not; both ascending and apart. O(n + m)."""
    left: list[Range] = []
    index = 0
    for first, last in ranges:
        while index < len(others) and others[index][1] < first:
            index += 1
        cursor = first
        scan = index
        while scan < len(others) and others[scan][0] <= last:
            if others[scan][0] > cursor:
                left.append((cursor, others[scan][0] - 1))
            cursor = max(cursor, others[scan][1] + 1)
            scan += 1
        if cursor <= last:
            left.append((cursor, last))
    return left
