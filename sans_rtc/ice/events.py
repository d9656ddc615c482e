"""What an ICE agent tells its owner: one closed union, `IceEvent`."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import attrs

from sans_rtc.ice.candidate import Candidate
from sans_rtc.ice.config import StunServer, TurnServer
from sans_rtc.ice.role import Role
from sans_rtc.machine import Address, Datagram, Path, Terminated
from sans_rtc.streams import StreamNeeded, StreamUnneeded


class ConnectionState(StrEnum):
    """RTCIceConnectionState (W3C WebRTC section 4.3.4)."""

    NEW = "new"
    CHECKING = "checking"
    CONNECTED = "connected"
    COMPLETED = "completed"
    DISCONNECTED = "disconnected"
    FAILED = "failed"
    CLOSED = "closed"


class GatheringState(StrEnum):
    """RTCIceGatheringState (W3C WebRTC section 4.3.2)."""

    NEW = "new"
    GATHERING = "gathering"
    COMPLETE = "complete"


class TerminationReason(StrEnum):
    """Why an agent ended; nothing that a peer does ends it."""

    CLOSED = "closed"  # close() here
    ABORTED = "aborted"  # abort() here


@attrs.define(slots=True)
class LocalCandidate:
    """A candidate of ours to be told to the peer, now; its extension `ufrag` names the generation."""

    candidate: Candidate


@attrs.define(slots=True)
class GatheringStateChanged:
    """Gathering has begun, or is complete: then no more candidates will come (RFC 8838 end-of-candidates)."""

    state: GatheringState


@attrs.define(slots=True)
class ConnectionStateChanged:
    """The state of the agent has changed."""

    state: ConnectionState


@attrs.define(slots=True)
class SelectedPathChanged:
    """Data now travel on this path.

    path    of the pair's datagrams: over a relay from the relayed address, over TCP that of whole datagrams, which is
            not the path of the connection; otherwise the socket's address and the peer's
    local   our candidate, as the peer knows it
    remote  the peer's candidate, as it was signalled or learned
    """

    path: Path
    local: Candidate
    remote: Candidate


Payload: TypeAlias = Datagram
"""A datagram that is not STUN, from a path which the peer has proven to be its own.

The event is the datagram itself, as it came in: this is the packet path, and one object less is worth it.
"""


@attrs.define(slots=True)
class ResolveName:
    """Look up this DNS or `.local` name and answer with `name_resolved`, without hosts too."""

    name: str


@attrs.define(slots=True)
class CandidateError:
    """A STUN or TURN server gave no candidate (W3C RTCPeerConnectionIceErrorEvent).

    server   as configured
    address  the local address asked from; None where the server's name was not resolved
    code     the STUN error code; 701 where no answer came at all
    reason   for a person
    """

    server: StunServer | TurnServer
    address: Address | None
    code: int
    reason: str


@attrs.define(slots=True)
class RoleChanged:
    """A role conflict has been settled, or the peer is lite (RFC 8445 sections 6.1.1, 7.3.1.1)."""

    role: Role


@attrs.define(slots=True)
class AddressesNeeded:
    """The network has changed: name sockets that are new, remove those that are gone, then end_of_local_addresses."""


@attrs.define(slots=True)
class RestartNeeded:
    """The network has changed, and no pair is left that could work: only a restart brings the peer back."""


@attrs.define(slots=True)
class PublishName:
    """Answer multicast DNS queries for this `.local` name with these IP addresses, until it is withdrawn."""

    name: str
    hosts: tuple[str, ...]


@attrs.define(slots=True)
class WithdrawName:
    """Answer for this name no more."""

    name: str


IceEvent: TypeAlias = (
    LocalCandidate
    | GatheringStateChanged
    | ConnectionStateChanged
    | SelectedPathChanged
    | Payload
    | ResolveName
    | CandidateError
    | RoleChanged
    | StreamNeeded
    | StreamUnneeded
    | AddressesNeeded
    | RestartNeeded
    | PublishName
    | WithdrawName
    | Terminated
)
