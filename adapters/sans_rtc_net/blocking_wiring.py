"""What a peer connection for threads is made of, and how the parts are joined; its verbs stand in `blocking`."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from weakref import WeakValueDictionary

from sans_rtc.peer.connection import PeerConnection as Machine
from sans_rtc.peer.events import PeerEvent
from sans_rtc_net.binding import BindConfig
from sans_rtc_net.blocking_channel import BlockingDataChannel, ThreadSignal, deadline_of
from sans_rtc_net.blocking_media import BlockingMedia, Callbacks, LockedActing
from sans_rtc_net.blocking_transceiver import BlockingTransceiver
from sans_rtc_net.clock import monotonic
from sans_rtc_net.driver import Driver
from sans_rtc_net.errors import ConnectionLost
from sans_rtc_net.gathering import Gathering
from sans_rtc_net.inbox import ChannelInbox
from sans_rtc_net.local_names import link_addresses
from sans_rtc_net.lookups import ThreadedLookups
from sans_rtc_net.monitor import NetworkMonitor, WatchingThread
from sans_rtc_net.peer_reads import PeerReads
from sans_rtc_net.recording import RecordingFile
from sans_rtc_net.session import CloseReport, Session


class BlockingWiring(PeerReads, BlockingMedia):
    """The parts of one connection, and its thread."""

    def _join(
        self,
        machine: Machine,
        recording: RecordingFile | None,
        bind: BindConfig,
        sockets: Sequence[socket.socket],
        *,
        monitor_network: bool | float,
    ) -> None:
        """Make the parts around a machine, and join them; the thread is to be started."""
        self.lock = threading.RLock()
        super().__init__(machine, self.lock)
        self._recording = recording
        self._config = machine.config
        self._lookups = ThreadedLookups(self._on_resolved, lambda: link_addresses(self._driver.local_addresses, bind))
        self._driver: Driver[PeerEvent] = Driver(
            machine, on_events=self._on_events, streams=bind.streams, resolve=self._lookups.resolve
        )
        try:
            self._gathering = Gathering(
                machine, self._driver, monotonic, bind, sockets, listens=self._config.ice.tcp.passive
            )
        except BaseException:
            self._driver.close()
            raise
        self._callbacks = Callbacks(self._driver.wake)
        self._session = self._make_session(machine)
        self._session.is_gathering_continual = monitor_network is not False
        self._acting = LockedActing(self.lock, self._driver.flush)
        self._channels: WeakValueDictionary[int, BlockingDataChannel] = WeakValueDictionary()
        self._transceivers: dict[int, BlockingTransceiver] = {}
        self._monitor = NetworkMonitor(
            monitor_network,
            bind,
            self._local_hosts,
            lambda watcher: WatchingThread(watcher, self.network_changed),
            monotonic,
        )
        self._report: CloseReport | None = None
        self._thread = threading.Thread(target=self._run, name="sans_rtc", daemon=True)

    def _make_session(self, machine: Machine) -> Session[ThreadSignal]:
        return Session(
            machine,
            make_signal=lambda: ThreadSignal(self.lock),
            clock=monotonic,
            on_gather=self._gather,
            on_resolve=self._lookups.resolve,
            on_name=self._lookups.local.on_event,
            call_soon=self._callbacks.call_soon,
        )

    def network_changed(self) -> None:
        """The network of this machine may have changed."""
        raise NotImplementedError

    # -- for its channels ---------------------------------------------------------------------------------------------

    @contextmanager
    def verb(self) -> Iterator[None]:
        """The lock, and a flush at the end: what the call has brought about goes out at once."""
        with self.lock:
            try:
                yield
            finally:
                self._driver.flush()

    @property
    def room(self) -> ThreadSignal:
        """Notified after every step of the thread."""
        return self._session.room

    def loss(self) -> ConnectionLost | None:
        """Why the connection is gone; None where it is not."""
        return self._session.loss()

    # -- between the parts --------------------------------------------------------------------------------------------

    def _channel(self, inbox: ChannelInbox[ThreadSignal]) -> BlockingDataChannel:
        """The one channel of an inbox, as long as somebody has it."""
        channel = self._channels.get(inbox.handle)
        if channel is None:
            channel = self._channels[inbox.handle] = BlockingDataChannel(self, inbox)
        return channel

    def _run(self) -> None:
        """The thread: sleeps without the lock, works with it, frees everything when the machine has ended."""
        try:
            while True:
                with self.lock:
                    if self._session.terminated is not None:
                        return
                    sleep_s = self._driver.prepare()
                ready = self._driver.wait(sleep_s)
                with self.lock:
                    self._driver.process(ready)
                    self._session.room.notify()
                self._callbacks.run()
        except BaseException as error:
            with self.lock:
                self._session.fail(error)
            raise
        finally:
            with self.lock:
                self._driver.close()
                self._gathering.close()
                self._monitor.close()
                if self._recording is not None:
                    self._recording.close()
                await_names = self._lookups.close()
            await_names()

    def _ended(self) -> CloseReport:
        """Wait until everything is freed, and tell how it ended."""
        self._driver.wake()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        if self._report is None:
            self._report = self._session.close_report()
        return self._report

    def _on_events(self, events: Sequence[PeerEvent]) -> None:
        self._session.on_events(events)

    def _gather(self) -> None:
        self._gathering.start()
        self._monitor.start()

    def _local_hosts(self) -> list[str]:
        with self.lock:
            return [address.host for address in self._driver.local_addresses]

    def _on_resolved(self, name: str, hosts: Sequence[str]) -> None:
        with self.verb():
            now = monotonic()
            self._machine.name_resolved(name, hosts, now)
            if self._driver.streams is not None:
                self._driver.streams.name_resolved(name, hosts, now)

    def _wait(self, is_reached: Callable[[], bool], timeout_s: float | None) -> None:
        """Wait until the condition holds or the connection has ended."""
        with self.lock:
            self._session.changed.wait_until(
                lambda: is_reached() or self._session.terminated is not None, deadline_of(timeout_s)
            )
