"""Asking for an association: INIT, then COOKIE ECHO (RFC 9260 section 5). `responder` has the other side.

    A  --- INIT (tag a) -------------> B
    A <--- INIT ACK (tag b, cookie) -- B    B keeps nothing: all it needs is in the cookie, signed
    A  --- COOKIE ECHO (cookie) -----> B    B is established
    A <--- COOKIE ACK ---------------- B    A is established

Over DTLS both ends send INIT. Each answers the other's with the tag of its own, so both cookies speak of the same two
tags, and whichever COOKIE ECHO arrives first opens the association (5.2.1, 5.2.4 B and D).
"""

from __future__ import annotations

from sans_rtc.sctp.chunks import ChunkType, CookieEcho, Init, serialize
from sans_rtc.sctp.events import TerminationReason
from sans_rtc.sctp.opening import PRESERVED_S_MAX, Opening, init_problem, offered_parameters, read_parameters
from sans_rtc.sctp.params import CauseCode, Parameter, ParameterType, missing_parameter
from sans_rtc.sctp.state import State
from sans_rtc.sctp.stats import DiscardReason
from sans_rtc.sctp.tcb import Timer, TransmissionControlBlock
from sans_rtc.sctp.wire import COMMON_HEADER_BYTES


class Handshake:
    """The side that sends INIT."""

    __slots__ = (
        "_answers_due",
        "_cookie",
        "_opening",
        "_preserved_ms",
        "_reports",
        "_retransmissions",
        "_sent_at",
        "_stale_cookies",
        "_tcb",
    )

    def __init__(self, tcb: TransmissionControlBlock) -> None:
        self._tcb = tcb
        self._answers_due: set[ChunkType] = set()  # to what was asked once, though it may be needed no more
        self._retransmissions = 0
        self._sent_at = 0.0
        self._cookie = b""
        self._reports: list[bytes] = []
        self._preserved_ms = 0
        self._stale_cookies = 0
        self._opening: Opening | None = None

    def connect(self, now: float) -> None:
        """Send INIT."""
        self._tcb.enter(State.COOKIE_WAIT, now)
        self._send_init(now)

    def _send_init(self, now: float) -> None:
        parameters = offered_parameters()
        if self._preserved_ms:
            parameters.append(Parameter(ParameterType.COOKIE_PRESERVATIVE, self._preserved_ms.to_bytes(4, "big")))
        tcb, config = self._tcb, self._tcb.config
        init = Init(
            tcb.local_tag,
            config.receive_window_bytes,
            config.streams_outbound,
            config.streams_inbound_max,
            tcb.local_initial_tsn,
            parameters,
        )
        tcb.queue_packet(init, verification_tag=0)
        self._answers_due.add(ChunkType.INIT_ACK)
        self._sent_at = now
        tcb.timers.arm(Timer.T1_INIT, now + tcb.rto.rto_s)

    def on_init_ack(self, init_ack: Init, now: float) -> None:
        """Send COOKIE ECHO; expected in COOKIE_WAIT only (5.1 C, 5.2.3)."""
        tcb, config = self._tcb, self._tcb.config
        if tcb.state is not State.COOKIE_WAIT:
            self._pass_over(ChunkType.INIT_ACK)
            return
        self._answers_due.discard(ChunkType.INIT_ACK)
        peer = read_parameters(init_ack)
        cookie = peer.cookie or b""
        problem = init_problem(init_ack)
        if problem is None and not cookie:
            problem = missing_parameter(ParameterType.STATE_COOKIE)
        if problem is None and len(serialize(CookieEcho(cookie))) > config.packet_bytes_max - COMMON_HEADER_BYTES:
            problem = Parameter(CauseCode.OUT_OF_RESOURCE, b"")
        tcb.set_peer_tag(init_ack.initiate_tag)
        if problem is not None:
            # 3.3.3: an INIT ACK that cannot be used ends the attempt.
            tcb.stats.discard(DiscardReason.INVALID_INIT)
            tcb.abort(problem, TerminationReason.PROTOCOL_VIOLATION, "the peer's INIT ACK cannot be used", now)
            return
        tcb.timers.cancel(Timer.T1_INIT)
        if not self._retransmissions:
            tcb.rto.measure(now - self._sent_at)
        self._opening = Opening(
            local_initial_tsn=tcb.local_initial_tsn,
            peer_initial_tsn=init_ack.initial_tsn,
            peer_window_bytes=init_ack.window_bytes,
            streams_outbound=min(config.streams_outbound, init_ack.streams_inbound),
            streams_inbound=min(config.streams_inbound_max, init_ack.streams_outbound),
            features=peer.features,
        )
        self._cookie = cookie
        self._reports = peer.unrecognized
        self._retransmissions = 0
        tcb.enter(State.COOKIE_ECHOED, now)
        self._send_cookie_echo(now)

    def _send_cookie_echo(self, now: float) -> None:
        tcb = self._tcb
        tcb.queue_chunk(CookieEcho(self._cookie), is_first=True)
        self._answers_due.add(ChunkType.COOKIE_ACK)
        if self._reports:
            # 3.2.2: bundled with the COOKIE ECHO, after it
            tcb.queue_error(Parameter(CauseCode.UNRECOGNIZED_PARAMETERS, b"".join(self._reports)))
            self._reports = []
        self._sent_at = now
        tcb.timers.arm(Timer.T1_COOKIE, now + tcb.rto.rto_s)

    def on_cookie_ack(self, now: float) -> Opening | None:
        """The peer has an association; so have we (5.1 E, 5.2.5)."""
        if self._tcb.state is not State.COOKIE_ECHOED:
            self._pass_over(ChunkType.COOKIE_ACK)
            return None
        self._answers_due.discard(ChunkType.COOKIE_ACK)
        if not self._retransmissions:
            self._tcb.rto.measure(now - self._sent_at)
        return self.finish(now)

    def _pass_over(self, answer: ChunkType) -> None:
        """5.2.3, 5.2.5: dropped. Where both ends have opened, the answer that comes second is no surprise."""
        if answer in self._answers_due:
            self._answers_due.discard(answer)
        else:
            self._tcb.stats.discard(DiscardReason.UNEXPECTED_CHUNK)

    def finish(self, now: float) -> Opening:
        """Enter ESTABLISHED with what the INIT ACK said."""
        opening, self._opening = self._opening, None
        assert opening is not None, "COOKIE_ECHOED is entered with an INIT ACK"
        self.stop()
        self._tcb.enter(State.ESTABLISHED, now)
        return opening

    def stop(self) -> None:
        """Ask no more; the association is there."""
        tcb = self._tcb
        tcb.timers.cancel(Timer.T1_INIT)
        tcb.timers.cancel(Timer.T1_COOKIE)
        tcb.rto.end_back_off()
        self._cookie = b""
        self._reports = []

    def on_stale_cookie(self, staleness_us: int, now: float) -> None:
        """Ask for a new cookie, and for one that lives longer (5.2.6, alternatives 1 and 3)."""
        tcb = self._tcb
        if tcb.state is not State.COOKIE_ECHOED:
            tcb.stats.discard(DiscardReason.UNEXPECTED_CHUNK)
            return
        tcb.timers.cancel(Timer.T1_COOKIE)
        self._stale_cookies += 1
        if self._stale_cookies > tcb.config.init_retransmissions_max:
            detail = f"the peer found {self._stale_cookies} of its own cookies stale"
            tcb.terminate(TerminationReason.HANDSHAKE_TIMEOUT, detail, now)
            return
        self._preserved_ms = int(min(staleness_us / 1000 + 1000 * tcb.rto.srtt_s, 1000 * PRESERVED_S_MAX))
        tcb.enter(State.COOKIE_WAIT, now)
        tcb.set_peer_tag(0)
        self._send_init(now)

    def on_t1_init(self, now: float) -> None:
        """No INIT ACK: send INIT again."""
        self._tcb.rto.back_off()
        if not self._gives_up(now):
            self._send_init(now)

    def on_t1_cookie(self, now: float) -> None:
        """No COOKIE ACK: send COOKIE ECHO again."""
        self._tcb.rto.back_off()
        if not self._gives_up(now):
            self._send_cookie_echo(now)

    def path_changed(self, now: float) -> None:
        """What the path before has left unanswered is not counted against the new one, nor waited for at length."""
        timers = self._tcb.timers
        self._retransmissions = min(self._retransmissions, 1)  # not none: the round trip would be measured wrongly
        for timer in (Timer.T1_INIT, Timer.T1_COOKIE):
            if timers.is_armed(timer):
                timers.arm(timer, min(timers.deadline_of(timer), now + self._tcb.rto.rto_s))

    def resume(self, now: float) -> None:
        """The path is alive again: ask at once what waits for an answer."""
        timers = self._tcb.timers
        for timer, send in ((Timer.T1_INIT, self._send_init), (Timer.T1_COOKIE, self._send_cookie_echo)):
            if timers.is_armed(timer):
                self._retransmissions = max(self._retransmissions, 1)  # an answer may be to an earlier one
                send(now)

    def _gives_up(self, now: float) -> bool:
        """Count an attempt; True where Max.Init.Retransmits is exceeded and the association has ended.

        Those into the silence of a dead path are not counted, but for the first: no round trip is measured by them.
        """
        if self._tcb.is_path_silent:
            self._retransmissions = max(self._retransmissions, 1)
            return False
        self._retransmissions += 1
        if self._retransmissions <= self._tcb.config.init_retransmissions_max:
            return False
        chunk = "INIT" if self._tcb.state is State.COOKIE_WAIT else "COOKIE ECHO"
        detail = f"the peer did not answer {self._retransmissions} times {chunk}"
        self._tcb.terminate(TerminationReason.HANDSHAKE_TIMEOUT, detail, now)
        return True
