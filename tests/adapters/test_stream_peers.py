"""Whole peers over TCP and TLS on 127.0.0.1: by a relay of ours, and directly. On every loop; then for threads."""

import asyncio
import os
import socket
import threading

import anyio
import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc_asyncio.turn_server import TurnServer
from sans_rtc_net.blocking import BlockingPeerConnection
from sans_rtc_net.options import StreamConfig
from sans_rtc_net.tls import client_context

pytestmark = pytest.mark.usefixtures("no_leaks")

TRANSPORTS = ["udp", "tcp", "tls"]
CREDENTIALS = {"username": "alice", "credential": "secret"}
WITHIN_S = 10.0


class RelayThread:
    """A TURN server of ours on a loop of its own, so that peers of any loop can use it."""

    def __init__(self, tls_files):
        self.tls_files = tls_files
        self.urls = {}
        self._is_ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        assert self._is_ready.wait(WITHIN_S)

    async def _serve(self):
        self._loop, self._is_over = asyncio.get_running_loop(), asyncio.Event()
        files = self.tls_files
        async with TurnServer(
            users={"alice": "secret"},
            port=0,
            tls_port=0,
            certificate_file=files.certificate,
            key_file=files.key,
            allow_loopback_peers=True,
        ) as server:
            for url in server.urls:
                is_tls, is_tcp = url.startswith("turns:"), "transport=tcp" in url
                self.urls["tls" if is_tls else "tcp" if is_tcp else "udp"] = url
            self._is_ready.set()
            await self._is_over.wait()

    def stop(self):
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._is_over.set)
        self._thread.join(WITHIN_S)


@pytest.fixture
def relay(tls_files, no_leaks):
    relay = RelayThread(tls_files)
    yield relay
    relay.stop()


def relayed(relay, transport, tls_files, credential="secret"):
    """What a peer takes to use nothing but this relay."""
    server = {"urls": [relay.urls[transport]], "username": "alice", "credential": credential}
    return {"ice_servers": [server], "ice_transport_policy": "relay", "tls_ca": tls_files.authority}


def candidates_of(peer):
    return [line for line in peer.local_description.sdp.splitlines() if line.startswith("a=candidate")]


# -- on every loop -----------------------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_peers_talk_through_relays_alone(peers, relay, tls_files, transport):
    first, second, channel, other = await peers.channel_pair(**relayed(relay, transport, tls_files))
    data = os.urandom(100_000)
    await channel.send(data)
    with anyio.fail_after(WITHIN_S):
        assert await other.receive() == data
    for peer in (first, second):
        assert candidates_of(peer)
        assert all(" typ relay " in line for line in candidates_of(peer))
    with anyio.fail_after(WITHIN_S):
        await first.close()
        await second.close()


@pytest.mark.anyio
async def test_relay_that_goes_away_is_noticed_at_once_over_tcp(peers, relay, tls_files):
    first, _, _, _ = await peers.channel_pair(**relayed(relay, "tcp", tls_files))
    relay.stop()
    with anyio.fail_after(WITHIN_S):
        async for state in first.connection_states():
            if state == "disconnected":
                break
    assert relay.urls["tcp"] in str(first.explain())


@pytest.mark.anyio
async def test_peers_talk_over_tcp_where_there_is_no_udp(peers):
    """One of them uses nothing but a socket of the caller's own that listens for TCP."""
    first, second = peers.make(tcp="active"), peers.make(sockets=[listening()], tcp="passive")
    channel = first.create_data_channel("x")
    await peers.signal(first, second)
    with anyio.fail_after(WITHIN_S):
        await first.wait_connected()
        await channel.send(bytes(200_000))
        other = await anext(second.incoming_channels())
        assert await other.receive() == bytes(200_000)
    assert [line.split()[2] for line in candidates_of(second)] == ["tcp"]
    with anyio.fail_after(WITHIN_S):
        await first.close()
        await second.close()


def listening():
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


