"""When RTCP is due: RFC 3550 section 6.3, RFC 4585 section 3.5."""

import itertools
import math

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc import rtcp
from sans_rtc.errors import InvalidArgument, InvalidState
from sans_rtc.machine import Terminated
from sans_rtc.rtcp import FeedbackPlan, ReportDue, ReportKind, RtcpScheduler, SchedulerConfig
from sans_rtc.rtcp.interval import COMPENSATION, deterministic_interval_s, randomised_interval_s
from sans_rtc.testing import SeededEntropy

AVP = SchedulerConfig(is_feedback_profile=False, is_point_to_point=False)
VIDEO = SchedulerConfig(minimum_interval_s=rtcp.config.VIDEO_INTERVAL_S)
GROUP = SchedulerConfig(is_point_to_point=False, minimum_interval_s=0.0, bandwidth_bytes_per_s=500.0)
REGULAR, EARLY, BYE = ReportDue(ReportKind.REGULAR), ReportDue(ReportKind.EARLY), ReportDue(ReportKind.BYE)


def half(count):
    """Entropy whose fractions are all one half: T is Td over the compensation."""
    return b"\x80" + bytes(count - 1)


def scheduler(config=AVP, entropy=half, *, start=True):
    made = RtcpScheduler(config, ssrc=1, entropy=entropy)
    if start:
        made.start(0.0)
    return made


def run(machine, until, size_bytes=100):
    """Drive to a time; (time, event) of all that came."""
    found = []
    while True:
        at = machine.deadline
        if at > until:
            return found
        machine.handle_timer(at)
        for event in machine.take_events():
            found.append((at, event))
            if isinstance(event, ReportDue):
                machine.rtcp_sent(size_bytes, at)


def reports(found, kind=ReportKind.REGULAR):
    return [at for at, event in found if event == ReportDue(kind)]


def interval(**change):
    fields = {
        "members": 2,
        "senders": 0,
        "is_sender": False,
        "average_bytes": 100.0,
        "bandwidth_bytes_per_s": 100.0,
        "sender_fraction": 0.25,
        "minimum_s": 0.0,
    }
    return deterministic_interval_s(**fields | change)


# Section 6.3.1, steps 1 to 3: average / (share of the bandwidth) * n.
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, 100 / 75 * 2),
        ({"members": 8, "senders": 2, "is_sender": True}, 100 / 25 * 2),
        ({"members": 8, "senders": 2}, 100 / 75 * 6),
        ({"members": 8, "senders": 3}, 100 / 100 * 8),
        ({"members": 8, "senders": 3, "is_sender": True}, 100 / 100 * 8),
        ({"minimum_s": 5.0}, 5.0),
        ({"members": 8, "sender_fraction": 1.0}, math.inf),
        ({"members": 8, "senders": 1, "sender_fraction": 1.0, "is_sender": True}, 1.0),
    ],
)
def test_interval_is_that_of_section_6_3_1(change, expected):
    assert interval(**change) == pytest.approx(expected)


def test_interval_is_randomised_between_half_and_one_and_a_half_and_compensated():
    assert pytest.approx(1.21828, abs=1e-5) == COMPENSATION
    assert [randomised_interval_s(COMPENSATION, fraction) for fraction in (0.0, 0.5, 1.0)] == [0.5, 1.0, 1.5]


@pytest.mark.proves("RFC3550-6.2-9-cb23")
def test_first_report_comes_after_half_of_the_minimum():
    assert scheduler().deadline == pytest.approx(2.5 / COMPENSATION)


@pytest.mark.proves("RFC3550-6.2-8-07a5")
def test_reports_are_the_minimum_apart_on_average():
    at = reports(run(scheduler(entropy=SeededEntropy(1)), 5000.0))
    gaps = [after - before for before, after in itertools.pairwise(at)]
    assert min(gaps) >= 2.5 / COMPENSATION
    assert sum(gaps) / len(gaps) == pytest.approx(5.0, rel=0.1)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("interval_s", [1.0, 5.0])
