"""A peer connection on an event loop is handed over, and goes on on another one: in another process, as a rule."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Self

from sans_rtc.entropy import Entropy
from sans_rtc.errors import InvalidState
from sans_rtc.machine import Trace
from sans_rtc_net.async_channel import DataChannel
from sans_rtc_net.async_wiring import AsyncWiring
from sans_rtc_net.binding import BindConfig
from sans_rtc_net.clock import monotonic
from sans_rtc_net.entropy import system_entropy
from sans_rtc_net.hand_over import (
    HandedOver,
    channels_given,
    check_sockets,
    give_away,
    go_on,
    take_up,
    tell_lost_streams,
)
from sans_rtc_net.inbox import ChannelInbox
from sans_rtc_net.loop import Nursery, WaitSignal
from sans_rtc_net.recording import Recording, restore_peer

_NO_READERS = "sockets cannot be handed over where the loop has them: on Windows, take asyncio.SelectorEventLoop"


class AsyncHandOver(AsyncWiring):
    """Part of `AsyncPeerConnection`: how it moves."""

    _is_heir = False
    _binds_others = False
    _inherited: Sequence[ChannelInbox[WaitSignal]] = ()

    def hand_over(self, key: bytes) -> HandedOver:
        """Give the live connection away: `restore` makes it anew, with the same key, in another process as a rule.

        Nothing is sent here any more, and everything is freed but the UDP sockets. What the application has not taken
        yet (messages, channels, transceivers, frames, candidates) is taken there. Whoever waits here gets
        ConnectionLost; a message that `send` waits with has not been sent then, and is not carried.

        key      32 bytes, secret
        Effects  state "closed"; `close_report` says "handed_over"
        Errors   InvalidState before the first description, after the end, on a mux, and where the loop cannot let go of
                 its sockets; InvalidArgument for a key of another length, and where the configuration holds functions
                 of yours. Nothing has changed then
        """
        if self._seat is not None:
            raise InvalidState("a peer on a mux cannot be handed over: its sockets are those of others, too")
        if not self._loop.can_read:
            raise InvalidState(_NO_READERS)
        snapshot = give_away(self._session, self._resolver.standing, key, self.now())
        sockets = [*self._driver.detach_sockets(), *self._gathering.detach_sockets()]
        self._on_events(self._machine.take_events())
        self._ended()
        return HandedOver(snapshot, tuple(sockets))

    @classmethod
    def restore(
        cls,
        snapshot: bytes,
        key: bytes,
        *,
        sockets: Sequence[socket.socket] = (),
        claim: Callable[[bytes], bool] | None = None,
        now: float | None = None,
        network: BindConfig | None = None,
        monitor_network: bool | float = False,
        nursery: Nursery | None = None,
        trace: Trace | None = None,
        key_log: Callable[[str], None] | None = None,
        log: bool = False,
        record: Recording | None = None,
        name: str = "",
        entropy: Entropy = system_entropy,
    ) -> Self:
        """Go on with a connection that was handed over; in the running loop, and once for each snapshot.

        snapshot  of `HandedOver`, or of the machine's own `snapshot`, by this version of the library
        key       with which it was sealed
        sockets   UDP sockets bound to the addresses of those that were handed over; they belong to the connection from
                  now on. One that is missing is given up by the connection, one more is a new candidate
        claim     called with the snapshot's id once it has proven authentic; notes that it is used, and returns False
                  where it was before
        now       the moment of the hand over by the clock of this loop, where that is not the clock it was done by: on
                  another host, and between loops of trio and others. None: it is the same clock; under trio, whose
                  clock is another in each run: now
        network   which sockets to open besides, when the network changes; None: none
        Errors    InvalidArgument for what is no whole snapshot of this key and version, and for a socket that is of no
                  use; InvalidState where `claim` says no, and outside a running loop; OSError where the recording
                  cannot be written. The sockets are still the caller's then

        All other arguments are those of the constructor. Streams over TCP and TLS do not come along: the machine is
        told that they have ended. Under trio the connection begins to live in `async with`, or at once in `nursery`.
        """
        self = cls.__new__(cls)
        trace = self._begin(name, trace, log=log)
        if not self._loop.can_read:
            raise InvalidState(_NO_READERS)
        bind = network or BindConfig()
        check_sockets(sockets, bind.udp)
        if now is None and self._loop.clock is not monotonic:
            now = self._loop.clock()
        machine, recording = restore_peer(
            record, snapshot, key, entropy=entropy, trace=trace, key_log=key_log, claim=claim, now=now
        )
        self._join(machine, recording, None, bind, sockets, monitor_network=monitor_network)
        self._is_heir, self._binds_others = True, network is not None
        take_up(self._session)
        if nursery is not None:
            self._live_in(nursery)
        if self._loop.is_started:
            self._go_on()
        return self

    def channels(self) -> list[DataChannel]:
        """The channels that are there, in the order they were made: those created here, and those that
        `incoming_channels` has given out; of a connection that was handed over, at the old end as well.

        One that is closed is told no more, but where it came with messages that are still to be read.
        Errors  InvalidState under trio, before a restored connection lives
        """
        if self._is_heir:
            raise InvalidState("it does not live yet: enter it by `async with`, or give it a nursery")
        return [self._channel(inbox) for inbox in channels_given(self._session, self._inherited)]

    def _go_on(self) -> None:
        """What a restored connection does first, once it can: all that was untaken is told again."""
        if not self._is_heir:
            return
        self._is_heir = False
        self._inherited = go_on(self._session, self._begin_gathering, self._driver.flush)
        if self._session.terminated is None:
            tell_lost_streams(self._machine, self._driver.streams, self.verb())

    def _begin_gathering(self) -> None:
        self._gathering.go_on(binds=self._binds_others)
        self._monitor.start()
