"""Tools for the SCTP tests: two associations joined at once, and a peer that is a script."""

from types import SimpleNamespace

import attrs
import pytest

from sans_rtc.sctp import RELIABLE, Association, Message, SctpConfig, State
from sans_rtc.sctp.chunks import (
    CookieAck,
    CookieEcho,
    Data,
    Init,
    Sack,
    parse_chunk,
    serialize,
)
from sans_rtc.sctp.params import Parameter, ParameterType
from sans_rtc.sctp.wire import Sealer, parse_packet
from sans_rtc.testing import ContractMonitor, SeededEntropy, drain

START = 1000.0
WHOLE = 3
SUPPORTED = (
    Parameter(ParameterType.FORWARD_TSN_SUPPORTED, b""),
    Parameter(ParameterType.SUPPORTED_EXTENSIONS, bytes((192, 130))),
)


def make_association(seed=1, *, trace=None, **changes):
    return Association(SctpConfig(**changes), entropy=SeededEntropy(seed), trace=trace)


def packet(*chunks, tag, source_port=5000, destination_port=5000):
    """A packet of typed chunks or of chunk bytes."""
    body = b"".join([chunk if isinstance(chunk, bytes) else serialize(chunk) for chunk in chunks])
    return Sealer(source_port, destination_port, tag).seal(body)


def chunks_of(datagrams):
    """All chunks of these packets, typed, in order."""
    return [parse_chunk(raw) for datagram in datagrams for raw in parse_packet(datagram).chunks]


def check_invariants(association):
    """The sums that must hold after any input."""
    if association.is_terminated:
        return
    flow = association._outbound.flow
    flow.outstanding.check()
    association._inbound.reassembly.check()
    buffered = sum(stream.buffered_bytes for stream in flow.scheduler.streams.values())
    assert buffered == flow.scheduler.queued_bytes


@attrs.define
class Pair:
    """Two associations joined by a perfect path without delay, in one hand."""

    a: Association
    b: Association
    now: float = START
    events: dict = attrs.field(factory=lambda: {0: [], 1: []})

    @property
    def ends(self):
        return (self.a, self.b)

    def exchange(self, rounds=200):
        """Carry packets until both are silent; time stands still."""
        for _ in range(rounds):
            moved = False
            for index, (end, other) in enumerate(((self.a, self.b), (self.b, self.a))):
                datagrams, events = drain(end, self.now)
                self.events[index] += events
                for datagram in datagrams:
                    other.receive(datagram, self.now)
                moved = moved or bool(datagrams) or bool(events)
            if not moved:
                return self
        raise AssertionError("the two never fall silent")

    def advance(self, duration_s):
        """Let time pass, handling timers when they are due, and carry what comes of it."""
        until = self.now + duration_s
        self.exchange()
        while (moment := min(self.a.deadline, self.b.deadline)) <= until:
            self.now = max(moment, self.now)
            for end in self.ends:
                if end.deadline <= self.now:
                    end.handle_timer(self.now)
            self.exchange()
        self.now = until
        return self

    def messages(self, end):
        return [event for event in self.events[end] if isinstance(event, Message)]


