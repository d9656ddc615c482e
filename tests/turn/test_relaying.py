"""Permissions, channels and data: each peer for itself, each timer, each limit."""

import pytest

from sans_rtc.errors import InvalidArgument, InvalidState, LimitExceeded
from sans_rtc.machine import Address, Datagram
from sans_rtc.stun import Attribute, AttributeType, Icmp, MessageClass, Method, parse_message
from sans_rtc.turn import (
    ChannelBound,
    ChannelRefused,
    DataReceived,
    IcmpReceived,
    PeerRefused,
    parse_channel_data,
)
from sans_rtc.turn.indications import DATA_BYTES_MAX

A = AttributeType
RELAYED, RELAYED6 = Address("198.51.100.1", 50002), Address("2001:db8::1", 50004)
PEER, SAME_HOST, OTHER = Address("198.51.100.77", 4000), Address("198.51.100.77", 4001), Address("198.51.100.88", 5000)
PEER6 = Address("2001:db8::77", 4000)


@pytest.fixture
def bound(ready):
    """A scene with a channel to PEER."""
    ready.client.bind_channel(PEER, ready.now)
    ready.pump()
    assert ready.take(ChannelBound) == [ChannelBound(PEER, 0x4000)]
    ready.sent.clear()
    ready.server.requests.clear()
    return ready


def states(scene):
    return {entry.host: str(entry.state) for entry in scene.client.explain().permissions}


# --- Send and Data


@pytest.mark.proves("RFC8656-11.1-1-a167")
def test_data_wait_for_the_permission_and_go_in_order(ready):
    ready.client.send(b"one", PEER, ready.now)
    ready.client.send(b"two", PEER, ready.now)
    assert [parse_message(d.data).method for d in ready.client.take_datagrams(ready.now)] == [Method.CREATE_PERMISSION]
    ready.advance(0.5)  # that one was lost
    assert ready.server.relayed == [(b"one", PEER), (b"two", PEER)]
    ready.send(b"three")
    assert ready.server.relayed[-1] == (b"three", PEER)


@pytest.mark.proves("RFC8656-10.1-1-57df")
def test_permission_is_for_the_host_whatever_the_port(ready):
    ready.send(b"one", PEER)
    ready.send(b"two", SAME_HOST)
    assert [m.method for m in ready.server.requests] == [Method.CREATE_PERMISSION]
    assert ready.server.relayed == [(b"one", PEER), (b"two", SAME_HOST)]


@pytest.mark.proves("RFC8656-11.1-2-525d")
def test_send_indication_has_36_bytes_of_overhead(ready):
    ready.send(b"warm")
    ready.sent.clear()
    ready.send(b"data")
    (datagram,) = ready.sent
    message = parse_message(datagram.data)
    assert (message.message_class, message.method) == (MessageClass.INDICATION, Method.SEND)
    assert message.attributes == [Attribute(A.XOR_PEER_ADDRESS, PEER), Attribute(A.DATA, b"data")]
    assert (
        len(datagram.data) == 4 + ready.client.overhead_bytes == 4 + 36 == 4 + ready.client.overhead_to(PEER, ready.now)
    )


@pytest.mark.proves("RFC8656-18-1-6b6f")
@pytest.mark.parametrize("size", [0, 1, 2, 3, 5, 1200])
def test_send_indication_of_every_size_is_well_formed(make_scene, size):
    scene = make_scene(families=(6,), dont_fragment=True)
    scene.server.relayed_addresses = [RELAYED6]
    scene.allocated()
    scene.send(bytes(size), PEER6)
    message = parse_message(scene.sent[-1].data)
    assert [a.type for a in message.attributes] == [A.XOR_PEER_ADDRESS, A.DONT_FRAGMENT, A.DATA]
    assert scene.server.relayed == [(bytes(size), PEER6)]
    assert len(scene.sent[-1].data) == size + scene.client.overhead_bytes + -size % 4


def test_data_indication_tells_the_peer_even_one_not_spoken_to(ready):
    ready.client.create_permission(PEER.host, ready.now)
    ready.pump()
    assert ready.from_peer(b"", PEER) == [DataReceived(b"", PEER, RELAYED)]
    assert ready.from_peer(b"x", SAME_HOST) == [DataReceived(b"x", SAME_HOST, RELAYED)]


