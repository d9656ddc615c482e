"""A DTLS connection as a machine: datagrams and time in, datagrams and events out (RFC 6347).

It joins the record layer (epochs, protection), the handshake layer (from hello to Finished), data, alerts and the end.

What comes of it when a stranger, who does not have the keys, sends to our address:

* Records that are malformed or not authentic are discarded and counted, at any time (RFC 6347 section 4.1.2.7).
* While the handshake goes on, its messages are not protected, so neither are we from one that is well-formed and wrong:
  it ends the handshake, with the alert and the reason that a broken peer deserves. Behind ICE only a path that has
  answered an authenticated check gets here. One that makes no sense is forgotten, so that the genuine one can still
  come; the fourth is taken as the peer's own.
* A plaintext alert does not end the handshake at once. It is a suspicion: whoever sent it in earnest says nothing more,
  so if no further message comes within `alert_grace_s`, it is believed; if one comes, it is forgotten.
* Once connected, nothing unprotected is read at all: no plaintext alert, no new ClientHello.
  deviation: RFC 6347 section 4.2.8 would have a server begin anew for a client that has lost its state. In WebRTC, such
  a client signals anew, and a new connection answers it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum

from sans_rtc.dtls import ciphers
from sans_rtc.dtls.alert import CLOSE_NOTIFY, Alert, AlertDescription, AlertLevel, Refusal, parse_alert, serialize_alert
from sans_rtc.dtls.certificate import Certificate
from sans_rtc.dtls.client12 import Client12
from sans_rtc.dtls.config import DtlsConfig, Role
from sans_rtc.dtls.early import EarlyBuffer
from sans_rtc.dtls.events import ApplicationData, DtlsEvent, TerminationReason
from sans_rtc.dtls.fingerprint import Fingerprint
from sans_rtc.dtls.handshake import HandshakeType
from sans_rtc.dtls.handshake_clock import HandshakeClock
from sans_rtc.dtls.handshake_layer import HandshakeLayer
from sans_rtc.dtls.progress import Exporter, Outcome
from sans_rtc.dtls.record import PLAINTEXT_BYTES_MAX, RecordLayer
from sans_rtc.dtls.server12 import Server12
from sans_rtc.dtls.session12 import Session12
from sans_rtc.dtls.states import GRACEFUL, TRANSITIONS, ConnectionState
from sans_rtc.dtls.stats import DiscardReason, DtlsStats
from sans_rtc.dtls.wire import ContentType
from sans_rtc.entropy import Entropy
from sans_rtc.errors import InvalidArgument, InvalidState, LimitExceeded, WireError
from sans_rtc.machine import Terminated, Trace, TraceRecord
from sans_rtc.outbox import Outbox
from sans_rtc.timers import Timers

__all__ = ["Connection", "ConnectionState", "Role"]

# Plain integers: comparing with a member of an IntEnum costs twice as much.
_CHANGE_CIPHER_SPEC = int(ContentType.CHANGE_CIPHER_SPEC)
_ALERT = int(ContentType.ALERT)
_HANDSHAKE = int(ContentType.HANDSHAKE)
_APPLICATION_DATA = int(ContentType.APPLICATION_DATA)


class _Timer(Enum):
    ALERT_GRACE = "alert_grace"


class Connection:
    """One DTLS association with one peer. `Machine[bytes, bytes, DtlsEvent]`.

    config             settings and bounds
    role               who speaks first
    certificate        ours
    peer_fingerprints  those signalled for the peer, at least one; its certificate must match
    entropy            for randoms, key shares and the cookie secret
    trace              takes a record of each step, where given
    """

    def __init__(
        self,
        config: DtlsConfig,
        *,
        role: Role,
        certificate: Certificate,
        peer_fingerprints: Sequence[Fingerprint],
        entropy: Entropy,
        trace: Trace | None = None,
    ) -> None:
        if not peer_fingerprints:
            raise InvalidArgument("without a signalled fingerprint nobody can be the peer")
        self.stats = DtlsStats()
        self._config = config
        self._role = role
        self._trace = trace
        self._state = ConnectionState.NEW
        self._is_connected = False
        self._events: Outbox[DtlsEvent] = Outbox()
        self._outbox: Outbox[bytes] = Outbox()
        self._timers: Timers[_Timer] = Timers()
        self._clock = HandshakeClock(config.handshake_timeout_s)
        self._records = RecordLayer(config, self.stats)
        session = Session12(config, role, certificate, peer_fingerprints, entropy)
        handshake = Client12(session) if role is Role.CLIENT else Server12(session)
        self._handshake = HandshakeLayer(config, handshake, self._records, self.stats)
        self._suspicion = CLOSE_NOTIFY
        self._early_data: EarlyBuffer[bytes] = EarlyBuffer(config.early_record_count_max, config.early_bytes_max)
        self._exporter: Exporter | None = None
        self._data_bytes_max = 0
        self._blocks_left = 0
        self._renegotiation_refused_at = -math.inf

    # inputs

    def start(self, now: float) -> None:
        """Begin the handshake: a client sends its ClientHello, a server is ready for one, whenever it comes.

        Effects  a client queues its first flight and arms the handshake timer; a server arms it at the ClientHello
        Errors   InvalidState when called twice
        """
        if self.is_terminated:
            return
        if self._state is not ConnectionState.NEW:
            raise InvalidState("the connection has been started before")
        self._enter(ConnectionState.CONNECTING, now)
        self._handshake.start(now)
        if self._role is Role.CLIENT:
            self._clock.start(now)

    def path_changed(self, now: float) -> None:
        """There is a path again, or another one: a handshake under way gets all of its time on it."""
        self._clock.renew(now)

    def path_silent(self, now: float) -> None:
        """Nothing that is sent can arrive, says the layer below: until `path_alive`, no handshake is given up."""
        self._clock.stand_still(now)

    def path_alive(self, now: float) -> None:
        """The silence is over: a handshake goes on with the time it had left, and sends again at once."""
        if self._clock.is_still:
            self._clock.go_on(now)
            self._handshake.resume(now)

    def receive(self, datagram: bytes, now: float) -> None:
        """Take one datagram; it may hold several records.

        datagram  0 to 65535 bytes
        now       seconds, monotonic, not before any earlier now
        Effects   may queue datagrams and events; may end the connection
        Errors    none for anything the peer sent; discards are counted in `stats`
        Source    RFC 6347 section 4.1
        """
        if self._is_connected:
            data = self._records.open_data(datagram)
            if data is not None:
                self.stats.records_opened += 1
                self._events.append(ApplicationData(data))
                return
        if self._is_connected or self._state is ConnectionState.CONNECTING:
            records = self._records.open(datagram)
            for content_type, epoch, number, content in records:
                self._on_record(content_type, epoch, number, content, now)
            if not records:
                self._on_unopened(now)
        elif self._state is ConnectionState.NEW:
            self.stats.discard(DiscardReason.NOT_STARTED)

    def send(self, data: bytes, now: float) -> None:
        """Queue one application data record, a datagram of its own.

        data    1 byte to what fits: data_mtu_bytes - record_overhead_bytes, 16384 at most
        Errors  InvalidState before Connected; LimitExceeded for too many bytes, or too many records not taken yet
        """
        if not self._is_connected:
            if self.is_terminated:
                return
            raise InvalidState(f"data can be sent once connected, not {self._state}")
        if not 0 < len(data) <= self._data_bytes_max:
            if not data:
                raise InvalidArgument("a record without data is not sent")
            raise LimitExceeded(f"{len(data)} bytes of data do not fit; {self._data_bytes_max} do")
        if len(self._outbox) >= self._config.send_queue_count_max:
            raise LimitExceeded(f"{len(self._outbox)} records wait to be taken")
        records = self._records
        self._outbox.append(records.seal(_APPLICATION_DATA, data))
        self.stats.records_sealed += 1
        self._blocks_left -= (len(data) >> ciphers.BLOCK_BITS) + ciphers.RECORD_BLOCKS_EXTRA
        if records.next_write_number >= self._config.record_count_max or self._blocks_left <= 0:
            detail = "our key has protected all the records it may"
            self._end(CLOSE_NOTIFY, TerminationReason.LIMIT_REACHED, detail, now)

    def close(self, now: float) -> None:
        """End gracefully: tell the peer and terminate, without waiting for its answer (RFC 5246 section 7.2.1)."""
        self._end(CLOSE_NOTIFY, TerminationReason.CLOSED, "closed by the application", now)

    def abort(self, now: float) -> None:
        """End at once, with a fatal alert."""
        alert = Alert(AlertLevel.FATAL, AlertDescription.USER_CANCELED)
        self._end(alert, TerminationReason.ABORTED, "aborted by the application", now)

    def handle_timer(self, now: float) -> None:
        """Do what is due: retransmit a flight, believe a plaintext alert, or give up on the handshake."""
        due = self._timers.take_due(now)
        if _Timer.ALERT_GRACE in due:
            detail = f"the peer sent {self._suspicion.name}, unprotected, and nothing after it"
            self._terminate(self._suspicion.reason, detail, now)
        elif self._clock.deadline <= now:
            self._on_handshake_timeout(now)
        elif self._handshake.deadline <= now:
            self._handshake.handle_timer(now)
            self._note("flight_retransmitted", now)

    # outputs

    def take_datagrams(self, now: float) -> Sequence[bytes]:
        """Hand over what is to be sent, in order."""
        if self._handshake.is_flight_due:
            self._queue_flight(now)
        return self._outbox.take()

    def take_events(self) -> Sequence[DtlsEvent]:
        """Hand over what has happened, in order."""
        return self._events.take()

    def export_keying_material(self, label: bytes, length: int, context: bytes | None = None) -> bytes:
        """Make keying material for another protocol (RFC 5705 section 4).

        label    "EXTRACTOR-dtls_srtp" for SRTP (RFC 5764 section 4.2)
        context  an empty one differs from None
        Errors   InvalidState unless connected: never before the peer is proven
        """
        if self._exporter is None:
            raise InvalidState(f"keys are exported while connected, not {self._state}")
        return self._exporter.export(label, length, context)

    # reads

    @property
    def deadline(self) -> float:
        """When handle_timer wants to run; math.inf when nothing is armed."""
        return min(self._timers.deadline, self._clock.deadline, self._handshake.deadline)

    @property
    def is_terminated(self) -> bool:
        """True once `Terminated` has been queued or taken."""
        return not TRANSITIONS[self._state]

    @property
    def state(self) -> ConnectionState:
        """Where the connection is in its life."""
        return self._state

    @property
    def record_overhead_bytes(self) -> int:
        """What a record adds to its data: 37 with AES-GCM, 29 with ChaCha20; before connected, the most it may be."""
        return self._records.overhead_bytes if self._is_connected else ciphers.OVERHEAD_BYTES_MAX

    @property
    def overhead_bytes_max(self) -> int:
        """The most that any suite adds to the data of a record."""
        return ciphers.OVERHEAD_BYTES_MAX

    # records, in the order of a connection's life

    def _on_record(self, content_type: int, epoch: int, number: int, data: bytes, now: float) -> None:
        if self.is_terminated:
            return
        if content_type == _APPLICATION_DATA:
            self._on_application_data(epoch, data, now)
        elif content_type == _ALERT:
            self._on_alert(epoch, data, now)
        elif self._is_connected:
            self._on_late_handshake(content_type, data, now)
        else:
            self._on_handshake(content_type, epoch, number, data, now)

    def _on_handshake(self, content_type: int, epoch: int, number: int, data: bytes, now: float) -> None:
        layer = self._handshake
        message_count, read_epoch = layer.message_count, self._records.read_epoch
        try:
            if content_type == _HANDSHAKE:
                layer.receive(epoch, number, data, now)
            else:
                layer.receive_change_cipher_spec(data)
        except Refusal as refusal:
            self._queue_alert(Alert(AlertLevel.FATAL, refusal.alert), now)
            self._terminate(refusal.reason, refusal.detail, now)
            return
        if layer.message_count > message_count:
            self._timers.cancel(_Timer.ALERT_GRACE)
            self._clock.start(now)
        if layer.outcome is not None:
            self._on_complete(layer.outcome, now)
        elif self._records.read_epoch > read_epoch:
            for early_type, early_epoch, early_number, early in self._records.open_early():
                self._on_record(early_type, early_epoch, early_number, early, now)

    def _on_complete(self, outcome: Outcome, now: float) -> None:
        """All checks have passed: the first moment at which keys and data leave this machine."""
        self._enter(ConnectionState.CONNECTED, now)
        self._timers.clear()
        self._clock.stop()
        self._queue_flight(now)
        self._records.end_handshake()
        self._exporter = outcome.exporter
        mtu_bytes = self._config.data_mtu_bytes or self._config.mtu_bytes
        self._data_bytes_max = min(mtu_bytes - self._records.overhead_bytes, PLAINTEXT_BYTES_MAX)
        self._blocks_left = ciphers.SUITES[ciphers.CipherSuite(outcome.connected.cipher_suite)].block_count_max
        self._events.append(outcome.connected)
        for data in self._early_data.take():
            self._on_application_data(self._records.read_epoch, data, now)

    def _on_application_data(self, epoch: int, data: bytes, now: float) -> None:
        if self._is_connected:
            self.stats.records_opened += 1
            self._events.append(ApplicationData(data))
            return
        if epoch == 0:
            self.stats.discard(DiscardReason.UNPROTECTED_DATA)
            return
        if not self._early_data.add(data, len(data)):  # RFC 6347 section 4.2.4: to be discarded, or kept
            self.stats.discard(DiscardReason.EARLY_DATA_OVERFLOW)
            return
        self._handshake.prompt(now, is_authentic=True)  # for the reason in `_on_unopened`

    def _on_late_handshake(self, content_type: int, data: bytes, now: float) -> None:
        """Authentic handshake records after the handshake: the peer's Finished again, or an attempt to renegotiate."""
        type_ = data[0] if content_type == _HANDSHAKE else -1
        if self._role is Role.SERVER and type_ == HandshakeType.FINISHED:
            # RFC 6347 section 4.2.4: who sent the last flight "MUST respond to a retransmit of the peer's last flight
            # with a retransmit of the last flight".
            self.stats.discard(DiscardReason.DUPLICATE_MESSAGE)
            self._handshake.prompt(now, is_authentic=True)
        elif self._role is Role.CLIENT and type_ == HandshakeType.HELLO_REQUEST:
            self.stats.discard(DiscardReason.HELLO_REQUEST)
        elif self._role is Role.SERVER and type_ == HandshakeType.CLIENT_HELLO:
            self.stats.discard(DiscardReason.RENEGOTIATION)
            if now - self._renegotiation_refused_at >= self._config.flight_timeout_s:
                self._renegotiation_refused_at = now
                self._queue_alert(Alert(AlertLevel.WARNING, AlertDescription.NO_RENEGOTIATION), now)
        else:
            self.stats.discard(DiscardReason.UNEXPECTED_HANDSHAKE)

    def _on_alert(self, epoch: int, data: bytes, now: float) -> None:
        try:
            alert = parse_alert(data)
        except WireError:
            self.stats.discard(DiscardReason.MALFORMED_ALERT)
            return
        self._note("alert_received", now, alert=alert.name, level=int(alert.level), epoch=epoch)
        if not alert.ends_connection:
            self.stats.discard(DiscardReason.WARNING_ALERT)
        elif epoch == 0:
            self._suspect(alert, now)
        else:
            if alert.description == AlertDescription.CLOSE_NOTIFY:
                # RFC 5246 section 7.2.1: "The other party MUST respond with a close_notify alert of its own".
                self._queue_alert(CLOSE_NOTIFY, now)
            self._terminate(alert.reason, f"the peer sent {alert.name}", now)

    def _suspect(self, alert: Alert, now: float) -> None:
        self.stats.discard(DiscardReason.UNAUTHENTICATED_ALERT)
        # An alert answers something that was said: a server that waits for a ClientHello has nothing to be told.
        if self._handshake.has_spoken and not self._timers.is_armed(_Timer.ALERT_GRACE):
            self._suspicion = alert
            self._timers.arm(_Timer.ALERT_GRACE, now + self._config.alert_grace_s)

    # the end

    def _on_unopened(self, now: float) -> None:
        """A datagram of which no record could be read: forged, or ahead of the keys."""
        if self._role is Role.CLIENT and self._records.write_epoch and self._records.has_early:
            # RFC 6347 section 4.2.4: data before the server's Finished may be taken as evidence of its loss, and our
            # last flight sent again at once, so that the server repeats its own.
            self._handshake.prompt(now, is_authentic=False)
        if self._records.forgery_count >= self._config.forgery_count_max:
            alert = Alert(AlertLevel.FATAL, AlertDescription.BAD_RECORD_MAC)
            self._end(alert, TerminationReason.LIMIT_REACHED, "too many records failed authentication", now)

    def _on_handshake_timeout(self, now: float) -> None:
        detail = f"the handshake did not complete in {self._config.handshake_timeout_s:g} s"
        if not self._handshake.message_count:
            detail += ": the peer sent nothing that could be used"
        alert = Alert(AlertLevel.FATAL, AlertDescription.HANDSHAKE_FAILURE)
        self._end(alert, TerminationReason.HANDSHAKE_TIMEOUT, detail, now)

    def _end(self, alert: Alert, reason: TerminationReason, detail: str, now: float) -> None:
        """Terminate, unless we have; tell the peer, unless we are a server that has got no ClientHello."""
        if self.is_terminated:
            return
        if self._handshake.has_spoken:
            self._queue_alert(alert, now)
        self._terminate(reason, detail, now)

    def _terminate(self, reason: TerminationReason, detail: str, now: float) -> None:
        self._enter(ConnectionState.CLOSED if reason in GRACEFUL else ConnectionState.FAILED, now)
        self._timers.clear()
        self._clock.stop()
        self._handshake.stop()
        self._early_data.close()
        self._exporter = None
        self._note("terminated", now, reason=str(reason), detail=detail)
        self._events.append(Terminated(reason, detail))

    def _queue_flight(self, now: float) -> None:
        for datagram in self._handshake.take_flight():
            self._note("flight_datagram_sent", now, size=len(datagram))
            self._outbox.append(datagram)

    def _queue_alert(self, alert: Alert, now: float) -> None:
        self._queue_flight(now)
        self._note("alert_sent", now, alert=alert.name, level=int(alert.level))
        self._outbox.append(self._records.seal(_ALERT, serialize_alert(alert)))

    def _enter(self, state: ConnectionState, now: float) -> None:
        assert state in TRANSITIONS[self._state], f"{self._state} does not lead to {state}"
        self._state = state
        self._is_connected = state is ConnectionState.CONNECTED
        self._note("state", now, state=str(state))

    def _note(self, name: str, now: float, **fields: object) -> None:
        if self._trace is not None:
            self._trace(TraceRecord("dtls", name, now, fields))
