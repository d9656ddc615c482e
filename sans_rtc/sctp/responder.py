"""Answering: INIT with a cookie, COOKIE ECHO with an association (RFC 9260 5.1, 5.2).

Nothing is kept for an INIT. A COOKIE ECHO that finds an association is judged by whether the tags in the cookie are
those of the association (5.2.4, the table of actions): `JUDGEMENTS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from sans_rtc.entropy import draw_uint
from sans_rtc.sctp.chunks import Abort, CookieAck, CookieEcho, Error, Init, ShutdownAck
from sans_rtc.sctp.cookie import Cookie, CookieJar
from sans_rtc.sctp.handshake import Handshake
from sans_rtc.sctp.opening import Feature, Opening, PeerParameters, init_problem, offered_parameters, read_parameters
from sans_rtc.sctp.params import CauseCode, Parameter, ParameterType, stale_cookie
from sans_rtc.sctp.state import OPENING, State
from sans_rtc.sctp.stats import DiscardReason
from sans_rtc.sctp.tcb import TransmissionControlBlock


class Judgement(Enum):
    """The actions of RFC 9260 5.2.4."""

    RESTART = "A"
    COLLISION = "B"
    LATE = "C"
    DUPLICATE = "D"


class Ties(Enum):
    """How the tie tags in a cookie compare to ours."""

    MATCH = 1
    DIFFER = 2
    NONE = 3


JUDGEMENTS: Mapping[tuple[bool, bool, Ties], Judgement] = {
    # local tag matches, peer's tag matches, tie tags; what is not here is discarded silently
    (False, False, Ties.MATCH): Judgement.RESTART,
    (True, False, Ties.MATCH): Judgement.COLLISION,
    (True, False, Ties.DIFFER): Judgement.COLLISION,
    (True, False, Ties.NONE): Judgement.COLLISION,
    (False, True, Ties.NONE): Judgement.LATE,
    (True, True, Ties.MATCH): Judgement.DUPLICATE,
    (True, True, Ties.DIFFER): Judgement.DUPLICATE,
    (True, True, Ties.NONE): Judgement.DUPLICATE,
}


class Responder:
    """The side that answers INIT, stateless until a cookie comes back."""

    __slots__ = ("_handshake", "_jar", "_tcb")

    def __init__(self, tcb: TransmissionControlBlock, handshake: Handshake) -> None:
        self._tcb = tcb
        self._handshake = handshake
        self._jar = CookieJar(tcb.entropy(32))

    def on_init(self, init: Init, now: float) -> None:
        """Answer INIT with INIT ACK and a cookie, in whatever state but one; nothing changes (5.1, 5.2.1, 5.2.2)."""
        tcb = self._tcb
        if tcb.state is State.SHUTDOWN_ACK_SENT:
            tcb.queue_chunk(ShutdownAck())  # 9.2: our SHUTDOWN ACK or the peer's SHUTDOWN COMPLETE was lost
            return
        peer = read_parameters(init)
        problem = init_problem(init)
        if problem is None and peer.has_host_name:
            problem = Parameter(CauseCode.UNRESOLVABLE_ADDRESS, b"")
        if problem is not None:
            tcb.stats.discard(DiscardReason.INVALID_INIT)
            if init.initiate_tag:
                tcb.queue_packet(Abort([problem]), verification_tag=init.initiate_tag)
            return
        local_tag, local_tsn, ties = tcb.local_tag, tcb.local_initial_tsn, (0, 0)
        if tcb.state is State.COOKIE_ECHOED:
            ties = tcb.tie_tags  # 5.2.1
        elif tcb.state not in (State.CLOSED, State.COOKIE_WAIT):
            # 5.2.2: a new tag, because the peer may have restarted
            local_tag, local_tsn, ties = tcb.draw_tag(), draw_uint(tcb.entropy, 32), tcb.tie_tags
        self._send_init_ack(init, peer, self._cookie_for(init, peer, local_tag, local_tsn, ties, now))

    def _cookie_for(
        self, init: Init, peer: PeerParameters, local_tag: int, local_tsn: int, ties: tuple[int, int], now: float
    ) -> Cookie:
        config = self._tcb.config
        return Cookie(
            created_at=now,
            lifetime_s=config.cookie_lifetime_s + peer.preserved_s,
            local_tag=local_tag,
            peer_tag=init.initiate_tag,
            local_initial_tsn=local_tsn,
            peer_initial_tsn=init.initial_tsn,
            peer_window_bytes=init.window_bytes,
            streams_outbound=min(config.streams_outbound, init.streams_inbound),
            streams_inbound=min(config.streams_inbound_max, init.streams_outbound),
            local_tie_tag=ties[0],
            peer_tie_tag=ties[1],
            features=int(peer.features),
            local_port=config.local_port,
            remote_port=config.remote_port,
        )

    def _send_init_ack(self, init: Init, peer: PeerParameters, cookie: Cookie) -> None:
        config = self._tcb.config
        parameters = [Parameter(ParameterType.STATE_COOKIE, self._jar.seal(cookie)), *offered_parameters()]
        parameters += [Parameter(ParameterType.UNRECOGNIZED_PARAMETER, data) for data in peer.unrecognized]
        init_ack = Init(
            cookie.local_tag,
            config.receive_window_bytes,
            cookie.streams_outbound,
            config.streams_inbound_max,
            cookie.local_initial_tsn,
            parameters,
            is_ack=True,
        )
        self._tcb.queue_packet(init_ack, verification_tag=init.initiate_tag)

    def on_cookie_echo(self, chunk: CookieEcho, verification_tag: int, now: float) -> tuple[bool, Opening | None]:
        """Judge a cookie (5.1.5, 5.2.4).

        Returns whether the rest of the packet belongs to the association, and what to open where there is something.
        """
        tcb = self._tcb
        cookie = self._jar.open(chunk.cookie)
        ports = (tcb.config.local_port, tcb.config.remote_port)
        if cookie is None or cookie.local_tag != verification_tag or (cookie.local_port, cookie.remote_port) != ports:
            tcb.stats.discard(DiscardReason.INVALID_COOKIE)
            return False, None
        judgement = self._judge(cookie)
        staleness_s = now - cookie.created_at - cookie.lifetime_s
        if staleness_s > 0 and judgement is not Judgement.DUPLICATE:
            tcb.stats.discard(DiscardReason.STALE_COOKIE)
            tcb.queue_packet(Error([stale_cookie(staleness_s)]), verification_tag=cookie.peer_tag)
            return False, None
        if tcb.state is State.CLOSED:
            return True, self._open(cookie, now)
        match judgement:
            case Judgement.RESTART if tcb.state not in OPENING:
                return self._on_restart(cookie, now)
            case Judgement.COLLISION:
                return True, self._on_collision(cookie, now)
            case Judgement.DUPLICATE:
                return True, self._on_duplicate(now)
        tcb.stats.discard(DiscardReason.OLD_COOKIE)
        return False, None

    def _judge(self, cookie: Cookie) -> Judgement | None:
        tcb = self._tcb
        in_cookie = (cookie.local_tie_tag, cookie.peer_tie_tag)
        ties = Ties.NONE if in_cookie == (0, 0) else Ties.MATCH if in_cookie == tcb.tie_tags else Ties.DIFFER
        return JUDGEMENTS.get((cookie.local_tag == tcb.local_tag, cookie.peer_tag == tcb.peer_tag, ties))

    def _open(self, cookie: Cookie, now: float, *, is_restart: bool = False) -> Opening:
        """Enter ESTABLISHED with what the cookie says, and say so."""
        tcb = self._tcb
        self._handshake.stop()
        tcb.set_local_tag(cookie.local_tag)
        tcb.local_initial_tsn = cookie.local_initial_tsn
        tcb.set_peer_tag(cookie.peer_tag)
        tcb.enter(State.ESTABLISHED, now)
        tcb.queue_chunk(CookieAck(), is_first=True)
        return Opening(
            local_initial_tsn=cookie.local_initial_tsn,
            peer_initial_tsn=cookie.peer_initial_tsn,
            peer_window_bytes=cookie.peer_window_bytes,
            streams_outbound=cookie.streams_outbound,
            streams_inbound=cookie.streams_inbound,
            features=Feature(cookie.features),
            is_restart=is_restart,
        )

    def _on_restart(self, cookie: Cookie, now: float) -> tuple[bool, Opening | None]:
        """Action A: the peer has begun anew."""
        tcb = self._tcb
        if tcb.state is State.SHUTDOWN_ACK_SENT:
            tcb.queue_chunk(ShutdownAck())
            tcb.queue_error(Parameter(CauseCode.COOKIE_RECEIVED_WHILE_SHUTTING_DOWN, b""))
            return False, None
        tcb.timers.clear()
        tcb.leading.clear()
        tcb.control.clear()
        tcb.error_count = 0
        tcb.rto.reset()
        return True, self._open(cookie, now, is_restart=True)

    def _on_collision(self, cookie: Cookie, now: float) -> Opening | None:
        """Action B: both ends have sent INIT, and the peer has a newer tag than we know."""
        if self._tcb.state in OPENING:
            return self._open(cookie, now)
        self._tcb.set_peer_tag(cookie.peer_tag)
        self._tcb.queue_chunk(CookieAck(), is_first=True)
        return None

    def _on_duplicate(self, now: float) -> Opening | None:
        """Action D: the peer has our tags. It opens where we wait for the same; else the COOKIE ACK was lost."""
        self._tcb.queue_chunk(CookieAck(), is_first=True)
        return self._handshake.finish(now) if self._tcb.state is State.COOKIE_ECHOED else None
