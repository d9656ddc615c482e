"""Partial reliability: giving up messages, and telling the peer to go on without them (RFC 3758 3.5, RFC 7496).

A message is abandoned as a whole: what has been sent of it is marked, what has not is dropped. The Advanced.Peer.Ack
point then moves over the abandoned chunks that follow the cumulative TSN, and a FORWARD-TSN carries it to the peer,
with the last SSN skipped of each ordered stream, until the peer's cumulative TSN has passed it.
"""

from __future__ import annotations

from sans_rtc.sctp.chunks import ForwardTsn, serialize
from sans_rtc.sctp.events import SendFailed
from sans_rtc.sctp.outstanding import ABANDONED, Outstanding, OutstandingChunk
from sans_rtc.sctp.scheduler import OutboundMessage
from sans_rtc.sctp.tcb import TransmissionControlBlock

_FIXED_BYTES = 8
_BYTES_PER_STREAM = 4


class PartialReliability:
    """Decides which messages are given up, and keeps the Advanced.Peer.Ack point.

    is_supported  the peer understands FORWARD-TSN; otherwise a message that was begun is always finished
    """

    __slots__ = ("_advanced_tsn", "_outstanding", "_sent_at", "_sent_tsn", "_tcb", "is_due", "is_supported")

    def __init__(self, tcb: TransmissionControlBlock, outstanding: Outstanding) -> None:
        self._tcb = tcb
        self._outstanding = outstanding
        self._advanced_tsn = outstanding.first_tsn - 1
        self._sent_tsn = self._advanced_tsn
        self._sent_at = 0.0
        self.is_due = False
        self.is_supported = False

    def is_over(self, message: OutboundMessage, transmit_count: int, now: float) -> bool:
        """True where a chunk sent this often may not be sent again."""
        if not message.is_partial or not self.is_supported:
            return False
        retransmits = message.max_retransmits
        return (retransmits is not None and transmit_count > retransmits) or message.is_expired(now)

    def abandon(self, message: OutboundMessage) -> int:
        """Give a message up and return how many of its bytes had not been sent yet."""
        if message.is_abandoned:
            return 0
        message.is_abandoned = True
        unsent = len(message.data) - message.offset
        message.offset = len(message.data)
        if unsent and message.first_tsn >= 0:
            self._end_unsent(message)
        self._outstanding.abandon(self._chunks_of(message))
        self._tcb.stats.messages_abandoned += 1
        self._tcb.events.append(
            SendFailed(message.stream.id, message.ppid, len(message.data), was_sent=message.first_tsn >= 0)
        )
        self.advance()
        return unsent

    def advance(self) -> None:
        """Move the Advanced.Peer.Ack point over what is abandoned (C1, C2)."""
        outstanding = self._outstanding
        tsn = max(self._advanced_tsn, outstanding.first_tsn - 1)
        while tsn + 1 < outstanding.next_tsn and outstanding.at(tsn + 1).status == ABANDONED:
            tsn += 1
        self._advanced_tsn = tsn
        if tsn > self._sent_tsn and tsn >= outstanding.first_tsn:
            self.is_due = True

    def on_sack(self, now: float) -> None:
        """Send FORWARD-TSN again while the peer is behind (C3), not more than once per round trip."""
        self.advance()
        if not self.is_behind:
            self.is_due = False
        elif now - self._sent_at >= max(self._tcb.rto.srtt_s, 0.001):
            self.is_due = True

    def on_timeout(self) -> None:
        """T3-rtx has expired: the last FORWARD-TSN may be lost."""
        self.is_due = self.is_behind

    @property
    def is_behind(self) -> bool:
        """True where the peer has not yet passed the Advanced.Peer.Ack point."""
        return self._advanced_tsn >= self._outstanding.first_tsn

    def forward_tsn(self, room: int, now: float) -> bytes:
        """The FORWARD-TSN that is due, reaching as far as its list of streams fits into `room` bytes."""
        assert self.is_due and self.is_behind, "forward_tsn() is for when one is due"
        outstanding = self._outstanding
        skipped: dict[int, int] = {}
        reached = outstanding.first_tsn - 1
        streams_max = (room - _FIXED_BYTES) // _BYTES_PER_STREAM
        for chunk in outstanding.chunks[: self._advanced_tsn - outstanding.first_tsn + 1]:
            message = chunk.message
            if message.is_ordered:
                if message.stream.id not in skipped and len(skipped) == streams_max:
                    break
                skipped[message.stream.id] = message.ssn
            reached = chunk.tsn
        self.is_due = False
        self._sent_tsn = self._advanced_tsn
        self._sent_at = now
        return serialize(ForwardTsn(reached & 0xFFFFFFFF, list(skipped.items())))

    def _end_unsent(self, message: OutboundMessage) -> None:
        """Give the part that is never sent one TSN, so that the peer learns the message is over even where it has
        acknowledged all that was sent of it: otherwise no FORWARD-TSN would come, and it would wait for the rest."""
        outstanding = self._outstanding
        message.last_tsn = outstanding.next_tsn
        newest = outstanding.newest_number
        chunk = OutstandingChunk(message.last_tsn, b"", message, newest, 0.0, outstanding.sent_bytes)
        outstanding.chunks.append(chunk)

    def _chunks_of(self, message: OutboundMessage) -> list[OutstandingChunk]:
        if message.first_tsn < 0:
            return []
        outstanding = self._outstanding
        first = max(message.first_tsn, outstanding.first_tsn)
        return outstanding.chunks[first - outstanding.first_tsn : message.last_tsn - outstanding.first_tsn + 1]
