"""Hand a peer over at any moment of a session: no later byte, event or time differs, at either end."""

import pytest

from sans_rtc.datachannel import ChannelOptions
from sans_rtc.testing import LinkConditions, SeededEntropy

PIECE_COUNT = 40
STEP_COUNT = 40  # at least as many as a life has


def lead(session, on_step):
    """A whole life: connect, talk, transfer, restart ICE, close a channel, open another, close; on_step between."""

    def step(*pauses):
        for pause_s in pauses:
            session.run(pause_s)
            on_step()

    session.do(0, "create_channel", "chat", ChannelOptions())
    session.do(1, "create_channel", "loose", ChannelOptions(ordered=False, max_retransmits=1))
    for end in (0, 1):
        session.describe(end)
        step(0.002)
        session.tell(end)
        step(0.003, 0.01)
    step(*[0.007] * 15, 1.0, 2.0)
    for end in (0, 1):
        session.send(end, "chat", f"hello from {end}")
        session.send(end, "chat", bytes([end]) * 60_000)
        session.send(end, "loose", b"whether or not")
        step(0.001, 0.012, 0.02)
    step(0.05, 0.2)
    session.do(1, "restart_ice")
    session.describe(1)
    step(0.01)
    session.tell(1)
    session.send(0, "chat", bytes(20_000))
    step(0.01)
    session.describe(0)
    step(0.005)
    session.tell(0)
    step(0.01, 0.03, 0.5, 3.0)
    session.do(0, "close_channel", session.handles.get((0, "chat"), 1))
    step(0.01, 0.1)
    session.do(0, "create_channel", "late", ChannelOptions())
    step(0.1, 5.0)
    session.send(1, "late", bytes(30_000))
    session.do(1, "close")
    step(0.005, 0.01, 0.03, 0.1, 60.0)


@pytest.fixture(scope="module")
def plain_life(make_session):
    """The log of a life without a snapshot, made once for each seed."""

    def life(seed):
        if seed not in lives:
            session = make_session(seed)
            lead(session, lambda: None)
            lives[seed] = session
        return lives[seed]

    lives = {}
    return life


@pytest.mark.parametrize("seed", range(5))
def test_one_hand_over_at_any_step_changes_no_later_byte(seed, make_session, plain_life):
    expected = plain_life(seed)
    dice = SeededEntropy(f"where {seed}")
    for _ in range(3):
        session, chosen, end, taken = make_session(seed), dice.below(STEP_COUNT), dice.below(2), []

        def on_step(session=session, chosen=chosen, end=end, taken=taken):
            if len(taken) == chosen:
                session.replace(end)
            taken.append(None)

        lead(session, on_step)
        assert session.log == expected.log


@pytest.mark.parametrize("seed", range(2))
def test_both_ends_handed_over_at_every_step_change_no_byte(seed, make_session, plain_life):
    session = make_session(seed)

    def replace_both():
        session.replace(0)
        session.replace(1)

    lead(session, replace_both)
    expected = plain_life(seed)
    assert session.log == expected.log
    assert session.messages == expected.messages
    assert expected.messages[1] and expected.peers[0].is_terminated


def test_entropy_that_goes_elsewhere_shows_in_the_bytes(make_session, plain_life):
    session = make_session(0)

    def replace_wrongly():
        session.entropies[0](1)
        session.replace(0)

    lead(session, replace_wrongly)
    assert session.log != plain_life(0).log


def test_no_reliable_message_is_lost_while_hands_change_in_a_transfer(make_session):
    session = make_session("transfer", conditions=LinkConditions(delay_s=0.02, loss=0.05, reordering=0.1))
    session.connect()
    sent = [bytes([number]) * 5000 for number in range(PIECE_COUNT)]
    for number, piece in enumerate(sent):
        session.send(0, "chat", piece)
        session.replace(number % 2)
        session.run(0.004)
    session.run(30.0)
    assert session.messages[1] == sent
