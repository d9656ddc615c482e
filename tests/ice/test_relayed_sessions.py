"""Two agents and TURN servers of ours in virtual time: relays raced, used, given back (RFC 8445 5.1.1.2, RFC 8656)."""

import pytest

from sans_rtc.ice import (
    CandidateError,
    IceConfig,
    LocalCandidate,
    StunServer,
    TcpPolicy,
    TransportPolicy,
    TurnServer,
    parse_candidate,
)
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.testing import PORT_RESTRICTED_CONE, SYMMETRIC, Firewall, LinkConditions
from sans_rtc.turn.server import AllocationEnded, Credentials, EndReason, PeerRules, User

HOST = "203.0.113.200"
UDP = TurnServer(HOST, 3478, "user", "password")
TCP = TurnServer(HOST, 3478, "user", "password", "tcp")
TLS = TurnServer(HOST, 5349, "user", "password", "tls")
WITH_STUN = (StunServer(HOST),)


def config(*servers, **more):
    return IceConfig(turn_servers=servers, **more)


def relay_only(*servers, **more):
    return config(*servers, transport_policy=TransportPolicy.RELAY, **more)


def types(agent):
    selected = agent.explain().selected
    return (str(selected.local.type), str(selected.remote.type))


def relayed_told(pair, end):
    return [e.candidate for e in pair.events(end, LocalCandidate) if e.candidate.type == "relay"]


def allocation_count(pair, server):
    return len(server.machine.explain(pair.now))


# --- connecting -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("server", [UDP, TCP, TLS])
def test_symmetric_nats_on_both_sides_connect_through_a_relay(ends, server):
    """The server lets in whom we have named: a STUN server has told the other end the host of its NAT, if no port."""
    pair = ends(configs=(config(server), IceConfig(stun_servers=WITH_STUN)), behaviours=(SYMMETRIC, SYMMETRIC))
    pair.add_turn_server()
    pair.connect(within_s=3.0)
    assert types(pair.agents[0])[0] == "relay"
    assert pair.exchange() == [20, 20]


@pytest.mark.parametrize("servers", [(UDP,), (TCP,), (TLS,), (UDP, TCP, TLS)])
def test_relay_only_on_both_sides(ends, servers):
    pair = ends(configs=(relay_only(*servers), relay_only(*servers)))
    pair.add_turn_server()
    pair.connect(within_s=3.0)
    assert types(pair.agents[0]) == types(pair.agents[1]) == ("relay", "relay")
    assert pair.exchange() == [20, 20]
    pair.network.run_for(700.0)  # refreshed: allocation, permissions and channels
    assert pair.exchange() == [20, 20]


@pytest.mark.parametrize(("blocked", "remaining"), [((), "udp"), (("udp",), "tcp"), (("udp", "tcp"), "tls")])
def test_best_transport_that_the_firewall_lets_out_is_used(ends, blocked, remaining):
    wall = Firewall(udp="udp" not in blocked, tcp_ports=frozenset({5349}) if "tcp" in blocked else None)
    pair = ends(configs=(config(UDP, TCP, TLS), IceConfig()), firewalls=(wall, None))
    if not blocked:
        pair = ends(configs=(relay_only(UDP, TCP, TLS), IceConfig()))
    pair.add_turn_server()
    pair.connect(within_s=3.0)
    pair.network.run_for(1.0)
    used = pair.agents[0].selected_path.local
    relay = next(relay for relay in pair.agents[0].explain().relays if used in relay.relayed)
    assert relay.server.transport == remaining
    assert pair.exchange() == [20, 20]


def test_direct_way_is_preferred_to_the_relay(ends):
    pair = ends(configs=(config(UDP), config(UDP)), behaviours=(PORT_RESTRICTED_CONE, PORT_RESTRICTED_CONE))
    pair.add_turn_server()
    pair.connect()
    pair.network.run_for(1.0)
    assert "relay" not in types(pair.agents[0])


