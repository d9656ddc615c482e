"""One data channel: what it is, its state, and the transitions that RFC 8831 and W3C WebRTC allow."""

from __future__ import annotations

import attrs

from sans_rtc.datachannel.config import ChannelOptions
from sans_rtc.datachannel.events import ChannelState
from sans_rtc.sctp.config import Reliability

TRANSITIONS: dict[ChannelState, frozenset[ChannelState]] = {
    ChannelState.CONNECTING: frozenset({ChannelState.OPEN, ChannelState.CLOSING, ChannelState.CLOSED}),
    ChannelState.OPEN: frozenset({ChannelState.CLOSING, ChannelState.CLOSED}),
    ChannelState.CLOSING: frozenset({ChannelState.CLOSED}),
    ChannelState.CLOSED: frozenset(),
}
"""Which state may follow which (W3C WebRTC section 6.2)."""


@attrs.define(slots=True)
class Channel:
    """The state of one channel.

    handle              the number by which the application knows it, never used again
    stream_id           the SCTP stream of both directions; None until the DTLS role has decided the parity
    is_acknowledged     the peer is known to know the channel: RFC 8832 section 6 lets unordered messages go only then
    is_outgoing_reset   our direction is closed, and the peer has confirmed it
    is_incoming_reset   the peer has closed its direction
    unconsumed_bytes    delivered to the application, not yet given back as credit
    """

    handle: int
    label: str
    options: ChannelOptions
    is_incoming: bool
    stream_id: int | None = None
    state: ChannelState = ChannelState.CONNECTING
    is_acknowledged: bool = False
    is_outgoing_reset: bool = False
    is_incoming_reset: bool = False
    unconsumed_bytes: int = 0
    low_threshold_bytes: int = 0
    messages_sent: int = 0
    messages_received: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    reliability: Reliability = attrs.field(init=False)
    reliability_until_acknowledged: Reliability = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.reliability = self.options.reliability
        self.reliability_until_acknowledged = attrs.evolve(self.reliability, ordered=True)

    def enter(self, state: ChannelState) -> None:
        """Change the state; the only assignment to it."""
        assert state in TRANSITIONS[self.state], f"a channel does not go from {self.state} to {state}"
        self.state = state

    @property
    def current_reliability(self) -> Reliability:
        """What the next message is sent with."""
        return self.reliability if self.is_acknowledged else self.reliability_until_acknowledged


@attrs.frozen(slots=True)
class ChannelInfo:
    """A channel as the application may look at it; numbers in messages and bytes of payload."""

    channel: int
    label: str
    protocol: str
    id: int | None
    state: ChannelState
    ordered: bool
    max_retransmits: int | None
    lifetime_s: float | None
    is_negotiated: bool
    is_incoming: bool
    priority: int
    buffered_amount: int
    messages_sent: int
    messages_received: int
    bytes_sent: int
    bytes_received: int


def describe(channel: Channel, buffered_amount: int) -> ChannelInfo:
    """Make the picture of a channel that the application gets."""
    options = channel.options
    return ChannelInfo(
        channel=channel.handle,
        label=channel.label,
        protocol=options.protocol,
        id=channel.stream_id,
        state=channel.state,
        ordered=options.ordered,
        max_retransmits=options.max_retransmits,
        lifetime_s=options.lifetime_s,
        is_negotiated=options.negotiated_id is not None,
        is_incoming=channel.is_incoming,
        priority=options.priority,
        buffered_amount=buffered_amount,
        messages_sent=channel.messages_sent,
        messages_received=channel.messages_received,
        bytes_sent=channel.bytes_sent,
        bytes_received=channel.bytes_received,
    )
