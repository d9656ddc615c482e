"""A data channel for threads: every call waits, the lock is the connection's."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from sans_rtc_net.channel_reads import ChannelReads
from sans_rtc_net.clock import monotonic
from sans_rtc_net.errors import ChannelClosed, ConnectionLost
from sans_rtc_net.inbox import ChannelInbox


class ThreadSignal:
    """Wakes threads that wait; notify and wait are called with the connection's lock held."""

    def __init__(self, lock: threading.RLock) -> None:
        self._condition = threading.Condition(lock)

    def notify(self) -> None:
        """Wake all that wait now."""
        self._condition.notify_all()

    def wait_until(self, is_reached: Callable[[], bool], deadline: float) -> None:
        """Wait until the condition holds, looking at every notify; TimeoutError at the deadline."""
        while not is_reached():
            left_s = deadline - monotonic()
            if left_s <= 0:
                raise TimeoutError("the time is over")
            self._condition.wait(min(left_s, threading.TIMEOUT_MAX))

    def wait_once(self, deadline: float) -> None:
        """Wait for the next notify; TimeoutError at the deadline."""
        left_s = deadline - monotonic()
        if left_s <= 0:
            raise TimeoutError("the time is over")
        self._condition.wait(min(left_s, threading.TIMEOUT_MAX))


class Owner(Protocol):
    """What a channel needs of its connection."""

    @property
    def lock(self) -> threading.RLock:
        """Held around everything."""

    @property
    def room(self) -> ThreadSignal:
        """Notified when the association has taken or freed something."""

    def verb(self) -> AbstractContextManager[None]:
        """The lock, and a flush at the end."""

    def loss(self) -> ConnectionLost | None:
        """Why the connection is gone; None where it is not."""


def deadline_of(timeout_s: float | None) -> float:
    """When a wait that begins now is over."""
    return math.inf if timeout_s is None else monotonic() + timeout_s


class BlockingDataChannel(ChannelReads[ThreadSignal]):
    """One data channel; iterate over it for messages. Made by the connection."""

    def __init__(self, owner: Owner, inbox: ChannelInbox[ThreadSignal]) -> None:
        super().__init__(inbox, owner.lock)
        self._owner = owner
        self._sending = threading.Lock()

    def receive(self, timeout_s: float | None = None) -> str | bytes:
        """Return the next message. Errors: ChannelClosed, ConnectionLost, TimeoutError."""
        with self._owner.verb():
            self._wait(self._inbox.arrived, lambda: bool(self._inbox.messages), deadline_of(timeout_s))
            return self._inbox.take()

    def __iter__(self) -> Iterator[str | bytes]:
        """The messages; ends when the channel is closed."""
        while True:
            try:
                yield self.receive()
            except ChannelClosed:
                return

    def opened(self, timeout_s: float | None = None) -> None:
        """Wait until messages can be sent. Errors as those of `receive`."""
        with self._owner.lock:
            self._wait(self._inbox.changed, lambda: self._inbox.is_open, deadline_of(timeout_s))

    def send(self, data: str | bytes, timeout_s: float | None = None) -> None:
        """Send one message; waits until it is open and no more than `high_water_bytes` is buffered."""
        deadline = deadline_of(timeout_s)
        with self._sending:
            while True:
                with self._owner.verb():
                    if self._inbox.try_send(data, self.high_water_bytes):
                        return
                    self._wait_for_room(deadline)

    def drain(self, timeout_s: float | None = None) -> None:
        """Wait until everything accepted has left for the network once."""
        deadline = deadline_of(timeout_s)
        with self._owner.lock:
            while self._inbox.buffered_amount > 0:
                self._inbox.ask_for_buffer_low(0)
                self._wait(self._inbox.changed, lambda: self._inbox.buffered_amount == 0, deadline)
            loss = self._owner.loss()
            if loss is not None:
                raise loss

    def close(self, timeout_s: float | None = None) -> None:
        """Close it and wait until the peer has confirmed; what was accepted is sent first."""
        with self._owner.verb():
            self._inbox.close()
        with self._owner.lock:
            self._inbox.changed.wait_until(
                lambda: self._inbox.is_closed or self._owner.loss() is not None, deadline_of(timeout_s)
            )

    def _wait_for_room(self, deadline: float) -> None:
        inbox = self._inbox
        if not inbox.is_open:
            self._wait(inbox.changed, lambda: inbox.is_open, deadline)
        elif inbox.buffered_amount > self.low_water_bytes:
            inbox.ask_for_buffer_low(self.low_water_bytes)
            self._wait(inbox.changed, lambda: inbox.buffered_amount <= self.low_water_bytes, deadline)
        else:
            self._owner.room.wait_once(deadline)

    def _wait(self, signal: ThreadSignal, is_reached: Callable[[], bool], deadline: float) -> None:
        """Wait with the lock held; the end of the channel or the connection is raised."""

        def is_decided() -> bool:
            if is_reached():
                return True
            self._inbox.raise_if_over()
            return False

        signal.wait_until(is_decided, deadline)
