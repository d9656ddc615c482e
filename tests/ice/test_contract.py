"""What design.md asks of every machine: order, time, the end, determinism."""

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sans_rtc.errors import InvalidState
from sans_rtc.ice import (
    Agent,
    Candidate,
    CandidateType,
    ConnectionState,
    ConnectionStateChanged,
    IceConfig,
    Parameters,
    Role,
    StunServer,
    TerminationReason,
)
from sans_rtc.ice.told import STATE_TRANSITIONS
from sans_rtc.machine import Address, Datagram, Terminated
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.wire import Attribute
from sans_rtc.testing import ContractMonitor, LinkConditions, SeededEntropy, drain


@pytest.mark.parametrize(
    ("verb", "reason"), [("close", TerminationReason.CLOSED), ("abort", TerminationReason.ABORTED)]
)
def test_end_comes_once_and_last(make_hand, verb, reason):
    hand = make_hand().connect()
    for _ in range(2):
        getattr(hand.agent, verb)(hand.now)
    hand.drain()
    assert [type(event) for event in hand.events[-2:]] == [ConnectionStateChanged, Terminated]
    assert hand.events[-1].reason == reason
    assert len(hand.of(Terminated)) == 1
    assert hand.agent.is_terminated
    assert hand.agent.state == "closed"


def test_inputs_after_the_end_are_ignored(make_hand):
    hand = make_hand().connect()
    hand.agent.close(hand.now)
    hand.drain()
    agent, now = hand.agent, hand.now
    agent.receive(hand.request(), now)
    agent.receive(Datagram(b"", hand.path), now)
    agent.handle_timer(now)
    agent.send(b"x", now)
    agent.set_role(Role.CONTROLLED, now)
    agent.add_local_address(Address("10.0.0.9", 9), "", now)
    agent.add_local_address(Address("no address", 9), "", now)
    agent.end_of_local_addresses(now)
    agent.remove_local_address(hand.local, now)
    agent.set_remote_parameters(Parameters("some", "q" * 22), now)
    agent.add_remote_candidate(hand.candidate(), now)
    agent.end_of_remote_candidates(now)
    agent.name_resolved("n.local", [], now)
    agent.network_changed(now)
    agent.restart(now)
    agent.cancel_restart(now)
    agent.abort(now)
    assert drain(agent, now) == ([], [])
    assert agent.deadline == math.inf


def test_what_was_queued_before_the_end_is_still_handed_over(make_hand):
    hand = make_hand().connect()
    hand.agent.send(b"\x16last", hand.now)
    hand.agent.close(hand.now)
    assert [datagram.data for datagram in hand.agent.take_datagrams(hand.now)] == [b"\x16last"]


def test_role_can_be_set_until_the_parameters_of_the_peer_are_known(make_hand, value_of):
    hand = make_hand(Role.CONTROLLING)
    hand.agent.set_role(Role.CONTROLLED, hand.now)
    assert hand.agent.role is Role.CONTROLLED
    hand.meet()
    assert value_of(hand.checks()[0], "ICE_CONTROLLED") is not None
    with pytest.raises(InvalidState):
        hand.agent.set_role(Role.CONTROLLING, hand.now)
    assert hand.agent.role is Role.CONTROLLED


def test_new_agent_waits_for_nothing(make_agent):
    agent = make_agent()
    assert agent.deadline == math.inf
    assert drain(agent, 0.0) == ([], [])
    assert not agent.can_send
    assert agent.selected_path is None


def test_every_state_can_be_left_for_closed():
    assert set(STATE_TRANSITIONS) == set(ConnectionState)
    for state, following in STATE_TRANSITIONS.items():
        assert (ConnectionState.CLOSED in following) is (state is not ConnectionState.CLOSED)


def run(duo, seed):
    conditions = LinkConditions(delay_s=0.02, loss=0.1, reordering=0.1, duplication=0.1)
    config = IceConfig(stun_servers=(StunServer("192.0.2.2"),))
    pair = duo(
        seed=seed, conditions=conditions, configs=(config, config), servers={Address("192.0.2.2", 3478): "answer"}
    )
    pair.connect()
    pair.run(10.0)
    pair.restart(1)
    pair.run(10.0)
    return pair.link.sent, pair.link.events


def test_equal_inputs_give_equal_bytes(duo):
    assert run(duo, 5) == run(duo, 5)
    assert run(duo, 5)[0] != run(duo, 6)[0]


def test_timer_that_is_handled_late_does_not_burst(make_hand):
    hand = make_hand(Role.CONTROLLING).meet()
    hand.sent.clear()
    hand.now += 10.0
    hand.agent.handle_timer(hand.now)
    assert len(hand.drain()) <= 2


