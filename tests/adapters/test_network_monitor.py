"""Networks that change under a peer: what the kernel tells, what the watcher makes of it, and moves in a namespace."""

import math
import shutil
import socket
import struct
import subprocess
import sys

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc_net.binding import BindConfig
from sans_rtc_net.interfaces import LocalAddress
from sans_rtc_net.monitor import (
    AGAIN_S,
    RTM_DELADDR,
    RTM_NEWADDR,
    SETTLE_S,
    AddressesChanged,
    NetlinkSocket,
    NetworkMonitor,
    NetworkWatcher,
    is_present,
    is_told,
)
from sans_rtc_net.options import IS_LINUX

linux_only = pytest.mark.skipif(not IS_LINUX, reason="netlink is Linux's")
WIRE, AIR = LocalAddress("192.0.2.1", "eth0"), LocalAddress("192.0.2.2", "wlan0")


# --- what the kernel tells ------------------------------------------------------------------------------------------


def message(kind, payload=b"", length=None):
    return struct.pack("=IHHII", 16 + len(payload) if length is None else length, kind, 0, 0, 0) + payload


@pytest.mark.parametrize("kind", [RTM_NEWADDR, RTM_DELADDR])
def test_messages_about_addresses_are_told_wherever_they_stand(kind):
    assert is_told(message(kind))
    assert is_told(message(24, b"12345678") + message(kind, b"1234"))


@pytest.mark.parametrize(
    "data",
    [b"", b"\0" * 15, message(24), message(24, length=0), message(24, length=7) * 9, message(24, length=1 << 30)],
)
def test_other_and_broken_messages_tell_nothing(data):
    assert not is_told(data)


@linux_only
def test_socket_of_another_process_cannot_tell_lies():
    news = NetlinkSocket()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as liar:
        port = news.raw.getsockname()[0]
        try:
            liar.sendto(message(RTM_NEWADDR), (port, 0))
        except OSError:  # some kernels do not even let it
            pass
        assert news.receive_batch(10) == []
    news.close()
    assert news.fileno() == -1


# --- the watcher ----------------------------------------------------------------------------------------------------


class Machine:
    """The addresses of a machine, and a watcher of them."""

    def __init__(self, *addresses, interval_s=math.inf):
        self.addresses, self.is_bound, self.looks = list(addresses), True, 0
        self.watcher = NetworkWatcher(self.list, lambda: self.is_bound, interval_s=interval_s)
        self.watcher.start(0.0)

    def list(self):
        self.looks += 1
        if self.addresses is None:
            raise OSError("not now")
        return self.addresses

    def until(self, now):
        events = []
        while self.watcher.deadline <= now:
            self.watcher.handle_timer(self.watcher.deadline)
            events += self.watcher.take_events()
        return events


def test_news_are_looked_into_once_they_have_settled():
    machine = Machine(WIRE)
    for _ in range(5):
        machine.watcher.receive(None, 1.0)
    machine.addresses = [AIR]
    assert machine.until(0.99 + SETTLE_S) == []
    assert machine.until(1.0 + SETTLE_S) == [AddressesChanged()]
    assert machine.looks == 2
    assert machine.until(1000.0) == []


def test_news_about_what_does_not_count_tell_nothing():
    machine = Machine(WIRE)
    machine.watcher.receive(None, 1.0)
    assert machine.until(1000.0) == []
    assert machine.watcher.deadline == math.inf


def test_without_news_it_looks_at_intervals():
    machine = Machine(WIRE, interval_s=3.0)
    assert machine.until(10.0) == []
    assert machine.looks == 4
    machine.addresses = [WIRE, AIR]
    assert machine.until(12.0) == [AddressesChanged()]


def test_address_that_could_not_be_bound_is_tried_once_more():
    """RFC 4862 section 5.4: an IPv6 address is tentative for a second."""
    machine = Machine(WIRE)
    machine.addresses, machine.is_bound = [AIR], False
    machine.watcher.receive(None, 1.0)
    assert machine.until(2.0) == [AddressesChanged()]
    assert machine.until(2.0 + AGAIN_S) == [AddressesChanged()]
    assert machine.until(1000.0) == []


