"""What a DTLS connection can be told: offers and preferences, timers, and a bound for everything that could grow."""

from __future__ import annotations

from collections.abc import Callable, Collection
from enum import StrEnum

import attrs

from sans_rtc.dtls.ciphers import DEFAULT_CIPHER_SUITES, SUITES
from sans_rtc.dtls.fingerprint import Fingerprint
from sans_rtc.dtls.groups import DEFAULT_GROUPS, NamedGroup
from sans_rtc.dtls.signatures import DEFAULT_SCHEMES, SCHEMES
from sans_rtc.errors import InvalidArgument
from sans_rtc.validators import none_or, within

# RFC 791 has every host take datagrams of 576 bytes; less 20 for IPv4 and 8 for UDP.
MTU_FALLBACK_BYTES = 548
MTU_BYTES_MIN = 256
MTU_BYTES_MAX = 65507
_RECORD_COUNT_LIMIT = (1 << 48) - 2  # the last sequence number is for the close_notify


class Role(StrEnum):
    """Who speaks first: the client, SDP's "active" end, or the server, its "passive" end (RFC 5763 section 5)."""

    CLIENT = "client"
    SERVER = "server"


class SrtpProfile:
    """SRTP protection profiles (RFC 5764 section 4.1.2, RFC 7714 section 14.2)."""

    AES128_CM_SHA1_80 = 0x0001
    AES128_CM_SHA1_32 = 0x0002
    AEAD_AES_128_GCM = 0x0007
    AEAD_AES_256_GCM = 0x0008


DEFAULT_SRTP_PROFILES = (
    SrtpProfile.AEAD_AES_128_GCM,
    SrtpProfile.AEAD_AES_256_GCM,
    SrtpProfile.AES128_CM_SHA1_80,
    SrtpProfile.AES128_CM_SHA1_32,
)


def _some_of(known: Collection[int]) -> Callable[[object, attrs.Attribute[tuple[int, ...]], tuple[int, ...]], None]:
    def validate(_: object, attribute: attrs.Attribute[tuple[int, ...]], values: tuple[int, ...]) -> None:
        if not values or len(set(values)) != len(values) or not set(values) <= set(known):
            raise InvalidArgument(f"{attribute.name} is a choice of {sorted(known)}, each once, not {values}")

    return validate


def _distinct_uint16(_: object, attribute: attrs.Attribute[tuple[int, ...]], values: tuple[int, ...]) -> None:
    if len(set(values)) != len(values) or not all(0 <= value <= 0xFFFF for value in values):
        raise InvalidArgument(f"{attribute.name} are 16-bit numbers, each once, not {values}")


