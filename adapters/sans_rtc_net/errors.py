"""What a wait can end with in any adapter: the connection never came, the connection went, the channel is closed."""

from __future__ import annotations

from sans_rtc.errors import SansRtcError


class ConnectionFailed(SansRtcError, ConnectionError):
    """The connection could not be made. The text is what `explain()` says of it.

    reason  machine-readable: a TerminationReason, or "failed" where ICE found no path, or "timeout"
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class ConnectionLost(SansRtcError, ConnectionError):
    """The connection was there and is gone, and nobody on this side closed it.

    reason  machine-readable: a TerminationReason, or "failed" where ICE lost its path (a restart may bring it back)
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class ChannelClosed(SansRtcError):
    """The channel was closed, by either side, in good order: nothing more comes and nothing more can be sent."""
