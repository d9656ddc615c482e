"""How large a packet the path takes: DPLPMTUD for SCTP over DTLS (RFC 8899 sections 5 and 6.2.3, RFC 4820).

                     probe lost MAX_PROBES times, or nothing larger to try
    BASE --bulk--> SEARCHING ----------------------------> SEARCH_COMPLETE
     ^                 ^                                    |         |
     |                 +------- PMTU_RAISE_TIMER -----------+         |
     +------ black hole: timeouts in a row; or another path ---------+

A probe is a packet of its own, a HEARTBEAT and a PAD chunk; its HEARTBEAT ACK confirms its size. Only probes are sent
with "don't fragment": a DATA chunk cannot be cut anew once it has a TSN, so where the path shrinks under chunks that
are outstanding, the network must be free to cut their packets (RFC 9260 section 6.9).

The search begins when more is sent at once than a packet holds, and where the peer is seen to search. Sizes beyond
`mtu_unasked_bytes` are tried only with such a peer: some stacks read datagrams into small buffers, and one of them
takes the rest of a datagram that was too large for the next one.
"""

from __future__ import annotations

import struct
from enum import StrEnum

from sans_rtc.sctp.chunks import Heartbeat, Pad, serialize
from sans_rtc.sctp.flow import Flow
from sans_rtc.sctp.params import Parameter, serialize_parameter
from sans_rtc.sctp.tcb import Timer, TransmissionControlBlock
from sans_rtc.sctp.wire import CHUNK_HEADER_BYTES, COMMON_HEADER_BYTES

# Heartbeat Info (type 1): a nonce, so that an answer is told from a guess, and which probe it is, of what size. Whole
# words, for the padding of a last parameter is not counted in the length of its chunk (RFC 9260 section 3.2).
_INFO = struct.Struct(">8sII")
_INFO_TYPE = 1

PROBE_COUNT_MAX = 3
"""MAX_PROBES of RFC 8899 section 5.1.2."""
PROBE_TIMER_S = 1.0
"""RFC 8899 section 5.1.1 forbids less. deviation: it recommends 15 s, for senders that have not measured the path."""
RAISE_TIMER_S = 600.0
"""PMTU_RAISE_TIMER."""
BLACK_HOLE_TIMEOUTS = 2
"""T3-rtx expiries in a row after which the size is suspected."""
RETRY_S = 10.0
"""How long after such a suspicion the search begins again, if the path works then."""


class MtuState(StrEnum):
    """The phases of RFC 8899 section 5.2 that an acknowledged protocol has, and one more."""

    DISABLED = "disabled"
    BASE = "base"
    SEARCHING = "searching"
    SEARCH_COMPLETE = "search-complete"


