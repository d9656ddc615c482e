"""The link in virtual time: the same seed gives the same run, and each condition does what it says."""

import math

import attrs
import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.machine import Address, Path
from sans_rtc.testing import Link, LinkConditions, SeededEntropy, VirtualClock
from sans_rtc.testing.cable import Lane


def run(ticker, count=200, *, seed=0, interval_s=0.001, size=10, **conditions):
    """Send numbered datagrams over a link; the list of (arrival time, number) at the other end, and the link."""
    link = Link(ticker(count, interval_s, size=size), ticker(), seed=seed, conditions=LinkConditions(**conditions))
    link.run_until_idle()
    arrivals = [(at, int.from_bytes(data[:4], "big")) for at, data in link.events[1]]
    return arrivals, link


BAD = {
    "loss": 0.2, "duplication": 0.2, "reordering": 0.2, "corruption": 0.2, "jitter_s": 0.01, "rate_bytes_s": 50000.0,
}  # fmt: skip


@pytest.mark.parametrize("seed", [0, 1, "text"])
def test_same_seed_gives_the_same_run(ticker, seed):
    first, second = (run(ticker, seed=seed, **BAD)[1] for _ in range(2))
    assert first.events == second.events and first.sent == second.sent


def test_other_seed_gives_another_run(ticker):
    assert run(ticker, seed=1, **BAD)[0] != run(ticker, seed=2, **BAD)[0]


def test_clean_link_brings_everything_in_order_after_the_delay(ticker):
    arrivals, link = run(ticker, delay_s=0.25)
    assert [number for _, number in arrivals] == list(range(200))
    assert [at for at, _ in arrivals] == pytest.approx([1000.25 + 0.001 * i for i in range(200)])
    assert len(link.sent[0]) == 200 and link.sent[1] == []


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.5, 1.0])
def test_loss_has_its_rate(ticker, loss):
    arrivals, link = run(ticker, 4000, loss=loss)
    assert len(link.sent[0]) == 4000
    lost = 4000 - len(arrivals)
    # Five standard deviations of a binomial distribution; none for 0 and 1.
    assert abs(lost - 4000 * loss) <= 5 * math.sqrt(4000 * loss * (1 - loss))
    assert [number for _, number in arrivals] == sorted(number for _, number in arrivals)


def test_loss_is_independent_of_the_loss_before(ticker):
    arrivals, _ = run(ticker, 4000, loss=0.5)
    arrived = {number for _, number in arrivals}
    both = sum(number in arrived and number + 1 in arrived for number in range(3999))
    assert 850 < both < 1150


@pytest.mark.parametrize("duplication", [0.0, 0.3, 1.0])
def test_duplication_brings_a_datagram_twice(ticker, duplication):
    arrivals, _ = run(ticker, 2000, duplication=duplication)
    counts = [0] * 2000
    for _, number in arrivals:
        counts[number] += 1
    assert set(counts) <= {1, 2}
    doubles = counts.count(2)
    assert abs(doubles - 2000 * duplication) <= 5 * math.sqrt(2000 * duplication * (1 - duplication))


def test_reordering_lets_later_datagrams_overtake(ticker):
    arrivals, _ = run(ticker, 1000, reordering=0.2, reordering_s=0.005)
    numbers = [number for _, number in arrivals]
    assert sorted(numbers) == list(range(1000))
    late = [at - (1000.0 + 0.001 * number + 0.01) for at, number in arrivals]
    held = sum(lateness > 0.004 for lateness in late)
    assert 130 < held < 270
    assert max(late) == pytest.approx(0.005)
    overtaken = sum(number < max(numbers[:index], default=-1) for index, number in enumerate(numbers))
    assert overtaken >= held * 0.9


def test_jitter_delays_and_never_reorders(ticker):
    arrivals, _ = run(ticker, 1000, jitter_s=0.05)
    assert [number for _, number in arrivals] == list(range(1000))
    late = [at - (1000.0 + 0.001 * number + 0.01) for at, number in arrivals]
    assert min(late) >= -1e-9 and max(late) <= 0.05 + 1e-9
    assert max(late) > 0.03


