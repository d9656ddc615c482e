"""Helpers for the tests of the server: a site with a server, its driver in virtual time, and a client by hand."""

import attrs
import pytest

from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.streams import StreamNeeded
from sans_rtc.stun import (
    Attribute,
    AttributeType,
    IntegrityAlgorithm,
    Message,
    MessageClass,
    Method,
    PasswordAlgorithm,
    is_integrity_valid,
    long_term_key,
    parse_message,
    serialize_message,
    userhash,
)
from sans_rtc.testing import ContractMonitor, SeededEntropy, drain
from sans_rtc.turn.server import Credentials, RelayNeeded, RelayUnneeded, Server, ServerConfig, User

LISTENER = Address("192.0.2.1", 3478)
RELAY_HOST = "192.0.2.2"
RELAY_HOST_6 = "2001:db8::2"
CLIENT = Address("198.51.100.7", 40000)
PEER = Address("203.0.113.9", 50000)
PEER_6 = Address("2001:db8:f::9", 50000)
T0 = 1000.0
REALM = "example.org"
ALICE = (User("alice", "secret"),)
A = AttributeType


class Site:
    """A server and what its driver does: sockets open at once, unless `refuses` says otherwise.

    refuses   called with each RelayNeeded: True where the port is taken
    holds     True: relays are not opened until `open_relays`
    """

    def __init__(self, *, seed=1, users=ALICE, rest_secrets=(), trace=None, **config):
        settings = {"realm": REALM, "relay_hosts": (RELAY_HOST, RELAY_HOST_6), "own_hosts": (LISTENER.host,)}
        self.config = ServerConfig(**{**settings, **config})
        credentials = Credentials(users=users, rest_secrets=rest_secrets)
        self.entropy = SeededEntropy(f"test {seed}")
        self.server = Server(self.config, credentials=credentials, entropy=SeededEntropy(f"server {seed}"), trace=trace)
        self.monitor = ContractMonitor(self.server)
        self.now = T0
        self.sent, self.events, self.sockets, self.waiting = [], [], set(), []
        self.refuses = lambda needed: False
        self.holds = False

    def drain(self):
        """Take everything, do what the events ask for; return the new datagrams."""
        new = []
        for _ in range(100):
            datagrams, events = drain(self.server, self.now)
            new += datagrams
            self.events += events
            for event in events:
                self._on_event(event)
            if not events:
                break
        self.sent += new
        self.monitor.check(self.now)
        return new

    def _on_event(self, event):
        if isinstance(event, RelayNeeded):
            if self.holds:
                self.waiting.append(event)
            else:
                self.open_relay(event)
        elif isinstance(event, RelayUnneeded):
            self.sockets.remove((event.address, event.protocol))

    def open_relay(self, event):
        key = (event.address, event.protocol)
        if self.refuses(event) or key in self.sockets:
            self.server.relay_failed(event.relay_id, "taken", self.now)
        else:
            self.sockets.add(key)
            self.server.relay_opened(event.relay_id, event.address, self.now)

    def open_relays(self):
        self.holds = False
        waiting, self.waiting = self.waiting, []
        for event in waiting:
            self.open_relay(event)
        return self.drain()

    def receive(self, data, path):
        self.monitor.receive(Datagram(data, path), self.now)
        return self.drain()

    def wait(self, seconds):
        """Let time pass, each timer in its turn."""
        end = self.now + seconds
        while self.server.deadline <= end:
            self.now = max(self.now, self.server.deadline)
            self.monitor.handle_timer(self.now)
            self.drain()
        self.now = end

    def events_of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    def client(self, address=CLIENT, **changes):
        return Client(self, Path(LISTENER, address, changes.pop("protocol", "udp")), **changes)


@attrs.define
class Reply:
    """A response, parsed, and its bytes."""

    message: Message
    data: bytes
    path: Path

    @property
    def code(self):
        error = self.message.value(A.ERROR_CODE)
        return error.code if error is not None else 0

    @property
    def reason(self):
        return self.message.value(A.ERROR_CODE).reason

    def __getitem__(self, name):
        return self.message.value(A[name])

    def all(self, name):
        return self.message.values(A[name])


