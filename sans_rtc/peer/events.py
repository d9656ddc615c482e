"""What a peer connection tells its driver and its application: one closed union."""

from __future__ import annotations

from typing import TypeAlias

import attrs

from sans_rtc.datachannel.events import ChannelBufferLow, ChannelClosed, ChannelMessage, ChannelOpened
from sans_rtc.ice import ConnectionState as IceConnectionState
from sans_rtc.ice import GatheringState
from sans_rtc.machine import Terminated
from sans_rtc.media.events import (
    FrameReceived,
    FramesDropped,
    KeyframeRequested,
    PacketReceived,
    SenderBitrateChanged,
    StreamEnded,
    StreamStarted,
    TargetBitrateChanged,
)
from sans_rtc.peer.negotiation import SignalingState
from sans_rtc.peer.states import ConnectionState
from sans_rtc.rtp.payload.interface import MediaKind
from sans_rtc.sdp.values import Direction
from sans_rtc.streams import StreamNeeded, StreamUnneeded


@attrs.define(slots=True)
class GatheringNeeded:
    """Bind sockets and name them with `add_local_address`, then call `end_of_local_addresses`.

    Comes again after `network_changed`: then only addresses that are new are bound and named, and sockets whose address
    is gone are closed, `remove_local_address` after that; name what is new first, so that there is somewhere to go.
    """


@attrs.define(slots=True)
class PublishName:
    """Answer multicast DNS queries for a `.local` name with these IP addresses of this host, until it is withdrawn."""

    name: str
    hosts: tuple[str, ...]


@attrs.define(slots=True)
class WithdrawName:
    """Answer for this name no more."""

    name: str


@attrs.define(slots=True)
class LocalCandidate:
    """A candidate to be signalled to the peer ("candidate:..."); empty: there will be no more (RFC 8838)."""

    candidate: str
    mid: str
    mline_index: int


@attrs.define(slots=True)
class CandidateError:
    """A STUN or TURN server gave no candidate (W3C icecandidateerror): error code (701: no answer) and reason."""

    server: str
    address: str
    code: int
    reason: str


@attrs.define(slots=True)
class ResolveName:
    """Look up a DNS or `.local` name and answer with `name_resolved`, empty-handed too."""

    name: str


@attrs.define(slots=True)
class NegotiationNeeded:
    """Make an offer: something has changed that the peer must be told (W3C negotiationneeded)."""


@attrs.define(slots=True)
class SignalingStateChanged:
    """The offer/answer state machine has moved."""

    state: SignalingState


@attrs.define(slots=True)
class ConnectionStateChanged:
    """The state of the whole has changed."""

    state: ConnectionState


@attrs.define(slots=True)
class IceConnectionStateChanged:
    """The state of ICE has changed."""

    state: IceConnectionState


@attrs.define(slots=True)
class IceGatheringStateChanged:
    """Gathering has begun or is complete."""

    state: GatheringState


@attrs.define(slots=True)
class TransceiverAdded:
    """The peer's offer has made a transceiver. It only receives until its direction is set to another."""

    transceiver: int
    kind: MediaKind


@attrs.define(slots=True)
class TrackAdded:
    """The peer sends, or will: what it says in its description (W3C track). `streams` are those it belongs to."""

    transceiver: int
    kind: MediaKind
    streams: tuple[str, ...]


@attrs.define(slots=True)
class TrackEnded:
    """The peer sends no more in this transceiver, and may do so again (W3C mute and removetrack)."""

    transceiver: int


@attrs.define(slots=True)
class DirectionChanged:
    """Another direction has been agreed on (W3C currentDirection); None: by no exchange that holds."""

    transceiver: int
    current_direction: Direction | None


@attrs.define(slots=True)
class TransceiverStopped:
    """A transceiver is over: stopped here, by the peer, or undone with the offer that made it."""

    transceiver: int


PeerEvent: TypeAlias = (
    ChannelMessage
    | ChannelBufferLow
    | ChannelOpened
    | ChannelClosed
    | LocalCandidate
    | CandidateError
    | GatheringNeeded
    | ResolveName
    | PublishName
    | WithdrawName
    | StreamNeeded
    | StreamUnneeded
    | NegotiationNeeded
    | TransceiverAdded
    | TrackAdded
    | TrackEnded
    | DirectionChanged
    | TransceiverStopped
    | FrameReceived
    | PacketReceived
    | KeyframeRequested
    | TargetBitrateChanged
    | SenderBitrateChanged
    | StreamStarted
    | StreamEnded
    | FramesDropped
    | SignalingStateChanged
    | ConnectionStateChanged
    | IceConnectionStateChanged
    | IceGatheringStateChanged
    | Terminated
)
