"""What an agent can tell about itself."""

import attrs

from sans_rtc.ice import Agent, IceConfig, IceExplanation, PairState, Role
from sans_rtc.testing import SeededEntropy


def test_explain_before_anything_has_happened(make_agent):
    explanation = make_agent().explain()
    assert isinstance(explanation, IceExplanation)
    assert (explanation.state, explanation.pairs, explanation.selected) == ("new", (), None)
    assert not explanation.is_remote_known


def test_explain_is_pure(make_hand):
    hand = make_hand(Role.CONTROLLING).connect()
    before = (hand.agent.explain(), hand.agent.deadline)
    assert (hand.agent.explain(), hand.agent.deadline) == before


def test_explain_is_a_copy(make_hand):
    hand = make_hand(Role.CONTROLLING).connect()
    explanation = hand.agent.explain()
    sent = explanation.pairs[0].statistics.requests_sent
    hand.wait(10.0)
    hand.agent.receive(hand.request(pwd="w" * 22), hand.now)
    assert explanation.pairs[0].statistics.requests_sent == sent
    assert explanation.statistics.discards == {}


def test_pair_in_use(make_hand):
    hand = make_hand(Role.CONTROLLING)
    hand.meet()
    hand.now += 0.02
    hand.answer_all(hand.answer_all(hand.sent))
    hand.receive(hand.request())
    (pair,) = hand.agent.explain().pairs
    assert pair == hand.agent.explain().selected
    assert (pair.local.address, pair.remote.address, pair.path) == (hand.local, hand.remote, hand.path)
    assert (pair.state, pair.is_nominated, pair.is_selected) == (PairState.SUCCEEDED, True, True)
    assert (pair.local.type, pair.remote.type) == ("host", "host")
    assert 0.0 < pair.rtt_s <= 0.02
    assert pair.last_heard_at == pair.last_response_at == hand.now
    assert attrs.asdict(pair.statistics) == {
        "checks_sent": 2,
        "requests_sent": 2,
        "checks_received": 1,
        "responses_received": 2,
        "checks_timed_out": 0,
        "checks_refused": 0,
        "refused_code": 0,
        "unproven_refusal_code": 0,
        "asymmetric_responses": 0,
    }


def test_pair_that_nobody_answers(make_hand):
    hand = make_hand(Role.CONTROLLING).meet()
    hand.wait(20.0)
    (pair,) = hand.agent.explain().pairs
    assert (pair.state, pair.rtt_s, pair.last_heard_at) == (PairState.FAILED, None, None)
    assert (pair.statistics.checks_sent, pair.statistics.requests_sent, pair.statistics.checks_timed_out) == (1, 7, 1)


def test_request_alone_is_heard_but_no_response(make_hand):
    hand = make_hand(Role.CONTROLLING).meet()
    hand.receive(hand.request())
    (pair,) = hand.agent.explain().pairs
    assert (pair.last_heard_at, pair.last_response_at) == (hand.now, None)


def test_no_secret_is_shown(make_hand):
    hand = make_hand(Role.CONTROLLING).connect()
    text = repr(hand.agent.explain())
    assert hand.agent.local_parameters.pwd not in text
    assert hand.parameters.pwd not in text


def test_trace_tells_the_steps_and_no_secret(make_hand):
    records = []
    agent = Agent(IceConfig(), role=Role.CONTROLLING, entropy=SeededEntropy(1), trace=records.append)
    hand = attrs.evolve(make_hand(), agent=agent).connect()
    hand.wait(31.0)
    assert {record.layer for record in records} == {"ice"}
    names = [record.name for record in records]
    assert set(names[:2]) == {"state", "check_sent"}
    assert {"check_ended", "selected", "consent_expired"} <= set(names)
    assert agent.local_parameters.pwd not in repr(records)
