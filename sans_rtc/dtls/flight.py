"""Flights: messages that are sent, and sent again, together (RFC 6347 section 4.2.4).

A flight is kept as messages, not as bytes on the wire: each transmission makes new records with new sequence numbers,
and may cut the messages smaller than the last.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs

from sans_rtc.dtls.handshake import HANDSHAKE_HEADER_BYTES, HandshakeMessage
from sans_rtc.dtls.record import RecordLayer
from sans_rtc.dtls.wire import ContentType

# A message is not cut to fill what is left of a datagram where less than this would fit.
_PIECE_BYTES_MIN = 64
_CHANGE_CIPHER_SPEC = b"\x01"  # RFC 5246 section 7.1
# RFC 6347 section 4.1.1.1 on how many retransmissions to wait before sending smaller records: "2-3 seems appropriate".
_RETRANSMISSIONS_BEFORE_FALLBACK = 3
# A flight is repeated on the peer's prompting after this interval at the earliest, half the timeout of browsers: a
# repeated flight is several records and may be duplicated on the way, but is one prompting.
_REPEAT_INTERVAL_S = 0.025
# And on unauthenticated promptings this often at most; after that only the timer does it.
_REPEAT_COUNT_MAX = 8


@attrs.frozen(slots=True)
class FlightItem:
    """One message of a flight and the epoch it belongs to; None stands for ChangeCipherSpec."""

    epoch: int
    message: HandshakeMessage | None


@attrs.frozen(slots=True)
class FlightSchedule:
    """How a flight is retransmitted.

    timeout_s      before the first retransmission; each doubles it
    timeout_s_max  bound of the doubling
    """

    timeout_s: float
    timeout_s_max: float


class Flight:
    """The flight that was sent last, and when it is to be sent again.

    is_due    take it at the next opportunity: it is new, the timer has fired, or the peer has repeated itself
    deadline  when the timer fires; math.inf where none is set
    """

    __slots__ = (
        "_items",
        "_last_sent_at",
        "_repeat_count",
        "_retransmission_count",
        "_schedule",
        "_timeout_s",
        "deadline",
        "is_due",
        "is_timed",
    )

    def __init__(self, schedule: FlightSchedule) -> None:
        self._schedule = schedule
        self._items: Sequence[FlightItem] = ()
        self._timeout_s = schedule.timeout_s
        self._retransmission_count = 0
        self._repeat_count = 0
        self._last_sent_at = -math.inf
        self.is_due = False
        self.is_timed = False
        self.deadline = math.inf

    def start(self, items: Sequence[FlightItem], now: float, *, is_timed: bool) -> None:
        """Replace the flight by the next one.

        is_timed  False for one that the peer need not answer: it is sent again only on the peer's prompting
        """
        # RFC 6347 section 4.2.4.1: "Implementations SHOULD retain the current timer value until a transmission without
        # loss occurs, at which time the value may be reset to the initial value."
        if not self._retransmission_count:
            self._timeout_s = self._schedule.timeout_s
        self._items = items
        self._retransmission_count = 0
        self._repeat_count = 0
        self.is_timed = is_timed
        self._send(now)

    def clear(self) -> None:
        """The handshake is over and the peer has had the last word: nothing is sent again."""
        self._items = ()
        self.is_due = False
        self.deadline = math.inf

    def retransmit(self, now: float) -> None:
        """The timer has fired."""
        self._retransmission_count += 1
        self._timeout_s = min(2 * self._timeout_s, self._schedule.timeout_s_max)
        self._send(now)

    def resume(self, now: float) -> None:
        """The path is alive again: send at once what waits for an answer, and begin anew with the timeouts and sizes.

        What a dead path has lost says nothing of the next one's delay, nor of the datagrams that it takes.
        """
        self._timeout_s = self._schedule.timeout_s
        self._retransmission_count = min(self._retransmission_count, 1)
        self._send(now)

    def repeat(self, now: float, *, is_authentic: bool) -> bool:
        """The peer has repeated a flight that this one answers, so part of this one was probably lost.

        Returns whether it is sent again: not too soon after the last time, and where the prompting may be forged, not
        too often. So nobody makes two ends set each other off without end.
        """
        is_too_soon = now - self._last_sent_at < _REPEAT_INTERVAL_S
        is_spent = not is_authentic and self._repeat_count >= _REPEAT_COUNT_MAX
        if not self._items or is_too_soon or is_spent:
            return False
        self._repeat_count += 1
        self._send(now)
        return True

    def pack(self, records: RecordLayer, mtu_bytes: int, mtu_fallback_bytes: int) -> list[bytes]:
        """Make the datagrams of one transmission: as few as fit into the MTU, several records in each."""
        self.is_due = False
        is_fallback = self._retransmission_count >= _RETRANSMISSIONS_BEFORE_FALLBACK
        packer = _Packer(records, min(mtu_bytes, mtu_fallback_bytes) if is_fallback else mtu_bytes)
        for item in self._items:
            packer.add(item)
        return packer.finish()

    def _send(self, now: float) -> None:
        self.is_due = True
        self._last_sent_at = now
        self.deadline = now + self._timeout_s if self.is_timed else math.inf


class _Packer:
    """Fills datagrams with records, cutting messages where a datagram ends."""

    def __init__(self, records: RecordLayer, mtu_bytes: int) -> None:
        self._records = records
        self._mtu_bytes = mtu_bytes
        self._room = mtu_bytes
        self._parts: list[bytes] = []
        self._datagrams: list[bytes] = []

    def add(self, item: FlightItem) -> None:
        if item.message is None:
            self._add_change_cipher_spec(item.epoch)
        else:
            self._add_message(item.epoch, item.message)

    def finish(self) -> list[bytes]:
        if self._parts:
            self._datagrams.append(b"".join(self._parts))
            self._parts = []
            self._room = self._mtu_bytes
        return self._datagrams

    def _add_change_cipher_spec(self, epoch: int) -> None:
        if self._room < self._records.overhead_bytes_in(epoch) + len(_CHANGE_CIPHER_SPEC):
            self.finish()
        self._put(epoch, ContentType.CHANGE_CIPHER_SPEC, _CHANGE_CIPHER_SPEC)
        self._records.use_write(epoch + 1)

    def _add_message(self, epoch: int, message: HandshakeMessage) -> None:
        overhead_bytes = self._records.overhead_bytes_in(epoch) + HANDSHAKE_HEADER_BYTES
        offset, left = 0, len(message.body)
        while True:  # each round puts something or begins an empty datagram, where something fits
            space = self._room - overhead_bytes
            if space < min(left, _PIECE_BYTES_MIN):
                assert self._parts, "the configuration's smallest MTU holds a piece of a message"
                self.finish()
                continue
            size = min(space, left)
            self._put(epoch, ContentType.HANDSHAKE, message.serialize_fragment(offset, size))
            offset += size
            left -= size
            if not left:
                return

    def _put(self, epoch: int, content_type: ContentType, data: bytes) -> None:
        record = self._records.seal_in(epoch, content_type, data)
        self._parts.append(record)
        self._room -= len(record)
