"""A mux with many clients around it, in virtual time; and a stand-in for a peer, to test the router alone."""

import attrs
import pytest

from sans_rtc import dtls
from sans_rtc.datachannel import ChannelMessage, ChannelOpened, ChannelOptions
from sans_rtc.ice import IceConfig
from sans_rtc.machine import Address, Datagram, Path, Terminated
from sans_rtc.peer import GatheringNeeded, LocalCandidate, PeerConfig, PeerConnection
from sans_rtc.peer.mux import Mux
from sans_rtc.peer.mux_config import MuxConfig
from sans_rtc.peer.mux_events import PeerEvents, UnknownUfrag
from sans_rtc.streams import StreamNeeded, StreamUnneeded
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.integrity import short_term_key
from sans_rtc.stun.wire import Attribute, Message, MessageClass, Method, serialize_message
from sans_rtc.testing import ContractMonitor, Link, LinkConditions, SeededEntropy

SERVER = Address("10.0.0.1", 3478)
CERTIFICATES = {}


def certificate(name):
    """Made once for all tests: making one is a third of a handshake."""
    if name not in CERTIFICATES:
        CERTIFICATES[name] = dtls.Certificate.generate(SeededEntropy(f"certificate {name}"), 0)
    return CERTIFICATES[name]


def client_address(number):
    return Address(f"10.1.{number >> 8}.{number & 255}", 5000)


def request(local_ufrag="stranger", remote_ufrag="knocker", *, pwd="p" * 22, path=None, number=0, **options):
    """A Binding request as a check of somebody, from the address of client 99 by default."""
    attributes = [
        Attribute(AttributeType.USERNAME, f"{local_ufrag}:{remote_ufrag}"),
        Attribute(AttributeType.ICE_CONTROLLING, 1),
        Attribute(AttributeType.PRIORITY, 100),
    ]
    message = Message(MessageClass.REQUEST, Method.BINDING, b"tx%010d" % number, attributes)
    options = {"key": short_term_key(pwd), "fingerprint": True} | options
    return Datagram(serialize_message(message, **options), path or Path(SERVER, client_address(99)))


@attrs.define(eq=False)
class Peer:
    """What a router reads of a peer, set by hand; `change` is what its ICE would do."""

    local_ufrags: tuple = ("local",)
    proven_paths: set = attrs.Factory(set)
    known: set = attrs.Factory(set)
    answers: dict = attrs.Factory(dict)
    is_silent: bool = False
    revision: int = 0

    def knows(self, path):
        return path in self.known or path in self.proven_paths

    def answered_at(self, path):
        return self.answers.get(path, float("-inf"))

    def prove(self, *paths):
        self.proven_paths |= set(paths)
        self.revision += 1

    def lose(self, *paths):
        self.proven_paths -= set(paths)
        self.revision += 1

    def answer(self, path, at):
        self.answers[path] = at
        self.prove(path)


class Crowd:
    """Clients as one machine, each behind an address of its own."""

    def __init__(self):
        self.clients = {}
        self._fresh = []

    def receive(self, datagram, now):
        local = datagram.path.local
        client = self.clients.get(local)
        if client is None:  # on a stream, whose port is its own
            client = next((client for address, client in self.clients.items() if address.host == local.host), None)
        if client is not None:
            client.receive(datagram, now)

    def handle_timer(self, now):
        for client in self.clients.values():
            if client.deadline <= now:
                client.handle_timer(now)

    def close(self, now):
        for client in self.clients.values():
            client.close(now)

    def take_datagrams(self, now):
        return [datagram for client in self.clients.values() for datagram in client.take_datagrams(now)]

    def take_events(self):
        events = []
        for address, client in self.clients.items():
            events += [(address, event) for event in client.take_events()]
        return events

    @property
    def deadline(self):
        return min((client.deadline for client in self.clients.values()), default=float("inf"))

    is_terminated = False