def test_listing_that_fails_changes_nothing():
    machine = Machine(WIRE, interval_s=3.0)
    machine.addresses = None
    assert machine.until(10.0) == []
    machine.addresses = [WIRE]
    assert machine.until(20.0) == []


def test_closed_watcher_wants_nothing():
    machine = Machine(WIRE, interval_s=3.0)
    machine.watcher.close(1.0)
    assert machine.watcher.deadline == math.inf
    assert machine.watcher.is_terminated


@pytest.mark.parametrize("setting", [0, 0.01, -1.0, math.nan])
def test_setting_that_cannot_be_is_refused(setting):
    with pytest.raises(InvalidArgument):
        NetworkMonitor(setting, BindConfig(), list, lambda watcher: None, lambda: 0.0)


def test_monitor_that_is_off_opens_nothing():
    monitor = NetworkMonitor(False, BindConfig(), list, lambda watcher: pytest.fail("driven"), lambda: 0.0)
    monitor.start()
    monitor.close()


def test_present_is_what_can_be_bound():
    assert is_present("127.0.0.1")
    assert not is_present("192.0.2.200")
    assert not is_present("fe80::1%nosuchdevice")


# --- a namespace ----------------------------------------------------------------------------------------------------

# One end has a device whose address is replaced while 3 MB are on their way; the other has an address on loopback.
SETUP = """
import subprocess, sys, time
def run(*commands):
    for command in commands:
        subprocess.run(command, shell=True, check=True)
run("ip link set lo up", "ip addr add 10.8.0.1/32 dev lo", "ip link add v0 type veth peer name v1",
    "ip addr add 10.9.0.1/24 dev v0", "ip link set v0 up", "ip link set v1 up")
def move():
    run("ip addr add 10.9.1.1/24 dev v0", "ip addr del 10.9.0.1/24 dev v0")
from sans_rtc_net.binding import BindConfig
here = BindConfig(interface_filter=lambda name: name == "v0", families=(4,))
"""

ON_ASYNCIO = (
    SETUP
    + """
import asyncio
from sans_rtc_asyncio import PeerConnection
async def main():
    setting = eval(sys.argv[1])
    async with PeerConnection(network=here, monitor_network=setting) as a, PeerConnection(bind="10.8.0.1") as b:
        async def trickle(one, other):
            async for candidate in one.local_candidates():
                await other.add_ice_candidate(candidate)
        out = a.create_data_channel("x")
        await a.set_local_description()
        await b.set_remote_description(a.local_description)
        await b.set_local_description()
        await a.set_remote_description(b.local_description)
        tasks = [asyncio.create_task(trickle(a, b)), asyncio.create_task(trickle(b, a))]
        await a.wait_connected(10)
        into = await anext(aiter(b.incoming_channels()))
        longest = 0.0
        async def receive():
            nonlocal longest
            last = time.monotonic()
            for number in range(300):
                assert int((await anext(aiter(into)))[:8]) == number
                longest, last = max(longest, time.monotonic() - last), time.monotonic()
        receiving = asyncio.create_task(receive())
        for number in range(300):
            if number == 100:
                move()
                if setting is False:
                    a.network_changed()
            await out.send(b"%08d" % number + bytes(10_000))
            await asyncio.sleep(0.002)
        await asyncio.wait_for(receiving, 20)
        print(a.explain().ice.selected.path.local.host, b.explain().ice.selected.path.remote.host, longest)
        for task in tasks: task.cancel()
asyncio.run(main())
"""
)

