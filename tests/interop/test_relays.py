"""Connections through relays and over TCP: two of ours, and ours with Chromium, by way of a real coturn.

A smoke test against any TURN server outside is switched on by SANS_RTC_TURN_URL (turn: or turns:, several separated by
spaces), SANS_RTC_TURN_USERNAME, SANS_RTC_TURN_PASSWORD and, for a private authority, SANS_RTC_TURN_CA.
"""

import asyncio
import os
import re

import pytest
from interop_peers.absent import given_up_without
from interop_peers.local import LocalSession
from interop_peers.messages import Message, digests
from interop_peers.pair import Pair

from sans_rtc.ice.config import IceConfig
from sans_rtc.peer.config import PeerConfig
from sans_rtc_asyncio import PeerConnection
from sans_rtc_net.errors import ConnectionFailed

pytestmark = pytest.mark.interop

TRANSPORTS = ["udp", "tcp", "tls"]
WITHIN_S = 15.0
MEGABYTE = [Message("b", 1 << 16, offset) for offset in range(16)]
# What cannot come is given up soon enough for a test.
HASTY = PeerConfig(ice=IceConfig(failed_after_s=5.0, patience_s=2.0))


def url_of(coturn, transport):
    host, port = coturn.address(transport)
    return {
        "udp": f"turn:{host}:{port}",
        "tcp": f"turn:{host}:{port}?transport=tcp",
        "tls": f"turns:{host}:{port}",
    }[transport]


def ice_server(coturn, transport, credential="secret"):
    return {"urls": [url_of(coturn, transport)], "username": "alice", "credential": credential}


@pytest.fixture
def open_peer(run):
    """Open a connection of this project with what PeerConnection takes."""
    sessions = []

    async def make(config, options):
        session = LocalSession(PeerConnection(config, **{"bind": "127.0.0.1", **options}))
        session._start(session._report_states())
        session._start(session._report_channels())
        return session

    def open_peer(config=None, **options):
        sessions.append(run(make(config, options)))
        return sessions[-1]

    yield open_peer
    for session in sessions:
        run(session.end())


@pytest.fixture
def relayed_pair(open_peer):
    """relayed_pair(coturn, transport): two of ours that use nothing but their relays."""

    def make(coturn, transport, config=None, **options):
        servers = [ice_server(coturn, transport)]
        ends = [
            open_peer(config, ice_servers=servers, ice_transport_policy="relay", tls_ca=coturn.certificate, **options)
            for _ in range(2)
        ]
        return Pair(*ends, *ends)

    return make


async def assert_a_megabyte_travels_each_way(pair, label="data"):
    at_us, at_them = await pair.exchange(label, MEGABYTE, MEGABYTE)
    assert at_us == at_them == digests(MEGABYTE)


async def selected(session):
    """The pair in use, once it is chosen: data may travel before."""
    await session.until_generation(0)
    return session.connection.explain().ice.selected


# -- relays ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_two_peers_talk_through_relays_alone(run, coturn, relayed_pair, transport):
    pair = relayed_pair(coturn, transport)

    async def talk():
        async with pair.connected():
            await assert_a_megabyte_travels_each_way(pair)
            for end in pair.ends:
                pair_in_use = await selected(end)
                assert (pair_in_use.local.type, pair_in_use.remote.type) == ("relay", "relay")
                lines = re.findall("a=candidate:.*", end.connection.local_description.sdp)
                assert lines
                assert all(" typ relay " in line for line in lines)
                assert url_of(coturn, transport) in str(end.connection.explain())

    run(bounded(talk()))


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_relay_that_dies_is_noticed_and_named(run, start_coturn, relayed_pair, transport):
    coturn = start_coturn()
    pair = relayed_pair(coturn, transport, HASTY)

    async def die():
        async with pair.connected():
            await pair.assert_carries("data")
            coturn.stop()
            for end in pair.ends:
                await until_state(end, "failed")
                assert "disconnected" in [state for state, _ in end.states]
                explanation = end.connection.explain()
                assert url_of(coturn, transport) in str(explanation)
                assert explanation.likely_cause

    run(bounded(die()))