def test_corruption_flips_exactly_one_bit(ticker):
    link = Link(ticker(1000, 0.001), ticker(), conditions=LinkConditions(corruption=0.5))
    link.run_until_idle()
    flips = []
    for number, (_, data) in enumerate(link.events[1]):
        sent = number.to_bytes(4, "big") + bytes(6)
        flips.append(sum((a ^ b).bit_count() for a, b in zip(sent, data, strict=True)))
    assert set(flips) == {0, 1}
    assert 400 < sum(flips) < 600


def test_rate_spaces_datagrams_by_their_size(ticker):
    arrivals, _ = run(ticker, 10, interval_s=0.0, size=100, rate_bytes_s=1000.0, delay_s=0.5)
    assert [at for at, _ in arrivals] == pytest.approx([1000.5 + 0.1 * (i + 1) for i in range(10)])


def test_queue_drops_what_comes_beyond_it(ticker):
    arrivals, link = run(ticker, 50, interval_s=0.0, size=100, rate_bytes_s=1000.0, queue_bytes=550)
    # All 50 come at one instant; the sixth finds 500 bytes before it, the seventh 600.
    assert [number for _, number in arrivals] == [0, 1, 2, 3, 4, 5]
    assert len(link.sent[0]) == 50


@pytest.mark.parametrize("rate_bytes_s", [math.inf, 10_000.0, 100.0])
def test_queue_holds_the_same_bytes_when_the_rate_changes(rate_bytes_s):
    """What waits was once measured at the rate of now: a link without a limit lost all until it had drained."""
    chance, lane = SeededEntropy(1), Lane()
    before = LinkConditions(rate_bytes_s=1000.0, queue_bytes=550, delay_s=0.0)
    after = attrs.evolve(before, rate_bytes_s=rate_bytes_s)
    waiting = [at for _ in range(5) for at in lane.arrivals(100, before, chance, 5.0)]
    assert waiting == pytest.approx([5.1, 5.2, 5.3, 5.4, 5.5])
    # 500 bytes wait, and behind them there is room for one datagram more, which brings them to 600.
    assert list(lane.arrivals(100, after, chance, 5.0)) == pytest.approx([5.5 + 100 / rate_bytes_s])
    assert list(lane.arrivals(100, after, chance, 5.0)) == []
    # When all has gone, the lane is as new.
    count = sum(1 for _ in range(9) for _ in lane.arrivals(100, after, chance, 9.0))
    assert count == (9 if rate_bytes_s == math.inf else 6)


def test_link_carries_both_ways_independently(ticker):
    link = Link(ticker(5), ticker(7), conditions=LinkConditions(rate_bytes_s=1000.0))
    link.run_until_idle()
    assert (len(link.events[1]), len(link.events[0])) == (5, 7)


def test_datagram_arrives_with_its_path_reversed_and_its_ecn_mark(ticker):
    path = Path(Address("192.0.2.1", 1), Address("192.0.2.2", 2))
    link = Link(ticker(1, path=path), ticker(), conditions=LinkConditions(corruption=1.0))
    link.run_until_idle()
    ((_, datagram),) = link.events[1]
    assert datagram.path == path.reversed() and datagram.ecn == 2
    assert link.sent[0][0].data != datagram.data


def test_filter_drops_and_changes(ticker):
    link = Link(ticker(10), ticker())
    link.filter = lambda end, data: None if data[3] % 2 else (b"even" if end == 0 else data)
    link.run_until_idle()
    assert [data for _, data in link.events[1]] == [b"even"] * 5


def test_event_is_told_at_once_and_may_be_answered_with_a_verb(ticker):
    link = Link(ticker(10), ticker())
    seen = []

    def on_event(end, event):
        seen.append((end, event))
        link.ends[1].close(link.now)

    link.on_event = on_event
    link.run_until_idle()
    assert [end for end, _ in seen] == [1, 1]
    assert link.ends[1].is_terminated and len(link.events[1]) == 2


# --- running


def test_run_until_stops_as_soon_as_the_condition_holds(ticker):
    link = Link(ticker(10, 1.0), ticker(), conditions=LinkConditions(delay_s=0.5))
    assert link.run_until(lambda: len(link.events[1]) == 3) == pytest.approx(2.5)
    assert link.now == pytest.approx(1002.5)


