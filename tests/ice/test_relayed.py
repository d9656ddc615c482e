"""Relayed candidates by hand: what a TURN server, or somebody who plays one, can and cannot do to an agent."""

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.ice import (
    CandidateError,
    CandidateType,
    GatheringState,
    IceConfig,
    LocalCandidate,
    ResolveName,
    StunServer,
    TcpPolicy,
    TransportPolicy,
    TurnServer,
)
from sans_rtc.machine import Address, Datagram, Path, Terminated
from sans_rtc.streams import StreamNeeded, StreamUnneeded
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.integrity import long_term_key
from sans_rtc.stun.values import ErrorCode
from sans_rtc.stun.wire import (
    Attribute,
    Message,
    MessageClass,
    Method,
    parse_message,
    serialize_message,
    success_response,
)
from sans_rtc.turn import serialize_channel_data

SERVER = Address("192.0.2.50", 3478)
RELAYED = Address("192.0.2.50", 60_000)
MAPPED = Address("203.0.113.9", 40_001)
HERE = Address("10.0.0.1", 1111)
TO_SERVER = Path(HERE, SERVER)
PEER = Address("10.0.0.2", 2222)
STRANGER = Address("198.51.100.66", 6666)
NONCE = b"nonce"
KEY = long_term_key("user", "realm", "password")
A = AttributeType


def turn_server(host=SERVER.host, port=SERVER.port, transport="udp", **more):
    return TurnServer(host, port, "user", "password", transport, **more)


@pytest.fixture
def hand(make_hand):
    """An agent that has its relayed address, and a peer by hand behind the relay."""
    hand = make_hand(turn_servers=(turn_server(),), transport_policy=TransportPolicy.RELAY)
    hand.meet()
    allocate(hand)
    return hand


def of_method(datagrams, method, kind=MessageClass.REQUEST):
    found = []
    for datagram in datagrams:
        if datagram.path == TO_SERVER and datagram.data[0] < 4:
            message = parse_message(datagram.data)
            if (message.method, message.message_class) == (method, kind):
                found.append(message)
    return found


def reply(hand, message, *attributes, code=0, path=TO_SERVER, key=KEY):
    """The server's answer to a request of the agent; returns what the agent says then."""
    if code:
        challenge = [Attribute(A.REALM, "realm"), Attribute(A.NONCE, NONCE)] if code in (401, 438) else []
        answer = Message(
            MessageClass.ERROR_RESPONSE,
            message.method,
            message.transaction_id,
            [Attribute(A.ERROR_CODE, ErrorCode(code, "no way")), *challenge],
        )
        key = None if code in (401, 438) else key
    else:
        answer = success_response(message, list(attributes))
    return hand.receive(Datagram(serialize_message(answer, key=key), path))


def allocate(hand, *, path=TO_SERVER, relayed=RELAYED):
    (first,) = of_method(hand.sent, Method.ALLOCATE)
    (second,) = of_method(reply(hand, first, code=401), Method.ALLOCATE)
    return reply(
        hand,
        second,
        Attribute(A.XOR_RELAYED_ADDRESS, relayed),
        Attribute(A.XOR_MAPPED_ADDRESS, MAPPED),
        Attribute(A.LIFETIME, 600),
        path=path,
    )


def permit(hand):
    """Grant what the agent has asked for; returns what it says then."""
    (request,) = of_method(hand.sent, Method.CREATE_PERMISSION)
    return reply(hand, request)


def indication(data, peer=PEER):
    message = Message(
        MessageClass.INDICATION, Method.DATA, bytes(12), [Attribute(A.XOR_PEER_ADDRESS, peer), Attribute(A.DATA, data)]
    )
    return Datagram(serialize_message(message), TO_SERVER)


def relayed_by(datagrams):
    """What the agent has sent through the relay: (peer, data)."""
    sends = of_method(datagrams, Method.SEND, MessageClass.INDICATION)
    return [(message.value(A.XOR_PEER_ADDRESS), message.value(A.DATA)) for message in sends]


def told(hand):
    return [event.candidate for event in hand.of(LocalCandidate)]


