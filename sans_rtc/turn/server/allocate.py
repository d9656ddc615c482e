"""Allocate: checks in the RFC's order, then sockets from the driver, then the response (RFC 8656 section 7.2).

    request -> checks -> Opening: RelayNeeded for each wish -> relay_opened -> success
                                        ^                  -> relay_failed -> another port, or 508
                                        +-----------------------+

While the driver opens sockets the same request again is ignored; afterwards it gets the same response again.
"""

from __future__ import annotations

from typing import Literal

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc.machine import Address
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.values import FAMILY_IPV4, FAMILY_IPV6, AddressErrorCode
from sans_rtc.stun.wire import REASONS, Attribute, Message
from sans_rtc.turn.server.allocation import Allocation, Relay, Reservation
from sans_rtc.turn.server.config import RESERVATION_LIFETIME_S, ServerConfig
from sans_rtc.turn.server.context import Request, ServerContext
from sans_rtc.turn.server.events import AllocationCreated, EndReason, RelayNeeded
from sans_rtc.turn.server.stats import DiscardReason
from sans_rtc.turn.server.tables import Tables

# Protocol numbers of REQUESTED-TRANSPORT (RFC 8656 section 18.8, RFC 6062 section 4.1).
PROTOCOLS: dict[int, Literal["udp", "tcp"]] = {17: "udp", 6: "tcp"}
FAMILIES = {FAMILY_IPV4: 4, FAMILY_IPV6: 6}
FAMILY_CODES = {4: FAMILY_IPV4, 6: FAMILY_IPV6}
TOKEN_BYTES = 8

_A = AttributeType


@attrs.define(slots=True, eq=False)
class Wish:
    """A relay of one family that the driver is to open, with its neighbour where one is reserved.

    asked     addresses by relay id that the driver has not answered for
    opened    addresses that it has opened
    """

    family: int
    is_even: bool = False
    is_pair: bool = False
    attempt_count: int = 0
    has_failed: bool = False
    asked: dict[int, Address] = attrs.field(factory=dict)
    opened: list[Address] = attrs.field(factory=list)


@attrs.define(slots=True, eq=False)
class Opening:
    """An allocation whose relays are being opened, and the request that wants them.

    missing  families that cannot be had, with the code that says why
    """

    request: Request
    allocation: Allocation
    lifetime_s: float
    wishes: list[Wish] = attrs.field(factory=list)
    missing: dict[int, int] = attrs.field(factory=dict)


def granted_lifetime_s(config: ServerConfig, asked_s: int | None) -> float:
    """The lifetime that a request gets (RFC 8656 section 7.2): never less than the default."""
    return max(config.lifetime_s, min(asked_s or 0, config.lifetime_s_max))


