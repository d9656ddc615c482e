"""The driver's duty without a loop: a scripted loop says what is ready, and notes what the pump asks of it."""

import errno
import math

import pytest

from sans_rtc.errors import InvalidState
from sans_rtc.machine import Datagram
from sans_rtc_net import pump as pump_module
from sans_rtc_net.pump import Pump
from sans_rtc_net.udp import UdpSocket

pytestmark = pytest.mark.usefixtures("no_leaks")


class ScriptedLoop:
    """Notes what is asked of it, in order."""

    def __init__(self, machine, **options):
        self.now = 100.0
        self.asked, self.events = [], []
        options.setdefault("on_events", self.events.extend)
        self.pump = Pump(
            machine,
            watch=lambda item, for_writing: self.asked.append(("write" if for_writing else "read", item)),
            unwatch=lambda item: self.asked.append(("unwatch", item.fileno() >= 0)),
            arm=lambda deadline: self.asked.append(("arm", deadline)),
            clock=lambda: self.now,
            **options,
        )

    def taken(self):
        asked, self.asked = self.asked, []
        return asked


@pytest.fixture
def loop(pinger, udp_pair):
    """A toy machine with the first of two sockets, and nothing asked yet."""
    loop = ScriptedLoop(pinger())
    loop.pump.add_socket(udp_pair[0])
    assert loop.taken() == [("read", udp_pair[0])]
    yield loop
    loop.pump.close()


@pytest.fixture
def machine(loop):
    return loop.pump._machine


def test_flush_sends_then_tells_then_arms(loop, machine, udp_pair):
    _, second, path = udp_pair
    machine.say(path, b"out", 0.0)
    machine.start(path, 1, 103.0)
    machine.close(0.0)
    machine._deadline = 103.0
    loop.pump.flush()
    assert [datagram.data for datagram in second.receive_batch(9)] == [b"out"]
    assert [event.reason for event in loop.events] == ["closed"]
    assert loop.taken() == [("arm", 103.0)]


def test_burst_is_fed_answered_and_the_owner_told_it_has_come(pinger, udp_pair):
    first, second, path = udp_pair
    told = []
    loop = ScriptedLoop(pinger(), on_received=lambda: told.append(loop.events[:]))
    loop.pump.add_socket(first)
    second.send_batch([Datagram(b"a", path.reversed()), Datagram(b">b", path.reversed())])
    loop.pump.readable(first)
    assert [datagram.data for datagram in second.receive_batch(9)] == [b">a"]
    assert [[event.data for event in events] for events in told] == [[b">b"]]
    loop.pump.readable(first)
    assert len(told) == 1
    loop.pump.close()


def test_timer_runs_when_it_is_due_and_not_before(loop, machine, udp_pair):
    machine.start(udp_pair[2], 2, 101.0)
    loop.pump.wake()
    assert machine.timers_run == 0
    loop.now = 101.0
    loop.pump.wake()
    assert machine.timers_run == 1
    assert loop.taken() == [("arm", 101.0), ("arm", 101.0 + machine.interval_s)]
    assert loop.pump.deadline == machine.deadline


def test_what_the_kernel_does_not_take_is_sent_when_the_socket_is_writable(loop, machine, udp_pair, faulty):
    first, second, path = udp_pair
    faulty(first).faults["sendto"] = [BlockingIOError(errno.EAGAIN, "full")] * 2
    machine.say(path, b"x", 0.0)
    loop.pump.flush()
    assert loop.taken() == [("write", first), ("arm", math.inf)]
    loop.pump.writable(first)
    assert loop.taken() == []
    loop.pump.writable(first)
    assert loop.taken() == [("read", first)]
    assert [datagram.data for datagram in second.receive_batch(9)] == [b"x"]


def test_verbs_within_events_go_out_in_the_same_flush_and_events_keep_their_order(pinger, udp_pair):
    first, second, path = udp_pair
    seen = []

    def on_events(events):
        for event in events:
            seen.append(event.data)
            if len(seen) < 3:
                machine.say(path, b"again", 0.0)
                machine.events.append(pong(event, b"later"))
                loop.pump.flush()
            seen.append("done")

    machine = pinger()
    loop = ScriptedLoop(machine, on_events=on_events)
    loop.pump.add_socket(first)
    second.send_batch([Datagram(b">1", path.reversed())])
    loop.pump.readable(first)
    assert seen == [b">1", "done", b"later", "done"]
    assert [datagram.data for datagram in second.receive_batch(9)] == [b"again"]
    loop.pump.close()


