"""The transmission control block: what all parts of one association share (RFC 9260 section 14.2, "TCB").

The parts (handshake, outbound, inbound, ...) hold it, never each other's owner. It has no protocol logic: it moves the
state along the table, queues what is to be sent, counts, and ends the association.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from sans_rtc.entropy import Entropy, draw_uint
from sans_rtc.machine import Terminated, Trace, TraceRecord
from sans_rtc.outbox import Outbox
from sans_rtc.sctp.chunks import Abort, Chunk, Error, serialize
from sans_rtc.sctp.config import SctpConfig
from sans_rtc.sctp.events import SctpEvent, TerminationReason
from sans_rtc.sctp.params import Parameter
from sans_rtc.sctp.rto import RetransmissionTimeout
from sans_rtc.sctp.state import SENDS_DATA, TAKES_DATA, TRANSITIONS, State
from sans_rtc.sctp.stats import DiscardReason, Stats
from sans_rtc.sctp.wire import COMMON_HEADER_BYTES, Sealer
from sans_rtc.timers import Timers


class Timer(IntEnum):
    """The timers of an association, by the names of RFC 9260 where it has one. Integers, which hash fast."""

    T1_INIT = 1
    T1_COOKIE = 2
    T2_SHUTDOWN = 3
    T3_RTX = 4
    T5_SHUTDOWN_GUARD = 5
    SACK = 6
    HEARTBEAT = 7
    RECONFIG = 8
    LOSS = 9
    TAIL_PROBE = 10
    WINDOW_PROBE = 11
    PACING = 12
    MTU = 13


class TransmissionControlBlock:
    """Shared state of one association.

    local_tag, local_initial_tsn  drawn once; the tag is what the peer puts on its packets
    peer_tag                      0 until the peer has told it
    sealer, expected              the headers of packets to the peer, and of packets from it
    takes_data, sends_data        what the state allows, ready to be asked for each packet
    tie_tags                      random stand-ins for the tags, told in cookies instead of the tags (5.2.2)
    packets                       whole packets to be sent before everything else
    leading                       chunks that must open a packet: COOKIE ECHO, COOKIE ACK
    control                       chunks that may share a packet with others and come before DATA
    error_count                   retransmissions in a row without an answer (8.1)
    is_path_silent                nothing can be answered, says the layer below: nothing is counted as unanswered
    """

    __slots__ = (
        "config",
        "control",
        "entropy",
        "error_count",
        "events",
        "expected",
        "is_path_silent",
        "is_terminated",
        "leading",
        "local_initial_tsn",
        "local_tag",
        "packets",
        "peer_tag",
        "rto",
        "sealer",
        "sends_data",
        "state",
        "stats",
        "takes_data",
        "tie_tags",
        "timers",
        "trace",
    )

    def __init__(self, config: SctpConfig, entropy: Entropy, trace: Trace | None) -> None:
        self.config = config
        self.entropy = entropy
        self.trace = trace
        self.stats = Stats()
        self.timers: Timers[Timer] = Timers()
        self.events: Outbox[SctpEvent] = Outbox()
        self.packets: list[bytes] = []
        self.leading: list[bytes] = []
        self.control: list[bytes] = []
        self.rto = RetransmissionTimeout(config)
        self.state = State.CLOSED
        self.takes_data = False
        self.sends_data = False
        self.is_terminated = False
        self.set_local_tag(self.draw_tag())
        self.local_initial_tsn = draw_uint(entropy, 32)
        self.tie_tags = (self.draw_tag(), self.draw_tag())
        self.peer_tag = 0
        self.sealer = Sealer(config.local_port, config.remote_port, 0)
        self.error_count = 0
        self.is_path_silent = False

    def draw_tag(self) -> int:
        """A verification tag: random and not zero (RFC 9260 5.3.1)."""
        return draw_uint(self.entropy, 32) or 1

    def enter(self, state: State, now: float) -> None:
        """Move to a state that the table allows from here; the only place that assigns it."""
        assert state in TRANSITIONS[self.state], f"{self.state} does not lead to {state}"
        if self.trace is not None:
            self.note("state", now, before=str(self.state), after=str(state))
        self.state = state
        self.takes_data = state in TAKES_DATA
        self.sends_data = state in SENDS_DATA

    def set_local_tag(self, tag: int) -> None:
        """Choose the tag that the peer's packets carry."""
        self.local_tag = tag
        self.expected = Sealer(self.config.remote_port, self.config.local_port, tag)

    def set_peer_tag(self, tag: int) -> None:
        """Learn the tag for packets to the peer."""
        self.peer_tag = tag
        self.sealer = Sealer(self.config.local_port, self.config.remote_port, tag)

    def queue_chunk(self, chunk: Chunk, *, is_first: bool = False) -> None:
        """Queue a control chunk; `is_first` for those that must open their packet. One in a packet is enough."""
        data = serialize(chunk)
        if len(data) > self.config.packet_bytes_max - COMMON_HEADER_BYTES:
            self.stats.discard(DiscardReason.CHUNK_TOO_LARGE)
            return
        if len(self.control) >= self.config.control_chunks_max:
            self.stats.discard(DiscardReason.CONTROL_QUEUE_FULL)
            return
        if is_first:
            self.leading = [data]
        else:
            self.control.append(data)

    def queue_error(self, *causes: Parameter) -> None:
        """Queue an ERROR chunk."""
        self.queue_chunk(Error(list(causes)))

    def queue_packet(self, chunk: Chunk, verification_tag: int | None = None) -> None:
        """Queue a chunk that travels alone, under the peer's tag or the one given."""
        if len(self.packets) >= self.config.control_chunks_max:
            self.stats.discard(DiscardReason.CONTROL_QUEUE_FULL)
            return
        sealer = self.sealer
        if verification_tag is not None:
            sealer = Sealer(self.config.local_port, self.config.remote_port, verification_tag)
        self.packets.append(sealer.seal(serialize(chunk)))

    def abort(self, cause: Parameter, reason: TerminationReason, detail: str, now: float) -> None:
        """Tell the peer with an ABORT, where its tag is known, and end."""
        if self.peer_tag:
            self.packets.clear()  # nothing queued before it matters any more, and there must be room for it
            self.queue_packet(Abort([cause]))
        self.terminate(reason, detail, now)

    def terminate(self, reason: TerminationReason, detail: str, now: float) -> None:
        """End the association: `Terminated` is queued, nothing more is sent or armed."""
        if self.is_terminated:
            return
        if self.state is not State.CLOSED:
            self.enter(State.CLOSED, now)
        if self.trace is not None:
            self.note("terminated", now, reason=str(reason), detail=detail)
        self.is_terminated = True
        self.timers.clear()
        self.leading.clear()
        self.control.clear()
        self.events.append(Terminated(reason, detail))

    def count_error(self, what: str, now: float) -> bool:
        """Count an unanswered retransmission; True where it was one too many and the association has ended (8.1)."""
        if self.is_path_silent:
            return False
        self.error_count += 1
        if self.error_count <= self.config.association_retransmissions_max:
            return False
        detail = f"{self.error_count} retransmissions in a row unanswered, the last of {what}"
        self.terminate(TerminationReason.PEER_UNREACHABLE, detail, now)
        return True

    def take_packets(self) -> Sequence[bytes]:
        """Hand over the packets that travel alone."""
        packets, self.packets = self.packets, []
        return packets

    def note(self, name: str, now: float, **fields: object) -> None:
        """Trace one step; call it only where `trace` is not None."""
        assert self.trace is not None
        self.trace(TraceRecord("sctp", name, now, fields))