class RawPeer:
    """A scripted peer: it makes the packets, the test says which."""

    def __init__(self, association, *, window_bytes=1 << 20, streams=65535, parameters=SUPPORTED, tsn=100):
        self.association = association
        self.monitor = ContractMonitor(association)
        self.now = START
        self.tag = 0x0BAD_CAFE
        self.tsn = tsn  # of the next DATA
        self.window_bytes = window_bytes
        self.streams = streams
        self.parameters = list(parameters)
        self.their_tag = association._tcb.local_tag
        self.their_tsn = association._tcb.local_initial_tsn
        self.events = []

    def init(self, *, is_ack=False, cookie=None, tag=None):
        parameters = list(self.parameters)
        if cookie is not None:
            parameters.insert(0, Parameter(ParameterType.STATE_COOKIE, cookie))
        tag = self.tag if tag is None else tag
        return Init(tag, self.window_bytes, self.streams, self.streams, self.tsn & 0xFFFFFFFF, parameters, is_ack)

    def establish(self):
        """Answer the association's INIT, as its peer."""
        self.association.connect(self.now)
        (init,) = self.take()
        assert isinstance(init, Init)
        self.send(self.init(is_ack=True, cookie=b"peer cookie"))
        assert any(isinstance(chunk, CookieEcho) for chunk in self.take())
        self.send(CookieAck())
        assert self.association.state is State.ESTABLISHED
        self.take()
        self.events = []
        return self

    def send(self, *chunks, tag=None):
        """Give the association one packet of these chunks."""
        self.receive(packet(*chunks, tag=self.their_tag if tag is None else tag))

    def receive(self, datagram):
        self.monitor.receive(datagram, self.now)
        check_invariants(self.association)

    def take(self):
        """What the association says, typed; its events are kept."""
        return chunks_of(self.take_packets())

    def take_packets(self):
        datagrams, events = drain(self.monitor, self.now)
        self.events += events
        self.monitor.check(self.now)
        check_invariants(self.association)
        return datagrams

    def take_events(self):
        self.take_packets()
        events, self.events = self.events, []
        return events

    def data(self, payload=b"x", *, flags=WHOLE, stream_id=0, ssn=0, ppid=51, tsn=None):
        """A DATA chunk; without a TSN it is the next."""
        if tsn is None:
            tsn = self.tsn
            self.tsn += 1
        return Data(flags, tsn & 0xFFFFFFFF, stream_id, ssn & 0xFFFF, ppid, payload)

    def sack(self, count, *, gaps=(), window_bytes=None, duplicates=()):
        """A SACK for the association's first `count` TSNs."""
        window = self.window_bytes if window_bytes is None else window_bytes
        return Sack((self.their_tsn + count - 1) & 0xFFFFFFFF, window, list(gaps), tuple(duplicates))

    def wait(self, duration_s):
        """Let time pass; timers fire when due. Returns what is said meanwhile."""
        until = self.now + duration_s
        said = list(self.take())
        while self.association.deadline <= until:
            self.now = max(self.now, self.association.deadline)
            self.monitor.handle_timer(self.now)
            said += self.take()
        self.now = until
        return said + self.take()

    def deliver_all(self, said=None):
        """Acknowledge every TSN that has been sent, until nothing more comes. Returns the DATA chunks."""
        data = [chunk for chunk in (self.take() if said is None else said) if isinstance(chunk, Data)]
        seen = list(data)
        while data:
            highest = max((chunk.tsn - self.their_tsn) & 0xFFFFFFFF for chunk in seen)
            self.send(self.sack(highest + 1))
            data = [chunk for chunk in self.take() if isinstance(chunk, Data)]
            seen += data
        return seen


def connected_pair(seed=1, *, config_a=None, config_b=None, simultaneous=True, **changes):
    a = Association(config_a or SctpConfig(**changes), entropy=SeededEntropy(f"{seed} a"))
    b = Association(config_b or SctpConfig(**changes), entropy=SeededEntropy(f"{seed} b"))
    pair = Pair(a, b)
    a.connect(pair.now)
    if simultaneous:
        b.connect(pair.now)
    pair.exchange()
    assert a.state is State.ESTABLISHED and b.state is State.ESTABLISHED
    pair.events = {0: [], 1: []}
    return pair


@pytest.fixture(scope="session")
def sctp():
    """The tools by name; without state, so that Hypothesis may use them too."""
    return SimpleNamespace(
        START=START,
        Pair=Pair,
        RawPeer=RawPeer,
        SUPPORTED=SUPPORTED,
        association=make_association,
        check=check_invariants,
        chunks_of=chunks_of,
        connected_pair=connected_pair,
        packet=packet,
    )


@pytest.fixture
def pair():
    """Two established associations."""
    return connected_pair()


@pytest.fixture
def peer():
    """An established association before a scripted peer."""
    return RawPeer(make_association()).establish()


@pytest.fixture
def send():
    """send(association, data, ...) with the usual arguments filled in."""

    def send(association, data, *, stream_id=0, ppid=51, reliability=RELIABLE, now=START):
        association.send(stream_id, ppid, data, reliability, now)

    return send
