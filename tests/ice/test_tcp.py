"""TCP candidates: active and passive, connections when checks are due, strangers kept out (RFC 6544, RFC 4571)."""

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.ice import (
    CandidateType,
    IceConfig,
    LocalCandidate,
    Role,
    TcpPolicy,
    TransportPolicy,
    parse_candidate,
)
from sans_rtc.ice.framing import serialize_frame
from sans_rtc.ice.stats import DiscardReason
from sans_rtc.ice.tcp import tcp_candidate_priority
from sans_rtc.machine import Address, Datagram, Path, Terminated
from sans_rtc.streams import StreamNeeded, StreamUnneeded
from sans_rtc.testing import Firewall, LinkConditions

BOTH = TcpPolicy(active=True, passive=True)
LISTENER = Address("10.0.0.1", 7000)
PASSIVE = Address("10.0.0.2", 7777)
UDP_PEER = Address("10.0.1.9", 1009)
CALLER = Address("10.0.0.2", 50123)


def told(hand):
    return [event.candidate for event in hand.of(LocalCandidate)]


def of_tcp(hand, tcp_type):
    return [candidate for candidate in told(hand) if candidate.tcp_type == tcp_type]


def passive_candidate(address=PASSIVE, foundation="9"):
    return parse_candidate(
        f"candidate:{foundation} 1 tcp 1518280447 {address.host} {address.port} typ host tcptype passive"
    )


def needed(hand):
    return [event.path for event in hand.of(StreamNeeded)]


def unneeded(hand):
    return [event.path for event in hand.of(StreamUnneeded)]


def inner(path):
    """The path of the whole datagrams on a connection of ours, as checks have it."""
    return Path(Address(path.local.host, 9), path.remote, "tcp", -1)


def framed(datagram, path):
    return Datagram(serialize_frame(datagram.data), path)


# --- candidates -------------------------------------------------------------------------------------------------------


def test_nothing_is_done_over_tcp_by_default(make_hand):
    hand = make_hand().meet()
    hand.agent.add_tcp_listener(LISTENER, "eth0", hand.now)
    hand.agent.add_remote_candidate(passive_candidate(), hand.now)
    hand.wait(5.0)
    assert [candidate.protocol for candidate in told(hand)] == ["udp"]
    assert needed(hand) == []
    assert hand.agent.stats.discards[DiscardReason.REMOTE_CANDIDATE_UNUSABLE] == 1


def test_active_candidate_has_port_9_and_one_is_told_for_each_host(make_hand):
    hand = make_hand(tcp=TcpPolicy(active=True)).meet()
    hand.agent.add_local_address(Address(hand.local.host, 1112), "eth0", hand.now)
    hand.agent.add_local_address(Address("10.0.0.9", 1113), "eth0", hand.now)
    hand.drain()
    assert [str(candidate.address) for candidate in of_tcp(hand, "active")] == ["10.0.0.1:9", "10.0.0.9:9"]
    assert {candidate.type for candidate in of_tcp(hand, "active")} == {CandidateType.HOST}


def test_listener_becomes_a_passive_candidate(make_hand):
    hand = make_hand(tcp=TcpPolicy(passive=True)).meet()
    hand.agent.add_tcp_listener(LISTENER, "eth0", hand.now)
    hand.drain()
    (candidate,) = of_tcp(hand, "passive")
    assert candidate.address == LISTENER
    assert of_tcp(hand, "active") == []


def test_listener_may_have_the_address_of_a_udp_socket(make_hand):
    hand = make_hand(tcp=TcpPolicy(passive=True)).meet()
    hand.agent.add_tcp_listener(hand.local, "eth0", hand.now)
    hand.drain()
    assert {(candidate.protocol, candidate.address) for candidate in told(hand)} == {
        ("udp", hand.local),
        ("tcp", hand.local),
    }


def test_listener_that_is_no_address_is_refused(make_hand):
    hand = make_hand(tcp=BOTH)
    with pytest.raises(InvalidArgument):
        hand.agent.add_tcp_listener(Address("here", 1), "eth0", hand.now)
    with pytest.raises(InvalidArgument):
        hand.agent.add_tcp_listener(Address("10.0.0.1", 0), "eth0", hand.now)