@pytest.mark.parametrize("seed", range(24))
def test_connects_through_relays_on_a_bad_network(ends, seed):
    """20 % each way, and four ways between two relays' owners: a check and its response pass with 0.8 ** 4."""
    servers = ((UDP,), (TCP,), (TLS,), (UDP, TCP, TLS))[seed % 4]
    loss = (0.0, 0.05, 0.1, 0.2)[seed // 4 % 4]
    conditions = LinkConditions(delay_s=0.02, jitter_s=0.01, loss=loss, reordering=loss / 2, duplication=loss / 4)
    pair = ends(configs=(relay_only(*servers), relay_only(*servers)), seed=seed, conditions=conditions)
    pair.add_turn_server()
    pair.connect(within_s=30.0)
    pair.network.run_for(5.0)
    assert all(count >= 5 for count in pair.exchange())


def test_servers_are_raced_and_none_waits_for_the_slowest(ends):
    silent = TurnServer("203.0.113.99", 3478, "user", "password")
    pair = ends(configs=(config(silent, UDP, relay_timeout_s=5.0), IceConfig()))
    pair.add_turn_server()
    pair.start()
    pair.network.run_until(lambda: relayed_told(pair, 0), within_s=0.3)
    assert pair.agents[0].gathering_state == "gathering"
    pair.network.run_for(6.0)
    assert pair.agents[0].gathering_state == "complete"
    (error,) = pair.events(0, CandidateError)
    assert (error.server, error.code, error.reason) == (silent, 701, "no answer")


def test_two_servers_give_two_candidates(ends):
    other = TurnServer("203.0.113.201", 3478, "user", "password")
    pair = ends(configs=(config(UDP, other), IceConfig()))
    pair.add_turn_server()
    pair.add_turn_server(Address("203.0.113.201", 3478))
    pair.start()
    pair.network.run_for(1.0)
    assert {candidate.address.host for candidate in relayed_told(pair, 0)} == {HOST, "203.0.113.201"}
    first, second = relayed_told(pair, 0)
    assert first.priority > second.priority


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_one_allocation_of_both_families_gives_two_candidates(ends, transport):
    server = TurnServer(HOST, 3478, "user", "password", transport, families=(4, 6))
    pair = ends(configs=(config(server), IceConfig()))
    turn = pair.add_turn_server(relay_hosts=(HOST, "2001:db8::200"))
    pair.start()
    pair.network.run_for(1.0)
    assert {candidate.address.family for candidate in relayed_told(pair, 0)} == {4, 6}
    assert allocation_count(pair, turn) == 1


# --- permissions ------------------------------------------------------------------------------------------------------


def test_permission_is_made_before_any_check_of_ours_goes_through_the_relay(ends):
    """The peer's first check through the relay is let in although ours has not been sent: it waits for its turn."""
    pair = ends(configs=(relay_only(UDP, check_pace_s=5.0), IceConfig(check_pace_s=5.0)))
    server = pair.add_turn_server()
    pair.start()
    pair.network.run_for(0.5)
    (allocation,) = server.machine.explain(pair.now)
    assert allocation.permission_count == 1


def test_peer_that_the_server_forbids_fails_and_others_go_on(ends):
    pair = ends(configs=(relay_only(UDP), IceConfig()))
    pair.add_turn_server(peers=PeerRules(deny=("198.51.100.0/24",)))
    pair.start()
    pair.agents[0].add_remote_candidate(parse_candidate("candidate:7 1 udp 1 192.88.0.1 9 typ host"), pair.now)
    pair.network.run_for(1.0)
    picture = pair.agents[0].explain()
    assert [(refusal.host, refusal.code) for refusal in picture.relays[0].refusals] == [("198.51.100.1", 403)]
    assert {pair.remote.address.host: str(pair.state) for pair in picture.pairs} == {
        "198.51.100.1": "failed",
        "192.88.0.1": "in_progress",
    }


# --- what happens to allocations --------------------------------------------------------------------------------------


def test_unused_allocation_is_given_back_after_a_while(ends):
    pair = ends(configs=(config(UDP, TCP, relay_release_after_s=20.0), IceConfig()))
    server = pair.add_turn_server()
    pair.connect()
    pair.network.run_for(15.0)
    assert allocation_count(pair, server) == 2
    pair.network.run_for(10.0)
    assert allocation_count(pair, server) == 0
    assert {str(relay.state) for relay in pair.agents[0].explain().relays} == {"released"}
    assert {e.reason for e in server.events if isinstance(e, AllocationEnded)} == {EndReason.RELEASED}
    assert pair.exchange() == [20, 20]


def test_allocation_in_use_is_kept_and_the_others_are_given_back(ends):
    pair = ends(configs=(relay_only(UDP, TCP, relay_release_after_s=5.0), IceConfig()))
    server = pair.add_turn_server()
    pair.connect()
    pair.network.run_for(30.0)
    assert allocation_count(pair, server) == 1
    assert pair.exchange() == [20, 20]


def test_nothing_is_given_back_where_that_is_configured(ends):
    pair = ends(configs=(config(UDP, relay_release_after_s=None), IceConfig()))
    server = pair.add_turn_server()
    pair.connect()
    pair.network.run_for(100.0)
    assert allocation_count(pair, server) == 1


def test_restart_asks_again_for_what_was_given_back(ends):
    pair = ends(configs=(config(UDP, TCP, relay_release_after_s=5.0), IceConfig()))
    server = pair.add_turn_server()
    pair.connect()
    pair.network.run_for(20.0)
    assert allocation_count(pair, server) == 0
    told = len(relayed_told(pair, 0))
    pair.restart()
    pair.network.run_for(1.0)
    assert allocation_count(pair, server) == 2
    assert len(relayed_told(pair, 0)) == told + 2


def test_restart_keeps_what_there_is_and_tells_it_again(ends):
    pair = ends(configs=(relay_only(UDP), IceConfig()))
    server = pair.add_turn_server()
    pair.connect()
    pair.restart()
    assert pair.exchange() == [20, 20]
    pair.network.run_for(1.0)
    first, second = relayed_told(pair, 0)
    assert first.address == second.address
    assert first.extension("ufrag") != second.extension("ufrag")
    assert allocation_count(pair, server) == 1


@pytest.mark.parametrize("server", [UDP, TCP, TLS])
@pytest.mark.parametrize("verb", ["close", "abort"])
def test_end_of_the_agent_gives_the_allocation_back_at_once(ends, server, verb):
    pair = ends(configs=(relay_only(server), IceConfig()))
    turn = pair.add_turn_server()
    pair.connect()
    pair.send(0, b"\x17last word")
    getattr(pair.agents[0], verb)(pair.now)
    assert pair.agents[0].is_terminated
    pair.network.touch_all()
    pair.network.run_for(0.2)
    assert allocation_count(pair, turn) == 0
    assert turn.machine.stream_count == 0
    assert [event.data for event in pair.events(1, Datagram)] == [b"\x17last word"]


@pytest.mark.parametrize("server", [UDP, TCP])
def test_end_while_allocating_leaves_nothing_behind(ends, server):
    pair = ends(configs=(relay_only(server), IceConfig()))
    turn = pair.add_turn_server()
    pair.start()
    pair.network.run_for(0.02)
    pair.agents[0].close(pair.now)
    pair.network.touch_all()
    pair.network.run_for(5.0)
    assert turn.machine.stream_count == 0


def test_relay_that_is_lost_gives_way_to_another(ends):
    pair = ends(configs=(relay_only(TCP, TLS), IceConfig()))
    pair.add_turn_server()
    pair.connect()
    pair.network.run_for(1.0)
    lost = pair.agents[0].selected_path.local
    relay = next(relay for relay in pair.agents[0].explain().relays if lost in relay.relayed)
    pair.programs[0].tell_closed(relay.path, "reset")
    pair.network.run_until(lambda: getattr(pair.agents[0].selected_path, "local", lost) != lost, within_s=5.0)
    assert pair.exchange() == [20, 20]
    assert sorted(str(relay.state) for relay in pair.agents[0].explain().relays) == ["lost", "succeeded"]


def test_socket_that_goes_takes_its_relay_along(ends):
    pair = ends(configs=(relay_only(UDP), IceConfig()))
    pair.add_turn_server()
    pair.connect()
    pair.agents[0].remove_local_address(Address(pair.HOSTS[0], 5000), pair.now)
    pair.network.touch_all()
    pair.network.flush()
    assert not pair.agents[0].can_send
    assert pair.agents[0].explain().relays == ()


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_wrong_password_is_told_with_code_name_and_reason(ends):
    wrong = TurnServer(HOST, 3478, "user", "wrong")
    pair = ends(configs=(config(wrong), IceConfig()))
    pair.add_turn_server()
    pair.start()
    pair.network.run_for(2.0)
    (error,) = pair.events(0, CandidateError)
    assert (error.server, error.code, error.address) == (wrong, 401, Address("192.0.2.1", 5000))
    assert error.reason == "Unauthenticated"
    assert "wrong" not in repr(error)
    assert pair.agents[0].gathering_state == "complete"


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_server_that_does_not_take_connections_fails_with_the_reason(ends, transport):
    server = TurnServer(HOST, 3478, "user", "password", transport)
    pair = ends(configs=(config(server), IceConfig()))
    pair.add_turn_server(protocols=("udp",))
    pair.start()
    pair.network.run_for(2.0)
    (error,) = pair.events(0, CandidateError)
    assert error.code == 701
    assert "connection refused" in error.reason


def test_credentials_that_are_revoked_lose_the_relay(ends):
    pair = ends(configs=(relay_only(UDP), IceConfig()))
    turn = pair.add_turn_server(lifetime_s=60, lifetime_s_max=60)
    pair.connect()
    turn.machine.set_credentials(Credentials(users=(User("another", "x"),)), pair.now)
    pair.network.run_until(lambda: pair.agents[0].explain().relays[0].state == "lost", within_s=70.0)
    assert pair.agents[0].explain().relays[0].code in (401, 437)


# --- nothing of this host is told or used where only relays are wanted ------------------------------------------------


@pytest.mark.proves("JSEP-3.5.3-2-5e93")
def test_relay_only_tells_no_address_of_this_host(ends):
    pair = ends(
        configs=(relay_only(UDP, TCP, stun_servers=WITH_STUN, tcp=TcpPolicy(active=True, passive=True)), IceConfig()),
        behaviours=(PORT_RESTRICTED_CONE, None),
    )
    pair.add_turn_server()
    pair.connect(listeners=(0,))
    pair.network.run_for(1.0)
    told = [event.candidate for event in pair.events(0, LocalCandidate)]
    assert {candidate.type for candidate in told} == {"relay"}
    assert {(candidate.address.host, str(candidate.related_address)) for candidate in told} == {(HOST, "0.0.0.0:9")}


@pytest.mark.proves("JSEP-3.5.3-2-5e93")
def test_relay_only_sends_nothing_to_the_peer_itself(ends):
    pair = ends(configs=(relay_only(UDP), IceConfig()))
    pair.add_turn_server()
    seen = set()
    receive = pair.agents[1].receive
    pair.agents[1].receive = lambda datagram, now: (seen.add(datagram.path.remote.host), receive(datagram, now))
    pair.connect()
    pair.exchange()
    assert seen == {HOST}


def test_relay_only_answers_no_check_that_comes_to_this_host(ends, parsed, hand_class):
    pair = ends(configs=(relay_only(UDP), IceConfig()))
    pair.add_turn_server()
    pair.connect()
    agent, other = pair.agents
    hand = hand_class(agent, parameters=other.local_parameters, local=Address("192.0.2.1", 5000))
    request = hand.request(path=Path(hand.local, Address("198.51.100.1", 5000)))
    agent.receive(request, pair.now)
    agent.receive(Datagram(b"\x17payload", request.path), pair.now)
    assert [d for d in agent.take_datagrams(pair.now) if d.path.remote.host != HOST] == []
    assert agent.stats.discards["not_relayed"] == 1
    assert pair.events(0, Datagram) == []


# --- overhead ---------------------------------------------------------------------------------------------------------


def test_overhead_of_the_path_is_known(ends):
    pair = ends(configs=(relay_only(UDP), IceConfig()))
    assert pair.agents[0].path_overhead_bytes == 0
    pair.add_turn_server()
    pair.connect()
    assert [agent.path_overhead_bytes for agent in pair.agents] == [36, 0]
