"""Whole associations over bad links in virtual time, many seeds: what is promised is kept."""

import pytest

from sans_rtc.machine import Terminated
from sans_rtc.sctp import (
    RELIABLE,
    Association,
    IncomingStreamsReset,
    Message,
    OutgoingStreamsReset,
    Reliability,
    SctpConfig,
    SendFailed,
    TerminationReason,
)
from sans_rtc.sctp.chunks import Data, Sack
from sans_rtc.testing import Link, LinkConditions, SeededEntropy

SIZES = (1, 30, 1000, 1132, 1133, 4000, 20_000)
CONDITIONS = {
    "clean": LinkConditions(),
    "loss 5 %": LinkConditions(loss=0.05),
    "loss 20 %": LinkConditions(loss=0.2),
    "reordering": LinkConditions(reordering=0.2, jitter_s=0.005),
    "duplication": LinkConditions(duplication=0.3),
    "corruption": LinkConditions(corruption=0.1),
    "everything": LinkConditions(loss=0.1, reordering=0.15, duplication=0.1, jitter_s=0.01, corruption=0.05),
    "narrow": LinkConditions(rate_bytes_s=100_000, queue_bytes=20_000, delay_s=0.03),
    "far": LinkConditions(delay_s=0.3, loss=0.02),
}


class Simulation:
    """Two associations on a link; applications that consume what they get."""

    def __init__(self, sctp, seed, conditions, **changes):
        self.check_end = sctp.check
        config = SctpConfig(**changes)
        self.ends = [Association(config, entropy=SeededEntropy(f"{seed} {index}")) for index in (0, 1)]
        self.link = Link(*self.ends, seed=seed, conditions=conditions)
        self.link.on_event = self._on_event
        self.chance = SeededEntropy(f"traffic {seed}")
        self.sent = ({}, {})
        self.got = ({}, {})
        self.consumes = True

    def _on_event(self, end, event):
        if isinstance(event, Message):
            self.got[end].setdefault(event.stream_id, []).append(event.data)
            if self.consumes:
                self.ends[end].consume(len(event.data), self.link.now)

    def connect(self):
        for end in self.ends:
            end.connect(self.link.now)
        return self

    def send(self, end, stream_id, size, reliability=RELIABLE):
        number = sum(map(len, self.sent[end].values()))
        data = number.to_bytes(4, "big") + self.chance(size) if size > 1 else bytes([number % 256])
        self.sent[end].setdefault(stream_id, []).append(data)
        self.ends[end].send(stream_id, 51, data, reliability, self.link.now)

    def send_some(self, count, reliability=RELIABLE, streams=3):
        for _ in range(count):
            for end in (0, 1):
                self.send(end, self.chance.below(streams), SIZES[self.chance.below(len(SIZES))], reliability)

    def is_delivered(self):
        return all(self.sent[end] == self.got[1 - end] for end in (0, 1))

    def is_quiet(self):
        return all(end._outbound.is_all_acknowledged for end in self.ends)

    def run_until_delivered(self, within_s=120.0):
        taken = self.link.run_until(lambda: self.is_quiet() or self.has_ended(), within_s=within_s)
        self.check()
        return taken

    def has_ended(self):
        return any(end.is_terminated for end in self.ends)

    def check(self):
        for end in self.ends:
            self.check_end(end)

    def close(self):
        self.ends[0].close(self.link.now)
        self.link.run_until(lambda: all(end.is_terminated for end in self.ends), within_s=60.0)
        self.link.flush()
        return [events[-1].reason for events in self.link.events]


def of_type(simulation, end, kind):
    return [event for event in simulation.link.events[end] if isinstance(event, kind)]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("name", CONDITIONS)
def test_reliable_messages_arrive_once_and_in_order(sctp, name, seed):
    simulation = Simulation(sctp, f"{name} {seed}", CONDITIONS[name]).connect()
    simulation.send_some(8)
    simulation.run_until_delivered()
    assert simulation.is_delivered()
    assert simulation.close() == [TerminationReason.CLOSED] * 2


@pytest.mark.parametrize("seed", range(10))
def test_unordered_messages_arrive_once(sctp, seed):
    simulation = Simulation(sctp, seed, CONDITIONS["everything"]).connect()
    simulation.send_some(10, Reliability(ordered=False), streams=1)
    simulation.run_until_delivered()
    for end in (0, 1):
        assert sorted(simulation.got[1 - end][0]) == sorted(simulation.sent[end][0])