async def until_state(session, state):
    async with asyncio.timeout(WITHIN_S):
        async for reached in session.connection.connection_states():
            if reached == state:
                return
    raise AssertionError(f"never {state}")


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_wrong_password_is_named(run, coturn, open_peer, transport):
    peer = open_peer(
        HASTY,
        ice_servers=[ice_server(coturn, transport, "wrong")],
        ice_transport_policy="relay",
        tls_ca=coturn.certificate,
    )
    other = open_peer()

    async def fail():
        connection = peer.connection
        connection.create_data_channel("data")
        await connection.set_local_description()
        await other.connection.set_remote_description(connection.local_description)
        await other.connection.set_local_description()
        await connection.set_remote_description(other.connection.local_description)
        await connection.add_ice_candidate(None)
        await connection.gathering_complete()
        assert "a=candidate" not in connection.local_description.sdp
        with pytest.raises(ConnectionFailed) as caught:
            await connection.wait_connected(WITHIN_S)
        for text in (str(caught.value), str(connection.explain()), connection.explain().likely_cause):
            assert url_of(coturn, transport) in text
            assert re.search("401|unauth|password|credential", text, re.IGNORECASE)

    run(bounded(fail()))


def test_certificate_of_nobody_we_trust_is_named(run, coturn, open_peer):
    peer = open_peer(ice_servers=[ice_server(coturn, "tls")], ice_transport_policy="relay")

    async def fail():
        connection = peer.connection
        connection.create_data_channel("data")
        await connection.set_local_description()
        await connection.gathering_complete()
        assert "its certificate is signed by" in str(connection.explain())

    run(bounded(fail()))


def test_server_that_is_not_there_is_named(run, coturn, open_peer, start_coturn):
    gone = start_coturn()
    gone.stop()
    peer = open_peer(ice_servers=[ice_server(gone, "tcp"), ice_server(coturn, "tcp")], ice_transport_policy="relay")

    async def gather():
        connection = peer.connection
        connection.create_data_channel("data")
        await connection.set_local_description()
        await connection.gathering_complete()
        assert connection.local_description.sdp.count("a=candidate") == 1
        assert f"connection refused by {gone.address('tcp')}" in str(connection.explain())

    run(bounded(gather()))


# -- through a proxy ---------------------------------------------------------------------------------------------------


