"""TCP candidates: who may pair with whom, and how they rank (RFC 6544).

We are active (we connect) or passive (we listen). Simultaneous-open candidates are optional there; of ours there are
none, and those of peers are not used.
"""

from __future__ import annotations

from sans_rtc.ice.candidate import Candidate, CandidateType
from sans_rtc.machine import Address

ACTIVE, PASSIVE = "active", "passive"

# RFC 6544 section 4.5: the port of an active candidate means nothing, and is 9 ("discard").
DISCARD_PORT = 9

# RFC 6544 section 4.2 leaves it to the agent how TCP ranks among the types where UDP is preferred. Below reflexive UDP,
# as libwebrtc has it: a stream that loses one packet holds up all that follow, whoever is at its other end.
TYPE_PREFERENCES = {
    CandidateType.HOST: 90,
    CandidateType.PEER_REFLEXIVE: 80,
    CandidateType.SERVER_REFLEXIVE: 80,
    CandidateType.RELAYED: 0,
}
# RFC 6544 section 4.2, for host candidates: active before passive before simultaneous-open.
DIRECTION_PREFERENCES = {ACTIVE: 6, PASSIVE: 4, "so": 2}


def tcp_candidate_priority(type: CandidateType, tcp_type: str, local_preference: int) -> int:
    """RFC 6544 section 4.2: the local preference is 2**13 * direction preference + other preference.

    local_preference  of the address over UDP, 0 to 65535; its upper 13 bits are the other preference
    """
    directed = (DIRECTION_PREFERENCES[tcp_type] << 13) + (local_preference >> 3)
    return (TYPE_PREFERENCES[type] << 24) + (directed << 8) + 255


def active_address(host: str) -> Address:
    """The address of an active candidate: that of a base whose datagrams leave by connections of ours."""
    return Address(host, DISCARD_PORT)


def may_pair(local: Candidate, remote: Candidate) -> bool:
    """Which candidates form a pair to be checked (RFC 6544 section 6.2).

    Over TCP active ones with passive ones. A pair whose local candidate is passive comes into being when the peer's
    connection brings its check.
    """
    if local.protocol != remote.protocol:
        return False
    return local.protocol == "udp" or (local.tcp_type == ACTIVE and remote.tcp_type == PASSIVE)
