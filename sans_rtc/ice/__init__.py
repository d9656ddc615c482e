"""Interactive Connectivity Establishment (RFC 8445) with trickling (RFC 8838) and consent (RFC 7675).

agent        the machine: sockets' addresses and signalling in, candidates and a path out
candidate    candidates and their text form
config       everything that can be chosen
events       what the agent tells
explain      what it knows about itself

Inside: gather, reflexive and relayed_source (where candidates come from), filters, priority; wiring and carriers (what
lies between pairs and sockets: relays, and the connections of tcp_streams); generations and session (one exchange of
credentials), pairing and checklist, client_side and server_side (checks), search (what is checked, nominated,
selected), nomination and renomination, nominations (of the peer), consent, payload; hiding and network_cost.
"""

from sans_rtc.ice.agent import Agent
from sans_rtc.ice.candidate import Candidate, CandidateType, parse_candidate, serialize_candidate
from sans_rtc.ice.config import (
    AddressFilter,
    AddressRewrite,
    IceConfig,
    RenominationPolicy,
    RewriteMode,
    StunServer,
    TcpPolicy,
    TransportPolicy,
    TurnServer,
)
from sans_rtc.ice.events import (
    AddressesNeeded,
    CandidateError,
    ConnectionState,
    ConnectionStateChanged,
    GatheringState,
    GatheringStateChanged,
    IceEvent,
    LocalCandidate,
    Payload,
    PublishName,
    ResolveName,
    RestartNeeded,
    RoleChanged,
    SelectedPathChanged,
    TerminationReason,
    WithdrawName,
)
from sans_rtc.ice.explain import (
    IceExplanation,
    PairExplanation,
    RelayExplanation,
    ServerExplanation,
    StreamExplanation,
)
from sans_rtc.ice.pair import PairState
from sans_rtc.ice.parameters import Parameters
from sans_rtc.ice.relayed import PeerRefusal, RelayState
from sans_rtc.ice.role import Role
from sans_rtc.ice.stats import DiscardReason, IceStatistics

__all__ = [
    "AddressFilter",
    "AddressRewrite",
    "AddressesNeeded",
    "Agent",
    "Candidate",
    "CandidateError",
    "CandidateType",
    "ConnectionState",
    "ConnectionStateChanged",
    "DiscardReason",
    "GatheringState",
    "GatheringStateChanged",
    "IceConfig",
    "IceEvent",
    "IceExplanation",
    "IceStatistics",
    "LocalCandidate",
    "PairExplanation",
    "PairState",
    "Parameters",
    "Payload",
    "PeerRefusal",
    "PublishName",
    "RelayExplanation",
    "RelayState",
    "RenominationPolicy",
    "ResolveName",
    "RestartNeeded",
    "RewriteMode",
    "Role",
    "RoleChanged",
    "SelectedPathChanged",
    "ServerExplanation",
    "StreamExplanation",
    "StunServer",
    "TcpPolicy",
    "TerminationReason",
    "TransportPolicy",
    "TurnServer",
    "WithdrawName",
    "parse_candidate",
    "serialize_candidate",
]