class Proxy:
    """Carries by CONNECT for whoever knows the password, and counts."""

    def __init__(self):
        self.connected = []
        self._tasks = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        if "Proxy-Authorization: Basic dXM6cHc=\r\n" not in request:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            writer.close()
            return
        host, _, port = request.split()[1].rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        self.connected.append(int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            await asyncio.gather(carry(reader, far_writer), carry(far_reader, writer))
        finally:
            writer.close()
            far_writer.close()


async def carry(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_relays_are_reached_through_a_proxy(run, coturn, open_peer, transport):
    async def talk():
        async with Proxy() as proxy:
            ends = []
            for _ in range(2):
                session = LocalSession(
                    PeerConnection(
                        bind="127.0.0.1",
                        ice_servers=[ice_server(coturn, transport)],
                        ice_transport_policy="relay",
                        tls_ca=coturn.certificate,
                        proxy=f"http://us:pw@localhost:{proxy.port}",
                    )
                )
                session._start(session._report_states())
                session._start(session._report_channels())
                ends.append(session)
            pair = Pair(*ends, *ends)
            try:
                async with pair.connected():
                    await assert_a_megabyte_travels_each_way(pair)
            finally:
                for end in ends:
                    await end.end()
            assert proxy.connected == [coturn.address(transport).port] * 2

    run(bounded(talk()))


def test_proxy_that_wants_a_password_is_named(run, coturn):
    async def fail():
        async with (
            Proxy() as proxy,
            PeerConnection(
                bind="127.0.0.1",
                ice_servers=[ice_server(coturn, "tcp")],
                ice_transport_policy="relay",
                proxy=f"http://127.0.0.1:{proxy.port}",
            ) as connection,
        ):
            connection.create_data_channel("data")
            await connection.set_local_description()
            await connection.gathering_complete()
            assert "asks for a user name and password (407)" in str(connection.explain())
            connection.abort()

    run(bounded(fail()))


# -- with Chromium -----------------------------------------------------------------------------------------------------


@pytest.fixture
def chromium(peers, run, network):
    """chromium(configuration): a fresh RTCPeerConnection of Chromium."""
    sessions = []

    def open_session(configuration=None):
        with given_up_without("chromium"):
            if peers["chromium"].needs_namespace:
                network.require_alone()
            sessions.append(run(peers["chromium"].open_session(configuration)))
        return sessions[-1]

    yield open_session
    for session in sessions:
        run(session.end())


@pytest.mark.parametrize("is_ours_offering", [False, True], ids=["chromium-offers", "chromium-answers"])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_chromium_and_ours_talk_through_relays_alone(run, coturn, open_peer, chromium, transport, is_ours_offering):
    server = ice_server(coturn, transport)
    ours = open_peer(ice_servers=[server], ice_transport_policy="relay")
    theirs = chromium({"iceServers": [server], "iceTransportPolicy": "relay"})
    pair = Pair(ours, theirs, *((ours, theirs) if is_ours_offering else (theirs, ours)))

    async def talk():
        async with pair.connected():
            await assert_a_megabyte_travels_each_way(pair)
            pair_in_use = await selected(ours)
            assert (pair_in_use.local.type, pair_in_use.remote.type) == ("relay", "relay")

    run(bounded(talk(), pair))


@pytest.mark.parametrize("is_ours_offering", [False, True], ids=["chromium-offers", "chromium-answers"])
def test_chromium_connects_to_us_over_tcp(run, open_peer, chromium, is_ours_offering):
    ours, theirs = without_udp(open_peer(tcp="passive")), without_udp(chromium())
    pair = Pair(ours, theirs, *((ours, theirs) if is_ours_offering else (theirs, ours)))

    async def talk():
        async with pair.connected():
            await assert_a_megabyte_travels_each_way(pair)
            assert (await selected(ours)).path.protocol == "tcp"

    run(bounded(talk(), pair))


# -- over TCP ----------------------------------------------------------------------------------------------------------


def without_udp(session):
    """Leave out of its descriptions and candidates what is UDP, as a firewall would leave it out of the network."""
    request, on_event = session.request, session.on_event

    async def filtered(do, **arguments):
        value = await request(do, **arguments)
        if isinstance(value, dict) and "sdp" in value:
            lines = value["sdp"].splitlines(keepends=True)
            value = {**value, "sdp": "".join(line for line in lines if not is_udp(line))}
        return value

    def without(event):
        if event["event"] == "candidate" and event["candidate"] and is_udp(event["candidate"]["candidate"]):
            return
        on_event(event)

    session.request, session.on_event = filtered, without
    return session


def is_udp(line):
    return re.match("(a=)?candidate:", line) is not None and line.split()[2].lower() == "udp"


@pytest.mark.parametrize(("ours", "theirs"), [(True, True), ("active", "passive"), ("passive", "active")])
def test_two_peers_talk_over_tcp_where_there_is_no_udp(run, open_peer, ours, theirs):
    ends = [without_udp(open_peer(tcp=policy)) for policy in (ours, theirs)]
    pair = Pair(*ends, *ends)

    async def talk():
        async with pair.connected():
            await assert_a_megabyte_travels_each_way(pair)
            for end in pair.ends:
                assert (await selected(end)).path.protocol == "tcp"

    run(bounded(talk()))


def test_udp_is_preferred_where_there_is_both(run, open_peer):
    ends = [open_peer(tcp=True) for _ in range(2)]
    pair = Pair(*ends, *ends)

    async def talk():
        async with pair.connected():
            await pair.assert_carries("data")
            assert (await selected(ends[0])).path.protocol == "udp"

    run(bounded(talk()))


# -- outside -----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif("SANS_RTC_TURN_URL" not in os.environ, reason="SANS_RTC_TURN_URL names no server")
@pytest.mark.parametrize("url", os.environ.get("SANS_RTC_TURN_URL", "").split())
def test_a_server_outside_relays(url):
    """Not inside the namespace of the other tests: this one wants the real network."""
    server = {
        "urls": url,
        "username": os.environ.get("SANS_RTC_TURN_USERNAME", ""),
        "credential": os.environ.get("SANS_RTC_TURN_PASSWORD", ""),
    }
    options = {
        "ice_servers": [server],
        "ice_transport_policy": "relay",
        "tls_ca": os.environ.get("SANS_RTC_TURN_CA"),
        "include_loopback": True,  # a server on this machine is reached from nowhere else
    }

    async def talk():
        async with PeerConnection(**options) as first, PeerConnection(**options) as second:
            channel = first.create_data_channel("data")
            await first.set_local_description()
            await first.gathering_complete()
            await second.set_remote_description(first.local_description)
            await second.set_local_description()
            await second.gathering_complete()
            await first.set_remote_description(second.local_description)
            await first.wait_connected(30)
            await channel.send(b"x" * 10_000)
            other = await anext(second.incoming_channels())
            assert await other.receive() == b"x" * 10_000

    asyncio.run(bounded(talk(), timeout_s=60))


async def bounded(test, pair=None, timeout_s=60.0):
    """Run a test, and where it fails say how both ends stand."""
    try:
        async with asyncio.timeout(timeout_s):
            await test
    except BaseException:
        if pair is not None:
            print(await pair.report())
        raise
