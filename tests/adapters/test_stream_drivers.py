"""Streams under the loops' drivers: machines ask for them, are told of them, and nothing is left when it is over."""

import asyncio
import math
import queue
import socket
import time

import pytest

from sans_rtc.errors import InvalidState
from sans_rtc.machine import Address, Datagram, Path, Terminated
from sans_rtc.streams import StreamNeeded, StreamUnneeded
from sans_rtc_asyncio.driver import NO_READERS
from sans_rtc_asyncio.driver import Driver as AsyncioDriver
from sans_rtc_net.driver import Driver as BlockingDriver
from sans_rtc_net.listener import Listener
from sans_rtc_net.options import StreamConfig
from sans_rtc_net.proxy import Proxy
from sans_rtc_net.tls import client_context, server_context

pytestmark = pytest.mark.usefixtures("no_leaks")

LOOPBACK = "127.0.0.1"
WITHIN_S = 10.0


class Talker:
    """A machine that opens streams where it is told to, and answers "word" with "<word" on whichever it came."""

    def __init__(self):
        self.out, self.events, self.said = [], [], []
        self.paths = []
        self._ended = False

    def need(self, path, server_name=""):
        self.events.append(StreamNeeded(path, server_name))

    def unneed(self, path):
        self.events.append(StreamUnneeded(path))

    def say(self, path, data):
        self.out.append(Datagram(data, path))

    def stream_opened(self, path, now):
        self.said.append(("opened", path))
        self.paths.append(path)

    def stream_closed(self, path, reason, now):
        self.said.append(("closed", path, reason))

    def receive(self, datagram, now):
        self.said.append(("data", datagram.path, datagram.data))
        if datagram.data == b"word":
            self.out.append(Datagram(b"<word", datagram.path))

    def handle_timer(self, now):
        pass

    def close(self, now):
        self._ended = True
        self.events.append(Terminated("closed"))

    def take_datagrams(self, now):
        out, self.out = self.out, []
        return out

    def take_events(self):
        events, self.events = self.events, []
        return events

    deadline = math.inf

    @property
    def is_terminated(self):
        return self._ended

    def reasons(self):
        return [entry[2] for entry in self.said if entry[0] == "closed"]

    def heard(self, path=None):
        return b"".join(entry[2] for entry in self.said if entry[0] == "data" and path in (None, entry[1]))


class OnAsyncio:
    """Runs drivers on a loop of its own."""

    def __init__(self):
        self.runner = asyncio.Runner()
        self.complaints = []
        self.runner.get_loop().set_exception_handler(lambda loop, context: self.complaints.append(context))
        self.drivers = []

    def drive(self, machine, config=None, **options):
        async def make():
            return AsyncioDriver(
                machine,
                on_events=options.pop("on_events", lambda events: None),
                on_failure=lambda error: None,
                streams=config or StreamConfig(),
                **options,
            )

        self.drivers.append(self.runner.run(make()))
        return self.drivers[-1]

    def until(self, condition):
        async def wait():
            for driver in self.drivers:
                driver.flush()
            async with asyncio.timeout(WITHIN_S):
                while not condition():  # noqa: ASYNC110 - any condition
                    await asyncio.sleep(0.001)

        self.runner.run(wait())

    def close(self):
        for driver in self.drivers:
            driver.close()
        selector = self.runner.get_loop()._selector
        left = [key for key in selector.get_map().values() if key.fd != self.runner.get_loop()._ssock.fileno()]
        self.runner.close()
        assert self.complaints == []
        assert left == []


class OnSelectors:
    """Steps blocking drivers in this thread."""

    def __init__(self):
        self.drivers = []

    def drive(self, machine, config=None, **options):
        options.setdefault("on_events", lambda events: None)
        self.drivers.append(BlockingDriver(machine, streams=config or StreamConfig(), **options))
        return self.drivers[-1]

    def until(self, condition):
        end = time.monotonic() + WITHIN_S
        for driver in self.drivers:
            driver.flush()
        while not condition():
            assert time.monotonic() < end
            for driver in self.drivers:
                driver.process(driver.wait(driver.prepare(0.001)))

    def close(self):
        for driver in self.drivers:
            driver.close()