# --- candidates -------------------------------------------------------------------------------------------------------


@pytest.mark.proves("RFC8445-5.1.1.2-1-5520")
def test_relayed_candidate(make_hand):
    hand = make_hand(turn_servers=(turn_server(),)).meet(candidate=False)
    allocate(hand)
    relay, reflexive = told(hand)[1:]
    assert (relay.type, relay.address, relay.related_address) == (CandidateType.RELAYED, RELAYED, MAPPED)
    assert relay.priority >> 24 == 0
    assert (reflexive.type, reflexive.address, reflexive.related_address) == ("srflx", MAPPED, HERE)
    assert hand.agent.gathering_state is GatheringState.COMPLETE


@pytest.mark.proves("ICE-SDP-5.1-7-ca7b", "ICE-SDP-5.1-9-084a", "ICE-SDP-9.1-1-084a")
def test_relay_only_hides_the_mapped_address(hand):
    (candidate,) = told(hand)
    assert (candidate.type, candidate.address, candidate.related_address) == ("relay", RELAYED, ("0.0.0.0", 9))


@pytest.mark.parametrize("relayed", [Address("0.0.0.0", 5), Address("224.0.0.1", 5), Address("192.0.2.50", 0)])
def test_relayed_address_that_cannot_be_one_is_left_out(make_hand, relayed):
    hand = make_hand(turn_servers=(turn_server(),), transport_policy=TransportPolicy.RELAY).meet()
    allocate(hand, relayed=relayed)
    assert told(hand) == []


@pytest.mark.proves("RFC8445-5.1.2.2-3-63d8")
def test_udp_ranks_before_tcp_before_tls_and_all_below_every_other_type(make_hand):
    servers = (turn_server(transport="tls"), turn_server(transport="tcp"), turn_server())
    hand = make_hand(turn_servers=servers).meet()
    agent = hand.agent
    hand.wait(0.2)
    relays = {relay.server.transport: relay for relay in agent._gatherer.relayed.relays}
    assert relays["udp"].local_preference > relays["tcp"].local_preference > relays["tls"].local_preference


def test_one_client_per_socket_over_udp_and_per_host_over_streams(make_hand):
    hand = make_hand(turn_servers=(turn_server(), turn_server(transport="tcp")))
    for port in (1, 2, 3):
        hand.agent.add_local_address(Address("10.0.0.1", port), "eth0", hand.now)
    hand.agent.add_local_address(Address("10.0.0.7", 1), "eth1", hand.now)
    hand.wait(1.0)
    assert len(hand.of(StreamNeeded)) == 2
    assert len({datagram.path.local for datagram in hand.sent if datagram.path.remote == SERVER}) == 4


def test_allocations_are_bounded(make_hand):
    hand = make_hand(turn_servers=(turn_server(),), relay_count_max=2)
    for port in range(1, 6):
        hand.agent.add_local_address(Address("10.0.0.1", port), "eth0", hand.now)
    hand.wait(1.0)
    assert len({datagram.path.local for datagram in hand.sent}) == 2
    assert [error.reason for error in hand.of(CandidateError)] == ["relay_count_max is reached"] * 3


def test_two_servers_of_one_address_are_one_and_an_error(make_hand):
    hand = make_hand(turn_servers=(turn_server(), turn_server())).meet()
    hand.wait(0.2)
    assert ["same address" in error.reason for error in hand.of(CandidateError)] == [True]


def test_servers_of_another_ip_version_are_not_asked(make_hand):
    hand = make_hand(turn_servers=(turn_server("2001:db8::1"),)).meet()
    assert hand.agent.explain().relays == ()
    assert hand.agent.gathering_state is GatheringState.COMPLETE


def test_name_of_a_server_is_resolved_first(make_hand):
    hand = make_hand(turn_servers=(turn_server("turn.example"),), stun_servers=(StunServer("turn.example"),)).meet()
    assert [event.name for event in hand.of(ResolveName)] == ["turn.example"]
    assert hand.agent.gathering_state is GatheringState.GATHERING
    hand.agent.name_resolved("turn.example", [SERVER.host], hand.now)
    hand.drain()
    assert {datagram.path for datagram in hand.sent} >= {TO_SERVER}
    allocate(hand)
    assert "relay" in {candidate.type for candidate in told(hand)}


