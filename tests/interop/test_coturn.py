"""The TURN client against coturn, over UDP, TCP and TLS: every feature that it has.

Skipped where coturn is not installed, unless SANS_RTC_REQUIRE_INTEROP=1 says that it has to be.
"""

import os
import socket
import time

import pytest
from interop_peers.coturn import SERVER_NAME, STEP_S_MAX, Driver, has_ipv6

from sans_rtc.machine import Address, Terminated
from sans_rtc.turn import ChannelBound, ConnectionOpened, TurnConfig, ephemeral_credentials

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("inside")]

PROTOCOLS = ["udp", "tcp", "tls"]
DENIED = Address("127.0.0.9", 9)
SECRET = "shared with the server"


@pytest.fixture(scope="module")
def coturn(start_coturn):
    return start_coturn(f"denied-peer-ip={DENIED.host}")


@pytest.fixture
def drivers():
    drivers = []
    yield drivers
    for driver in drivers:
        driver.drop()


@pytest.fixture
def client_of(drivers):
    """client_of(coturn, protocol, **configuration): a client that has not allocated yet."""

    def make(coturn, protocol="udp", host="127.0.0.1", udp=None, **changes):
        changes = {"username": "alice", "password": "secret", "server_name": SERVER_NAME, **changes}
        server = coturn.address(protocol, host)
        drivers.append(Driver(TurnConfig(**changes), server, protocol, certificate=coturn.certificate, udp=udp))
        return drivers[-1]

    return make


def relayed_pair(client_of, coturn, protocol, **changes):
    """Two clients with relays that let each other in."""
    pair = [client_of(coturn, protocol, **changes) for _ in range(2)]
    addresses = [driver.allocate().relayed[0] for driver in pair]
    for driver, address in zip(pair, reversed(addresses), strict=True):
        driver.permit(address.host)
    return pair, addresses


def exchange(pair, addresses):
    """A datagram each way."""
    for index in (0, 1):
        sender, receiver = pair[index], pair[1 - index]
        sender.send(b"from %d" % index, addresses[1 - index])
        event = receiver.wait_for("DataReceived", others=[sender])
        assert (event.data, event.peer, event.relayed) == (b"from %d" % index, addresses[index], addresses[1 - index])


# --- relaying


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_two_clients_relay_to_each_other_by_send_indications(client_of, coturn, protocol):
    pair, addresses = relayed_pair(client_of, coturn, protocol, channel_after=None)
    for _ in range(3):
        exchange(pair, addresses)
    for driver in pair:
        driver.close()
        assert driver.events == [Terminated("closed")] and driver.client.stats.discards == {}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_two_clients_relay_to_each_other_by_channels(client_of, coturn, protocol):
    pair, addresses = relayed_pair(client_of, coturn, protocol)
    for driver, peer in zip(pair, reversed(addresses), strict=True):
        driver.client.bind_channel(peer, driver.now)
        assert driver.wait_for("ChannelBound") == ChannelBound(peer, 0x4000)
        assert driver.client.overhead_to(peer, driver.now) == 4
    for _ in range(3):
        exchange(pair, addresses)
    for driver in pair:
        driver.close()
        assert driver.events == [Terminated("closed")] and driver.client.stats.discards == {}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_data_of_every_size_come_whole(client_of, coturn, protocol):
    (one, other), addresses = relayed_pair(client_of, coturn, protocol, channel_after=10)
    for size in [0, 1, 2, 3, 4, 5, 100, 1199, 1200, 1201] * 2:
        data = os.urandom(size)
        one.send(data, addresses[1])
        assert other.wait_for("DataReceived", others=[one]).data == data
    assert one.wait_for("ChannelBound")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_refreshes_of_everything_are_taken(client_of, coturn, protocol):
    pair, addresses = relayed_pair(client_of, coturn, protocol)
    driver = pair[0]
    driver.client.bind_channel(addresses[1], driver.now)
    driver.wait_for("ChannelBound")
    for ahead_s in (241.0, 482.0, 545.0):
        driver.ahead_s = ahead_s
        driver.send(b"in use", addresses[1])
        requests = driver.client.stats.requests_sent

        def is_done(requests=requests):
            stats = driver.client.stats
            return stats.requests_sent > requests and not driver.client.explain().pending

        driver.run_until(is_done, "nothing is refreshed")
        assert pair[1].wait_for("DataReceived", others=[driver]).data == b"in use"
    exchange(pair, addresses)
    assert driver.client.explain().expires_at > driver.now + 590
    driver.close()
    assert driver.events == [Terminated("closed")]