def pong(event, data):
    return type(event)(data, event.path)


def test_machine_that_never_stops_asking_lets_go_and_goes_on_at_once(pinger, udp_pair):
    machine = pinger()
    rounds = []

    def on_events(events):
        rounds.append(events)
        machine.events.extend(events)

    loop = ScriptedLoop(machine, on_events=on_events)
    machine.events.append("again")
    loop.pump.flush()
    assert len(rounds) == pump_module.ROUNDS_PER_FLUSH_MAX
    assert loop.taken() == [("arm", loop.now)]
    assert loop.pump.deadline == loop.now
    loop.pump.wake()
    assert len(rounds) == 2 * pump_module.ROUNDS_PER_FLUSH_MAX


def test_failed_owner_does_not_block_the_next_flush(pinger):
    machine = pinger()
    loop = ScriptedLoop(machine, on_events=lambda events: 1 / 0)
    machine.events.append("x")
    with pytest.raises(ZeroDivisionError):
        loop.pump.flush()
    loop.pump.flush()
    assert loop.taken() == [("arm", math.inf)]


def test_closing_unwatches_each_socket_while_it_is_open_and_nothing_is_driven_after_it(loop, machine, udp_pair):
    loop.pump.close()
    loop.pump.close()
    assert loop.taken() == [("unwatch", True)]
    assert udp_pair[0].fileno() == -1
    machine.start(udp_pair[2], 1, 0.0)
    loop.pump.wake()
    loop.pump.flush()
    assert (machine.timers_run, loop.taken()) == (0, [])


def test_closing_within_an_event_arms_nothing(pinger):
    machine = pinger()
    loop = ScriptedLoop(machine, on_events=lambda events: loop.pump.close())
    machine.close(0.0)
    loop.pump.flush()
    assert loop.taken() == []


def test_socket_is_removed_by_its_address(loop, machine, udp_pair):
    loop.pump.remove_address(udp_pair[1].local)
    assert loop.pump.local_addresses == [udp_pair[0].local]
    loop.pump.remove_address(udp_pair[0].local)
    assert (loop.pump.local_addresses, loop.taken()) == ([], [("unwatch", True)])


def test_listener_needs_streams(loop):
    with pytest.raises(InvalidState, match="no streams"):
        loop.pump.add_listener(None)


def test_sockets_with_one_address_are_refused(loop, udp_pair):
    from sans_rtc.errors import InvalidArgument

    with pytest.raises(InvalidArgument):
        loop.pump.add_socket(udp_pair[0])
    assert isinstance(udp_pair[0], UdpSocket)


def test_loop_that_gathers_is_told_first_and_sends_when_it_flushes(loop, machine, udp_pair):
    first, second, path = udp_pair
    assert not loop.pump.feed(first)
    second.send_batch([Datagram(b"a", path.reversed()), Datagram(b">b", path.reversed())])
    assert loop.pump.feed(first)
    loop.pump.tell()
    assert [event.data for event in loop.events] == [b">b"]
    assert second.receive_batch(9) == []
    loop.pump.flush()
    assert [datagram.data for datagram in second.receive_batch(9)] == [b">a"]


def test_last_words_of_a_machine_go_out_before_its_end_is_told(loop, machine, udp_pair):
    _, second, path = udp_pair
    loop.pump._on_events = lambda events: loop.pump.close()
    machine.say(path, b"farewell", 0.0)
    machine.close(0.0)
    loop.pump.tell()
    assert [datagram.data for datagram in second.receive_batch(9)] == [b"farewell"]


def test_owner_that_asks_for_itself_saves_a_look_at_the_machine(pinger):
    machine, takes = pinger(), []
    take = machine.take_datagrams
    machine.take_datagrams = lambda now: takes.append(now) or take(now)
    loop = ScriptedLoop(machine, on_events=lambda events: None, asks=True)
    machine.events.append("x")
    loop.pump.flush()
    assert len(takes) == 1
    loop.pump._on_events = lambda events: loop.pump.flush()
    machine.events.append("y")
    loop.pump.flush()
    assert len(takes) == 3
