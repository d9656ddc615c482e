"""Peers that hide their addresses behind `.local` names, over real multicast on the loopback interface."""

import asyncio
import contextlib
import gc
import importlib
import shutil
import socket
import threading
import uuid
import warnings

import anyio
import ifaddr
import pytest
import sniffio

from sans_rtc.mdns.wire import DnsMessage, Question, RecordType, parse_message, serialize_message
from sans_rtc_net import mdns_service as service_module
from sans_rtc_net.blocking import BlockingPeerConnection
from sans_rtc_net.interfaces import LocalAddress
from sans_rtc_net.mdns_thread import ServiceThread
from sans_rtc_net.multicast import networks_of, open_mdns_sockets, resolve_local_blocking
from tests.adapters.conftest import signal_blocking

NOBODY = f"{uuid.uuid4()}.local"
LOOPBACK = [LocalAddress("127.0.0.1", "lo")]

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks", "multicast")]


@pytest.fixture(scope="module")
def multicast():
    """Skips where a datagram to the group does not come back over the loopback interface."""
    from sans_rtc.machine import Datagram, Path
    from sans_rtc.mdns.groups import group_path

    sockets = open_mdns_sockets(LOOPBACK)
    try:
        if not sockets or sockets[0].local.port != 5353:
            pytest.skip("the port of multicast DNS cannot be shared here")
        (sock,) = sockets
        path = group_path(sock.local)
        assert isinstance(path, Path)
        sock.send_batch([Datagram(b"probe", path)])
        deadline = 50
        while deadline and not any(datagram.data == b"probe" for datagram in sock.receive_batch(64)):
            deadline -= 1
            threading.Event().wait(0.02)
        if not deadline:
            pytest.skip("no multicast on the loopback interface")
    finally:
        for sock in sockets:
            sock.close()


def hosts_told(description):
    """The addresses of the candidates in a description."""
    return [line.split()[4] for line in description.sdp.splitlines() if line.startswith("a=candidate:")]


async def names_of(peer):
    """Gather, and return the names that the peer tells."""
    peer.create_data_channel("x")
    await peer.set_local_description()
    return [candidate.candidate.split()[4] async for candidate in peer.local_candidates()]


async def until(condition):
    with anyio.fail_after(5):
        while not condition():  # noqa: ASYNC110  there is nothing to wait for but what is under test
            await anyio.sleep(0.002)


def open_services():
    return list(service_module._services.values())


@pytest.mark.parametrize("hiding", [(True, True), (True, False), (False, True)], ids=["both", "offerer", "answerer"])
async def test_peers_that_hide_their_addresses_connect(peers, hiding):
    first, second = (peers.make(hide_host_addresses=is_hiding) for is_hiding in hiding)
    channel = first.create_data_channel("x")
    await peers.signal(first, second)
    with anyio.fail_after(10):
        await channel.opened()
    for peer, is_hiding in zip((first, second), hiding, strict=True):
        assert all(host.endswith(".local") is is_hiding for host in hosts_told(peer.local_description))
        assert ("127.0.0.1" in peer.local_description.sdp.replace("IN IP4 127.0.0.1", "")) is not is_hiding


async def test_name_is_answered_for_until_the_peer_is_closed(peers):
    peer = peers.make(hide_host_addresses=True)
    (name,) = await names_of(peer)
    assert await anyio.to_thread.run_sync(resolve_local_blocking, name, LOOPBACK) == ["127.0.0.1"]
    with listening() as heard:
        await peer.close()
        await anyio.sleep(0.05)
    goodbyes = [record for message in heard for record in message.answers if not record.ttl_s and record.name == name]
    assert [record.host for record in goodbyes] == ["127.0.0.1"]
    assert open_services() == []


@contextlib.contextmanager
def listening():
    """What is said on the loopback interface meanwhile, as a list that is filled in the end."""
    messages = []
    (sock,) = open_mdns_sockets(LOOPBACK)
    try:
        yield messages
        messages += [parse_message(datagram.data) for datagram in sock.receive_batch(1000)]
    finally:
        sock.close()


async def test_hundred_peers_share_their_sockets(peers):
    hidden = [peers.make(hide_host_addresses=True) for _ in range(100)]
    names = [(await names_of(peer))[0] for peer in hidden]
    assert len(set(names)) == 100
    (service,) = open_services()
    assert len(service.sockets) == 1
    assert await anyio.to_thread.run_sync(resolve_local_blocking, names[-1], LOOPBACK) == ["127.0.0.1"]
    for peer in hidden[:-1]:
        peer.abort()
    assert open_services() == [service] and len(service.sockets) == 1
    hidden[-1].abort()
    assert open_services() == [] and len(service.sockets) == 0


