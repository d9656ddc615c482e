"""Multicast DNS for all peers of one loop: one querier, one responder, one socket for each interface and version of IP.

    LocalNames of a peer --> MdnsService --> Multicaster (Querier, Responder) <--> a driver and its sockets
    LocalNames of a peer <-- answers     <--'

Sockets are open while a name is being asked for or published, and `LINGER_S` longer: candidates come in bursts. What
the querier has learnt is kept for all, as long as any peer uses the service.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias
from weakref import WeakValueDictionary

import attrs

from sans_rtc.errors import InvalidArgument, LimitExceeded
from sans_rtc.machine import Address, Datagram, Machine
from sans_rtc.mdns import MdnsConfig, MdnsEvent, Querier, Responder, ResponderConfig
from sans_rtc_net.addresses import family_of
from sans_rtc_net.entropy import system_entropy
from sans_rtc_net.interfaces import LocalAddress
from sans_rtc_net.monitor import is_present
from sans_rtc_net.multicast import (
    MDNS_PORT,
    can_send,
    hosts_of,
    name_of,
    networks_of,
    one_per_interface,
    open_mdns_sockets,
)
from sans_rtc_net.udp import UdpSocket

# How long sockets stay open when nobody asks and nothing is published any more.
LINGER_S = 2.0
# For all peers of a loop together; each has a bound of its own (`local_names.PENDING_MAX`).
QUERIER_CONFIG = MdnsConfig(name_count_max=1024, cache_name_count_max=1024)
RESPONDER_CONFIG = ResponderConfig(name_count_max=16_384)


@attrs.define(slots=True)
class Rested:
    """Nobody has asked for a name for a while, and none is published."""


MulticastEvent: TypeAlias = MdnsEvent | Rested


class Multicaster:
    """A querier and a responder on the same sockets, as a Machine[Datagram, Datagram, MulticastEvent]."""

    def __init__(self, querier: Querier, responder: Responder) -> None:
        self.querier = querier
        self.responder = responder
        self._rested: list[Rested] = []
        self._rests_at = math.inf

    def touch(self, now: float) -> None:
        """It is used now: it rests `LINGER_S` after the last use."""
        self._rests_at = now + LINGER_S

    def add_local_address(self, address: Address, networks: Sequence[str], now: float) -> None:
        """Ask on this address, and answer there where it hears the group; `networks` are those of its link."""
        self.querier.add_local_address(address, now)
        self.querier.set_networks(address, networks, now)
        if address.port == MDNS_PORT:
            self.responder.add_local_address(address, now)
            self.responder.set_networks(address, networks, now)

    def remove_local_address(self, address: Address, now: float) -> None:
        """Its socket is closed."""
        self.querier.remove_local_address(address, now)
        self.responder.remove_local_address(address, now)

    @property
    def is_idle(self) -> bool:
        """True while no name is asked for and none is published."""
        return not self.querier.pending_names and not self.responder.has_names

    def receive(self, datagram: Datagram, now: float) -> None:
        """Responses are for the querier, all else for the responder."""
        is_response = len(datagram.data) > 2 and datagram.data[2] & 0x80
        machine: Querier | Responder = self.querier if is_response else self.responder
        machine.receive(datagram, now)

    def handle_timer(self, now: float) -> None:
        """Whatever is due."""
        self.querier.handle_timer(now)
        self.responder.handle_timer(now)
        if self._rests_at <= now and self.is_idle:
            self._rests_at = math.inf
            self._rested.append(Rested())

    def close(self, now: float) -> None:
        """Give up what is asked, and say goodbye to what is published."""
        self.querier.close(now)
        self.responder.close(now)

    def take_datagrams(self, now: float) -> Sequence[Datagram]:
        """Queries first."""
        return [*self.querier.take_datagrams(now), *self.responder.take_datagrams(now)]

    def take_events(self) -> Sequence[MulticastEvent]:
        """Those of the querier; the responder has none but its end."""
        rested, self._rested = self._rested, []
        return [*self.querier.take_events(), *rested]

    @property
    def deadline(self) -> float:
        """The earliest of all."""
        rests_at = self._rests_at if self.is_idle else math.inf
        return min(self.querier.deadline, self.responder.deadline, rests_at)

    @property
    def is_terminated(self) -> bool:
        """True after `close`."""
        return self.querier.is_terminated


class MdnsLoop(Protocol):
    """What the service needs of a loop; `sans_rtc_net.loop.Loop.beside` has it."""

    @property
    def clock(self) -> Callable[[], float]:
        """The time of the loop's timers, seconds."""

    @property
    def can_read(self) -> bool:
        """False where the loop takes no sockets."""

    @property
    def identity(self) -> object:
        """The same object for all that live on one loop."""

    def make_driver(
        self,
        machine: Machine[Datagram, Datagram, MulticastEvent],
        *,
        on_events: Callable[[Sequence[MulticastEvent]], None],
        on_failure: Callable[[BaseException], None],
    ) -> MdnsDriver:
        """Drive a machine until the driver's `close`."""