def test_name_that_does_not_resolve_is_an_error(make_hand):
    hand = make_hand(turn_servers=(turn_server("turn.example"),)).meet()
    hand.agent.name_resolved("turn.example", [], hand.now)
    hand.drain()
    (error,) = hand.of(CandidateError)
    assert (error.code, error.address, error.reason) == (701, None, "the name is not resolved")
    assert hand.agent.gathering_state is GatheringState.COMPLETE


def test_stun_and_turn_server_at_one_address_are_told_apart(make_hand):
    """Both answer on the same path; Binding is ours, all other methods the TURN client's."""
    hand = make_hand(turn_servers=(turn_server(),), stun_servers=(StunServer(SERVER.host, SERVER.port),)).meet()
    hand.wait(0.1)
    (binding,) = of_method(hand.sent, Method.BINDING)[:1]
    allocate(hand)
    other = Address("203.0.113.9", 40_002)
    answer = success_response(binding, [Attribute(A.XOR_MAPPED_ADDRESS, other)])
    hand.receive(Datagram(serialize_message(answer, fingerprint=True), TO_SERVER))
    assert {candidate.address for candidate in told(hand) if candidate.type == "srflx"} == {MAPPED, other}


def test_lite_agent_asks_no_turn_server(make_hand):
    hand = make_hand(turn_servers=(turn_server(),), is_lite=True).meet()
    hand.wait(1.0)
    assert of_method(hand.sent, Method.ALLOCATE) == []


def test_silent_server_fails_in_the_time_configured(make_hand):
    hand = make_hand(turn_servers=(turn_server(),), relay_timeout_s=3.0).meet()
    hand.wait(2.9)
    assert hand.of(CandidateError) == []
    hand.wait(0.2)
    assert [(error.code, error.reason) for error in hand.of(CandidateError)] == [(701, "no answer")]


@pytest.mark.parametrize(("code", "name"), [(403, "Forbidden"), (486, "Allocation Quota Reached"), (508, "Capacity")])
def test_refusal_is_told_by_code_name_and_reason(make_hand, code, name):
    hand = make_hand(turn_servers=(turn_server(),)).meet()
    (first,) = of_method(hand.sent, Method.ALLOCATE)
    (second,) = of_method(reply(hand, first, code=401), Method.ALLOCATE)
    reply(hand, second, code=code)
    (error,) = hand.of(CandidateError)
    assert error.code == code
    assert name in error.reason
    assert "no way" in error.reason


def test_alternate_server_is_followed(make_hand):
    hand = make_hand(turn_servers=(turn_server(),)).meet()
    (first,) = of_method(hand.sent, Method.ALLOCATE)
    (second,) = of_method(reply(hand, first, code=401), Method.ALLOCATE)
    other = Address("192.0.2.51", 3478)
    answer = Message(
        MessageClass.ERROR_RESPONSE,
        second.method,
        second.transaction_id,
        [Attribute(A.ERROR_CODE, ErrorCode(300, "there")), Attribute(A.ALTERNATE_SERVER, other)],
    )
    said = hand.receive(Datagram(serialize_message(answer, key=KEY), TO_SERVER))
    assert [datagram.path.remote for datagram in said] == [other]
    (relay,) = hand.agent.explain().relays
    assert relay.path.remote == other


# --- permissions and data ---------------------------------------------------------------------------------------------


@pytest.mark.proves("RFC8445-7.2.1-1-b574", "RFC8445-7.2.1-2-5420")
def test_permission_for_each_host_paired_is_asked_for_before_the_checks(hand):
    (request,) = of_method(hand.sent, Method.CREATE_PERMISSION)
    assert request.value(A.XOR_PEER_ADDRESS).host == PEER.host
    assert relayed_by(hand.sent) == []
    ((peer, check),) = relayed_by(permit(hand))
    assert peer == PEER
    assert parse_message(check).method == Method.BINDING