class PathMtuDiscovery:
    """Searches, and sets the size of packets in `Flow`; sizes are those of SCTP packets.

    peer_searches  the peer has sent a PAD chunk: it knows RFC 4820
    """

    __slots__ = ("_flow", "_is_allowed", "_is_due", "_probe_count", "_probed_bytes", "_sent_value", "_tcb",
                 "peer_searches", "state")  # fmt: skip

    def __init__(self, tcb: TransmissionControlBlock, flow: Flow) -> None:
        self._tcb = tcb
        self._flow = flow
        self._is_allowed = bool(tcb.config.mtu_probe_bytes)
        self.peer_searches = False
        self._reset()

    # what begins and ends a search

    def allow(self, is_allowed: bool) -> None:
        """Say whether the path is one whose MTU can be searched for; one through a relay or a stream is not."""
        self._is_allowed = is_allowed and bool(self._tcb.config.mtu_probe_bytes)
        self._reset()

    def on_path_changed(self) -> None:
        """Nothing is known of the new path (RFC 8261 section 6.1)."""
        self._reset()

    def on_bulk(self) -> None:
        """More is sent at once than a packet holds: larger ones would help."""
        if self.state is MtuState.BASE and not self._tcb.timers.is_armed(Timer.MTU):
            self._search()

    def on_pad(self) -> None:
        """The peer searches, too; where that was all that kept us from larger sizes, go on."""
        was_known, self.peer_searches = self.peer_searches, True
        self.on_bulk()
        if not was_known and self.state is MtuState.SEARCH_COMPLETE and not self._probe_count:
            self._search()

    def on_timeouts(self, count: int, now: float) -> None:
        """T3-rtx has expired so often in a row: the path may have become a black hole for this size (section 4.3)."""
        if count >= BLACK_HOLE_TIMEOUTS and self._flow.packet_bytes > self._tcb.config.packet_bytes_max:
            self._reset()
            self._tcb.timers.arm(Timer.MTU, now + RETRY_S)

    def _reset(self) -> None:
        self.state = MtuState.BASE if self._is_allowed else MtuState.DISABLED
        self._is_due = False
        self._probe_count = 0
        self._probed_bytes = 0
        self._sent_value = b""
        self._tcb.timers.cancel(Timer.MTU)
        self._flow.set_packet_bytes(self._tcb.config.packet_bytes_max)

    def _search(self) -> None:
        self.state = MtuState.SEARCHING
        self._probe_count = 0
        self._probe_next()

    def _probe_next(self) -> None:
        """Have a probe of the next size sent, if there is one to try."""
        config = self._tcb.config
        limit = config.mtu_probe_bytes[-1] if self.peer_searches else config.mtu_unasked_bytes
        larger = [size for size in config.mtu_probe_bytes if self._flow.packet_bytes < size <= limit]
        self._is_due = bool(larger)
        if larger:
            self._probed_bytes = larger[0]
        else:
            self.state = MtuState.SEARCH_COMPLETE
            self._sent_value = b""

    # probes

    def take_probe(self, now: float) -> bytes | None:
        """The packet to be sent whole or not at all; None where there is none to send."""
        tcb = self._tcb
        if not self._is_due or not tcb.sends_data:
            return None
        self._is_due = False
        info = _INFO.pack(tcb.entropy(8), self._probe_count, self._probed_bytes)
        self._sent_value = serialize_parameter(Parameter(_INFO_TYPE, info))
        heartbeat = serialize(Heartbeat(self._sent_value))
        room = self._probed_bytes - COMMON_HEADER_BYTES - len(heartbeat)
        tcb.timers.arm(Timer.MTU, now + max(PROBE_TIMER_S, tcb.rto.rto_s))
        tcb.stats.mtu_probes_sent += 1
        return tcb.sealer.seal(heartbeat + serialize(Pad(room - CHUNK_HEADER_BYTES)))

    def on_heartbeat_ack(self, value: bytes, now: float) -> bool:
        """Take the answer to a probe; False where it answers none."""
        if not self._sent_value or value != self._sent_value:
            return False
        self._tcb.timers.cancel(Timer.MTU)
        self._probe_count = 0
        self._flow.set_packet_bytes(self._probed_bytes)
        if self._tcb.trace is not None:
            self._tcb.note("path_mtu", now, packet_bytes=self._probed_bytes)
        self._probe_next()
        if self.state is MtuState.SEARCH_COMPLETE:
            self._tcb.timers.arm(Timer.MTU, now + RAISE_TIMER_S)
        return True

    def on_timer(self, now: float) -> None:
        """A probe has not been answered, or it is time to try again."""
        tcb = self._tcb
        if tcb.error_count:
            # Nothing else is answered either, so this says nothing about sizes.
            tcb.timers.arm(Timer.MTU, now + RETRY_S)
        elif self.state is not MtuState.SEARCHING:
            self._search()
        else:
            self._probe_count += 1
            if self._probe_count < PROBE_COUNT_MAX:
                self._is_due = True
            else:
                self.state = MtuState.SEARCH_COMPLETE
                self._sent_value = b""
                tcb.timers.arm(Timer.MTU, now + RAISE_TIMER_S)
