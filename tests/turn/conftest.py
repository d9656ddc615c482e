"""What the TURN client's tests share: a small server that keeps RFC 8656 and can be told to break it, and a scene of
both in virtual time."""

import base64
import math

import pytest

from sans_rtc.errors import WireError
from sans_rtc.machine import Address, Datagram, Path, Terminated
from sans_rtc.streams import StreamNeeded, StreamUnneeded
from sans_rtc.stun import (
    Attribute,
    AttributeType,
    IntegrityAlgorithm,
    Message,
    MessageClass,
    Method,
    PasswordAlgorithm,
    PasswordAlgorithmEntry,
    error_response,
    is_integrity_valid,
    long_term_key,
    new_request,
    parse_message,
    serialize_message,
    success_response,
    userhash,
)
from sans_rtc.testing import SeededEntropy
from sans_rtc.turn import Allocated, Client, TurnConfig, TurnFramer, parse_channel_data, serialize_channel_data

A = AttributeType
USER, PASSWORD, REALM = "alice", "secret", "example.org"
MD5, SHA256 = (PasswordAlgorithmEntry(int(algorithm)) for algorithm in PasswordAlgorithm)
LOCAL, SERVER = Address("192.0.2.10", 50000), Address("198.51.100.1", 3478)
MAPPED, RELAYED, RELAYED6 = Address("203.0.113.7", 61000), Address("198.51.100.1", 50002), Address("2001:db8::1", 50004)
PEER, OTHER = Address("198.51.100.77", 4000), Address("198.51.100.88", 5000)
START = 1000.0


