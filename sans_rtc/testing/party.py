"""One end of a `Call`: a peer connection on a host, with what an adapter does for it and an application that reads."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from sans_rtc import dtls
from sans_rtc.datachannel import ChannelBufferLow, ChannelClosed, ChannelMessage, ChannelOpened
from sans_rtc.entropy import Entropy
from sans_rtc.errors import InvalidState, LimitExceeded
from sans_rtc.machine import Address
from sans_rtc.media import FrameReceived
from sans_rtc.peer import (
    ConnectionState,
    ConnectionStateChanged,
    GatheringNeeded,
    LocalCandidate,
    NegotiationNeeded,
    PeerConfig,
    PeerConnection,
    ResolveName,
    TrackAdded,
)
from sans_rtc.testing.contract import ContractMonitor
from sans_rtc.testing.host import Host, Program
from sans_rtc.testing.promises import Payload

if TYPE_CHECKING:
    from sans_rtc.testing.call import Call


class Party:
    """Made by `Call`; `peer` is the machine of now, which is another one after a crash.

    channels   the handles of the channels that are open here, by label
    messages   (label, payload) of each message that came, in order
    frames     (name of the track, data) of each frame that came
    is_reading False: messages lie unread and the peer's window closes; `read` takes them
    restarts   whether a connection that has failed gets an ICE restart
    backlog    (channel's label, payload) that waits for room
    """

    def __init__(
        self,
        call: Call,
        end: int,
        host: Host,
        config: PeerConfig | None,
        certificate: dtls.Certificate | None,
        entropy: Entropy,
    ) -> None:
        self.call = call
        self.end = end
        self.host = host
        self.channels: dict[str, int] = {}
        self.messages: list[tuple[str, Payload]] = []
        self.frames: list[tuple[str, bytes]] = []
        self.senders: dict[str, int] = {}
        self.backlog: list[tuple[str, Payload]] = []
        self.is_reading = True
        self.restarts = True
        self._is_ending = False
        self._entropy = entropy
        self._labels: dict[int, str] = {}
        self._tracks: dict[int, str] = {}
        self._unread: list[ChannelMessage] = []
        self._sockets: dict[str, Address] = {}
        peer = PeerConnection(config, certificate=certificate, entropy=entropy)
        self.program: Program = host.run(ContractMonitor(peer), self._on_event)

    # -- reads -------------------------------------------------------------------------------------------------------

    @property
    def peer(self) -> PeerConnection:
        """The peer connection: its verbs are used with `now`, and `touch` after them."""
        machine = self.program.machine
        assert isinstance(machine, ContractMonitor) and isinstance(machine.machine, PeerConnection)
        return machine.machine

    @property
    def now(self) -> float:
        """The time as this end's host has it."""
        return self.program.now

    @property
    def is_down(self) -> bool:
        """True while it has crashed and does not go on yet."""
        return self.program.is_down

    @property
    def is_over(self) -> bool:
        """True where no verb may be used: now, or any more."""
        return self.program.is_down or self._is_ending or self.peer.is_terminated

    def touch(self) -> None:
        """A verb was used: what the machine has to say is taken before time goes on."""
        self.call.network.touch(self.program)

    # -- its end -----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End gracefully."""
        self._is_ending = True
        self.peer.close(self.now)
        self.touch()

    def abort(self) -> None:
        """End at once."""
        self._is_ending = True
        self.peer.abort(self.now)
        self.touch()

    # -- what may happen to it ---------------------------------------------------------------------------------------

    def crash(self, pause_s: float) -> None:
        """Die, and go on from a snapshot after a pause; see `Program.crash`."""
        self.program.crash(pause_s, entropy=self._entropy)

    def change_network(self) -> None:
        """Tell the peer that the host's addresses are others now: sockets are bound anew where there are new ones."""
        addresses = dict(_addresses_of(self.host))
        for name in [name for name in self._sockets if name not in addresses]:
            address = self._sockets.pop(name)
            self.program.close_socket(address)
            self.peer.remove_local_address(address, self.now)
        self.peer.network_changed(self.now)
        self.touch()

    def stop_reading(self) -> None:
        """The application leaves its messages lying."""
        self.is_reading = False

    def read(self) -> None:
        """The application takes its messages again."""
        self.is_reading = True
        unread, self._unread = self._unread, []
        for message in unread:
            self.peer.consume(message.channel, message.byte_count, self.now)
        self.touch()

    # -- events ------------------------------------------------------------------------------------------------------

    def _on_event(self, event: Any) -> None:
        match event:
            case GatheringNeeded():
                self._bind()
            case ResolveName(name=name):
                self.peer.name_resolved(name, (), self.now)
            case LocalCandidate():
                self.call.signal(self.end, partial(self.call.on_candidate, 1 - self.end, event.candidate, event.mid))
            case NegotiationNeeded() if not self.is_over:
                self.call.offer(self.end)
            case ConnectionStateChanged(state=ConnectionState.FAILED) if self.restarts and not self.is_over:
                self.peer.restart_ice(self.now)
            case ChannelOpened():
                self._labels[event.channel] = event.label
                self.channels[event.label] = event.channel
            case ChannelClosed():
                self._on_channel_closed(event.channel)
            case ChannelMessage():
                self._on_message(event)
            case TrackAdded(streams=(name, *_)):
                self._tracks[event.transceiver] = name
            case FrameReceived():
                name = self._tracks[event.handle]
                self.frames.append((name, event.frame.data))
                self.call.on_frame(name, event.frame.data)
            case ChannelBufferLow():
                self.go_on()
            case _:
                pass

    def go_on(self) -> None:
        """Send what waited for room, each channel's in order."""
        waiting, self.backlog = self.backlog, []
        full: set[str] = set()
        for label, payload in waiting:
            if label not in self.channels:
                continue  # it has been closed
            if label in full or not self._try_to_send(label, payload):
                full.add(label)
                self.backlog.append((label, payload))

    def _try_to_send(self, label: str, payload: Payload) -> bool:
        try:
            self.call.channels[label].send(self.end, payload)
        except LimitExceeded:
            return False
        except InvalidState:
            pass  # it is being closed
        return True

    def _on_message(self, event: ChannelMessage) -> None:
        label = self._labels[event.channel]
        self.messages.append((label, event.data))
        self.call.on_message(self.end, label, event.data)
        if self.is_reading:
            self.peer.consume(event.channel, event.byte_count, self.now)
        else:
            self._unread.append(event)

    def _on_channel_closed(self, handle: int) -> None:
        label = self._labels.get(handle)
        if label is not None:
            self.channels.pop(label, None)
            self.call.channels[label].on_closed(self.end, is_call_over=self.peer.is_terminated)

    def _bind(self) -> None:
        for name, interface in _addresses_of(self.host):
            if name not in self._sockets:
                self._sockets[name] = self.program.open_socket(name)
                self.peer.add_local_address(self._sockets[name], interface, self.now)
        self.peer.end_of_local_addresses(self.now)


def _addresses_of(host: Host) -> list[tuple[str, str]]:
    """The addresses of a host and the names of their interfaces."""
    return [(address, interface.name) for interface in host.interfaces for address in interface.hosts]
