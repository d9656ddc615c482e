"""sans_rtc with every session recorded, on a path that takes no more than 1200 bytes, as most of the internet does."""

from __future__ import annotations

from benchmarks.record_stack import RecordedEndpoint
from sans_rtc_asyncio import PeerConfig


async def make_endpoint() -> RecordedEndpoint:
    """Make one end of a connection."""
    return RecordedEndpoint(PeerConfig(mtu_discovery=False))