def test_run_until_what_does_not_happen_is_an_assertion_error(ticker):
    link = Link(ticker(), ticker())
    with pytest.raises(AssertionError, match="does not hold after 5"):
        link.run_until(lambda: False, within_s=5.0)
    assert link.now == 1005.0


def test_run_for_lets_exactly_that_time_pass(ticker):
    link = Link(ticker(10, 1.0), ticker(), conditions=LinkConditions(delay_s=0.0))
    link.run_for(2.5)
    assert link.now == 1002.5 and len(link.events[1]) == 3


def test_run_until_idle_ends_only_when_nothing_is_armed(ticker):
    link = Link(ticker(10**9, 1.0), ticker())
    with pytest.raises(AssertionError, match="not idle"):
        link.run_until_idle(within_s=20.0)


def test_deadline_that_never_clears_is_caught(broken, ticker, monkeypatch):
    from sans_rtc.testing import link as module

    monkeypatch.setattr(module, "STEPS_PER_INSTANT_MAX", 50)
    with pytest.raises(AssertionError, match="time stands still"):
        Link(broken(deadline=0.0), ticker()).run_for(1.0)


def test_events_that_never_stop_are_caught(broken, ticker, monkeypatch):
    from sans_rtc.testing import link as module

    monkeypatch.setattr(module, "STEPS_PER_INSTANT_MAX", 50)
    with pytest.raises(AssertionError, match="never stop"):
        Link(broken(take_events=lambda self: ["again"]), ticker()).flush()


def test_links_may_share_a_clock(ticker):
    clock = VirtualClock(5.0)
    link = Link(ticker(), ticker(), clock=clock)
    link.run_for(1.0)
    assert clock.now == link.now == 6.0


@pytest.mark.parametrize(
    "values",
    [
        {"loss": -0.1}, {"loss": 1.1}, {"duplication": 2.0}, {"reordering": -1.0}, {"corruption": math.nan},
        {"delay_s": -0.1}, {"jitter_s": -0.1}, {"reordering_s": -0.1},
    ],
)  # fmt: skip
def test_conditions_out_of_range_are_refused(values):
    with pytest.raises(InvalidArgument):
        LinkConditions(**values)


# --- clock and entropy


def test_clock_moves_only_forward_and_only_when_told():
    clock = VirtualClock()
    assert clock.now == 1000.0
    assert clock.advance(0.5) == 1000.5 and clock.advance_to(1000.5) == 1000.5
    with pytest.raises(InvalidArgument):
        clock.advance_to(1000.4)
    with pytest.raises(InvalidArgument):
        clock.advance(-1.0)
    assert clock.now == 1000.5


def test_seeded_entropy_is_one_stream_however_it_is_cut():
    whole = SeededEntropy(9)(100)
    pieces = SeededEntropy(9)
    assert b"".join(pieces(size) for size in (0, 1, 31, 32, 33, 3)) == whole


def test_seeded_entropy_of_other_seeds_is_unrelated():
    assert len({SeededEntropy(seed)(16) for seed in range(100)}) == 100
    assert SeededEntropy(1)(8) == SeededEntropy("1")(8)


def test_seeded_entropy_looks_random():
    bits = int.from_bytes(SeededEntropy(3)(10000), "big").bit_count()
    assert abs(bits - 40000) < 5 * math.sqrt(80000 / 4)


def test_seeded_fraction_and_below_are_in_range_and_even():
    entropy = SeededEntropy(4)
    fractions = [entropy.fraction() for _ in range(2000)]
    assert all(0.0 <= value < 1.0 for value in fractions)
    assert abs(sum(fractions) / 2000 - 0.5) < 0.04
    assert {entropy.below(5) for _ in range(200)} == set(range(5))


def test_what_is_injected_arrives_as_it_is_at_its_time_whatever_the_conditions(ticker):
    link = Link(ticker(), ticker(), conditions=LinkConditions(delay_s=1.0, loss=1.0))
    link.inject(1, b"late", after_s=0.5)
    link.inject(0, b"now")
    link.run_for(2.0)
    assert link.events == ([(1000.0, b"now")], [(1000.5, b"late")])
    assert link.sent == ([], [])
    with pytest.raises(InvalidArgument):
        link.inject(0, b"", after_s=-0.1)
