"""Many peers on one UDP port over real sockets, with every adapter that has a mux."""

import asyncio
import gc
import importlib
import importlib.util
import socket

import anyio
import anyio.lowlevel
import pytest

from sans_rtc.dtls.certificate import Certificate
from sans_rtc.errors import InvalidArgument, InvalidState
from sans_rtc.ice import IceConfig, Parameters
from sans_rtc.ice.config import TurnServer
from sans_rtc.peer import PeerConfig
from sans_rtc.peer.mux_accept import stranger_config, stranger_offer
from sans_rtc.peer.mux_config import MuxConfig
from sans_rtc.testing import SeededEntropy
from sans_rtc_net.clock import monotonic, wall_clock_offset_s
from sans_rtc_net.errors import ConnectionLost

pytestmark = pytest.mark.anyio

PASSWORD = "p" * 24


@pytest.fixture
def mux_type(adapter_package):
    name = f"{adapter_package.__name__}.mux"
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{adapter_package.__name__} has no mux yet")
    return importlib.import_module(name).UdpMux


@pytest.fixture
async def mux(mux_type):
    async with mux_type(bind="127.0.0.1") as mux:
        yield mux


def certificate(name):
    now = int(monotonic() + wall_clock_offset_s())
    return Certificate.generate(SeededEntropy(name), now - 86_400)


async def joined(peers, mux, client=None):
    """A client of its own, and a peer of the mux, connected; and both ends of a channel."""
    client = client or peers.make()
    served = peers.make(mux=mux)
    channel = client.create_data_channel("echo")
    await peers.signal(client, served)
    with anyio.fail_after(10):
        await channel.opened()
        other = await anext(served.incoming_channels())
    return client, served, channel, other


async def until(condition):
    """Wait until the condition holds, which nobody signals."""
    with anyio.fail_after(5):
        while not condition():  # noqa: ASYNC110
            await anyio.sleep(0.01)


async def echo(channel):
    async for message in channel:
        await channel.send(message)


async def test_fifty_peers_on_one_port_echo(peers, mux):
    pairs = [await joined(peers, mux) for _ in range(50)]
    (address,) = mux.local_addresses
    async with anyio.create_task_group() as tasks:
        for _, _, _, other in pairs:
            tasks.start_soon(echo, other)
        with anyio.fail_after(20):
            for number, (_, _, channel, _) in enumerate(pairs):
                await channel.send(f"hello from {number}")
                await channel.send(bytes([number]) * 20_000)
            for number, (_, _, channel, _) in enumerate(pairs):
                assert await channel.receive() == f"hello from {number}"
                assert await channel.receive() == bytes([number]) * 20_000
        tasks.cancel_scope.cancel()
    assert {served.explain().ice.selected.path.local for _, served, _, _ in pairs} == {address}
    assert len(mux.peers) == 50


async def test_closing_a_peer_leaves_the_mux_and_the_others(peers, mux):
    (_, first, _, _), (_, second, channel, other) = [await joined(peers, mux) for _ in range(2)]
    report = await first.close()
    assert report.is_complete
    assert list(mux.peers) == [second]
    await channel.send("still here")
    with anyio.fail_after(5):
        assert await other.receive() == "still here"


async def test_closing_the_mux_ends_its_peers(peers, mux_type, no_leaks):
    async with mux_type(bind="127.0.0.1") as mux:
        pairs = [await joined(peers, mux) for _ in range(3)]
        await pairs[0][3].send("the last word")
    for client, served, _, _ in pairs:
        assert served.close_report.reason == "closed"
        assert served.close_report.is_complete
        with anyio.fail_after(5):
            async for state in client.connection_states():
                if state == "closed":
                    break
    with pytest.raises(InvalidState):
        peers.make(mux=mux)
    gc.collect()


async def test_leaving_the_mux_by_an_exception_aborts_its_peers(peers, mux_type, no_leaks):
    try:
        async with mux_type(bind="127.0.0.1") as mux:
            _, served, _, _ = await joined(peers, mux)
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    assert served.close_report.reason == "aborted"
    peers.abort()


async def test_mux_that_is_not_open_takes_no_peers(peers, mux_type):
    mux = mux_type(bind="127.0.0.1")
    with pytest.raises(InvalidState):
        peers.make(mux=mux)
    mux.abort()


async def test_mux_is_opened_once(mux):
    with pytest.raises(InvalidState):
        mux.open()


async def test_port_that_is_taken_is_told_and_nothing_stays_open(mux_type, no_leaks):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(OSError, match="in use"):
            async with mux_type(bind="127.0.0.1", port=taken.getsockname()[1]):
                pass


async def test_caller_brings_the_socket(peers, mux_type, no_leaks):
    own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    own.bind(("127.0.0.1", 0))
    port = own.getsockname()[1]
    async with mux_type(sockets=[own]) as mux:
        assert [address.port for address in mux.local_addresses] == [port]
        await joined(peers, mux)
    peers.abort()


async def test_turn_over_udp_is_refused_beside_a_mux(peers, mux):
    """The server would take all peers for one client; over TCP each has a connection of its own."""

    def config(transport):
        return PeerConfig(ice=IceConfig(turn_servers=(TurnServer("127.0.0.1", 9, "u", "p", transport=transport),)))

    with pytest.raises(InvalidArgument, match="TURN server over UDP"):
        peers.make(config("udp"), mux=mux)
    peers.make(config("tcp"), mux=mux)