@attrs.frozen(slots=True, kw_only=True)
class DtlsConfig:
    """Settings of a connection; the defaults suit WebRTC.

    What is offered, most preferred first; a server goes by its own order:
    cipher_suites             numbers of `CipherSuite`
    groups                    numbers of `NamedGroup`
    signature_schemes         numbers of `SignatureScheme` that the peer may sign with
    srtp_profiles             numbers of SRTP profiles; empty: no use_srtp
    pinned_fingerprints       where not empty, the peer's certificate must have one of these as well as a signalled one
    use_cookies               a server first makes the client prove that it receives (RFC 6347 section 4.2.1).
                              deviation: the RFC has it on by default; here ICE has proven just that, and it costs a
                              round trip
    key_log                   called with each line of an NSS key log; whoever has it can read the session

    Sizes and times:
    mtu_bytes                 the largest datagram made, as UDP payload
    data_mtu_bytes            the largest datagram made of application data, where whoever sends them looks for the
                              path's MTU; None: mtu_bytes
    mtu_fallback_bytes        the largest flight datagram after three retransmissions of a flight
    flight_timeout_s          before a flight is sent again the first time.
                              deviation: RFC 6347 section 4.2.4.1 says 1 s, for paths of which nothing is known; here
                              ICE has just measured one, and browsers take 50 ms
    flight_timeout_s_max      bound of its doubling.
                              deviation: the RFC says 60 s or more; a user waits for this handshake
    handshake_timeout_s       for a handshake that does not complete: from start(), or a server's first ClientHello
    alert_grace_s             how long a plaintext alert may be refuted by the handshake going on

    Bounds, and what happens beyond:
    handshake_message_bytes_max  a longer message is discarded
    reassembly_bytes_max         of incomplete messages; farther ones give way to nearer ones
    message_ahead_count_max      messages ahead of the awaited one by more are discarded
    malformed_message_count_max  so many handshake messages that make no sense end the connection
    early_record_count_max       records and data that come before their time; later ones are discarded
    early_bytes_max              of those
    send_queue_count_max         records made and not taken; send() raises LimitExceeded
    replay_window_size           sequence numbers remembered, at least 32
    record_count_max             records that a key protects; reaching it ends the connection. 2**28 records of 1200
                                 bytes are 2**34.3 blocks; AES-GCM's limit (see `ciphers`) is applied besides
    forgery_count_max            records that fail authentication; reaching it ends the connection (RFC 9147 section
                                 4.5.3 has 2**36 for all three algorithms)
    """

    cipher_suites: tuple[int, ...] = attrs.field(default=DEFAULT_CIPHER_SUITES, validator=_some_of(SUITES))
    groups: tuple[int, ...] = attrs.field(default=DEFAULT_GROUPS, validator=_some_of(tuple(NamedGroup)))
    signature_schemes: tuple[int, ...] = attrs.field(default=DEFAULT_SCHEMES, validator=_some_of(SCHEMES))
    srtp_profiles: tuple[int, ...] = attrs.field(default=DEFAULT_SRTP_PROFILES, validator=_distinct_uint16)
    pinned_fingerprints: tuple[Fingerprint, ...] = ()
    use_cookies: bool = False
    key_log: Callable[[str], None] | None = attrs.field(default=None, repr=False)

    mtu_bytes: int = attrs.field(default=1200, validator=within(MTU_BYTES_MIN, MTU_BYTES_MAX))
    data_mtu_bytes: int | None = attrs.field(default=None, validator=none_or(within(MTU_BYTES_MIN, MTU_BYTES_MAX)))
    mtu_fallback_bytes: int = attrs.field(default=MTU_FALLBACK_BYTES, validator=within(MTU_BYTES_MIN, MTU_BYTES_MAX))
    flight_timeout_s: float = attrs.field(default=0.1, validator=within(0.001, 60))
    flight_timeout_s_max: float = attrs.field(default=1.0, validator=within(0.001, 600))
    handshake_timeout_s: float = attrs.field(default=30.0, validator=within(0.001, 3600))
    alert_grace_s: float = attrs.field(default=1.0, validator=within(0.0, 3600))

    handshake_message_bytes_max: int = attrs.field(default=16384, validator=within(2048, 1 << 20))
    reassembly_bytes_max: int = attrs.field(default=65536, validator=within(2048, 1 << 24))
    message_ahead_count_max: int = attrs.field(default=8, validator=within(5, 64))
    malformed_message_count_max: int = attrs.field(default=4, validator=within(1, 1000))
    early_record_count_max: int = attrs.field(default=16, validator=within(0, 1024))
    early_bytes_max: int = attrs.field(default=32768, validator=within(0, 1 << 24))
    send_queue_count_max: int = attrs.field(default=16384, validator=within(1, 1 << 20))
    replay_window_size: int = attrs.field(default=64, validator=within(32, 4096))
    record_count_max: int = attrs.field(default=1 << 28, validator=within(16, _RECORD_COUNT_LIMIT))
    forgery_count_max: int = attrs.field(default=1 << 36, validator=within(1, 1 << 36))

    def __attrs_post_init__(self) -> None:
        if self.flight_timeout_s_max < self.flight_timeout_s:
            raise InvalidArgument("flight_timeout_s_max is below flight_timeout_s")
        if self.reassembly_bytes_max < self.handshake_message_bytes_max:
            raise InvalidArgument("reassembly_bytes_max is below handshake_message_bytes_max")