def test_permission_does_not_wait_for_the_pace_of_checks(make_hand):
    hand = make_hand(turn_servers=(turn_server(),), transport_policy=TransportPolicy.RELAY, check_pace_s=5.0).meet()
    allocate(hand)
    other = Address("10.0.0.3", 3333)
    hand.agent.add_remote_candidate(hand.candidate(other, foundation="other"), hand.now)
    hand.drain()
    asked = [message.value(A.XOR_PEER_ADDRESS).host for message in of_method(hand.sent, Method.CREATE_PERMISSION)]
    assert asked == [PEER.host, other.host]


def connect(hand):
    """Bring the agent to a selected pair over the relay."""
    (check,) = relayed_by(permit(hand))
    said = hand.receive(indication(response_to(hand, check[1])))
    ((_, nomination),) = relayed_by(said)
    hand.receive(indication(response_to(hand, nomination)))
    assert hand.agent.state in ("connected", "completed")
    return hand


def response_to(hand, data):
    """The peer's answer to a check that has come through the relay."""
    return hand.response(Datagram(data, Path(RELAYED, PEER)), mapped=RELAYED).data


def test_data_travel_through_the_relay_and_only_real_paths_are_seen(hand):
    connect(hand)
    assert hand.agent.selected_path == Path(RELAYED, PEER)
    hand.agent.send(b"\x17out", hand.now)
    assert relayed_by(hand.drain()) == [(PEER, b"\x17out")]
    hand.receive(indication(b"\x17in"))
    assert [(event.data, event.path) for event in hand.of(Datagram)] == [(b"\x17in", Path(RELAYED, PEER))]
    assert {datagram.path for datagram in hand.sent} == {TO_SERVER}


def test_burst_through_the_relay_is_as_one_by_one(hand):
    connect(hand)
    burst = [indication(b"\x17%d" % number) for number in range(5)]
    burst.insert(2, Datagram(b"\x17no relay", Path(HERE, STRANGER)))
    burst.insert(3, indication(b"\x17other", STRANGER))
    hand.agent.receive_many(burst, hand.now)
    hand.drain()
    assert [event.data for event in hand.of(Datagram)] == [b"\x17%d" % number for number in range(5)]


def test_check_of_the_peer_through_the_relay_is_answered_through_it(hand):
    permit(hand)
    said = relayed_by(hand.receive(indication(hand.request(path=Path(RELAYED, PEER)).data)))
    answer = parse_message(said[0][1])
    assert (said[0][0], answer.message_class) == (PEER, MessageClass.SUCCESS_RESPONSE)
    assert answer.value(A.XOR_MAPPED_ADDRESS) == PEER


# --- what must not happen ---------------------------------------------------------------------------------------------


def test_check_from_an_unknown_over_the_relay_gets_nothing_without_a_permission(hand):
    permit(hand)
    request = hand.request(path=Path(RELAYED, STRANGER), pwd="w" * 22)
    assert relayed_by(hand.receive(indication(request.data, STRANGER))) == []
    assert len(hand.agent.explain().pairs) == 1


def test_check_with_a_wrong_password_over_the_relay_makes_no_pair(hand):
    permit(hand)
    other = Address(PEER.host, 9)  # its host is permitted, so the server lets it in
    said = relayed_by(hand.receive(indication(hand.request(pwd="w" * 22).data, other)))
    assert [parse_message(data).value(A.ERROR_CODE).code for _, data in said] == [401]
    assert len(hand.agent.explain().pairs) == 1


def test_relayed_datagram_of_a_peer_without_permission_does_not_come_out(hand):
    connect(hand)
    hand.receive(indication(b"\x17evil", STRANGER))
    assert hand.of(Datagram) == []


def test_payload_of_a_permitted_host_that_has_proven_nothing_does_not_come_out(hand):
    connect(hand)
    hand.receive(indication(b"\x17evil", Address(PEER.host, 9)))
    assert hand.of(Datagram) == []
    assert hand.agent.stats.discards["unknown_source"] == 1


