"""An authenticated peer that says whatever it likes: it can end its own session, and nothing else.

It has the keys, so everything gets as far as SCTP and the data channels: messages with any stream and any protocol
identifier, resets at any time, and chunks that no SCTP would write, under the right tag and checksum.
"""

import math

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sans_rtc.datachannel import ChannelClosed, ChannelMessage, ChannelOpened, ChannelOptions
from sans_rtc.datachannel.wire import PayloadProtocol
from sans_rtc.errors import LocalError
from sans_rtc.sctp import RELIABLE, Reliability
from tests.peer.conftest import Pair
from tests.property.objects import footprint
from tests.property.scenes.forgeries import reseal_sctp

STREAMS = st.integers(0, 5) | st.sampled_from([1000, 65534])
PPIDS = st.sampled_from(list(map(int, PayloadProtocol))) | st.integers(0, 2**32 - 1)
OPEN = b"\x03\x00\x01\x00\x00\x00\x00\x00\x00\x01\x00\x00x"  # a DATA_CHANNEL_OPEN, reliable, with the label "x"
DCEP = st.sampled_from([OPEN, b"\x02", b"\x03", OPEN[:-1], OPEN + b"y", b"\x03\xff" + OPEN[2:], b"\x04"])
CHUNK_TYPES = st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 63, 130, 192, 255])
ACTIONS = st.one_of(
    st.tuples(st.just("say"), STREAMS, PPIDS, st.binary(min_size=1, max_size=40), st.booleans()),
    st.tuples(st.just("say"), STREAMS, st.just(50), DCEP, st.booleans()),
    st.tuples(st.just("reset"), st.lists(STREAMS, max_size=3)),
    st.tuples(st.just("chunk"), CHUNK_TYPES, st.integers(0, 255), st.binary(max_size=40)),
    st.tuples(st.just("record"), st.binary(min_size=1, max_size=60)),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.001, 0.05, 1.0])),
    st.tuples(st.just("victim"), st.sampled_from(["create", "send", "close_channel", "close"])),
)


def attack(pair, action):
    """One action of the peer, or one of the victim that crosses it."""
    transport = pair.peers[1]._transport  # the peer's own layers: no PeerConnection would say such things
    association, connection = transport.data.association, transport.connection
    match action:
        case ("say", stream_id, ppid, data, ordered):
            association.send(stream_id, ppid, data, RELIABLE if ordered else Reliability(ordered=False), pair.now)
        case ("reset", stream_ids):
            association.reset_streams(stream_ids, pair.now)
        case ("chunk", kind, flags, value):
            chunk = bytes([kind, flags]) + (4 + len(value)).to_bytes(2, "big") + value + bytes(-len(value) % 4)
            connection.send(reseal_sctp(association._tcb.sealer.prefix + bytes(4) + chunk), pair.now)
        case ("record", data):
            connection.send(data, pair.now)
        case ("victim", verb):
            use(pair.peers[0], verb, pair.now)


def use(victim, verb, now):
    """What the victim's application does meanwhile."""
    channels = victim.channels()
    if verb == "create":
        victim.create_channel("mine", ChannelOptions(), now)
    elif verb == "close":
        victim.close(now)
    elif channels and verb == "send":
        victim.send(channels[-1].channel, "hello", now)
    elif channels:
        victim.close_channel(channels[-1].channel, now)


def assert_channels_make_sense(events):
    """Each channel opens before its first message and closes last."""
    opened, closed = set(), set()
    for event in events:
        if isinstance(event, ChannelOpened):
            assert event.channel not in opened | closed
            opened.add(event.channel)
        elif isinstance(event, ChannelMessage):
            assert event.channel in opened - closed
        elif isinstance(event, ChannelClosed):
            assert event.channel not in closed
            closed.add(event.channel)


@settings(max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ACTIONS, max_size=12))
@example([("say", 2, 50, OPEN, True), ("victim", "close"), ("wait", 0.05)])
@example([("say", 2, 50, OPEN, True), ("wait", 0.05), ("victim", "close"), ("reset", [2]), ("wait", 0.05)])
@example([("reset", [1, 1]), ("victim", "close_channel"), ("reset", []), ("wait", 1.0)])
def test_authenticated_peer_can_only_end_its_own_session(actions):
    pair = Pair()
    pair.connect()
    for action in actions:
        if action[0] == "wait":
            pair.link.run_for(action[1])
            continue
        try:
            attack(pair, action)
        except LocalError:
            pass  # what the peer's own layers do not send, and what the victim may no longer do
        pair.link.flush()
        pair.check()
    pair.link.run_for(1.0)
    assert_channels_make_sense(pair.link.events[0])
    pair.peers[0].close(pair.now)
    pair.link.run_for(10.0)
    assert pair.peers[0].is_terminated and pair.peers[0].deadline == math.inf
    assert not pair.peers[0].channels() or pair.peers[0].channels()[0].state == "closed"


def test_authenticated_peer_cannot_grow_the_victim_by_opening_and_closing():
    """Channels and streams that are gone leave nothing behind but the closed ones' ids."""
    pair = Pair()
    pair.connect()
    pair.link.run_for(1.0)

    def open_and_close(count):
        association = pair.peers[1]._transport.data.association
        for number in range(count):
            association.send(2 * number % 200, int(PayloadProtocol.DCEP), OPEN, RELIABLE, pair.now)
            pair.link.run_for(0.01)
            association.reset_streams([2 * number % 200], pair.now)
            pair.link.run_for(0.02)

    open_and_close(100)
    before = footprint(pair.peers[0])
    open_and_close(300)
    grown = footprint(pair.peers[0]) - before
    assert grown.items <= 50 and grown.bytes <= 2000, grown
    assert len(pair.events(0, ChannelClosed)) >= 400
