"""Two peer connections joined in virtual time, with a signalling channel that can be trickled, delayed or cut."""

import pytest

from sans_rtc.datachannel import ChannelMessage, ChannelOptions
from sans_rtc.machine import Address
from sans_rtc.peer import GatheringNeeded, LocalCandidate, PeerConfig, PeerConnection
from sans_rtc.testing import ContractMonitor, Link, LinkConditions, SeededEntropy

HOSTS = ("10.0.0.1", "10.0.0.2")


class Pair:
    """`peers[0]` offers, `peers[1]` answers; everything they say is kept.

    messages    two lists of what each end's application has received
    consumes    whether the applications give credit back at once
    """

    def __init__(self, *, seed=0, conditions=None, configs=(None, None), certificates=(None, None)):
        self.peers = tuple(
            PeerConnection(
                configs[end] or PeerConfig(), certificate=certificates[end], entropy=SeededEntropy(f"{seed}/{end}")
            )
            for end in (0, 1)
        )
        self.monitors = tuple(ContractMonitor(peer) for peer in self.peers)
        self.link = Link(*self.monitors, seed=seed, conditions=conditions or LinkConditions(delay_s=0.001))
        self.link.on_event = self._on_event
        self.messages = ([], [])
        self.consumes = True
        self.trickles = True

    @property
    def now(self):
        return self.link.now

    def events(self, end, kind):
        return [event for event in self.link.events[end] if isinstance(event, kind)]

    def offer_and_answer(self, first=0, *, before_answer=None, altered=lambda answer: answer):
        """One exchange of descriptions; candidates gathered by then are inside.

        before_answer  called once the answerer has taken the offer
        altered        the answer on its way
        """
        offerer, answerer = self.peers[first], self.peers[1 - first]
        offerer.set_local_description(None, self.now)
        self.link.flush()
        answerer.set_remote_description(offerer.local_description, self.now)
        if before_answer is not None:
            before_answer()
        answerer.set_local_description(None, self.now)
        self.link.flush()
        offerer.set_remote_description(altered(answerer.local_description), self.now)
        self.link.flush()

    def answer_offer(self):
        """The offerer offers a channel, and the answerer answers; the answer has not been carried back yet."""
        offerer, answerer = self.peers
        offerer.create_channel("test", ChannelOptions(), self.now)
        offerer.set_local_description(None, self.now)
        self.link.flush()
        answerer.set_remote_description(offerer.local_description, self.now)
        answerer.set_local_description(None, self.now)

    def connect(self, label="test", **options):
        """Exchange descriptions and run until the offerer's channel is open at both ends; returns both handles."""
        mine = self.peers[0].create_channel(label, ChannelOptions(**options), self.now)
        self.offer_and_answer()
        self.link.run_until(lambda: self.handle_at(1, label) is not None, within_s=30)
        return mine, self.handle_at(1, label)

    def open_another(self, label="another"):
        """The offerer opens one more channel; returns its handle once both ends have it."""
        handle = self.peers[0].create_channel(label, ChannelOptions(), self.now)
        self.link.run_until(lambda: self.handle_at(1, label) is not None, within_s=5)
        return handle

    def handle_at(self, end, label):
        return next((info.channel for info in self.peers[end].channels() if info.label == label), None)

    def check(self):
        for monitor in self.monitors:
            monitor.check(self.now)

    def _can_trickle_to(self, other):
        return self.trickles and other.remote_description is not None and not other.is_terminated

    def _on_event(self, end, event):
        peer, other = self.peers[end], self.peers[1 - end]
        if isinstance(event, GatheringNeeded):
            peer.add_local_address(Address(HOSTS[end], 5000), "eth0", self.now)
            peer.end_of_local_addresses(self.now)
        elif isinstance(event, LocalCandidate) and self._can_trickle_to(other):
            other.add_remote_candidate(event.candidate, event.mid, self.now)
        elif isinstance(event, ChannelMessage):
            self.messages[end].append(event.data)
            if self.consumes:
                peer.consume(event.channel, event.byte_count, self.now)


@pytest.fixture
def make_pair():
    return Pair


@pytest.fixture
def pair():
    return Pair()
