"""The bounds and times of an association, each with its default's arithmetic."""

from __future__ import annotations

import math

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc.validators import count, seconds


@attrs.frozen(slots=True)
class Reliability:
    """How one message is delivered (RFC 3758, RFC 7496). At most one of the two limits may be given.

    ordered          False: delivered as soon as it is whole, whatever came before
    max_retransmits  times each of its fragments may be sent again before the message is abandoned; None: no limit
    lifetime_s       seconds from `send` after which it is no longer sent; None: no limit
    """

    ordered: bool = True
    max_retransmits: int | None = None
    lifetime_s: float | None = None

    def __attrs_post_init__(self) -> None:
        if self.max_retransmits is not None and self.lifetime_s is not None:
            raise InvalidArgument("max_retransmits and lifetime_s exclude each other")
        if self.max_retransmits is not None and self.max_retransmits < 0:
            raise InvalidArgument(f"max_retransmits must not be negative, is {self.max_retransmits}")
        if self.lifetime_s is not None and not 0.0 <= self.lifetime_s < math.inf:
            raise InvalidArgument(f"lifetime_s must be finite and not negative, is {self.lifetime_s}")


RELIABLE = Reliability()


@attrs.frozen(slots=True)
class SctpConfig:
    """Everything about an association that may be chosen. Sizes in bytes, durations in seconds.

    Packets
    mtu_bytes                size of an SCTP packet, common header included. 1163: 1200 of UDP payload (RFC 8261
                             section 5) less 37 of a DTLS 1.2 AES-GCM record
    mtu_probe_bytes          larger sizes to be tried, ascending (RFC 8899), multiples of 4; empty: none. The layers
                             below must then send what `Association.take_probe` gives unfragmented, and must take
                             packets of these sizes
    mtu_unasked_bytes        the largest of them that is tried with a peer that does not search itself (`path_mtu`)
    local_port, remote_port  5000, what a=sctp-port says by default (RFC 8841)

    Streams
    streams_outbound         asked for; the peer may allow fewer. 65535 as RFC 8831 section 6.2 wants
    streams_inbound_max      granted to the peer

    Bounds of memory
    receive_window_bytes     what the peer may have delivered and not consumed, or held for reassembly. 4 MiB feeds
                             80 MB/s at 50 ms. Each message or fragment held costs `HELD_OVERHEAD_BYTES` besides;
                             beyond twice the window everything is dropped, whatever its TSN
    message_bytes_max        a longer message from the peer ends the association; not over the window, where it
                             could never be whole
    send_buffer_bytes_max    accepted by `send` and not yet sent once; beyond: LimitExceeded
    send_buffer_messages_max the same, counted in messages
    outstanding_bytes_max    sent and not yet acknowledged; beyond: new messages wait
    outstanding_chunks_max   the same, counted in chunks
    gap_ranges_max           runs of TSNs received above a gap; beyond: DATA that would begin another is dropped
    duplicate_tsns_max       duplicates reported in one SACK; beyond: counted only
    control_chunks_max       answers waiting to be sent; beyond: dropped, since the peer will ask again

    Retransmission (RFC 9260 section 16)
    rto_initial_s            deviation: RFC 9260 suggests 1 s; over DTLS the path has just been measured by ICE
    rto_min_s                deviation: RFC 9260 suggests 1 s, so that a delayed SACK never costs a timeout; here the
                             peer's delay is learned by the probe, and one lost packet must not stall a channel for 1 s
    rto_max_s                deviation: RFC 9260 suggests 60 s; a path that returns after an outage is used again sooner
    init_retransmissions_max, association_retransmissions_max
    shutdown_retransmissions_max  also how long the end that has sent SHUTDOWN ACK waits for the last word, which
                             nobody repeats: 6.2 s at an RTO of 0.2 s
    heartbeat_interval_s     math.inf: none are sent
    sack_delay_s             how long one packet may wait for its SACK; RFC 9260 6.2 forbids more than 0.5
    sack_packets_max         packets one SACK may cover where several arrive before a drain, once the window is large
    sack_batching_after_packets  large: this many packets have come without a gap or a pause
    tail_loss_probe          extension after RFC 8985 and RFC 9002: a chunk is lost also by time, and the last chunk
                             is sent again after about two round trips in silence, instead of after a whole RTO
    reordering_packets       a chunk is lost once a packet sent this many later has been acknowledged (the three
                             miss indications of RFC 9260 7.2.4)

    Congestion control (RFC 9260 section 7)
    initial_cwnd_packets     0: RFC 9260 7.2.1. deviation: 10, as RFC 6928 has it for TCP
    slow_start_packets_max   L of RFC 9260 7.2.1: packets by which one SACK may widen the window in slow start.
                             deviation: not 1, because one SACK may cover `sack_packets_max`
    burst_packets_max        Max.Burst: packets sent at once. deviation: not 4, since a SACK that covers 16 packets
                             must be able to release more than 16; what the window allows beyond a burst follows
                             in bursts of this size, spread over half of a round trip; more where that takes less than
                             a tick of 1 ms (`flow.burst_packets`)

    Handshake and shutdown
    cookie_lifetime_s        Valid.Cookie.Life
    shutdown_guard_s         T5-shutdown-guard: 5 times rto_max_s, as RFC 9260 9.2 recommends
    """

    local_port: int = count(5000, 1, 65535)
    remote_port: int = count(5000, 1, 65535)
    mtu_bytes: int = count(1163, 256, 65535)
    mtu_probe_bytes: tuple[int, ...] = ()
    mtu_unasked_bytes: int = count(1452, 256, 65535)
    streams_outbound: int = count(65535, 1, 65535)
    streams_inbound_max: int = count(65535, 1, 65535)
    receive_window_bytes: int = count(4 << 20, 1500, 1 << 31)
    message_bytes_max: int = count(256 << 10, 1, 1 << 31)
    send_buffer_bytes_max: int = count(4 << 20, 1, 1 << 40)
    send_buffer_messages_max: int = count(65536, 1, 1 << 31)
    outstanding_bytes_max: int = count(4 << 20, 1500, 1 << 31)
    outstanding_chunks_max: int = count(16384, 16, 1 << 20)
    gap_ranges_max: int = count(1024, 1, 65535)
    duplicate_tsns_max: int = count(16, 0, 256)
    control_chunks_max: int = count(64, 8, 4096)
    rto_initial_s: float = seconds(0.5, 0.001, 60.0)
    rto_min_s: float = seconds(0.2, 0.001, 60.0)
    rto_max_s: float = seconds(5.0, 0.001, 600.0)
    init_retransmissions_max: int = count(8, 0, 100)
    association_retransmissions_max: int = count(12, 0, 100)
    shutdown_retransmissions_max: int = count(4, 0, 100)
    heartbeat_interval_s: float = seconds(30.0, 0.1, math.inf)
    sack_delay_s: float = seconds(0.02, 0.0, 0.5)
    sack_packets_max: int = count(16, 2, 256)
    sack_batching_after_packets: int = count(256, 0, 1 << 31)
    tail_loss_probe: bool = True
    reordering_packets: int = count(3, 1, 64)
    initial_cwnd_packets: int = count(10, 0, 1000)
    slow_start_packets_max: int = count(16, 1, 256)
    burst_packets_max: int = count(32, 2, 1 << 20)
    cookie_lifetime_s: float = seconds(60.0, 0.1, 3600.0)
    shutdown_guard_s: float = seconds(25.0, 0.1, 3600.0)

    def __attrs_post_init__(self) -> None:
        sizes = (self.packet_bytes_max, *self.mtu_probe_bytes)
        if any(size & 3 or size > 65532 for size in sizes) or list(sizes) != sorted(set(sizes)):
            raise InvalidArgument("mtu_probe_bytes ascend from mtu_bytes in multiples of 4, to 65532 at most")
        if self.message_bytes_max > self.receive_window_bytes:
            raise InvalidArgument("message_bytes_max must not exceed receive_window_bytes")
        if not self.rto_min_s <= self.rto_initial_s <= self.rto_max_s:
            raise InvalidArgument("rto_initial_s must lie between rto_min_s and rto_max_s")

    @property
    def packet_bytes_max(self) -> int:
        """The MTU rounded down to whole words: chunks end on 4-byte boundaries."""
        return self.mtu_bytes & ~3


HELD_OVERHEAD_BYTES = 64
"""What a held message or fragment costs besides its bytes: about one `bytes` header and one container slot. Without
it, two million one-byte messages would fit a window of 2 MiB and take 200 MB."""
