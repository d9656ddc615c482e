"""sans_rtc with every session recorded to a file: what a recording costs while it is made."""

from __future__ import annotations

import os
import tempfile

from benchmarks.sans_rtc_stack import SansRtcEndpoint
from sans_rtc_asyncio import PeerConfig


class RecordedEndpoint(SansRtcEndpoint):
    """One end whose recording is thrown away with it."""

    def __init__(self, config: PeerConfig | None = None) -> None:
        handle, self._path = tempfile.mkstemp(suffix=".rec")
        os.close(handle)
        super().__init__(config, record=self._path)

    async def close(self) -> None:
        """End the connection."""
        try:
            await super().close()
        finally:
            os.unlink(self._path)


async def make_endpoint() -> RecordedEndpoint:
    """Make one end of a connection."""
    return RecordedEndpoint()
