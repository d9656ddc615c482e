"""Renomination (draft-thatcher-ice-renomination-01), and second nominations of peers that do not know it."""

import pytest

from sans_rtc.ice import IceConfig, Parameters, RenominationPolicy, Role, SelectedPathChanged
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.wire import Attribute
from sans_rtc.testing import LinkConditions

FIRST, SECOND = Address("10.0.1.1", 1001), Address("10.0.1.2", 1002)
ICE2 = Parameters("peer", "p" * 22, options=("trickle", "ice2"))
RENOMINATING = Parameters("peer", "p" * 22, options=("trickle", "ice2", "renomination"))
PLAIN = Parameters("peer", "p" * 22, options=("trickle",))


def with_two(make_hand, role, parameters, **config):
    """An agent with two pairs of different foundations; FIRST has the higher priority."""
    hand = make_hand(role, **config)
    hand.parameters = parameters
    hand.meet(candidate=False)
    hand.agent.add_remote_candidate(hand.candidate(FIRST, foundation="1", priority=2000), hand.now)
    hand.agent.add_remote_candidate(hand.candidate(SECOND, foundation="2", priority=1000), hand.now)
    hand.drain()
    return hand


def nomination(hand, remote, value=None, **choices):
    more = [] if value is None else [Attribute(AttributeType.NOMINATION, value)]
    return hand.request(path=Path(hand.local, remote), use_candidate=True, more=more, **choices)


def controlled(make_hand, parameters, **config):
    """A controlled agent with both pairs valid and FIRST selected; returns it and that nomination."""
    hand = with_two(make_hand, Role.CONTROLLED, parameters, **config)
    hand.wait(0.06)
    hand.answer_all(hand.checks())
    first = nomination(hand, FIRST)
    hand.receive(first)
    assert hand.agent.selected_path.remote == FIRST
    return hand, first


# --- who said what ----------------------------------------------------------------------------------------------------


def test_agent_says_ice2_and_renomination_only_where_it_is_configured(make_agent):
    """RFC 8445 section 10: "An agent compliant to this specification MUST inform the peer"."""
    assert make_agent().local_parameters.options == ("ice2",)
    assert make_agent(renomination=True).local_parameters.options == ("ice2", "renomination")


# --- controlled: which nomination counts ------------------------------------------------------------------------------


@pytest.mark.parametrize("parameters", [ICE2, RENOMINATING])
def test_second_nomination_of_a_peer_that_is_not_aggressive_is_followed_at_once(make_hand, parameters):
    hand, _ = controlled(make_hand, parameters, renomination=True)
    hand.receive(nomination(hand, SECOND))
    assert hand.agent.selected_path.remote == SECOND
    hand.receive(nomination(hand, FIRST))
    assert hand.agent.selected_path.remote == FIRST


def test_second_nomination_of_a_peer_that_may_be_aggressive_counts_by_priority(make_hand):
    """RFC 8445 section 8.1.1: "use the pairs with the highest priority"."""
    hand, _ = controlled(make_hand, PLAIN)
    hand.receive(nomination(hand, SECOND))
    assert hand.agent.selected_path.remote == FIRST


@pytest.mark.proves("RENOMINATION-4-1-de4c")
def test_largest_value_wins_whatever_the_order_of_arrival(make_hand):
    """Section 4: "MUST select the nomination with the largest value"."""
    hand, _ = controlled(make_hand, RENOMINATING, renomination=True)
    hand.receive(nomination(hand, SECOND, 7))
    hand.receive(nomination(hand, FIRST, 6))
    assert hand.agent.selected_path.remote == SECOND
    hand.receive(nomination(hand, FIRST, 8))
    assert hand.agent.selected_path.remote == FIRST


def test_any_value_takes_precedence_over_none(make_hand):
    hand, _ = controlled(make_hand, RENOMINATING, renomination=True)
    hand.receive(nomination(hand, SECOND, 1))
    hand.receive(nomination(hand, FIRST))
    assert hand.agent.selected_path.remote == SECOND


def test_value_has_24_bits(make_hand):
    hand, _ = controlled(make_hand, RENOMINATING, renomination=True)
    hand.receive(nomination(hand, SECOND, 0xFF000002))
    hand.receive(nomination(hand, FIRST, 3))
    assert hand.agent.selected_path.remote == FIRST


