import errno

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc_net import binding
from sans_rtc_net.binding import BindConfig, bind_config_from, bind_sockets
from sans_rtc_net.interfaces import LocalAddress
from sans_rtc_net.socket_set import SocketSet
from sans_rtc_net.udp import UdpSocket


@pytest.fixture
def listed(monkeypatch):
    """Let the machine have these addresses."""

    def set_addresses(*hosts):
        monkeypatch.setattr(binding, "usable_addresses", lambda **_: [LocalAddress(host, "if0") for host in hosts])

    return set_addresses


@pytest.fixture
def bound():
    """Bind, and close in the end."""
    opened = []

    def bind(*args, **options):
        sockets = bind_sockets(*args, **options)
        opened.extend(sockets)
        return sockets

    yield bind
    for item in opened:
        item.socket.close()


def free_port():
    sock = UdpSocket.bind("127.0.0.1")
    sock.close()
    return sock.local.port


def test_named_addresses_are_bound_and_no_other(bound):
    assert [item.socket.local.host for item in bound(BindConfig(hosts=("127.0.0.1",)))] == ["127.0.0.1"]


def test_interface_of_a_named_address_is_told(bound):
    assert bound(BindConfig(hosts=("127.0.0.1",)))[0].interface.startswith("lo")


@pytest.mark.proves("RFC8445-5.1.1.1-1-6e36", "IP-HANDLING-5.2-1-9c86")
def test_every_usable_address_is_bound(bound, listed):
    listed("127.0.0.1", "127.0.0.2")
    assert [item.socket.local.host for item in bound(BindConfig())] == ["127.0.0.1", "127.0.0.2"]


def test_address_bound_before_is_left_out(bound, listed):
    listed("127.0.0.1", "127.0.0.2")
    assert [item.socket.local.host for item in bound(BindConfig(), bound_hosts=["127.0.0.1"])] == ["127.0.0.2"]


def test_usable_address_that_cannot_be_bound_is_left_out(bound, listed):
    listed("203.0.113.9", "127.0.0.1")
    assert [item.socket.local.host for item in bound(BindConfig())] == ["127.0.0.1"]


def test_no_address_that_can_be_bound_is_an_error(bound, listed):
    listed("203.0.113.9")
    with pytest.raises(OSError, match="assign") as caught:
        bound(BindConfig())
    assert caught.value.errno == errno.EADDRNOTAVAIL


def test_named_address_that_cannot_be_bound_is_an_error_and_leaves_nothing_open(no_leaks):
    with pytest.raises(OSError, match="assign"):
        bind_sockets(BindConfig(hosts=("127.0.0.1", "203.0.113.9")))


def test_first_free_port_of_the_range_is_taken(bound):
    first = free_port()
    ports = BindConfig(hosts=("127.0.0.1",), ports=(first, first + 5))
    taken = [bound(ports)[0].socket.local.port for _ in range(3)]
    assert taken == sorted(set(taken))
    assert set(taken) <= set(range(first, first + 6))


def test_port_range_without_a_free_port_is_an_error(bound):
    port = free_port()
    only = BindConfig(hosts=("127.0.0.1",), ports=(port, port))
    bound(only)
    with pytest.raises(OSError, match="in use"):
        bound(only)


@pytest.mark.parametrize("ports", [(0, 5), (5, 4), (1, 65536), (-1, -1)])
def test_impossible_port_range_is_refused(ports):
    with pytest.raises(InvalidArgument):
        BindConfig(ports=ports)


@pytest.mark.parametrize("host", ["localhost", "0.0.0.0", "::", "", "printer.local"])
def test_hosts_must_be_particular_addresses(host):
    with pytest.raises(InvalidArgument):
        BindConfig(hosts=(host,))


def test_short_forms_of_the_configuration():
    assert (bind_config_from("127.0.0.1").hosts, bind_config_from().ports) == (("127.0.0.1",), (0, 0))
    assert (
        (config := bind_config_from(["127.0.0.1", "::1"], 7)).hosts,
        config.ports,
    ) == (("127.0.0.1", "::1"), (7, 7))
    assert bind_config_from(port=(7000, 7010)).ports == (7000, 7010)


def test_each_datagram_leaves_by_the_socket_of_its_path():
    first, second, target = (UdpSocket.bind("127.0.0.1") for _ in range(3))
    sockets = SocketSet()
    sockets.add(first)
    sockets.add(second)
    paths = [Path(first.local, target.local), Path(second.local, target.local)]
    order = [0, 0, 1, 0, 1, 1]
    assert sockets.send([Datagram(b"%d" % index, paths[which]) for index, which in enumerate(order)]) == []
    received = target.receive_batch(10)
    assert [paths[which].local for which in order] == [d.path.remote for d in received]
    sockets.close()
    assert len(sockets) == 0
    target.close()


def test_datagram_of_an_unknown_local_address_is_counted():
    sockets = SocketSet()
    sockets.send([Datagram(b"x", Path(Address("127.0.0.1", 1), Address("127.0.0.1", 2)))] * 2)
    assert sockets.discards == 2


def test_two_sockets_of_one_address_are_refused():
    sock = UdpSocket.bind("127.0.0.1")
    sockets = SocketSet()
    sockets.add(sock)
    with pytest.raises(InvalidArgument):
        sockets.add(sock)
    sockets.close()