@pytest.mark.proves(
    "RFC4585-3.5.3-1-7831",
    "RFC4585-3.5.3-6-f2b4",
    "RFC4585-3.5.3-7-28a6",
    "RFC4585-3.5.3-9-1a94",
    "RFC4585-3.5.3-10-28a6",
    "RFC4585-3.5.3-13-f61f",
)
def test_point_to_point_reports_come_at_the_configured_interval(interval_s, seed):
    config = SchedulerConfig(minimum_interval_s=interval_s)
    at = reports(run(scheduler(config, SeededEntropy(seed)), 300.0))
    gaps = [after - before for before, after in itertools.pairwise(at)]
    assert at[0] < 0.1
    assert 0.5 * interval_s <= min(gaps) and max(gaps) <= 1.6 * interval_s + 0.1
    assert sum(gaps) / len(gaps) == pytest.approx(interval_s, rel=0.2)


def test_more_members_make_the_interval_longer():
    config = attrs.evolve(AVP, bandwidth_bytes_per_s=100.0)
    alone, crowd = scheduler(config, SeededEntropy(2)), scheduler(config, SeededEntropy(2))
    for ssrc in range(2, 60):
        crowd.rtcp_received([rtcp.ReceiverReport(ssrc)], 72, 0.1)
    assert crowd.member_count == 59
    assert len(reports(run(crowd, 500.0))) < len(reports(run(alone, 500.0))) / 2


@pytest.mark.proves("RFC8108-5.3.2-2-3098")
def test_timer_is_reconsidered_where_members_came():
    machine = scheduler(attrs.evolve(AVP, bandwidth_bytes_per_s=100.0))
    first = machine.deadline
    for ssrc in range(2, 102):
        machine.rtcp_received([rtcp.ReceiverReport(ssrc)], 72, 0.1)
    machine.handle_timer(first)
    assert machine.take_events() == ()
    assert machine.deadline == pytest.approx(100 / 75 * 101 / COMPENSATION, rel=0.2)
    assert machine.stats.reconsidered_count == 1


@pytest.mark.proves("RFC3550-6.3.4-1-04e9", "RFC8108-5.3.2-6-fbce")
def test_goodbyes_bring_the_timer_forward_in_proportion():
    machine = scheduler(attrs.evolve(AVP, bandwidth_bytes_per_s=100.0))
    for ssrc in range(2, 102):
        machine.rtcp_received([rtcp.ReceiverReport(ssrc)], 72, 0.1)
    machine.handle_timer(machine.deadline)
    before, now = machine.deadline, 3.0
    machine.rtcp_received([rtcp.Goodbye(tuple(range(2, 52)))], 60, now)
    assert machine.member_count == 51
    assert machine.deadline == pytest.approx(now + 51 / 101 * (before - now))


@pytest.mark.proves("RFC3550-6.2.1-3-1510", "RFC3550-6.3.5-1-b81a", "RFC3550-6.3.5-3-2ceb")
def test_member_that_is_silent_for_five_intervals_times_out():
    machine = scheduler()
    machine.rtcp_received([rtcp.ReceiverReport(2)], 72, 0.1)
    machine.rtp_received(3, (4,), 20.0)
    found = run(machine, 60.0)
    out = [(at, event.ssrcs) for at, event in found if isinstance(event, rtcp.MembersTimedOut)]
    assert [ssrcs for _, ssrcs in out] == [(2,), (3, 4)]
    assert 25.0 < out[0][0] < 36.0 and 45.0 < out[1][0] < 56.0
    assert machine.member_count == 1 and machine.stats.timed_out_count == 3


def test_sender_that_is_silent_for_two_intervals_is_a_receiver():
    machine = scheduler()
    machine.rtp_received(2, (), 0.1)
    machine.rtp_sent(0.1)
    assert (machine.sender_count, machine.is_sender) == (2, True)
    run(machine, 20.0)
    assert (machine.sender_count, machine.is_sender) == (0, False)


def test_members_beyond_the_table_are_not_counted_but_told():
    machine = scheduler(attrs.evolve(AVP, member_count_max=3))
    for ssrc in range(2, 10):
        machine.rtp_received(ssrc, (), 0.1)
    assert (machine.member_count, machine.sender_count) == (3, 2)
    assert machine.stats.discards == {rtcp.DiscardReason.MEMBER_TABLE_FULL: 6}