def test_burst_of_inputs_before_a_drain(make_hand):
    """Rule 1: several inputs may precede one drain."""
    hand = make_hand(Role.CONTROLLED).meet()
    check = hand.checks()[0]
    for datagram in (hand.response(check), hand.request(use_candidate=True), hand.request()):
        hand.agent.receive(datagram, hand.now)
    hand.agent.receive(Datagram(b"\x16", hand.path), hand.now)
    hand.drain()
    assert [type(event).__name__ for event in hand.events[-3:]] == [
        "SelectedPathChanged",
        "ConnectionStateChanged",
        "Datagram",
    ]


hosts = st.sampled_from(["10.0.0.2", "10.0.0.3", "2001:db8::2", "fe80::2", "127.0.0.1", "n.local", "example.org"])
candidates = st.builds(
    lambda host, port, kind, foundation, ufrag: Candidate(
        foundation, 1, "udp", 2130706431 - port, Address(host, port), kind, extensions=ufrag
    ),
    hosts,
    st.integers(0, 5),
    st.sampled_from(CandidateType),
    st.sampled_from(["1", "2"]),
    st.sampled_from([(), (("ufrag", "peer"),), (("ufrag", "old0"),)]),
)
CONFIGS = [
    {},
    {"is_lite": True},
    {"renomination": True, "network_costs": (("eth*", 10),), "hide_host_addresses": True},
]
verbs = st.one_of(
    st.tuples(st.just("add_local_address"), st.sampled_from([("10.0.0.1", 1), ("2001:db8::1", 1), ("127.0.0.1", 1)])),
    st.tuples(st.just("remove_local_address"), st.sampled_from([("10.0.0.1", 1), ("2001:db8::1", 1)])),
    st.tuples(st.just("end_of_local_addresses")),
    st.tuples(st.just("end_of_remote_candidates")),
    st.tuples(st.just("set_remote_parameters"), st.sampled_from(["peer", "next", "lite"])),
    st.tuples(st.just("add_remote_candidate"), candidates),
    st.tuples(st.just("name_resolved"), st.sampled_from([(), ("10.0.0.4",), ("10.0.0.4", "10.0.0.5")])),
    st.tuples(st.just("restart")),
    st.tuples(st.just("network_changed")),
    st.tuples(st.just("answer")),
    st.tuples(st.just("conflict")),
    st.tuples(st.just("refuse")),
    st.tuples(st.just("nominate"), st.sampled_from([None, 1, 2])),
    st.tuples(st.just("wait"), st.floats(0.0, 40.0)),
)


def apply(hand, verb, arguments):
    agent, now = hand.agent, hand.now
    match verb:
        case "add_local_address":
            agent.add_local_address(Address(*arguments[0]), "eth0", now)
        case "remove_local_address":
            agent.remove_local_address(Address(*arguments[0]), now)
        case "set_remote_parameters":
            options = ("ice2", "renomination") if arguments[0] == "next" else ()
            hand.parameters = Parameters(arguments[0], "p" * 22, arguments[0] == "lite", options=options)
            agent.set_remote_parameters(hand.parameters, now)
        case "add_remote_candidate":
            agent.add_remote_candidate(arguments[0], now)
        case "name_resolved":
            for name in ("n.local", "example.org", "stun.example.org"):
                agent.name_resolved(name, arguments[0], now)
        case "answer":
            hand.answer_all(hand.sent[-5:])
        case "conflict":
            hand.answer_all(hand.sent[-2:], code=487)
        case "refuse":
            hand.answer_all(hand.sent[-2:], code=403)
        case "nominate":
            for check in hand.checks()[-3:]:
                more = [] if arguments[0] is None else [Attribute(AttributeType.NOMINATION, arguments[0])]
                hand.receive(hand.request(path=check.path, use_candidate=True, more=more))
        case "wait":
            hand.wait(arguments[0])
        case _:
            getattr(agent, verb)(now)


@given(st.lists(verbs, min_size=1, max_size=25), st.sampled_from(Role), st.sampled_from(CONFIGS))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_of_inputs_keeps_the_contract(hand_class, steps, role, config):
    servers = (StunServer("stun.example.org"), StunServer("192.0.2.2"))
    config = IceConfig(stun_servers=servers, pair_count_max=4, **config)
    agent = Agent(config, role=role, entropy=SeededEntropy(1))
    hand = hand_class(agent)
    monitor = ContractMonitor(agent)
    for verb, *arguments in steps:
        apply(hand, verb, arguments)
        monitor.take_datagrams(hand.now)
        hand.events += monitor.take_events()
        monitor.check(hand.now)
        hand.drain()
    assert len(agent.explain().pairs) <= 8
    agent.close(hand.now)
    hand.drain()
    assert isinstance(hand.events[-1], Terminated)
    states = [event.state for event in hand.of(ConnectionStateChanged)]
    for earlier, later in zip([ConnectionState.NEW, *states], states, strict=False):
        assert later in STATE_TRANSITIONS[earlier]