@pytest.mark.anyio
async def test_listening_port_is_of_the_range(peers):
    peer = peers.make(tcp="passive", port=(42200, 42300))
    peer.create_data_channel("x")
    await peer.set_local_description()
    with anyio.fail_after(WITHIN_S):
        await peer.gathering_complete()
    lines = [line for line in candidates_of(peer) if "tcptype passive" in line]
    assert len(lines) == 1
    assert 42200 <= int(lines[0].split()[5]) <= 42300


@pytest.mark.anyio
async def test_settings_that_cannot_be_are_refused(peers):
    sock = listening()
    for wrong in (
        {"ice_servers": [{"urls": "turn:host"}]},
        {"ice_transport_policy": "nothing"},
        {"tcp": "sometimes"},
        {"proxy": "https://proxy"},
        {"tls_ca": "/nowhere.pem"},
        {"sockets": [sock]},
    ):
        with pytest.raises(InvalidArgument):
            peers.make(**wrong)
    sock.close()


@pytest.mark.anyio
async def test_proxy_by_name_is_looked_up(peers, relay, tls_files, monkeypatch):
    """A proxy that is not there: what is told of the relay names the proxy, so its name was found."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        peer = peers.make(**relayed(relay, "tcp", tls_files), proxy=f"http://localhost:{port}")
        peer.create_data_channel("x")
        await peer.set_local_description()
        with anyio.fail_after(WITHIN_S):
            await peer.gathering_complete()
    assert f"connection refused by the proxy localhost:{port}" in str(peer.explain())


@pytest.mark.anyio
async def test_wrong_password_is_named(peers, relay, tls_files):
    peer = peers.make(**relayed(relay, "tls", tls_files, "wrong"))
    peer.create_data_channel("x")
    await peer.set_local_description()
    with anyio.fail_after(WITHIN_S):
        await peer.gathering_complete()
    assert "401" in str(peer.explain())


# -- for threads -------------------------------------------------------------------------------------------------------


@pytest.fixture
def make():
    made = []

    def make_peer(**options):
        made.append(BlockingPeerConnection(bind="127.0.0.1", **options))
        return made[-1]

    yield make_peer
    for peer in made:
        peer.abort()


def talk(first, second):
    channel = first.create_data_channel("x")
    for sender, receiver, describe in ((first, second, first.create_offer), (second, first, second.create_answer)):
        sender.set_local_description(describe())
        sender.gathering_complete(WITHIN_S)
        receiver.set_remote_description(sender.local_description)
    first.wait_connected(WITHIN_S)
    channel.send(bytes(200_000), WITHIN_S)
    other = second.accept_channel(WITHIN_S)
    assert other.receive(WITHIN_S) == bytes(200_000)
    first.close()
    second.close()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_threads_talk_through_relays_alone(make, relay, tls_files, transport):
    options = relayed(relay, transport, tls_files)
    talk(make(**options), make(**options))


def test_threads_talk_over_tcp_where_there_is_no_udp(make):
    talk(make(tcp="active"), make(sockets=[listening()], tcp="passive"))


def test_thread_takes_a_context_of_its_own(make, relay, tls_files):
    options = {**relayed(relay, "tls", tls_files), "tls_ca": client_context(tls_files.authority)}
    talk(make(**options), make(**options))


def test_settings_that_cannot_be_are_refused_and_leave_nothing():
    with listening() as sock:
        for wrong in ({"sockets": [sock]}, {"ice_servers": ["turn:host"]}, {"tcp": "sometimes"}):
            with pytest.raises(InvalidArgument):
                BlockingPeerConnection(**wrong)


def test_streams_are_configured_with_the_network(make, relay, tls_files):
    from sans_rtc_net.binding import BindConfig

    network = BindConfig(hosts=("127.0.0.1",), streams=StreamConfig(ports=(42400, 42500), dscp=10))
    options = {**relayed(relay, "tcp", tls_files), "network": network}
    first, second = make(**options), make(**options)
    talk(first, second)