def test_channel_data_for_an_unknown_channel_does_not_come_out(hand):
    connect(hand)
    hand.receive(Datagram(serialize_channel_data(0x4001, b"\x17evil", pad=False), TO_SERVER))
    assert hand.of(Datagram) == []


@pytest.mark.parametrize("data", [b"", b"\x40", b"\x40\x00\xff\xff", b"\x17raw", b"\x00\x01", bytes(20), b"\xff" * 40])
def test_garbage_from_the_server_does_nothing(hand, data):
    connect(hand)
    hand.receive(Datagram(data, TO_SERVER))
    assert hand.of(Datagram) == []
    assert hand.agent.can_send


def test_datagram_that_claims_to_have_come_to_the_relayed_address_is_no_way_in(hand):
    """No socket of ours has that address; a driver never says so. Even then nothing comes out unproven."""
    permit(hand)
    hand.receive(Datagram(b"\x17evil", Path(RELAYED, STRANGER)))
    assert hand.of(Datagram) == []


def test_answers_of_a_stranger_do_not_allocate(make_hand):
    hand = make_hand(turn_servers=(turn_server(),)).meet()
    (first,) = of_method(hand.sent, Method.ALLOCATE)
    (second,) = of_method(reply(hand, first, code=401), Method.ALLOCATE)
    attributes = (Attribute(A.XOR_RELAYED_ADDRESS, STRANGER), Attribute(A.XOR_MAPPED_ADDRESS, STRANGER))
    attributes = (*attributes, Attribute(A.LIFETIME, 600))
    reply(hand, second, *attributes, key=b"wrong" * 4)
    reply(hand, second, *attributes, path=Path(HERE, STRANGER))
    assert {candidate.type for candidate in told(hand)} == {"host"}


def test_binding_request_on_the_servers_path_gets_no_answer_where_only_relays_count(hand):
    path = TO_SERVER
    assert hand.receive(hand.request(path=path)) == []
    assert hand.agent.stats.discards["not_relayed"] == 1


def test_relay_only_asks_no_stun_server_and_opens_no_tcp_of_its_own(make_hand):
    hand = make_hand(
        turn_servers=(turn_server(),),
        stun_servers=(StunServer("192.0.2.2"),),
        transport_policy=TransportPolicy.RELAY,
        tcp=TcpPolicy(active=True, passive=True),
    ).meet()
    hand.agent.add_tcp_listener(Address("10.0.0.1", 7), "eth0", hand.now)
    hand.wait(1.0)
    assert {datagram.path.remote for datagram in hand.sent} == {SERVER}
    assert told(hand) == []


# --- the end ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["close", "abort"])
def test_end_sends_what_was_sent_then_the_refresh_of_zero_and_waits_for_nothing(hand, verb):
    connect(hand)
    hand.agent.send(b"\x17last", hand.now)
    getattr(hand.agent, verb)(hand.now)
    said = hand.drain()
    assert relayed_by(said[:1]) == [(PEER, b"\x17last")]
    (refresh,) = of_method(said[1:], Method.REFRESH)
    assert refresh.value(A.LIFETIME) == 0
    assert isinstance(hand.events[-1], Terminated)
    assert hand.wait(60.0) == []


def test_stream_of_a_relay_is_unneeded_at_the_end(make_hand):
    hand = make_hand(turn_servers=(turn_server(transport="tcp"),)).meet()
    (needed,) = hand.of(StreamNeeded)
    hand.agent.stream_opened(needed.path, hand.now)
    assert [datagram.path for datagram in hand.drain()] == [needed.path]
    hand.agent.close(hand.now)
    hand.drain()
    assert [event.path for event in hand.of(StreamUnneeded)] == [needed.path]
    assert isinstance(hand.events[-1], Terminated)


def test_stream_whose_server_says_nothing_is_closed_once(make_hand):
    hand = make_hand(turn_servers=(turn_server(transport="tcp"),), relay_timeout_s=3.0).meet()
    (needed,) = hand.of(StreamNeeded)
    hand.agent.stream_opened(needed.path, hand.now)
    hand.wait(10.0)
    assert [event.path for event in hand.of(StreamUnneeded)] == [needed.path]
    assert [error.reason for error in hand.of(CandidateError)] == ["no answer"]