async def test_peers_of_a_mux_and_of_own_sockets_share_them_too(peers, adapter_package):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    own = peers.make(sockets=[sock], bind=(), hide_host_addresses=True)
    async with importlib.import_module(f"{adapter_package.__name__}.mux").UdpMux(bind="127.0.0.1") as mux:
        guest = peers.make(mux=mux, bind=(), hide_host_addresses=True)
        names = [(await names_of(peer))[0] for peer in (own, guest)]
        (service,) = open_services()
        assert [sock.local.host for sock in service.sockets] == ["127.0.0.1"]
        for name in names:
            assert await anyio.to_thread.run_sync(resolve_local_blocking, name, LOOPBACK) == ["127.0.0.1"]
        guest.abort()
    own.abort()
    assert open_services() == []


async def test_name_is_found_by_a_resolver_that_knows_nothing_of_multicast_dns(peers):
    (name,) = await names_of(peers.make(hide_host_addresses=True))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.bind(("127.0.0.1", 0))
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        query = DnsMessage(id=4711, questions=[Question(name, RecordType.A)])
        sock.sendto(serialize_message(query), ("224.0.0.251", 5353))
        data, sender = await anyio.to_thread.run_sync(sock.recvfrom, 9000)
    message = parse_message(data)
    assert (sender[1], message.id, message.questions[0].name) == (5353, 4711, name)
    assert [record.host for record in message.answers] == ["127.0.0.1"]


async def test_name_is_found_by_dig(peers):
    dig = shutil.which("dig")
    if dig is None:
        pytest.skip("dig is not installed")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind(("", 5353))
        except OSError:
            pytest.skip("somebody else has the port too, and what comes by unicast")
    (name,) = await names_of(peers.make(hide_host_addresses=True))
    done = await anyio.run_process([dig, "-p", "5353", "@127.0.0.1", "+short", "+tries=1", "+time=5", name])
    assert done.stdout.decode().split() == ["127.0.0.1"]


async def test_name_that_one_peer_has_resolved_is_known_to_the_others(peers):
    hidden, first, second = peers.make(hide_host_addresses=True), peers.make(), peers.make()
    (name,) = await names_of(hidden)
    asked = []
    for peer in (first, second):
        answers = []
        peer._resolver.local._on_resolved = lambda name, hosts, answers=answers: answers.append(list(hosts))
        peer._resolver.resolve(name)
        await until(lambda answers=answers: answers)
        assert answers == [["127.0.0.1"]]
        (service,) = open_services()
        asked.append(service._machine.querier.stats.queries_sent)
    assert asked[0] == asked[1] > 0


async def test_peers_that_ask_for_one_name_at_a_time_are_all_answered_and_one_may_leave(peers):
    askers = [peers.make() for _ in range(3)]
    answers = []
    for index, peer in enumerate(askers):
        await names_of(peer)
        peer._resolver.local._on_resolved = lambda name, hosts, index=index: answers.append((index, list(hosts)))
        peer._resolver.resolve(NOBODY)
    (service,) = open_services()
    asked = service._machine.querier.stats.queries_sent
    askers[0].abort()
    hidden = peers.make()
    await names_of(hidden)
    hidden._resolver.local.publish(NOBODY, ["192.0.2.9"])
    await until(lambda: len(answers) == 2)
    assert sorted(answers) == [(1, ["192.0.2.9"]), (2, ["192.0.2.9"])]
    assert asked == 2  # A and AAAA, once


async def test_sockets_are_closed_a_while_after_the_last_look_up(peers, monkeypatch):
    monkeypatch.setattr(service_module, "LINGER_S", 0.05)
    hidden, peer = peers.make(hide_host_addresses=True), peers.make()
    (name,) = await names_of(hidden)
    answers = []
    peer._resolver.local._on_resolved = lambda name, hosts: answers.append(list(hosts))
    for _ in range(2):
        peer._resolver.resolve(name)
        await until(lambda: answers)
        assert answers.pop() == ["127.0.0.1"]
        (service,) = open_services()
        hidden.abort()  # and in the second round it is known without anybody to ask
        await until(lambda service=service: not service.sockets)