def test_data_that_overtake_the_answer_are_taken(ready):
    ready.client.create_permission(PEER.host, ready.now)
    assert ready.from_peer(b"early") == [DataReceived(b"early", PEER, RELAYED)]


def test_icmp_is_told_of_permitted_peers(ready, indication):
    ready.client.create_permission(PEER.host, ready.now)
    ready.pump()
    data = indication(None, PEER, icmp=Icmp(3, 4, b"\0\0\x05\x00"))
    assert ready.deliver(data) == [IcmpReceived(PEER, 3, 4, b"\0\0\x05\x00")]
    assert ready.deliver(indication(None, OTHER, icmp=Icmp(3, 4))) == []


def test_dual_allocation_relays_from_the_address_of_the_peers_family(make_scene):
    scene = make_scene(families=(4, 6))
    scene.server.relayed_addresses = [RELAYED, RELAYED6]
    scene.allocated()
    scene.send(b"4", PEER)
    scene.send(b"6", PEER6)
    assert scene.from_peer(b"x", PEER6) == [DataReceived(b"x", PEER6, RELAYED6)]
    assert scene.from_peer(b"x", PEER) == [DataReceived(b"x", PEER, RELAYED)]


def test_address_in_other_letters_is_the_same_peer(make_scene):
    scene = make_scene(families=(6,))
    scene.server.relayed_addresses = [RELAYED6]
    scene.allocated()
    shouted = Address("2001:DB8:0::77", 4000)
    scene.client.bind_channel(shouted, scene.now)
    scene.pump()
    scene.send(b"x", shouted)
    scene.send(b"y", PEER6)
    assert scene.server.relayed == [(b"x", PEER6), (b"y", PEER6)]
    assert len(scene.client.explain().peers) == 1


# --- one refused peer


def test_refused_peer_is_named_and_others_go_on(ready):
    ready.server.refused = {PEER.host}
    ready.client.send(b"a", PEER, ready.now)
    ready.client.send(b"b", OTHER, ready.now)
    ready.pump()
    assert ready.events == [PeerRefused(PEER, 403, "Forbidden", "not that one")]
    assert ready.server.relayed == [(b"b", OTHER)]
    assert states(ready) == {PEER.host: "refused", OTHER.host: "granted"}
    assert ready.client.explain().refused_hosts == (PEER.host,)
    assert ready.discards == {"peer_refused": 1}


def test_refused_host_without_peers_is_named_with_port_0(ready):
    ready.server.refused = {PEER.host}
    ready.client.create_permission(PEER.host, ready.now)
    ready.pump()
    assert ready.events == [PeerRefused(Address(PEER.host, 0), 403, "Forbidden", "not that one")]


def test_refused_peer_is_not_asked_for_again_until_a_while_later(ready):
    ready.server.refused = {PEER.host}
    ready.send()
    ready.advance(59)
    ready.send()
    assert len(ready.server.requests) == 1 and ready.discards == {"peer_refused": 2}
    ready.advance(1)
    ready.server.refused = set()
    ready.send(b"again")
    assert ready.server.relayed == [(b"again", PEER)]


def test_create_permission_asks_again_at_once(ready):
    ready.server.refused = {PEER.host}
    ready.send()
    ready.server.refused = set()
    ready.client.create_permission(PEER.host, ready.now)
    ready.pump()
    assert states(ready) == {PEER.host: "granted"}


@pytest.mark.parametrize(
    ("code", "name"), [(400, "Bad Request"), (443, "Peer Address Family Mismatch"), (508, "Insufficient Capacity")]
)
def test_other_refusals_are_named_too(ready, code, name):
    ready.server.errors[Method.CREATE_PERMISSION] = [(code, "so it is")]
    ready.send()
    assert ready.events == [PeerRefused(PEER, code, name, "so it is")]


def test_permission_that_is_not_answered_for_is_named_timeout(ready):
    ready.server.is_silent = True
    ready.send()
    ready.advance(39.5)
    assert ready.events == [PeerRefused(PEER, 0, "Timeout", "the server does not answer")]


