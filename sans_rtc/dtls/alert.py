"""Alerts (RFC 5246 section 7.2): two bytes, a level and a description; never retransmitted (RFC 6347 section 4.2.7)."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from sans_rtc.dtls.events import TerminationReason
from sans_rtc.errors import Malformed, Truncated


class AlertLevel(IntEnum):
    """How serious an alert is; a fatal one ends the connection at once."""

    WARNING = 1
    FATAL = 2


class AlertDescription(IntEnum):
    """What an alert says (RFC 5246 section 7.2, RFC 8446 section 6)."""

    CLOSE_NOTIFY = 0
    UNEXPECTED_MESSAGE = 10
    BAD_RECORD_MAC = 20
    RECORD_OVERFLOW = 22
    HANDSHAKE_FAILURE = 40
    BAD_CERTIFICATE = 42
    UNSUPPORTED_CERTIFICATE = 43
    CERTIFICATE_REVOKED = 44
    CERTIFICATE_EXPIRED = 45
    CERTIFICATE_UNKNOWN = 46
    ILLEGAL_PARAMETER = 47
    UNKNOWN_CA = 48
    ACCESS_DENIED = 49
    DECODE_ERROR = 50
    DECRYPT_ERROR = 51
    PROTOCOL_VERSION = 70
    INSUFFICIENT_SECURITY = 71
    INTERNAL_ERROR = 80
    INAPPROPRIATE_FALLBACK = 86
    USER_CANCELED = 90
    NO_RENEGOTIATION = 100
    MISSING_EXTENSION = 109
    UNSUPPORTED_EXTENSION = 110
    CERTIFICATE_REQUIRED = 116
    NO_APPLICATION_PROTOCOL = 120


_NAMES = {description.value: description.name.lower() for description in AlertDescription}


class Alert(NamedTuple):
    """A level of 1 or 2 and a description, which may be one that this library has no name for."""

    level: AlertLevel
    description: int

    @property
    def name(self) -> str:
        """The description in the RFC's words, or its number."""
        return _NAMES.get(self.description, f"alert {self.description}")

    @property
    def ends_connection(self) -> bool:
        """True for a fatal alert, and for close_notify, which is a warning."""
        return self.level == AlertLevel.FATAL or self.description == AlertDescription.CLOSE_NOTIFY

    @property
    def reason(self) -> TerminationReason:
        """What the application is told where this alert ends the connection."""
        is_close = self.description == AlertDescription.CLOSE_NOTIFY
        return TerminationReason.PEER_CLOSED if is_close else TerminationReason.PEER_ALERT


CLOSE_NOTIFY = Alert(AlertLevel.WARNING, AlertDescription.CLOSE_NOTIFY)


class Refusal(Exception):
    """A handshake that cannot go on. Raised by the handshake, caught by the connection, never seen outside.

    alert   what the peer is told, at fatal level
    reason  what the application is told
    detail  one sentence for a person
    """

    def __init__(self, alert: AlertDescription, reason: TerminationReason, detail: str) -> None:
        super().__init__(detail)
        self.alert = alert
        self.reason = reason
        self.detail = detail


def parse_alert(data: bytes) -> Alert:
    """Read the content of an alert record; several alerts in one record, which TLS allows, are malformed here."""
    if len(data) < 2:
        raise Truncated("an alert has two bytes", field="alert", offset=len(data))
    if len(data) > 2:
        # deviation: RFC 5246 section 6.2.1 lets alerts share a record; no DTLS stack does it.
        raise Malformed("bytes behind the alert", field="alert", offset=2)
    if data[0] not in (AlertLevel.WARNING, AlertLevel.FATAL):
        raise Malformed(f"an alert level of {data[0]}", field="level", offset=0)
    return Alert(AlertLevel(data[0]), data[1])


def serialize_alert(alert: Alert) -> bytes:
    """Write the content of an alert record."""
    return bytes((alert.level, alert.description))