def test_filters_hold_for_listeners_too(make_hand):
    hand = make_hand(tcp=BOTH)
    hand.agent.add_tcp_listener(Address("127.0.0.1", 7000), "lo", hand.now)
    hand.drain()
    assert told(hand) == []
    assert Address("127.0.0.1", 7000) in dict(hand.agent.explain().filtered)


@pytest.mark.parametrize(("tcp_type", "direction"), [("active", 6), ("passive", 4)])
def test_priority_has_the_direction_above_the_address(tcp_type, direction):
    """RFC 6544 section 4.2: local preference = 2**13 * direction preference + other preference."""
    priority = tcp_candidate_priority(CandidateType.HOST, tcp_type, 65535)
    assert priority == (90 << 24) + ((direction * 8192 + 8191) << 8) + 255
    assert tcp_candidate_priority(CandidateType.HOST, tcp_type, 65519) < priority


def test_udp_ranks_above_tcp_of_the_same_type(make_hand):
    hand = make_hand(tcp=BOTH).meet()
    hand.agent.add_tcp_listener(LISTENER, "eth0", hand.now)
    hand.drain()
    ranked = sorted(told(hand), key=lambda candidate: -candidate.priority)
    assert [candidate.tcp_type for candidate in ranked] == [None, "active", "passive"]


# --- pairs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "candidate:9 1 tcp 1518280447 10.0.0.2 9 typ host tcptype active",
        "candidate:9 1 tcp 1518280447 10.0.0.2 7777 typ host tcptype so",
        "candidate:9 1 tcp 1518280447 10.0.0.2 7777 typ host",
        "candidate:9 1 tcp 1518280447 10.0.0.2 0 typ host tcptype passive",
    ],
)
def test_only_passive_candidates_are_connected_to(make_hand, line):
    hand = make_hand(tcp=BOTH).meet()
    hand.agent.add_remote_candidate(parse_candidate(line), hand.now)
    hand.wait(5.0)
    assert needed(hand) == []
    assert {pair.path.protocol for pair in hand.agent.explain().pairs} == {"udp"}


def test_candidates_of_browsers_are_kept_where_they_may_connect_to_us(make_hand):
    hand = make_hand(tcp=TcpPolicy(passive=True)).meet()
    line = "candidate:9 1 tcp 1518280447 10.0.0.2 9 typ host tcptype active generation 0 network-id 1"
    hand.agent.add_remote_candidate(parse_candidate(line), hand.now)
    assert [candidate.tcp_type for candidate in hand.agent.explain().remote_candidates] == [None, "active"]


def test_udp_and_tcp_candidates_of_the_same_address_are_two(make_hand):
    hand = make_hand(tcp=BOTH).meet()
    hand.agent.add_remote_candidate(passive_candidate(hand.remote), hand.now)
    assert sorted(pair.path.protocol for pair in hand.agent.explain().pairs) == ["tcp", "udp"]


# --- connections of ours ----------------------------------------------------------------------------------------------


def test_connection_is_asked_for_when_the_check_is_due(make_hand):
    hand = make_hand(tcp=BOTH, check_pace_s=0.05).meet()  # the UDP pair's check goes first
    hand.agent.add_remote_candidate(passive_candidate(), hand.now)
    hand.drain()
    assert needed(hand) == []
    hand.wait(0.06)
    (path,) = needed(hand)
    assert (path.local, path.remote, path.protocol) == (Address("10.0.0.1", 0), PASSIVE, "tcp")
    assert path.stream > 0


def open_pair(hand, *, is_all=True):
    """Bring an agent to a check that waits for its connection; returns the path and the framed check.

    is_all  the peer has no other candidate
    """
    hand.meet(candidate=False)
    hand.agent.add_remote_candidate(passive_candidate(), hand.now)
    if is_all:
        hand.agent.end_of_remote_candidates(hand.now)
    assert [datagram for datagram in hand.drain() if datagram.path.protocol == "tcp"] == []
    (path,) = needed(hand)
    hand.agent.stream_opened(path, hand.now)
    (check,) = hand.drain()
    assert check.path == path
    assert check.data[:2] == len(check.data[2:]).to_bytes(2, "big")
    return path, Datagram(check.data[2:], inner(path))


def test_check_goes_out_once_the_connection_is_open_and_is_not_repeated(make_hand):
    hand = make_hand(tcp=BOTH)
    open_pair(hand)
    assert [datagram for datagram in hand.wait(10.0) if datagram.path.protocol == "tcp"] == []


