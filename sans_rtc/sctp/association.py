"""One SCTP association over DTLS, as a machine (RFC 9260, RFC 8261).

    bytes in:  receive -> checksum and tag -> chunk by chunk to the part that it belongs to
    bytes out: take_datagrams -> SACK, control chunks, FORWARD-TSN, lost chunks, new messages

The parts have their own files and share the transmission control block. This one has the application's verbs and the
timers, and after each input it asks whether something has become possible: a reset, the next step of a shutdown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sans_rtc.entropy import Entropy
from sans_rtc.errors import InvalidArgument, InvalidState, LimitExceeded
from sans_rtc.machine import Trace
from sans_rtc.sctp.chunks import ChunkType
from sans_rtc.sctp.config import Reliability, SctpConfig
from sans_rtc.sctp.events import SctpEvent, TerminationReason
from sans_rtc.sctp.params import CauseCode, text_cause
from sans_rtc.sctp.parts import Parts, statistics_of
from sans_rtc.sctp.receiver import PacketReceiver
from sans_rtc.sctp.scheduler import WEIGHT_MAX
from sans_rtc.sctp.state import ACCEPTS_MESSAGES, OPENING, State
from sans_rtc.sctp.stats import Statistics, Stats
from sans_rtc.sctp.tcb import Timer, TransmissionControlBlock
from sans_rtc.sctp.wire import (
    CHECKSUM,
    COMMON_HEADER_BYTES,
    DATA_HEADER,
    DATA_HEADER_BYTES,
    SACK_HEADER,
    crc32c_extend,
    split_data,
)

_PPID_MAX = 0xFFFFFFFF


class Association:
    """An association with the one peer that a DTLS connection has; `Machine[bytes, bytes, SctpEvent]`.

    stats  counters, discards by reason among them
    """

    __slots__ = ("_inbound", "_is_close_wanted", "_on_timer", "_outbound", "_parts", "_receiver", "_tcb", "stats")

    def __init__(self, config: SctpConfig, *, entropy: Entropy, trace: Trace | None = None) -> None:
        self._tcb = TransmissionControlBlock(config, entropy, trace)
        self._parts = parts = Parts.assemble(self._tcb)
        self._receiver = PacketReceiver(parts)
        self._inbound = parts.inbound
        self._outbound = parts.outbound
        self._is_close_wanted = False
        self.stats: Stats = self._tcb.stats
        self._on_timer: Mapping[Timer, Callable[[float], None]] = {
            Timer.T1_INIT: parts.handshake.on_t1_init,
            Timer.T1_COOKIE: parts.handshake.on_t1_cookie,
            Timer.T2_SHUTDOWN: self._on_t2,
            Timer.T3_RTX: self._on_t3,
            Timer.T5_SHUTDOWN_GUARD: parts.shutdown.on_t5,
            Timer.SACK: self._on_sack_delay,
            Timer.HEARTBEAT: self._on_heartbeat,
            Timer.RECONFIG: parts.reconfig.on_timer,
            Timer.LOSS: parts.outbound.on_loss_timer,
            Timer.TAIL_PROBE: parts.outbound.on_tail_probe,
            Timer.WINDOW_PROBE: parts.outbound.on_window_probe,
            Timer.PACING: parts.outbound.on_pacing,
            Timer.MTU: parts.path_mtu.on_timer,
        }

    # inputs

    def connect(self, now: float) -> None:
        """Begin the handshake. Both ends may; without effect where one is under way or done.

        Effects  queues INIT; `Connected` follows, or `Terminated`
        Source   RFC 9260 5.1, 5.2.1
        """
        if self._tcb.state is State.CLOSED and not self._tcb.is_terminated:
            self._parts.handshake.connect(now)

    def receive(self, datagram: bytes, now: float) -> None:
        """Take one SCTP packet that arrived over DTLS.

        datagram  one packet, common header first; anything else is discarded
        now       seconds, monotonic, not before any earlier now
        Effects   may queue packets and events; may end the association
        Errors    none for anything the peer sent; discards are counted in `stats`
        Source    RFC 9260 6.10 bundling, 8.5 verification tag, 8.4 out of the blue
        """
        tcb = self._tcb
        # The short way for a packet with the tag of the association and nothing but DATA, or one SACK without gaps:
        # bulk traffic is made of those. Whatever else it is, or is wrong with it, takes the long way, which does the
        # same.
        if tcb.takes_data and datagram[:8] == tcb.expected.prefix and len(datagram) > COMMON_HEADER_BYTES:
            body = datagram[COMMON_HEADER_BYTES:]
            if CHECKSUM.unpack_from(datagram, 8)[0] == crc32c_extend(tcb.expected.prefix_crc, body) and (
                self._receive_data(body, now) or self._receive_plain_sack(body, now)
            ):
                tcb.stats.packets_received += 1
                return
        if not tcb.is_terminated:
            self._receiver.receive_untrusted(datagram, now)
            self._settle(now)

    def _receive_data(self, body: bytes, now: float) -> bool:
        """Take the chunks of a packet that are DATA, one or several; False, with nothing done, where they are not."""
        size = len(body)
        if size <= DATA_HEADER_BYTES or body[0] != ChunkType.DATA:
            return False
        _, flags, length, tsn, stream_id, ssn, ppid = DATA_HEADER.unpack_from(body)
        if not DATA_HEADER_BYTES < length <= size:
            return False
        inbound = self._inbound
        if size < length + 4:
            inbound.on_data(flags, tsn, stream_id, ssn, ppid, body[DATA_HEADER_BYTES:length])
        else:
            chunks = split_data(body)
            if chunks is None:
                return False
            for chunk in chunks:
                inbound.on_data(*chunk)
        inbound.on_packet_end(now)
        if self._tcb.state is State.SHUTDOWN_SENT:
            self._receiver.on_data_after_shutdown(now)
        if inbound.violation is not None or self._parts.reconfig.deferred is not None:
            self._settle(now)
        return True

    def _receive_plain_sack(self, body: bytes, now: float) -> bool:
        """Take the chunks of a packet that are one SACK without gaps and duplicates; False where they are not."""
        if len(body) != SACK_HEADER.size or body[0] != ChunkType.SACK or not self._tcb.sends_data:
            return False
        _, _, length, cumulative_tsn, window_bytes, gap_count, duplicate_count = SACK_HEADER.unpack(body)
        if length != SACK_HEADER.size or gap_count or duplicate_count:
            return False
        self._receiver.on_sack(cumulative_tsn, window_bytes, now)
        self._settle(now)
        return True

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        for timer in self._tcb.timers.take_due(now):
            if self._tcb.is_terminated:
                return
            self._on_timer[timer](now)
        self._settle(now)

    def send(self, stream_id: int, ppid: int, data: bytes, reliability: Reliability, now: float) -> None:
        """Queue one message; it may be called before the association is established.

        stream_id    0 to 65534, below `streams_outbound`
        ppid         payload protocol identifier, 32 bits, carried as it is
        data         at least one byte
        Errors       InvalidState once a shutdown has begun or the association has ended; InvalidArgument;
                     LimitExceeded beyond `send_buffer_bytes_max` or `send_buffer_messages_max`
        """
        self._check_open()
        self._check_stream(stream_id)
        if not isinstance(data, bytes) or not data:
            raise InvalidArgument("a message is at least one byte")
        if not 0 <= ppid <= _PPID_MAX:
            raise InvalidArgument(f"a payload protocol identifier has 32 bits, not {ppid}")
        if not self._has_room(len(data)):
            expired = self._outbound.flow.scheduler.expired(now)
            if not self._has_room(len(data) - sum([len(each.data) for each in expired]), len(expired)):
                raise LimitExceeded("the send buffer is full; BufferLow says when to go on")
            self._outbound.remove_where_expired(now)
        self._outbound.send(stream_id, ppid, data, reliability, now)

    def consume(self, byte_count: int, now: float) -> None:
        """Give credit: the application has taken this many bytes of `Message`s; the window re-opens."""
        if self._tcb.is_terminated:
            return
        if not 0 <= byte_count <= self._inbound.reassembly.unconsumed_bytes:
            raise InvalidArgument(f"{byte_count} bytes are not what was delivered and not consumed")
        if byte_count:
            self._inbound.consume(byte_count)

    def reset_streams(self, stream_ids: Sequence[int], now: float) -> None:
        """Reset outgoing streams once what is queued on them has been sent (RFC 6525).

        Effects  OutgoingStreamsReset or OutgoingResetDenied follows for each; messages sent meanwhile wait for it
        Errors   InvalidState once a shutdown has begun; InvalidArgument
        """
        self._check_open()
        for stream_id in stream_ids:
            self._check_stream(stream_id)
        self._parts.reconfig.reset(stream_ids)
        self._settle(now)

    def set_stream_weight(self, stream_id: int, weight: int, now: float) -> None:
        """Give the stream a share of the association while several have messages; 256 by default (RFC 8831 6.4)."""
        self._check_stream(stream_id)
        if not 1 <= weight <= WEIGHT_MAX:
            raise InvalidArgument(f"a weight is 1 to {WEIGHT_MAX}, not {weight}")
        self._outbound.flow.scheduler.stream(stream_id).weight = weight

    def set_low_threshold(self, stream_id: int, threshold_bytes: int, now: float) -> None:
        """Say at which `buffered_bytes` the event BufferLow comes; 0 by default."""
        self._check_stream(stream_id)
        if threshold_bytes < 0:
            raise InvalidArgument(f"a threshold is not negative, as {threshold_bytes} is")
        self._outbound.flow.scheduler.stream(stream_id).low_threshold_bytes = threshold_bytes

    def path_changed(self, now: float) -> None:
        """The layer below uses another path: nothing is known of its rate and delay (RFC 8261 6.1), and what the one
        before has lost is not counted against it."""
        self._tcb.error_count = 0
        self._tcb.rto.reset()
        self._parts.handshake.path_changed(now)
        self._outbound.flow.congestion.reset()
        self._parts.path_mtu.on_path_changed()

    def path_silent(self, now: float) -> None:
        """Nothing that is sent can arrive, says the layer below: until `path_alive`, nothing is given up for that."""
        self._tcb.is_path_silent = True

    def path_alive(self, now: float) -> None:
        """The silence is over: what it left unanswered is not counted, and a handshake asks again at once."""
        if self._tcb.is_path_silent:
            self._tcb.is_path_silent = False
            self._tcb.error_count = 0
            self._tcb.rto.end_back_off()
            self._parts.handshake.resume(now)

    def allow_probes(self, is_allowed: bool, now: float) -> None:
        """Say whether the path is one whose MTU can be searched for; without effect where the configuration has none.

        A path through a relay or over a stream is not: what they do to large packets is not to be told from loss.
        """
        if not self._tcb.is_terminated:
            self._parts.path_mtu.allow(is_allowed)

    def close(self, now: float) -> None:
        """End gracefully: everything queued is delivered first (RFC 9260 9.2). Idempotent."""
        tcb = self._tcb
        if tcb.is_terminated or self._is_close_wanted:
            return
        self._is_close_wanted = True
        if tcb.state is State.CLOSED or (tcb.state in OPENING and not self._outbound.flow.scheduler.queued_bytes):
            self._abort("closed before there was an association", now)
        self._settle(now)

    def abort(self, now: float) -> None:
        """End at once: what is queued or not acknowledged is lost, the peer is told (RFC 9260 9.1)."""
        if not self._tcb.is_terminated:
            self._abort("aborted by the application", now)

    def _abort(self, detail: str, now: float) -> None:
        cause = text_cause(CauseCode.USER_INITIATED_ABORT, detail)
        self._tcb.abort(cause, TerminationReason.LOCAL_ABORT, detail, now)

    # outputs

    def take_datagrams(self, now: float) -> Sequence[bytes]:
        """Hand over the packets to be sent, in sending order, none over the MTU.

        Effects  messages become chunks here, so BufferLow and SendFailed may be queued: take events after it
        """
        tcb, writer, inbound = self._tcb, self._parts.writer, self._inbound
        writer.sealer = tcb.sealer
        if tcb.packets:
            writer.packets += tcb.take_packets()
        if tcb.leading:
            writer.add(tcb.leading.pop())
        if inbound.is_sack_due or (inbound.has_unacked and tcb.sends_data and self._outbound.may_send()):
            self._write_sacks()
        self._write_control()
        if tcb.sends_data:
            self._outbound.transmit(now)
            if self._outbound.flow.is_bulk:
                self._parts.path_mtu.on_bulk()
            if self._parts.reconfig.pending or tcb.state is not State.ESTABLISHED:
                # The last message before a reset has gone just now, or the last before a shutdown has expired; control
                # chunks come before DATA in a packet (6.10), so theirs is another.
                self._settle(now)
                writer.flush()
                self._write_control()
            self._parts.reconfig.has_answered = False
        packets = writer.take()
        tcb.stats.packets_sent += len(packets)
        return packets

    def take_probe(self, now: float) -> bytes | None:
        """A packet that asks whether the path takes its size: to be sent after all others, and not to be fragmented.

        None where there is none to send, and always where `mtu_probe_bytes` is empty. It may be over the MTU of now.
        """
        return self._parts.path_mtu.take_probe(now)

    def _write_sacks(self) -> None:
        """One SACK a packet; the last may share its packet with what follows."""
        writer = self._parts.writer
        *earlier, last = self._inbound.take_sacks()
        for sack in earlier:
            writer.add(sack)
            writer.flush()
        writer.add(last)

    def _write_control(self) -> None:
        chunks = self._tcb.control
        if chunks:
            self._tcb.control = []
            for chunk in chunks:
                self._parts.writer.add(chunk)

    def take_events(self) -> Sequence[SctpEvent]:
        """Hand over what has happened, in order."""
        return self._tcb.events.take()

    # reads

    @property
    def deadline(self) -> float:
        """When handle_timer wants to run, in seconds; math.inf when nothing is armed."""
        return self._tcb.timers.deadline

    @property
    def is_terminated(self) -> bool:
        """True once `Terminated` has been queued or taken."""
        return self._tcb.is_terminated

    @property
    def state(self) -> State:
        """The state of RFC 9260 section 4."""
        return self._tcb.state

    @property
    def streams_outbound(self) -> int:
        """Streams that may be sent on: the configured number, or the lower one that the peer has granted."""
        return self._parts.streams_outbound

    def buffered_bytes(self, stream_id: int) -> int:
        """Bytes accepted by `send` and not yet sent for the first time (W3C bufferedAmount)."""
        stream = self._outbound.flow.scheduler.streams.get(stream_id)
        return 0 if stream is None else stream.buffered_bytes

    @property
    def unacknowledged_bytes(self) -> int:
        """Bytes accepted by `send` that the peer has not acknowledged. O(chunks outstanding)."""
        return self._outbound.unacknowledged_bytes

    @property
    def statistics(self) -> Statistics:
        """How path and windows stand now."""
        return statistics_of(self._tcb, self._outbound, self._inbound)

    # private

    def _on_t2(self, now: float) -> None:
        self._parts.shutdown.on_t2(self._inbound.tsns.cumulative, now)

    def _on_sack_delay(self, now: float) -> None:
        self._inbound.request_sack()

    def _on_heartbeat(self, now: float) -> None:
        self._parts.heartbeat.on_timer(self._outbound.flow.last_sent_at, now)

    def _on_t3(self, now: float) -> None:
        self._outbound.on_t3(now)
        if not self._tcb.is_terminated:
            self._parts.path_mtu.on_timeouts(self._tcb.error_count, now)

    def _settle(self, now: float) -> None:
        """After an input: end for a violation, go on where something has become possible."""
        parts, tcb = self._parts, self._tcb
        if tcb.is_terminated:
            return
        if tcb.sends_data:
            parts.reconfig.progress(now)  # this may release what was held back, and show a violation in it
        if self._inbound.violation is not None:
            self._receiver.abort_for_violation(self._inbound.violation, now)
            return
        if not tcb.sends_data:
            return
        if self._is_close_wanted and tcb.state is State.ESTABLISHED:
            parts.shutdown.begin(now)
        if tcb.state is not State.ESTABLISHED and self._outbound.is_all_acknowledged:
            parts.shutdown.progress(self._inbound.tsns.cumulative, now)

    def _check_open(self) -> None:
        if self._tcb.is_terminated or self._is_close_wanted or self._tcb.state not in ACCEPTS_MESSAGES:
            raise InvalidState("the association takes no more: it is shutting down or has ended")

    def _check_stream(self, stream_id: int) -> None:
        if not 0 <= stream_id < self._parts.streams_outbound:
            raise InvalidArgument(f"outgoing streams are 0 to {self._parts.streams_outbound - 1}, not {stream_id}")

    def _has_room(self, byte_count: int, removed_count: int = 0) -> bool:
        scheduler, config = self._outbound.flow.scheduler, self._tcb.config
        return (
            scheduler.queued_bytes + byte_count <= config.send_buffer_bytes_max
            and scheduler.queued_messages - removed_count < config.send_buffer_messages_max
        )