# --- refusals, by name


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("wrong", [{"password": "wrong"}, {"username": "mallory"}])
def test_wrong_credentials_are_named(client_of, coturn, protocol, wrong):
    failure, end = client_of(coturn, protocol, **wrong).refused()
    assert (failure.code, failure.name, end.reason) == (401, "Unauthenticated", "unauthenticated")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_refused_peer_is_named_and_others_go_on(client_of, coturn, protocol):
    pair, addresses = relayed_pair(client_of, coturn, protocol)
    for verb in ("send", "bind"):
        if verb == "send":
            pair[0].send(b"x", DENIED)
        else:
            pair[0].client.bind_channel(DENIED, pair[0].now)
        refusal = pair[0].wait_for("PeerRefused")
        assert (refusal.peer, refusal.code, refusal.name) == (DENIED, 403, "Forbidden") and refusal.reason
    exchange(pair, addresses)


def test_quota_is_named(client_of, start_coturn):
    coturn = start_coturn("user-quota=1")
    client_of(coturn).allocate()
    failure, end = client_of(coturn).refused()
    assert (failure.code, failure.name, end.reason) == (486, "Allocation Quota Reached", "allocation_quota_reached")


def test_relay_without_free_ports_is_named(client_of, start_coturn):
    coturn = start_coturn("min-port=49152", "max-port=49152")
    client_of(coturn).allocate()
    failure, end = client_of(coturn).refused()
    assert (failure.code, failure.name, end.reason) == (508, "Insufficient Capacity", "insufficient_capacity")


def test_address_that_is_in_use_is_named(client_of, coturn):
    first = client_of(coturn)
    first.allocate()
    failure, end = client_of(coturn, udp=first.udp).refused()
    assert (failure.code, failure.name, end.reason) == (437, "Allocation Mismatch", "allocation_mismatch")
    assert "take another port" in end.detail


@pytest.mark.parametrize("verb", ["refresh", "permission", "channel"])
def test_allocation_that_is_gone_is_named(client_of, coturn, verb):
    driver = client_of(coturn)
    driver.allocate()
    driver.udp.close()
    replacement = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    replacement.bind(("127.0.0.1", 0))  # as behind a NAT that has forgotten the old port
    replacement.setblocking(False)
    driver.sockets[driver.client.path] = driver.udp = replacement
    if verb == "refresh":
        driver.ahead_s = 541.0
    elif verb == "permission":
        driver.client.create_permission("127.0.0.1", driver.now)
    else:
        driver.client.bind_channel(Address("127.0.0.1", 4000), driver.now)
    failure, end = driver.wait_for("AllocationFailed"), driver.wait_for("Terminated")
    assert (failure.code, failure.was_allocated, end.reason) == (437, True, "allocation_mismatch")
    assert "a NAT has changed it" in end.detail


def test_family_that_the_server_does_not_have_is_named(client_of, coturn, start_coturn):
    alone = start_coturn(hosts=("127.0.0.1",))
    failure, _ = client_of(alone, families=(6,)).refused()
    assert (failure.code, failure.name) == (440, "Address Family not Supported")


# --- credentials and nonces


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_stale_nonce_is_renewed(client_of, start_coturn, protocol):
    coturn = start_coturn("stale-nonce=1")
    driver = client_of(coturn, protocol)
    driver.allocate()
    deadline = time.monotonic() + STEP_S_MAX
    while driver.client.stats.challenges < 2:
        assert time.monotonic() < deadline
        driver.permit("127.0.0.1")
        driver.run_until(lambda: not driver.client.explain().pending)
    driver.close()
    assert driver.events == [Terminated("closed")]


def test_ephemeral_credentials_are_taken_until_they_expire(client_of, start_coturn):
    coturn = start_coturn(credentials=("use-auth-secret", f"static-auth-secret={SECRET}"))
    username, password = ephemeral_credentials(SECRET, time.time(), 600, "fred")
    driver = client_of(coturn, username=username, password=password)
    driver.allocate()
    driver.close()
    username, password = ephemeral_credentials(SECRET, time.time() - 1000, 600, "fred")
    failure, _ = client_of(coturn, username=username, password=password).refused()
    assert failure.code == 401


def test_server_without_credentials_is_taken(client_of, start_coturn):
    coturn = start_coturn(credentials=("no-auth",))
    driver = client_of(coturn, username="", password="")
    driver.allocate()
    driver.close()
    assert driver.events == [Terminated("closed")]


