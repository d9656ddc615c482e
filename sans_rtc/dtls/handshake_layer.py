"""Runs a handshake: records in, flights out (RFC 6347 section 4.2).

It joins the reassembler (whole messages in order), the handshake (what they mean), the flight (what is sent, and sent
again) and the keys that come of it. What it refuses, it raises as `Refusal`; the connection turns that into an alert.
"""

from __future__ import annotations

import math

from sans_rtc.dtls.alert import AlertDescription, Refusal
from sans_rtc.dtls.config import DtlsConfig
from sans_rtc.dtls.events import TerminationReason
from sans_rtc.dtls.flight import Flight, FlightSchedule
from sans_rtc.dtls.handshake import Fragment, HandshakeMessage, HandshakeType, handshake_name, parse_fragments
from sans_rtc.dtls.progress import Handshake, NextEpoch, Outcome, Progress
from sans_rtc.dtls.reassembly import Arrival, Reassembler
from sans_rtc.dtls.record import SEQUENCE_NUMBER_MAX, RecordLayer
from sans_rtc.dtls.stats import DiscardReason, DtlsStats
from sans_rtc.errors import WireError

# The record numbers a cookie exchange goes on from are the client's choice; beyond half of all, ours go on instead.
_MIRRORED_NUMBER_MAX = SEQUENCE_NUMBER_MAX // 2
CHANGE_CIPHER_SPEC = b"\x01"  # RFC 5246 section 7.1