def test_pair_over_tcp_is_nominated_and_carries_payload(make_hand):
    hand = make_hand(tcp=BOTH)
    path, check = open_pair(hand)
    (nomination,) = hand.receive(framed(hand.response(check), path))
    hand.receive(framed(hand.response(Datagram(nomination.data[2:], inner(path))), path))
    assert hand.agent.state in ("connected", "completed")
    hand.agent.send(b"\x17out", hand.now)
    assert hand.drain() == [Datagram(serialize_frame(b"\x17out"), path)]
    hand.receive(Datagram(serialize_frame(b"\x17in"), path))
    assert [event.data for event in hand.of(Datagram)] == [b"\x17in"]


def test_pair_over_tcp_that_works_waits_for_udp_that_has_not_been_asked_yet(make_hand, value_of):
    hand = make_hand(tcp=BOTH)
    path, check = open_pair(hand, is_all=False)
    hand.agent.add_remote_candidate(hand.candidate(UDP_PEER, foundation="7", priority=2_000_000_000), hand.now)
    said = hand.receive(framed(hand.response(check), path))
    assert [datagram for datagram in said if datagram.path.protocol == "tcp"] == []
    asked = [datagram for datagram in hand.wait(0.06) if datagram.path.remote == UDP_PEER]
    assert not value_of(asked[0], "USE_CANDIDATE")
    nominated = hand.receive(hand.response(asked[0]))
    assert [each.path.remote for each in nominated if value_of(each, "USE_CANDIDATE")] == [UDP_PEER]


def test_pair_over_tcp_that_works_waits_a_moment_for_candidates_that_the_peer_has_not_told_yet(make_hand, value_of):
    hand = make_hand(tcp=BOTH, nomination_wait_s=0.15)
    path, check = open_pair(hand, is_all=False)
    assert hand.receive(framed(hand.response(check), path)) == []
    hand.agent.add_remote_candidate(hand.candidate(UDP_PEER, foundation="7", priority=2_000_000_000), hand.now)
    asked = [datagram for datagram in (*hand.drain(), *hand.wait(0.06)) if datagram.path.remote == UDP_PEER]
    nominated = hand.receive(hand.response(asked[0]))
    assert [each.path.remote for each in nominated if value_of(each, "USE_CANDIDATE")] == [UDP_PEER]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_stream_may_be_cut_anywhere(make_hand, size):
    hand = make_hand(tcp=BOTH)
    path, check = open_pair(hand)
    stream, said = serialize_frame(hand.response(check).data), []
    for start in range(0, len(stream), size):
        assert said == []
        said += hand.receive(Datagram(stream[start : start + size], path))
    assert len(said) == 1


def test_connection_that_cannot_be_opened_fails_its_pair_at_once(make_hand):
    hand = make_hand(tcp=BOTH).meet(candidate=False)
    hand.agent.add_remote_candidate(passive_candidate(), hand.now)
    hand.drain()
    hand.agent.stream_closed(needed(hand)[0], "connection refused", hand.now)
    assert [pair.state for pair in hand.agent.explain().pairs] == ["failed"]
    assert unneeded(hand) == []


def test_connection_that_does_not_open_is_given_up(make_hand):
    hand = make_hand(tcp=TcpPolicy(active=True, open_timeout_s=4.0)).meet(candidate=False)
    hand.agent.add_remote_candidate(passive_candidate(), hand.now)
    hand.drain()
    hand.wait(3.9)
    assert unneeded(hand) == []
    hand.wait(0.2)
    assert unneeded(hand) == needed(hand)
    assert [pair.state for pair in hand.agent.explain().pairs] == ["failed"]


def test_connections_of_ours_are_bounded(make_hand):
    hand = make_hand(tcp=TcpPolicy(active=True, stream_count_max=2)).meet(candidate=False)
    for number in range(5):
        hand.agent.add_remote_candidate(passive_candidate(Address(f"10.0.1.{number}", 7), f"f{number}"), hand.now)
    hand.wait(1.0)
    assert len(needed(hand)) == 2
    assert hand.agent.stats.discards[DiscardReason.TCP_STREAM_LIMIT] == 3


