import errno
import select
import socket
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.errors import InvalidArgument
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc_net.options import UdpConfig, can_segment
from sans_rtc_net.udp import DiscardReason, UdpSocket

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="GSO and GRO are Linux's")


def receive_all(sock, count, limit=256):
    """Receive this many, waiting for the kernel where it must."""
    received = []
    while len(received) < count:
        assert select.select([sock], [], [], 1.0)[0], f"only {len(received)} of {count} arrived"
        received += sock.receive_batch(limit)
    return received


def datagrams_of(path, *sizes):
    return [Datagram(bytes([index % 251]) * size, path) for index, size in enumerate(sizes)]


def test_datagrams_arrive_as_they_were_sent(udp_pair):
    sender, receiver, path = udp_pair
    sent = datagrams_of(path, 1200, 1200, 1200, 300, 1, 0, 1200, 1200, 65000)
    assert sender.send_batch(sent)
    received = receive_all(receiver, len(sent))
    assert [d.data for d in sent] == [d.data for d in received]
    assert {path.reversed()} == {d.path for d in received}


def test_zero_length_datagram_is_delivered_and_ends_nothing(udp_pair):
    sender, receiver, path = udp_pair
    sender.send_batch([Datagram(b"", path), Datagram(b"after", path)])
    assert [d.data for d in receive_all(receiver, 2)] == [b"", b"after"]


def test_receive_batch_of_an_empty_socket_is_empty(udp_pair):
    assert udp_pair[1].receive_batch(64) == []


def test_receive_batch_stops_at_its_limit(udp_pair):
    sender, receiver, path = udp_pair
    sender.send_batch(datagrams_of(path, *range(1, 11)))
    assert len(receiver.receive_batch(3)) == 3
    assert len(receive_all(receiver, 7)) == 7


def test_all_datagrams_of_one_remote_share_one_path(udp_pair):
    sender, receiver, path = udp_pair
    sender.send_batch(datagrams_of(path, 5, 6, 7))
    assert len({id(d.path) for d in receive_all(receiver, 3)}) == 1


def test_path_cache_is_bounded_and_starts_anew_when_full():
    with_small_cache = UdpSocket.bind("127.0.0.1", 0, UdpConfig(path_count_max=4))
    strangers = [UdpSocket.bind("127.0.0.1") for _ in range(9)]
    for stranger in strangers:
        stranger.send_batch([Datagram(b"x", Path(stranger.local, with_small_cache.local))])
    received = receive_all(with_small_cache, 9)
    assert [s.local for s in strangers] == [d.path.remote for d in received]
    assert len(with_small_cache._paths) <= 4
    with_small_cache.send_batch([Datagram(b"y", d.path) for d in received])
    assert len(with_small_cache._routes) <= 4
    for sock in (with_small_cache, *strangers):
        sock.close()


@linux_only
def test_equal_sized_datagrams_leave_in_one_call(udp_pair):
    sender, receiver, path = udp_pair
    sender.send_batch(datagrams_of(path, *[1200] * 20, 700))
    assert sender.stats.send_calls == 1
    assert sender.stats.datagrams_sent == 21
    received = receive_all(receiver, 21)
    assert [len(d.data) for d in received] == [1200] * 20 + [700]
    assert receiver.stats.receive_calls <= 3


@linux_only
def test_segmentation_can_be_turned_off():
    sender = UdpSocket.bind("127.0.0.1", 0, UdpConfig(use_gso=False, use_gro=False))
    sender.send_batch(datagrams_of(Path(sender.local, Address("127.0.0.1", 9)), 100, 100, 100))
    assert (sender.stats.send_calls, sender.stats.segmented_calls) == (3, 0)
    sender.close()


@linux_only
@pytest.mark.parametrize("refusal", [errno.EINVAL, errno.EIO, errno.EOPNOTSUPP])
def test_refused_segmentation_falls_back_for_the_whole_socket(udp_pair, faulty, refusal):
    sender, receiver, path = udp_pair
    faulty(sender).faults["sendmsg"] = [OSError(refusal, "no")]
    assert sender.send_batch(datagrams_of(path, 1200, 1200, 50))
    assert len(receive_all(receiver, 3)) == 3
    sender.send_batch(datagrams_of(path, 1200, 1200))
    assert sender.stats.segmented_calls == 0
    assert sender.stats.datagrams_sent == 5
    assert sender.stats.discards == {}


