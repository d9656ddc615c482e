"""Notices that the addresses of this machine have changed: by netlink where there is Linux, else by looking.

    kernel --RTM_NEWADDR, RTM_DELLINK, ...--> NetlinkSocket --> NetworkWatcher --settled, and different--> on_change()
    (elsewhere, or with a number of seconds)   a look now and then -->

The watcher is driven as a machine is, the netlink socket as one more socket: so it runs on every loop.
"""

from __future__ import annotations

import math
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc.machine import Address, Datagram, Machine, Path
from sans_rtc_net.binding import BindConfig, addresses_of
from sans_rtc_net.driver import Driver
from sans_rtc_net.interfaces import LocalAddress, forget_listing, listed_addresses
from sans_rtc_net.options import IS_LINUX
from sans_rtc_net.udp import UdpSocket

# linux/rtnetlink.h: the groups of messages about links and addresses, and what the messages are.
RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR = 0x1, 0x10, 0x100
RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_DELADDR = 16, 17, 20, 21
_TOLD = frozenset({RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_DELADDR})
NETLINK_BYTES = 65_536
# struct nlmsghdr: length, type, flags, sequence, port.
_HEADER = struct.Struct("=IHHII")

# Where nobody tells us. To list costs 0.3 ms.
POLL_S = 3.0
POLL_S_MIN = 0.1
# One change makes a handful of messages; and the listing may be kept for FRESH_S.
SETTLE_S = 0.1
# An IPv6 address cannot be bound before it is known to be unique, a second after it appears (RFC 4862 section 5.4).
AGAIN_S = 2.0

_NEWS = Datagram(b"\0", Path(Address("netlink", 1), Address("kernel", 0)))


@attrs.define(slots=True)
class AddressesChanged:
    """The addresses of this machine are others now."""


class NetlinkSocket(UdpSocket):
    """The kernel's news about links and addresses, each burst of them as one datagram without meaning of its own."""

    def __init__(self) -> None:
        """Errors: OSError where there is no netlink."""
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        try:
            sock.setblocking(False)
            sock.bind((0, RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR))
        except BaseException:
            sock.close()
            raise
        self._sock = sock
        self.local = _NEWS.path.local

    def receive_batch(self, limit: int) -> list[Datagram]:
        """One datagram where there was news, none where there was not."""
        is_news = False
        while True:
            try:
                data, sender = self._sock.recvfrom(NETLINK_BYTES)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:  # ENOBUFS: more news than there was room for
                is_news = True
                break
            # Any process may send to a netlink socket; the kernel's port is 0.
            is_news |= sender[0] == 0 and is_told(data)
        return [_NEWS] if is_news else []

    def send_batch(self, datagrams: Sequence[Datagram]) -> bool:
        """Nothing is ever sent."""
        return True

    def flush(self) -> bool:
        """Nothing is ever sent."""
        return True

    @property
    def has_backlog(self) -> bool:
        """Nothing ever waits."""
        return False

    def close(self) -> None:
        """Close it; idempotent."""
        self._sock.close()

    def fileno(self) -> int:
        """The file descriptor; -1 once closed."""
        return self._sock.fileno()


def is_told(data: bytes) -> bool:
    """True where netlink messages hold one about a link or an address; anything else, and anything broken, is not."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, offset)
        if kind in _TOLD:
            return True
        if length < _HEADER.size:
            return False
        offset += (length + 3) & ~3
    return False


class NetworkWatcher:
    """Compares the machine's addresses with what they were. Machine[Datagram, Datagram, AddressesChanged]."""

    def __init__(
        self, list_addresses: Callable[[], Iterable[LocalAddress]], is_bound: Callable[[], bool], *, interval_s: float
    ) -> None:
        """Nothing is looked at before `start`.

        list_addresses  the addresses that count
        is_bound        is there a socket for each? Where not, that is tried once more a while after a change
        interval_s      between two looks; inf: only where there is news
        """
        self._list = list_addresses
        self._is_bound = is_bound
        self._interval_s = interval_s
        self._known: frozenset[LocalAddress] = frozenset()
        self._look_at = math.inf
        self._again_at = math.inf
        self._events: list[AddressesChanged] = []
        self._is_closed = False

    def start(self, now: float) -> None:
        """Remember how it is now."""
        self._known = self._look()
        self._look_at = now + self._interval_s

    def receive(self, datagram: Datagram, now: float) -> None:
        """There is news: look, once it is quiet."""
        self._look_at = min(self._look_at, now + SETTLE_S)

    def handle_timer(self, now: float) -> None:
        """Look; say where there is a difference."""
        if self._look_at <= now:
            known, self._known = self._known, self._look()
            self._look_at = now + self._interval_s
            if self._known != known:
                self._again_at = now + AGAIN_S
                self._events.append(AddressesChanged())
        elif self._again_at <= now:
            self._again_at = math.inf
            if not self._is_bound():
                self._events.append(AddressesChanged())

    def close(self, now: float) -> None:
        """Look no more."""
        self._is_closed = True

    def abort(self, now: float) -> None:
        """Look no more."""
        self._is_closed = True

    def take_datagrams(self, now: float) -> Sequence[Datagram]:
        """Nothing is ever sent."""
        return ()

    def take_events(self) -> Sequence[AddressesChanged]:
        """Hand over what has happened."""
        events, self._events = self._events, []
        return events

    @property
    def deadline(self) -> float:
        """When handle_timer wants to run."""
        return math.inf if self._is_closed else min(self._look_at, self._again_at)

    @property
    def is_terminated(self) -> bool:
        """True once closed."""
        return self._is_closed

    def _look(self) -> frozenset[LocalAddress]:
        forget_listing()
        try:
            return frozenset(self._list())
        except OSError:
            return self._known  # it will be possible again


