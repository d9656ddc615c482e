"""`.local` names over real multicast on the loopback interface: a toy responder answers."""

import asyncio
import socket
import threading

import pytest

from sans_rtc.mdns.wire import DnsMessage, Record, RecordType, parse_message, serialize_message
from sans_rtc_asyncio.loop import AsyncioLoop
from sans_rtc_net import multicast
from sans_rtc_net.interfaces import LocalAddress
from sans_rtc_net.local_names import LocalNames
from sans_rtc_net.multicast import GROUP_IPV4, MDNS_PORT, open_mdns_sockets, resolve_local_blocking
from sans_rtc_net.resolver import Resolver

LOOPBACK = [LocalAddress("127.0.0.1", "lo")]
NAME = "0f1e2d3c-1111-4222-8333-444455556666.local"

pytestmark = pytest.mark.usefixtures("no_leaks")


class Responder:
    """Answers every question for NAME with 192.0.2.77, by multicast on the loopback interface."""

    def __init__(self):
        self.sock = open_mdns_sockets(LOOPBACK)[0].raw
        self.sock.setblocking(True)
        self.sock.settimeout(5.0)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            data, _ = self.sock.recvfrom(9000)
            if data == b"stop":
                return
            query = parse_message(data)
            if not query.is_response and any(question.name == NAME for question in query.questions):
                answer = DnsMessage(0, is_response=True)
                answer.answers.append(Record(NAME, RecordType.A, 120, socket.inet_aton("192.0.2.77")))
                self.sock.sendto(serialize_message(answer), (GROUP_IPV4, MDNS_PORT))

    def stop(self):
        self.sock.sendto(b"stop", (GROUP_IPV4, MDNS_PORT))
        self.thread.join()
        self.sock.close()


@pytest.fixture
def responder():
    if not open_and_close():
        pytest.skip("no multicast on the loopback interface")
    running = Responder()
    yield running
    running.stop()


def open_and_close():
    sockets = open_mdns_sockets(LOOPBACK)
    for sock in sockets:
        sock.close()
    return sockets


def test_blocking_look_up_finds_the_address(responder):
    assert resolve_local_blocking(NAME, LOOPBACK) == ["192.0.2.77"]


@pytest.mark.anyio
async def test_look_up_on_the_loop_finds_the_address(responder):
    answers = asyncio.Queue()
    resolver = LocalNames.on(
        AsyncioLoop(), lambda name, hosts: answers.put_nowait((name, list(hosts))), lambda: LOOPBACK
    )
    resolver.resolve(NAME)
    assert await asyncio.wait_for(answers.get(), 2.0) == (NAME, ["192.0.2.77"])
    resolver.resolve(NAME)
    assert await asyncio.wait_for(answers.get(), 2.0) == (NAME, ["192.0.2.77"])
    resolver.close()


@pytest.mark.anyio
@pytest.mark.parametrize("addresses", [[], [LocalAddress("203.0.113.9", "nowhere0")]])
async def test_machine_without_multicast_answers_at_once(addresses):
    answers = []
    resolver = Resolver(AsyncioLoop(), lambda name, hosts: answers.append((name, list(hosts))), lambda: addresses)
    resolver.resolve(NAME)
    for _ in range(5):
        await asyncio.sleep(0)
    assert answers == [(NAME, [])]
    resolver.close()


@pytest.mark.anyio
async def test_interface_that_cannot_send_answers_at_once(monkeypatch, faulty):
    sockets = open_mdns_sockets(LOOPBACK)
    faulty(sockets[0]).faults["sendto"] = [OSError(101, "unreachable")] * 9
    monkeypatch.setattr("sans_rtc_net.mdns_service.open_mdns_sockets", lambda addresses: sockets)
    answers = []
    resolver = LocalNames.on(AsyncioLoop(), lambda name, hosts: answers.append((name, list(hosts))), lambda: LOOPBACK)
    resolver.resolve(NAME)
    for _ in range(5):
        await asyncio.sleep(0)
    assert answers == [(NAME, [])]
    resolver.close()


@pytest.mark.anyio
async def test_name_that_is_none_is_answered_with_nothing():
    answers = []
    resolver = LocalNames.on(AsyncioLoop(), lambda name, hosts: answers.append((name, list(hosts))), lambda: LOOPBACK)
    resolver.resolve("x" * 300 + ".local")
    for _ in range(5):
        await asyncio.sleep(0)
    assert [hosts for _, hosts in answers] == [[]]
    resolver.close()


@pytest.mark.anyio
async def test_closing_while_asking_leaves_nothing_open():
    resolver = Resolver(AsyncioLoop(), lambda name, hosts: pytest.fail("answered after close"), lambda: LOOPBACK)
    resolver.resolve(NAME)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    resolver.close()
    resolver.close()
    resolver.resolve(NAME)
    await asyncio.sleep(0)


def test_shared_port_that_is_taken_falls_back_to_another(monkeypatch):
    monkeypatch.setattr(multicast, "_open_shared", lambda address: None)
    sockets = open_mdns_sockets(LOOPBACK)
    assert [sock.local.host for sock in sockets] == ["127.0.0.1"]
    assert sockets[0].local.port not in (0, MDNS_PORT)
    sockets[0].close()


@pytest.mark.anyio
async def test_dns_names_are_looked_up_without_blocking_the_loop(monkeypatch):
    release = threading.Event()

    def slow(name, *_, **__):
        release.wait(2.0)
        return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("192.0.2.1", 0))] * 2

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    answers = asyncio.Queue()
    resolver = Resolver(AsyncioLoop(), lambda name, hosts: answers.put_nowait((name, list(hosts))), lambda: LOOPBACK)
    resolver.resolve("stun.example.org")
    resolver.resolve("stun.example.org")
    await asyncio.sleep(0.01)
    assert answers.empty()
    release.set()
    assert await asyncio.wait_for(answers.get(), 2.0) == ("stun.example.org", ["192.0.2.1"])
    assert answers.empty()
    resolver.close()


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["", "x" * 64 + ".example", "a..b", "\udc80.example", "no\0null"])
async def test_name_that_cannot_be_is_answered_with_nothing(name, monkeypatch):
    answers = asyncio.Queue()
    resolver = Resolver(AsyncioLoop(), lambda name, hosts: answers.put_nowait((name, list(hosts))), lambda: LOOPBACK)
    monkeypatch.setattr(socket, "getaddrinfo", refuse_network)
    resolver.resolve(name)
    assert await asyncio.wait_for(answers.get(), 2.0) == (name, [])
    resolver.close()


_getaddrinfo = socket.getaddrinfo


def refuse_network(name, *args, **options):
    """The real getaddrinfo with no server behind it: its own checks of the name are what is tested."""
    return _getaddrinfo(name, *args, **options, flags=socket.AI_NUMERICHOST)


@pytest.mark.anyio
async def test_names_beyond_the_bound_are_answered_with_nothing(monkeypatch):
    release = threading.Event()

    def slow(*_, **__):
        release.wait(2.0)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    answers = []
    resolver = Resolver(AsyncioLoop(), lambda name, hosts: answers.append(name), lambda: LOOPBACK)
    for index in range(20):
        resolver.resolve(f"host{index}.example")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert answers == [f"host{index}.example" for index in range(16, 20)]
    resolver.close()
    release.set()
