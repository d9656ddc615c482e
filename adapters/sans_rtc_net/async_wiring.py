"""What a peer connection on an event loop is made of, and how the parts are joined; its verbs stand in `async_peer`.

LoopDriver <--> machine --events--> Session --> the application
                                     |--> Gathering (sockets), Resolver (names), NetworkMonitor
"""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable, Sequence
from weakref import WeakValueDictionary

from sans_rtc.machine import Trace
from sans_rtc.peer.connection import PeerConnection as Machine
from sans_rtc.peer.events import PeerEvent
from sans_rtc_net.async_channel import DataChannel
from sans_rtc_net.async_media import Acting, MediaPeer
from sans_rtc_net.async_transceiver import Transceiver
from sans_rtc_net.binding import BindConfig
from sans_rtc_net.gathering import Gathering
from sans_rtc_net.inbox import ChannelInbox
from sans_rtc_net.local_names import link_addresses
from sans_rtc_net.loop import Loop, LoopDriver, Nursery, WaitSignal
from sans_rtc_net.monitor import NetworkMonitor
from sans_rtc_net.mux import Seat, SharedGathering
from sans_rtc_net.peer_reads import PeerReads
from sans_rtc_net.recording import RecordingFile
from sans_rtc_net.resolver import Resolver
from sans_rtc_net.session import CloseReport, Session
from sans_rtc_net.trace_log import trace_to_logging

_ids = itertools.count(1)


class AsyncWiring(PeerReads, MediaPeer):
    """The parts of one connection."""

    name: str

    # -- what each adapter brings --------------------------------------------------------------------------------------

    def _make_loop(self) -> Loop:
        """The running loop, for this peer; InvalidState where none runs."""
        raise NotImplementedError

    def _make_gathering(self, bind: BindConfig, own_sockets: Sequence[socket.socket]) -> Gathering:
        listens = self._config.ice.tcp.passive
        return Gathering(self._machine, self._driver, self._loop.clock, bind, own_sockets, listens=listens)

    def _live_in(self, nursery: Nursery) -> None:
        """Run in this nursery what has to run, and abort when it is cancelled."""
        raise NotImplementedError

    def abort(self) -> CloseReport:
        """End at once."""
        raise NotImplementedError

    def network_changed(self) -> None:
        """The network of this machine may have changed."""
        raise NotImplementedError

    # -- making --------------------------------------------------------------------------------------------------------

    def _begin(self, name: str, trace: Trace | None, *, log: bool) -> Trace | None:
        """Take a name and the running loop; return what is to be called with every step of the machines."""
        self.name = name or f"peer-{next(_ids)}"
        self._loop = self._make_loop()
        return trace_to_logging(self.name) if log and trace is None else trace

    def _join(
        self,
        machine: Machine,
        recording: RecordingFile | None,
        seat: Seat | None,
        bind: BindConfig,
        sockets: Sequence[socket.socket],
        *,
        monitor_network: bool | float,
    ) -> None:
        """Make the parts around a machine, and join them."""
        super().__init__(machine)
        self._recording = recording
        self._config = machine.config
        self._seat = seat
        self._driver: LoopDriver = self._loop.make_driver(
            seat or machine,
            on_events=self._on_events,
            on_failure=self._on_failure,
            on_received=self._on_received,
            streams=bind.streams,
            resolve=lambda name: self._resolver.resolve(name),
        )
        if seat is None:
            self._gathering = self._make_gathering(bind, sockets)
        else:
            self._gathering = SharedGathering(seat, machine, self._driver, self._loop.clock)
        self._resolver = Resolver(
            self._loop,
            self._on_resolved,
            lambda: link_addresses(seat.port.addresses if seat else self._driver.local_addresses, bind),
        )
        self._session = self._make_session(machine)
        self._session.is_gathering_continual = monitor_network is not False
        self._monitor = self._make_monitor(bind, monitor_network)
        self._acting = Acting(self.verb)
        self._channels: WeakValueDictionary[int, DataChannel] = WeakValueDictionary()
        self._transceivers: dict[int, Transceiver] = {}
        self._report: CloseReport | None = None

    def _make_session(self, machine: Machine) -> Session[WaitSignal]:
        return Session(
            machine,
            make_signal=self._loop.make_signal,
            clock=self._loop.clock,
            on_gather=self._gather,
            on_resolve=self._resolver.resolve,
            on_name=self._resolver.local.on_event,
            on_verb=self._driver.request_flush,
            call_soon=self._loop.call_soon,
        )

    def _make_monitor(self, bind: BindConfig, monitor_network: bool | float) -> NetworkMonitor:
        return NetworkMonitor(
            monitor_network,
            bind,
            lambda: [address.host for address in self._driver.local_addresses],
            lambda watcher: self._loop.make_driver(
                watcher, on_events=lambda events: self.network_changed(), on_failure=lambda error: None
            ),
            self._loop.clock,
        )

    # -- for its channels and transceivers -----------------------------------------------------------------------------

    def now(self) -> float:
        """The time on the machine's scale, seconds."""
        return self._loop.clock()

    def request_flush(self) -> None:
        """Let what the machine has to say go out in the next turn of the loop."""
        self._driver.request_flush()

    def verb(self) -> float:
        """The time for a verb of the machine; what it has to say then goes out in the next turn of the loop."""
        self._driver.request_flush()
        return self._loop.clock()

    # -- between the parts ---------------------------------------------------------------------------------------------

    def _channel(self, inbox: ChannelInbox[WaitSignal]) -> DataChannel:
        """The one channel of an inbox, as long as somebody has it."""
        channel = self._channels.get(inbox.handle)
        if channel is None:
            channel = self._channels[inbox.handle] = DataChannel(self, inbox)
        return channel

    def _on_events(self, events: Sequence[PeerEvent]) -> None:
        self._session.on_events(events)
        if self._session.terminated is not None:
            self._free()

    def _gather(self) -> None:
        self._gathering.start()
        self._monitor.start()

    def _on_failure(self, error: BaseException) -> None:
        self._session.fail(error)
        self._free()

    def _on_received(self) -> None:
        # What arrives acknowledges, so there may be room for senders that no channel's own event would wake.
        self._session.room.notify()

    def _on_resolved(self, name: str, hosts: Sequence[str]) -> None:
        now = self.verb()
        self._machine.name_resolved(name, hosts, now)
        if self._driver.streams is not None:
            self._driver.streams.name_resolved(name, hosts, now)

    async def _until(self, is_reached: Callable[[], bool]) -> None:
        """Wait until the condition holds or the connection has ended."""
        while not is_reached() and self._session.terminated is None:
            await self._session.changed.wait()

    async def _until_ended(self) -> None:
        await self._until(lambda: False)

    def _free(self) -> None:
        self._driver.close()
        self._gathering.close()
        self._monitor.close()
        self._resolver.close()
        if self._recording is not None:
            self._recording.close()
        self._session.changed.notify()

    def _ended(self) -> CloseReport:
        if self._report is None:
            self._report = self._session.close_report()
        return self._report