@pytest.mark.proves("RFC8656-5-6-7ea3")
@pytest.mark.parametrize("verb", ["create_permission", "bind_channel"])
@pytest.mark.parametrize(("code", "reason"), [(437, "allocation_mismatch"), (441, "wrong_credentials")])
def test_answer_that_there_is_no_allocation_ends_the_client(ready, verb, code, reason):
    ready.server.errors = {method: [(code, "")] for method in (Method.CREATE_PERMISSION, Method.CHANNEL_BIND)}
    getattr(ready.client, verb)(PEER.host if verb == "create_permission" else PEER, ready.now)
    ready.pump()
    assert ready.terminated.reason == reason


@pytest.mark.parametrize("verb", ["create_permission", "bind_channel"])
def test_bad_request_makes_the_client_ask_whether_the_allocation_is_there(ready, verb):
    ready.server.errors = {method: [(400, "")] * 2 for method in (Method.CREATE_PERMISSION, Method.CHANNEL_BIND)}
    getattr(ready.client, verb)(PEER.host if verb == "create_permission" else PEER, ready.now)
    ready.pump()
    assert ready.server.requests[-1].method == Method.REFRESH and not ready.client.is_terminated
    ready.server.has_allocation = False
    ready.client.create_permission(OTHER.host, ready.now)
    ready.pump()
    assert ready.terminated.reason == "allocation_mismatch"


# --- permission timers


@pytest.mark.proves("RFC8445-7.2.1-4-3e4d")
def test_permission_is_refreshed_at_four_minutes_while_used(ready):
    ready.send()
    ready.server.requests.clear()
    for _ in range(4):
        ready.advance(239)
        assert not [m for m in ready.server.requests if m.method == Method.CREATE_PERMISSION]
        ready.send()
        ready.advance(1)
        assert [m.method for m in ready.server.requests].count(Method.CREATE_PERMISSION) == 1
        ready.server.requests.clear()


def test_permission_of_a_peer_that_only_sends_is_refreshed(ready):
    ready.client.create_permission(PEER.host, ready.now)
    ready.pump()
    for _ in range(10):
        ready.advance(100)
        assert ready.from_peer(b"x")


def test_permission_that_is_not_used_expires_and_is_asked_for_again_by_send(ready):
    ready.send()
    ready.advance(240)
    ready.server.requests.clear()
    ready.advance(301)  # unused for 541 s: the second refresh does not come
    assert states(ready) == {PEER.host: "none"}
    assert not [m for m in ready.server.requests if m.method == Method.CREATE_PERMISSION]
    ready.send(b"again")
    assert ready.server.relayed[-1] == (b"again", PEER) and states(ready) == {PEER.host: "granted"}


def test_permission_that_comes_into_use_before_it_expires_is_kept(ready):
    ready.send()
    ready.advance(485)  # at 480 it was found idle
    ready.send()
    ready.advance(30)
    assert states(ready) == {PEER.host: "granted"}


def test_permission_whose_refresh_is_not_answered_lasts_as_long_as_it_was_granted(ready):
    ready.send()
    ready.server.is_silent = True
    ready.advance(239)
    ready.from_peer(b"x")
    ready.advance(60)
    assert ready.take(DataReceived) and ready.from_peer(b"x")
    ready.advance(1)
    assert states(ready) == {PEER.host: "none"} and not ready.take(PeerRefused)


def test_permission_whose_refresh_is_refused_is_gone_at_once(ready):
    ready.send()
    ready.server.refused = {PEER.host}
    ready.advance(240)
    assert ready.events == [PeerRefused(PEER, 403, "Forbidden", "not that one")]
    assert ready.from_peer(b"x") == []


# --- channels


def test_channel_carries_data_both_ways_with_four_bytes(bound):
    bound.send(b"hello")
    (datagram,) = bound.sent
    assert parse_channel_data(datagram.data).data == b"hello" and len(datagram.data) == 9
    assert bound.server.relayed == [(b"hello", PEER)]
    assert bound.on_channel(0x4000, b"hi") == [DataReceived(b"hi", PEER, RELAYED)]
    assert bound.client.overhead_to(PEER, bound.now) == 4