def test_selected_connection_that_closes_gives_way_to_another_pair_at_once(make_hand):
    hand = make_hand(tcp=BOTH)
    path, check = open_pair(hand)
    (nomination,) = hand.receive(framed(hand.response(check), path))
    hand.receive(framed(hand.response(Datagram(nomination.data[2:], inner(path))), path))
    hand.agent.add_remote_candidate(hand.candidate(), hand.now)
    hand.agent.stream_closed(path, "reset by the peer", hand.now)
    assert not hand.agent.can_send
    said = hand.wait(0.11)  # two checks have been sent, Ta each
    assert [datagram.path.protocol for datagram in said if datagram.path == hand.path] == ["udp"]


def test_new_connection_is_tried_after_the_selected_one_has_closed(make_hand):
    hand = make_hand(tcp=BOTH)
    path, check = open_pair(hand)
    (nomination,) = hand.receive(framed(hand.response(check), path))
    hand.receive(framed(hand.response(Datagram(nomination.data[2:], inner(path))), path))
    hand.agent.stream_closed(path, "reset by the peer", hand.now)
    hand.wait(0.1)
    first, second = needed(hand)
    assert second.stream != first.stream


def test_closing_the_agent_closes_its_connections_and_then_ends(make_hand):
    hand = make_hand(tcp=BOTH)
    path, _ = open_pair(hand)
    hand.agent.close(hand.now)
    hand.drain()
    assert unneeded(hand) == [path]
    assert isinstance(hand.events[-1], Terminated)


# --- connections of others --------------------------------------------------------------------------------------------


def listen(make_hand, **policy):
    hand = make_hand(tcp=TcpPolicy(passive=True, **policy)).meet(candidate=False)
    hand.agent.add_tcp_listener(LISTENER, "eth0", hand.now)
    hand.drain()
    return hand


def accept(hand, caller=CALLER):
    path = Path(LISTENER, caller, "tcp")
    hand.agent.stream_opened(path, hand.now)
    hand.drain()
    return path


def test_check_of_the_peer_on_its_connection_is_answered_and_checked_back_there(make_hand):
    hand = listen(make_hand)
    path = accept(hand)
    response, check = hand.receive(framed(hand.request(), path))
    assert (response.path, check.path) == (path, path)
    assert response.data[2] == 1
    hand.receive(framed(hand.response(Datagram(check.data[2:], path)), path))
    (pair,) = hand.agent.explain().pairs
    assert (pair.state, pair.local.tcp_type, pair.remote.tcp_type) == ("succeeded", "passive", "active")
    assert pair.remote.type is CandidateType.PEER_REFLEXIVE
    hand.wait(6.0)  # longer than a stranger is given
    assert unneeded(hand) == []


def test_check_before_the_peers_parameters_keeps_the_connection(make_hand):
    hand = make_hand(tcp=TcpPolicy(passive=True))
    hand.agent.add_tcp_listener(LISTENER, "eth0", hand.now)
    path = accept(hand)
    (response,) = hand.receive(framed(hand.request(), path))
    assert response.data[2] == 1
    hand.agent.set_remote_parameters(hand.parameters, hand.now)
    (check,) = hand.drain()
    assert check.path == path
    assert unneeded(hand) == []


def test_strangers_connection_is_closed_after_its_first_message(make_hand):
    hand = listen(make_hand)
    path = accept(hand)
    hand.receive(framed(hand.request(pwd="w" * 22), path))
    assert unneeded(hand) == [path]
    assert hand.agent.explain().pairs == ()
    assert hand.agent.stats.discards[DiscardReason.TCP_STREAM_NOT_PROVEN] == 1


@pytest.mark.parametrize("data", [b"\x17payload", b"\x00", bytes(20), b"GET / HTTP/1.1\r\n\r\n"])
def test_connection_that_begins_with_no_check_is_closed(make_hand, data):
    hand = listen(make_hand)
    path = accept(hand)
    hand.receive(Datagram(serialize_frame(data), path))
    assert unneeded(hand) == [path]
    assert hand.of(Datagram) == []


def test_garbage_in_a_stream_closes_it(make_hand):
    """b"GE" is a length of 18245, more than a stranger may send in one frame."""
    hand = listen(make_hand)
    path = accept(hand)
    hand.receive(Datagram(b"GET / HTTP/1.1\r\n\r\n", path))
    assert unneeded(hand) == [path]
    assert hand.agent.stats.discards[DiscardReason.TCP_STREAM_BROKEN] == 1


