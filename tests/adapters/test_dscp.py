"""Marks of RFC 8837: the table, and what arrives."""

import socket

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc_net.dscp import CHANNEL_PRIORITIES, Flow, Priority, dscp_of, priority_of_channel
from sans_rtc_net.options import StreamConfig, UdpConfig
from sans_rtc_net.stream import Stream
from sans_rtc_net.udp import UdpSocket

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.mark.parametrize(
    ("flow", "marks"),
    [
        (Flow.AUDIO, [1, 0, 46, 46]),
        (Flow.INTERACTIVE_VIDEO, [1, 0, 36, 34]),
        (Flow.NON_INTERACTIVE_VIDEO, [1, 0, 28, 26]),
        (Flow.DATA, [1, 0, 10, 18]),
    ],
)
def test_table_1(flow, marks):
    assert [dscp_of(flow, priority) for priority in Priority] == marks
    assert [dscp_of(str(flow), str(priority)) for priority in Priority] == marks


@pytest.mark.parametrize(("flow", "priority"), [("data", "highest"), ("text", "high")])
def test_flow_or_priority_that_is_none_is_refused(flow, priority):
    with pytest.raises(InvalidArgument):
        dscp_of(flow, priority)


def test_priorities_of_channels():
    assert [priority_of_channel(number) for number in CHANNEL_PRIORITIES.values()] == list(Priority)
    assert [priority_of_channel(number) for number in (0, 127, 255, 300, 1023, 65535)] == [
        Priority.VERY_LOW,
        Priority.VERY_LOW,
        Priority.VERY_LOW,
        Priority.LOW,
        Priority.MEDIUM,
        Priority.HIGH,
    ]


@pytest.mark.parametrize("dscp", [-1, 64, 184])
def test_mark_of_more_than_six_bits_is_refused(dscp):
    for config in (UdpConfig, StreamConfig):
        with pytest.raises(InvalidArgument, match="dscp must be 0 to 63"):
            config(dscp=dscp)


def received_classes(sender, receiver, datagrams):
    sender.send_batch(datagrams)
    classes = []
    receiver.settimeout(2.0)
    while len(classes) < len(datagrams):
        _, ancillary, _, _ = receiver.recvmsg(2048, 64)
        ((_, _, value),) = [item for item in ancillary if item[0] in (socket.IPPROTO_IP, socket.IPPROTO_IPV6)]
        classes.append(value[0] | value[-1])
    return classes


@pytest.mark.proves("RFC8261-5-8-e17c", "RFC8445-7.2.3-1-3f5f", "RFC8445-7.3-9-d9a0", "RFC7675-6-1-226c")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("use_gso", [False, True])
def test_every_datagram_carries_the_mark_and_its_own_ecn(host, use_gso):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as receiver:
        receiver.bind((host, 0))
        if family == socket.AF_INET6:
            receiver.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
        else:
            receiver.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        for dscp in (0, 18, 46):
            sender = UdpSocket.bind(host, 0, UdpConfig(dscp=dscp, use_gso=use_gso))
            path = Path(sender.local, Address(*receiver.getsockname()[:2]))
            datagrams = [Datagram(bytes(100), path, ecn) for ecn in (0, 0, 1, 2, 2, 2, 3, 0)]
            assert received_classes(sender, receiver, datagrams) == [dscp << 2 | d.ecn for d in datagrams]
            sender.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_streams_are_marked(host):
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as server:
        remote = Address(*server.getsockname()[:2])
        stream = Stream.connect(Path(Address(host, 0), remote, "tcp"), config=StreamConfig(dscp=10))
        level, name = (socket.IPPROTO_IPV6, socket.IPV6_TCLASS) if ":" in host else (socket.IPPROTO_IP, socket.IP_TOS)
        assert stream.raw.getsockopt(level, name) & ~3 == 10 << 2
        stream.close()


def test_a_mark_read_by_our_own_socket_does_not_disturb_ecn(udp_pair):
    _, second, _ = udp_pair
    marked = UdpSocket.bind("127.0.0.1", 0, UdpConfig(dscp=46))
    marked.send_batch([Datagram(b"x", Path(marked.local, second.local), 2)])
    assert [datagram.ecn for datagram in second.receive_batch(9)] == [2]
    marked.close()
