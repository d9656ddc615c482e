"""Drives the multicast DNS querier on a loop; sockets are open only while a name is being asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sans_rtc.errors import InvalidArgument, LimitExceeded
from sans_rtc.mdns import MdnsConfig, MdnsEvent, Querier
from sans_rtc_net.entropy import system_entropy
from sans_rtc_net.interfaces import LocalAddress
from sans_rtc_net.loop import Loop, LoopDriver
from sans_rtc_net.multicast import can_send, hosts_of, name_of, open_mdns_sockets
from sans_rtc_net.udp import UdpSocket


class MdnsResolver:
    """Looks `.local` names up on the link."""

    def __init__(
        self,
        loop: Loop,
        on_resolved: Callable[[str, Sequence[str]], None],
        addresses: Callable[[], Sequence[LocalAddress]],
    ) -> None:
        """Answer by `on_resolved(name, hosts)`, once for each name until `close`.

        addresses  tells which interfaces to ask on, each time sockets are opened
        """
        self._loop = loop
        self._on_resolved = on_resolved
        self._addresses = addresses
        self._pending: set[str] = set()
        self._querier: Querier | None = None
        self._driver: LoopDriver | None = None
        self._sockets: list[UdpSocket] = []
        self._is_closed = False

    def resolve(self, name: str) -> None:
        """Begin to look a name up; the answer comes in a later turn of the loop, none where there is no multicast."""
        if self._is_closed or name in self._pending:
            return
        self._pending.add(name)
        self._loop.call_soon(self._ask, name)

    def close(self) -> None:
        """Forget what is under way; idempotent."""
        self._is_closed = True
        self._pending.clear()
        self._stop()

    def _ask(self, name: str) -> None:
        if self._is_closed:
            return
        if self._driver is None:
            self._start()
        querier, driver = self._querier, self._driver
        if querier is None or driver is None:
            self._answer(name, ())
            return
        try:
            querier.resolve(name, self._loop.clock())
        except (InvalidArgument, LimitExceeded):
            self._answer(name, ())
            return
        driver.flush()
        if self._driver is driver and not any(can_send(sock) for sock in self._sockets):
            self._give_up()

    def _start(self) -> None:
        """Open sockets where there is multicast; else nothing is started."""
        self._sockets = open_mdns_sockets(self._addresses()) if self._loop.can_read else []
        if not self._sockets:
            return
        querier = self._querier = Querier(MdnsConfig(), entropy=system_entropy)
        driver = self._driver = self._loop.make_driver(
            querier, on_events=self._on_events, on_failure=lambda error: self._give_up()
        )
        for sock in self._sockets:
            driver.add_socket(sock)
            querier.add_local_address(sock.local, self._loop.clock())

    def _stop(self) -> None:
        if self._driver is not None:
            self._driver.close()
        self._driver = self._querier = None

    def _give_up(self) -> None:
        self._stop()
        for name in list(self._pending):
            self._answer(name, ())

    def _on_events(self, events: Sequence[MdnsEvent]) -> None:
        for event in events:
            name = name_of(event)
            if name is not None:
                self._answer(name, hosts_of(event))

    def _answer(self, name: str, hosts: Sequence[str]) -> None:
        if name in self._pending:
            self._pending.discard(name)
            self._on_resolved(name, hosts)
        if not self._pending:
            self._stop()
