"""Who has sent what on which channel, and what has come of it: the oracles of the simulation.

Reliable messages arrive exactly once, and in order where the channel is ordered; partially reliable ones at most once,
in order likewise, and not after their time; nothing arrives that was not sent. A channel opens before its first message
and closes last.
"""

from collections import Counter, deque

import attrs

from sans_rtc.datachannel import ChannelOptions, ChannelState
from sans_rtc.errors import InvalidState, LimitExceeded

# Single packets, for which a lifetime is a promise about the wire: what was not sent in time is not sent at all.
SINGLE_PACKET_BYTES = 1000


def payload_of(label, end, number, size, is_text):
    """The contents of one message: its number and a pattern; what is shorter than its number is cut."""
    text = f"{number}:{end}:{label}:"
    text = (text * (size // len(text) + 1))[:size]
    return text if is_text else text.encode()


def size_of(payload):
    return len(payload) if isinstance(payload, bytes) else len(payload.encode())


@attrs.define
class Flow:
    """One direction of a channel.

    sent      (payload, moment) of each message that `send` has taken
    received  the same of each that has arrived
    unbound   payloads sent when the peer was known to know the channel: before, all are ordered (RFC 8832 section 6)
    backlog   what `send` has refused for want of room, to be sent when it says to go on
    is_cut    the channel is being closed, or the session: nothing more is sent
    """

    options: ChannelOptions
    sent: list = attrs.Factory(list)
    received: list = attrs.Factory(list)
    unbound: set = attrs.Factory(set)
    backlog: deque = attrs.Factory(deque)
    is_cut: bool = False

    def cut(self):
        """Nothing more can be sent."""
        self.is_cut = True
        self.backlog.clear()

    @property
    def is_reliable(self):
        return self.options.max_retransmits is None and self.options.lifetime_s is None

    @property
    def is_complete(self):
        """True where everything that must arrive has arrived."""
        return not self.backlog and (not self.is_reliable or len(self.received) == len(self.sent))

    def assert_promise(self, latency_s):
        """What has arrived so far is what the channel promises. latency_s: the longest that a datagram travels."""
        sent = [payload for payload, _ in self.sent]
        received = [payload for payload, _ in self.received]
        if self.options.ordered:
            if self.is_reliable:
                assert received == sent[: len(received)], "not the messages that were sent, in their order"
            else:
                left = iter(sent)
                assert all(any(payload == other for other in left) for payload in received), "not a part, in order"
        else:
            assert not Counter(received) - Counter(sent), "something arrived twice, or was never sent"
        if self.options.lifetime_s is not None and not self.options.ordered:
            self._assert_in_time(latency_s)

    def _assert_in_time(self, latency_s):
        sent_at = dict(self.sent)
        for payload, at in self.received:
            if payload in self.unbound and 20 <= size_of(payload) <= SINGLE_PACKET_BYTES:
                assert at <= sent_at[payload] + self.options.lifetime_s + latency_s, "sent after its lifetime"


@attrs.define
class Record:
    """A channel as both applications know it.

    creator  the end that made it
    handles  by end
    opened, closed  the ends that have been told so
    closers  the ends whose application has closed it
    flows    by the sending end
    """

    label: str
    options: ChannelOptions
    creator: int
    handles: dict = attrs.Factory(dict)
    opened: set = attrs.Factory(set)
    closed: set = attrs.Factory(set)
    closers: set = attrs.Factory(set)
    flows: tuple = ()

    def __attrs_post_init__(self):
        self.flows = Flow(self.options), Flow(self.options)

    def is_open_at(self, end):
        return end in self.opened and end not in self.closed and end not in self.closers


class Ledger:
    """All channels of a session.

    latency_s  called for the longest that a datagram travels on the link as it is
    is_ending  called for whether either end has begun to end the session
    """

    def __init__(self, peers, *, latency_s, is_ending):
        self._peers = peers
        self.is_ending = is_ending
        self._latency_s = latency_s
        self.records = {}
        self._by_handle = ({}, {})
        self.messages_received = 0

    # -- verbs of the applications -----------------------------------------------------------------------------------

    def create(self, end, label, options, now):
        """Create a channel at one end; a negotiated one at both."""
        record = self.records[label] = Record(label, options, end)
        for creator in (end,) if options.negotiated_id is None else (0, 1):
            self._know(record, creator, self._peers[creator].create_channel(label, options, now))
        return record

    def send(self, record, end, size, is_text, now):
        """Send one message, or put it off until there is room."""
        flow = record.flows[end]
        payload = payload_of(record.label, end, len(flow.sent) + len(flow.backlog), size, is_text)
        flow.backlog.append(payload)
        self.go_on(record, end, now)

    def go_on(self, record, end, now):
        """Send what was put off, as much of it as there is room for."""
        peer, handle, flow = self._peers[end], record.handles[end], record.flows[end]
        while flow.backlog and record.is_open_at(end) and not flow.is_cut:
            payload = flow.backlog[0]
            before = peer.buffered_amount(handle)
            try:
                peer.send(handle, payload, now)
            except LimitExceeded:
                self._assert_buffered(peer, record, end, before)
                return
            except InvalidState:
                assert self.is_ending() or peer.channel(handle).state is ChannelState.CLOSING, "open, and takes nothing"
                flow.cut()
                return
            self._assert_buffered(peer, record, end, before + max(1, size_of(payload)))
            flow.backlog.popleft()
            flow.sent.append((payload, now))
            if end != record.creator or record.options.negotiated_id is not None or record.flows[1 - end].received:
                flow.unbound.add(payload)

    @staticmethod
    def _assert_buffered(peer, record, end, expected):
        """The buffered amount is this; less where messages whose lifetime is over have made room."""
        actual = peer.buffered_amount(record.handles[end])
        assert actual == expected or (record.options.lifetime_s is not None and actual < expected), "buffered wrongly"

    def close(self, record, end, now):
        """Close a channel; what `send` has taken is still to arrive."""
        record.closers.add(end)
        record.flows[end].cut()
        self._peers[end].close_channel(record.handles[end], now)

    # -- events ------------------------------------------------------------------------------------------------------

    def on_opened(self, end, event):
        record = self.records[event.label]
        assert end not in record.opened, "opened twice"
        if event.is_incoming:
            assert end not in record.handles, "incoming, and created here"
            self._know(record, end, event.channel)
        info = self._peers[end].channel(event.channel)
        options = record.options
        assert (info.ordered, info.max_retransmits) == (options.ordered, options.max_retransmits)
        record.opened.add(end)

    def on_message(self, end, event, now):
        record = self._by_handle[end][event.channel]
        assert end in record.opened, "a message before the channel has opened"
        assert end not in record.closed, "a message after the channel has closed"
        flow = record.flows[1 - end]
        flow.received.append((event.data, now))
        self.messages_received += 1
        if not flow.is_reliable or not flow.options.ordered:
            return
        assert event.data == flow.sent[len(flow.received) - 1][0], "not the next message in order"

    def on_buffer_low(self, end, now):
        """There is room again: for every channel of this end, since they share the send buffer."""
        for record in self.records.values():
            if record.flows[end].backlog and record.is_open_at(end):
                self.go_on(record, end, now)

    def on_closed(self, end, event, *, is_session_over):
        record = self._by_handle[end][event.channel]
        assert end not in record.closed, "closed twice"
        record.closed.add(end)
        record.flows[end].cut()
        if not is_session_over and record.closers == {1 - end}:
            flow = record.flows[1 - end]
            assert flow.is_complete, "the channel closed before what its closer had sent was delivered"

    # -- oracles -----------------------------------------------------------------------------------------------------

    def assert_promises(self):
        """Everything that has arrived keeps the promise of its channel."""
        for record in self.records.values():
            for flow in record.flows:
                flow.assert_promise(self._latency_s())

    def is_settled(self):
        """True where every open channel has delivered what it must, and no channel is half open or half closed."""
        for record in self.records.values():
            if record.closed or record.closers:
                if not all(end in record.closed for end in record.handles):
                    return False
            elif record.opened != {0, 1} or not all(flow.is_complete for flow in record.flows):
                return False
        return not any(peer.buffered_amount(info.channel) for peer in self._peers for info in peer.channels())

    def open_records(self):
        """The channels that both ends may use."""
        return [record for record in self.records.values() if all(record.is_open_at(end) for end in (0, 1))]

    def describe(self):
        """What stands where, for a failure's report."""
        return [
            f"{record.label}: opened {sorted(record.opened)} closers {sorted(record.closers)} closed "
            f"{sorted(record.closed)} "
            + " ".join(f"{len(flow.sent)}+{len(flow.backlog)}>{len(flow.received)}" for flow in record.flows)
            for record in self.records.values()
        ]

    def _know(self, record, end, handle):
        record.handles[end] = handle
        self._by_handle[end][handle] = record