class Plaza:
    """A mux, its clients, and the signalling between them.

    keys      of the mux's peers, by the number of their client
    messages  what each peer of the mux has received, by number; and each client
    """

    def __init__(self, *, seed=0, conditions=None, config=None, peer_config=None, client_config=None):
        self.mux = Mux(config, entropy=SeededEntropy(f"mux {seed}"))
        self.crowd = Crowd()
        self.front = ContractMonitor(self.mux)
        self.link = Link(self.front, self.crowd, seed=seed, conditions=conditions or LinkConditions(delay_s=0.005))
        self.link.on_event = self._on_event
        self.peer_config, self.client_config = peer_config, client_config
        self.keys, self.numbers, self.clients = {}, {}, {}
        self.messages, self.replies, self.strangers, self.ended = {}, {}, [], []
        self.handles = {}
        self.seed = seed
        self.mux.add_local_address(SERVER, "eth0", self.now)
        self.closed = []  # streams that the mux does not need
        self.streams = {}  # that clients have opened: their names at the mux, and at the client
        self.has_udp = True
        self.link.filter = self._carry

    @property
    def now(self):
        return self.link.now

    def path(self, number):
        return Path(SERVER, client_address(number))

    def client(self, number, config=None, address=None):
        """A client that has offered."""
        client = PeerConnection(
            config or PeerConfig(), certificate=certificate("client"), entropy=SeededEntropy(f"{self.seed}/{number}")
        )
        self.clients[number] = client
        self.crowd.clients[address or client_address(number)] = client
        self.messages[number], self.replies[number] = [], []
        return client

    def offer(self, number, config=None):
        """A client and the peer of the mux that it is to meet; descriptions are exchanged."""
        client = self.client(number, config or self.client_config)
        client.create_channel("chat", ChannelOptions(), self.now)
        client.set_local_description(None, self.now)
        key = self.mux.create(self.peer_config, certificate("server"), self.now)
        self.keys[number], self.numbers[key] = key, number
        self.link.flush()
        self.answer(number)

    def answer(self, number):
        """Carry the client's offer to the mux's peer, and the answer back."""
        client, key = self.clients[number], self.keys[number]
        peer = self.mux.peer(key)
        peer.set_remote_description(client.local_description, self.now)
        peer.set_local_description(None, self.now)
        self.mux.touch(key, self.now)
        self.link.flush()
        client.set_remote_description(peer.local_description, self.now)
        self.link.flush()

    def connect(self, count, within_s=10.0):
        for number in range(count):
            self.offer(number)
        self.link.run_until(lambda: len(self.handles) == count, within_s=within_s)

    def say(self, number, data):
        """The mux's peer sends to its client."""
        key = self.keys[number]
        self.mux.peer(key).send(self.handles[number], data, self.now)
        self.mux.touch(key, self.now)
        self.link.flush()

    def ask(self, number, data):
        """The client sends to its peer."""
        client = self.clients[number]
        client.send(client.channels()[0].channel, data, self.now)
        self.link.flush()

    def assert_all_talk(self, numbers, within_s=5.0):
        """Each client says a word of its own, and its peer answers with another."""
        before = {number: (len(self.messages[number]), len(self.replies[number])) for number in numbers}
        for number in numbers:
            self.ask(number, f"from {number}")
            self.say(number, f"to {number}")
        self.link.run_until(
            lambda: all(
                len(self.messages[number]) > before[number][0] and len(self.replies[number]) > before[number][1]
                for number in numbers
            ),
            within_s=within_s,
        )
        for number in numbers:
            assert self.messages[number][-1] == f"from {number}"
            assert self.replies[number][-1] == f"to {number}"

    def check(self):
        self.front.check(self.now)

    def _on_event(self, end, event):
        if end == 1:
            self._on_client_event(*event)
        elif isinstance(event, UnknownUfrag):
            self.strangers.append(event)
        elif isinstance(event, StreamUnneeded):
            self.closed.append(event.path)
        elif isinstance(event, PeerEvents):
            for item in event.events:
                self._on_peer_event(event.peer, item)

    def _carry(self, end, datagram):
        """Let datagrams through where there is UDP, and pieces of streams under the other end's name for them."""
        path = datagram.path
        if path.protocol == "udp":
            return datagram if self.has_udp else None
        if end == 0:
            return Datagram(datagram.data, self.streams[path].reversed()) if path in self.streams else None
        names = [name for name, inner in self.streams.items() if inner == path]
        return Datagram(datagram.data, names[0].reversed()) if names else None

    def _on_client_event(self, address, event):
        client = self.crowd.clients[address]
        number = next((number for number, other in self.clients.items() if other is client), None)
        if isinstance(event, GatheringNeeded):
            client.add_local_address(address, "eth0", self.now)
            client.end_of_local_addresses(self.now)
        elif isinstance(event, StreamNeeded):
            path = Path(event.path.remote, Address(address.host, 40_000 + event.path.stream), "tcp")
            self.streams[path] = event.path
            self.mux.stream_opened(path, self.now)
            client.stream_opened(event.path, self.now)
        elif isinstance(event, ChannelMessage):
            self.replies[number].append(event.data)
            client.consume(event.channel, event.byte_count, self.now)
        elif isinstance(event, LocalCandidate) and number in self.keys and self.keys[number] in self.mux.keys:
            key = self.keys[number]
            if self.mux.peer(key).remote_description is not None:
                self.mux.peer(key).add_remote_candidate(event.candidate, event.mid, self.now)
                self.mux.touch(key, self.now)

    def _on_peer_event(self, key, event):
        assert not isinstance(event, GatheringNeeded), "the mux answers it"
        number = self.numbers.get(key)
        if isinstance(event, Terminated):
            self.ended.append(key)
        elif isinstance(event, ChannelOpened):
            self.handles[number] = event.channel
        elif isinstance(event, ChannelMessage):
            self.messages[number].append(event.data)
            self.mux.peer(key).consume(event.channel, event.byte_count, self.now)
            self.mux.touch(key, self.now)
        elif isinstance(event, LocalCandidate):
            client = self.clients.get(number)
            if client is not None and client.remote_description is not None and not client.is_terminated:
                client.add_remote_candidate(event.candidate, event.mid, self.now)


@pytest.fixture
def make_plaza():
    return Plaza


@pytest.fixture
def plaza():
    return Plaza()


@pytest.fixture
def make_peer():
    return Peer


@pytest.fixture
def make_request():
    return request


@pytest.fixture
def make_mux():
    def make(**config):
        return Mux(MuxConfig(**config), entropy=SeededEntropy("mux"))

    return make


@pytest.fixture
def stranger_config():
    """The configuration of a peer whose first credentials are given."""

    def make(ufrag, pwd, **ice):
        return PeerConfig(ice=IceConfig(local_ufrag=ufrag, local_pwd=pwd, **ice))

    return make
