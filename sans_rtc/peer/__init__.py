"""The peer connection: offers and answers over ICE, DTLS, SCTP and data channels, as one machine."""

from sans_rtc.peer.config import PeerConfig
from sans_rtc.peer.connection import PeerConnection
from sans_rtc.peer.events import (
    CandidateError,
    ConnectionStateChanged,
    DirectionChanged,
    GatheringNeeded,
    IceConnectionStateChanged,
    IceGatheringStateChanged,
    LocalCandidate,
    NegotiationNeeded,
    PeerEvent,
    PublishName,
    ResolveName,
    SignalingStateChanged,
    TrackAdded,
    TrackEnded,
    TransceiverAdded,
    TransceiverStopped,
    WithdrawName,
)
from sans_rtc.peer.explain import Explanation
from sans_rtc.peer.hand_over import SocketsInUse
from sans_rtc.peer.media_config import BundlePolicy, CodecChoice, KindConfig, MediaNegotiationConfig
from sans_rtc.peer.mux import Mux
from sans_rtc.peer.mux_accept import stranger_config, stranger_offer
from sans_rtc.peer.mux_config import MuxConfig
from sans_rtc.peer.mux_events import MuxEvent, PeerEvents, UnknownUfrag
from sans_rtc.peer.negotiation import Description, DescriptionType, SignalingState
from sans_rtc.peer.states import ConnectionState, DtlsState, SctpState, TerminationReason
from sans_rtc.peer.transceivers import TransceiverAction, TransceiverChange, TransceiverInfo, TransceiverOptions

__all__ = [
    "BundlePolicy",
    "CandidateError",
    "CodecChoice",
    "ConnectionState",
    "ConnectionStateChanged",
    "Description",
    "DescriptionType",
    "DirectionChanged",
    "DtlsState",
    "Explanation",
    "GatheringNeeded",
    "IceConnectionStateChanged",
    "IceGatheringStateChanged",
    "KindConfig",
    "LocalCandidate",
    "MediaNegotiationConfig",
    "Mux",
    "MuxConfig",
    "MuxEvent",
    "NegotiationNeeded",
    "PeerConfig",
    "PeerConnection",
    "PeerEvent",
    "PeerEvents",
    "PublishName",
    "ResolveName",
    "SctpState",
    "SignalingState",
    "SignalingStateChanged",
    "SocketsInUse",
    "TerminationReason",
    "TrackAdded",
    "TrackEnded",
    "TransceiverAction",
    "TransceiverAdded",
    "TransceiverChange",
    "TransceiverInfo",
    "TransceiverOptions",
    "TransceiverStopped",
    "UnknownUfrag",
    "WithdrawName",
    "stranger_config",
    "stranger_offer",
]
