"""What a TURN client knows, as plain data: the raw material of "why is there no relay?" and "why not to this peer?"."""

from __future__ import annotations

import attrs

from sans_rtc.machine import Address, Path
from sans_rtc.turn.connections import Connections, ConnectionState
from sans_rtc.turn.context import Context
from sans_rtc.turn.events import FamilyRefused
from sans_rtc.turn.failure import Failure
from sans_rtc.turn.lifecycle import ClientState, Lifecycle
from sans_rtc.turn.peers import ChannelState, PeerTable, PermissionState
from sans_rtc.turn.stats import TurnStatistics


@attrs.frozen(slots=True)
class PermissionExplanation:
    """One host: may it send to us and we to it; until when; why not."""

    host: str
    state: PermissionState
    expires_at: float
    failure: Failure | None
    queued_datagrams: int


@attrs.frozen(slots=True)
class PeerExplanation:
    """One peer: its channel and until when it stands; the number is kept for a while after; why there is none."""

    address: Address
    relayed: Address
    channel: ChannelState
    channel_number: int | None
    channel_until: float
    failure: Failure | None


@attrs.frozen(slots=True)
class ConnectionExplanation:
    """One connection of RFC 6062."""

    peer: Address
    state: ConnectionState
    is_incoming: bool
    path: Path | None


@attrs.frozen(slots=True)
class TurnExplanation:
    """The whole client.

    path                    to the server that is spoken to now
    servers                 all that were asked, the first one first: more than one after a redirection
    software                what the server says it is; empty where it does not say
    realm                   of its challenge, None where there was none
    signed_with             "SHA1" or "SHA256", None where nothing is signed
    username                of the credentials in use
    expires_at, refresh_at  of the allocation, on the caller's scale; None without one
    refused_families        were asked for and are missing
    dont_fragment           asked for, and the server can do it
    pending                 what is being asked of the server
    failure                 why the client has ended, where a failure ended it
    """

    state: ClientState
    path: Path
    servers: tuple[Address, ...]
    software: str
    realm: str | None
    signed_with: str | None
    username: str
    relayed: tuple[Address, ...]
    mapped: Address | None
    expires_at: float | None
    refresh_at: float | None
    refused_families: tuple[FamilyRefused, ...]
    dont_fragment: bool
    pending: tuple[str, ...]
    permissions: tuple[PermissionExplanation, ...]
    peers: tuple[PeerExplanation, ...]
    connections: tuple[ConnectionExplanation, ...]
    failure: Failure | None
    statistics: TurnStatistics

    @property
    def refused_hosts(self) -> tuple[str, ...]:
        """Hosts that the server does not relay for."""
        return tuple(entry.host for entry in self.permissions if entry.state is PermissionState.REFUSED)


def explain_client(
    context: Context, lifecycle: Lifecycle, peers: PeerTable, connections: Connections
) -> TurnExplanation:
    """Everything that is known, as it is now."""
    allocation, requester = lifecycle.allocation, context.requester
    return TurnExplanation(
        state=lifecycle.state,
        path=context.path,
        servers=tuple(lifecycle.redirector.visited),
        software=lifecycle.software,
        realm=requester.realm,
        signed_with=requester.algorithm.name if requester.algorithm is not None else None,
        username=requester.username,
        relayed=allocation.relayed if allocation else (),
        mapped=allocation.mapped if allocation else None,
        expires_at=allocation.expires_at if allocation else None,
        refresh_at=allocation.refresh_at if allocation else None,
        refused_families=allocation.refused if allocation else (),
        dont_fragment=context.dont_fragment,
        pending=tuple(purpose.value for purpose in requester.pending),
        permissions=_explain_permissions(peers),
        peers=_explain_peers(peers),
        connections=tuple(
            ConnectionExplanation(entry.peer, entry.state, entry.is_incoming, entry.path)
            for entry in connections.by_peer.values()
        ),
        failure=lifecycle.failure,
        statistics=attrs.evolve(context.stats, discards=dict(context.stats.discards)),
    )


def _explain_permissions(peers: PeerTable) -> tuple[PermissionExplanation, ...]:
    return tuple(
        PermissionExplanation(entry.host, entry.state, entry.expires_at, entry.failure, len(entry.queue))
        for entry in peers.permissions
    )


def _explain_peers(peers: PeerTable) -> tuple[PeerExplanation, ...]:
    return tuple(
        PeerExplanation(peer.address, peer.relayed, peer.channel, peer.number or None, peer.bound_until, peer.failure)
        for peer in peers.by_address.values()
    )
