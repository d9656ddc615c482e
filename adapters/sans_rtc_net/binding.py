"""Which sockets a peer opens: the addresses asked for, or the usable ones, each on a port of its range.

BindConfig -> addresses -> a UDP socket for each, first free port of the range -> (socket, interface name)
                        -> a listening TCP socket for each, likewise, where a peer takes TCP connections
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection, Iterator, Sequence
from ipaddress import ip_address
from typing import NamedTuple, Protocol, TypeVar

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc_net.interfaces import LocalAddress, interface_of, usable_addresses
from sans_rtc_net.listener import Listener
from sans_rtc_net.options import StreamConfig, UdpConfig
from sans_rtc_net.udp import UdpSocket
from sans_rtc_net.validators import is_port_range

# Addresses bound at most: a host with hundreds of container bridges would else offer hundreds of candidates.
ADDRESS_COUNT_MAX = 32


class BoundSocket(NamedTuple):
    """A socket and the name of the interface whose address it has; empty where unknown."""

    socket: UdpSocket
    interface: str


class BoundListener(NamedTuple):
    """A listening TCP socket and the name of its interface."""

    listener: Listener
    interface: str


class _Closable(Protocol):
    def close(self) -> None: ...


Bound = TypeVar("Bound", bound=_Closable)


def _are_addresses(_: object, attribute: attrs.Attribute[tuple[str, ...]], hosts: tuple[str, ...]) -> None:
    for host in hosts:
        try:
            address = ip_address(host)
        except ValueError:
            raise InvalidArgument(f"{attribute.name} takes IP addresses of this machine, not {host!r}") from None
        if address.is_unspecified:
            raise InvalidArgument(f"{attribute.name} takes particular addresses, not {host}: leave it empty for all")


@attrs.frozen(slots=True, kw_only=True)
class BindConfig:
    """Where a peer's sockets are.

    hosts             local IP addresses; empty: every usable one
    ports             (first, last), both included; (0, 0): the system chooses. Of UDP, and of TCP where we listen
    families          4, 6 or both; for an empty `hosts`
    include_loopback  for an empty `hosts`: True, False, or None for "only where nothing else exists"
    interface_filter  for an empty `hosts`: is the interface of this name to be used?
    udp, streams      how the sockets are set up
    """

    hosts: tuple[str, ...] = attrs.field(default=(), validator=_are_addresses)
    ports: tuple[int, int] = attrs.field(default=(0, 0), validator=is_port_range)
    families: tuple[int, ...] = (4, 6)
    include_loopback: bool | None = None
    interface_filter: Callable[[str], bool] | None = None
    udp: UdpConfig = attrs.Factory(UdpConfig)
    streams: StreamConfig = attrs.Factory(StreamConfig)

    @property
    def wants_loopback(self) -> bool:
        """True where a loopback address is asked for by name or by `include_loopback`."""
        return bool(self.include_loopback) or any(ip_address(host).is_loopback for host in self.hosts)


def bind_config_from(
    bind: str | Sequence[str] = (), port: int | tuple[int, int] = 0, include_loopback: bool | None = None
) -> BindConfig:
    """Make a BindConfig of its short form; InvalidArgument for what cannot be."""
    hosts = (bind,) if isinstance(bind, str) else tuple(bind)
    ports = (port, port) if isinstance(port, int) else tuple(port)
    if len(ports) != 2:
        raise InvalidArgument(f"port is a number or (first, last), not {port!r}")
    return BindConfig(hosts=hosts, ports=ports, include_loopback=include_loopback)


def bind_sockets(config: BindConfig, *, bound_hosts: Collection[str] = ()) -> list[BoundSocket]:
    """Open one socket for each address that is not bound yet.

    bound_hosts  addresses to leave out
    Effects      none where it raises: what was opened is closed again
    Errors       OSError: an address asked for by name cannot be bound; or, with a port range, no address can.
                 An address of the machine's own list that cannot be bound is left out: it may be going away.
    """
    return [
        BoundSocket(sock, interface)
        for sock, interface in _bind_each(
            config, bound_hosts, lambda host, port: UdpSocket.bind(host, port, config.udp)
        )
    ]


def bind_listeners(config: BindConfig, *, bound_hosts: Collection[str] = ()) -> list[BoundListener]:
    """Listen for TCP connections on each address that has no listening socket yet; all else as of `bind_sockets`."""
    return [
        BoundListener(listener, interface)
        for listener, interface in _bind_each(
            config, bound_hosts, lambda host, port: Listener.bind(host, port, None, config.streams)
        )
    ]


def _bind_each(
    config: BindConfig, bound_hosts: Collection[str], open_socket: Callable[[str, int], Bound]
) -> list[tuple[Bound, str]]:
    bound: list[tuple[Bound, str]] = []
    last_error: OSError | None = None
    try:
        for address in addresses_of(config):
            if address.host in bound_hosts:
                continue
            try:
                bound.append((_bind(address.host, config, open_socket), address.interface))
            except OSError as error:
                if config.hosts:
                    raise
                last_error = error
        if last_error is not None and not bound and not bound_hosts:
            raise last_error
    except BaseException:
        for sock, _ in bound:
            sock.close()
        raise
    return bound


def addresses_of(config: BindConfig) -> list[LocalAddress]:
    """The addresses that the configuration means, on the machine as it is now. Errors: OSError."""
    if config.hosts:
        return [LocalAddress(host, interface_of(host)) for host in config.hosts]
    return usable_addresses(
        families=config.families,
        include_loopback=config.include_loopback,
        interface_filter=config.interface_filter,
    )[:ADDRESS_COUNT_MAX]


def _bind(host: str, config: BindConfig, open_socket: Callable[[str, int], Bound]) -> Bound:
    for port in _ports(config.ports):
        try:
            return open_socket(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or port == config.ports[1]:
                raise
    raise AssertionError("a port range has at least one port")


def _ports(ports: tuple[int, int]) -> Iterator[int]:
    return iter(range(ports[0], ports[1] + 1))