def test_stranger_may_not_make_us_wait_for_a_long_frame(make_hand):
    """4000 bytes are well within what the peer may send, and more than a check has."""
    hand = listen(make_hand)
    path = accept(hand)
    hand.receive(Datagram(b"\x0f\xa0", path))
    assert unneeded(hand) == [path]


def test_proven_connection_may_bring_long_frames(make_hand):
    hand = listen(make_hand)
    path = accept(hand)
    _, check = hand.receive(framed(hand.request(), path))
    hand.receive(framed(hand.response(Datagram(check.data[2:], path)), path))
    hand.receive(Datagram(serialize_frame(b"\x17" + bytes(8000)), path))
    assert [len(event.data) for event in hand.of(Datagram)] == [8001]


def test_udp_candidate_of_the_same_address_is_not_the_one_that_connects(make_hand):
    hand = listen(make_hand)
    hand.agent.add_remote_candidate(hand.candidate(CALLER), hand.now)
    path = accept(hand)
    hand.receive(framed(hand.request(), path))
    hand.receive(Datagram(serialize_frame(b"\x17not proven"), path))
    pairs = {pair.path.protocol: pair for pair in hand.agent.explain().pairs}
    assert pairs["tcp"].remote.protocol == "tcp"
    assert hand.of(Datagram) == []


def test_check_without_a_frame_on_a_connection_that_is_not_there_is_not_answered(make_hand):
    hand = listen(make_hand)
    assert hand.receive(hand.request(path=Path(LISTENER, CALLER, "tcp"))) == []
    assert hand.agent.explain().pairs == ()


def test_connection_on_which_nothing_comes_is_closed_in_time(make_hand):
    hand = listen(make_hand, validation_timeout_s=2.0)
    path = accept(hand)
    hand.wait(1.9)
    assert unneeded(hand) == []
    hand.wait(0.2)
    assert unneeded(hand) == [path]


def test_dribbled_bytes_do_not_buy_a_stranger_more_time(make_hand):
    hand = listen(make_hand, validation_timeout_s=2.0)
    path = accept(hand)
    for _ in range(5):
        hand.receive(Datagram(b"\x00", path))
        hand.wait(0.5)
    assert unneeded(hand) == [path]


def test_connections_of_others_are_bounded(make_hand):
    hand = listen(make_hand, accepted_count_max=3)
    paths = [accept(hand, Address("10.0.0.2", 50000 + number)) for number in range(5)]
    assert unneeded(hand) == paths[3:]


def test_connection_to_no_listener_of_ours_is_closed(make_hand):
    hand = listen(make_hand)
    path = Path(Address("10.0.0.1", 7001), CALLER, "tcp")
    hand.agent.stream_opened(path, hand.now)
    hand.drain()
    assert unneeded(hand) == [path]


def test_pieces_of_no_connection_do_nothing(make_hand):
    hand = listen(make_hand)
    for data in (b"", b"\x00\x01", serialize_frame(hand.request().data), b"\x17x"):
        assert hand.receive(Datagram(data, Path(LISTENER, CALLER, "tcp"))) == []
    assert hand.agent.explain().pairs == ()


def test_pair_of_a_connection_of_the_peer_ends_with_it_and_may_come_again_for_ever(make_hand):
    hand = listen(make_hand)
    for number in range(40):
        path = accept(hand, Address("10.0.0.2", 50000 + number))
        hand.receive(framed(hand.request(), path))
        assert len(hand.agent.explain().pairs) == 1
        hand.agent.stream_closed(path, "closed", hand.now)
        hand.drain()
        assert hand.agent.explain().pairs == ()
    assert len(hand.agent.explain().remote_candidates) == 0


def test_pair_that_has_failed_gives_its_connection_up_and_goes_with_it(make_hand):
    """The peer has checked, and never answers our check: nothing is left to be tried without another connection."""
    hand = listen(make_hand)
    path = accept(hand)
    hand.receive(framed(hand.request(), path))
    hand.wait(30.0)
    assert unneeded(hand) == [path]
    assert hand.agent.explain().pairs == ()
    assert len(hand.agent.explain().remote_candidates) == 0


