"""Priorities of candidates and pairs, and foundations (RFC 8445 sections 5.1.1.3, 5.1.2, 6.1.2.3; RFC 8421)."""

from __future__ import annotations

from sans_rtc.ice.candidate import CandidateType

# RFC 8445 section 5.1.2.2: the recommended values.
TYPE_PREFERENCES = {
    CandidateType.HOST: 126,
    CandidateType.PEER_REFLEXIVE: 110,
    CandidateType.SERVER_REFLEXIVE: 100,
    CandidateType.RELAYED: 0,
}
LOCAL_PREFERENCE_MAX = 65535

# How many candidates of one type one local address can have: one for each STUN server or rewriting rule. 65536 / 2
# (two bands) / 16 leaves slots for 1024 addresses of each family.
CANDIDATES_PER_ADDRESS_MAX = 16
SLOTS_MAX = 1024


def candidate_priority(type: CandidateType, local_preference: int, component: int = 1) -> int:
    """RFC 8445 section 5.1.2.1: 2**24 * type preference + 2**8 * local preference + (256 - component id)."""
    assert 0 <= local_preference <= LOCAL_PREFERENCE_MAX
    assert 1 <= component <= 256
    return (TYPE_PREFERENCES[type] << 24) + (local_preference << 8) + (256 - component)


def pair_priority(controlling: int, controlled: int) -> int:
    """RFC 8445 section 6.1.2.3: 2**32 * MIN(G,D) + 2 * MAX(G,D) + (G>D?1:0)."""
    lower, higher = (controlling, controlled) if controlling < controlled else (controlled, controlling)
    return (lower << 32) + 2 * higher + (controlling > controlled)


class LocalPreferences:
    """Hands out local preferences so that IPv6 and IPv4 take turns, IPv6 first (RFC 8421 section 4).

    The n-th address of each family gets the n-th slot: 6, 4, 6, 4, ... A family that comes late thus still stands
    between the others, and candidates can be told to the peer at once, before the number of addresses is known.
    Networks known as unreliable come after all others (RFC 8421 section 3), and dearer ones after cheaper ones.
    deviation: a lone IPv4 address gets 65519, not the 65535 that RFC 8445 section 5.1.2.1 recommends; whether an IPv6
    address is to follow is not known when it is told to the peer.
    """

    __slots__ = ("_counts", "_level_count", "_slot_count")

    def __init__(self, level_count: int = 1) -> None:
        """level_count  1 to 8: how many costs of networks are told apart; each has its share of the slots"""
        self._counts: dict[tuple[int, int], int] = {}
        self._level_count = level_count
        self._slot_count = SLOTS_MAX // level_count

    def draw(self, family: int, *, is_unreliable: bool = False, level: int = 0) -> int:
        """The preference of the next address's first candidate; its others follow below, in steps of 1."""
        band = level + self._level_count * is_unreliable
        count = self._counts.get((family, band), 0)
        self._counts[(family, band)] = min(count + 1, self._slot_count - 1)
        slot = 2 * (band * self._slot_count + count) + (family == 4)
        return LOCAL_PREFERENCE_MAX - CANDIDATES_PER_ADDRESS_MAX * slot


class Foundations:
    """Names each combination of type, base IP address, server IP address and protocol (RFC 8445 section 5.1.1.3)."""

    __slots__ = ("_names",)

    def __init__(self) -> None:
        self._names: dict[tuple[CandidateType, str, str, str], str] = {}

    def name(self, type: CandidateType, base_host: str, server_host: str = "", protocol: str = "udp") -> str:
        """The foundation of such a candidate: the same text for the same combination, another for any other."""
        key = (type, base_host, server_host, protocol)
        return self._names.setdefault(key, str(len(self._names) + 1))
