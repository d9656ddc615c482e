"""Rule-based state machines of whole sessions: data channels over a pair of associations, and two peer connections."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from sans_rtc import sctp
from sans_rtc.datachannel import (
    ChannelClosed,
    ChannelConfig,
    ChannelEvent,
    ChannelMessage,
    ChannelOpened,
    ChannelOptions,
    ChannelState,
    DataChannels,
    carry_event,
)
from sans_rtc.entropy import Entropy
from sans_rtc.machine import Datagram, Path, Terminated
from sans_rtc.peer import Description, GatheringNeeded, LocalCandidate, PeerConfig, PeerConnection
from sans_rtc.testing.entropy import SeededEntropy
from sans_rtc.testing.strategies.machines import PairRules, allow_misuse
from sans_rtc.testing.strategies.pairs import COUNTS, ENDS, HEAD_STARTS, HOSTS, SEEDS
from sans_rtc.testing.strategies.stun import nearly_stun_datagrams

MESSAGE_BYTES_MAX = 65_536
CHANNELS_MAX = 6

CHANNEL_OPTIONS = st.sampled_from(
    (
        ChannelOptions(),
        ChannelOptions(ordered=False),
        ChannelOptions(max_retransmits=0),
        ChannelOptions(ordered=False, lifetime_s=0.1),
        ChannelOptions(protocol="chat", priority=1024),
    )
)
"""Channels of every kind that the two ends agree on by DCEP."""

CONTENTS = st.one_of(st.text(st.characters(codec="utf-8"), max_size=20), st.binary(max_size=20), st.just(bytes(9000)))
"""Messages: text and binary, empty ones among them, and one of several packets."""


class ChannelEnd:
    """Data channels over an association of their own, as one machine of bytes: for tests without ICE and DTLS."""

    def __init__(self, *, is_dtls_client: bool, entropy: Entropy) -> None:
        config = sctp.SctpConfig(association_retransmissions_max=100, init_retransmissions_max=100, rto_max_s=1.0)
        self.association = sctp.Association(config, entropy=entropy)
        self.channels = DataChannels(ChannelConfig())
        self._is_dtls_client = is_dtls_client
        self._events: list[ChannelEvent | Terminated] = []

    def receive(self, datagram: bytes, now: float) -> None:
        """One SCTP packet."""
        self.association.receive(datagram, now)
        self._rise(now)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        self.association.handle_timer(now)
        self._rise(now)

    def close(self, now: float) -> None:
        """Shut the association down."""
        self.association.close(now)
        self._rise(now)

    def take_datagrams(self, now: float) -> Sequence[bytes]:
        """SCTP packets."""
        packets = self.association.take_datagrams(now)
        self._rise(now)
        return packets

    def take_events(self) -> Sequence[ChannelEvent | Terminated]:
        """Events of the channels, and the end."""
        events, self._events = [*self._events, *self.channels.take_events()], []
        return events

    @property
    def deadline(self) -> float:
        """The association's."""
        return self.association.deadline

    @property
    def is_terminated(self) -> bool:
        """True once the association has ended."""
        return self.association.is_terminated

    def _rise(self, now: float) -> None:
        for event in self.association.take_events():
            if isinstance(event, sctp.Connected):
                self.channels.on_connected(
                    self.association,
                    is_dtls_client=self._is_dtls_client,
                    message_bytes_max=MESSAGE_BYTES_MAX,
                    streams_max=100,
                    now=now,
                )
            carry_event(event, self.channels, now)
            if isinstance(event, Terminated):
                self._events += [*self.channels.take_events(), event]


