"""The states of a stream and the order they come in, what it reports, and what it counts."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import attrs

from sans_rtc.machine import Path


class StreamState(StrEnum):
    """How far a stream is."""

    CONNECTING = "connecting"
    PROXY = "proxy"
    TLS = "tls"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


NEXT_STATES: dict[StreamState, frozenset[StreamState]] = {
    StreamState.CONNECTING: frozenset({StreamState.PROXY, StreamState.TLS, StreamState.OPEN, StreamState.CLOSED}),
    StreamState.PROXY: frozenset({StreamState.TLS, StreamState.OPEN, StreamState.CLOSED}),
    StreamState.TLS: frozenset({StreamState.OPEN, StreamState.CLOSED}),
    StreamState.OPEN: frozenset({StreamState.CLOSING, StreamState.CLOSED}),
    StreamState.CLOSING: frozenset({StreamState.CLOSED}),
    StreamState.CLOSED: frozenset(),
}
TIMED_STATES = frozenset({StreamState.CONNECTING, StreamState.PROXY, StreamState.TLS, StreamState.CLOSING})


@attrs.define(slots=True)
class StreamOpened:
    """Bytes can flow."""

    path: Path


@attrs.define(slots=True)
class StreamClosed:
    """It has ended, or could not be opened. `reason` is a sentence for a person."""

    path: Path
    reason: str


StreamReport: TypeAlias = StreamOpened | StreamClosed


class DiscardReason(StrEnum):
    """Why a frame was dropped."""

    BACKLOG_FULL = "backlog_full"
    NOT_OPEN = "not_open"
    CLOSED = "closed"


@attrs.define(slots=True)
class StreamStats:
    """Counters of one stream; `discards` counts frames."""

    bytes_received: int = 0
    bytes_sent: int = 0
    frames_sent: int = 0
    discards: dict[str, int] = attrs.Factory(dict)

    def count_discards(self, reason: DiscardReason, count: int = 1) -> None:
        """Add to the discards of a reason."""
        self.discards[reason] = self.discards.get(reason, 0) + count