@pytest.mark.parametrize("seed", range(15))
@pytest.mark.parametrize(
    "reliability",
    [
        Reliability(max_retransmits=0),
        Reliability(ordered=False, max_retransmits=0),
        Reliability(max_retransmits=2),
        Reliability(lifetime_s=0.15),
        Reliability(ordered=False, lifetime_s=0.15),
    ],
    ids=str,
)
def test_partial_reliability_keeps_its_promise(sctp, reliability, seed):
    """What arrives is whole, once, in order where asked; what was not reported as failed has arrived."""
    simulation = Simulation(sctp, f"{reliability} {seed}", LinkConditions(loss=0.15, reordering=0.1)).connect()
    for _ in range(6):
        simulation.send_some(4, reliability)
        simulation.link.run_for(0.05)
    simulation.run_until_delivered()
    for end in (0, 1):
        failed = len(of_type(simulation, end, SendFailed))
        for stream_id, sent in simulation.sent[end].items():
            got = simulation.got[1 - end].get(stream_id, [])
            assert len(set(sent)) < len(sent) or len(set(got)) == len(got)
            rest = list(sent)
            if reliability.ordered:
                for data in got:
                    assert data in rest
                    del rest[: rest.index(data) + 1]
            else:
                for data in got:
                    rest.remove(data)
        sent_count = sum(map(len, simulation.sent[end].values()))
        got_count = sum(map(len, simulation.got[1 - end].values()))
        assert sent_count - failed <= got_count <= sent_count
    assert simulation.close() == [TerminationReason.CLOSED] * 2


@pytest.mark.parametrize("seed", range(10))
def test_mixed_reliability_never_harms_reliable_streams(sctp, seed):
    simulation = Simulation(sctp, seed, LinkConditions(loss=0.15, duplication=0.1)).connect()
    for _ in range(10):
        simulation.send(0, 0, 3000)
        simulation.ends[0].send(1, 51, bytes(5000), Reliability(max_retransmits=0), simulation.link.now)
        simulation.ends[0].send(2, 51, bytes(9000), Reliability(False, lifetime_s=0.1), simulation.link.now)
        simulation.link.run_for(0.03)
    simulation.run_until_delivered()
    assert simulation.got[1][0] == simulation.sent[0][0]


@pytest.mark.parametrize("seed", range(12))
def test_resets_under_loss(sctp, seed):
    """Channels come and go on the same streams; each generation is delivered before the next."""
    simulation = Simulation(sctp, seed, LinkConditions(loss=0.1, reordering=0.1, duplication=0.05)).connect()
    for generation in range(3):
        for stream_id in (0, 1):
            for _ in range(4):
                simulation.send(0, stream_id, 1500)
        simulation.ends[0].reset_streams([0, 1], simulation.link.now)
        if generation % 2:
            simulation.link.run_for(0.05)
    simulation.link.run_until(
        lambda: sum(len(event.stream_ids) for event in of_type(simulation, 0, OutgoingStreamsReset)) >= 2, within_s=60.0
    )
    simulation.run_until_delivered()
    simulation.link.run_for(3.0)
    assert simulation.got[1] == simulation.sent[0]
    told = [event.stream_ids for event in of_type(simulation, 1, IncomingStreamsReset)]
    performed = [event.stream_ids for event in of_type(simulation, 0, OutgoingStreamsReset)]
    assert told == performed
    assert sorted(set(sum(told, ()))) == [0, 1]


@pytest.mark.parametrize("seed", range(10))
def test_shutdown_under_loss_loses_nothing(sctp, seed):
    simulation = Simulation(sctp, seed, LinkConditions(loss=0.15)).connect()
    simulation.send_some(5)
    simulation.link.run_until(lambda: all(end.state == "established" for end in simulation.ends), within_s=30.0)
    assert simulation.close() == [TerminationReason.CLOSED] * 2
    assert simulation.is_delivered()


@pytest.mark.parametrize("seed", range(8))
def test_peer_window_is_never_exceeded(sctp, seed):
    """What lies between acknowledgement and a_rwnd bounds what is sent, but for one chunk of a probe."""
    simulation = Simulation(
        sctp, seed, LinkConditions(loss=0.05), receive_window_bytes=30_000, message_bytes_max=20_100
    ).connect()
    edges = {}

    def watch(end, datagram):
        for chunk in sctp.chunks_of([datagram]):
            if isinstance(chunk, Sack):
                edge = (chunk.cumulative_tsn, chunk.window_bytes)
                edges.setdefault(1 - end, []).append(edge)
            if isinstance(chunk, Data) and edges.get(end):
                assert simulation.ends[end].statistics.flight_bytes <= 30_000 + 1160
        return datagram

    simulation.link.filter = watch
    simulation.send_some(8)
    simulation.run_until_delivered()
    assert simulation.is_delivered()
    for end in simulation.ends:
        assert end.stats.discards["window-closed"] == 0