def test_repeated_request_is_no_new_nomination(make_hand):
    hand, first = controlled(make_hand, ICE2)
    hand.receive(nomination(hand, SECOND))
    hand.receive(first)
    assert hand.agent.selected_path.remote == SECOND


# --- must fail --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parameters", [ICE2, RENOMINATING, PLAIN])
@pytest.mark.parametrize("value", [None, 0xFFFFFF])
@pytest.mark.parametrize(
    "forgery",
    [{"pwd": "w" * 22}, {"integrity": False}, {"username": "else:peer"}, {"fingerprint": False}, {"username": None}],
)
def test_nomination_of_a_stranger_changes_nothing(make_hand, parameters, value, forgery):
    hand, _ = controlled(make_hand, parameters, renomination=True)
    before = hand.agent.explain().pairs
    hand.receive(nomination(hand, SECOND, value, **forgery))
    hand.receive(nomination(hand, Address("198.51.100.6", 6), value, **forgery))
    assert hand.agent.selected_path.remote == FIRST
    assert hand.agent.explain().pairs == before


def test_nomination_with_a_changed_value_is_not_authentic(make_hand):
    hand, _ = controlled(make_hand, RENOMINATING, renomination=True)
    genuine = nomination(hand, SECOND, 1)
    at = genuine.data.index(bytes([0xC0, 0x01, 0, 4, 0, 0, 0, 1]))
    forged = genuine.data[: at + 4] + b"\0\xff\xff\xff" + genuine.data[at + 8 :]
    hand.receive(Datagram(forged, genuine.path))
    assert hand.agent.selected_path.remote == FIRST


@pytest.mark.parametrize("parameters", [ICE2, RENOMINATING, PLAIN])
@pytest.mark.parametrize("value", [None, 5])
def test_replayed_nomination_does_not_move_the_path_back(make_hand, parameters, value):
    """Whoever overhears a request can send it again, from the address that it came from."""
    hand, _ = controlled(make_hand, parameters, renomination=True)
    old = nomination(hand, SECOND, value)
    hand.receive(old)
    hand.receive(nomination(hand, FIRST, None if value is None else value + 1))
    assert hand.agent.selected_path.remote == FIRST
    for _ in range(10):
        hand.receive(old)
        hand.answer_all(hand.wait(0.3))
    assert hand.agent.selected_path.remote == FIRST


@pytest.mark.parametrize("parameters", [ICE2, RENOMINATING, PLAIN])
@pytest.mark.parametrize("value", [None, 5])
def test_nomination_replayed_from_elsewhere_does_not_move_the_path_there(make_hand, parameters, value):
    """Though whoever replays it lets our check through to the peer, so that the way over him is valid."""
    hand, _ = controlled(make_hand, parameters, renomination=True)
    newest = nomination(hand, FIRST, value)
    hand.receive(newest)
    thief = Path(hand.local, Address("198.51.100.6", 6))
    said = hand.receive(Datagram(newest.data, thief))
    hand.answer_all(said)
    for _ in range(20):
        hand.receive(Datagram(newest.data, thief))
        hand.answer_all(hand.wait(0.3))
    assert hand.agent.explain().selected.path.remote == FIRST


def test_nomination_that_a_rebound_nat_repeats_from_a_new_address_serves_where_the_old_one_is_dead(make_hand):
    hand, _ = controlled(make_hand, ICE2)
    newest = nomination(hand, SECOND)
    hand.receive(newest)
    moved = Path(hand.local, Address("10.0.1.2", 60_000))
    hand.answer_all(hand.receive(Datagram(newest.data, moved)))
    assert hand.agent.selected_path.remote == SECOND
    for _ in range(100):
        said = hand.wait(0.1)
        hand.answer_all([check for check in said if check.path == moved])
    assert hand.agent.selected_path == moved


def test_memory_of_nominations_is_bounded(make_hand):
    hand, _ = controlled(make_hand, ICE2)
    for _ in range(1000):
        hand.receive(nomination(hand, SECOND))
    assert len(hand.agent._generations.current._nominations._seen) <= 256


# --- controlling: when to move ----------------------------------------------------------------------------------------

POLICY = RenominationPolicy(hold_s=3.0, move_interval_s=10.0)