class OnTrio:
    """Runs drivers under trio, which is a guest of this thread."""

    def __init__(self):
        self.trio = pytest.importorskip("trio")
        self.drivers, self.failures, self.outcomes = [], [], []
        self.calls = queue.SimpleQueue()
        self.nursery = None
        self.trio.lowlevel.start_guest_run(
            self.main, run_sync_soon_threadsafe=self.calls.put, done_callback=self.outcomes.append
        )
        self.step_until(lambda: self.nursery is not None)

    async def main(self):
        async with self.trio.open_nursery() as self.nursery:
            await self.trio.sleep_forever()

    def step_until(self, condition):
        end = time.monotonic() + WITHIN_S
        while not condition():
            assert time.monotonic() < end
            try:
                self.calls.get(timeout=0.001)()
            except queue.Empty:
                pass

    def drive(self, machine, config=None, **options):
        from sans_rtc_trio.driver import Driver

        options.setdefault("on_events", lambda events: None)
        driver = Driver(machine, on_failure=self.failures.append, streams=config or StreamConfig(), **options)
        driver.start(self.nursery)
        self.drivers.append(driver)
        return driver

    def until(self, condition):
        for driver in self.drivers:
            driver.flush()
        self.step_until(condition)

    def close(self):
        for driver in self.drivers:
            driver.close()
        if not self.outcomes:
            self.step_until(lambda: not self.nursery.child_tasks)
            self.nursery.cancel_scope.cancel()
            self.step_until(lambda: self.outcomes)
            self.outcomes[0].unwrap()
        assert self.failures == []


@pytest.fixture(params=[OnAsyncio, OnTrio, OnSelectors], ids=["asyncio", "trio", "blocking"])
def loop(request):
    loop = request.param()
    yield loop
    loop.close()


@pytest.fixture
def pair(loop):
    """A client that has opened a stream to a server's listening socket: (client, its path, server, its path)."""
    client, server = Talker(), Talker()
    loop.drive(client)
    listener = Listener.bind(LOOPBACK)
    loop.drive(server).add_listener(listener)
    path = Path(Address(LOOPBACK, 0), listener.local, "tcp", 7)
    client.need(path)
    loop.until(lambda: client.paths and server.paths)
    return client, path, server, server.paths[0]


def test_stream_is_opened_where_the_machine_asks_and_pieces_reach_it(loop, pair):
    client, path, server, server_path = pair
    assert client.said == [("opened", path)]
    assert server_path.protocol == "tcp"
    client.say(path, b"word")
    loop.until(lambda: client.heard() == b"<word")
    assert server.heard() == b"word"
    assert client.said[-1] == ("data", path, b"<word")


def test_events_of_streams_do_not_reach_the_owner_and_others_do(loop):
    seen = []
    machine = Talker()
    loop.drive(machine, on_events=seen.extend)
    machine.unneed(Path(Address(LOOPBACK, 0), Address(LOOPBACK, 9), "tcp"))
    machine.close(0.0)
    loop.until(lambda: seen)
    assert [type(event) for event in seen] == [Terminated]


def test_stream_unneeded_writes_what_waits_and_tells_only_the_other_end(loop, pair):
    client, path, server, server_path = pair
    client.say(path, bytes(200_001))
    client.unneed(path)
    loop.until(lambda: server.reasons())
    assert len(server.heard(server_path)) == 200_001
    assert client.reasons() == []
    assert "has closed the connection" in server.reasons()[0]
    client.say(path, b"x")
    loop.until(lambda: not client.out)
    assert loop.drivers[0].streams.discards == 1
    loop.until(lambda: len(loop.drivers[0].streams) == 0)


def test_stream_that_cannot_be_opened_is_told_as_closed(loop):
    with socket.socket() as sock:
        sock.bind((LOOPBACK, 0))
        address = Address(*sock.getsockname())
        machine = Talker()
        loop.drive(machine)
        machine.need(Path(Address(LOOPBACK, 0), address, "tcp"))
        machine.need(Path(Address("203.0.113.5", 0), address, "tcp"))
        loop.until(lambda: len(machine.reasons()) == 2)
    assert sorted(machine.reasons()) == [
        f"connection refused by {address}",
        f"the local address or port cannot be used for a connection to {address}",
    ]
    assert machine.paths == []