class HandshakeLayer:
    """One handshake from its first message to both ends' Finished, and the answer to a Finished that comes again.

    message_count  how many messages of the peer's have been processed: the handshake's progress
    has_spoken     whether we have sent anything
    outcome        what was agreed, once it is complete
    """

    def __init__(self, config: DtlsConfig, handshake: Handshake, records: RecordLayer, stats: DtlsStats) -> None:
        self._config = config
        self._handshake = handshake
        self._records = records
        self._stats = stats
        self._flight = Flight(FlightSchedule(config.flight_timeout_s, config.flight_timeout_s_max))
        self._reassembler = Reassembler(config, stats)
        self.message_count = 0
        self.has_spoken = False
        self.outcome: Outcome | None = None
        self._malformed_count = 0
        self._answered_seq = 0  # the current flight answers the peer's messages before this one
        self._mirrors_records = False
        self._has_change_cipher_spec = False
        self._next_epoch: NextEpoch | None = None

    def start(self, now: float) -> None:
        """Begin: a client sends its first flight."""
        self._apply(self._handshake.start(), 0, now)

    def receive(self, epoch: int, number: int, data: bytes, now: float) -> None:
        """Take the content of a handshake record of the handshake.

        epoch, number  of the record
        Errors         Refusal
        """
        try:
            fragments = parse_fragments(data)
        except WireError:
            self._stats.discard(DiscardReason.MALFORMED_FRAGMENT)
            return
        is_repetition = False
        for fragment in fragments:
            arrival = self._add(fragment, epoch, number, now)
            is_repetition |= arrival is Arrival.DUPLICATE and fragment.message_seq < self._answered_seq
        self._process(number, now)
        if is_repetition and self._is_awaiting_answer:
            self._repeat(number, now)

    def receive_change_cipher_spec(self, data: bytes) -> None:
        """Take the content of a ChangeCipherSpec record.

        RFC 6347 section 4.2.5: it is no handshake message and has no place in their order; the keys may come later.
        It is not authentic, and need not be: the keys it brings into use are the handshake's, or none.
        """
        if data != CHANGE_CIPHER_SPEC:
            self._stats.discard(DiscardReason.MALFORMED_CHANGE_CIPHER_SPEC)
            return
        self._has_change_cipher_spec = True
        self._change_read_epoch()

    def prompt(self, now: float, *, is_authentic: bool) -> None:
        """Something other than a repeated flight shows that ours, or the answer to it, was lost: send it again."""
        if self._flight.repeat(now, is_authentic=is_authentic):
            self._stats.flights_repeated += 1

    def handle_timer(self, now: float) -> None:
        """Retransmit the flight if it is time."""
        if self._flight.deadline <= now:
            self._flight.retransmit(now)
            self._stats.flights_retransmitted += 1

    def resume(self, now: float) -> None:
        """The path is alive again: send a flight that waits for an answer without waiting for its timer."""
        if self._flight.deadline < math.inf:
            self._flight.resume(now)
            self._stats.flights_retransmitted += 1

    def stop(self) -> None:
        """Nothing is to be sent any more."""
        self._flight.clear()
        self._reassembler.clear()

    def take_flight(self) -> list[bytes]:
        """The datagrams of the flight, where it is due."""
        if not self._flight.is_due:
            return []
        return self._flight.pack(self._records, self._config.mtu_bytes, self._config.mtu_fallback_bytes)

    @property
    def is_flight_due(self) -> bool:
        """Whether `take_flight` has something."""
        return self._flight.is_due

    @property
    def deadline(self) -> float:
        """When `handle_timer` has something to do; math.inf where never."""
        return self._flight.deadline

    @property
    def _is_awaiting_answer(self) -> bool:
        # Once anything of the peer's next flight is here, it must have seen all of ours: what it repeats is due to its
        # own timer, and needs no answer.
        is_answer_begun = self._reassembler.next_seq > self._answered_seq or not self._reassembler.is_empty
        return self.outcome is None and not is_answer_begun

    def _add(self, fragment: Fragment, epoch: int, number: int, now: float) -> Arrival:
        if fragment.type == HandshakeType.HELLO_REQUEST:
            # RFC 5246 section 7.4.1.1: one that comes during a handshake is to be ignored.
            self._stats.discard(DiscardReason.HELLO_REQUEST)
            return Arrival.DISCARDED
        if self._handshake.epoch_of(fragment.type) != epoch:
            self._stats.discard(DiscardReason.WRONG_EPOCH)
            return Arrival.DISCARDED
        arrival = self._reassembler.add(fragment, epoch)
        is_whole = len(fragment.body) == fragment.length
        if arrival is Arrival.DUPLICATE and is_whole and self._handshake.takes_repeated(fragment.type):
            self._take_repeated(HandshakeMessage(fragment.type, fragment.message_seq, fragment.body), number, now)
            return Arrival.TAKEN
        return arrival

    def _take_repeated(self, message: HandshakeMessage, number: int, now: float) -> None:
        try:
            progress = self._handshake.receive(message)
        except WireError:
            self._stats.discard(DiscardReason.MALFORMED_MESSAGE)
            return
        self._apply(progress, number, now)

    def _process(self, number: int, now: float) -> None:
        while self.outcome is None:  # each round takes a message out of the reassembler
            message = self._reassembler.peek()
            if message is None:
                return
            try:
                progress = self._handshake.receive(message)
            except WireError as error:
                self._on_malformed(message, error)
                continue
            self._reassembler.accept()
            self.message_count += 1
            self._apply(progress, number, now)

    def _on_malformed(self, message: HandshakeMessage, error: WireError) -> None:
        self._reassembler.reject()
        self._stats.discard(DiscardReason.MALFORMED_MESSAGE)
        self._malformed_count += 1
        if self._malformed_count >= self._config.malformed_message_count_max:
            # RFC 6347 section 4.2.7: "Implementations SHOULD detect when a peer is persistently sending bad messages
            # and terminate the local connection state after such misbehavior is detected."
            raise Refusal(
                AlertDescription.DECODE_ERROR,
                TerminationReason.PROTOCOL_VIOLATION,
                f"{handshake_name(message.type)} cannot be read: {error}",
            )

    def _apply(self, progress: Progress, number: int, now: float) -> None:
        if progress.next_epoch is not None:
            self._next_epoch = progress.next_epoch
            self._records.install_write(self._records.write_epoch + 1, progress.next_epoch.write)
            self._change_read_epoch()
        if progress.flight is not None:
            self._answered_seq = self._reassembler.next_seq
            self._mirrors_records = progress.mirrors_record and not progress.is_flight_timed
            if progress.mirrors_record:
                self._mirror(number)
            self._flight.start(progress.flight, now, is_timed=progress.is_flight_timed)
            self._stats.flights_sent += 1
            self.has_spoken = True
        if progress.outcome is not None:
            self.outcome = progress.outcome
            self._reassembler.clear()
            if progress.flight is None:
                self._flight.clear()

    def _change_read_epoch(self) -> None:
        # RFC 5246 section 7.4.9: the peer's ChangeCipherSpec comes before its Finished; what is protected waits for it.
        if self._has_change_cipher_spec and self._next_epoch is not None:
            self._records.install_read(self._records.read_epoch + 1, self._next_epoch.read)
            self._has_change_cipher_spec = False
            self._next_epoch = None

    def _repeat(self, number: int, now: float) -> None:
        if self._flight.repeat(now, is_authentic=False):
            self._stats.flights_repeated += 1
            if self._mirrors_records:
                self._mirror(number)

    def _mirror(self, number: int) -> None:
        # RFC 6347 section 4.2.1: "the server MUST use the record sequence number in the ClientHello as the record
        # sequence number in the HelloVerifyRequest", and in its first ServerHello likewise.
        if number <= _MIRRORED_NUMBER_MAX:
            self._records.set_write_number(0, number)
