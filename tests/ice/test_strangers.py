"""What anybody on the Internet can send changes nothing: no state, no event, no answer worth having."""

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.ice import Agent, IceConfig, Payload, Role
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.wire import Attribute, MessageClass, parse_message, serialize_message, success_response
from sans_rtc.testing import ContractMonitor, SeededEntropy

STRANGER = Address("198.51.100.7", 7000)


def snapshot(agent):
    """All that an owner can see, but for what counts discards."""
    explanation = agent.explain()
    pairs = [attrs.evolve(pair, statistics=None) for pair in explanation.pairs]
    rest = attrs.evolve(explanation, pairs=tuple(pairs), statistics=None, early_datagrams=0)
    return rest, agent.deadline, agent.can_send, agent.selected_path, agent.local_parameters, agent.remote_parameters


def prepare(hand, stage):
    if stage == "new":
        hand.agent.add_local_address(hand.local, "eth0", hand.now)
    elif stage == "checking":
        hand.meet()
    elif stage == "valid":
        hand.meet()
        hand.answer_all(hand.sent)
    elif stage == "connected":
        hand.connect()
    elif stage == "disconnected":
        hand.connect()
        hand.wait(5.0)
    elif stage == "failed":
        hand.connect()
        hand.wait(31.0)
    elif stage == "restarted":
        hand.connect()
        hand.agent.restart(hand.now)
    elif stage == "closed":
        hand.connect()
        hand.agent.close(hand.now)
    hand.drain()
    hand.events.clear()
    return hand


STAGES = ("new", "checking", "valid", "connected", "disconnected", "failed", "restarted", "closed")


def forged_responses(hand):
    """Success and error responses to every check so far, as somebody would make them who lacks the password."""
    for check in hand.checks():
        yield hand.response(check, pwd="w" * 22)
        yield hand.response(check, key=False)
        yield hand.response(check, code=487, key=False)
        yield hand.response(check, code=403, pwd="w" * 22)
        yield hand.response(check, path=Path(hand.local, STRANGER), key=False)
        message = parse_message(check.data)
        message.transaction_id = bytes(12)
        answer = success_response(message, [Attribute(AttributeType.XOR_MAPPED_ADDRESS, STRANGER)])
        yield Datagram(serialize_message(answer, key=b"p" * 22, fingerprint=True), check.path)


def strange(hand):
    paths = [hand.path, Path(hand.local, STRANGER), Path(STRANGER, hand.remote)]
    datas = [b"", b"\0", b"\x01\x01", bytes(20), b"\xff" * 1500, b"\0\1\0\0\x21\x12\xa4\x42" + bytes(12)]
    for path in paths:
        yield from (Datagram(data, path) for data in datas if not (data[:1] > b"\x03" and path == hand.path))
        yield hand.request(path=path, pwd="w" * 22)
        yield hand.request(path=path, pwd="w" * 22, use_candidate=True, role=hand.agent.role, tie_breaker=1 << 63)
        yield hand.request(path=path, integrity=False)
        yield hand.request(path=path, username="x:y")
        yield hand.request(path=path, fingerprint=False)
    yield from list(forged_responses(hand))


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("stage", STAGES)
def test_nothing_strange_changes_anything(make_hand, role, stage):
    hand = prepare(make_hand(role), stage)
    for datagram in list(strange(hand)):
        before = snapshot(hand.agent)
        hand.agent.receive(datagram, hand.now)
        assert snapshot(hand.agent) == before
    answers = [parse_message(datagram.data) for datagram in hand.drain()]
    assert {answer.message_class for answer in answers} <= {MessageClass.ERROR_RESPONSE}
    assert hand.events == []


@pytest.mark.parametrize("stage", ["valid", "connected", "disconnected", "restarted"])
def test_replayed_responses_change_nothing(make_hand, stage):
    hand = make_hand(Role.CONTROLLING)
    responses = []
    hand.meet()
    for _ in range(2):
        for check in hand.checks():
            responses.append(hand.response(check))
            hand.receive(responses[-1])
    if stage == "disconnected":
        hand.wait(5.0)
    elif stage == "restarted":
        hand.agent.restart(hand.now)
    before = snapshot(hand.agent)
    for response in responses:
        hand.agent.receive(response, hand.now)
        elsewhere = Path(hand.local, STRANGER)
        hand.agent.receive(Datagram(response.data, elsewhere), hand.now)
    assert snapshot(hand.agent) == before


