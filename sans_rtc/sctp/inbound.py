"""Receiving DATA: which chunks are taken, and when and how they are acknowledged (RFC 9260 6.2, RFC 7053).

A SACK goes out

    at once           for the first DATA of all, a gap, a duplicate, an I bit, a dropped chunk, a FORWARD-TSN
    every 2nd packet  at first: the peer's window grows by the SACKs that it gets
    every 16th packet where several come before one drain and the window is large: then SACKs cost more than they bring
    after 20 ms       for what is left

While something is missing each packet is answered, up to `SACKS_PER_DRAIN_MAX` between two drains, since a peer may
count SACKs to find a loss (7.2.4).
"""

from __future__ import annotations

import struct

from sans_rtc.sctp.chunks import FLAG_IMMEDIATE, ChunkType, ForwardTsn
from sans_rtc.sctp.params import invalid_stream
from sans_rtc.sctp.reassembly import Reassembly, Violation
from sans_rtc.sctp.stats import DiscardReason
from sans_rtc.sctp.tcb import Timer, TransmissionControlBlock
from sans_rtc.sctp.tsn_map import TsnMap
from sans_rtc.sctp.wire import COMMON_HEADER_BYTES, SACK_HEADER

_TSN_MASK = 0xFFFFFFFF
# A gap block tells its distance from the cumulative TSN in 16 bits, so a TSN beyond could not be acknowledged.
TSN_DISTANCE_MAX = 0xFFFF
SACKS_PER_DRAIN_MAX = 4
# Between two drains: SACKs for packets without a gap. More packets than these cover are covered by the last.
SACKS_PENDING_MAX = 64
# A pause of this long begins a new flight: the peer's window has shrunk meanwhile.
PAUSE_S = 1.0