@pytest.mark.proves("RFC4585-3.5.4-2-a4f1")
def test_average_size_moves_by_a_sixteenth_and_counts_lower_layers():
    machine = scheduler()
    before = machine.average_bytes
    machine.rtcp_sent(300, 1.0)
    assert machine.average_bytes == pytest.approx(15 / 16 * before + (300 + 28) / 16)


def test_receivers_without_a_share_report_only_once_they_send():
    machine = scheduler(attrs.evolve(AVP, sender_fraction=1.0))
    machine.rtp_received(2, (), 0.0)
    machine.handle_timer(machine.deadline if machine.deadline < math.inf else 0.0)
    machine.rtp_sent(1.0)
    assert machine.deadline < 10.0


# --- feedback ---------------------------------------------------------------------------------------------------------


def settled(config=VIDEO, entropy=half):
    """A scheduler after its first report, and the time of it."""
    machine = scheduler(config, entropy)
    at = machine.deadline
    machine.handle_timer(at)
    assert machine.take_events() == [REGULAR]
    return machine, at


@pytest.mark.proves("RFC4585-3.5.2-17-180a", "RFC8108-5.4.2-1-dc38")
def test_feedback_point_to_point_is_due_at_once():
    machine, at = settled()
    assert machine.request_feedback(0.1, at + 0.001) == FeedbackPlan.EARLY
    assert machine.take_events() == [EARLY]
    assert machine.stats.early_count == 1


@pytest.mark.proves("RFC4585-3.5.3-12-e1ad")
def test_early_feedback_does_not_delay_the_regular_report():
    alone, with_feedback = settled()[0], settled()[0]
    with_feedback.request_feedback(0.1, 0.03)
    assert reports(run(with_feedback, 2.0))[0] == pytest.approx(reports(run(alone, 2.0))[0], abs=0.2)


@pytest.mark.proves(
    "RFC4585-3.5-1-2bf9",
    "RFC4585-3.5.2-1-60c7",
    "RFC4585-3.5.2-8-de75",
    "RFC4585-3.5.2-9-acd3",
    "RFC4585-3.5.2-18-1dd5",
    "RFC4585-3.5.2-19-c0fd",
    "RFC4585-3.5.3-5-e023",
    "RFC4585-3.5.3-11-4c17",
    "RFC4585-3.5.3-14-c263",
    "RFC8108-5.4.2-4-f649",
)
def test_second_feedback_waits_for_the_slot_that_the_first_left():
    config = SchedulerConfig(minimum_interval_s=10.0, bandwidth_bytes_per_s=100.0)
    machine, at = settled(config)
    slot_s = 128 / 75 / COMPENSATION
    assert machine.request_feedback(10.0, at + 0.1) == FeedbackPlan.EARLY
    assert machine.take_events() == [EARLY]
    # tn = tp + 2 T_rr, and no early packet before it
    assert machine.request_feedback(10.0, at + 0.2) == FeedbackPlan.WITH_REGULAR
    assert machine.deadline == pytest.approx(at + 2 * slot_s)
    assert machine.request_feedback(10.0, at + 0.3) == FeedbackPlan.JOINED
    found = run(machine, at + 9.0)
    assert reports(found, ReportKind.EARLY) == [pytest.approx(at + 2 * slot_s, rel=0.05)]
    assert machine.request_feedback(10.0, found[0][0] + 0.01) == FeedbackPlan.EARLY


@pytest.mark.proves("RFC4585-3.5.2-10-d79a")
def test_feedback_that_would_come_too_late_is_dropped():
    machine, at = settled(SchedulerConfig(minimum_interval_s=10.0, bandwidth_bytes_per_s=100.0))
    machine.request_feedback(0.5, at + 0.1)
    assert machine.request_feedback(0.5, at + 0.2) == FeedbackPlan.DROPPED
    assert machine.stats.feedback_dropped_count == 1


@pytest.mark.proves("RFC4585-3.4-2-1681", "RFC4585-3.4-3-a602", "RFC4585-3.5.2-11-e517")
def test_feedback_in_a_group_is_dithered_over_half_of_the_interval():
    machine, at = settled(GROUP)
    machine.rtp_received(2, (), at)
    t_rr = machine.deadline - at
    now = at + 0.01
    assert machine.request_feedback(1.0, now) == FeedbackPlan.EARLY
    assert machine.take_events() == ()
    assert machine.deadline == pytest.approx(now + 0.5 * 0.5 * t_rr)


