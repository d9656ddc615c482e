"""The states of a peer connection as W3C WebRTC names them, and how the whole follows from the parts."""

from __future__ import annotations

from enum import StrEnum

from sans_rtc.ice import ConnectionState as IceState


class ConnectionState(StrEnum):
    """RTCPeerConnectionState (W3C WebRTC section 4.3.3)."""

    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    FAILED = "failed"
    CLOSED = "closed"


class DtlsState(StrEnum):
    """RTCDtlsTransportState (W3C WebRTC section 5.5.1)."""

    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    CLOSED = "closed"
    FAILED = "failed"


class SctpState(StrEnum):
    """RTCSctpTransportState (W3C WebRTC section 6.1.2), with `new` for an association that does not exist yet."""

    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    CLOSED = "closed"


class TerminationReason(StrEnum):
    """Why a peer connection ended."""

    CLOSED = "closed"  # close() here, everything acknowledged
    CLOSE_TIMEOUT = "close_timeout"  # close() here, and the peer did not acknowledge everything in time
    ABORTED = "aborted"  # abort() here
    CLOSED_BY_PEER = "closed_by_peer"  # the peer closed gracefully
    ABORTED_BY_PEER = "aborted_by_peer"  # the peer ended at once
    DTLS_FAILED = "dtls_failed"  # no trusted, encrypted connection could be made or kept
    HANDED_OVER = "handed_over"  # snapshot() here: the session goes on elsewhere
    SCTP_FAILED = "sctp_failed"  # the association could not be made, or the peer stopped acknowledging


def combine(ice: IceState, dtls: DtlsState) -> ConnectionState:
    """The state of the whole from the states of its transports (W3C WebRTC section 4.3.3)."""
    if ice is IceState.CLOSED:
        return ConnectionState.CLOSED
    if ice is IceState.FAILED or dtls is DtlsState.FAILED:
        return ConnectionState.FAILED
    if ice is IceState.DISCONNECTED:
        return ConnectionState.DISCONNECTED
    if ice is IceState.NEW:
        return ConnectionState.NEW
    if ice in (IceState.CONNECTED, IceState.COMPLETED) and dtls in (DtlsState.CONNECTED, DtlsState.CLOSED):
        return ConnectionState.CONNECTED
    return ConnectionState.CONNECTING
