"""The allocation: what a request asks for, what the response must hold, how long it lasts (RFC 8656 section 7)."""

from __future__ import annotations

import attrs

from sans_rtc.errors import WireError
from sans_rtc.machine import Address
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.values import FAMILY_IPV4, FAMILY_IPV6, AddressErrorCode, parse_address_error_code
from sans_rtc.stun.wire import Attribute, Message
from sans_rtc.turn.config import TurnConfig
from sans_rtc.turn.events import FamilyRefused
from sans_rtc.turn.failure import UNUSABLE_RESPONSE, Failure, failure_of_code

# RFC 8656 section 7.2 recommends that servers grant at most an hour; what claims a day is refreshed within one.
LIFETIME_S_MAX = 86_400
LIFETIME_S_DEFAULT = 600  # RFC 8656 section 3.2
# IANA protocol numbers, for REQUESTED-TRANSPORT.
PROTOCOL_NUMBERS = {"udp": 17, "tcp": 6}
FAMILIES = {4: FAMILY_IPV4, 6: FAMILY_IPV6}
# coturn (4.6.1) has ADDITIONAL-ADDRESS-FAMILY and ADDRESS-ERROR-CODE under the numbers of the draft before RFC 8656.
# Both are comprehension-optional, so that who does not know the number leaves it out.
DRAFT_ADDITIONAL_ADDRESS_FAMILY = 0x8032
DRAFT_ADDRESS_ERROR_CODE = 0x8033
# While refreshes meet a server error, they are repeated after half of what is left, but not more often than this.
RETRY_S_MIN = 1.0

_A = AttributeType


@attrs.define(slots=True, eq=False)
class Allocation:
    """What the server keeps for us.

    refused     families that were asked for and are missing
    expires_at  when the server forgets it
    refresh_at  when it is refreshed next
    """

    relayed: tuple[Address, ...]
    mapped: Address
    lifetime_s: int
    reservation_token: bytes | None
    refused: tuple[FamilyRefused, ...]
    expires_at: float = 0.0
    refresh_at: float = 0.0

    def extend(self, lifetime_s: int, margin_s: float, now: float) -> None:
        """The server has granted so much more, from now on."""
        self.lifetime_s = lifetime_s
        self.expires_at = now + lifetime_s
        self.refresh_at = now + lifetime_s - min(margin_s, lifetime_s / 2)

    def retry_refresh(self, now: float) -> None:
        """A refresh has met a server error: again, while there is time."""
        self.refresh_at = min(now + max(RETRY_S_MIN, (self.expires_at - now) / 2), self.expires_at)


def allocate_attributes(config: TurnConfig, *, dont_fragment: bool) -> list[Attribute]:
    """What an Allocate request asks for (RFC 8656 section 7.1, RFC 6062 section 4.1)."""
    attributes = [Attribute(_A.REQUESTED_TRANSPORT, PROTOCOL_NUMBERS[config.transport])]
    if config.lifetime_s != LIFETIME_S_DEFAULT:
        attributes.append(Attribute(_A.LIFETIME, config.lifetime_s))
    families = set(config.families)
    if config.reservation_token is not None:
        attributes.append(Attribute(_A.RESERVATION_TOKEN, config.reservation_token))
    elif families == {4, 6}:
        attributes.append(Attribute(_A.ADDITIONAL_ADDRESS_FAMILY, FAMILY_IPV6))
        attributes.append(Attribute(DRAFT_ADDITIONAL_ADDRESS_FAMILY, bytes((FAMILY_IPV6, 0, 0, 0))))
    elif families == {6}:  # IPv4 is what a server allocates without being asked; an old one knows no other
        attributes.append(Attribute(_A.REQUESTED_ADDRESS_FAMILY, FAMILY_IPV6))
    if config.wants_even_port:
        attributes.append(Attribute(_A.EVEN_PORT, config.reserve_next))
    if dont_fragment:
        attributes.append(Attribute(_A.DONT_FRAGMENT, True))
    return attributes


def read_allocation(response: Message, config: TurnConfig) -> Allocation | Failure:
    """The allocation of an Allocate success response, or what is wrong with it (RFC 8656 section 7.3)."""
    relayed = [value for value in response.values(_A.XOR_RELAYED_ADDRESS) if isinstance(value, Address)]
    mapped = response.value(_A.XOR_MAPPED_ADDRESS)
    families = [address.family for address in relayed]
    if not relayed or mapped is None:
        return Failure(0, UNUSABLE_RESPONSE, "no relayed address, or no mapped one")
    is_any_family = config.reservation_token is not None  # that of the reserved port
    if len(set(families)) < len(families) or not (is_any_family or set(families) <= set(config.families)):
        return Failure(0, UNUSABLE_RESPONSE, f"relayed addresses of families {families}, asked for {config.families}")
    if any(address.port == 0 for address in relayed):
        return Failure(0, UNUSABLE_RESPONSE, "a relayed address without a port")
    lifetime_s = lifetime_of(response)
    if not lifetime_s:
        return Failure(0, UNUSABLE_RESPONSE, "an allocation that lasts for no time")
    token = response.value(_A.RESERVATION_TOKEN) if config.reserve_next else None
    return Allocation(tuple(sorted(relayed, key=_family)), mapped, lifetime_s, token, _refused(response))


def lifetime_of(response: Message) -> int:
    """Seconds that an Allocate or Refresh success response grants."""
    lifetime_s = response.value(_A.LIFETIME)
    return min(lifetime_s if lifetime_s is not None else LIFETIME_S_DEFAULT, LIFETIME_S_MAX)


def _family(address: Address) -> int:
    return address.family


def _refused(response: Message) -> tuple[FamilyRefused, ...]:
    """ADDRESS-ERROR-CODE: which of two families is missing, and why."""
    errors = [error for error in response.values(_A.ADDRESS_ERROR_CODE) if isinstance(error, AddressErrorCode)]
    for value in response.values(DRAFT_ADDRESS_ERROR_CODE) if not errors else ():
        try:
            if isinstance(value, bytes) and len(value) >= 4:
                errors.append(parse_address_error_code(value, b""))
        except WireError:
            continue
    versions = {code: version for version, code in FAMILIES.items()}
    return tuple(
        FamilyRefused(versions[error.family], *failure_of_code(error.code, error.reason))
        for error in errors
        if error.family in versions
    )