class DataChannelPair(PairRules):
    """Data channels of every kind, opened, written to and closed by both ends.

    Always     a channel tells what was sent on it, each once, an ordered one in its order
    In peace   what was sent on an ordered, reliable channel that is open has arrived
    """

    @initialize(seed=SEEDS, head_start_s=HEAD_STARTS)
    def begin(self, seed: int, head_start_s: float) -> None:
        """Two ends, which connect, and a channel."""
        first, second = (ChannelEnd(is_dtls_client=end == 0, entropy=SeededEntropy(f"{seed} {end}")) for end in (0, 1))
        self.channel_ends = (first, second)
        self.labels: list[dict[int, str]] = [{}, {}]
        self.sent: dict[tuple[int, str], list[bytes | str]] = {}
        self.told: dict[tuple[int, str], list[bytes | str]] = {}
        self.options: dict[str, ChannelOptions] = {}
        self.join(first, second, seed)
        for channel_end in self.channel_ends:
            channel_end.association.connect(self.now)
        self.create(0, ChannelOptions())
        self.link.run_for(head_start_s)

    def on_event(self, end: int, event: object) -> None:
        """Keep the labels of handles, and what is told on each."""
        if isinstance(event, ChannelOpened):
            assert event.label in self.options, "a channel that nobody opened"
            assert event.protocol == self.options[event.label].protocol
            self.labels[end][event.channel] = event.label
        elif isinstance(event, ChannelMessage):
            self.told.setdefault((1 - end, self.labels[end][event.channel]), []).append(event.data)
            self.channel_ends[end].channels.consume(event.channel, event.byte_count, self.now)

    @rule(end=ENDS, options=CHANNEL_OPTIONS)
    def create(self, end: int, options: ChannelOptions) -> None:
        """A channel with a label of its own."""
        label = f"channel {len(self.options)}"
        if len(self.options) < CHANNELS_MAX:
            self.options[label] = options
            self.labels[end][self.channel_ends[end].channels.create(label, options, self.now)] = label
            self.link.flush()

    @rule(end=ENDS, choice=st.integers(0, 99), content=CONTENTS, count=COUNTS)
    def send(self, end: int, choice: int, content: bytes | str, count: int) -> None:
        """A few messages on one of the channels, whatever its state."""
        handles = sorted(self.labels[end])
        for _ in range(count if handles else 0):
            handle = handles[choice % len(handles)]
            if allow_misuse(self.channel_ends[end].channels.send, handle, content, self.now):
                self.sent.setdefault((end, self.labels[end][handle]), []).append(content)
            self.link.flush()

    @rule(end=ENDS, choice=st.integers(0, 99))
    def close_channel(self, end: int, choice: int) -> None:
        """Close one of the channels."""
        handles = sorted(self.labels[end])
        if handles:
            allow_misuse(self.channel_ends[end].channels.close, handles[choice % len(handles)], self.now)
            self.link.flush()

    def check_peace(self) -> None:
        """What was promised has come, and nothing else has."""
        for key, told in self.told.items():
            sent = self.sent.get(key, [])
            assert all(told.count(content) <= sent.count(content) for content in told), "a message that nobody sent"
        for end, channel_end in enumerate(self.channel_ends):
            for info in channel_end.channels.infos():
                options = self.options[info.label]
                is_sure = options.ordered and options.max_retransmits is None and options.lifetime_s is None
                if info.state is ChannelState.OPEN and is_sure:
                    assert self.told.get((end, info.label), []) == self.sent.get((end, info.label), [])


