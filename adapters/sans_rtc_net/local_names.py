"""The `.local` names of one peer: those it asks for, and those that it has published."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from sans_rtc.machine import Address
from sans_rtc.peer.events import PublishName, ResolveName, WithdrawName
from sans_rtc_net.binding import BindConfig, addresses_of
from sans_rtc_net.interfaces import LocalAddress, interface_of
from sans_rtc_net.loop import Loop
from sans_rtc_net.mdns_service import MdnsLoop, MdnsService, mdns_service

# Names asked for at once; a peer can name many candidates, and all peers of a loop share one rate of queries.
PENDING_MAX = 16


class LocalNames:
    """One peer's part of the `MdnsService` of its loop, which it joins at the first name."""

    def __init__(
        self,
        call_soon: Callable[..., None],
        service_loop: Callable[[], MdnsLoop],
        on_resolved: Callable[[str, Sequence[str]], None],
        addresses: Callable[[], Sequence[LocalAddress]],
    ) -> None:
        """Answer by `on_resolved(name, hosts)`, once for each name until `close`.

        call_soon     calls in a later turn of the peer's loop
        service_loop  where the service lives
        addresses     tells which interfaces to use, each time; those of new names where they have changed
        """
        self._call_soon = call_soon
        self._service_loop = service_loop
        self._on_resolved = on_resolved
        self._addresses = addresses
        self._pending: set[str] = set()
        self._published: dict[str, MdnsService] = {}
        self._standing: dict[str, PublishName] = {}
        self._joined: dict[MdnsService, None] = {}
        self._is_closed = False

    @classmethod
    def on(
        cls,
        loop: Loop,
        on_resolved: Callable[[str, Sequence[str]], None],
        addresses: Callable[[], Sequence[LocalAddress]],
    ) -> LocalNames:
        """Those of a peer on an event loop."""
        return cls(loop.call_soon, loop.beside, on_resolved, addresses)

    def resolve(self, name: str) -> None:
        """Begin to look a name up; the answer comes in a later turn of the loop, none where there is no multicast."""
        if self._is_closed or name in self._pending:
            return
        if len(self._pending) >= PENDING_MAX:
            self._call_soon(self._refuse, name)
            return
        self._pending.add(name)
        self._service().resolve(self, name)

    def publish(self, name: str, hosts: Sequence[str]) -> None:
        """Let the link know these addresses by this name, until `withdraw` or `close`."""
        if not self._is_closed:
            service = self._published[name] = self._service()
            self._standing[name] = PublishName(name, tuple(hosts))
            service.publish(self, name, hosts)

    def withdraw(self, name: str) -> None:
        """Let it be forgotten."""
        self._standing.pop(name, None)
        service = self._published.pop(name, None)
        if service is not None:
            service.withdraw(self, name)

    def on_event(self, event: PublishName | WithdrawName) -> None:
        """Do as the peer's machine says."""
        if isinstance(event, PublishName):
            self.publish(event.name, event.hosts)
        else:
            self.withdraw(event.name)

    def close(self) -> None:
        """Forget what is under way and withdraw what is published; idempotent."""
        self._is_closed = True
        self._pending.clear()
        self._published.clear()
        self._standing.clear()
        joined, self._joined = self._joined, {}
        for service in joined:
            service.leave(self)

    @property
    def standing(self) -> list[ResolveName | PublishName]:
        """What the machine has asked for, and goes on: names that are looked up, and that are answered for."""
        return [*map(ResolveName, self._pending), *self._standing.values()]

    # -- from the service ----------------------------------------------------------------------------------------------

    def on_answer(self, name: str, hosts: Sequence[str]) -> None:
        """A name has been looked up."""
        if not self._is_closed:
            self._call_soon(self._tell, name, hosts)

    def on_failure(self, error: BaseException) -> None:
        """The service has a bug: it comes out where those of the peer do."""
        if not self._is_closed:
            self._call_soon(_raise, error)

    # -- private -------------------------------------------------------------------------------------------------------

    def _service(self) -> MdnsService:
        service = mdns_service(self._service_loop(), listed(self._addresses))
        service.join(self)
        self._joined[service] = None
        return service

    def _tell(self, name: str, hosts: Sequence[str]) -> None:
        if name in self._pending:
            self._pending.discard(name)
            self._on_resolved(name, hosts)

    def _refuse(self, name: str) -> None:
        if not self._is_closed:
            self._on_resolved(name, ())


def link_addresses(used: Iterable[Address], bind: BindConfig) -> list[LocalAddress]:
    """The addresses whose interfaces a peer speaks multicast DNS on: those of its sockets, or that it would bind.

    Errors  OSError where the system cannot list its interfaces
    """
    own = [LocalAddress(address.host, interface_of(address.host)) for address in used]
    return own or addresses_of(bind)


def listed(addresses: Callable[[], Sequence[LocalAddress]]) -> Sequence[LocalAddress]:
    """What the function tells; nothing where the system cannot list its interfaces."""
    try:
        return addresses()
    except OSError:
        return ()


def _raise(error: BaseException) -> None:
    raise error
