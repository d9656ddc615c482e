"""The states of a connection's life, and which leads to which."""

from __future__ import annotations

from enum import StrEnum

from sans_rtc.dtls.events import TerminationReason


class ConnectionState(StrEnum):
    """The states of W3C's RTCDtlsTransportState."""

    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    CLOSED = "closed"
    FAILED = "failed"


TRANSITIONS: dict[ConnectionState, frozenset[ConnectionState]] = {
    ConnectionState.NEW: frozenset({ConnectionState.CONNECTING, ConnectionState.CLOSED}),
    ConnectionState.CONNECTING: frozenset({ConnectionState.CONNECTED, ConnectionState.CLOSED, ConnectionState.FAILED}),
    ConnectionState.CONNECTED: frozenset({ConnectionState.CLOSED, ConnectionState.FAILED}),
    ConnectionState.CLOSED: frozenset(),
    ConnectionState.FAILED: frozenset(),
}
GRACEFUL = frozenset({TerminationReason.CLOSED, TerminationReason.ABORTED, TerminationReason.PEER_CLOSED})