def test_application_that_does_not_consume_stops_the_peer_and_no_memory_grows(sctp):
    simulation = Simulation(
        sctp, 1, LinkConditions(), receive_window_bytes=50_000, message_bytes_max=50_000, send_buffer_bytes_max=1 << 20
    ).connect()
    simulation.consumes = False
    for _ in range(100):
        simulation.send(0, 0, 5000)
    simulation.link.run_for(60.0)
    assert simulation.ends[1].statistics.local_window_bytes == 0
    assert simulation.ends[1]._inbound.reassembly.held_bytes <= 50_000 + 5000
    assert not simulation.has_ended()
    simulation.consumes = True
    for data in simulation.got[1][0]:
        simulation.ends[1].consume(len(data), simulation.link.now)
    simulation.run_until_delivered()
    assert simulation.is_delivered()


@pytest.mark.parametrize("lost", [{9}, {5, 6, 7, 8, 9}, {0, 1, 2, 3, 4, 5, 6, 7, 8}, {3, 9}])
def test_burst_loss_is_repaired_within_a_few_round_trips(sctp, lost):
    simulation = Simulation(sctp, 1, LinkConditions(delay_s=0.01)).connect()
    simulation.link.run_for(1.0)
    count = 0

    def drop(end, datagram):
        nonlocal count
        if end == 0 and len(datagram) > 100:
            count += 1
            if count - 1 in lost:
                return None
        return datagram

    simulation.link.filter = drop
    simulation.send(0, 0, 10 * 1132 - 4)
    taken = simulation.run_until_delivered()
    assert simulation.is_delivered()
    assert simulation.ends[0].stats.timeouts == 0
    assert taken <= 8 * 0.02


def test_lost_last_packet_costs_little_on_an_idle_connection(sctp):
    simulation = Simulation(sctp, 1, LinkConditions(delay_s=0.001)).connect()
    simulation.link.run_for(1.0)
    is_dropped = []

    def drop(end, datagram):
        if end == 0 and not is_dropped:
            is_dropped.append(datagram)
            return None
        return datagram

    simulation.link.filter = drop
    simulation.send(0, 0, 100)
    taken = simulation.link.run_until(simulation.is_delivered, within_s=5.0)
    assert is_dropped
    assert taken <= 0.012


def test_sparse_messages_cost_no_superfluous_packets_for_ever(sctp):
    """The peer delays its SACKs: after the first superfluous probe it is asked not to."""
    simulation = Simulation(sctp, 1, LinkConditions(delay_s=0.001), sack_delay_s=0.2).connect()
    simulation.link.run_for(1.0)
    for _ in range(20):
        simulation.send(0, 0, 100)
        simulation.link.run_for(0.5)
    assert simulation.is_delivered()
    assert simulation.ends[0].stats.probes_sent <= 2
    assert simulation.ends[0].stats.timeouts == 0


def test_throughput_of_a_long_fat_path_is_limited_by_the_window_alone(sctp):
    simulation = Simulation(
        sctp, 1, LinkConditions(delay_s=0.025), receive_window_bytes=1 << 20, send_buffer_bytes_max=1 << 24
    ).connect()
    for _ in range(60):
        simulation.send(0, 0, 200_000)
    taken = simulation.run_until_delivered()
    assert simulation.is_delivered()
    assert 12_000_000 / taken > 0.5 * (1 << 20) / 0.05  # slow start takes 0.4 s of it


def test_path_that_dies_ends_the_association(sctp):
    simulation = Simulation(sctp, 1, LinkConditions()).connect()
    simulation.link.run_for(1.0)
    simulation.link.filter = lambda end, datagram: None
    simulation.send(0, 0, 100)
    simulation.link.run_until(lambda: simulation.ends[0].is_terminated, within_s=120.0)
    assert of_type(simulation, 0, Terminated)[0].reason == TerminationReason.PEER_UNREACHABLE


def test_path_that_returns_after_an_outage_goes_on(sctp):
    simulation = Simulation(sctp, 1, LinkConditions()).connect()
    simulation.link.run_for(1.0)
    simulation.send_some(5)
    simulation.link.filter = lambda end, datagram: None
    simulation.link.run_for(20.0)
    simulation.link.filter = lambda end, datagram: datagram
    simulation.run_until_delivered()
    assert simulation.is_delivered()


def test_round_trip_that_grows_beyond_the_rto_does_not_collapse(sctp):
    simulation = Simulation(sctp, 1, LinkConditions(delay_s=0.01), send_buffer_bytes_max=1 << 24).connect()
    simulation.link.run_for(1.0)
    simulation.link.conditions = LinkConditions(delay_s=0.4)
    for _ in range(50):
        simulation.send(0, 0, 20_000)
    simulation.run_until_delivered()
    assert simulation.is_delivered()
    assert simulation.ends[0].stats.timeouts <= 6