@linux_only
def test_segment_over_the_mtu_falls_back_for_its_route_only(udp_pair, faulty):
    sender, receiver, path = udp_pair
    other = UdpSocket.bind("127.0.0.1")
    faulty(sender).faults["sendmsg"] = [OSError(errno.EMSGSIZE, "too long")]
    sender.send_batch(datagrams_of(path, 1200, 1200))
    sender.send_batch(datagrams_of(path, 1200, 1200))
    assert sender.stats.segmented_calls == 0
    sender.send_batch(datagrams_of(Path(sender.local, other.local), 1200, 1200))
    assert sender.stats.segmented_calls == 1
    assert len(receive_all(receiver, 4)) == 4
    other.close()


@linux_only
def test_destination_that_takes_nothing_does_not_cost_the_others_segmentation(udp_pair, faulty):
    sender, receiver, path = udp_pair
    wrapped = faulty(sender)
    wrapped.faults["sendmsg"] = [OSError(errno.EINVAL, "port 0")]
    wrapped.faults["sendto"] = [OSError(errno.EINVAL, "port 0")] * 2
    sender.send_batch(datagrams_of(path, 10, 10))
    assert sender.stats.discards == {DiscardReason.SEND_ERROR: 2}
    sender.send_batch(datagrams_of(path, 10, 10))
    assert sender.stats.segmented_calls == 1
    assert len(receive_all(receiver, 2)) == 2


@pytest.mark.parametrize("sizes", [(10, 20, 30, 40), (10, 10, 10, 10), (10, 10, 20, 30)])
def test_full_kernel_buffer_keeps_the_rest_in_order(udp_pair, faulty, sizes):
    sender, receiver, path = udp_pair
    wrapped = faulty(sender)
    blocked = BlockingIOError(errno.EAGAIN, "full")
    wrapped.faults["sendto"] = [None, blocked]
    wrapped.faults["sendmsg"] = [None, blocked] if sizes[0] != sizes[1] or sizes[1] != sizes[2] else [blocked]
    sent = datagrams_of(path, *sizes)
    assert not sender.send_batch(sent)
    assert sender.has_backlog
    later = Datagram(b"later", path)
    assert not sender.send_batch([later])
    wrapped.faults.clear()
    assert sender.flush()
    assert not sender.has_backlog
    assert [d.data for d in [*sent, later]] == [d.data for d in receive_all(receiver, 5)]


def test_backlog_is_bounded_and_drops_the_newest(faulty):
    sender, receiver = UdpSocket.bind("127.0.0.1", 0, UdpConfig(backlog_datagrams_max=3)), UdpSocket.bind("127.0.0.1")
    path = Path(sender.local, receiver.local)
    wrapped = faulty(sender)
    wrapped.faults["sendto"] = [BlockingIOError(errno.EAGAIN, "full")] * 9
    sender.send_batch(datagrams_of(path, 1, 2))
    sender.send_batch(datagrams_of(path, 3, 4, 5))
    assert sender.stats.discards == {DiscardReason.BACKLOG_FULL: 2}
    wrapped.faults.clear()
    assert sender.flush()
    assert [len(d.data) for d in receive_all(receiver, 3)] == [1, 2, 3]
    sender.close()
    receiver.close()


def test_closing_counts_what_still_waited(faulty):
    sender = UdpSocket.bind("127.0.0.1")
    faulty(sender).faults["sendto"] = [BlockingIOError(errno.EAGAIN, "full")]
    sender.send_batch(datagrams_of(Path(sender.local, sender.local), 1))
    sender.close()
    sender.close()
    assert sender.stats.discards == {DiscardReason.CLOSED: 1}


@pytest.mark.parametrize("number", [errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EPERM, errno.EMSGSIZE, errno.ENOBUFS])
def test_error_of_one_destination_is_counted_and_the_others_are_served(udp_pair, faulty, number):
    sender, receiver, path = udp_pair
    faulty(sender).faults["sendto"] = [OSError(number, "no")]
    assert sender.send_batch(datagrams_of(path, 10, 20))
    assert [len(d.data) for d in receive_all(receiver, 1)] == [20]
    assert {errno.errorcode[number]: 1} == sender.stats.errors
    assert sender.stats.discards == {DiscardReason.SEND_ERROR: 1}


@pytest.mark.parametrize("number", [errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTUNREACH])
def test_icmp_error_on_receive_is_counted_and_reading_goes_on(udp_pair, faulty, number):
    sender, receiver, path = udp_pair
    faulty(receiver).faults["recvmsg"] = [OSError(number, "icmp")]
    sender.send_batch(datagrams_of(path, 4))
    assert select.select([receiver], [], [], 1.0)[0]
    assert [len(d.data) for d in receiver.receive_batch(64)] == [4]
    assert {errno.errorcode[number]: 1} == receiver.stats.errors