class Allocator:
    """Makes allocations."""

    def __init__(self, context: ServerContext, tables: Tables) -> None:
        self._context = context
        self._tables = tables
        self._openings: dict[int, tuple[Opening, Wish]] = {}
        self._next_id = 1

    def allocate(self, request: Request, now: float) -> Message | None:
        """Answer an Allocate request, or begin to."""
        existing = request.allocation
        if existing is not None:
            return self._again(request, existing, now)
        message, config = request.message, self._context.config
        number = message.value(_A.REQUESTED_TRANSPORT)
        if number is None:
            return request.refuse(400, "Bad Request: no REQUESTED-TRANSPORT")
        protocol = PROTOCOLS.get(number)
        if protocol is None:
            return request.refuse(442)
        if protocol == "tcp" and (request.path.protocol == "udp" or _has(message, *_ONLY_UDP)):
            return request.refuse(400, "Bad Request: not with TCP")
        if message.value(_A.DONT_FRAGMENT) is not None and not config.can_forbid_fragments:
            return request.refuse_attribute(_A.DONT_FRAGMENT)
        if _has(message, _A.RESERVATION_TOKEN):
            return self._redeem(request, now)
        wishes, missing, refusal = self._wishes(request)
        if refusal is not None:
            return refusal
        more = 1 + wishes[0].is_pair
        code = self._tables.quota_refusal(request.identity.owner, request.path.remote.host, more)
        if code:
            return request.refuse(code)
        opening = self._begin(request, protocol)
        opening.wishes, opening.missing = wishes, missing
        for wish in tuple(wishes):
            self._ask(opening, wish)
        return self._complete(opening, now)

    def relay_opened(self, relay_id: int, address: Address, now: float) -> tuple[Request, Message] | None:
        """The driver has bound a socket. Returns a request and its response where that was the last one missing."""
        opening, wish = self._known(relay_id)
        if wish.asked[relay_id] != address:
            raise InvalidArgument(f"relay {relay_id} belongs at {wish.asked[relay_id]}, not {address}")
        del self._openings[relay_id]
        wish.opened.append(wish.asked.pop(relay_id))
        return self._settle(opening, wish, now)

    def relay_failed(self, relay_id: int, now: float) -> tuple[Request, Message] | None:
        """The driver could not bind it: another port is tried, a few times. Returns as `relay_opened`."""
        opening, wish = self._known(relay_id)
        del self._openings[relay_id]
        self._context.ports.release(wish.asked.pop(relay_id))
        wish.has_failed = True
        return self._settle(opening, wish, now)

    def _known(self, relay_id: int) -> tuple[Opening, Wish]:
        known = self._openings.get(relay_id)
        if known is None:
            raise InvalidArgument(f"relay {relay_id} is not being opened")
        return known

    # -- checks --------------------------------------------------------------------------------------------------------

    def _again(self, request: Request, allocation: Allocation, now: float) -> Message | None:
        """An Allocate on a path that has an allocation: the request that made it again, or a mismatch."""
        is_same = request.message.transaction_id == allocation.transaction_id
        if not is_same or request.identity.name != allocation.identity.name:
            return request.refuse(437)
        if not allocation.is_open:
            self._context.stats.discard(DiscardReason.NOT_OPEN_YET)
            return None
        return self._success(request, allocation, now)

    def _wishes(self, request: Request) -> tuple[list[Wish], dict[int, int], Message | None]:
        """The relays that a request wants, the families it cannot have, or why it is refused (rules 6 to 9)."""
        message, config = request.message, self._context.config
        family_code = message.value(_A.REQUESTED_ADDRESS_FAMILY)
        additional = message.value(_A.ADDITIONAL_ADDRESS_FAMILY)
        even = message.value(_A.EVEN_PORT)
        if additional is not None and (family_code is not None or even is True or additional != FAMILY_IPV6):
            return [], {}, request.refuse(400, "Bad Request: ADDITIONAL-ADDRESS-FAMILY")
        families = [FAMILIES.get(family_code if family_code is not None else FAMILY_IPV4, 0)]
        if additional is not None:
            families.append(6)
        missing = {family: 440 for family in families if not config.relay_host(family)}
        found = [family for family in families if family not in missing]
        if not found:
            return [], {}, request.refuse(440)
        return [Wish(family, even is not None, even is True) for family in found], missing, None

    def _redeem(self, request: Request, now: float) -> Message:
        """Use a reserved relay (rule 5)."""
        message, tables = request.message, self._tables
        if _has(message, _A.EVEN_PORT, _A.REQUESTED_ADDRESS_FAMILY, _A.ADDITIONAL_ADDRESS_FAMILY):
            return request.refuse(400, "Bad Request: not with RESERVATION-TOKEN")
        reservation = tables.reservations.get(message.value(_A.RESERVATION_TOKEN) or b"")
        owner = request.identity.owner
        # A token is only as good as its owner: whoever sees it go by cannot take the port.
        if reservation is None or reservation.owner != owner or reservation.expires_at <= now:
            return request.refuse(508, "Insufficient Capacity: no such reservation")
        code = tables.quota_refusal(owner, request.path.remote.host, 0)
        if code:
            return request.refuse(code)
        tables.end_reservation(reservation)
        opening = self._begin(request, "udp")
        return self._open(opening, [reservation.address], now)

    # -- sockets -------------------------------------------------------------------------------------------------------

    def _begin(self, request: Request, protocol: Literal["udp", "tcp"]) -> Opening:
        allocation = Allocation(request.path, request.identity, request.message.transaction_id, protocol)
        allocation.budget_bytes = self._context.config.allocation_bytes_per_s_max
        self._tables.add(allocation)
        lifetime_s = granted_lifetime_s(self._context.config, request.message.value(_A.LIFETIME))
        return Opening(request, allocation, lifetime_s)

    def _ask(self, opening: Opening, wish: Wish) -> None:
        """Ask the driver for a wish's sockets, on ports that have not been tried."""
        context = self._context
        host = context.config.relay_host(wish.family)
        assert host is not None
        wish.attempt_count += 1
        wish.has_failed = False
        addresses = context.ports.take(host, 1 + wish.is_pair, is_even=wish.is_even)
        if not addresses:
            self._give_up(opening, wish)
        for address in addresses:
            relay_id, self._next_id = self._next_id, self._next_id + 1
            wish.asked[relay_id] = address
            self._openings[relay_id] = (opening, wish)
            context.events.append(RelayNeeded(relay_id, address, opening.allocation.protocol))

    def _settle(self, opening: Opening, wish: Wish, now: float) -> tuple[Request, Message] | None:
        if wish.asked:
            return None
        if opening.allocation.is_ended:  # the client has gone in the meantime
            for opened in opening.wishes:
                self._close_opened(opening, opened)
            return None
        if wish.has_failed:
            self._close_opened(opening, wish)
            if wish.attempt_count < self._context.config.relay_attempt_count_max:
                self._ask(opening, wish)
            else:
                self._give_up(opening, wish)
        response = self._complete(opening, now)
        return (opening.request, response) if response is not None else None

    def _give_up(self, opening: Opening, wish: Wish) -> None:
        opening.missing[wish.family] = 508
        opening.wishes.remove(wish)

    def _close_opened(self, opening: Opening, wish: Wish) -> None:
        for address in wish.opened:
            self._context.close_relay(address, opening.allocation.protocol)
        wish.opened.clear()

    def _complete(self, opening: Opening, now: float) -> Message | None:
        """The response, once every wish is fulfilled or given up; None before."""
        if any(wish.asked for wish in opening.wishes):
            return None
        if not opening.wishes:
            self._tables.end(opening.allocation, EndReason.RELEASED)
            return opening.request.refuse(508, "Insufficient Capacity: no port")
        addresses, extras = [], []
        for wish in opening.wishes:
            wish.opened.sort(key=lambda address: address.port)
            addresses.append(wish.opened[0])
            if wish.is_pair:
                extras.append(Attribute(_A.RESERVATION_TOKEN, self._reserve(opening, wish.opened[1], now)))
        for family, code in opening.missing.items():
            extras.append(Attribute(_A.ADDRESS_ERROR_CODE, _address_error(family, code)))
        opening.allocation.extras = tuple(extras)
        return self._open(opening, addresses, now)

    def _reserve(self, opening: Opening, address: Address, now: float) -> bytes:
        token = self._context.entropy(TOKEN_BYTES)
        owner = opening.request.identity.owner
        self._tables.reserve(Reservation(token, address, owner, now + RESERVATION_LIFETIME_S))
        return token

    def _open(self, opening: Opening, addresses: list[Address], now: float) -> Message:
        allocation, stats = opening.allocation, self._context.stats
        for address in addresses:
            self._tables.add_relay(allocation, Relay(address, allocation.protocol, now + opening.lifetime_s))
        self._tables.open(allocation)
        transport = allocation.path.protocol
        stats.allocations_created[transport] = stats.allocations_created.get(transport, 0) + 1
        created = AllocationCreated(allocation.path, allocation.relayed, allocation.identity.name)
        self._context.events.append(created)
        return self._success(opening.request, allocation, now)

    def _success(self, request: Request, allocation: Allocation, now: float) -> Message:
        attributes = [
            Attribute(_A.XOR_RELAYED_ADDRESS, self._context.outward(address)) for address in allocation.relayed
        ]
        attributes.append(Attribute(_A.LIFETIME, max(0, int(allocation.expires_at - now))))
        attributes.append(Attribute(_A.XOR_MAPPED_ADDRESS, allocation.path.remote))
        return request.succeed([*attributes, *allocation.extras])


_ONLY_UDP = (_A.EVEN_PORT, _A.RESERVATION_TOKEN, _A.DONT_FRAGMENT)


def _has(message: Message, *types: AttributeType) -> bool:
    return any(message.value(type) is not None for type in types)


def _address_error(family: int, code: int) -> AddressErrorCode:
    return AddressErrorCode(FAMILY_CODES[family], code, REASONS[code])
