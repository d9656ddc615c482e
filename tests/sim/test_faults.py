"""What may go wrong in a simulated network does so as often as was said, and nothing else does."""

import math

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.outbox import Outbox
from sans_rtc.testing import Cable, ContractMonitor, DropReason, GilbertElliott, Link, LinkConditions, Network, Oracles

HOSTS = ("198.51.100.1", "198.51.100.2")
COUNT = 5000


class Probe:
    """A machine that says what it is told to say, keeps what it hears, and notes when its timer ran."""

    is_terminated = False

    def __init__(self):
        self._datagrams = Outbox()
        self.heard, self.timers, self.deadline = [], [], math.inf

    def say(self, data, path=None):
        self._datagrams.append(data if path is None else Datagram(data, path))

    def receive(self, datagram, now):
        self.heard.append(datagram)

    def handle_timer(self, now):
        self.timers.append(now)
        self.deadline = math.inf

    def close(self, now):
        pass

    def take_datagrams(self, now):
        return self._datagrams.take()

    def take_events(self):
        return ()


def sent_over(conditions, *, size=100, count=COUNT):
    """What arrives of so many equal datagrams, each as what is left of it."""
    probes = Probe(), Probe()
    link = Link(*probes, seed=1, conditions=conditions)
    for number in range(count):
        probes[0].say(number.to_bytes(4, "big") + bytes(size - 4))
    link.flush()
    link.run_for(10.0)
    return probes[1].heard


def runs_of(numbers, count):
    """How long each run of numbers is that are missing."""
    there, runs, length = set(numbers), [], 0
    for number in range(count):
        if number not in there:
            length += 1
        elif length:
            runs.append(length)
            length = 0
    return runs


def test_burst_loss_loses_as_much_as_it_says_and_in_bursts():
    burst = GilbertElliott(to_bad=0.02, to_good=0.2)
    arrived = sent_over(LinkConditions(burst_loss=burst))
    lost = 1 - len(arrived) / COUNT
    assert lost == pytest.approx(burst.loss, abs=0.03)
    runs = runs_of([int.from_bytes(data[:4], "big") for data in arrived], COUNT)
    assert sum(runs) / len(runs) == pytest.approx(5.0, rel=0.25), "1 / to_good datagrams in a row"


def test_burst_loss_may_leave_some_in_the_bad_state_and_take_some_in_the_good():
    burst = GilbertElliott(to_bad=0.1, to_good=0.1, loss_good=0.1, loss_bad=0.5)
    assert burst.loss == pytest.approx(0.3)
    assert 1 - len(sent_over(LinkConditions(burst_loss=burst))) / COUNT == pytest.approx(0.3, abs=0.04)


def test_link_that_never_changes_stays_good():
    assert GilbertElliott(to_bad=0.0, to_good=0.0).loss == 0.0


def test_truncation_cuts_the_end_and_leaves_the_beginning():
    arrived = sent_over(LinkConditions(truncation=0.3), count=1000)
    cut = [data for data in arrived if len(data) < 100]
    assert len(arrived) == 1000
    assert len(cut) == pytest.approx(300, abs=50)
    assert min(map(len, cut)) < 5 and max(map(len, cut)) > 94
    assert all(data == (number.to_bytes(4, "big") + bytes(96))[: len(data)] for number, data in enumerate(arrived))


@pytest.mark.parametrize(("size", "expected"), [(1200, 3), (1201, 0)])
def test_datagram_beyond_the_black_holes_edge_vanishes(size, expected):
    assert len(sent_over(LinkConditions(bytes_max=1200), size=size, count=3)) == expected


@pytest.mark.parametrize("wrong", [{"to_bad": 1.1}, {"to_good": -0.1}, {"loss_bad": 2.0}])
def test_probability_beyond_one_is_refused(wrong):
    with pytest.raises(InvalidArgument):
        GilbertElliott(**wrong)


