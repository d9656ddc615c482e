"""Handshakes over bad links in virtual time: many seeds, a stated bound, or an end with a reason."""

import pytest

from sans_rtc.dtls import ApplicationData, DtlsConfig
from sans_rtc.machine import Terminated
from sans_rtc.testing import ContractMonitor, Link, LinkConditions, SeededEntropy

# A flight and its answer get through a link with 30 % loss with probability 0.49; the timeout doubles to 1 s. The bound
# holds for these seeds with room to spare; most need less than a second.
LOSSY = LinkConditions(loss=0.3, delay_s=0.02, jitter_s=0.02, reordering=0.2, reordering_s=0.05, duplication=0.2)
LOSSY_BOUND_S = 10.0
CLIENT, SERVER = 0, 1


def settle(pair, within_s):
    settled = ("connected", "closed", "failed")
    return pair.link.run_until(lambda: all(end.state in settled for end in pair.ends), within_s=within_s)


def run_lossy(pair):
    duration_s = settle(pair.start(), LOSSY_BOUND_S)
    assert pair.is_connected(), [end.stats for end in pair.ends]
    exports = [end.export_keying_material(b"EXTRACTOR-dtls_srtp", 60) for end in pair.ends]
    assert exports[0] == exports[1]
    return duration_s


@pytest.mark.parametrize("batch", range(10))
def test_lossy_reordering_duplicating_link_always_completes_in_10_s(make_pair, batch):
    durations = [run_lossy(make_pair(seed=seed, conditions=LOSSY)) for seed in range(batch * 12, batch * 12 + 12)]
    assert sorted(durations)[len(durations) // 2] < 2.0


@pytest.mark.parametrize("seed", range(20))
def test_small_datagrams_complete_over_the_lossy_link_too(make_pair, seed):
    """Flights of three to five datagrams: reassembly across retransmissions."""
    pair = make_pair(DtlsConfig(mtu_bytes=256, handshake_timeout_s=60), seed=seed, conditions=LOSSY)
    settle(pair.start(), 60.0)
    assert pair.is_connected(), [end.stats for end in pair.ends]


@pytest.mark.parametrize("seed", range(20))
def test_cookies_complete_over_the_lossy_link_too(make_pair, seed):
    run_lossy(make_pair(DtlsConfig(use_cookies=True), seed=seed, conditions=LOSSY))


@pytest.mark.parametrize("seed", range(15))
def test_retransmissions_stay_in_proportion(make_pair, seed):
    """No storm: what is sent is bounded by the time taken, not by what is received."""
    pair = make_pair(seed=seed, conditions=LinkConditions(loss=0.3, duplication=0.9, reordering=0.5, delay_s=0.02))
    duration_s = settle(pair.start(), 30.0)
    for sent in pair.link.sent:
        assert len(sent) <= 4 + duration_s / 0.025


@pytest.mark.parametrize("seed", range(10))
def test_link_that_loses_everything_ends_by_timeout(make_pair, seed):
    pair = make_pair(DtlsConfig(handshake_timeout_s=5), seed=seed, conditions=LinkConditions(loss=1.0))
    pair.start()
    pair.link.run_for(5.1)
    assert pair.reason(CLIENT) == "handshake_timeout"


@pytest.mark.parametrize("seed", range(30))
def test_corrupting_link_completes_or_ends_with_a_reason(make_pair, seed):
    conditions = LinkConditions(corruption=0.3, loss=0.1, delay_s=0.01)
    pair = make_pair(DtlsConfig(handshake_timeout_s=10), seed=seed, conditions=conditions)
    settle(pair.start(), 25.0)
    if pair.is_connected():
        exports = [end.export_keying_material(b"EXTRACTOR-dtls_srtp", 60) for end in pair.ends]
        assert exports[0] == exports[1]
    else:
        assert all(pair.reason(end) for end in (0, 1) if pair.ends[end].is_terminated)


@pytest.mark.parametrize("delay_s", [0.0, 0.05, 0.3, 1.0])
def test_slow_links_complete_with_the_default_timers(make_pair, delay_s):
    """Spurious retransmissions on long paths confuse nobody."""
    pair = make_pair(conditions=LinkConditions(delay_s=delay_s)).start()
    duration_s = settle(pair, 30.0)
    assert pair.is_connected()
    assert duration_s == pytest.approx(4 * delay_s)


@pytest.mark.parametrize("seed", range(10))
def test_data_arrives_once_over_a_bad_link(make_pair, seed):
    pair = make_pair(seed=seed, conditions=LOSSY)
    run_lossy(pair)
    for index in range(100):
        pair.client.send(index.to_bytes(2, "big"), pair.now)
        pair.link.run_for(0.005)
    pair.link.run_for(1.0)
    delivered = [event.data for event in pair.events(SERVER, ApplicationData)]
    assert len(delivered) == len(set(delivered))
    assert 45 <= len(delivered) <= 95


@pytest.mark.parametrize("seed", range(10))
def test_contract_holds_at_every_step(make_pair, seed):
    pair = make_pair(seed=seed, conditions=LOSSY)
    monitors = [ContractMonitor(end) for end in pair.ends]
    link = Link(*monitors, seed=seed, conditions=LOSSY)
    pair.server.start(link.now)
    pair.client.start(link.now)
    for _ in range(400):
        link.run_for(0.02)
        for monitor in monitors:
            monitor.take_datagrams(link.now)
            monitor.check(link.now)
    assert pair.is_connected()
    chance = SeededEntropy(f"close {seed}")
    pair.ends[chance.below(2)].close(link.now)
    link.run_for(2.0)
    for monitor in monitors:
        monitor.check(link.now)


def test_same_seed_gives_the_same_run(make_pair):
    first, second = (make_pair(seed=5, conditions=LOSSY) for _ in range(2))
    for pair in (first, second):
        run_lossy(pair)
        pair.client.close(pair.now)
        pair.link.run_for(3.0)
    assert first.link.sent == second.link.sent
    assert first.link.events == second.link.events
    assert len(first.events(CLIENT, Terminated)) == 1
