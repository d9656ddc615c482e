"""Two peers in virtual time, either of which can be replaced by what its snapshot restores, at any moment."""

import pytest

from sans_rtc.datachannel import ChannelMessage, ChannelOpened, ChannelOptions
from sans_rtc.ice import IceConfig, StunServer
from sans_rtc.machine import Address
from sans_rtc.peer import GatheringNeeded, LocalCandidate, PeerConfig, PeerConnection, ResolveName
from sans_rtc.testing import ContractMonitor, Link, LinkConditions, SeededEntropy

KEY = bytes(range(32))
HOSTS = ("10.0.0.1", "10.0.0.2")
BAD_LINK = LinkConditions(delay_s=0.01, jitter_s=0.005, loss=0.08, duplication=0.08, reordering=0.1)
CONFIG = PeerConfig(ice=IceConfig(stun_servers=(StunServer("stun.example", 3478),)))


class Session:
    """`peers[0]` offers, `peers[1]` answers; `log` is all that both have said, with the times.

    replace(end)  hands an end over to what its snapshot restores
    messages      what each end's application has received
    """

    def __init__(self, seed=0, *, conditions=BAD_LINK, configs=(CONFIG, CONFIG)):
        self.entropies = [SeededEntropy(f"{seed}/{end}") for end in (0, 1)]
        self.peers = [PeerConnection(configs[end], entropy=self.entropies[end]) for end in (0, 1)]
        self.monitors = [ContractMonitor(peer) for peer in self.peers]
        self.link = Link(*self.monitors, seed=seed, conditions=conditions)
        self.link.filter, self.link.on_event = self._on_datagram, self._on_event
        self.log, self.messages, self.handles = [], ([], []), {}

    @property
    def now(self):
        return self.link.now

    def replace(self, end):
        peer = self.peers[end]
        if not peer.is_terminated:
            sealed = peer.snapshot(KEY, self.now)
            self.adopt(end, PeerConnection.restore(sealed, KEY, entropy=self.entropies[end]))

    def adopt(self, end, peer):
        """Let another take an end's place."""
        self.peers[end] = self.monitors[end].machine = peer

    def run(self, duration_s):
        self.link.run_for(duration_s)

    def do(self, end, verb, *arguments):
        """Use a verb of a peer that still lives."""
        if not self.peers[end].is_terminated:
            getattr(self.peers[end], verb)(*arguments, self.now)
            self.link.flush()

    def describe(self, end):
        self.do(end, "set_local_description", None)

    def tell(self, end):
        """Carry an end's description to the other."""
        self.do(1 - end, "set_remote_description", self.peers[end].local_description)

    def send(self, end, label, data):
        """Send where the channel is open."""
        if (end, label) in self.handles:
            self.do(end, "send", self.handles[end, label], data)

    def connect(self, label="chat", within_s=30):
        self.do(0, "create_channel", label, ChannelOptions())
        self.describe(0)
        self.tell(0)
        self.describe(1)
        self.tell(1)
        self.link.run_until(lambda: {(0, label), (1, label)} <= self.handles.keys(), within_s=within_s)

    def _on_datagram(self, end, datagram):
        self.log.append((self.now, end, datagram.data, datagram.path))
        return datagram

    def _on_event(self, end, event):
        self.log.append((self.now, end, repr(event)))
        peer, other = self.peers[end], self.peers[1 - end]
        if isinstance(event, GatheringNeeded):
            peer.add_local_address(Address(HOSTS[end], 5000), "eth0", self.now)
            peer.end_of_local_addresses(self.now)
        elif isinstance(event, ResolveName):
            peer.name_resolved(event.name, (), self.now)
        elif isinstance(event, LocalCandidate) and other.remote_description is not None and not other.is_terminated:
            other.add_remote_candidate(event.candidate, event.mid, self.now)
        elif isinstance(event, ChannelOpened):
            self.handles[end, event.label] = event.channel
        elif isinstance(event, ChannelMessage):
            self.messages[end].append(event.data)
            peer.consume(event.channel, event.byte_count, self.now)


@pytest.fixture(scope="session")
def make_session():
    return Session


@pytest.fixture(scope="session")
def key():
    return KEY
