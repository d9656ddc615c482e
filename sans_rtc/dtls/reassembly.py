"""Handshake messages out of fragments: whole, in order, each once (RFC 6347 sections 4.2.2 and 4.2.3).

Fragments may come in any order, overlap, and belong to messages ahead of the one awaited. Everything is bounded: how
far ahead, how long a message, how many bytes altogether, how many holes in one message. Nothing here is authentic, so a
forged fragment can spoil a message; what keeps that from lasting is that a later fragment which contradicts an earlier
one starts the message anew, and that a message which makes no sense is forgotten, so that a retransmission can replace
it.
"""

from __future__ import annotations

from enum import Enum

from sans_rtc.dtls.config import DtlsConfig
from sans_rtc.dtls.handshake import Fragment, HandshakeMessage
from sans_rtc.dtls.stats import DiscardReason, DtlsStats

# A sender cuts a message into consecutive ranges, so holes come from loss and reordering only: with fragments of 200
# bytes and a message of 16384, at most 41.
RANGE_COUNT_MAX = 64


class Arrival(Enum):
    """What became of a fragment."""

    TAKEN = "taken"
    DUPLICATE = "duplicate"  # of a message that has been processed: the peer repeats a flight
    DISCARDED = "discarded"


class _Partial:
    """A message that is not whole yet: its bytes, and which of them have come."""

    __slots__ = ("data", "epoch", "length", "ranges", "type")

    def __init__(self, fragment: Fragment, epoch: int) -> None:
        self.type = fragment.type
        self.length = fragment.length
        self.epoch = epoch
        self.data = bytearray(fragment.length)
        self.ranges: list[tuple[int, int]] = []

    def fits(self, fragment: Fragment, epoch: int) -> bool:
        return (self.type, self.length, self.epoch) == (fragment.type, fragment.length, epoch)

    def add(self, fragment: Fragment) -> bool:
        """Put a range in; False where that would make too many holes."""
        start, end = fragment.offset, fragment.offset + len(fragment.body)
        apart = []
        for low, high in self.ranges:
            if high < start or end < low:
                apart.append((low, high))
            else:
                start, end = min(start, low), max(end, high)
        if len(apart) >= RANGE_COUNT_MAX:
            return False
        self.ranges = [*apart, (start, end)]
        self.data[fragment.offset : fragment.offset + len(fragment.body)] = fragment.body
        return True

    @property
    def is_whole(self) -> bool:
        return self.ranges == [(0, self.length)]


class Reassembler:
    """Holds what has come of the messages from `next_seq` on.

    When the bytes of all messages, by their announced lengths, exceed `reassembly_bytes_max`, the message farthest
    ahead gives way to a nearer one; otherwise the fragment is discarded.
    """

    __slots__ = (
        "_ahead_count_max",
        "_buffer_bytes_max",
        "_buffered_bytes",
        "_message_bytes_max",
        "_partials",
        "_stats",
        "next_seq",
    )

    def __init__(self, config: DtlsConfig, stats: DtlsStats) -> None:
        self.next_seq = 0
        self._message_bytes_max = config.handshake_message_bytes_max
        self._buffer_bytes_max = config.reassembly_bytes_max
        self._ahead_count_max = config.message_ahead_count_max
        self._stats = stats
        self._partials: dict[int, _Partial] = {}
        self._buffered_bytes = 0

    def add(self, fragment: Fragment, epoch: int) -> Arrival:
        """Take one fragment that came in a record of this epoch."""
        seq = fragment.message_seq
        if seq < self.next_seq:
            # RFC 6347 section 4.2.2: "If the sequence number is less than next_receive_seq, the message MUST be
            # discarded."
            self._stats.discard(DiscardReason.DUPLICATE_MESSAGE)
            return Arrival.DUPLICATE
        if seq >= self.next_seq + self._ahead_count_max:
            return self._discard(DiscardReason.MESSAGE_TOO_FAR_AHEAD)
        if fragment.length > self._message_bytes_max:
            return self._discard(DiscardReason.MESSAGE_TOO_LONG)
        partial = self._partials.get(seq)
        if partial is None or not partial.fits(fragment, epoch):
            if not self._make_room(seq, fragment.length):
                return self._discard(DiscardReason.REASSEMBLY_FULL)
            partial = self._partials[seq] = _Partial(fragment, epoch)
            self._buffered_bytes += fragment.length
        if not partial.add(fragment):
            return self._discard(DiscardReason.REASSEMBLY_FULL)
        return Arrival.TAKEN

    def peek(self) -> HandshakeMessage | None:
        """The awaited message, if it is whole; it stays until accept() or reject()."""
        partial = self._partials.get(self.next_seq)
        if partial is None or not partial.is_whole:
            return None
        return HandshakeMessage(partial.type, self.next_seq, bytes(partial.data))

    def accept(self) -> None:
        """The awaited message has been processed: await the next."""
        self._forget(self.next_seq)
        self.next_seq += 1

    def reject(self) -> None:
        """The awaited message made no sense: forget it and await it again."""
        self._forget(self.next_seq)

    def clear(self) -> None:
        """Forget everything that is held; `next_seq` stays."""
        self._partials.clear()
        self._buffered_bytes = 0

    @property
    def is_empty(self) -> bool:
        """True where nothing of the awaited message or a later one has come."""
        return not self._partials

    @property
    def buffered_bytes(self) -> int:
        """Bytes held, by the announced lengths."""
        return self._buffered_bytes

    def _make_room(self, seq: int, length: int) -> bool:
        self._forget(seq)
        while self._buffered_bytes + length > self._buffer_bytes_max:
            farthest = max(self._partials, default=-1)
            if farthest <= seq:
                return False
            self._forget(farthest)
            self._stats.discard(DiscardReason.REASSEMBLY_FULL)
        return True

    def _forget(self, seq: int) -> None:
        partial = self._partials.pop(seq, None)
        if partial is not None:
            self._buffered_bytes -= partial.length

    def _discard(self, reason: DiscardReason) -> Arrival:
        self._stats.discard(reason)
        return Arrival.DISCARDED
