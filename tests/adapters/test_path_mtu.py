"""Datagrams that ask for a path's MTU leave whole or not at all, and the others whatever their size (RFC 8899)."""

import shutil
import socket
import subprocess
import sys

import pytest

from sans_rtc.machine import Datagram, Path
from sans_rtc_net.options import CAN_SEND_WHOLE, IP_MTU_DISCOVER, PMTUDISC_DONT, UdpConfig
from sans_rtc_net.segments import run_end
from sans_rtc_net.settings import peer_config_from
from sans_rtc_net.udp import UdpSocket

linux_only = pytest.mark.skipif(not CAN_SEND_WHOLE, reason="don't-fragment is set by datagram on Linux only")

# On a loopback interface of 1500 bytes: 3000 bytes pass in fragments, and not where they must not be fragmented.
IN_A_NAMESPACE = """
import subprocess, time
from sans_rtc.machine import Datagram, Path
from sans_rtc_net.udp import UdpSocket
subprocess.run("ip link set lo mtu 1500 up", shell=True, check=True)
def arrived(receiver):
    for _ in range(100):
        if datagrams := receiver.receive_batch(9):
            return [len(datagram.data) for datagram in datagrams]
        time.sleep(0.001)
    return []
for host in ("127.0.0.1", "::1"):
    sender, receiver = UdpSocket.bind(host), UdpSocket.bind(host)
    path = Path(sender.local, receiver.local)
    for size, dont_fragment in ((3000, True), (1400, True), (3000, False), (3000, True), (1400, False)):
        sender.send_batch([Datagram(bytes(size), path, dont_fragment=dont_fragment)])
    print(host, arrived(receiver), sender.stats.errors)
    sender.close(), receiver.close()
"""


@pytest.mark.proves("RFC8261-5-6-3ec0", "RFC8899-3-3-0ec9")
@linux_only
def test_datagram_that_must_not_be_fragmented_is_sent_whole_or_not_at_all():
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode:
        pytest.skip("network namespaces are not allowed here")
    command = ["unshare", "-rn", sys.executable, "-c", IN_A_NAMESPACE]
    said = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert said.returncode == 0, said.stderr
    expected = "[1400, 3000, 1400] {'EMSGSIZE': 2}"
    assert said.stdout.splitlines() == [f"127.0.0.1 {expected}", f"::1 {expected}"]


@pytest.mark.proves("RFC8899-4.5-1-c17f")
@linux_only
def test_socket_is_left_as_it_was():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as raw:
        raw.bind(("127.0.0.1", 0))
        sock = UdpSocket(raw)
        path = Path(sock.local, sock.local)
        sock.send_batch([Datagram(b"x", path, dont_fragment=True)])
        assert raw.getsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER) == PMTUDISC_DONT
        assert [datagram.data for datagram in sock.receive_batch(9)] == [b"x"]


def test_where_it_cannot_be_promised_nothing_is_sent(monkeypatch):
    monkeypatch.setattr("sans_rtc_net.udp.CAN_SEND_WHOLE", False)
    sock = UdpSocket.bind("127.0.0.1")
    path = Path(sock.local, sock.local)
    sock.send_batch([Datagram(b"x", path, dont_fragment=True), Datagram(b"y", path)])
    assert [datagram.data for datagram in sock.receive_batch(9)] == [b"y"]
    assert sum(sock.stats.errors.values()) == 1
    sock.close()


def test_probe_never_leads_a_segmented_run():
    sock = UdpSocket.bind("127.0.0.1")
    path = Path(sock.local, sock.local)
    probe, small = Datagram(bytes(1400), path, dont_fragment=True), Datagram(bytes(1200), path)
    assert run_end([probe, small, small], 0) == 1
    assert run_end([small, small, probe], 0) == 2
    sock.close()


def test_adapters_search_where_their_sockets_can(monkeypatch):
    assert peer_config_from(None).mtu_discovery is CAN_SEND_WHOLE
    monkeypatch.setattr("sans_rtc_net.settings.CAN_SEND_WHOLE", False)
    assert peer_config_from(None).mtu_discovery is False


def test_system_may_be_left_to_decide():
    assert UdpConfig(mtu_discovery="system").mtu_discovery == "system"