@pytest.mark.proves("RFC4585-3.5.2-6-a883", "RFC4585-3.5.2-7-f26d")
def test_feedback_shortly_before_the_slot_waits_for_it():
    machine, _at = settled(GROUP)
    slot = machine.deadline
    assert machine.request_feedback(1.0, slot - 0.01) == FeedbackPlan.WITH_REGULAR
    assert machine.deadline == slot


@pytest.mark.proves("RFC4585-3.5.2-15-867e")
def test_feedback_that_another_member_gave_is_withdrawn():
    machine, at = settled(GROUP)
    slot = machine.deadline
    machine.request_feedback(1.0, at + 0.01)
    machine.withdraw_feedback(at + 0.01)
    assert machine.deadline == slot
    assert reports(run(machine, slot), ReportKind.EARLY) == []


def test_without_the_feedback_profile_feedback_waits_for_the_report():
    machine, at = settled(AVP)
    assert machine.request_feedback(1.0, at + 0.1) == FeedbackPlan.DROPPED
    assert machine.request_feedback(30.0, at + 0.1) == FeedbackPlan.WITH_REGULAR
    assert run(machine, at + 9.0)[0][1] == REGULAR


def test_feedback_before_the_start_and_after_the_end_is_dropped():
    machine = scheduler(start=False)
    assert machine.request_feedback(1.0, 0.0) == FeedbackPlan.DROPPED
    machine.abort(0.0)
    assert machine.request_feedback(1.0, 0.0) == FeedbackPlan.DROPPED


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.proves("RFC4585-8-2-561f")
def test_bandwidth_of_early_feedback_stays_within_the_share(seed):
    config = SchedulerConfig(minimum_interval_s=5.0, bandwidth_bytes_per_s=1000.0)
    machine = scheduler(config, SeededEntropy(seed))
    machine.rtp_received(2, (), 0.0)
    sent, now = 0, 0.0
    while now < 60.0:
        now += 0.01
        machine.rtp_received(2, (), now)
        machine.request_feedback(0.5, now)
        machine.handle_timer(now)
        for event in machine.take_events():
            if isinstance(event, ReportDue):
                sent += 100 + config.overhead_bytes
                machine.rtcp_sent(100, now)
    assert 0.3 < sent / now / config.bandwidth_bytes_per_s < 1.3


# --- leaving ----------------------------------------------------------------------------------------------------------


@pytest.mark.proves("RFC3550-6.3.7-2-0217")
def test_who_never_sent_leaves_without_bye():
    machine = scheduler()
    machine.close(1.0)
    assert [type(event) for event in machine.take_events()] == [Terminated]


def test_bye_in_a_small_session_is_due_at_once():
    machine = scheduler()
    machine.rtp_sent(0.5)
    machine.close(1.0)
    machine.close(1.0)
    assert [*machine.take_events()] == [BYE, Terminated(rtcp.TerminationReason.CLOSED, "BYE is due")]
    assert machine.is_terminated and machine.deadline == math.inf


def leaving(config=AVP, members=60):
    machine = scheduler(attrs.evolve(config, bandwidth_bytes_per_s=100.0))
    for ssrc in range(2, members + 1):
        machine.rtp_received(ssrc, (), 0.1)
    machine.rtp_sent(0.5)
    machine.close(1.0)
    return machine


@pytest.mark.proves("RFC3550-6.3.7-1-a5a4")
def test_bye_in_a_large_session_waits_for_its_turn():
    machine = leaving()
    assert machine.take_events() == () and not machine.is_terminated
    assert machine.deadline == pytest.approx(1.0 + 2.5 / COMPENSATION)
    machine.handle_timer(machine.deadline)
    assert machine.take_events()[0] == BYE


