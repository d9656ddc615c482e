"""How the end of a layer becomes the end of the connection."""

from __future__ import annotations

from sans_rtc import dtls, sctp
from sans_rtc.machine import Terminated
from sans_rtc.peer.data_transport import SctpEnded
from sans_rtc.peer.states import TerminationReason
from sans_rtc.peer.transport_types import DtlsEnded


def end_of(event: DtlsEnded | SctpEnded, *, is_closing: bool) -> Terminated:
    """Say what the end of DTLS or SCTP means for the whole; `is_closing`: `close` was called here."""
    if isinstance(event, DtlsEnded):
        if event.reason is dtls.TerminationReason.PEER_CLOSED:
            return Terminated(TerminationReason.CLOSED_BY_PEER, "the peer has closed the connection")
        return Terminated(TerminationReason.DTLS_FAILED, f"DTLS: {event.detail or event.reason}")
    match event.reason:
        case sctp.TerminationReason.CLOSED if is_closing:
            return Terminated(TerminationReason.CLOSED)
        case sctp.TerminationReason.CLOSED:
            return Terminated(TerminationReason.CLOSED_BY_PEER, "the peer has closed the connection")
        case sctp.TerminationReason.REMOTE_ABORT:
            return Terminated(TerminationReason.ABORTED_BY_PEER, f"SCTP: {event.detail or event.reason}")
        case _:
            return Terminated(TerminationReason.SCTP_FAILED, f"SCTP: {event.detail or event.reason}")