class Inbound:
    """The receiving half of one association.

    stream_count  inbound streams 0 to this, exclusive
    tsns          what has arrived
    violation     what the peer has sent that it must not; the association ends for it
    """

    __slots__ = (
        "_advertised_bytes",
        "_config",
        "_duplicates",
        "_is_immediate",
        "_last_data_at",
        "_packets_in_row",
        "_packets_per_sack",
        "_packets_unacked",
        "_sacks",
        "_tcb",
        "_window_bytes_max",
        "reassembly",
        "stream_count",
        "tsns",
        "violation",
    )

    def __init__(self, tcb: TransmissionControlBlock) -> None:
        self._tcb = tcb
        self._config = tcb.config
        self._window_bytes_max = tcb.config.receive_window_bytes
        self.reassembly = Reassembly(tcb.config, tcb.events, tcb.stats)
        self.open(0, 0)

    def open(self, initial_tsn: int, stream_count: int) -> None:
        """Begin to receive: the handshake has told the peer's first TSN."""
        self.tsns = TsnMap(initial_tsn)
        self.reassembly = self.reassembly.successor()
        self.stream_count = stream_count
        self.violation: Violation | None = None
        self._sacks: list[bytes] = []
        self._duplicates: list[int] = []
        self._is_immediate = False
        self._packets_unacked = 0
        self._packets_per_sack = 1  # 5.1: the first packet with DATA is answered by itself
        self._packets_in_row = 0  # since the last gap or pause, those acknowledged
        self._last_data_at = 0.0  # the first after a SACK
        self._advertised_bytes = self._window_bytes_max

    # DATA

    def on_data(self, flags: int, wire_tsn: int, stream_id: int, ssn: int, ppid: int, payload: bytes) -> None:
        """Take one DATA chunk with at least one byte of data; `on_packet_end` follows after the packet's last."""
        tsns, reassembly = self.tsns, self.reassembly
        tsn = tsns.cumulative + 1
        if wire_tsn == tsn & _TSN_MASK and not tsns.firsts and reassembly.held_bytes < self._window_bytes_max:
            tsns.cumulative = tsn
        else:
            tsn = tsns.unwrap(wire_tsn)
            if not self._admit(tsn):
                return
            tsns.add(tsn)
        if flags & FLAG_IMMEDIATE:
            self._is_immediate = True
        if stream_id >= self.stream_count:
            # 6.5: acknowledged, reported, and not delivered
            self._tcb.stats.discard(DiscardReason.INVALID_STREAM)
            self._tcb.queue_error(invalid_stream(stream_id))
            return
        violation = reassembly.insert(tsn, flags, stream_id, ssn, ppid, payload)
        if violation is not None:
            self.violation = violation

    def _admit(self, tsn: int) -> bool:
        """Judge a TSN that is not simply the next one; what is refused is answered at once."""
        tsns, stats, held = self.tsns, self._tcb.stats, self.reassembly.held_bytes
        window = self._window_bytes_max
        if tsns.contains(tsn):
            if len(self._duplicates) < self._config.duplicate_tsns_max:
                self._duplicates.append(tsn & _TSN_MASK)
            reason = DiscardReason.DUPLICATE_TSN
        elif tsn - tsns.cumulative > TSN_DISTANCE_MAX:
            reason = DiscardReason.TSN_OUT_OF_RANGE
        elif held >= window and (tsn > tsns.highest or held >= 2 * window):
            # 6.2: a closed window takes only what fills a gap. An honest peer has counted that against the window;
            # the bound of twice the window is for the other kind.
            reason = DiscardReason.WINDOW_CLOSED
        elif tsns.range_count >= self._config.gap_ranges_max and tsns.begins_range(tsn):
            reason = DiscardReason.TOO_MANY_GAPS
        else:
            return True
        stats.discard(reason)
        self._is_immediate = True
        return False

    def on_packet_end(self, now: float) -> None:
        """Decide about a SACK after a packet that carried DATA."""
        self._packets_unacked = unacked = self._packets_unacked + 1
        if self._is_immediate or self.tsns.firsts:
            self._is_immediate = True
            self._begin_row()
            if len(self._sacks) < SACKS_PER_DRAIN_MAX:
                self._sacks.append(self._build_sack())
        elif unacked >= self._packets_per_sack:
            if len(self._sacks) < SACKS_PENDING_MAX:
                self._sacks.append(self._build_sack())
            if self._packets_per_sack == 1:
                self._last_data_at = now
                self._begin_row()
        elif unacked == 1:
            if now - self._last_data_at > PAUSE_S:
                self._begin_row()
            self._last_data_at = now
            self._tcb.timers.arm(Timer.SACK, now + self._config.sack_delay_s)

    def _begin_row(self) -> None:
        """After a gap or a pause the peer's window is small: it grows by SACKs, so it gets them."""
        self._packets_in_row = 0
        self._packets_per_sack = 2

    def release_held(self) -> None:
        """Process what was kept back for a reset that has now been performed."""
        violation = self.reassembly.release_held()
        if violation is not None:
            self.violation = violation

    def on_forward_tsn(self, chunk: ForwardTsn) -> None:
        """Go on without what the peer has abandoned (RFC 3758 3.6); a SACK tells it how far."""
        tsn = self.tsns.unwrap(chunk.new_cumulative_tsn)
        self._is_immediate = True
        if tsn <= self.tsns.cumulative:
            return
        self.tsns.skip_to(tsn)
        streams = [stream for stream in chunk.streams if stream[0] < self.stream_count]
        self.reassembly.skip(tsn, streams)

    def consume(self, byte_count: int) -> None:
        """The application has taken delivered bytes; tell the peer where its window has grown by a quarter.

        RFC 9260 6.2 asks for the receiver's side of silly window avoidance (RFC 1122 4.2.3.3): no small steps.
        """
        self.reassembly.consume(byte_count)
        if self.window_bytes - self._advertised_bytes >= self._window_bytes_max // 4:
            self._is_immediate = True

    # SACK

    @property
    def window_bytes(self) -> int:
        """The a_rwnd of now."""
        return max(self._window_bytes_max - self.reassembly.held_bytes, 0)

    @property
    def is_sack_due(self) -> bool:
        """True where a SACK must go out with the next drain."""
        return self._is_immediate or bool(self._sacks) or self._packets_unacked >= 2

    @property
    def has_unacked(self) -> bool:
        """True where a SACK would tell something, so that it should ride along with DATA (6.1)."""
        return self._packets_unacked > 0 or self.is_sack_due

    def request_sack(self) -> None:
        """Send a SACK with the next drain."""
        self._is_immediate = True

    def take_sacks(self) -> list[bytes]:
        """The SACK chunks that are due, one packet for each; the last tells the present."""
        sacks, self._sacks = self._sacks, []
        if self._packets_unacked or self._is_immediate:
            if sacks and not self._is_immediate:
                sacks.pop()  # the present one says more, for the same price
            sacks.append(self._build_sack())
        return sacks

    def _build_sack(self) -> bytes:
        tcb, tsns = self._tcb, self.tsns
        self._advertised_bytes = window = self.window_bytes
        duplicates, gaps = self._duplicates, b""
        gap_count = 0
        if tsns.firsts:
            room = self._config.packet_bytes_max - COMMON_HEADER_BYTES - SACK_HEADER.size - 4 * len(duplicates)
            blocks = tsns.gap_blocks(room // 4)
            gap_count = len(blocks)
            gaps = struct.pack(f">{2 * gap_count}H", *[edge for block in blocks for edge in block])
        tail = gaps + struct.pack(f">{len(duplicates)}I", *duplicates) if duplicates else gaps
        head = SACK_HEADER.pack(
            ChunkType.SACK,
            0,
            SACK_HEADER.size + len(tail),
            tsns.cumulative & _TSN_MASK,
            window,
            gap_count,
            len(duplicates),
        )
        if duplicates:
            self._duplicates = []
        self._packets_in_row += self._packets_unacked
        if self._packets_in_row >= self._config.sack_batching_after_packets:
            self._packets_per_sack = self._config.sack_packets_max
        self._packets_unacked = 0
        self._is_immediate = False
        tcb.timers.cancel(Timer.SACK)
        tcb.stats.sacks_sent += 1
        return head + tail