class Controlling:
    """A controlling agent between two peers' addresses that answer after a while; it answers all checks of both."""

    def __init__(self, make_hand, parameters=RENOMINATING, *, renomination=True, **config):
        self.hand = with_two(
            make_hand,
            Role.CONTROLLING,
            parameters,
            renomination=renomination,
            renomination_policy=POLICY,
            liveness_interval_s=1.0,
            **config,
        )
        self.rtt_s = {FIRST: 0.05, SECOND: 0.05}
        self.waiting = self.due(self.hand.sent)

    def due(self, said):
        return [(self.hand.now + self.rtt_s[check.path.remote], check) for check in self.hand.checks(said)]

    def run(self, duration_s):
        hand = self.hand
        for _ in range(round(duration_s / 0.01)):
            said = hand.wait(0.01)
            self.waiting += self.due(said)
            for check in [check for at, check in self.waiting if at <= hand.now]:
                self.waiting += self.due(hand.receive(hand.response(check)))
            self.waiting = [(at, check) for at, check in self.waiting if at > hand.now]

    @property
    def selected(self):
        return self.hand.agent.selected_path.remote

    def moves(self):
        return [event.path.remote for event in self.hand.of(SelectedPathChanged)]


def test_nominations_carry_a_counter_that_grows(make_hand, value_of):
    agent = Controlling(make_hand)
    agent.run(1.0)
    agent.rtt_s[FIRST] = 0.4
    agent.run(20.0)
    values = [value_of(check, "NOMINATION") for check in agent.hand.checks() if value_of(check, "USE_CANDIDATE")]
    assert values == [1, 2]


@pytest.mark.proves("RENOMINATION-3-2-80a9")
@pytest.mark.parametrize(("renomination", "parameters"), [(True, ICE2), (False, RENOMINATING), (True, PLAIN)])
def test_without_both_ends_there_is_one_nomination_and_no_counter(make_hand, value_of, renomination, parameters):
    """Section 3: "the controlling side MUST NOT send more than one nomination"."""
    agent = Controlling(make_hand, parameters, renomination=renomination)
    agent.run(1.0)
    agent.rtt_s[FIRST] = 0.4
    agent.run(30.0)
    nominations = [check for check in agent.hand.checks() if value_of(check, "USE_CANDIDATE")]
    assert [value_of(check, "NOMINATION") for check in nominations] == [None]
    assert agent.selected == FIRST


def test_path_moves_to_the_shorter_round_trip_once_it_has_been_so_for_a_while(make_hand):
    agent = Controlling(make_hand)
    agent.run(10.0)
    assert agent.moves() == [FIRST]
    agent.rtt_s[FIRST] = 0.4
    agent.run(2.0)
    assert agent.moves() == [FIRST]
    agent.run(15.0)
    assert agent.moves() == [FIRST, SECOND]


@pytest.mark.parametrize("rtt_s", [0.04, 0.06, 0.065])
def test_small_differences_move_nothing(make_hand, rtt_s):
    agent = Controlling(make_hand)
    agent.rtt_s[FIRST] = rtt_s
    agent.run(60.0)
    assert agent.moves() == [FIRST]


def test_moves_are_some_time_apart(make_hand):
    """Though the costs change sides again and again."""
    agent = Controlling(make_hand)
    hand = agent.hand
    agent.run(1.0)
    for _ in range(10):
        for remote in FIRST, SECOND:
            cost = 900 if remote == agent.selected else 10
            info = [Attribute(AttributeType.GOOG_NETWORK_INFO, 1 << 16 | cost)]
            hand.receive(hand.request(path=Path(hand.local, remote), more=info))
        agent.run(4.0)
    assert 3 <= len(agent.moves()) <= 5


def test_path_moves_to_the_cheaper_network_whatever_its_round_trip(make_hand):
    agent = Controlling(make_hand)
    agent.rtt_s[SECOND] = 0.2
    hand = agent.hand
    agent.run(1.0)
    assert agent.selected == FIRST
    info = [Attribute(AttributeType.GOOG_NETWORK_INFO, 1 << 16 | 900)]
    hand.receive(hand.request(path=Path(hand.local, FIRST), more=info))
    agent.run(6.0)
    assert agent.selected == SECOND