def test_channel_binding_brings_the_permission_with_it(ready):
    ready.client.bind_channel(PEER, ready.now)
    ready.client.send(b"queued", PEER, ready.now)
    ready.pump()
    assert [m.method for m in ready.server.requests] == [Method.CHANNEL_BIND]
    assert ready.server.relayed == [(b"queued", PEER)] and states(ready) == {PEER.host: "granted"}


@pytest.mark.proves("RFC8656-12-3-ae5b")
def test_data_on_the_channel_may_overtake_the_answer(ready):
    ready.client.bind_channel(PEER, ready.now)
    assert ready.on_channel(0x4000, b"early") == [DataReceived(b"early", PEER, RELAYED)]


def test_send_indications_are_used_until_the_channel_stands(ready):
    ready.send(b"one")
    ready.client.bind_channel(PEER, ready.now)
    ready.client.send(b"two", PEER, ready.now)
    kinds = [d.data[0] >= 0x40 for d in ready.client.take_datagrams(ready.now)]
    assert kinds == [False, False]


@pytest.mark.proves("RFC8445-12.1-2-36b4")
def test_channel_is_bound_by_itself_where_it_pays(make_scene):
    scene = make_scene(channel_after=3)
    scene.allocated()
    for _ in range(3):
        scene.send()
    assert scene.take(ChannelBound) == [ChannelBound(PEER, 0x4000)]
    scene.send(b"last")
    assert scene.sent[-1].data == b"\x40\x00\x00\x04last"


def test_channel_is_never_bound_by_itself_where_it_is_not_wanted(make_scene):
    scene = make_scene(channel_after=None)
    scene.allocated()
    for _ in range(100):
        scene.send()
    assert scene.events == []


def test_bind_channel_twice_asks_once(bound):
    bound.client.bind_channel(PEER, bound.now)
    bound.pump()
    assert bound.server.requests == []


def test_channels_have_numbers_of_their_own_from_0x4000_on(ready):
    for peer in (PEER, SAME_HOST, OTHER):
        ready.client.bind_channel(peer, ready.now)
    ready.pump()
    assert [event.number for event in ready.take(ChannelBound)] == [0x4000, 0x4001, 0x4002]
    assert ready.on_channel(0x4001, b"x") == [DataReceived(b"x", SAME_HOST, RELAYED)]


def test_channel_is_bound_again_before_ten_minutes_while_used(bound):
    for _ in range(20):
        bound.advance(100)
        bound.send()
    rebinds = [m for m in bound.server.requests if m.method == Method.CHANNEL_BIND]
    assert [m.value(A.CHANNEL_NUMBER) for m in rebinds] == [0x4000] * 3
    assert all(d.data[0] >= 0x40 or parse_message(d.data).method != Method.SEND for d in bound.sent)
    assert bound.events == []


def test_channel_that_is_not_used_expires(bound):
    bound.advance(599)
    assert str(bound.client.explain().peers[0].channel) == "bound"
    bound.advance(1)
    (peer,) = bound.client.explain().peers
    assert (str(peer.channel), peer.channel_number) == ("none", 0x4000)
    assert bound.on_channel(0x4000, b"late") == [] and bound.discards == {"unknown_channel": 1}
    bound.send(b"again")
    assert bound.server.relayed[-1] == (b"again", PEER)
    assert parse_message(bound.sent[-1].data).method == Method.SEND


def test_expired_channel_is_bound_with_the_same_number(bound):
    bound.advance(700)
    bound.client.bind_channel(PEER, bound.now)
    bound.pump()
    assert bound.take(ChannelBound) == [ChannelBound(PEER, 0x4000)]


@pytest.mark.proves("RFC8656-12-2-cbda")
def test_number_and_peer_rest_for_five_minutes_after_the_channel(make_scene):
    scene = make_scene(peer_count_max=1)
    scene.allocated()
    scene.client.bind_channel(PEER, scene.now)
    scene.pump()
    scene.take(ChannelBound)
    scene.advance(899)
    with pytest.raises(LimitExceeded):
        scene.client.bind_channel(OTHER, scene.now)
    scene.advance(1)
    scene.server.channels.clear()
    scene.client.bind_channel(OTHER, scene.now)
    scene.pump()
    (event,) = scene.take(ChannelBound)
    assert event == ChannelBound(OTHER, 0x4001)  # numbers come round only after all others


