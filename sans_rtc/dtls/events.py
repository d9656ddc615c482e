"""What a DTLS connection tells its user: it is up, data came, it has ended and why."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import attrs

from sans_rtc.machine import Terminated


class TerminationReason(StrEnum):
    """Why a connection has ended."""

    CLOSED = "closed"
    """Our own close()."""
    ABORTED = "aborted"
    """Our own abort()."""
    PEER_CLOSED = "peer_closed"
    """The peer's close_notify."""
    PEER_ALERT = "peer_alert"
    """The peer's fatal alert."""
    HANDSHAKE_TIMEOUT = "handshake_timeout"
    """The handshake did not complete in `handshake_timeout_s`."""
    FINGERPRINT_MISMATCH = "fingerprint_mismatch"
    """The peer's certificate is not the one that was signalled, or not one of the pinned."""
    CERTIFICATE_MISSING = "certificate_missing"
    """The peer has no certificate, or does not ask for ours."""
    CERTIFICATE_INVALID = "certificate_invalid"
    """The peer's certificate holds no key that can be used."""
    SIGNATURE_INVALID = "signature_invalid"
    """The peer did not prove that it holds its certificate's private key."""
    FINISHED_INVALID = "finished_invalid"
    """The two ends have not seen the same handshake."""
    VERSION_UNSUPPORTED = "version_unsupported"
    """The peer does not speak DTLS 1.2."""
    NOTHING_SHARED = "nothing_shared"
    """No cipher suite, group or signature scheme that both ends accept."""
    EXTENDED_MASTER_SECRET_MISSING = "extended_master_secret_missing"
    """The peer does not know RFC 7627."""
    PROTOCOL_VIOLATION = "protocol_violation"
    """The peer breaks the protocol."""
    LIMIT_REACHED = "limit_reached"
    """The keys have protected as many records as they safely can, or too many forgeries have come."""


@attrs.define(slots=True)
class Connected:
    """The handshake is complete and the peer's identity is proven. Comes once, before any data.

    version               the protocol version as on the wire, 0xFEFD
    cipher_suite          its number in the IANA registry
    group                 the number of the key exchange's group
    srtp_profile          the number of the SRTP protection profile, None where none is shared
    peer_certificate_der  the certificate that matched the fingerprint
    """

    version: int
    cipher_suite: int
    group: int
    srtp_profile: int | None
    peer_certificate_der: bytes


@attrs.define(slots=True)
class ApplicationData:
    """The content of one application data record, authenticated and not a replay."""

    data: bytes


DtlsEvent: TypeAlias = Connected | ApplicationData | Terminated
"""Everything a DTLS connection says."""