def test_dearer_network_is_not_moved_to_for_its_round_trip(make_hand):
    agent = Controlling(make_hand)
    hand = agent.hand
    info = [Attribute(AttributeType.GOOG_NETWORK_INFO, 1 << 16 | 900)]
    hand.receive(hand.request(path=Path(hand.local, SECOND), more=info))
    agent.rtt_s[FIRST] = 0.5
    agent.run(30.0)
    assert agent.moves() == [FIRST]


def test_pairs_that_are_not_in_use_are_checked_now_and_then_only_with_renomination(make_hand):
    agent = Controlling(make_hand)
    agent.run(2.0)
    agent.hand.sent.clear()
    agent.run(20.0)
    assert 8 <= sum(check.path.remote == SECOND for check in agent.hand.checks()) <= 12
    plain = Controlling(make_hand, ICE2)
    plain.run(2.0)
    plain.hand.sent.clear()
    plain.run(20.0)
    assert {check.path.remote for check in plain.hand.checks()} == {FIRST}


def test_renomination_that_is_not_answered_leaves_the_path(make_hand):
    agent = Controlling(make_hand)
    agent.run(1.0)
    agent.rtt_s[FIRST] = 0.4
    agent.run(2.9)
    agent.rtt_s[SECOND] = 1000.0  # from now on it does not answer
    agent.run(40.0)
    assert agent.moves() == [FIRST]
    assert agent.hand.agent.state == "connected"


# --- both ends --------------------------------------------------------------------------------------------------------


def two_ways(duo, seed=0, renomination=(True, True), **conditions):
    """Two agents with two networks each; which way is slow can be changed."""
    addresses = tuple((Address(f"10.0.0.{end}", 1), Address(f"10.1.0.{end}", 1)) for end in (1, 2))
    configs = tuple(IceConfig(renomination=is_on, renomination_policy=POLICY) for is_on in renomination)
    return duo(seed=seed, addresses=addresses, configs=configs, conditions=LinkConditions(delay_s=0.02, **conditions))


def only_within_networks(pair, dead=()):
    def drops(end, datagram):
        networks = {address.host.split(".")[1] for address in (datagram.path.local, datagram.path.remote)}
        return len(networks) > 1 or networks <= set(dead)

    pair.drops = drops


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("renomination", [(True, True), (True, False), (False, True)])
def test_both_ends_agree_on_the_path_though_ways_die_and_come_back(duo, seed, renomination):
    pair = two_ways(duo, seed, renomination, loss=0.05 * (seed % 3))
    only_within_networks(pair)
    pair.connect()
    pair.run(5.0)
    for dead in "0", "1":
        only_within_networks(pair, dead)
        pair.run(12.0)
        assert pair.agents[0].selected_path == pair.agents[1].selected_path.reversed()
        assert pair.agents[0].selected_path.local.host.split(".")[1] != dead
    only_within_networks(pair)
    pair.run(10.0)
    assert pair.is_connected()
    assert pair.agents[0].selected_path == pair.agents[1].selected_path.reversed()


def test_both_ends_move_together_to_the_cheaper_network(duo):
    costs = (("wlan*", 10), ("wwan*", 900))
    configs = tuple(IceConfig(renomination=True, renomination_policy=POLICY, network_costs=costs) for _ in (0, 1))
    pair = duo(configs=configs, addresses=((Address("10.1.0.1", 1),), (Address("10.1.0.2", 1),)))
    for agent, addresses in zip(pair.agents, pair.addresses, strict=True):
        agent.add_local_address(addresses[0], "wwan0", pair.now)
        agent.end_of_local_addresses(pair.now)
    pair.exchange_parameters()
    pair.link.flush()
    pair.link.run_until(pair.is_connected, within_s=5.0)
    pair.run(2.0)
    wifi = Address("10.0.0.1", 1)
    pair.addresses = ((*pair.addresses[0], wifi), pair.addresses[1])
    pair.agents[0].add_local_address(wifi, "wlan0", pair.now)
    pair.run(8.0)
    assert [agent.selected_path for agent in pair.agents] == [
        Path(wifi, Address("10.1.0.2", 1)),
        Path(Address("10.1.0.2", 1), wifi),
    ]
    assert all("disconnected" not in states for states in pair.states)