def test_stream_that_takes_too_long_is_told_as_closed(loop):
    with socket.create_server((LOOPBACK, 0)) as silent:
        machine = Talker()
        loop.drive(machine, StreamConfig(connect_timeout_s=0.1, tls_context=client_context()))
        machine.need(Path(Address(LOOPBACK, 0), Address(*silent.getsockname()), "tls"), "x.test")
        loop.until(machine.reasons)
    assert "has led to nothing in 0.1 s" in machine.reasons()[0]


def test_tls_streams_between_two_machines(loop, tls_files):
    client, server = Talker(), Talker()
    loop.drive(client, StreamConfig(tls_context=client_context(tls_files.authority)))
    listener = Listener.bind(LOOPBACK, 0, server_context(tls_files.certificate, tls_files.key))
    loop.drive(server).add_listener(listener)
    good, bad = (Path(Address(LOOPBACK, 0), listener.local, "tls", index) for index in range(2))
    client.need(good, "turn.test")
    client.need(bad, "other.test")
    loop.until(lambda: client.paths and client.reasons())
    assert "its certificate is for another name than other.test" in client.reasons()[0]
    client.say(good, bytes(200_000))
    loop.until(lambda: len(server.heard()) == 200_000)
    server.say(server.paths[0], bytes(200_000))
    loop.until(lambda: len(client.heard()) == 200_000)


def test_reader_that_stops_costs_bounded_memory_and_the_rest_goes_on(loop, pair):
    client, path, server, _ = pair
    for _ in range(200):
        client.say(path, bytes(100_000))
    loop.until(lambda: not client.out)
    stream = next(iter(loop.drivers[0].streams))
    loop.until(lambda: len(server.heard()) == 100_000 * stream.stats.frames_sent)
    assert stream.stats.frames_sent + stream.stats.discards.get("backlog_full", 0) == 200


def test_connections_beyond_the_bound_are_closed(loop):
    server, client = Talker(), Talker()
    loop.drive(client)
    listener = Listener.bind(LOOPBACK)
    loop.drive(server, StreamConfig(accepted_count_max=2)).add_listener(listener)
    for index in range(4):
        client.need(Path(Address(LOOPBACK, 0), listener.local, "tcp", index))
    loop.until(lambda: len(client.reasons()) == 2 and listener.stats.accepted == 2)
    assert listener.stats.discards == {"too_many": 2}
    client.unneed(
        next(path for path in client.paths if not any(entry[:2] == ("closed", path) for entry in client.said))
    )
    loop.until(server.reasons)
    client.need(Path(Address(LOOPBACK, 0), listener.local, "tcp", 9))
    loop.until(lambda: listener.stats.accepted == 3)


def test_machine_that_asks_again_as_soon_as_it_fails_does_not_stop_the_others(loop):
    """Each failure is told in a turn of its own, so a stubborn machine does not hang the loop."""
    machine = Talker()
    driver = loop.drive(machine)
    closed = machine.stream_closed

    def again(path, reason, now):
        closed(path, reason, now)
        if len(machine.reasons()) < 50:
            machine.need(path)

    machine.stream_closed = again
    machine.need(Path(Address("203.0.113.5", 0), Address(LOOPBACK, 9), "tcp"))
    loop.until(lambda: len(machine.reasons()) == 50)
    assert len(driver.streams) == 0