def test_what_was_sent_through_a_relay_that_is_gone_stays_here(hand):
    connect(hand)
    hand.agent.send(b"\x17late", hand.now)
    hand.agent.remove_local_address(HERE, hand.now)
    assert [datagram for datagram in hand.drain() if datagram.path.local != HERE] == []


def test_relay_over_a_stream_gives_no_reflexive_candidate(make_hand):
    """Where a TCP connection comes from says nothing of where datagrams of a UDP socket come from."""
    hand = make_hand(turn_servers=(turn_server(transport="tcp"),)).meet(candidate=False)
    (needed,) = hand.of(StreamNeeded)
    hand.agent.stream_opened(needed.path, hand.now)
    (first,) = [parse_message(datagram.data) for datagram in hand.drain()]
    (second,) = [parse_message(datagram.data) for datagram in reply(hand, first, code=401, path=needed.path)]
    allocated = (Attribute(A.XOR_RELAYED_ADDRESS, RELAYED), Attribute(A.XOR_MAPPED_ADDRESS, MAPPED))
    reply(hand, second, *allocated, Attribute(A.LIFETIME, 600), path=needed.path)
    assert [candidate.type for candidate in told(hand)] == ["host", "relay"]


def test_stream_that_fails_fails_its_relay_and_is_not_closed_again(make_hand):
    hand = make_hand(turn_servers=(turn_server(transport="tls"),)).meet()
    (needed,) = hand.of(StreamNeeded)
    hand.agent.stream_closed(needed.path, "certificate verify failed", hand.now)
    hand.drain()
    (error,) = hand.of(CandidateError)
    assert error.code == 701
    assert "certificate verify failed" in error.reason
    assert hand.of(StreamUnneeded) == []


def test_release_while_another_pair_is_selected(make_hand):
    hand = make_hand(turn_servers=(turn_server(),), relay_release_after_s=2.0).meet()
    allocate(hand)
    answered, end = set(), hand.now + 6.0
    hand.agent.end_of_remote_candidates(hand.now)
    while hand.now < end:
        for check in [d for d in hand.sent if d.path == hand.path and d.data not in answered and d.data[0] == 0]:
            answered.add(check.data)
            hand.receive(hand.response(check))
        hand.wait(0.05)
    (refresh,) = of_method(hand.sent, Method.REFRESH)[:1]
    assert refresh.value(A.LIFETIME) == 0
    assert [str(relay.state) for relay in hand.agent.explain().relays] == ["released"]


# --- configuration ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": "no host!"},
        {"port": 0},
        {"transport": "sctp"},
        {"families": (5,)},
        {"families": ()},
        {"username": "u" * 600, "password": "p"},
    ],
)
def test_turn_server_that_cannot_be_is_refused(wrong):
    with pytest.raises(InvalidArgument):
        TurnServer(**{"host": "192.0.2.1", "port": 3478, "username": "u", "password": "p", **wrong})


@pytest.mark.parametrize(
    "wrong",
    [
        {"turn_servers": (TurnServer("192.0.2.1"),) * 16},
        {"relay_timeout_s": 0.0},
        {"relay_release_after_s": -1.0},
        {"relay_count_max": 0},
    ],
)
def test_configuration_that_cannot_be_is_refused(wrong):
    with pytest.raises(InvalidArgument):
        IceConfig(**wrong)


@pytest.mark.parametrize(
    "wrong", [{"stream_count_max": 0}, {"accepted_count_max": 0}, {"open_timeout_s": 0}, {"frame_bytes_max": 100}]
)
def test_tcp_policy_that_cannot_be_is_refused(wrong):
    with pytest.raises(InvalidArgument):
        TcpPolicy(**wrong)


def test_password_is_not_in_what_is_shown(hand):
    shown = repr(turn_server()) + str(turn_server()) + repr(hand.agent.explain()) + repr(hand.events)
    assert "password" not in shown
    assert str(turn_server(transport="tls", port=5349)) == "turns:192.0.2.50:5349?transport=tcp"