class WatchingDriver(Protocol):
    """What drives the watcher."""

    def add_socket(self, sock: UdpSocket) -> None:
        """Take over a socket."""

    def request_flush(self) -> None:
        """Look at the deadline soon."""

    def close(self) -> None:
        """Drive no more."""


class WatchingThread:
    """Drives a watcher in a thread of its own, for peers that have no loop; the thread ends soon after `close`."""

    def __init__(self, watcher: Machine[Datagram, Datagram, AddressesChanged], on_change: Callable[[], None]) -> None:
        """Call `on_change` in that thread where the addresses have changed."""
        self._driver = Driver(watcher, on_events=lambda events: on_change())
        self._is_closed = False
        self._thread: threading.Thread | None = None

    def add_socket(self, sock: UdpSocket) -> None:
        """Take over a socket."""
        self._driver.add_socket(sock)

    def request_flush(self) -> None:
        """Begin."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="sans_rtc network", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Let the thread end, and free everything."""
        self._is_closed = True
        self._driver.wake()

    def _run(self) -> None:
        driver = self._driver
        try:
            while not self._is_closed:
                driver.process(driver.wait(driver.prepare()))
        finally:
            driver.close()


class NetworkMonitor:
    """Watches the network for one peer, from `start` to `close`."""

    def __init__(
        self,
        setting: bool | float,
        bind: BindConfig,
        local_hosts: Callable[[], Iterable[str]],
        make_driver: Callable[[Machine[Datagram, Datagram, AddressesChanged]], WatchingDriver],
        clock: Callable[[], float],
    ) -> None:
        """Nothing happens before `start`.

        setting      False: never; True: as the system tells; a number: by a look every so many seconds
        bind         which addresses count
        local_hosts  those that the peer has sockets on
        make_driver  drives the watcher, and calls for the network to be looked at where it says so
        Errors       InvalidArgument for less than a tenth of a second
        """
        self._is_on = setting is not False
        self._is_told = setting is True and IS_LINUX
        interval_s = math.inf if self._is_told else POLL_S if isinstance(setting, bool) else float(setting)
        if not interval_s >= POLL_S_MIN:
            raise InvalidArgument(f"monitor_network is True, False or seconds, {POLL_S_MIN} at least, not {setting!r}")
        self._bind = bind
        self._local_hosts = local_hosts
        self._clock = clock
        self._make_driver = make_driver
        self._interval_s = interval_s
        self._driver: WatchingDriver | None = None

    def start(self) -> None:
        """Begin to watch; again: nothing."""
        if not self._is_on or self._driver is not None:
            return
        news: NetlinkSocket | None = None
        interval_s = self._interval_s
        if self._is_told:
            try:
                news = NetlinkSocket()
            except OSError:  # a sandbox without netlink
                interval_s = POLL_S
        watcher = NetworkWatcher(self._list, self._is_bound, interval_s=interval_s)
        watcher.start(self._clock())
        self._driver = self._make_driver(watcher)
        if news is not None:
            self._driver.add_socket(news)
        self._driver.request_flush()

    def close(self) -> None:
        """Watch no more; idempotent."""
        self._is_on = False
        if self._driver is not None:
            self._driver.close()

    def _list(self) -> list[LocalAddress]:
        if not self._bind.hosts:
            return addresses_of(self._bind)
        return [address for address in listed_addresses() if address.host in self._bind.hosts]

    def _is_bound(self) -> bool:
        try:
            return {address.host for address in self._list()} <= set(self._local_hosts())
        except OSError:
            return True


def is_present(host: str) -> bool:
    """True where this machine has the address: a socket can be bound to it."""
    if any(address.host == host for address in listed_addresses()):
        return True
    try:
        UdpSocket.bind(host).close()  # 127.0.0.2 is not listed, and works
    except (OSError, InvalidArgument):
        return False
    return True