def test_listener_that_goes_takes_its_connections_with_it(make_hand):
    hand = listen(make_hand)
    path = accept(hand)
    hand.receive(framed(hand.request(), path))
    hand.agent.remove_tcp_listener(LISTENER, hand.now)
    hand.drain()
    assert unneeded(hand) == [path]
    assert hand.agent.explain().pairs == ()


def test_payload_before_proof_does_not_come_out(make_hand):
    hand = listen(make_hand)
    path = accept(hand)
    hand.receive(framed(hand.request(), path))
    hand.receive(Datagram(serialize_frame(b"\x17early"), path))
    assert hand.of(Datagram) == []


def test_lite_agent_takes_connections_and_opens_none(make_hand):
    hand = make_hand(Role.CONTROLLED, is_lite=True, tcp=BOTH).meet(candidate=False)
    hand.agent.add_tcp_listener(LISTENER, "eth0", hand.now)
    hand.agent.add_remote_candidate(passive_candidate(), hand.now)
    hand.drain()
    assert [candidate.tcp_type for candidate in told(hand)] == [None, "passive"]
    path = accept(hand)
    (response,) = hand.receive(framed(hand.request(use_candidate=True), path))
    assert response.path == path
    assert hand.agent.state in ("connected", "completed")
    hand.agent.send(b"\x17out", hand.now)
    assert hand.drain() == [Datagram(serialize_frame(b"\x17out"), path)]
    assert needed(hand) == []


def test_listener_counts_for_nothing_where_only_relays_do(make_hand):
    hand = make_hand(tcp=BOTH, transport_policy=TransportPolicy.RELAY).meet(candidate=False)
    hand.agent.add_tcp_listener(LISTENER, "eth0", hand.now)
    assert unneeded(hand) == []
    assert accept(hand) == unneeded(hand)[0]
    assert told(hand) == []


# --- two agents -------------------------------------------------------------------------------------------------------

NO_UDP = Firewall(udp=False)
TCP = IceConfig(tcp=BOTH)


@pytest.mark.parametrize("listener", [0, 1])
def test_connects_over_tcp_where_udp_is_blocked(ends, listener):
    pair = ends(configs=(TCP, TCP), firewalls=(Firewall(udp=False), None))
    pair.connect(within_s=2.0, listeners=(listener,))
    assert {agent.selected_path.protocol for agent in pair.agents} == {"tcp"}
    assert pair.exchange() == [20, 20]


def test_udp_is_preferred_where_it_works(ends):
    pair = ends(configs=(TCP, TCP))
    pair.connect(listeners=(0, 1))
    pair.network.run_for(2.0)
    assert {agent.selected_path.protocol for agent in pair.agents} == {"udp"}


@pytest.mark.parametrize("seed", range(12))
def test_connects_over_tcp_on_a_bad_network(ends, seed):
    pair = ends(
        configs=(TCP, TCP),
        seed=seed,
        firewalls=(Firewall(udp=False), None),
        conditions=LinkConditions(delay_s=0.03, jitter_s=0.02, loss=0.05 * (seed % 5)),
    )
    pair.connect(within_s=20.0, listeners=((0, 1), (0,), (1,))[seed % 3])
    assert {agent.selected_path.protocol for agent in pair.agents} == {"tcp"}
    pair.network.run_for(10.0)
    assert pair.exchange(10, within_s=20.0) == [10, 10]  # a loss holds up what follows for seconds


def test_firewall_that_stops_udp_later_moves_the_session_to_tcp(ends):
    wall = Firewall(udp_for_s=5.0)
    pair = ends(configs=(TCP, TCP), firewalls=(wall, None))
    pair.connect(listeners=(0, 1))
    pair.network.run_for(1.0)
    assert {agent.selected_path.protocol for agent in pair.agents} == {"udp"}
    pair.network.run_until(
        lambda: all(agent.selected_path and agent.selected_path.protocol == "tcp" for agent in pair.agents),
        within_s=20.0,
    )
    assert pair.exchange() == [20, 20]


def test_connection_goes_on_through_a_restart(ends):
    pair = ends(configs=(TCP, TCP), firewalls=(Firewall(udp=False), None))
    pair.connect(listeners=(1,))
    pair.restart()
    assert pair.exchange() == [20, 20]
    pair.network.run_until(
        lambda: all(agent.explain().generation == 1 and agent.explain().selected for agent in pair.agents)
    )
    pair.network.run_for(30.0)
    assert pair.exchange() == [20, 20]