def test_number_whose_binding_was_refused_rests_as_if_it_had_been_bound(make_scene):
    """The refusal may be of a request that was sent again, and the first one have done its work."""
    scene = make_scene(peer_count_max=1)
    scene.server.errors[Method.CHANNEL_BIND] = [(508, "")]
    scene.allocated()
    scene.client.bind_channel(PEER, scene.now)
    scene.pump()
    scene.advance(899)
    with pytest.raises(LimitExceeded):
        scene.client.bind_channel(OTHER, scene.now)
    scene.advance(1)
    scene.client.bind_channel(OTHER, scene.now)


@pytest.mark.proves("RFC8656-12-1-ef32")
def test_all_4096_numbers_are_used_before_one_comes_again(make_scene):
    scene = make_scene(peer_count_max=4096, request_window=1000)
    scene.allocated()
    peers = [Address(f"10.{i // 256}.{i % 256}.1", 4000) for i in range(4096)]
    for peer in peers:
        scene.client.bind_channel(peer, scene.now)
    scene.pump()
    assert [event.number for event in scene.take(ChannelBound)] == list(range(0x4000, 0x5000))
    with pytest.raises(LimitExceeded):
        scene.client.bind_channel(PEER, scene.now)


def test_channel_that_is_refused_leaves_the_peer_reachable(ready):
    ready.server.errors[Method.CHANNEL_BIND] = [(508, "too many")]
    ready.client.bind_channel(PEER, ready.now)
    ready.client.send(b"queued", PEER, ready.now)
    ready.pump()
    assert ready.events == [ChannelRefused(PEER, 508, "Insufficient Capacity", "too many")]
    assert ready.server.relayed == [(b"queued", PEER)]
    ready.send(b"more")
    assert ready.server.relayed[-1] == (b"more", PEER)


def test_channel_refusal_that_is_about_the_peer_refuses_the_peer(ready):
    ready.server.refused = {PEER.host}
    ready.client.bind_channel(PEER, ready.now)
    ready.pump()
    assert ready.events == [PeerRefused(PEER, 403, "Forbidden", "not that one")]
    assert [m.method for m in ready.server.requests] == [Method.CHANNEL_BIND]


def test_channel_whose_renewal_is_refused_goes_back_to_send_indications(bound):
    bound.server.errors[Method.CHANNEL_BIND] = [(400, "out of step")]
    bound.advance(300)
    bound.send()
    bound.advance(240)
    assert bound.take(ChannelRefused) == [ChannelRefused(PEER, 400, "Bad Request", "out of step")]
    bound.send(b"still")
    assert bound.server.relayed[-1] == (b"still", PEER)
    assert parse_message(bound.sent[-1].data).method == Method.SEND


def test_channel_whose_renewal_is_not_answered_lasts_as_long_as_it_was_granted(make_scene):
    scene = make_scene()
    scene.server.lifetime_s = 3600  # so that the allocation itself asks for nothing
    scene.allocated()
    scene.client.bind_channel(PEER, scene.now)
    scene.pump()
    scene.take(ChannelBound)
    scene.advance(530)
    scene.send()
    scene.server.is_silent = True
    scene.advance(60)
    scene.send()
    assert scene.sent[-1].data[0] == 0x40
    scene.advance(10)
    assert str(scene.client.explain().peers[0].channel) == "none"


def test_refused_channel_is_tried_again_after_a_while(make_scene):
    scene = make_scene(channel_after=1)
    scene.server.errors[Method.CHANNEL_BIND] = [(508, "")]
    scene.allocated()
    scene.send()
    assert scene.take(ChannelRefused)
    scene.send()
    assert scene.events == []
    scene.advance(60)
    scene.send()
    assert scene.take(ChannelBound)


# --- limits and misuse


