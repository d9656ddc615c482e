"""The pieces together, in virtual time, over links that lose packets both ways."""

import pytest

from sans_rtc.rtp.recovery import NackConfig, ReceiveBufferConfig, SendHistoryConfig, row_and_column_pattern
from sans_rtc.testing import LinkConditions

LOSSY = {"delay_s": 0.03, "jitter_s": 0.005, "duplication": 0.01, "reordering": 0.02, "reordering_s": 0.015}
PATIENT = {
    "buffer": ReceiveBufferConfig(give_up_after_s=5.0, packet_count_max=8192, byte_count_max=1 << 24),
    "nack": NackConfig(request_count_max=100),
    "history": SendHistoryConfig(age_s_max=10.0, packet_count_max=8192, byte_count_max=1 << 24, ratio_max=4.0),
}


def check_frames(result):
    """Whole, in order, never wrong."""
    indices = [index for index, _ in result.taken]
    assert indices == sorted(set(indices))
    for index, frame in result.taken:
        assert frame.packets == result.sent[index]
    for (before, _), (index, frame) in zip(result.taken, result.taken[1:], strict=False):
        assert not frame.is_contiguous or index == before + 1


@pytest.mark.parametrize("loss", [0.0, 0.05, 0.2])
@pytest.mark.parametrize("seed", range(2))
def test_retransmission_with_time_enough_recovers_every_frame(loss, seed, make_call):
    result = make_call(seed=seed, conditions=LinkConditions(loss=loss, **LOSSY), **PATIENT).run(150)
    check_frames(result)
    first = result.taken[0][0]  # the first packet of all may be lost: nobody knows of it
    assert [index for index, _ in result.taken] == list(range(first, 150))
    assert first <= 1 and all(frame.is_contiguous for _, frame in result.taken[1:])


@pytest.mark.parametrize(("loss", "least"), [(0.05, 0.99), (0.2, 0.97)])
@pytest.mark.parametrize("seed", range(2))
def test_retransmission_with_a_second_of_patience_delivers_nearly_all(loss, least, seed, make_call):
    result = make_call(seed=seed, conditions=LinkConditions(loss=loss, **LOSSY)).run(300)
    check_frames(result)
    assert result.delivered >= least
    assert result.decodable >= 0.9 * len(result.sent)
    assert result.world.held_max <= ReceiveBufferConfig().packet_count_max


def test_without_repair_most_frames_are_lost_so_the_measure_can_fail(make_call):
    result = make_call(seed=1, conditions=LinkConditions(loss=0.2, **LOSSY), with_rtx=False).run(150)
    check_frames(result)
    assert result.delivered < 0.4


def test_error_correction_alone_delivers_nearly_all_at_five_percent(make_call):
    call = make_call(
        seed=1, conditions=LinkConditions(loss=0.05, **LOSSY), with_rtx=False, pattern=row_and_column_pattern(5, 5)
    )
    result = call.run(150)
    check_frames(result)
    assert result.delivered > 0.93
    assert call.fec.stats.packets_recovered > 0


def test_error_correction_spares_requests(make_call):
    conditions = LinkConditions(loss=0.05, **LOSSY)
    bare = make_call(seed=3, conditions=conditions)
    with_fec = make_call(seed=3, conditions=conditions, pattern=row_and_column_pattern(4, 4))
    assert bare.run(120).delivered > 0.98
    result = with_fec.run(120)
    check_frames(result)
    assert result.delivered > 0.98
    assert with_fec.nack.stats.requests < bare.nack.stats.requests


def test_stream_goes_on_after_the_link_was_dead_for_two_seconds(make_call):
    call = make_call(seed=5, conditions=LinkConditions(loss=0.02, **LOSSY))
    alive, dead = call.conditions, LinkConditions(loss=1.0)
    call.at(1.0, lambda _, now: setattr(call, "conditions", dead), None)
    call.at(3.0, lambda _, now: setattr(call, "conditions", alive), None)
    result = call.run(180)
    check_frames(result)
    assert {index for index, _ in result.taken} >= set(range(130, 180))
    assert result.world.is_decodable


def test_same_seed_gives_the_same_call(make_call):
    first, second = (make_call(seed=7, conditions=LinkConditions(loss=0.1, **LOSSY)).run(60) for _ in range(2))
    assert first.delays_s == second.delays_s
    assert first.world.nack.stats == second.world.nack.stats
