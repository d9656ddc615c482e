"""What only a connection under asyncio does: errors to the loop's handler, loops that cannot watch a descriptor."""

import asyncio
import logging

import pytest

from sans_rtc_asyncio import PeerConnection
from sans_rtc_net.errors import ConnectionLost

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]


@pytest.fixture
def asyncio_peers(make_peers):
    peers = make_peers(PeerConnection)
    yield peers
    peers.abort()


async def test_bug_in_the_machine_reaches_whoever_waits(asyncio_peers):
    reported = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context["exception"]))
    first, _, channel, other = await asyncio_peers.channel_pair()

    def broken(datagrams, now):
        raise AssertionError("a bug")

    first._driver._receive_burst = broken
    await other.send("x")
    with pytest.raises(ConnectionLost, match="a bug") as caught:
        await asyncio.wait_for(channel.receive(), 2.0)
    assert caught.value.reason == "internal_error"
    assert [str(error) for error in reported] == ["a bug"]


async def test_trace_goes_to_the_log_only_where_asked_for(asyncio_peers, caplog):
    caplog.set_level(logging.DEBUG, logger="sans_rtc")
    await asyncio_peers.pair()
    assert caplog.records == []
    await asyncio_peers.pair(log=True, name="loud")
    assert caplog.records
    assert all(record.getMessage().startswith("loud ") for record in caplog.records)


async def test_loop_without_readers_connects_through_its_own_transports(asyncio_peers, monkeypatch):
    monkeypatch.setattr("sans_rtc_asyncio.loop.has_readers", lambda loop: False)
    first, second, channel, other = await asyncio_peers.channel_pair()
    await channel.send("through the fallback")
    assert await asyncio.wait_for(other.receive(), 2.0) == "through the fallback"
    await asyncio.wait_for(first.close(), 2.0)
    await asyncio.wait_for(second.close(), 2.0)
    await asyncio.sleep(0)
