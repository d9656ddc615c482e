"""A peer connection for threads is handed over, and goes on: in another process, as a rule."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Self

from sans_rtc.entropy import Entropy
from sans_rtc.machine import Trace
from sans_rtc_net.binding import BindConfig
from sans_rtc_net.blocking_channel import BlockingDataChannel, ThreadSignal
from sans_rtc_net.blocking_wiring import BlockingWiring
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
from sans_rtc_net.recording import Recording, restore_peer


class BlockingHandOver(BlockingWiring):
    """Part of `BlockingPeerConnection`: how it moves."""

    _inherited: Sequence[ChannelInbox[ThreadSignal]] = ()

    def hand_over(self, key: bytes) -> HandedOver:
        """Give the live connection away: `restore` makes it anew, with the same key, in another process as a rule.

        Nothing is sent here any more, and everything is freed but the UDP sockets, the thread too. What the application
        has not taken yet is taken there. Whoever waits here gets ConnectionLost; a message that `send` waits with has
        not been sent then, and is not carried.

        key     32 bytes, secret
        Errors  InvalidState before the first description and after the end; InvalidArgument for a key of another
                length, and where the configuration holds functions of yours. Nothing has changed then
        """
        with self.lock:
            snapshot = give_away(self._session, self._lookups.standing, key, monotonic())
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
        trace: Trace | None = None,
        key_log: Callable[[str], None] | None = None,
        record: Recording | None = None,
        entropy: Entropy = system_entropy,
    ) -> Self:
        """Go on with a connection that was handed over, once for each snapshot; its thread is started.

        snapshot  of `HandedOver`, or of the machine's own `snapshot`, by this version of the library
        key       with which it was sealed
        sockets   UDP sockets bound to the addresses of those that were handed over; they belong to the connection from
                  now on. One that is missing is given up by the connection, one more is a new candidate
        claim     called with the snapshot's id once it has proven authentic; notes that it is used, and returns False
                  where it was before
        now       the moment of the hand over by `time.monotonic`, where that is not the clock it was done by: on
                  another host, and where it comes from a loop of trio
        network   which sockets to open besides, when the network changes; None: none
        Errors    InvalidArgument for what is no whole snapshot of this key and version, and for a socket that is of no
                  use; InvalidState where `claim` says no; OSError where the recording cannot be written. The sockets
                  are still the caller's then

        All other arguments are those of the constructor. Streams over TCP and TLS do not come along: the machine is
        told that they have ended.
        """
        bind = network or BindConfig()
        check_sockets(sockets, bind.udp)
        machine, recording = restore_peer(
            record, snapshot, key, entropy=entropy, trace=trace, key_log=key_log, claim=claim, now=now
        )
        self = cls.__new__(cls)
        self._join(machine, recording, bind, sockets, monitor_network=monitor_network)
        with self.lock:
            self._go_on(binds_others=network is not None)
        self._thread.start()
        return self

    def channels(self) -> list[BlockingDataChannel]:
        """The channels that are there, in the order they were made: those created here, and those that
        `accept_channel` has given out; of a connection that was handed over, at the old end as well.

        One that is closed is told no more, but where it came with messages that are still to be read.
        """
        with self.lock:
            return [self._channel(inbox) for inbox in channels_given(self._session, self._inherited)]

    def _go_on(self, *, binds_others: bool) -> None:
        """What a restored connection does first: all that was untaken is told again."""
        take_up(self._session)

        def begin_gathering() -> None:
            self._gathering.go_on(binds=binds_others)
            self._monitor.start()

        self._inherited = go_on(self._session, begin_gathering, self._driver.flush)
        if self._session.terminated is None:
            tell_lost_streams(self._machine, self._driver.streams, monotonic())
            self._driver.flush()
