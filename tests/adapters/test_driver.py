import asyncio
import errno
import math

import anyio.lowlevel
import pytest

from sans_rtc.machine import Address, Datagram, Path
from sans_rtc_asyncio.driver import DATAGRAMS_PER_TURN_MAX, Driver
from sans_rtc_net.udp import UdpSocket

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]


class Ends:
    """Two toy machines on the loop, joined over 127.0.0.1."""

    def __init__(self, make_machine):
        self.events = ([], [])
        self.failures = []
        self.machines = (make_machine(), make_machine())
        self.sockets = [UdpSocket.bind("127.0.0.1") for _ in range(2)]
        self.drivers = [
            Driver(machine, on_events=events.extend, on_failure=self.failures.append)
            for machine, events in zip(self.machines, self.events, strict=True)
        ]
        for driver, sock in zip(self.drivers, self.sockets, strict=True):
            driver.add_socket(sock)
        self.path = Path(self.sockets[0].local, self.sockets[1].local)

    def close(self):
        for driver in self.drivers:
            driver.close()

    async def until(self, condition, within_s=2.0):
        async with asyncio.timeout(within_s):
            while not condition():
                await anyio.lowlevel.checkpoint()


@pytest.fixture
async def ends(pinger):
    both = Ends(pinger)
    yield both
    both.close()


async def test_pings_by_timer_come_back(ends):
    ends.machines[0].start(ends.path, 5, ends.drivers[0].clock())
    ends.drivers[0].request_flush()
    await ends.until(lambda: len(ends.events[0]) == 5)
    assert [event.data for event in ends.events[0]] == [b">ping %d" % left for left in (4, 3, 2, 1, 0)]
    assert ends.machines[0].deadline == math.inf


async def test_many_verbs_in_one_turn_are_flushed_once(ends):
    machine, driver = ends.machines[0], ends.drivers[0]
    takes = []
    take = machine.take_datagrams
    machine.take_datagrams = lambda now: takes.append(1) or take(now)
    for index in range(50):
        machine.say(ends.path, b"%03d" % index, driver.clock())
        driver.request_flush()
    assert takes == []
    await asyncio.sleep(0)
    assert len(takes) == 1
    await ends.until(lambda: len(ends.events[0]) == 50)


async def test_one_burst_is_received_before_anything_is_flushed(ends):
    sender = ends.sockets[0]
    flushes = []
    ends.drivers[1].flush = lambda: flushes.append(len(ends.machines[1].received))
    sender.send_batch([Datagram(b"x%d" % index, ends.path) for index in range(20)])
    await ends.until(lambda: flushes)
    assert flushes == [20]


async def test_busy_socket_does_not_starve_the_loop(ends):
    count = DATAGRAMS_PER_TURN_MAX * 4
    ends.sockets[0].send_batch([Datagram(b">" + b"x" * (100 + index % 2), ends.path) for index in range(count)])
    received_at = []
    while len(ends.machines[1].received) < count:
        await asyncio.sleep(0)
        received_at.append(len(ends.machines[1].received))
    steps = [later - earlier for earlier, later in zip([0, *received_at], received_at, strict=False)]
    assert max(steps) <= DATAGRAMS_PER_TURN_MAX + 63


async def test_timer_is_moved_only_when_the_deadline_comes_nearer(ends):
    machine, driver = ends.machines[0], ends.drivers[0]
    machine._deadline = driver.clock() + 50.0
    driver.flush()
    far = driver._timer
    machine._deadline = driver.clock() + 60.0
    driver.flush()
    assert driver._timer is far
    machine._deadline = driver.clock() + 40.0
    driver.flush()
    assert driver._timer is not far
    assert far.cancelled()


async def test_timer_that_fires_too_early_sleeps_again(ends):
    machine, driver = ends.machines[0], ends.drivers[0]
    machine.start(ends.path, 1, driver.clock() + 0.005)
    driver.flush()
    machine.start(ends.path, 1, driver.clock() + 0.02)
    driver.flush()
    await ends.until(lambda: ends.events[0])
    assert machine.timers_run == 1


async def test_events_that_cause_datagrams_are_followed_by_their_flush(pinger):
    ends = Ends(pinger)
    machine, driver = ends.machines[0], ends.drivers[0]

    def answer(events):
        ends.events[0].extend(events)
        if len(ends.events[0]) < 3:
            machine.say(ends.path, b"again", driver.clock())
            driver.request_flush()

    driver._on_events = answer
    machine.say(ends.path, b"first", driver.clock())
    driver.flush()
    await ends.until(lambda: len(ends.events[0]) == 3)
    ends.close()


async def test_backlog_goes_out_when_the_socket_is_writable(ends, faulty):
    wrapped = faulty(ends.sockets[0])
    wrapped.faults["sendto"] = [BlockingIOError(errno.EAGAIN, "full")] * 2
    for index in range(3):
        ends.machines[0].say(ends.path, b"x" * (index + 1), ends.drivers[0].clock())
    ends.drivers[0].flush()
    assert ends.sockets[0].has_backlog
    await ends.until(lambda: len(ends.events[0]) == 3)
    assert not ends.drivers[0]._writing


async def test_bug_in_a_machine_stops_the_driver_and_is_reported_once(ends):
    reported = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context["exception"]))

    def broken(datagram, now):
        raise AssertionError("a bug")

    ends.machines[1].receive = broken
    ends.sockets[0].send_batch([Datagram(b"x", ends.path)] * 3)
    await ends.until(lambda: ends.failures)
    await asyncio.sleep(0)
    assert [type(error) for error in ends.failures] == [AssertionError]
    assert reported == ends.failures
    assert ends.drivers[1].is_closed


async def test_closing_leaves_nothing_behind(ends):
    ends.machines[0].start(ends.path, 1000, ends.drivers[0].clock() + 10.0)
    ends.drivers[0].flush()
    ends.drivers[0].request_flush()
    timer, soon = ends.drivers[0]._timer, ends.drivers[0]._soon
    ends.close()
    ends.close()
    assert timer.cancelled()
    assert soon.cancelled()
    assert [sock.fileno() for sock in ends.sockets] == [-1, -1]
    ends.drivers[0].request_flush()
    assert ends.drivers[0]._soon is None


async def test_closing_from_within_an_event_stops_at_once(pinger):
    ends = Ends(pinger)
    ends.drivers[0]._on_events = lambda events: ends.drivers[0].close()
    ends.machines[0].close(0.0)
    ends.machines[0].start(ends.path, 3, 0.0)
    ends.drivers[0].flush()
    assert ends.drivers[0]._timer is None
    ends.close()


async def test_removed_socket_is_closed_and_its_datagrams_go_nowhere(ends):
    ends.drivers[0].remove_socket(ends.sockets[0])
    assert ends.sockets[0].fileno() == -1
    ends.machines[0].say(ends.path, b"x", 0.0)
    ends.drivers[0].flush()
    assert ends.drivers[0].sockets.discards == 1


async def test_stranger_that_sends_nothing_is_harmless(ends):
    with UdpSocketContext() as stranger:
        stranger.send_batch([Datagram(b"", Path(stranger.local, Address(*ends.path.remote)))])
        await ends.until(lambda: ends.machines[1].received)
    assert ends.machines[1].received[0].data == b""
    assert ends.failures == []


class UdpSocketContext:
    def __enter__(self):
        self.sock = UdpSocket.bind("127.0.0.1")
        return self.sock

    def __exit__(self, *_):
        self.sock.close()