class FakeServer:
    """Answers requests as RFC 8656 has it, for one client; every attribute is there to be changed by a test.

    errors     for each method, the errors that its next authenticated requests get: (code, reason) or a Message to send
    refused    hosts that get 403
    requests   every authentic request, parsed
    relayed    to peers: (data, peer)
    """

    def __init__(self, *, algorithms=None, anonymity=False, protocol="udp"):
        self.algorithms, self.anonymity, self.protocol = algorithms, anonymity, protocol
        self.user, self.password, self.realm = USER, PASSWORD, REALM
        self.serial = 0
        self.requires_authentication = True
        self.is_silent = False
        self.lifetime_s = 600
        self.relayed_addresses = [RELAYED]
        self.address_error = None
        self.software = "fake"
        self.errors = {}
        self.refused = set()
        self.requests, self.relayed = [], []
        self.has_allocation = False
        self.permissions, self.channels = {}, {}
        self.token = None
        self.connection_id = 7
        self.alters = lambda data: data
        self.framers = {}

    @property
    def nonce(self):
        features = (self.algorithms is not None) | self.anonymity << 1
        tail = b"nonce%d" % self.serial
        return b"obMatJos2" + base64.b64encode(features.to_bytes(3, "big")) + tail if features else tail

    def key(self, algorithm=PasswordAlgorithm.MD5):
        return long_term_key(self.user, self.realm, self.password, algorithm)

    @property
    def response_key(self):
        chosen = PasswordAlgorithm.SHA256 if self.algorithms and SHA256 in self.algorithms else PasswordAlgorithm.MD5
        return self.key(chosen)

    @property
    def response_algorithm(self):
        return IntegrityAlgorithm.SHA1 if self.algorithms is None else IntegrityAlgorithm.SHA256

    def receive(self, datagram, now):
        """The datagrams that answer this one."""
        if datagram.path.protocol == "udp":
            frames = [datagram.data]
        else:
            framer = self.framers.setdefault(datagram.path, TurnFramer())
            frames = framer.feed(datagram.data)
            assert not framer.is_broken, framer.reason
        answers = [] if self.is_silent else [self.answer(frame, now) for frame in frames]
        return [Datagram(self.alters(data), datagram.path) for data in answers if data is not None]

    def answer(self, data, now):
        if data[0] >= 0x40:
            message = parse_channel_data(data)
            self.relayed.append((message.data, self.channels[message.number]))
            return None
        message = parse_message(data)
        if message.message_class is MessageClass.INDICATION:
            if message.method == Method.SEND:
                peer = message.value(A.XOR_PEER_ADDRESS)
                assert self.permissions.get(peer.host, -1) > now, "a Send indication without a permission"
                self.relayed.append((message.value(A.DATA), peer))
            return None
        assert message.message_class is MessageClass.REQUEST
        challenge = self.challenge(message, data)
        if challenge is not None:
            return serialize_message(challenge)
        self.requests.append(message)
        return self.sign(self.respond(message, now))

    def challenge(self, request, data):
        if not self.requires_authentication:
            return None
        code = 0
        if request.value(A.REALM) is None:
            code = 401
        elif request.value(A.NONCE) != self.nonce:
            code = 438
        else:
            user = request.value(A.USERHASH) if self.anonymity else request.value(A.USERNAME)
            expected = userhash(self.user, self.realm) if self.anonymity else self.user
            if user != expected or not is_integrity_valid(data, self.response_key):
                code = 401
        if not code:
            return None
        response = error_response(request, code)
        response.attributes += [Attribute(A.REALM, self.realm), Attribute(A.NONCE, self.nonce)]
        if self.algorithms is not None:
            response.attributes.append(Attribute(A.PASSWORD_ALGORITHMS, self.algorithms))
        return response

    def sign(self, response):
        key = self.response_key if self.requires_authentication else None
        return serialize_message(response, key=key, algorithm=self.response_algorithm)

    def respond(self, request, now):
        scripted = self.errors.get(request.method)
        if scripted:
            error = scripted.pop(0)
            response = error_response(request, *error[:2])
            response.attributes += error[2:]
            return response
        if request.method != Method.ALLOCATE and not self.has_allocation:
            return error_response(request, 437)
        return getattr(self, f"on_{Method(request.method).name.lower()}")(request, now)

    def on_allocate(self, request, now):
        self.has_allocation = True
        addresses = [Attribute(A.XOR_RELAYED_ADDRESS, address) for address in self.relayed_addresses]
        attributes = [
            *addresses,
            Attribute(A.XOR_MAPPED_ADDRESS, MAPPED),
            Attribute(A.LIFETIME, self.lifetime_s),
            Attribute(A.SOFTWARE, self.software),
        ]
        if self.token is not None:
            attributes.append(Attribute(A.RESERVATION_TOKEN, self.token))
        if self.address_error is not None:
            attributes.append(Attribute(A.ADDRESS_ERROR_CODE, self.address_error))
        return success_response(request, attributes)

    def on_refresh(self, request, now):
        lifetime_s = 0 if request.value(A.LIFETIME) == 0 else self.lifetime_s
        self.has_allocation = lifetime_s > 0
        return success_response(request, [Attribute(A.LIFETIME, lifetime_s)])

    def on_create_permission(self, request, now):
        host = request.value(A.XOR_PEER_ADDRESS).host
        if host in self.refused:
            return error_response(request, 403, "not that one")
        self.permissions[host] = now + 300
        return success_response(request)

    def on_channel_bind(self, request, now):
        peer, number = request.value(A.XOR_PEER_ADDRESS), request.value(A.CHANNEL_NUMBER)
        if peer.host in self.refused:
            return error_response(request, 403, "not that one")
        assert self.channels.get(number, peer) == peer, "a number of another peer"
        self.channels[number] = peer
        self.permissions[peer.host] = now + 300
        return success_response(request)

    def on_connect(self, request, now):
        self.connection_id += 1
        return success_response(request, [Attribute(A.CONNECTION_ID, self.connection_id)])

    def on_connection_bind(self, request, now):
        return success_response(request)


def data_indication(data, peer=PEER, **others):
    attributes = [Attribute(A.XOR_PEER_ADDRESS, peer)] if peer is not None else []
    if data is not None:
        attributes.append(Attribute(A.DATA, data))
    attributes += [Attribute(A[name.upper()], value) for name, value in others.items()]
    return serialize_message(Message(MessageClass.INDICATION, Method.DATA, b"indication..", attributes))