class PeerPair(PairRules):
    """Two peer connections: offers and answers from either side, channels, messages, ICE restarts, strangers.

    Always     no call of either end raises but LocalError, and nothing that a stranger sends raises
    In peace   where both have agreed, both are connected, and an ordered, reliable channel delivers
    """

    peers: tuple[PeerConnection, PeerConnection]

    @initialize(seed=SEEDS)
    def begin(self, seed: int) -> None:
        """Two peers; the first has a channel to offer."""
        first, second = (PeerConnection(PeerConfig(), entropy=SeededEntropy(f"{seed} {end}")) for end in (0, 1))
        self.peers = (first, second)
        self.open: list[dict[str, int]] = [{}, {}]
        self.told: list[list[bytes | str]] = [[], []]
        self.count = 0
        self.join(first, second, seed)
        first.create_channel("first", ChannelOptions(), self.now)
        self.negotiate(0)

    def on_event(self, end: int, event: object) -> None:
        """What an application does at once."""
        peer, other = self.peers[end], self.peers[1 - end]
        match event:
            case GatheringNeeded():
                peer.add_local_address(HOSTS[end], "eth0", self.now)
                peer.end_of_local_addresses(self.now)
            case LocalCandidate() if other.remote_description is not None:
                allow_misuse(other.add_remote_candidate, event.candidate, event.mid, self.now)
            case ChannelOpened():
                self.open[end][event.label] = event.channel
            case ChannelMessage():
                self.told[end].append(event.data)
                peer.consume(event.channel, event.byte_count, self.now)
            case ChannelClosed():
                self.open[end] = {label: each for label, each in self.open[end].items() if each != event.channel}

    @rule(end=ENDS)
    def negotiate(self, end: int) -> None:
        """One end offers, the other answers; an offer that crosses another is taken back."""
        offerer, answerer = self.peers[end], self.peers[1 - end]
        for speaker, hearer in ((offerer, answerer), (answerer, offerer)):
            if allow_misuse(speaker.set_local_description, None, self.now):
                self.link.flush()
                description = speaker.local_description
                assert description is not None
                hearer.set_remote_description(description, self.now)
                self.link.flush()

    @rule(end=ENDS)
    def offer_and_take_back(self, end: int) -> None:
        """An offer that the other side never sees."""
        peer = self.peers[end]
        if allow_misuse(peer.create_offer, self.now) and allow_misuse(peer.set_local_description, None, self.now):
            peer.set_local_description(Description("rollback", ""), self.now)
        self.link.flush()

    @rule(end=ENDS, options=CHANNEL_OPTIONS)
    def create(self, end: int, options: ChannelOptions) -> None:
        """Another channel."""
        self.count += 1
        if self.count < CHANNELS_MAX:
            self.peers[end].create_channel(f"channel {self.count}", options, self.now)
            self.link.flush()

    @rule(end=ENDS, choice=st.integers(0, 99), content=CONTENTS)
    def send(self, end: int, choice: int, content: bytes | str) -> None:
        """A message on an open channel."""
        if self.open[end]:
            label = sorted(self.open[end])[choice % len(self.open[end])]
            allow_misuse(self.peers[end].send, self.open[end][label], content, self.now)
            self.link.flush()

    @rule(end=ENDS, choice=st.integers(0, 99))
    def close_channel(self, end: int, choice: int) -> None:
        """Close any channel but the first."""
        labels = sorted(set(self.open[end]) - {"first"})
        if labels:
            allow_misuse(self.peers[end].close_channel, self.open[end][labels[choice % len(labels)]], self.now)
            self.link.flush()

    @rule(end=ENDS)
    def restart_ice(self, end: int) -> None:
        """New credentials with the next offer, which follows at once."""
        self.peers[end].restart_ice(self.now)
        self.negotiate(end)

    @rule(end=ENDS, data=st.one_of(nearly_stun_datagrams(), st.binary(max_size=60)))
    def forge(self, end: int, data: bytes) -> None:
        """A stranger says something under the other's address; of DTLS nothing, for the handshake is not protected."""
        if not data or not 20 <= data[0] <= 63:
            self.link.inject(end, type(self).datagram(end, data))
            self.link.flush()

    def check_peace(self) -> None:
        """The first channel, where it is there, delivers."""
        if any(peer.is_terminated for peer in self.peers):
            return
        if "first" not in self.open[0] or "first" not in self.open[1]:
            self.restart_ice(0)
            self.link.run_for(30.0)
        for end in (0, 1):
            assert "first" in self.open[end], f"no channel in peace: {self.peers[end].explain()}"
            self.peers[end].send(self.open[end]["first"], "the last", self.now)
            self.link.run_for(30.0)
            assert self.told[1 - end][-1:] == ["the last"], f"not delivered: {self.peers[end].explain()}"

    @staticmethod
    def datagram(end: int, data: bytes) -> Datagram:
        """Bytes as they arrive at an end from the other's address."""
        return Datagram(data, Path(HOSTS[end], HOSTS[1 - end]))