def test_name_of_a_proxy_is_looked_up_once_for_all_that_wait(loop, pair):
    asked = []
    with socket.socket() as sock:
        sock.bind((LOOPBACK, 0))
        port = sock.getsockname()[1]
        machine = Talker()
        driver = loop.drive(machine, StreamConfig(proxy=Proxy("proxy.test", port)), resolve=asked.append)
        paths = [Path(Address(LOOPBACK, 0), Address("192.0.2.1", 443), "tcp", index) for index in range(3)]
        for path in paths:
            machine.need(path)
        loop.until(lambda: len(asked) == 3)
        machine.unneed(paths[2])
        loop.until(lambda: not machine.events)
        driver.streams.name_resolved("other.test", ["127.0.0.1"], driver.clock())
        assert machine.reasons() == []
        driver.streams.name_resolved("proxy.test", ["::1", "127.0.0.1"], driver.clock())
        loop.until(lambda: len(machine.reasons()) == 2)
    assert set(machine.reasons()) == {f"connection refused by the proxy proxy.test:{port}"}


def test_machine_that_is_refused_is_heard_again(loop):
    """Nobody looks names up here: each refusal is told at once, and what it brings about goes out too."""
    machine = Talker()
    loop.drive(machine, StreamConfig(proxy=Proxy("proxy.test", 1)))
    path, closed = Path(Address(LOOPBACK, 0), Address("192.0.2.1", 443), "tcp"), machine.stream_closed

    def again(path, reason, now):
        closed(path, reason, now)
        if len(machine.reasons()) < 3:
            machine.need(path)

    machine.stream_closed = again
    machine.need(path)
    loop.until(lambda: len(machine.reasons()) == 3)
    assert set(machine.reasons()) == {
        "the proxy proxy.test:1 must be given by its address, names are not looked up here"
    }


def test_proxy_whose_name_is_unknown_is_told(loop):
    machine = Talker()
    driver = loop.drive(machine, StreamConfig(proxy=Proxy("proxy.test", 1)), resolve=lambda name: None)
    machine.need(Path(Address(LOOPBACK, 0), Address("192.0.2.1", 443), "tcp"))
    loop.until(lambda: not machine.events)
    driver.streams.name_resolved("proxy.test", [], driver.clock())
    assert machine.reasons() == ["the proxy proxy.test:1 cannot be found by its name"]


def test_closing_while_everything_is_under_way_leaves_nothing(loop, pair):
    client, path, _, _ = pair
    client.say(path, bytes(1_000_000))
    with socket.create_server((LOOPBACK, 0)) as silent:
        client.need(Path(Address(LOOPBACK, 0), Address(*silent.getsockname()), "tls"), "x.test")
        client.need(Path(Address(LOOPBACK, 0), Address("192.0.2.1", 9), "tcp"))
        loop.until(lambda: not client.events)
        loop.close()
    said = len(client.said)
    assert all(len(driver.streams) == 0 for driver in loop.drivers)
    assert len(client.said) == said
    if isinstance(loop, OnAsyncio):
        loop.runner = asyncio.Runner()


def test_other_end_that_begins_anew_from_the_same_port_ends_the_earlier_stream(loop, pair):
    _, _, server, server_path = pair
    streams = loop.drivers[1].streams
    stream = streams._streams[server_path]
    near, far = socket.socketpair()
    twin = type(stream)(near, server_path, stream.config)
    twin._on_transport()
    streams._add_accepted(twin, loop.drivers[1].clock())
    assert server.reasons() == [f"{server_path.remote} has begun a new connection"]
    assert server.said[-1] == ("opened", server_path)
    assert (stream.fileno(), len(streams)) == (-1, 1)
    far.close()
    loop.until(lambda: len(streams) == 0)


def test_machine_without_the_verbs_of_streams_has_none(loop, pinger):
    driver = loop.drive(pinger())
    assert driver.streams is None
    listener = Listener.bind(LOOPBACK)
    with pytest.raises(InvalidState):
        driver.add_listener(listener)
    listener.close()


def test_loop_that_cannot_watch_descriptors_says_so(monkeypatch):
    monkeypatch.setattr("sans_rtc_asyncio.driver.has_readers", lambda loop: False)
    loop, machine = OnAsyncio(), Talker()
    loop.drive(machine)
    machine.need(Path(Address(LOOPBACK, 0), Address(LOOPBACK, 9), "tcp"))
    loop.until(machine.reasons)
    assert machine.reasons() == [NO_READERS]
    loop.close()