async def test_sockets_of_its_own_are_refused_beside_a_mux(peers, mux):
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own,
        pytest.raises(InvalidArgument, match="sockets of the mux"),
    ):
        peers.make(mux=mux, sockets=[own])


async def test_stranger_is_accepted_by_the_fragment_it_brings(peers, mux):
    """No description travels: the client makes up both; the server knows the token and the certificate."""
    client_certificate, server_certificate = certificate("client"), certificate("server")
    token = Parameters("token1234", PASSWORD)

    async def serve():
        stranger = await anext(mux.strangers())
        assert stranger.local_ufrag == stranger.remote_ufrag == "token1234"
        served = await stranger.accept(
            password=PASSWORD,
            fingerprints=[str(client_certificate.fingerprint())],
            certificate=server_certificate,
        )
        peers.made.append(served)
        await served.wait_connected(5)
        return served

    client = peers.make(stranger_config(PeerConfig(), token), certificate=client_certificate)
    channel = client.create_data_channel("direct")
    offer = await client.create_offer()
    await client.set_local_description(offer)
    answer = stranger_offer(token, [server_certificate.fingerprint()]).sdp.replace("actpass", "passive")
    mid = next(line for line in offer.sdp.splitlines() if line.startswith("a=mid:"))[6:]
    answer = answer.replace("a=mid:0", f"a=mid:{mid}").replace("BUNDLE 0", f"BUNDLE {mid}")
    await client.set_remote_description({"type": "answer", "sdp": answer})
    (address,) = mux.local_addresses
    line = f"candidate:1 1 udp 1 {address.host} {address.port} typ host"
    await client.add_ice_candidate(line, mid)
    with anyio.fail_after(10):
        served = await serve()
        await channel.opened()
        await channel.send("dialled")
        other = await anext(served.incoming_channels())
        assert await other.receive() == "dialled"


async def test_strangers_that_nobody_takes_are_bounded(mux):
    from tests.mux.conftest import request

    (address,) = mux.local_addresses
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for number in range(300):
            sock.sendto(request(f"nobody{number}", "someone").data, address)
            if number % 50 == 0:
                await anyio.lowlevel.checkpoint()
        await until(lambda: sum(mux.stats.discards.values()) >= 200)
    assert len(mux.knocks.items) <= MuxConfig().strangers_per_host_max
    assert mux.peers == []


async def test_bug_in_one_peer_does_not_end_the_others(adapter, peers, mux):
    if adapter != "asyncio":
        pytest.skip("elsewhere a bug ends the nursery")
    (_, served, broken_channel, _), (_, _, channel, other) = [await joined(peers, mux) for _ in range(2)]
    told = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["exception"]))

    def fail(datagrams, now):
        raise ZeroDivisionError

    served.session.machine.receive_many = fail
    await broken_channel.send("boom")
    await until(lambda: told)
    with anyio.fail_after(5):
        with pytest.raises(ConnectionLost):
            await anext(served.incoming_channels())
        await channel.send("alive")
        assert await other.receive() == "alive"
    assert [type(error) for error in told] == [ZeroDivisionError]
    assert served not in mux.peers


async def test_bulk_through_a_shared_port_uses_segmentation(peers, mux):
    _, served, channel, other = await joined(peers, mux)
    data = bytes(200_000)

    async def send():
        for _ in range(20):
            await other.send(data)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        with anyio.fail_after(20):
            for _ in range(20):
                assert await channel.receive() == data
    (sock,) = mux._port.driver.sockets
    assert served in mux.peers
    assert sock.stats.segmented_calls > 0
    assert sock.stats.datagrams_sent > 2 * sock.stats.send_calls


async def test_peers_share_a_tcp_port(peers, mux_type, no_leaks):
    """UDP is kept out by what is signalled: only the TCP candidate is told to the clients."""
    async with mux_type(bind="127.0.0.1", tcp=True) as mux:
        (listening,) = mux.tcp_addresses
        assert listening == mux.local_addresses[0]
        channels = []
        for _ in range(3):
            client, served = peers.make(tcp="active"), peers.make(mux=mux, tcp="passive")
            channel = client.create_data_channel("echo")
            await client.set_local_description()
            await served.set_remote_description(without(client.local_description, " udp "))
            await served.set_local_description()
            await client.set_remote_description(without(served.local_description, " udp "))
            with anyio.fail_after(15):
                await channel.opened()
                channels.append((channel, await anext(served.incoming_channels())))
            assert served.explain().ice.selected.path.protocol == "tcp"
        for number, (channel, other) in enumerate(channels):
            await channel.send(f"hello {number}")
            await other.send(bytes([number]) * 100_000)
        with anyio.fail_after(10):
            for number, (channel, other) in enumerate(channels):
                assert await other.receive() == f"hello {number}"
                assert await channel.receive() == bytes([number]) * 100_000
    peers.abort()
    await anyio.sleep(0.05)


async def test_tcp_connection_that_says_nothing_is_closed(mux_type):
    async with mux_type(bind="127.0.0.1", tcp=True, config=MuxConfig(visitor_wait_s=0.2)) as mux:
        (listening,) = mux.tcp_addresses
        with anyio.fail_after(5):
            stream = await anyio.connect_tcp(*listening)
            with pytest.raises(anyio.EndOfStream):
                await stream.receive()
            await stream.aclose()


def without(description, text):
    """The description without the candidates that have this text."""
    lines = description.sdp.splitlines()
    kept = [line for line in lines if not (line.startswith("a=candidate:") and text in line)]
    return {"type": str(description.type), "sdp": "\r\n".join(kept) + "\r\n"}
