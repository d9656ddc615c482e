"""Tools to test programs built on the machines: seeded entropy, a virtual clock, links and networks in virtual time.

Nothing here is random or slow: the same seed gives the same run, and no test ever sleeps.
"""

from sans_rtc.testing.cable import Cable, GilbertElliott, LinkConditions
from sans_rtc.testing.call import Call, Channel
from sans_rtc.testing.clock import VirtualClock
from sans_rtc.testing.contract import ContractMonitor, drain
from sans_rtc.testing.entropy import SeededEntropy
from sans_rtc.testing.host import Host, Program
from sans_rtc.testing.link import Link
from sans_rtc.testing.nat import (
    ADDRESS_RESTRICTED_CONE,
    FULL_CONE,
    PORT_RESTRICTED_CONE,
    SYMMETRIC,
    Dependence,
    Firewall,
    Gateway,
    NatBehaviour,
)
from sans_rtc.testing.network import Network
from sans_rtc.testing.oracles import Oracles
from sans_rtc.testing.party import Party
from sans_rtc.testing.promises import Promise
from sans_rtc.testing.realm import DropReason, Realm
from sans_rtc.testing.watch import Watch

__all__ = [
    "ADDRESS_RESTRICTED_CONE",
    "FULL_CONE",
    "PORT_RESTRICTED_CONE",
    "SYMMETRIC",
    "Cable",
    "Call",
    "Channel",
    "ContractMonitor",
    "Dependence",
    "DropReason",
    "Firewall",
    "Gateway",
    "GilbertElliott",
    "Host",
    "Link",
    "LinkConditions",
    "NatBehaviour",
    "Network",
    "Oracles",
    "Party",
    "Program",
    "Promise",
    "Realm",
    "SeededEntropy",
    "VirtualClock",
    "Watch",
    "drain",
]
