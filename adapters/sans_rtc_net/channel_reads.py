"""What every adapter's data channel tells of itself; each of them adds how it waits."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Generic

from sans_rtc.datachannel.events import ChannelState
from sans_rtc_net.inbox import HIGH_WATER_BYTES, LOW_WATER_BYTES, ChannelInbox, SignalT

_NO_LOCK: AbstractContextManager[object] = nullcontext()


class ChannelReads(Generic[SignalT]):
    """The plain reads of one data channel, over its inbox.

    high_water_bytes  `send` waits while more than this is buffered
    low_water_bytes   ... until no more than this is
    """

    def __init__(self, inbox: ChannelInbox[SignalT], lock: AbstractContextManager[object] = _NO_LOCK) -> None:
        """Read from `inbox`, with `lock` held where it is not one thread's alone."""
        self.high_water_bytes = HIGH_WATER_BYTES
        self.low_water_bytes = LOW_WATER_BYTES
        self._inbox = inbox
        self._reading = lock

    @property
    def label(self) -> str:
        """The name the creator gave it."""
        return self._inbox.label

    @property
    def protocol(self) -> str:
        """The name of its subprotocol, empty where it has none."""
        return self._inbox.protocol

    @property
    def ordered(self) -> bool:
        """True where messages arrive in the order they were sent."""
        return self._inbox.ordered

    @property
    def max_retransmits(self) -> int | None:
        """After how many repetitions a lost message is given up; None where that is not limited."""
        return self._inbox.max_retransmits

    @property
    def lifetime_s(self) -> float | None:
        """After how many seconds a message is given up; None where that is not limited."""
        return self._inbox.lifetime_s

    @property
    def id(self) -> int | None:
        """The SCTP stream, 0 to 65534; None before it is known."""
        with self._reading:
            return self._inbox.id

    @property
    def state(self) -> ChannelState:
        """connecting, open, closing or closed."""
        with self._reading:
            return self._inbox.state

    @property
    def buffered_amount(self) -> int:
        """Bytes accepted for sending that have not left yet; 0 once closed."""
        with self._reading:
            return self._inbox.buffered_amount

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.label!r} id={self.id} {self.state}>"
