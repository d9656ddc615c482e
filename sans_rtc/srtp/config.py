"""What an SRTP sender or receiver can be told, and a bound for everything that could grow."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc.validators import within

REPLAY_WINDOW_SIZE_MIN = 64  # RFC 3711 section 3.3.2


class CryptexPolicy(StrEnum):
    """What is done about Cryptex (RFC 9335), which encrypts whole header extensions and the CSRCs."""

    OFF = "off"
    ALLOWED = "allowed"
    REQUIRED = "required"


def _zero(_: object, attribute: attrs.Attribute[int], value: int) -> None:
    if value != 0:
        raise InvalidArgument(
            f"{attribute.name} {value} is not supported: keys are derived once, as RFC 5764 section 4.1.2 has it"
        )


def _frozen(values: Iterable[int]) -> frozenset[int]:
    return frozenset(values)


def _extension_ids(_: object, attribute: attrs.Attribute[frozenset[int]], values: frozenset[int]) -> None:
    if not all(1 <= value <= 255 for value in values):
        raise InvalidArgument(f"{attribute.name} are numbers of header extensions, 1 to 255, not {sorted(values)}")


@attrs.frozen(slots=True, kw_only=True)
class SrtpConfig:
    """Settings of one direction; the defaults suit WebRTC.

    replay_window_size       indices remembered below the highest, for each SSRC, of RTP and of RTCP. RFC 3711 asks for
                             64; a retransmission at 30 Mbit/s may come a thousand packets late
    stream_count_max         SSRCs for RTP, and as many for RTCP. A receiver discards packets of further ones, a sender
                             raises LimitExceeded: forgetting one would let its packets be replayed, or its keystream
                             be used twice
    encrypted_extension_ids  header extensions whose values are encrypted one by one (RFC 6904)
    cryptex                  ALLOWED or REQUIRED: a sender uses Cryptex (RFC 9335) for every packet that has something
                             to hide that way; a receiver understands it, and with REQUIRED discards what should have
                             used it and did not
    encrypts_rtcp            a sender encrypts RTCP (the E flag, RFC 3711 section 3.4)
    accepts_unencrypted_rtcp a receiver takes RTCP that is authentic and not encrypted
    key_derivation_rate      0; others are refused
    """

    replay_window_size: int = attrs.field(default=1024, validator=within(REPLAY_WINDOW_SIZE_MIN, 1 << 15))
    stream_count_max: int = attrs.field(default=1024, validator=within(1, 1 << 20))
    encrypted_extension_ids: frozenset[int] = attrs.field(
        default=frozenset(), converter=_frozen, validator=_extension_ids
    )
    cryptex: CryptexPolicy = attrs.field(default=CryptexPolicy.OFF, converter=CryptexPolicy)
    encrypts_rtcp: bool = True
    accepts_unencrypted_rtcp: bool = False
    key_derivation_rate: int = attrs.field(default=0, validator=_zero)


DEFAULT_CONFIG = SrtpConfig()
