"""One data channel as every adapter sees it: what has arrived, what may be sent, and how it ended. Waits for nothing.

machine --ChannelMessage--> messages --take--> application, and the credit goes back to the machine
application --try_send--> machine, as long as no more than the high-water mark is buffered
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from sans_rtc.datachannel.channel import ChannelInfo
from sans_rtc.datachannel.events import ChannelMessage, ChannelState
from sans_rtc.errors import InvalidState, LimitExceeded, LocalError
from sans_rtc.peer.connection import PeerConnection
from sans_rtc_net.errors import ChannelClosed, ConnectionLost

HIGH_WATER_BYTES = 1 << 20
"""An adapter's `send` waits while more than this is buffered."""
LOW_WATER_BYTES = 256 << 10
"""... until no more than this is."""


class Signal(Protocol):
    """How an adapter wakes whoever waits; waiting itself is the adapter's own."""

    def notify(self) -> None:
        """Wake all that wait now."""


SignalT = TypeVar("SignalT", bound=Signal)


class ChannelInbox(Generic[SignalT]):
    """The application's side of one channel.

    arrived  notified at each message and at the end
    changed  notified when it opens, when its send buffer is low, and at the end
    """

    __slots__ = (
        "__weakref__",
        "_clock",
        "_id",
        "_info",
        "_loss",
        "_low_threshold",
        "_machine",
        "arrived",
        "changed",
        "handle",
        "is_closed",
        "is_incoming",
        "is_open",
        "label",
        "messages",
        "protocol",
    )

    def __init__(
        self,
        machine: PeerConnection,
        handle: int,
        label: str,
        protocol: str,
        *,
        is_incoming: bool,
        make_signal: Callable[[], SignalT],
        clock: Callable[[], float],
        loss: Callable[[], ConnectionLost | None],
    ) -> None:
        """Made by the session. `loss` tells why the connection under the channel is gone, None where it is not."""
        self.handle = handle
        self.label = label
        self.protocol = protocol
        self.is_incoming = is_incoming
        self.arrived = make_signal()
        self.changed = make_signal()
        self.messages: deque[ChannelMessage] = deque()
        self.is_open = False
        self.is_closed = False
        self._machine = machine
        self._clock = clock
        self._loss = loss
        self._id: int | None = None
        self._info: ChannelInfo | None = self._ask_for_info()
        self._low_threshold: int | None = 0

    def take_up(self, state: ChannelState) -> None:
        """Go on with the channel of a restored machine, of which it is not known what it was asked for."""
        self.is_open = state is ChannelState.OPEN
        self._low_threshold = None

    def take(self) -> str | bytes:
        """Take the oldest unread message, which gives its credit back. There must be one."""
        message = self.messages.popleft()
        self._machine.consume(self.handle, message.byte_count, self._clock())
        return message.data

    def discard_messages(self) -> None:
        """Drop what is unread and give its credit back."""
        while self.messages:
            self.take()

    def try_send(self, data: str | bytes, high_water_bytes: int) -> bool:
        """Send one message; False where it must wait: not open yet, or too much is buffered.

        Errors  InvalidArgument where the peer takes no message of this size; ChannelClosed, ConnectionLost
        """
        if not self.is_open:
            self.raise_if_over()
            return False
        if self.buffered_amount > high_water_bytes:
            return False
        try:
            self._machine.send(self.handle, data, self._clock())
        except LimitExceeded:
            return False
        except InvalidState as error:  # one side is closing it or the connection; the event is still to come
            self.raise_if_over()
            raise ChannelClosed(str(error)) from None
        return True

    def ask_for_buffer_low(self, threshold_bytes: int) -> None:
        """Let `changed` be notified when no more than this is buffered. More must be buffered now."""
        if self._low_threshold != threshold_bytes:
            self._low_threshold = threshold_bytes
            self._machine.set_buffered_low_threshold(self.handle, threshold_bytes, self._clock())

    def close(self) -> None:
        """Begin to close: what was accepted is sent first, what is unread is dropped; idempotent."""
        self.discard_messages()
        self.is_open = False
        if not self.is_closed:
            self._machine.close_channel(self.handle, self._clock())

    def end(self) -> None:
        """The machine says that it is closed."""
        self._id = self.id
        self.is_open = False
        self.is_closed = True
        self.arrived.notify()
        self.changed.notify()

    def raise_if_over(self) -> None:
        """Raise ConnectionLost where the connection is gone, ChannelClosed where the channel is or soon will be."""
        loss = self._loss()
        if loss is not None:
            raise loss
        if self.state in (ChannelState.CLOSING, ChannelState.CLOSED):
            raise ChannelClosed(f"channel {self.label!r} is closed")

    @property
    def id(self) -> int | None:
        """The SCTP stream, 0 to 65534; None before it is known."""
        if self._id is None and not self.is_closed:
            info = self._ask_for_info()
            self._id = info.id if info is not None else None
        return self._id

    @property
    def ordered(self) -> bool:
        """True where messages arrive in the order they were sent."""
        return self._info is None or self._info.ordered

    @property
    def max_retransmits(self) -> int | None:
        """After how many repetitions a lost message is given up; None where that is not limited."""
        return self._info.max_retransmits if self._info is not None else None

    @property
    def lifetime_s(self) -> float | None:
        """After how many seconds a message is given up; None where that is not limited."""
        return self._info.lifetime_s if self._info is not None else None

    @property
    def state(self) -> ChannelState:
        """The state in W3C's words."""
        if self.is_closed:
            return ChannelState.CLOSED
        try:
            return self._machine.channel_state(self.handle)
        except LocalError:  # done with, and the event is still on its way
            return ChannelState.CLOSED

    @property
    def buffered_amount(self) -> int:
        """Bytes accepted for sending that have not left yet; 0 once closed."""
        if self.is_closed:
            return 0
        try:
            return self._machine.buffered_amount(self.handle)
        except LocalError:  # done with, and the event is still on its way
            return 0

    def _ask_for_info(self) -> ChannelInfo | None:
        try:
            return self._machine.channel(self.handle)
        except LocalError:  # done with, and the event is still on its way
            return None