ON_TRIO = (
    SETUP
    + """
import trio
from sans_rtc_trio import PeerConnection
async def main():
    setting = eval(sys.argv[1])
    a, b = PeerConnection(network=here, monitor_network=setting), PeerConnection(bind="10.8.0.1")
    async with trio.open_nursery() as nursery, a, b:
        async def trickle(one, other):
            async for candidate in one.local_candidates():
                await other.add_ice_candidate(candidate)
        out = a.create_data_channel("x")
        await a.set_local_description(await a.create_offer())
        await b.set_remote_description(a.local_description)
        await b.set_local_description(await b.create_answer())
        await a.set_remote_description(b.local_description)
        nursery.start_soon(trickle, a, b)
        nursery.start_soon(trickle, b, a)
        await a.wait_connected(10)
        into = await b.incoming_channels().__anext__()
        longest = 0.0
        done = trio.Event()
        async def receive():
            nonlocal longest
            last = time.monotonic()
            for number in range(300):
                assert int((await into.__aiter__().__anext__())[:8]) == number
                longest, last = max(longest, time.monotonic() - last), time.monotonic()
            done.set()
        nursery.start_soon(receive)
        for number in range(300):
            if number == 100:
                move()
            await out.send(b"%08d" % number + bytes(10_000))
            await trio.sleep(0.002)
        with trio.fail_after(20):
            await done.wait()
        print(a.explain().ice.selected.path.local.host, b.explain().ice.selected.path.remote.host, longest)
        nursery.cancel_scope.cancel()
trio.run(main)
"""
)

BLOCKING = (
    SETUP
    + """
import threading
from sans_rtc_net.blocking import BlockingPeerConnection
setting = eval(sys.argv[1])
with BlockingPeerConnection(network=here, monitor_network=setting) as a, BlockingPeerConnection(bind="10.8.0.1") as b:
    def trickle(one, other):
        for candidate in one.local_candidates():
            other.add_ice_candidate(candidate)
    out = a.create_data_channel("x")
    a.set_local_description(a.create_offer())
    b.set_remote_description(a.local_description)
    b.set_local_description(b.create_answer())
    a.set_remote_description(b.local_description)
    for pair in (a, b), (b, a):
        threading.Thread(target=trickle, args=pair, daemon=True).start()
    a.wait_connected(10)
    into = b.accept_channel(10)
    longest = 0.0
    def receive():
        global longest
        last = time.monotonic()
        for number, message in zip(range(300), into):
            assert int(message[:8]) == number
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
    receiving = threading.Thread(target=receive, daemon=True)
    receiving.start()
    for number in range(300):
        if number == 100:
            move()
            if setting is False:
                a.network_changed()
        out.send(b"%08d" % number + bytes(10_000))
        time.sleep(0.002)
    receiving.join(20)
    assert not receiving.is_alive()
    print(a.explain().ice.selected.path.local.host, b.explain().ice.selected.path.remote.host, longest)
"""
)


@pytest.mark.proves("RFC8445-5.1.1.4-3-e75b")
@linux_only
@pytest.mark.parametrize(
    ("script", "setting"),
    [
        (ON_ASYNCIO, "True"),
        (ON_ASYNCIO, "0.2"),
        (ON_ASYNCIO, "False"),
        (ON_TRIO, "True"),
        (BLOCKING, "True"),
        (BLOCKING, "False"),
    ],
    ids=["asyncio-told", "asyncio-looks", "asyncio-verb", "trio-told", "blocking-told", "blocking-verb"],
)
def test_transfer_moves_to_the_new_address_of_the_machine(script, setting):
    """By netlink, by looking, and by the verb: nothing is lost, and it is back within 3 s."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode:
        pytest.skip("network namespaces are not allowed here")
    if shutil.which("ip") is None:
        pytest.skip("the ip command is not installed")
    if script is ON_TRIO:
        pytest.importorskip("trio")
    command = ["unshare", "-rn", sys.executable, "-c", script, setting]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert said.returncode == 0, said.stderr
    here, there, longest_s = said.stdout.split()
    assert (here, there) == ("10.9.1.1", "10.9.1.1")
    assert float(longest_s) < 3.0 + 3.0  # what the machine may add where it is busy
