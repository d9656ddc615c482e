"""Two peer connections in a simulated network, with signalling and applications: what a test begins with.

    call = Call.on_two_hosts(seed=7, conditions=LinkConditions(delay_s=0.02, loss=0.1))
    chat = call.connect("chat")
    chat.send(0, "hello")
    call.settle()
    assert call.parties[1].messages == [("chat", "hello")]

Each end does what an adapter and a well-behaved application do: binds sockets, trickles candidates, negotiates
perfectly (W3C WebRTC section 10.7: the second end gives way), restarts ICE after a failure, reads what arrives. Every
oracle of `Oracles` looks on, and each message is held against the promise of its channel.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

import attrs

from sans_rtc import dtls
from sans_rtc.datachannel import ChannelOptions
from sans_rtc.errors import LocalError
from sans_rtc.media import OutgoingFrame
from sans_rtc.peer import (
    ConnectionState,
    Description,
    DescriptionType,
    PeerConfig,
    SignalingState,
    TransceiverOptions,
)
from sans_rtc.sdp.values import Direction
from sans_rtc.testing.cable import Cable, LinkConditions
from sans_rtc.testing.entropy import SeededEntropy
from sans_rtc.testing.host import Host
from sans_rtc.testing.network import Network
from sans_rtc.testing.oracles import Oracles
from sans_rtc.testing.party import Party
from sans_rtc.testing.promises import Payload, Promise

POLITE = 1
_RETRY_S = 0.05
HOSTS = ("192.0.2.1", "192.0.2.2")


@attrs.define(slots=True, eq=False)
class Channel:
    """A data channel as both ends know it.

    label     of this call alone: it tells the channel at both ends
    promises  by the sending end
    closers   the ends whose application has closed it
    """

    call: Call
    label: str
    options: ChannelOptions
    promises: tuple[Promise, Promise]
    closers: set[int] = attrs.Factory(set)

    @property
    def is_over(self) -> bool:
        """True where one end at least has closed it, or has been told so."""
        return bool(self.closers) or any(promise.is_over for promise in self.promises)

    @property
    def is_open(self) -> bool:
        """True where both ends may send."""
        return all(self.label in party.channels for party in self.call.parties)

    def send(self, end: int, payload: Payload) -> None:
        """Let the application of one end send a message; LocalError as of `PeerConnection.send`."""
        party = self.call.parties[end]
        party.peer.send(party.channels[self.label], payload, party.now)
        self.promises[end].send(payload)
        party.touch()

    def send_when_possible(self, end: int, payload: Payload) -> None:
        """Likewise, where the channel is open; what there is no room for waits until there is."""
        party = self.call.parties[end]
        if self.label in party.channels:
            party.backlog.append((self.label, payload))
            party.go_on()

    def on_closed(self, end: int, *, is_call_over: bool) -> None:
        """An end has been told that the channel is closed: what it has sent is owed no more."""
        self.promises[end].is_over = True
        if self.closers == {1 - end} and not is_call_over:
            assert self.promises[1 - end].is_kept, f"{self.label!r} closed before its closer's messages had arrived"

    def close(self, end: int) -> None:
        """Close it at one end; what it has sent is still owed."""
        party = self.call.parties[end]
        self.closers.add(end)
        self.promises[1 - end].is_over = True
        party.peer.close_channel(party.channels[self.label], party.now)
        party.touch()


class Call:
    """Two `Party`s, the signalling between them, and what they owe each other.

    parties       the ends; the first offers where both could, the second gives way
    channels      by label
    tracks        what is promised of each, by name
    signalling_s  what a description or a candidate takes to the other end; they stay in order
    oracles       that look on
    """

    def __init__(
        self,
        hosts: tuple[Host, Host],
        *,
        seed: int | str = 0,
        configs: tuple[PeerConfig | None, PeerConfig | None] = (None, None),
        certificates: tuple[dtls.Certificate | None, dtls.Certificate | None] = (None, None),
        signalling_s: float = 0.01,
        oracles: Oracles | None = None,
    ) -> None:
        self.network: Network = hosts[0].network
        self.oracles = oracles or Oracles(self.network)
        self.signalling_s = signalling_s
        self.channels: dict[str, Channel] = {}
        self.tracks: dict[str, Promise] = {}
        self._inboxes: tuple[deque[_Letter], deque[_Letter]] = (deque(), deque())
        self._is_offer_ignored = [False, False]
        first, second = (
            Party(self, end, hosts[end], configs[end], certificates[end], SeededEntropy(f"{seed}/{end}"))
            for end in (0, 1)
        )
        self.parties: tuple[Party, Party] = first, second

    @classmethod
    def on_two_hosts(
        cls,
        *,
        seed: int | str = 0,
        conditions: LinkConditions | None = None,
        configs: tuple[PeerConfig | None, PeerConfig | None] = (None, None),
        certificates: tuple[dtls.Certificate | None, dtls.Certificate | None] = (None, None),
        signalling_s: float = 0.01,
    ) -> Call:
        """A call between two hosts on the internet; conditions hold on each host's cable, each way."""
        network = Network(seed=seed)
        hosts = []
        for name in HOSTS:
            host = network.host(name)
            host.attach(network.internet, name, cable=Cable(conditions or LinkConditions(delay_s=0.005)))
            hosts.append(host)
        first, second = hosts
        return cls((first, second), seed=seed, configs=configs, certificates=certificates, signalling_s=signalling_s)

    # -- what applications do ----------------------------------------------------------------------------------------

    def connect(self, label: str = "data", *, within_s: float = 30.0) -> Channel:
        """Create a channel at the first end, and run until it is open at both."""
        channel = self.create_channel(0, label, ChannelOptions())
        self.network.run_until(lambda: channel.is_open, within_s=within_s)
        return channel

    def create_channel(self, end: int, label: str, options: ChannelOptions) -> Channel:
        """Create a channel at one end; a negotiated one at both. Offers follow by themselves."""
        assert label not in self.channels, f"there is a channel {label!r} already"
        first, second = (Promise.of_channel(f"{label!r} from end {sender}", options) for sender in (0, 1))
        channel = self.channels[label] = Channel(self, label, options, (first, second))
        for creator in (end,) if options.negotiated_id is None else (0, 1):
            party = self.parties[creator]
            party.peer.create_channel(label, options, party.now)
            party.touch()
        return channel

    def add_track(self, end: int, kind: str) -> str:
        """Add a transceiver that sends; returns the name under which the other end's frames are kept."""
        name = f"{kind}-{len(self.tracks)}"
        self.tracks[name] = Promise(name, is_reliable=False)
        party = self.parties[end]
        options = TransceiverOptions(direction=Direction.SENDONLY, streams=(name,))
        party.senders[name] = party.peer.add_transceiver(kind, options, party.now)
        party.touch()
        return name

    def send_frame(self, end: int, track: str, frame: OutgoingFrame) -> bool:
        """Send a frame; False where nothing may be sent there yet."""
        party = self.parties[end]
        handle = party.senders[track]
        if not party.peer.can_send_media(handle):
            return False
        party.peer.send_frame(handle, frame, party.now)
        self.tracks[track].send(frame.data)
        party.touch()
        return True

    def settle(self, *, within_s: float = 30.0) -> float:
        """Run until both are connected and every message that must arrive has arrived; returns the virtual seconds.

        AssertionError, with what both ends say of it, where that does not come about in time: no progress.
        """
        try:
            return self.network.run_until(self.is_settled, within_s=within_s)
        except AssertionError as error:
            raise AssertionError("\n".join([str(error), *self.describe()])) from error

    def is_settled(self) -> bool:
        """True where nothing is owed, by an application or a machine."""
        return self.is_connected and not any(self._debts())

    @property
    def is_connected(self) -> bool:
        """True where both ends are in the state "connected"."""
        return all(not p.is_down and p.peer.connection_state is ConnectionState.CONNECTED for p in self.parties)

    def describe(self) -> list[str]:
        """Where everything stands, for people."""
        return [*self._debts(), *(str(party.peer.explain()) for party in self.parties)]

    def _debts(self) -> list[str]:
        debts = [
            f"{promise.name}: {promise.sent} sent, {promise.received} received"
            for channel in self.channels.values()
            for promise in channel.promises
            if not promise.is_kept
        ]
        for channel in self.channels.values():
            there = [party.end for party in self.parties if channel.label in party.channels]
            if there != ([] if channel.is_over else [0, 1]):
                debts.append(f"channel {channel.label!r} is open at {there}, closed by {sorted(channel.closers)}")
        for party in self.parties:
            if party.is_down or party.peer.unacknowledged_bytes or party.backlog:
                debts.append(f"end {party.end} has something to send")
            else:
                debts += [
                    f"{track} cannot be sent yet"
                    for track, handle in party.senders.items()
                    if not party.peer.can_send_media(handle)
                ]
        return debts

    # -- what arrives ------------------------------------------------------------------------------------------------

    def on_message(self, end: int, label: str, payload: Payload) -> None:
        """An application has got a message."""
        self.channels[label].promises[1 - end].receive(payload)

    def on_frame(self, track: str, data: bytes) -> None:
        """An application has got a frame."""
        self.tracks[track].receive(data)

    # -- signalling --------------------------------------------------------------------------------------------------

    def signal(self, end: int, deliver: Callable[[], None]) -> None:
        """Bring something from an end to the other, after everything that was signalled before."""
        arrives_at = self.network.now + self.signalling_s
        self._inboxes[1 - end].append(_Letter(arrives_at, deliver))
        self.network.schedule(arrives_at, partial(self._read_inbox, 1 - end))

    def _read_inbox(self, end: int) -> None:
        inbox, party = self._inboxes[end], self.parties[end]
        while inbox and inbox[0].arrives_at <= self.network.now:
            if party.is_down:
                self.network.schedule(self.network.now + _RETRY_S, partial(self._read_inbox, end))
                return
            letter = inbox.popleft()
            if not party.is_over:
                letter.deliver()
                party.touch()

    def offer(self, end: int) -> None:
        """Make and signal an offer, where the state allows it; else there will be one later."""
        party = self.parties[end]
        if party.peer.signaling_state is SignalingState.STABLE:
            party.peer.set_local_description(None, party.now)
            self._tell_description(end)

    def _tell_description(self, end: int) -> None:
        description = self.parties[end].peer.local_description
        assert description is not None
        self.signal(end, partial(self._on_description, 1 - end, description))

    def _on_description(self, end: int, description: Description) -> None:
        party = self.parties[end]
        state = party.peer.signaling_state
        is_offer = description.type is DescriptionType.OFFER
        self._is_offer_ignored[end] = is_offer and state is not SignalingState.STABLE and end != POLITE
        is_stale = not is_offer and state is not SignalingState.HAVE_LOCAL_OFFER
        if self._is_offer_ignored[end] or is_stale:
            return
        party.peer.set_remote_description(description, party.now)
        if is_offer and not party.is_over:
            party.peer.set_local_description(None, party.now)
            self._tell_description(end)

    def on_candidate(self, end: int, candidate: str, mid: str) -> None:
        """A candidate has come to an end."""
        party = self.parties[end]
        try:
            party.peer.add_remote_candidate(candidate, mid, party.now)
        except LocalError:
            assert self._is_offer_ignored[end], "a candidate whose description was taken is refused"


@attrs.define(slots=True)
class _Letter:
    """Something signalled, on its way."""

    arrives_at: float
    deliver: Callable[[], None]
