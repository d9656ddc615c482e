"""What the sending parts of an association share: windows, the chunks sent, the message being sent.

`Packetizer` writes new chunks, `Retransmission` writes lost ones, `Outbound` takes the SACKs. Each of them works on
this block; none of them knows the others' insides.
"""

from __future__ import annotations

from sans_rtc.sctp.congestion import CongestionControl
from sans_rtc.sctp.events import BufferLow
from sans_rtc.sctp.loss import LossDetector
from sans_rtc.sctp.outstanding import Outstanding
from sans_rtc.sctp.partial import PartialReliability
from sans_rtc.sctp.scheduler import OutboundMessage, Scheduler
from sans_rtc.sctp.tcb import Timer, TransmissionControlBlock
from sans_rtc.sctp.wire import DATA_HEADER_BYTES, PacketWriter

PACING_TICK_S = 0.001
"""What the timers of event loops can tell apart; pacing is never finer."""
BURST_PACKETS_MIN = 2
"""However large packets are, so many may go at once."""
NONE_TSN = -1
"""In place of a TSN: there is none. TSNs count up from the initial one, which is not negative."""


class Flow:
    """The state of one direction of data.

    packet_bytes       the largest packet, the PLPMTU of RFC 8899; set by `PathMtuDiscovery`
    chunk_bytes_max    the largest DATA chunk in it; its payload is `payload_bytes_max`
    current            the message whose fragments are being sent; the next must wait for its last (RFC 9260 6.9)
    peer_window_bytes  the peer's last a_rwnd; what is in flight has yet to be subtracted
    burst_left         packets that may still be sent in answer to the last SACK (6.1 D)
    timed_tsn          the chunk whose round trip is being measured, and when it was sent
    is_bulk            more than a packet has been sent at once since the association began
    is_window_probe    what is in flight was sent into a closed window (6.1 A)
    """

    __slots__ = (
        "burst_left",
        "chunk_bytes_max",
        "congestion",
        "current",
        "is_bulk",
        "is_window_probe",
        "last_sent_at",
        "loss",
        "outstanding",
        "packet_bytes",
        "partial",
        "payload_bytes_max",
        "peer_window_bytes",
        "scheduler",
        "tcb",
        "timed_at",
        "timed_tsn",
        "window_probe_is_due",
        "writer",
    )

    def __init__(self, tcb: TransmissionControlBlock, writer: PacketWriter) -> None:
        self.tcb = tcb
        self.writer = writer
        self.packet_bytes = tcb.config.packet_bytes_max
        self.chunk_bytes_max = writer.capacity
        self.payload_bytes_max = writer.capacity - DATA_HEADER_BYTES
        self.last_sent_at = 0.0
        self.restart()

    def restart(self) -> None:
        """Begin with empty queues and an unknown path."""
        self.scheduler = Scheduler()
        self.congestion = CongestionControl(self.tcb.config, self.chunk_bytes_max)
        self.current: OutboundMessage | None = None
        self.open(self.tcb.local_initial_tsn, 0)

    def open(self, initial_tsn: int, peer_window_bytes: int) -> None:
        """Start where the handshake said; nothing has been sent yet."""
        self.outstanding = Outstanding(initial_tsn)
        self.loss = LossDetector(self.tcb.config, self.outstanding, self.tcb.rto)
        self.partial = PartialReliability(self.tcb, self.outstanding)
        self.peer_window_bytes = peer_window_bytes
        self.burst_left = self.burst_packets
        self.timed_tsn = NONE_TSN
        self.timed_at = 0.0
        self.is_bulk = False
        self.is_window_probe = False
        self.window_probe_is_due = False

    def set_packet_bytes(self, packet_bytes: int) -> None:
        """Fill packets of another size from now on; chunks that have a TSN stay as they are."""
        if packet_bytes == self.packet_bytes:
            return
        self.writer.resize(packet_bytes)
        self.packet_bytes = packet_bytes
        self.chunk_bytes_max = self.writer.capacity
        self.payload_bytes_max = self.writer.capacity - DATA_HEADER_BYTES
        self.congestion.set_packet_bytes(self.chunk_bytes_max)

    @property
    def has_new(self) -> bool:
        """True where there is something to send for the first time."""
        return self.current is not None or self.scheduler.has_waiting()

    @property
    def burst_packets(self) -> int:
        """Packets that may go at once: Max.Burst, or what the window lets go in one tick of the timer that paces it.

        A window that is spread over half a round trip sends cwnd * 2 * tick / srtt bytes in a tick. Where the path is
        so short that a smaller burst would be followed by another in the same tick, waiting only leaves it idle.
        """
        tcb = self.tcb
        least = self._packets_of_burst()
        if not tcb.rto.is_measured:
            return least
        share = min(1.0, 2.0 * PACING_TICK_S / max(tcb.rto.srtt_s, PACING_TICK_S))
        return max(least, int(self.congestion.cwnd * share) // self.chunk_bytes_max)

    def _packets_of_burst(self) -> int:
        """Max.Burst, in as many bytes whatever the size of packets is."""
        config = self.tcb.config
        return max(BURST_PACKETS_MIN, config.burst_packets_max * config.packet_bytes_max // self.packet_bytes)

    @property
    def may_burst(self) -> bool:
        """True where something waits that cwnd and, for new chunks, rwnd have room for."""
        flight = self.outstanding.flight_bytes
        if flight >= self.congestion.cwnd:
            return False
        return self.outstanding.lost_bytes > 0 or (self.has_new and self.peer_window_bytes > flight)

    def note_sent(self, message: OutboundMessage, byte_count: int) -> None:
        """These bytes are no longer buffered (W3C bufferedAmount): sent once, or given up before."""
        stream = message.stream
        before = stream.buffered_bytes
        stream.buffered_bytes = after = before - byte_count
        total_before = self.scheduler.queued_bytes
        self.scheduler.queued_bytes = total = total_before - byte_count
        half = self.tcb.config.send_buffer_bytes_max // 2
        if after <= stream.low_threshold_bytes < before or total <= half < total_before or (byte_count and not total):
            # At half and at nothing in all, too: whoever was refused waits for room, and may never have been above a
            # threshold of its own.
            self.tcb.events.append(BufferLow(stream.id))

    def abandon(self, message: OutboundMessage) -> None:
        """Give a message up (RFC 3758)."""
        if 0 <= message.first_tsn <= self.timed_tsn:
            self.timed_tsn = NONE_TSN  # the peer may pass it without having received it
        self.note_sent(message, self.partial.abandon(message))
        if message is self.current:
            self.current = None

    def arm_t3(self, now: float, *, restart: bool = False) -> None:
        """Start T3-rtx where it is not running (6.3.2 R1), or again from now."""
        timers = self.tcb.timers
        if restart or not timers.is_armed(Timer.T3_RTX):
            timers.arm(Timer.T3_RTX, now + self.tcb.rto.rto_s)

    def arm_tail_probe(self, now: float) -> None:
        """Time the silence after the last chunk, where T3-rtx would take longer to notice it (RFC 8985 7.2).

        RFC 8985 does not probe during recovery. Here the probe is no new data but an outstanding chunk, at most one for
        each doubled timeout; without it, a lost repetition at the end of a recovery always costs an RTO.
        """
        tcb = self.tcb
        if not tcb.config.tail_loss_probe or not tcb.rto.is_measured:
            return
        deadline = now + self.loss.probe_timeout_s
        is_useful = (
            self.outstanding.flight_bytes > 0
            and not self.is_window_probe
            and deadline < tcb.timers.deadline_of(Timer.T3_RTX)
        )
        if is_useful:
            tcb.timers.arm(Timer.TAIL_PROBE, deadline)
        else:
            tcb.timers.cancel(Timer.TAIL_PROBE)
