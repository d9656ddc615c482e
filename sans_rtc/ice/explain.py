"""What an agent knows about itself, as plain data: the raw material of "why does it not connect?"."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from sans_rtc.ice.candidate import Candidate
from sans_rtc.ice.config import StunServer, TurnServer
from sans_rtc.ice.events import ConnectionState, GatheringState
from sans_rtc.ice.filters import FilterReason
from sans_rtc.ice.gather import Gatherer
from sans_rtc.ice.pair import PairState, PairStatistics
from sans_rtc.ice.reflexive import QueryState
from sans_rtc.ice.relayed import PeerRefusal, RelayState
from sans_rtc.ice.role import Role
from sans_rtc.ice.session import Session
from sans_rtc.ice.stats import IceStatistics
from sans_rtc.ice.tcp_streams import TcpStreams
from sans_rtc.machine import Address, Path


@attrs.frozen(slots=True)
class PairExplanation:
    """One pair.

    generation        0 before the first restart
    local, remote     the candidates as both ends know them; the local one of the valid pair once a check has succeeded
    path              of its datagrams
    state             of its checks
    priority          in the present role
    is_nominated      the controlling end wants it
    is_selected       data travel on it
    is_consent_lost   nobody answered for 30 s, or the peer refused (403)
    rtt_s             smoothed, None without a sample
    last_heard_at     of the last authenticated request or response, None without one; on the caller's scale
    last_response_at  of the last authenticated success response
    statistics        counters of its checks
    """

    generation: int
    local: Candidate
    remote: Candidate
    path: Path
    state: PairState
    priority: int
    is_nominated: bool
    is_selected: bool
    is_consent_lost: bool
    rtt_s: float | None
    last_heard_at: float | None
    last_response_at: float | None
    statistics: PairStatistics


@attrs.frozen(slots=True)
class ServerExplanation:
    """What one STUN server said to one local address: mapped, or the error code (701: no answer) and a reason."""

    server: StunServer
    base: Address
    server_address: Address
    state: QueryState
    mapped: Address | None
    rtt_s: float | None
    code: int
    reason: str


@attrs.frozen(slots=True)
class RelayExplanation:
    """What one TURN server said to one local address.

    path          to the server
    relayed       the addresses that it relays from; empty unless it has succeeded
    mapped        our own address as it sees it
    code, name,
    reason        of what went wrong: the server's error code (0: none came), its name, the server's phrase or ours
    refusals      hosts that it does not relay to, and why
    """

    server: TurnServer
    base: Address
    path: Path
    state: RelayState
    relayed: tuple[Address, ...]
    mapped: Address | None
    code: int
    name: str
    reason: str
    refusals: tuple[PeerRefusal, ...]


@attrs.frozen(slots=True)
class StreamExplanation:
    """One TCP connection under a pair."""

    path: Path
    is_accepted: bool
    is_open: bool
    is_proven: bool


@attrs.frozen(slots=True)
class IceExplanation:
    """The whole agent.

    generation            0 before the first restart
    is_remote_known       the peer's credentials have been signalled
    is_remote_lite        the peer sends no checks
    has_remote_ended      the peer has said that no more candidates will come
    is_consent_lost       the present generation ended because the peer fell silent
    local_candidates      as the peer was told of them, and those learned from its responses
    remote_candidates     signalled and learned
    unresolved_names      of the peer's candidates
    unresolved_servers    STUN servers whose name has no address
    filtered              local addresses left out, and why
    pairs                 best first, those of the present generation before those of the previous
    servers               each question to a STUN server
    relays                each allocation on a TURN server
    streams               TCP connections under pairs
    broken_streams        TCP connections that have failed: the pair's path, and why
    is_relay_only         nothing but relays is used
    early_datagrams       payload that waits for its path to be proven
    statistics            counters, discards by reason
    """

    state: ConnectionState
    gathering_state: GatheringState
    role: Role
    generation: int
    is_remote_known: bool
    is_remote_lite: bool
    has_remote_ended: bool
    is_consent_lost: bool
    local_candidates: tuple[Candidate, ...]
    remote_candidates: tuple[Candidate, ...]
    unresolved_names: tuple[str, ...]
    unresolved_servers: tuple[str, ...]
    filtered: tuple[tuple[Address, FilterReason], ...]
    pairs: tuple[PairExplanation, ...]
    servers: tuple[ServerExplanation, ...]
    relays: tuple[RelayExplanation, ...]
    streams: tuple[StreamExplanation, ...]
    broken_streams: tuple[tuple[Path, str], ...]
    is_relay_only: bool
    early_datagrams: int
    statistics: IceStatistics

    @property
    def selected(self) -> PairExplanation | None:
        """The pair that data travel on."""
        return next((pair for pair in self.pairs if pair.is_selected), None)


def explain_pairs(session: Session) -> tuple[PairExplanation, ...]:
    """The pairs of one generation, best first."""
    return tuple(
        PairExplanation(
            session.number,
            pair.valid_local or pair.local.candidate,
            pair.remote.candidate,
            pair.path,
            pair.state,
            pair.priority,
            pair.is_nominated,
            pair is session.selected,
            pair.is_revoked,
            pair.rtt_s,
            _moment(pair.last_heard_at),
            _moment(pair.last_response_at),
            attrs.evolve(pair.statistics),
        )
        for pair in session.checklist
    )


def explain_servers(gatherer: Gatherer) -> tuple[ServerExplanation, ...]:
    """Each question to a STUN server and what came of it."""
    return tuple(
        ServerExplanation(
            query.server,
            query.base.address,
            query.path.remote,
            query.state,
            query.mapped,
            query.rtt_s,
            query.code,
            query.reason,
        )
        for query in gatherer.queries
    )


def explain_relays(gatherer: Gatherer) -> tuple[RelayExplanation, ...]:
    """Each allocation on a TURN server and what came of it."""
    return tuple(
        RelayExplanation(
            relay.server,
            relay.base.address,
            relay.path,
            relay.state,
            tuple(relay.bases),
            relay.mapped,
            relay.code,
            relay.name,
            relay.reason,
            tuple(relay.refusals),
        )
        for relay in gatherer.relayed.relays
    )


def explain(
    state: ConnectionState,
    role: Role,
    gatherer: Gatherer,
    tcp: TcpStreams,
    sessions: Sequence[Session],
    early_datagrams: int,
    stats: IceStatistics,
) -> IceExplanation:
    """Describe an agent; `sessions` are its generations, the present one first. Changes nothing."""
    session = sessions[0]
    return IceExplanation(
        state=state,
        gathering_state=gatherer.state,
        role=role,
        generation=session.number,
        is_remote_known=session.remote is not None,
        is_remote_lite=session.remote is not None and session.remote.is_lite,
        has_remote_ended=session.remotes.has_ended,
        is_consent_lost=session.is_consent_lost,
        local_candidates=tuple(gathered.candidate for gathered in session.pairing.candidates),
        remote_candidates=tuple(remote.candidate for remote in session.remotes),
        unresolved_names=tuple(session.remotes.names),
        unresolved_servers=tuple(gatherer.unresolved_servers),
        filtered=tuple(gatherer.filtered.items()),
        pairs=tuple(pair for each in sessions for pair in explain_pairs(each)),
        servers=explain_servers(gatherer),
        relays=explain_relays(gatherer),
        streams=tuple(StreamExplanation(s.outer, s.is_accepted, s.is_open, s.is_proven) for s in tcp.streams),
        broken_streams=tuple(tcp.failures.items()),
        is_relay_only=gatherer.is_relay_only,
        early_datagrams=early_datagrams,
        statistics=attrs.evolve(stats, discards=dict(stats.discards)),
    )


def _moment(at: float) -> float | None:
    return at if at > -float("inf") else None