@pytest.mark.proves("RFC3550-6.3.7-1-a5a4")
def test_goodbyes_of_others_put_the_bye_off_and_nothing_else_counts():
    machine = leaving()
    for ssrc in range(2, 30):
        machine.rtcp_received([rtcp.Goodbye((ssrc,))], 60, 1.1)
    assert machine.member_count == 29
    machine.rtcp_received([rtcp.ReceiverReport(100)], 60, 1.1)
    machine.rtp_received(101, (), 1.1)
    assert (machine.member_count, machine.sender_count) == (29, 0)
    machine.handle_timer(machine.deadline)
    assert machine.take_events() == ()
    assert machine.deadline > 10.0
    assert next(event for _, event in run(machine, 100.0)) == BYE


def test_abort_ends_at_once_without_bye():
    machine = leaving()
    machine.abort(1.5)
    machine.abort(1.5)
    [event] = machine.take_events()
    assert event.reason == rtcp.TerminationReason.ABORTED
    assert machine.deadline == math.inf


def test_inputs_after_the_end_have_no_effect():
    machine = scheduler()
    machine.abort(1.0)
    machine.take_events()
    machine.rtp_received(2, (), 2.0)
    machine.rtcp_received([rtcp.ReceiverReport(3)], 60, 2.0)
    machine.rtp_sent(2.0)
    machine.handle_timer(1000.0)
    machine.close(1000.0)
    assert machine.take_events() == () and machine.member_count == 1


def test_second_start_is_refused():
    with pytest.raises(InvalidState):
        scheduler().start(1.0)


@pytest.mark.parametrize(
    "change", [{"minimum_interval_s": -1.0}, {"bandwidth_bytes_per_s": 0.0}, {"sender_fraction": 1.5}]
)
def test_value_out_of_its_range_is_refused(change):
    with pytest.raises(InvalidArgument):
        SchedulerConfig(**change)


@pytest.mark.proves("RFC3550-6.2.1-1-07ed")
def test_sources_of_packets_are_members_and_goodbyes_are_not():
    machine = scheduler()
    sdes = rtcp.SourceDescription([rtcp.SdesChunk(4), rtcp.SdesChunk(5)])
    packets = [rtcp.SenderReport(2, 0, 0, 0, 0), sdes, rtcp.PictureLossIndication(3, 9), rtcp.Goodbye((2, 8))]
    machine.rtcp_received([*packets, rtcp.UnknownPacket(209, 0, b""), rtcp.ReceiverReport(1)], 100, 0.1)
    assert machine.member_count == 4  # oneself, 3, 4, 5


CONFIGS = [AVP, VIDEO, GROUP, attrs.evolve(AVP, sender_fraction=1.0), attrs.evolve(AVP, sender_fraction=0.0)]
STEPS = st.lists(st.tuples(st.integers(0, 7), st.integers(1, 80), st.floats(0.0, 20.0)), max_size=60)


def apply(machine, step, ssrc, now):
    match step:
        case 0:
            machine.rtp_received(ssrc, (ssrc + 1,), now)
        case 1:
            machine.rtcp_received([rtcp.ReceiverReport(ssrc)], 40 + ssrc, now)
        case 2:
            machine.rtcp_received([rtcp.Goodbye(tuple(range(ssrc, ssrc + 5)))], 40, now)
        case 3:
            machine.rtp_sent(now)
        case 4:
            machine.request_feedback(ssrc / 20, now)
        case 5:
            machine.withdraw_feedback(now)
        case 6 if ssrc == 80:
            machine.close(now)
        case _:
            machine.rtcp_sent(10 * ssrc, now)


@given(st.sampled_from(CONFIGS), STEPS, st.integers(0, 1000))
@settings(max_examples=150, deadline=None)
def test_any_calls_keep_the_contract(config, steps, seed):
    made = [RtcpScheduler(config, ssrc=1, entropy=SeededEntropy(seed)) for _ in range(2)]
    told = [[], []]
    now = 0.0
    for machine in made:
        machine.start(now)
    for step, ssrc, wait_s in steps:
        now += wait_s
        for machine, events in zip(made, told, strict=True):
            for _ in range(100):
                if machine.deadline > now:
                    break
                machine.handle_timer(now)
            assert machine.deadline > now
            apply(machine, step, ssrc, now)
            events += machine.take_events()
            assert machine.member_count >= 1 and machine.sender_count <= machine.member_count
    assert told[0] == told[1]
    ended = [event for event in told[0] if isinstance(event, Terminated)]
    assert len(ended) <= 1 and (not ended or told[0][-1] is ended[0])
