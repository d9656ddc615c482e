"""DTLS 1.2 (RFC 6347) as a pure state machine, for WebRTC: mutual certificates, known by their fingerprints.

certificate = Certificate.generate(entropy, not_before=1_790_000_000)
connection = Connection(DtlsConfig(), role=Role.CLIENT, certificate=certificate,
                        peer_fingerprints=[Fingerprint.parse("sha-256 AB:CD:...")], entropy=entropy)
connection.start(now)
"""

from sans_rtc.dtls.certificate import Certificate
from sans_rtc.dtls.ciphers import CipherSuite
from sans_rtc.dtls.config import DtlsConfig, SrtpProfile
from sans_rtc.dtls.connection import Connection, ConnectionState, Role
from sans_rtc.dtls.events import ApplicationData, Connected, DtlsEvent, TerminationReason
from sans_rtc.dtls.fingerprint import Fingerprint
from sans_rtc.dtls.groups import NamedGroup
from sans_rtc.dtls.record import PLAINTEXT_BYTES_MAX
from sans_rtc.dtls.signatures import SignatureScheme
from sans_rtc.dtls.stats import DiscardReason, DtlsStats

__all__ = [
    "PLAINTEXT_BYTES_MAX",
    "ApplicationData",
    "Certificate",
    "CipherSuite",
    "Connected",
    "Connection",
    "ConnectionState",
    "DiscardReason",
    "DtlsConfig",
    "DtlsEvent",
    "DtlsStats",
    "Fingerprint",
    "NamedGroup",
    "Role",
    "SignatureScheme",
    "SrtpProfile",
    "TerminationReason",
]
