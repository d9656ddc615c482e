"""sans_rtc as it is on a path that takes no more than 1200 bytes: what a packet costs, whatever loopback would take."""

from __future__ import annotations

from benchmarks.sans_rtc_stack import SansRtcEndpoint
from sans_rtc_asyncio import PeerConfig


async def make_endpoint() -> SansRtcEndpoint:
    """Make one end of a connection."""
    return SansRtcEndpoint(PeerConfig(mtu_discovery=False))