def test_endless_receive_errors_end_the_burst(udp_pair, faulty):
    receiver = udp_pair[1]
    wrapped = faulty(receiver)
    wrapped.faults["recvmsg"] = [OSError(errno.ENETDOWN, "down")] * 1000
    assert receiver.receive_batch(64) == []
    assert len(wrapped.calls) < 100


def test_receiving_on_a_closed_socket_gives_nothing(udp_pair):
    udp_pair[1].close()
    assert udp_pair[1].receive_batch(64) == []


@pytest.mark.parametrize("host", ["printer.local", "localhost", "", "1.2.3", "::1", "fe80::1%nowhere", "1.2.3.4\0"])
def test_remote_that_is_no_address_of_the_family_is_never_resolved(udp_pair, faulty, host):
    sender = udp_pair[0]
    wrapped = faulty(sender)
    assert sender.send_batch(datagrams_of(Path(sender.local, Address(host, 9)), 10, 10, 7))
    assert sender.stats.discards == {DiscardReason.BAD_ADDRESS: 3}
    assert wrapped.calls == []


def test_remote_port_out_of_range_is_dropped(udp_pair):
    sender = udp_pair[0]
    sender.send_batch(datagrams_of(Path(sender.local, Address("127.0.0.1", 65536)), 10))
    assert sender.stats.discards == {DiscardReason.BAD_ADDRESS: 1}


def test_nobody_listening_is_no_error(udp_pair, closed_port):
    sender = udp_pair[0]
    for _ in range(3):
        assert sender.send_batch(datagrams_of(Path(sender.local, closed_port), 10, 10))
        assert sender.receive_batch(64) == []


@linux_only
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_ecn_field_arrives(host):
    sender, receiver = UdpSocket.bind(host), UdpSocket.bind(host)
    path = Path(sender.local, receiver.local)
    marks = [0, 1, 2, 3, 2, 2, 2, 0]
    sender.send_batch([Datagram(b"12345", path, mark) for mark in marks])
    assert marks == [d.ecn for d in receive_all(receiver, len(marks))]
    sender.close()
    receiver.close()


def test_ipv6_socket_is_ipv6_only():
    six = UdpSocket.bind("::1")
    assert six.raw.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
    assert (six.local.host, six.local.family) == ("::1", 6)
    six.close()


def test_two_sockets_cannot_share_a_port(udp_pair):
    with pytest.raises(OSError, match="in use"):
        UdpSocket.bind("127.0.0.1", udp_pair[0].local.port)


def test_receive_buffer_is_large(udp_pair):
    assert udp_pair[0].raw.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= 200_000


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_wildcard_address_is_refused(host):
    with pytest.raises(InvalidArgument, match="particular"):
        UdpSocket.bind(host)


def test_stream_socket_is_refused():
    with socket.socket() as sock, pytest.raises(InvalidArgument, match="UDP"):
        UdpSocket(sock)


@pytest.mark.parametrize("host", ["localhost", "1.2.3.400", "x" * 300])
def test_binding_a_name_is_refused(host):
    with pytest.raises(InvalidArgument):
        UdpSocket.bind(host)


@pytest.mark.parametrize(
    "wrong", [{"path_count_max": 0}, {"backlog_datagrams_max": -1}, {"receive_buffer_bytes": 0}, {"mtu_discovery": "x"}]
)
def test_configuration_out_of_range_is_refused(wrong):
    with pytest.raises(InvalidArgument):
        UdpConfig(**wrong)


@linux_only
@pytest.mark.parametrize(("discovery", "value"), [("do", 2), ("probe", 3)])
def test_mtu_discovery_is_set(discovery, value):
    sock = UdpSocket.bind("127.0.0.1", 0, UdpConfig(mtu_discovery=discovery))
    assert value == sock.raw.getsockopt(socket.IPPROTO_IP, 10)
    sock.close()


@linux_only
def test_kernel_here_can_segment(udp_pair):
    assert can_segment(udp_pair[0].raw)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([0, 1, 2, 100, 1000, 1200, 1200, 1200, 1472, 9000]), max_size=80), st.integers(1, 40))
def test_any_batch_arrives_unchanged(sizes, limit):
    sender, receiver = UdpSocket.bind("127.0.0.1"), UdpSocket.bind("127.0.0.1")
    try:
        sent = datagrams_of(Path(sender.local, receiver.local), *sizes)
        assert sender.send_batch(sent)
        received = []
        while batch := receiver.receive_batch(limit):
            received += batch
        assert [d.data for d in sent] == [d.data for d in received]
        assert len(sent) == sender.stats.datagrams_sent == receiver.stats.datagrams_received
    finally:
        sender.close()
        receiver.close()