class Scene:
    """A client and its server in virtual time; what the client sends is answered at once by `pump`.

    sent    every datagram of the client
    events  what the client has reported and nobody has taken
    """

    def __init__(self, protocol="udp", *, server=None, seed=1, opens_streams=True, trace=None, **changes):
        changes.setdefault("keepalive_s", None)
        self.config = TurnConfig(**{"username": USER, "password": PASSWORD, **changes})
        local = LOCAL if protocol == "udp" else Address(LOCAL.host, 0)
        self.path = Path(local, SERVER, protocol, 0 if protocol == "udp" else 1)
        self.client = Client(self.config, self.path, entropy=SeededEntropy(seed), trace=trace)
        self.server = server or FakeServer()
        self.now = START
        self.sent, self.events = [], []
        self.opens_streams = opens_streams
        self.open_streams = set()
        if protocol != "udp" and opens_streams:
            self.open(self.path)

    def open(self, path):
        self.open_streams.add(path)
        self.client.stream_opened(path, self.now)

    def allocated(self):
        """Allocate, and forget that."""
        self.client.allocate(self.now)
        self.pump()
        (event,) = self.take(Allocated)
        assert self.events == [], self.events
        self.sent.clear()
        self.server.requests.clear()
        return event

    def pump(self):
        while True:
            datagrams = self.client.take_datagrams(self.now)
            self.sent += datagrams
            for datagram in datagrams:
                for answer in self.server.receive(datagram, self.now):
                    self.client.receive(answer, self.now)
            events = self.client.take_events()
            for event in events:
                if isinstance(event, StreamNeeded) and self.opens_streams:
                    self.open(event.path)
                elif isinstance(event, StreamUnneeded):
                    self.open_streams.discard(event.path)
            self.events += events
            if not datagrams and not events:
                return

    def advance(self, seconds):
        """Let time pass, every timer at its time."""
        end = self.now + seconds
        while self.client.deadline <= end:
            self.now = max(self.now, self.client.deadline)
            self.client.handle_timer(self.now)
            self.pump()
            assert self.client.deadline > self.now, "a timer stays due"
        self.now = end

    def take(self, *types):
        taken = [event for event in self.events if isinstance(event, types)]
        self.events = [event for event in self.events if not isinstance(event, types)]
        return taken

    @property
    def terminated(self):
        """The last event, which has come once and last."""
        assert isinstance(self.events[-1], Terminated), self.events
        assert sum(isinstance(event, Terminated) for event in self.events) == 1
        assert self.client.is_terminated and self.client.deadline == math.inf
        return self.events[-1]

    def send(self, data=b"data", peer=PEER):
        self.client.send(data, peer, self.now)
        self.pump()

    def deliver(self, data, path=None):
        """Something arrives; the events that come of it."""
        self.client.receive(Datagram(data, path or self.client.path), self.now)
        events = list(self.client.take_events())
        self.events += events
        return events

    def from_peer(self, data, peer=PEER):
        return self.deliver(data_indication(data, peer))

    def on_channel(self, number, data):
        return self.deliver(serialize_channel_data(number, data, pad=self.path.protocol != "udp"))

    def requests(self, method):
        """The requests of a method that the client has sent, authenticated or not."""
        found = []
        for datagram in self.sent:
            try:
                message = parse_message(datagram.data)
            except WireError:
                continue
            if message.method == method and message.message_class is MessageClass.REQUEST:
                found.append(message)
        return found

    @property
    def discards(self):
        return {str(reason): count for reason, count in self.client.stats.discards.items()}


@pytest.fixture(params=["udp", "tcp", "tls"])
def protocol(request):
    return request.param


@pytest.fixture
def scene():
    return Scene()


@pytest.fixture
def ready():
    """A scene with an allocation."""
    scene = Scene()
    scene.allocated()
    return scene


@pytest.fixture
def make_scene():
    return Scene


@pytest.fixture
def make_server():
    return FakeServer


@pytest.fixture
def make_request():
    return lambda method, *attributes: new_request(method, SeededEntropy(0), [Attribute(*pair) for pair in attributes])


@pytest.fixture
def indication():
    return data_indication