class Client:
    """A client that knows the rules, and can be told to break them.

    with_sha256   use PASSWORD-ALGORITHMS and MESSAGE-INTEGRITY-SHA256
    """

    def __init__(self, site, path, *, name="alice", password="secret", realm=REALM, with_sha256=False, hides=False):
        self.site, self.path = site, path
        self.name, self.password, self.realm = name, password, realm
        self.with_sha256, self.hides = with_sha256, hides
        self.nonce = None
        self.challenge = None

    # -- requests

    def bare(self, method, *attributes, **options):
        """A request without credentials."""
        return self.exchange(self.message(method, attributes), **options)

    def message(self, method, attributes, transaction_id=None):
        transaction_id = transaction_id or self.site.entropy(12)
        items = [Attribute(A[name], value) for name, value in attributes]
        return Message(MessageClass.REQUEST, method, transaction_id, items)

    def request(self, method, *attributes, transaction_id=None, **options):
        """A request with credentials; asks for a challenge first where there was none."""
        if self.nonce is None:
            self.take_challenge(self.bare(method, *attributes))
        message = self.message(method, attributes, transaction_id)
        message.attributes += self.credentials()
        return self.exchange(message, key=self.key, algorithm=self.algorithm, **options)

    def take_challenge(self, reply):
        assert reply.code in (401, 438)
        self.challenge = reply
        self.nonce = reply["NONCE"]

    def credentials(self):
        user = Attribute(A.USERHASH, userhash(self.name, REALM)) if self.hides else Attribute(A.USERNAME, self.name)
        attributes = [user, Attribute(A.REALM, self.realm), Attribute(A.NONCE, self.nonce)]
        if self.with_sha256:
            offered = self.challenge["PASSWORD_ALGORITHMS"]
            attributes += [Attribute(A.PASSWORD_ALGORITHMS, offered), Attribute(A.PASSWORD_ALGORITHM, offered[0])]
        return attributes

    @property
    def key(self):
        digest = PasswordAlgorithm.SHA256 if self.with_sha256 else PasswordAlgorithm.MD5
        return long_term_key(self.name, REALM, self.password, digest)

    @property
    def algorithm(self):
        return IntegrityAlgorithm.SHA256 if self.with_sha256 else IntegrityAlgorithm.SHA1

    def exchange(self, message, *, key=None, algorithm=IntegrityAlgorithm.SHA1, fingerprint=False):
        """Send a request; the response to it, or None."""
        data = serialize_message(message, key=key, algorithm=algorithm, fingerprint=fingerprint)
        return self.reply_to(message, self.send(data))

    def reply_to(self, message, datagrams):
        for datagram in datagrams:
            if datagram.path.remote == self.path.remote and datagram.data[0] < 4:
                response = parse_message(datagram.data)
                if response.transaction_id == message.transaction_id:
                    return Reply(response, datagram.data, datagram.path)
        return None

    def send(self, data):
        return self.site.receive(data, self.path)

    def is_proven(self, reply):
        return is_integrity_valid(reply.data, self.key)

    # -- what clients do

    def allocate(self, *attributes, transport=17, **options):
        reply = self.request(Method.ALLOCATE, ("REQUESTED_TRANSPORT", transport), *attributes, **options)
        if reply is not None and reply.code == 438:
            self.take_challenge(reply)
            return self.allocate(*attributes, transport=transport, **options)
        return reply

    def allocated(self, *attributes, **options):
        """Allocate, and return the relayed address."""
        reply = self.allocate(*attributes, **options)
        assert reply is not None and reply.code == 0, reply
        return reply["XOR_RELAYED_ADDRESS"]

    def refresh(self, lifetime_s=None, **attributes):
        items = [("LIFETIME", lifetime_s)] if lifetime_s is not None else []
        return self.request(Method.REFRESH, *items, *attributes.items())

    def permit(self, *peers):
        return self.request(Method.CREATE_PERMISSION, *[("XOR_PEER_ADDRESS", peer) for peer in peers])

    def bind(self, peer, number=0x4000):
        return self.request(Method.CHANNEL_BIND, ("CHANNEL_NUMBER", number), ("XOR_PEER_ADDRESS", peer))

    def indicate(self, peer, data, *more):
        items = [("XOR_PEER_ADDRESS", peer), ("DATA", data), *more]
        attributes = [Attribute(A[name], value) for name, value in items if value is not None]
        message = Message(MessageClass.INDICATION, Method.SEND, self.site.entropy(12), attributes)
        return self.send(serialize_message(message))

    def connect(self, peer):
        """RFC 6062: the Connect request, whose answer comes once the stream is there."""
        message = self.message(Method.CONNECT, [("XOR_PEER_ADDRESS", peer)])
        message.attributes += self.credentials()
        count = len(self.site.events_of(StreamNeeded))
        reply = self.exchange(message, key=self.key, algorithm=self.algorithm)
        needed = self.site.events_of(StreamNeeded)[count:]
        return message, reply, needed[0].path if needed else None


@pytest.fixture
def make_site():
    return Site


@pytest.fixture
def site():
    return Site()


@pytest.fixture
def client(site):
    return site.client()


@pytest.fixture
def at():
    """The addresses of the scene by name."""
    return {"listener": LISTENER, "client": CLIENT, "peer": PEER, "peer6": PEER_6, "relay": RELAY_HOST, "t0": T0}