# --- what can be asked for


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_ipv6_is_relayed(client_of, coturn, protocol):
    pair, addresses = relayed_pair(client_of, coturn, protocol, families=(6,))
    assert [address.family for address in addresses] == [6, 6]
    exchange(pair, addresses)


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_server_is_reached_over_ipv6(client_of, coturn):
    pair, addresses = relayed_pair(client_of, coturn, "udp", host="::1")
    exchange(pair, addresses)


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_both_families_are_relayed_by_one_allocation(client_of, coturn):
    dual = client_of(coturn, families=(4, 6))
    relayed = dual.allocate().relayed
    assert [address.family for address in relayed] == [4, 6]
    for family, address in zip((4, 6), relayed, strict=True):
        single = client_of(coturn, families=(family,))
        (other,) = single.allocate().relayed
        dual.permit(other.host)
        single.permit(address.host)
        exchange([dual, single], [address, other])
    dual.ahead_s = 541.0  # one refresh for both
    dual.run_until(lambda: dual.client.explain().expires_at > dual.now + 590, "no refresh")


def test_even_port_and_the_next_one_reserved(client_of, coturn):
    first = client_of(coturn, reserve_next=True)
    event = first.allocate()
    assert event.relayed[0].port % 2 == 0 and len(event.reservation_token) == 8
    second = client_of(coturn, reservation_token=event.reservation_token)
    assert second.allocate().relayed[0].port == event.relayed[0].port + 1


def test_dont_fragment_is_taken(client_of, coturn):
    pair, addresses = relayed_pair(client_of, coturn, "udp", dont_fragment=True, channel_after=None)
    exchange(pair, addresses)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_alternate_server_is_followed(client_of, coturn, start_coturn, protocol):
    target = coturn.address(protocol)
    option = "tls-alternate-server" if protocol == "tls" else "alternate-server"
    redirecting = start_coturn(f"{option}={target}")
    driver = client_of(redirecting, protocol)
    # Both prove themselves with certificates of their own for one name; the client's trust is that of the second.
    driver.certificate = coturn.certificate
    driver.allocate()
    assert driver.wait_for("Redirected").path.remote == target and driver.client.path.remote == target
    driver.close()
    assert driver.events == [Terminated("closed")]


# --- RFC 6062


def listener_of():
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    listener.settimeout(STEP_S_MAX)
    return listener


def read_exactly(connection, size, driver):
    connection.settimeout(0.05)
    data = b""
    deadline = time.monotonic() + STEP_S_MAX
    while len(data) < size:
        assert time.monotonic() < deadline, f"{len(data)} of {size} bytes"
        try:
            data += connection.recv(size - len(data))
        except TimeoutError:
            driver.step(0.0)
    return data


def echo(driver, connection, peer):
    data = os.urandom(100_000)
    for start in range(0, len(data), 10_000):
        driver.send(data[start : start + 10_000], peer)
    assert read_exactly(connection, len(data), driver) == data
    connection.sendall(b"and back")
    received = b""
    while len(received) < 8:
        received += driver.wait_for("DataReceived").data
    assert received == b"and back"


@pytest.mark.parametrize("protocol", ["tcp", "tls"])
def test_tcp_is_relayed_to_a_peer(client_of, coturn, protocol):
    driver = client_of(coturn, protocol, transport="tcp")
    (relayed,) = driver.allocate().relayed
    with listener_of() as listener:
        peer = Address(*listener.getsockname())
        driver.permit(peer.host)
        driver.client.connect(peer, driver.now)
        assert driver.wait_for("ConnectionOpened", "ConnectionFailed") == ConnectionOpened(peer, relayed, False)
        connection, _ = listener.accept()
        with connection:
            echo(driver, connection, peer)
    assert driver.wait_for("ConnectionClosed").peer == peer
    driver.close()
    assert driver.events == [Terminated("closed")]


@pytest.mark.parametrize("protocol", ["tcp", "tls"])
def test_tcp_is_relayed_from_a_peer(client_of, coturn, protocol):
    driver = client_of(coturn, protocol, transport="tcp")
    (relayed,) = driver.allocate().relayed
    driver.permit("127.0.0.1")
    with socket.create_connection(relayed, timeout=STEP_S_MAX) as connection:
        peer = Address(*connection.getsockname())
        assert driver.wait_for("ConnectionOpened", "ConnectionFailed") == ConnectionOpened(peer, relayed, True)
        echo(driver, connection, peer)


def test_peer_that_nobody_listens_at_is_named(client_of, coturn):
    driver = client_of(coturn, "tcp", transport="tcp")
    driver.allocate()
    with listener_of() as listener:
        peer = Address(*listener.getsockname())
    driver.permit(peer.host)
    driver.client.connect(peer, driver.now)
    failure = driver.wait_for("ConnectionOpened", "ConnectionFailed")
    assert (failure.code, failure.name) == (447, "Connection Timeout or Failure")


def test_relay_of_tcp_that_the_server_does_not_have_is_named(client_of, start_coturn):
    failure, end = client_of(start_coturn("no-tcp-relay"), "tcp", transport="tcp").refused()
    assert (failure.code, end.reason) == (442, "unsupported_transport_protocol")
