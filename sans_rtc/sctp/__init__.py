"""SCTP over DTLS: message streams, reliable or not, ordered or not (RFC 9260, 8261, 3758, 6525, 7053)."""

from sans_rtc.sctp.association import Association
from sans_rtc.sctp.config import RELIABLE, Reliability, SctpConfig
from sans_rtc.sctp.events import (
    BufferLow,
    Connected,
    IncomingStreamsReset,
    Message,
    OutgoingResetDenied,
    OutgoingStreamsReset,
    Restarted,
    SctpEvent,
    SendFailed,
    TerminationReason,
)
from sans_rtc.sctp.params import ResetResult
from sans_rtc.sctp.state import State
from sans_rtc.sctp.stats import DiscardReason, Statistics, Stats

__all__ = [
    "RELIABLE",
    "Association",
    "BufferLow",
    "Connected",
    "DiscardReason",
    "IncomingStreamsReset",
    "Message",
    "OutgoingResetDenied",
    "OutgoingStreamsReset",
    "Reliability",
    "ResetResult",
    "Restarted",
    "SctpConfig",
    "SctpEvent",
    "SendFailed",
    "State",
    "Statistics",
    "Stats",
    "TerminationReason",
]