class MdnsDriver(Protocol):
    """What the service needs of a driver."""

    def add_socket(self, sock: UdpSocket) -> None:
        """Take over a socket."""

    def flush(self) -> None:
        """Send what there is to send, hand over events, set the timer."""

    def close(self) -> None:
        """Drive no more."""


class MdnsUser(Protocol):
    """Somebody who uses the service. It is called at any moment, and must not call back from within."""

    def on_answer(self, name: str, hosts: Sequence[str]) -> None:
        """The answer to `resolve`; no hosts: it has no address that anybody told."""

    def on_failure(self, error: BaseException) -> None:
        """The service has a bug and runs no more."""


class MdnsService:
    """The names of one loop on one set of interfaces. Made by `mdns_service`, and gone with its last user."""

    def __init__(self, loop: MdnsLoop, addresses: Sequence[LocalAddress]) -> None:
        """Nothing is opened yet."""
        self._loop = loop
        # Kept, so that no other loop can be taken for this one while the service lives.
        self._identity = loop.identity
        self._addresses = addresses[: QUERIER_CONFIG.local_address_count_max]
        self._machine = Multicaster(
            Querier(QUERIER_CONFIG, entropy=system_entropy), Responder(RESPONDER_CONFIG, entropy=system_entropy)
        )
        self._users: dict[MdnsUser, None] = {}
        self._asking: dict[str, dict[MdnsUser, None]] = {}
        self._publishers: dict[str, MdnsUser] = {}
        self._driver: MdnsDriver | None = None
        self._sockets: list[UdpSocket] = []
        self._is_over = False

    # -- for its users -------------------------------------------------------------------------------------------------

    def join(self, user: MdnsUser) -> None:
        """Use it from now on, until `leave`; idempotent."""
        self._users[user] = None

    def move_to(self, addresses: Sequence[LocalAddress]) -> None:
        """Speak from these addresses of the same interfaces, where one that was used so far is gone."""
        gone = [address for address in self._addresses if address not in addresses and not is_present(address.host)]
        if gone:
            self._addresses = addresses
            self._rest()
            if not self._machine.is_idle:
                self._start()

    def leave(self, user: MdnsUser) -> None:
        """Use it no more: what the user has published is said goodbye to, and what it asked for is forgotten.

        With the last user the sockets are closed and nothing is left; idempotent.
        """
        for name in [name for name, publisher in self._publishers.items() if publisher is user]:
            self.withdraw(user, name)
        for name in [name for name, users in self._asking.items() if user in users]:
            self.cancel(user, name)
        self._users.pop(user, None)
        if not self._users:
            self._stop()

    def resolve(self, user: MdnsUser, name: str) -> None:
        """Find the addresses of a name; the answer comes by `on_answer`, also while this is called."""
        self._asking.setdefault(name, {})[user] = None
        if not self._start():
            self._answer(name, ())
            return
        try:
            self._machine.querier.resolve(name, self._now())
        except (InvalidArgument, LimitExceeded):
            self._answer(name, ())
            return
        self._flush()
        if not any(can_send(sock) for sock in self._sockets):
            self._give_up()

    def cancel(self, user: MdnsUser, name: str) -> None:
        """The user wants no answer any more."""
        users = self._asking.get(name)
        if users is None:
            return
        users.pop(user, None)
        if not users:
            del self._asking[name]
            self._machine.querier.cancel(name, self._now())

    def publish(self, user: MdnsUser, name: str, hosts: Sequence[str]) -> None:
        """Answer for this name, where there is multicast; without it the name is one that nobody can resolve."""
        try:
            self._machine.responder.publish(name, hosts, self._now())
        except (InvalidArgument, LimitExceeded):
            return
        self._publishers[name] = user
        self._start()
        self._flush()

    def withdraw(self, user: MdnsUser, name: str) -> None:
        """Answer for this name no more."""
        if self._publishers.get(name) is user:
            del self._publishers[name]
            self._machine.responder.withdraw(name, self._now())
            self._flush()

    @property
    def sockets(self) -> Sequence[UdpSocket]:
        """The sockets that are open now."""
        return self._sockets

    # -- private -------------------------------------------------------------------------------------------------------

    def _now(self) -> float:
        now = self._loop.clock()
        self._machine.touch(now)
        return now

    def _start(self) -> bool:
        """Open sockets where there is multicast; False where there is none."""
        if self._driver is not None:
            return True
        if self._is_over:
            return False
        self._sockets = open_mdns_sockets(self._addresses) if self._loop.can_read else []
        if not self._sockets:
            return False
        self._driver = self._loop.make_driver(self._machine, on_events=self._on_events, on_failure=self._on_failure)
        networks = {address.host: networks_of(address) for address in self._addresses}
        for sock in self._sockets:
            self._driver.add_socket(sock)
            self._machine.add_local_address(sock.local, networks.get(sock.local.host, ()), self._now())
        return True

    def _flush(self) -> None:
        if self._driver is not None:
            self._driver.flush()

    def _rest(self) -> None:
        """Close the sockets; what is known is kept."""
        if self._driver is not None:
            self._driver.close()
        for sock in self._sockets:
            self._machine.remove_local_address(sock.local, self._loop.clock())
        self._driver, self._sockets = None, []

    def _stop(self) -> None:
        """The last user has gone."""
        if not self._is_over:
            self._machine.close(self._now())
            self._flush()
            self._rest()
            self._forget()

    def _forget(self) -> None:
        self._is_over = True
        if _services.get(key := _key(self._identity, self._addresses)) is self:
            del _services[key]

    def _give_up(self) -> None:
        for name in list(self._asking):
            self._machine.querier.cancel(name, self._loop.clock())
            self._answer(name, ())
        if self._machine.is_idle:
            self._rest()

    def _on_events(self, events: Sequence[MulticastEvent]) -> None:
        for event in events:
            if isinstance(event, Rested):
                self._rest()
            elif (name := name_of(event)) is not None:
                self._machine.touch(self._loop.clock())
                self._answer(name, hosts_of(event))

    def _on_failure(self, error: BaseException) -> None:
        users, self._users = self._users, {}
        for name in list(self._asking):
            self._answer(name, ())
        self._rest()
        self._forget()
        for user in list(users)[:1]:
            user.on_failure(error)

    def _answer(self, name: str, hosts: Sequence[str]) -> None:
        for user in self._asking.pop(name, {}):
            user.on_answer(name, hosts)


# By the loop's id and the interfaces. A service keeps its loop, so the id is not used again while it lives; and nothing
# here keeps a service whose users and loop are gone without a word.
_Key: TypeAlias = tuple[int, frozenset[tuple[int, str]]]
_services: WeakValueDictionary[_Key, MdnsService] = WeakValueDictionary()


def mdns_service(loop: MdnsLoop, addresses: Sequence[LocalAddress]) -> MdnsService:
    """The service of this loop for the interfaces that these addresses are of."""
    chosen = one_per_interface(addresses)[: QUERIER_CONFIG.local_address_count_max]
    key = _key(loop.identity, chosen)
    service = _services.get(key)
    if service is None:
        service = _services[key] = MdnsService(loop, chosen)
    service.move_to(chosen)
    return service


def _key(identity: object, addresses: Sequence[LocalAddress]) -> _Key:
    """Which of its addresses an interface is known by does not matter."""
    return id(identity), frozenset([(family_of(host), interface or host) for host, interface in addresses])