def test_queue_is_bounded_in_datagrams_and_bytes(make_scene):
    for changes, fitting in (({"queued_datagram_count_max": 3}, 3), ({"queued_bytes_max": 25}, 2)):
        scene = make_scene(**changes)
        scene.allocated()
        for index in range(5):
            scene.client.send(b"%010d" % index, PEER, scene.now)
        scene.pump()
        assert len(scene.server.relayed) == fitting
        assert scene.discards == {"queue_full": 5 - fitting}
        scene.client.send(b"%010d" % 9, OTHER, scene.now)
        scene.pump()
        assert len(scene.server.relayed) == fitting + 1


def test_peers_are_bounded(make_scene):
    scene = make_scene(peer_count_max=2)
    scene.allocated()
    scene.send(b"1", PEER)
    scene.send(b"2", SAME_HOST)
    with pytest.raises(LimitExceeded):
        scene.client.send(b"3", OTHER, scene.now)
    scene.client.create_permission(OTHER.host, scene.now)
    with pytest.raises(LimitExceeded):
        scene.client.create_permission("198.51.100.99", scene.now)
    scene.pump()
    scene.advance(601)
    scene.send(b"4", Address("198.51.100.99", 1))
    assert scene.server.relayed[-1][0] == b"4"


def test_requests_under_way_are_bounded_and_the_rest_wait(make_scene):
    scene = make_scene(request_window=2)
    scene.allocated()
    for index in range(10):
        scene.client.create_permission(f"198.51.100.{index}", scene.now)
    assert len(scene.client.take_datagrams(scene.now)) == 2
    assert scene.client.explain().pending == ("permission",) * 10
    scene.advance(1)
    assert len(scene.server.permissions) == 10


@pytest.mark.proves("RFC8656-12.1-1-e479")
@pytest.mark.parametrize(
    "peer",
    [
        PEER6,
        Address("peer.example", 1),
        Address("fe80::1%eth0", 1),
        Address("", 1),
        Address("1.2.3.4", 70000),
        Address("1.2.3.4", -1),
    ],
)
def test_peer_that_cannot_be_relayed_to_is_the_callers_fault(ready, peer):
    for call in (
        lambda: ready.client.send(b"", peer, ready.now),
        lambda: ready.client.bind_channel(peer, ready.now),
    ):
        with pytest.raises(InvalidArgument):
            call()
    assert ready.client.explain().peers == () and ready.client.take_datagrams(ready.now) == ()


@pytest.mark.proves("RFC8656-10.1-2-f231")
def test_host_that_cannot_be_permitted_is_the_callers_fault(ready):
    for host in (PEER6.host, "peer.example", "fe80::1%eth0"):
        with pytest.raises(InvalidArgument):
            ready.client.create_permission(host, ready.now)
    assert ready.client.explain().permissions == ()


def test_more_data_than_a_message_holds_are_refused(bound):
    for peer in (PEER, OTHER):
        with pytest.raises(InvalidArgument):
            bound.client.send(bytes(DATA_BYTES_MAX + 1), peer, bound.now)
    bound.send(bytes(DATA_BYTES_MAX), PEER)
    bound.send(bytes(DATA_BYTES_MAX), SAME_HOST)
    assert [len(data) for data, _ in bound.server.relayed] == [DATA_BYTES_MAX] * 2


def test_nothing_is_relayed_before_there_is_an_allocation_or_after_close(scene, ready):
    ready.client.close(ready.now)
    for client in (scene.client, ready.client):
        for verb in (
            lambda client=client: client.send(b"", PEER, 1000.0),
            lambda client=client: client.create_permission(PEER.host, 1000.0),
            lambda client=client: client.bind_channel(PEER, 1000.0),
        ):
            with pytest.raises(InvalidState):
                verb()


def test_connections_are_for_relays_of_tcp(ready):
    with pytest.raises(InvalidState):
        ready.client.connect(PEER, ready.now)


def test_burst_is_taken_as_one_by_one(bound):
    data = [b"\x40\x00\x00\x01%d" % index for index in range(5)]
    bound.client.receive_many([Datagram(item, bound.client.path) for item in data], bound.now)
    assert [event.data for event in bound.client.take_events()] == [b"0", b"1", b"2", b"3", b"4"]


def test_explain_changes_nothing(bound):
    bound.send()
    before = bound.client.explain()
    assert bound.client.explain() == before and bound.client.take_datagrams(bound.now) == ()
