"""Tools to test programs built on the machines: seeded entropy, a virtual clock, links in virtual time.

Nothing here is random or slow: the same seed gives the same run, and no test ever sleeps.
"""

from sans_rtc.testing.clock import VirtualClock
from sans_rtc.testing.contract import ContractMonitor, drain
from sans_rtc.testing.entropy import SeededEntropy
from sans_rtc.testing.link import Link, LinkConditions

__all__ = ["ContractMonitor", "Link", "LinkConditions", "SeededEntropy", "VirtualClock", "drain"]