async def test_peer_that_names_many_gets_no_more_than_its_share(peers):
    from sans_rtc_net.local_names import PENDING_MAX

    peer = peers.make()
    answers = []
    await names_of(peer)
    peer._resolver.local._on_resolved = lambda name, hosts: answers.append((name, list(hosts)))
    for index in range(PENDING_MAX + 3):
        peer._resolver.resolve(f"nobody-{index}.local")
    await anyio.sleep(0.01)
    assert sorted(answers) == [(f"nobody-{PENDING_MAX + index}.local", []) for index in range(3)]


async def test_interface_that_has_another_address_now_is_spoken_on_from_that(peers, monkeypatch):
    peer = peers.make(hide_host_addresses=True)
    names = peer._resolver.local
    (name,) = await names_of(peer)
    (service,) = open_services()
    (before,) = service.sockets
    names.publish("other.local", ["127.0.0.1"])
    assert service.sockets == [before]
    monkeypatch.setattr(names, "_addresses", lambda: [LocalAddress("127.0.0.2", "lo")])
    names.publish("another.local", ["127.0.0.1"])
    assert service.sockets == [before]  # it is another one, but the first is still there
    monkeypatch.setattr(service_module, "is_present", lambda host: host != "127.0.0.1")
    names.publish("third.local", ["127.0.0.1"])
    assert open_services() == [service]
    assert [sock.local.host for sock in service.sockets] == ["127.0.0.2"]
    for told in (name, "third.local"):
        assert await anyio.to_thread.run_sync(resolve_local_blocking, told, LOOPBACK) == ["127.0.0.1"]


async def test_bug_of_the_service_comes_out_with_the_peers_and_nobody_waits(peers, adapter, monkeypatch):
    def fail(self, datagram, now):
        raise AssertionError("a bug")

    told = []
    if sniffio.current_async_library() == "asyncio":
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["exception"]))
    else:
        told = peers.nursery.failures
    monkeypatch.setattr("sans_rtc.mdns.Responder.receive", fail)
    peer = peers.make()
    await names_of(peer)
    answers = []
    peer._resolver.local._on_resolved = lambda name, hosts: answers.append(list(hosts))
    peer._resolver.resolve("nobody.local")  # its own query comes back to it
    await until(lambda: answers and told)
    assert answers == [[]] and {str(error) for error in told} == {"a bug"}
    assert open_services() == []
    told.clear()


def test_blocking_peers_that_hide_their_addresses_connect_and_leave_no_thread(monkeypatch):
    before = set(threading.enumerate())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with (
            BlockingPeerConnection(bind="127.0.0.1", hide_host_addresses=True) as first,
            BlockingPeerConnection(bind="127.0.0.1", hide_host_addresses=True) as second,
        ):
            channel = first.create_data_channel("x")
            signal_blocking(first, second)
            first.wait_connected(10)
            channel.send("hello")
            assert second.accept_channel(5).receive(5) == "hello"
            assert all(host.endswith(".local") for host in hosts_told(first.local_description))
            assert len(open_services()) == 1
            services = [thread for thread in threading.enumerate() if thread.name == "sans_rtc mdns"]
            assert len(services) == 1
        gc.collect()
    assert set(threading.enumerate()) == before
    assert ServiceThread._shared is None and open_services() == []


@pytest.mark.parametrize(
    ("ips", "networks"),
    [
        ([("192.0.2.7", 24), (("2001:db8::7", 0, 0), 64)], ["192.0.2.7/24", "2001:db8::7/64"]),
        ([("10.8.0.2", 32)], ["10.8.0.2/32", "0.0.0.0/0"]),
        ([(("2001:db8::7", 0, 0), 128)], ["2001:db8::7/128", "::/0"]),
        ([("127.0.0.1", 8), (("::1", 0, 0), 128)], ["127.0.0.1/8", "::1/128"]),
    ],
)
def test_networks_of_a_link_are_those_of_its_interface(monkeypatch, ips, networks):
    adapters = [ifaddr.Adapter("x0", "x0", [ifaddr.IP(ip, prefix, "x0") for ip, prefix in ips])]
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: adapters)
    host = ips[0][0] if isinstance(ips[0][0], str) else ips[0][0][0]
    assert networks_of(LocalAddress(host, "x0")) == networks
    assert networks_of(LocalAddress(host, "")) == []
