"""What networks cost, and how the two ends tell each other (libwebrtc: `network-id` and `network-cost`, 0xC057).

interface name --patterns--> cost 0..999 --> level of the local preference
                                         --> candidate ... network-id 1 network-cost 10
                                         --> GOOG_NETWORK_INFO in checks: id << 16 | cost
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from sans_rtc.ice.candidate import Candidate

NETWORK_COST_MAX = 999
# libwebrtc's value for a network whose kind it does not know: dearer than a cable (0) and Wi-Fi (10), cheaper than any
# mobile network (250 to 980).
NETWORK_COST_UNKNOWN = 50
NETWORK_ID_MAX = 0xFFFF
LEVEL_COUNT_MAX = 8


class NetworkCosts:
    """The networks of this host. Without a configuration all cost 0, have no id, and nothing is told."""

    __slots__ = ("_costs", "_ids", "_levels")

    def __init__(self, costs: tuple[tuple[str, int], ...]) -> None:
        self._costs = costs
        self._ids: dict[str, int] = {}
        self._levels = sorted({NETWORK_COST_UNKNOWN, *(cost for _, cost in costs)}) if costs else [0]

    def cost_of(self, network: str) -> int:
        """The cost of the network with this interface."""
        if not self._costs:
            return 0
        return next((cost for pattern, cost in self._costs if fnmatchcase(network, pattern)), NETWORK_COST_UNKNOWN)

    def id_of(self, network: str) -> int:
        """A number for the network with this interface, from 1; 0 where peers are not told."""
        if not self._costs:
            return 0
        return self._ids.setdefault(network, min(len(self._ids) + 1, NETWORK_ID_MAX))

    def level_of(self, network: str) -> int:
        """How many cheaper kinds of networks there are; beyond `LEVEL_COUNT_MAX` no difference is made."""
        return min(self._levels.index(self.cost_of(network)), LEVEL_COUNT_MAX - 1)

    @property
    def level_count(self) -> int:
        """How many levels there are."""
        return min(len(self._levels), LEVEL_COUNT_MAX)


def network_cost_of(candidate: Candidate) -> int:
    """The cost that a candidate of the peer tells; 0 where it tells none, or nonsense."""
    return parse_cost(candidate.extension("network-cost") or "")


def parse_cost(text: str) -> int:
    """A cost as it stands in a candidate; 0 for what is none."""
    if not text.isascii() or not text.isdecimal() or len(text) > 5:
        return 0
    return min(int(text), NETWORK_COST_MAX)


def cost_of_info(info: int) -> int:
    """The cost in a value of GOOG_NETWORK_INFO."""
    return min(info & 0xFFFF, NETWORK_COST_MAX)
