"""From packets to chunks to the parts they belong to (RFC 9260 3.2, 6.10, 8.4, 8.5).

Every byte here is a stranger's until checksum and verification tag are right, and a peer's after that. Nothing raises;
what does not fit is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sans_rtc.errors import WireError
from sans_rtc.sctp.admission import is_admitted
from sans_rtc.sctp.chunks import (
    DATA_VALUE,
    Abort,
    Chunk,
    ChunkType,
    CookieAck,
    CookieEcho,
    Error,
    ForwardTsn,
    Heartbeat,
    Init,
    Pad,
    ReConfig,
    Sack,
    Shutdown,
    ShutdownAck,
    ShutdownComplete,
    parse_chunk,
)
from sans_rtc.sctp.events import Connected, Restarted, TerminationReason
from sans_rtc.sctp.opening import REPORTED_BYTES_MAX, Feature, Opening
from sans_rtc.sctp.params import (
    REPORT_BIT,
    STOP_BIT_CLEAR,
    CauseCode,
    Parameter,
    describe_cause,
    no_user_data,
    text_cause,
)
from sans_rtc.sctp.parts import Parts
from sans_rtc.sctp.reassembly import Violation
from sans_rtc.sctp.state import OPENING, SENDS_DATA, TAKES_DATA, State
from sans_rtc.sctp.stats import DiscardReason
from sans_rtc.sctp.wire import (
    CHUNK_HEADER_BYTES,
    COMMON_HEADER_BYTES,
    PORTS_AND_TAG,
    RawChunk,
    is_checksum_valid,
    serialize_chunk,
    split_chunks,
)

_ALL = frozenset(State)
_OPEN = TAKES_DATA | {State.SHUTDOWN_ACK_SENT}

EXPECTED_IN: Mapping[int, frozenset[State]] = {
    # In other states the chunk is counted as unexpected and dropped.
    ChunkType.INIT: _ALL,
    ChunkType.INIT_ACK: _ALL,  # 5.2.3, judged by the handshake
    ChunkType.COOKIE_ECHO: _ALL,
    ChunkType.COOKIE_ACK: _ALL,  # 5.2.5, judged by the handshake
    ChunkType.SACK: SENDS_DATA,
    ChunkType.HEARTBEAT: SENDS_DATA | {State.COOKIE_ECHOED},  # 8.3
    ChunkType.HEARTBEAT_ACK: SENDS_DATA,
    ChunkType.ABORT: _ALL,
    ChunkType.ERROR: _ALL,
    ChunkType.SHUTDOWN: _OPEN,  # 9.2: dropped while the handshake is under way
    ChunkType.SHUTDOWN_ACK: _OPEN,
    ChunkType.SHUTDOWN_COMPLETE: _OPEN,
    ChunkType.RE_CONFIG: SENDS_DATA,
    ChunkType.FORWARD_TSN: TAKES_DATA,
    ChunkType.PAD: _ALL,  # RFC 4820 section 3
}


class PacketReceiver:
    """Takes packets apart and hands each chunk to its part."""

    __slots__ = ("_handlers", "_is_stopped", "_parts", "_tag", "_tcb")

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._tcb = parts.tcb
        self._tag = 0
        self._is_stopped = False
        self._handlers: Mapping[int, Callable[[Any, float], None]] = {
            ChunkType.INIT: self._on_init,
            ChunkType.INIT_ACK: self._on_init_ack,
            ChunkType.SACK: self._on_sack,
            ChunkType.HEARTBEAT: self._on_heartbeat,
            ChunkType.HEARTBEAT_ACK: self._on_heartbeat_ack,
            ChunkType.ABORT: self._on_abort,
            ChunkType.SHUTDOWN: self._on_shutdown,
            ChunkType.SHUTDOWN_ACK: self._on_shutdown_ack,
            ChunkType.ERROR: self._on_error,
            ChunkType.COOKIE_ECHO: self._on_cookie_echo,
            ChunkType.COOKIE_ACK: self._on_cookie_ack,
            ChunkType.SHUTDOWN_COMPLETE: self._on_shutdown_complete,
            ChunkType.RE_CONFIG: self._on_reconfig,
            ChunkType.FORWARD_TSN: self._on_forward_tsn,
            ChunkType.PAD: self._on_pad,
        }

    def receive_untrusted(self, datagram: bytes, now: float) -> None:
        """Take any bytes."""
        tcb = self._tcb
        if len(datagram) < COMMON_HEADER_BYTES + CHUNK_HEADER_BYTES:
            tcb.stats.discard(DiscardReason.TOO_SHORT)
            return
        source_port, destination_port, tag = PORTS_AND_TAG.unpack_from(datagram)
        if (source_port, destination_port) != (tcb.config.remote_port, tcb.config.local_port):
            tcb.stats.discard(DiscardReason.WRONG_PORT)
            return
        # The seam for RFC 9653: a checksum of zero would be accepted here where we had offered it.
        if not is_checksum_valid(datagram):
            tcb.stats.discard(DiscardReason.BAD_CHECKSUM)
            return
        chunks, is_whole = split_chunks(datagram, COMMON_HEADER_BYTES)
        if not is_whole:
            tcb.stats.discard(DiscardReason.PARTIAL_CHUNK)
        if not chunks:
            tcb.stats.discard(DiscardReason.NO_CHUNK)
            return
        if is_admitted(tcb, tag, chunks):
            tcb.stats.packets_received += 1
            self._tag = tag
            self._process(chunks, now)

    def _process(self, chunks: Sequence[RawChunk], now: float) -> None:
        """Process the chunks in their order, until one says to stop."""
        tcb = self._tcb
        self._is_stopped = False
        has_data = False
        for index, raw in enumerate(chunks):
            if raw[0] == ChunkType.DATA:
                has_data = self._on_data_untrusted(raw, now) or has_data
            elif raw[0] not in self._handlers:
                self._on_unknown(raw)
            elif raw[0] == ChunkType.COOKIE_ECHO and index:
                tcb.stats.discard(DiscardReason.UNEXPECTED_CHUNK)
            else:
                self._on_known_untrusted(raw, now)
            if self._is_stopped or tcb.is_terminated:
                break
        if has_data and not tcb.is_terminated:
            self._parts.inbound.on_packet_end(now)
            if tcb.state is State.SHUTDOWN_SENT:
                self.on_data_after_shutdown(now)

    def _on_known_untrusted(self, raw: RawChunk, now: float) -> None:
        if self._tcb.state not in EXPECTED_IN[raw[0]]:
            self._tcb.stats.discard(DiscardReason.UNEXPECTED_CHUNK)
            return
        try:
            chunk: Chunk = parse_chunk(raw)
        except WireError:
            self._tcb.stats.discard(DiscardReason.MALFORMED_CHUNK)
            return
        self._handlers[raw[0]](chunk, now)

    def _on_unknown(self, raw: RawChunk) -> None:
        """3.2: the two high bits say whether to stop, and whether to report."""
        chunk_type, flags, value = raw
        self._tcb.stats.discard(DiscardReason.UNKNOWN_CHUNK)
        self._is_stopped = not chunk_type & STOP_BIT_CLEAR >> 8
        if chunk_type & REPORT_BIT >> 8:
            chunk = serialize_chunk(chunk_type, flags, value)[:REPORTED_BYTES_MAX]
            self._tcb.queue_error(Parameter(CauseCode.UNRECOGNIZED_CHUNK_TYPE, chunk))

    # DATA

    def _on_data_untrusted(self, raw: RawChunk, now: float) -> bool:
        """Take DATA from a packet that has other chunks too; True where it counts for a SACK."""
        tcb = self._tcb
        _, flags, value = raw
        if tcb.state is State.COOKIE_ECHOED:
            # deviation: the peer sends DATA, so it has our cookie, and only its COOKIE ACK is lost or late. RFC 9260
            # would drop the DATA and wait for T1-cookie.
            self.begin(self._parts.handshake.finish(now), now)
        if not tcb.takes_data:
            tcb.stats.discard(DiscardReason.UNEXPECTED_CHUNK)
            return False
        if len(value) < DATA_VALUE.size:
            tcb.stats.discard(DiscardReason.MALFORMED_CHUNK)
            return False
        tsn, stream_id, ssn, ppid = DATA_VALUE.unpack_from(value)
        if len(value) == DATA_VALUE.size:
            # 6.2: "No User Data" ends the association.
            detail = "a DATA chunk without user data"
            tcb.abort(no_user_data(tsn), TerminationReason.PROTOCOL_VIOLATION, detail, now)
            return False
        self._parts.inbound.on_data(flags, tsn, stream_id, ssn, ppid, value[DATA_VALUE.size :])
        return True

    def on_data_after_shutdown(self, now: float) -> None:
        """9.2: while SHUTDOWN is not answered, each packet with DATA is, by SHUTDOWN and by SACK where it says more."""
        inbound = self._parts.inbound
        self._parts.shutdown.on_data(inbound.tsns.cumulative, now)
        inbound.request_sack()

    # setting up

    def _on_init(self, chunk: Init, now: float) -> None:
        self._parts.responder.on_init(chunk, now)

    def _on_init_ack(self, chunk: Init, now: float) -> None:
        self._parts.handshake.on_init_ack(chunk, now)

    def _on_cookie_echo(self, chunk: CookieEcho, now: float) -> None:
        belongs, opening = self._parts.responder.on_cookie_echo(chunk, self._tag, now)
        self._is_stopped = not belongs
        if opening is not None:
            self.begin(opening, now)
            self._parts.inbound.request_sack()  # 5.1.5 step 7, where DATA follows; it rides with the COOKIE ACK

    def _on_cookie_ack(self, chunk: CookieAck, now: float) -> None:
        opening = self._parts.handshake.on_cookie_ack(now)
        if opening is not None:
            self.begin(opening, now)

    def begin(self, opening: Opening, now: float) -> None:
        """The association is established: start its parts."""
        parts, tcb = self._parts, self._tcb
        if opening.is_restart:
            parts.outbound.restart()
            parts.reconfig.pending.clear()
            tcb.events.append(Restarted())
        parts.inbound.open(opening.peer_initial_tsn, opening.streams_inbound)
        parts.outbound.open(
            opening.local_initial_tsn,
            opening.peer_window_bytes,
            supports_forward_tsn=Feature.FORWARD_TSN in opening.features,
        )
        parts.reconfig.open(
            opening.local_initial_tsn, opening.peer_initial_tsn, is_supported=Feature.RE_CONFIG in opening.features
        )
        parts.streams_outbound = opening.streams_outbound
        parts.outbound.remove_beyond(opening.streams_outbound)
        parts.heartbeat.start(now)
        tcb.events.append(Connected(opening.streams_inbound, opening.streams_outbound))

    # established

    def _on_sack(self, chunk: Sack, now: float) -> None:
        self.on_sack(chunk.cumulative_tsn, chunk.window_bytes, now, chunk.gaps, chunk.duplicates)

    def on_sack(
        self,
        cumulative_tsn: int,
        window_bytes: int,
        now: float,
        gaps: Sequence[tuple[int, int]] = (),
        duplicates: Sequence[int] = (),
    ) -> None:
        """Take what a SACK says, in a state where one is expected."""
        self._tcb.stats.sacks_received += 1
        if not self._parts.outbound.on_sack(cumulative_tsn, window_bytes, gaps, duplicates, now):
            self.abort_for("a SACK acknowledges what was never sent", now)

    def _on_forward_tsn(self, chunk: ForwardTsn, now: float) -> None:
        self._parts.inbound.on_forward_tsn(chunk)

    def _on_reconfig(self, chunk: ReConfig, now: float) -> None:
        self._parts.reconfig.on_reconfig(chunk, now)

    def _on_heartbeat(self, chunk: Heartbeat, now: float) -> None:
        self._parts.heartbeat.on_heartbeat(chunk)

    def _on_heartbeat_ack(self, chunk: Heartbeat, now: float) -> None:
        if self._parts.path_mtu.on_heartbeat_ack(chunk.value, now):
            return
        self._parts.heartbeat.on_heartbeat_ack(chunk, now)

    def _on_pad(self, chunk: Pad, now: float) -> None:
        if self._tcb.state in SENDS_DATA:
            self._parts.path_mtu.on_pad()

    def _on_error(self, chunk: Error, now: float) -> None:
        self._tcb.stats.errors_received += 1
        for cause in chunk.causes:
            if cause.type == CauseCode.STALE_COOKIE and self._tcb.state in OPENING:
                self._parts.handshake.on_stale_cookie(int.from_bytes(cause.value[:4], "big"), now)
                return
            if self._tcb.trace is not None:
                self._tcb.note("error_received", now, cause=describe_cause(cause))

    # ending

    def _on_abort(self, chunk: Abort, now: float) -> None:
        causes = "; ".join([describe_cause(cause) for cause in chunk.causes[:4]]) or "without a cause"
        self._tcb.terminate(TerminationReason.REMOTE_ABORT, f"the peer aborted: {causes}", now)

    def _on_shutdown(self, chunk: Shutdown, now: float) -> None:
        outbound = self._parts.outbound
        if self._tcb.sends_data:
            window = outbound.flow.peer_window_bytes
            if not outbound.on_sack(chunk.cumulative_tsn, window, None, (), now):
                self.abort_for("a SHUTDOWN acknowledges what was never sent", now)
                return
        self._parts.shutdown.on_shutdown(now)

    def _on_shutdown_ack(self, chunk: ShutdownAck, now: float) -> None:
        self._parts.shutdown.on_shutdown_ack(now)

    def _on_shutdown_complete(self, chunk: ShutdownComplete, now: float) -> None:
        self._parts.shutdown.on_shutdown_complete(now)

    # the peer's violations

    def abort_for(self, detail: str, now: float) -> None:
        """End the association because the peer broke a rule."""
        cause = text_cause(CauseCode.PROTOCOL_VIOLATION, detail)
        self._tcb.abort(cause, TerminationReason.PROTOCOL_VIOLATION, detail, now)

    def abort_for_violation(self, violation: Violation, now: float) -> None:
        """End the association because DATA cannot be reassembled."""
        if violation is not Violation.MESSAGE_TOO_LARGE:
            self.abort_for(violation.value, now)
            return
        cause = Parameter(CauseCode.OUT_OF_RESOURCE, b"")
        self._tcb.abort(cause, TerminationReason.MESSAGE_TOO_LARGE, violation.value, now)