def test_replayed_request_makes_no_second_pair_and_opens_no_path_but_its_own(make_hand):
    """Whoever replays a check from elsewhere gets an answer and becomes a candidate that never answers, no more."""
    hand = make_hand(Role.CONTROLLED).connect()
    request = hand.request()
    hand.receive(request)
    selected = hand.agent.selected_path
    replayed = Datagram(request.data, Path(hand.local, STRANGER))
    for _ in range(20):
        hand.receive(replayed)
    assert hand.agent.selected_path == selected
    assert len(hand.agent.explain().pairs) == 2


def test_payload_from_a_stranger_never_becomes_an_event(make_hand):
    hand = make_hand(Role.CONTROLLED).connect()
    hand.receive(Datagram(b"\x16" * 100, Path(hand.local, STRANGER)))
    assert hand.of(Payload) == []


def test_number_of_answers_to_strangers_is_limited(make_hand):
    hand = make_hand(Role.CONTROLLED).meet()
    hand.sent.clear()
    for _ in range(1000):
        hand.receive(hand.request(pwd="w" * 22, path=Path(hand.local, STRANGER)))
    assert len(hand.sent) == IceConfig().refusals_per_s_max


paths = st.sampled_from(
    [
        Path(Address("10.0.0.1", 1111), Address("10.0.0.2", 2222)),
        Path(Address("10.0.0.1", 1111), STRANGER),
        Path(Address("10.9.9.9", 9), STRANGER),
    ]
)
stun_like = st.builds(
    lambda kind, cookie, middle, body: kind + len(body).to_bytes(2, "big") + cookie + middle + body,
    st.sampled_from([b"\x00\x01", b"\x01\x01", b"\x01\x11", b"\x00\x11"]),
    st.sampled_from([b"\x21\x12\xa4\x42", b"abcd"]),
    st.binary(min_size=12, max_size=12),
    st.binary(max_size=120).map(lambda body: body[: len(body) // 4 * 4]),
)
steps = st.lists(
    st.tuples(st.one_of(st.binary(max_size=100), stun_like), paths, st.floats(0.0, 3.0)), min_size=1, max_size=15
)


@given(steps, st.sampled_from(Role), st.booleans())
@settings(max_examples=80, deadline=None)
def test_any_bytes_at_any_time_keep_the_contract(steps, role, connected):
    agent = Agent(IceConfig(), role=role, entropy=SeededEntropy(1))
    monitor = ContractMonitor(agent)
    now = 1000.0
    agent.add_local_address(Address("10.0.0.1", 1111), "eth0", now)
    if connected:
        agent.set_remote_parameters(agent.local_parameters, now)
    for data, path, wait_s in steps:
        now += wait_s
        if monitor.deadline <= now:
            monitor.handle_timer(now)
        monitor.receive(Datagram(data, path), now)
        monitor.take_datagrams(now)
        monitor.take_events()
        monitor.check(now)
    assert len(agent.explain().pairs) == 0
    assert not agent.can_send


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_damaged_checks_of_the_peer_change_nothing(data):
    """Every single bit counts: a request that differs from a good one in any byte is a stranger's."""
    agent = Agent(IceConfig(), role=Role.CONTROLLED, entropy=SeededEntropy(1))
    agent.add_local_address(Address("10.0.0.1", 1111), "eth0", 0.0)
    other = Agent(IceConfig(), role=Role.CONTROLLING, entropy=SeededEntropy(2))
    other.add_local_address(Address("10.0.0.2", 2222), "eth0", 0.0)
    other.set_remote_parameters(agent.local_parameters, 0.0)
    agent.set_remote_parameters(other.local_parameters, 0.0)
    for event in agent.take_events():
        if hasattr(event, "candidate"):
            other.add_remote_candidate(event.candidate, 0.0)
    (check,) = other.take_datagrams(0.0)
    damaged = bytearray(check.data)
    index = data.draw(st.integers(0, len(damaged) - 1))
    damaged[index] ^= data.draw(st.integers(1, 255))
    before = snapshot(agent)
    agent.receive(Datagram(bytes(damaged), check.path.reversed()), 0.0)
    assert snapshot(agent) == before
    agent.receive(Datagram(check.data, check.path.reversed()), 0.0)
    assert snapshot(agent) != before
