"""From DATA chunks to messages: fragments joined, ordered streams in order (RFC 9260 6.5, 6.6, 6.9; RFC 3758 3.6).

The fragments of one message have consecutive TSNs, so a message is a run of TSNs from a B flag to an E flag, whatever
its stream and order. Incomplete runs are found by their first and by their last TSN; a fragment extends the run it
touches, or joins the two it touches. A message that comes in order is an open run of its own: one append per fragment
and one join per message.

Every byte held counts against the receive window until `consume`, with `HELD_OVERHEAD_BYTES` for each piece.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Sequence
from enum import Enum

from sans_rtc.outbox import Outbox
from sans_rtc.sctp.chunks import FLAG_BEGINNING, FLAG_ENDING, FLAG_UNORDERED, FLAGS_WHOLE
from sans_rtc.sctp.config import HELD_OVERHEAD_BYTES, SctpConfig
from sans_rtc.sctp.events import Message, SctpEvent
from sans_rtc.sctp.stats import DiscardReason, Stats

_SSN_MASK = 0xFFFF
_HALF = 0x8000


class Violation(Enum):
    """What an authentic peer must not send."""

    MIXED_FRAGMENTS = "fragments of different messages have consecutive TSNs"
    MESSAGE_TOO_LARGE = "a message exceeds message_bytes_max"


class _Run:
    """Fragments with consecutive TSNs of one message that is not complete.

    is_begun, is_ended  it has the fragment with the B flag, the E flag
    """

    __slots__ = (
        "byte_count",
        "first_tsn",
        "is_begun",
        "is_ended",
        "last_tsn",
        "parts",
        "ppid",
        "ssn",
        "stream_id",
        "unordered",
    )

    def __init__(self, tsn: int, flags: int, stream_id: int, ssn: int, ppid: int, payload: bytes) -> None:
        self.first_tsn = tsn
        self.last_tsn = tsn
        self.unordered = flags & FLAG_UNORDERED
        self.is_begun = bool(flags & FLAG_BEGINNING)
        self.is_ended = bool(flags & FLAG_ENDING)
        self.stream_id = stream_id
        self.ssn = ssn
        self.ppid = ppid
        self.parts = [payload]
        self.byte_count = len(payload)

    def has_part(self, flags: int, stream_id: int, ssn: int) -> bool:
        """True where a chunk with these fields may belong to this message; SSNs mean nothing without order."""
        unordered = flags & FLAG_UNORDERED
        return self.stream_id == stream_id and self.unordered == unordered and (self.ssn == ssn or unordered != 0)

    def absorb(self, later: _Run) -> None:
        """Take over the run that follows."""
        if len(self.parts) >= len(later.parts):
            self.parts += later.parts
        else:
            later.parts[:0] = self.parts
            self.parts = later.parts
        self.byte_count += later.byte_count
        self.last_tsn = later.last_tsn
        self.is_ended = later.is_ended


class Reassembly:
    """Holds fragments until a message is whole, and ordered messages until it is their turn.

    held_bytes  what counts against the receive window: held here, or delivered and not consumed
    """

    __slots__ = (
        "_by_first",
        "_by_last",
        "_config",
        "_events",
        "_firsts",
        "_held",
        "_held_after_tsn",
        "_held_streams",
        "_message_bytes_max",
        "_next_ssn",
        "_open",
        "_stats",
        "_waiting",
        "held_bytes",
        "unconsumed_bytes",
        "unconsumed_messages",
    )

    def __init__(self, config: SctpConfig, events: Outbox[SctpEvent], stats: Stats) -> None:
        self._config = config
        self._message_bytes_max = config.message_bytes_max
        self._events = events
        self._stats = stats
        self.held_bytes = 0
        self.unconsumed_bytes = 0
        self.unconsumed_messages = 0
        self._next_ssn: dict[int, int] = {}
        self._waiting: dict[int, dict[int, tuple[int, bytes]]] = {}
        # The run that begins its message, where it is the only one: fragments in order touch nothing else.
        self._open: _Run | None = None
        self._by_first: dict[int, _Run] = {}
        self._firsts: list[int] = []  # its keys, ascending
        self._by_last: dict[int, _Run] = {}
        # TSN, flags, stream, SSN, PPID, payload of what waits for a reset; None: no reset waits
        self._held: list[tuple[int, int, int, int, int, bytes]] | None = None
        self._held_after_tsn = 0
        self._held_streams: frozenset[int] = frozenset()

    def successor(self) -> Reassembly:
        """An empty one that still waits for the credit of what has been delivered."""
        new = Reassembly(self._config, self._events, self._stats)
        new.unconsumed_bytes = self.unconsumed_bytes
        new.unconsumed_messages = self.unconsumed_messages
        new.held_bytes = self.unconsumed_bytes + self.unconsumed_messages * HELD_OVERHEAD_BYTES
        return new

    def insert(self, tsn: int, flags: int, stream_id: int, ssn: int, ppid: int, payload: bytes) -> Violation | None:
        """Take the data of one chunk that is new; deliver what has become deliverable."""
        size = len(payload)
        self.held_bytes += size + HELD_OVERHEAD_BYTES
        run = self._open
        if (
            run is not None
            and run.last_tsn == tsn - 1
            and not flags & FLAG_BEGINNING
            and run.stream_id == stream_id
            and run.ssn == ssn
            and run.unordered == flags & FLAG_UNORDERED
            and run.byte_count + size <= self._message_bytes_max
        ):
            # The usual case: the next fragment of the one message that is coming in.
            run.parts.append(payload)
            run.byte_count += size
            run.last_tsn = tsn
            if flags & FLAG_ENDING:
                self._open = None
                self._finish(run)
            return None
        self._list_open()
        if self._held is not None and self._is_to_be_held(tsn, stream_id):
            self._held.append((tsn, flags, stream_id, ssn, ppid, payload))
            return None
        if flags & FLAGS_WHOLE == FLAGS_WHOLE:
            if self._by_first:
                self._settle_neighbours(tsn, flags)
            if size > self._message_bytes_max:
                return Violation.MESSAGE_TOO_LARGE
            self._complete(flags & FLAG_UNORDERED, stream_id, ssn, ppid, payload)
            return None
        return self._insert_fragment(tsn, flags, stream_id, ssn, ppid, payload)

    def _list_open(self) -> None:
        """Put the open run where the others are: something else than its next fragment has come."""
        run = self._open
        if run is not None:
            self._open = None
            self._list(run)

    def _insert_fragment(
        self, tsn: int, flags: int, stream_id: int, ssn: int, ppid: int, payload: bytes
    ) -> Violation | None:
        """A fragment that begins a run, extends one, or joins two."""
        if self._by_first and not self._settle_neighbours(tsn, flags):
            self.held_bytes -= len(payload) + HELD_OVERHEAD_BYTES
            self._stats.discard(DiscardReason.ORPHAN_FRAGMENT)
            return None
        run = _Run(tsn, flags, stream_id, ssn, ppid, payload)
        left = None if run.is_begun else self._by_last.get(tsn - 1)
        right = None if run.is_ended else self._by_first.get(tsn + 1)
        if any(other is not None and not other.has_part(flags, stream_id, ssn) for other in (left, right)):
            return Violation.MIXED_FRAGMENTS
        if right is not None:
            self._unlist(right)
            run.absorb(right)
        if left is not None:
            self._unlist(left)
            left.absorb(run)
            run = left
        if run.byte_count > self._message_bytes_max:
            return Violation.MESSAGE_TOO_LARGE
        if run.is_begun and run.is_ended:
            self._finish(run)
        elif run.is_begun and not self._by_first and self._held is None:
            self._open = run
        else:
            self._list(run)
        return None

    def _settle_neighbours(self, tsn: int, flags: int) -> bool:
        """Drop what a chunk's B and E flags tell of its neighbours; False where they tell that of the chunk itself.

        A run without its end before a B flag will never be whole, nor will one without its beginning behind an E flag:
        a sender of RFC 3758 has abandoned the rest.
        """
        left, right = self._by_last.get(tsn - 1), self._by_first.get(tsn + 1)
        is_orphan = False
        if left is not None:
            if flags & FLAG_BEGINNING and not left.is_ended:
                self._drop(left)
                left = None
            is_orphan = left is not None and left.is_ended and not flags & FLAG_BEGINNING
        if right is not None:
            if flags & FLAG_ENDING and not right.is_begun:
                self._drop(right)
            elif right.is_begun and not flags & FLAG_ENDING:
                is_orphan = True
                if left is not None and not left.is_ended:
                    self._drop(left)
        return not is_orphan

    def _finish(self, run: _Run) -> None:
        """All fragments are there: make the message."""
        self.held_bytes -= (len(run.parts) - 1) * HELD_OVERHEAD_BYTES
        self._complete(run.unordered, run.stream_id, run.ssn, run.ppid, b"".join(run.parts))

    def _complete(self, unordered: int, stream_id: int, ssn: int, ppid: int, data: bytes) -> None:
        """A whole message: deliver it, or keep it until its turn."""
        if unordered:
            self._deliver(stream_id, ppid, data)
            return
        expected = self._next_ssn.get(stream_id, 0)
        if ssn == expected:
            self._deliver(stream_id, ppid, data)
            self._next_ssn[stream_id] = (ssn + 1) & _SSN_MASK
            if self._waiting:
                self._deliver_waiting(stream_id)
            return
        if (ssn - expected) & _SSN_MASK >= _HALF or ssn in self._waiting.get(stream_id, ()):
            self._stats.discard(DiscardReason.OLD_SSN)
            self.held_bytes -= len(data) + HELD_OVERHEAD_BYTES
            return
        self._waiting.setdefault(stream_id, {})[ssn] = (ppid, data)

    def _deliver_waiting(self, stream_id: int) -> None:
        """Deliver the messages that had to wait for the one before them."""
        waiting = self._waiting.get(stream_id)
        if waiting is None:
            return
        ssn = self._next_ssn.get(stream_id, 0)
        while (message := waiting.pop(ssn, None)) is not None:
            self._deliver(stream_id, *message)
            ssn = (ssn + 1) & _SSN_MASK
        self._next_ssn[stream_id] = ssn
        if not waiting:
            del self._waiting[stream_id]

    def _deliver(self, stream_id: int, ppid: int, data: bytes) -> None:
        self.unconsumed_bytes += len(data)
        self.unconsumed_messages += 1
        self._stats.messages_received += 1
        self._events.append(Message(stream_id, ppid, data))

    # credit, skipping, resetting

    def consume(self, byte_count: int) -> None:
        """The application has taken this many delivered bytes; messages count in proportion, all with the last."""
        messages = self.unconsumed_messages * byte_count // self.unconsumed_bytes
        self.unconsumed_messages -= messages
        self.unconsumed_bytes -= byte_count
        self.held_bytes -= byte_count + messages * HELD_OVERHEAD_BYTES

    def skip(self, cumulative_tsn: int, streams: Sequence[tuple[int, int]]) -> None:
        """FORWARD-TSN: drop fragments that can no longer become whole, and go on behind the SSNs given."""
        self._list_open()
        for first_tsn in self._firsts[: bisect_right(self._firsts, cumulative_tsn + 1)]:
            run = self._by_first[first_tsn]
            if first_tsn <= cumulative_tsn or not run.is_begun:
                self._drop(run)
        for stream_id, ssn in dict(streams).items():  # a stream that is listed twice is skipped once, to the last
            self._skip_stream(stream_id, ssn)

    def _skip_stream(self, stream_id: int, ssn: int) -> None:
        expected = self._next_ssn.get(stream_id, 0)
        distance = (ssn - expected) & _SSN_MASK
        if distance >= _HALF:
            return  # behind what has been delivered already
        waiting = self._waiting.get(stream_id, {})
        # What did arrive of those that are skipped is delivered, in order; the shorter way is taken to find it.
        offsets: Iterable[int] = range(distance + 1)
        if len(waiting) <= distance:
            offsets = sorted((held - expected) & _SSN_MASK for held in waiting)
        for offset in offsets:
            message = waiting.pop((expected + offset) & _SSN_MASK, None) if offset <= distance else None
            if message is not None:
                self._deliver(stream_id, *message)
        self._next_ssn[stream_id] = (ssn + 1) & _SSN_MASK
        self._deliver_waiting(stream_id)

    def reset_streams(self, stream_ids: Sequence[int]) -> None:
        """The peer numbers these streams from 0 again. What still waited for its turn is dropped."""
        for stream_id in stream_ids:
            self._next_ssn.pop(stream_id, None)
            for _, data in self._waiting.pop(stream_id, {}).values():
                self._stats.discard(DiscardReason.OLD_SSN)
                self.held_bytes -= len(data) + HELD_OVERHEAD_BYTES

    def hold(self, stream_ids: Sequence[int], after_tsn: int) -> None:
        """Until `release_held`, keep back what these streams carry above a TSN (RFC 6525 5.2.2 E2); none: all."""
        self._list_open()
        self._held = []
        self._held_streams = frozenset(stream_ids)
        self._held_after_tsn = after_tsn

    def release_held(self) -> Violation | None:
        """Process what was kept back (E4)."""
        held, self._held = self._held or [], None
        for chunk in held:
            self.held_bytes -= len(chunk[5]) + HELD_OVERHEAD_BYTES
            violation = self.insert(*chunk)
            if violation is not None:
                return violation
        return None

    def _is_to_be_held(self, tsn: int, stream_id: int) -> bool:
        return tsn > self._held_after_tsn and (not self._held_streams or stream_id in self._held_streams)

    def _drop(self, run: _Run) -> None:
        self._unlist(run)
        self.held_bytes -= run.byte_count + len(run.parts) * HELD_OVERHEAD_BYTES
        self._stats.discard(DiscardReason.ORPHAN_FRAGMENT)

    def _list(self, run: _Run) -> None:
        insort(self._firsts, run.first_tsn)
        self._by_first[run.first_tsn] = run
        self._by_last[run.last_tsn] = run

    def _unlist(self, run: _Run) -> None:
        del self._firsts[bisect_left(self._firsts, run.first_tsn)]
        del self._by_first[run.first_tsn]
        del self._by_last[run.last_tsn]

    def check(self) -> None:
        """Assert that what is held is the sum of what is held; for tests, O(n)."""
        runs = [*self._by_first.values(), *([self._open] if self._open is not None else ())]
        pieces = [part for run in runs for part in run.parts]
        pieces += [chunk[5] for chunk in self._held or ()]
        pieces += [data for waiting in self._waiting.values() for _, data in waiting.values()]
        held = sum(map(len, pieces)) + len(pieces) * HELD_OVERHEAD_BYTES
        unconsumed = self.unconsumed_bytes + self.unconsumed_messages * HELD_OVERHEAD_BYTES
        assert self.held_bytes == held + unconsumed, "the held bytes are those of the pieces"
        assert self._firsts == sorted(self._by_first)
        assert {run.last_tsn for run in self._by_first.values()} == self._by_last.keys()
