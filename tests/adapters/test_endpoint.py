"""The fallback for loops without add_reader, run here on a loop that has it."""

import asyncio

import anyio.lowlevel
import pytest

from sans_rtc.machine import Address, Datagram, Path
from sans_rtc_asyncio import endpoint
from sans_rtc_asyncio.driver import Driver
from sans_rtc_asyncio.endpoint import DatagramEndpoint, has_readers
from sans_rtc_net.options import UdpConfig
from sans_rtc_net.udp import UdpSocket

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]


@pytest.fixture
async def driven(pinger):
    """A toy machine driven through an endpoint, a plain socket beside it, and the path between them."""
    machine, events = pinger(), []
    driver = Driver(machine, on_events=events.extend, on_failure=pytest.fail)
    sock = DatagramEndpoint(UdpSocket.bind("127.0.0.1", 0, UdpConfig(use_gro=False)), driver.receive)
    await sock.open()
    driver.add_endpoint(sock)
    other = UdpSocket.bind("127.0.0.1")
    yield machine, events, driver, other, Path(sock.local, other.local)
    driver.close()
    other.close()
    await asyncio.sleep(0)


async def until(condition):
    async with asyncio.timeout(2.0):
        while not condition():
            await anyio.lowlevel.checkpoint()


async def test_datagrams_go_both_ways(driven):
    machine, events, driver, other, path = driven
    for index in range(3):
        machine.say(path, b"%d" % index, 0.0)
    driver.flush()
    other.send_batch([Datagram(b">back", path.reversed()), Datagram(b"", path.reversed())])
    await until(lambda: len(machine.received) == 2)
    assert [datagram.data for datagram in machine.received] == [b">back", b""]
    assert {datagram.path for datagram in machine.received} == {path}
    assert [event.data for event in events] == [b">back"]
    assert [datagram.data for datagram in other.receive_batch(9)] == [b"0", b"1", b"2", b">"]


async def test_datagrams_of_one_turn_are_one_burst(driven):
    machine, _, driver, other, path = driven
    other.send_batch([Datagram(b">x", path.reversed()) for _ in range(5)])
    await until(lambda: len(machine.received) == 5)
    assert driver.turns <= 5


async def test_datagrams_beyond_the_bound_are_dropped(driven, monkeypatch):
    machine = driven[0]
    monkeypatch.setattr(endpoint, "WAITING_MAX", 2)
    sock = next(iter(driven[2].sockets))
    for index in range(5):
        sock.datagram_received(b">%d" % index, ("127.0.0.1", 9))
    await until(lambda: machine.received)
    assert [datagram.data for datagram in machine.received] == [b">0", b">1"]


async def test_full_write_buffer_drops(driven, monkeypatch):
    machine, _, driver, other, path = driven
    monkeypatch.setattr(endpoint, "WRITE_BUFFER_BYTES_MAX", -1)
    machine.say(path, b"x", 0.0)
    driver.flush()
    assert other.receive_batch(9) == []


async def test_cancelled_opening_closes_the_socket(monkeypatch):
    plain = UdpSocket.bind("127.0.0.1", 0, UdpConfig(use_gro=False))
    opening = asyncio.ensure_future(DatagramEndpoint(plain, lambda datagrams: None).open())
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await asyncio.sleep(0)
    assert plain.fileno() == -1


async def test_path_cache_is_bounded():
    plain = UdpSocket.bind("127.0.0.1", 0, UdpConfig(path_count_max=2))
    sock = DatagramEndpoint(plain, lambda datagrams: None)
    paths = [sock._path_from(("127.0.0.1", port)) for port in (1, 2, 3)]
    assert [path.remote for path in paths] == [Address("127.0.0.1", port) for port in (1, 2, 3)]
    assert len(sock._paths) <= 2
    sock.close()


def test_loops_that_watch_descriptors_are_told_from_those_that_do_not():
    class ProactorEventLoop(asyncio.SelectorEventLoop):
        pass

    selector, proactor = asyncio.SelectorEventLoop(), ProactorEventLoop()
    assert has_readers(selector)
    assert not has_readers(proactor)
    selector.close()
    proactor.close()