class TwoHosts:
    """Two probes on two hosts, with a socket each."""

    def __init__(self):
        self.network = Network()
        self.hosts = [self.network.host(name) for name in HOSTS]
        for host in self.hosts:
            host.attach(self.network.internet, host.name, cable=Cable(LinkConditions(delay_s=0.01)))
        self.probes = Probe(), Probe()
        self.programs = [host.run(probe) for host, probe in zip(self.hosts, self.probes, strict=True)]
        for program, name in zip(self.programs, HOSTS, strict=True):
            program.open_socket(name, 5000)

    def say(self, end):
        """Does what one end says now arrive?"""
        before = len(self.probes[1 - end].heard)
        self.probes[end].say(b"hello", Path(Address(HOSTS[end], 5000), Address(HOSTS[1 - end], 5000)))
        self.network.run_for(1.0)
        return len(self.probes[1 - end].heard) > before


def test_partition_holds_one_way_until_it_is_joined():
    world = TwoHosts()
    world.network.part(*world.hosts)
    assert [world.say(0), world.say(1)] == [False, True]
    assert world.network.drops == {DropReason.PARTED: 1}
    world.network.part(*world.hosts[::-1])
    assert [world.say(0), world.say(1)] == [False, False]
    world.network.join(*world.hosts)
    assert [world.say(0), world.say(1)] == [True, False]
    world.network.join_all()
    assert [world.say(0), world.say(1)] == [True, True]


def test_what_was_due_while_a_clock_stood_still_is_due_at_once():
    world = TwoHosts()
    network, (probe, other) = world.network, world.probes
    probe.deadline = other.deadline = network.now + 30.0
    network.run_for(1.0)
    world.hosts[0].jump_clock(60.0)
    network.run_for(1.0)
    assert probe.timers == [1061.0], "by its own clock, at the moment of the jump"
    assert other.timers == []
    network.run_for(30.0)
    assert other.timers == [1030.0]


def test_timers_after_a_jump_are_on_time_by_the_hosts_own_clock():
    world = TwoHosts()
    world.hosts[0].jump_clock(0.1 + 0.2)  # not to be represented exactly
    for step in range(50):
        deadline = world.programs[0].now + 0.01 * step
        world.probes[0].deadline = deadline
        world.network.run_for(1.0)
        assert world.probes[0].timers[-1] == pytest.approx(deadline)
        assert world.probes[0].timers[-1] >= deadline


def test_clock_does_not_jump_back():
    with pytest.raises(InvalidArgument):
        TwoHosts().hosts[0].jump_clock(-1.0)


def test_watch_is_told_of_datagrams_events_and_steps():
    told = []

    class Watching:
        def on_datagram(self, program, datagram):
            told.append((program.host.name, datagram.data))

        def on_event(self, program, event):
            told.append(event)

        def on_step(self, program):
            told.append(program.host.name)

    world = TwoHosts()
    world.network.watch = Watching()
    world.say(0)
    assert told.count((HOSTS[0], b"hello")) == 1
    assert HOSTS[1] in told


class LateProbe(Probe):
    """Says something when its timer runs."""

    path = Path(Address(HOSTS[0], 5000), Address(HOSTS[1], 5000))

    def handle_timer(self, now):
        super().handle_timer(now)
        self.say(b"late", self.path)


@pytest.mark.parametrize("is_watched", [False, True], ids=["alone", "watched"])
def test_what_a_timer_says_that_is_due_after_a_pause_leaves_at_once(is_watched):
    """And not when something else happens to the machine: with `ContractMonitor.check` looking on, it lay there."""
    world = TwoHosts()
    network, program, probe = world.network, world.programs[0], LateProbe()
    program.machine = ContractMonitor(probe) if is_watched else probe
    if is_watched:
        Oracles(network)
    probe.deadline = network.now - 1.0
    network.touch(program)
    network.run_for(1.0)
    assert len(probe.timers) == 1
    assert [datagram.data for datagram in world.probes[1].heard] == [b"late"]


def test_timer_that_was_put_off_does_not_have_the_machine_asked():
    world = TwoHosts()
    probe, asked = world.probes[0], []
    probe.take_events = lambda: asked.append(1) or ()
    probe.deadline = world.network.now + 1.0
    world.network.run_for(0.5)
    probe.deadline = world.network.now + 60.0
    before = len(asked)
    world.network.run_for(10.0)
    assert len(asked) == before + 1, "once at the beginning"
    world.network.run_for(60.0)
    assert len(probe.timers) == 1
