"""The TURN and STUN server (RFC 8656, RFC 8489, RFC 6062, RFC 5780) as a machine.

config          addresses, rules, lifetimes, bounds
credentials     users with passwords, and the ephemeral credentials of the TURN REST API
authentication  whose request is this? 401, 438, 400 or an identity
nonce           nonces that need no memory
throttle        how often a stranger is answered
peers           which peers can be reached through a relay
allocation      what is kept for one client
tables          everything that is kept
allocate        Allocate: checks, sockets, reservations
requests        Refresh, CreatePermission, ChannelBind
relaying        Send and Data indications
tcp             TCP allocations
binding         Binding, and NAT behaviour discovery
server          the machine
"""

from sans_rtc.turn.server.allocation import AllocationInfo
from sans_rtc.turn.server.config import ServerConfig
from sans_rtc.turn.server.credentials import Credentials, User
from sans_rtc.turn.server.events import (
    AllocationCreated,
    AllocationEnded,
    EndReason,
    RelayNeeded,
    RelayUnneeded,
    ServerEvent,
    StreamsJoined,
    TerminationReason,
)
from sans_rtc.turn.server.peers import SPECIAL_NETWORKS, PeerRules
from sans_rtc.turn.server.server import Server
from sans_rtc.turn.server.stats import AuthFailure, DiscardReason, ServerStats

__all__ = [
    "SPECIAL_NETWORKS",
    "AllocationCreated",
    "AllocationEnded",
    "AllocationInfo",
    "AuthFailure",
    "Credentials",
    "DiscardReason",
    "EndReason",
    "PeerRules",
    "RelayNeeded",
    "RelayUnneeded",
    "Server",
    "ServerConfig",
    "ServerEvent",
    "ServerStats",
    "StreamsJoined",
    "TerminationReason",
    "User",
]
