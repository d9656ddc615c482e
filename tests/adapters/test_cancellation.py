"""A whole session of two peers, cancelled at every kind of moment: nothing is left running, open or unsaid."""

import asyncio
import gc
import logging
import random
import signal
import warnings

import pytest

from sans_rtc.peer.config import PeerConfig
from sans_rtc_asyncio import PeerConnection

pytestmark = pytest.mark.usefixtures("no_leaks")

CANCELLATIONS = 200
CONFIG = PeerConfig(close_timeout_s=0.2)


async def session():
    """Connect, talk both ways, open a second channel, close it, and close."""
    async with PeerConnection(CONFIG, bind="127.0.0.1") as first, PeerConnection(CONFIG, bind="127.0.0.1") as second:
        channel = first.create_data_channel("a")
        await first.set_local_description(await first.create_offer())
        await second.set_remote_description(first.local_description)
        await second.set_local_description(await second.create_answer())
        await first.set_remote_description(second.local_description)
        await asyncio.gather(trickle(first, second), trickle(second, first))
        async with asyncio.timeout(5):
            other = await anext(second.incoming_channels())
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(echo(other))
                for index in range(8):
                    await channel.send(b"%d" % index + bytes(5000))
                    await channel.receive()
                await channel.drain()
                async with first.create_data_channel("b") as brief:
                    await brief.send("x")
                await channel.close()
            await first.close()


async def trickle(sender, receiver):
    async for candidate in sender.local_candidates():
        await receiver.add_ice_candidate(candidate)


async def echo(channel):
    async for message in channel:
        await channel.send(message)


class Run:
    """One run of a coroutine on a loop of its own, cancelled after a number of the loop's steps."""

    def __init__(self, make, cancel_after):
        self.steps = 0
        self.complaints = []
        self.was_cancelled = False
        self.cancel_after = cancel_after
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda loop, context: self.complaints.append(context))
        self.task = self.loop.create_task(make())
        self.step()
        try:
            self.loop.run_until_complete(self.task)
        except asyncio.CancelledError:
            self.was_cancelled = True
        finally:
            self.left = asyncio.all_tasks(self.loop)
            self.timers = [timer for timer in self.loop._scheduled if not timer.cancelled()]
            self.readers = [
                key for key in self.loop._selector.get_map().values() if key.fd != self.loop._ssock.fileno()
            ]
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()

    def step(self):
        if self.task.done():
            return
        if self.steps == self.cancel_after:
            self.task.cancel()
        self.steps += 1
        self.loop.call_soon(self.step)


def test_session_cancelled_anywhere_leaves_nothing_behind(open_descriptors):
    whole = Run(session, cancel_after=-1)
    assert not whole.was_cancelled
    chance = random.Random(1)
    cancelled = 0
    before = open_descriptors()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for _ in range(CANCELLATIONS):
            run = Run(session, cancel_after=chance.randrange(whole.steps))
            cancelled += run.was_cancelled
            assert run.left == set()
            assert run.complaints == []
            assert run.timers == []
            assert run.readers == []
            assert open_descriptors() == before
        gc.collect()
    assert [str(warning.message) for warning in warned] == []
    assert cancelled > CANCELLATIONS / 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_error_in_user_code_propagates_and_leaves_nothing_behind(error):
    async def main():
        async with PeerConnection(bind="127.0.0.1") as peer:
            peer.create_data_channel("x")
            await peer.set_local_description()
            raise error

    with pytest.raises(error):
        asyncio.run(main())


def test_interrupt_from_the_keyboard_ends_a_waiting_program():
    async def main():
        async with PeerConnection(bind="127.0.0.1") as peer:
            channel = peer.create_data_channel("x")
            await peer.set_local_description()
            asyncio.get_running_loop().call_later(0.02, signal.raise_signal, signal.SIGINT)
            await channel.receive()

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())


def test_peer_outside_a_loop_is_refused():
    from sans_rtc.errors import InvalidState

    with pytest.raises(InvalidState, match="running event loop"):
        PeerConnection()


@pytest.mark.anyio
async def test_bug_in_the_machine_reaches_whoever_waits(peers):
    from sans_rtc_net.errors import ConnectionLost

    reported = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context["exception"]))
    first, _, channel, other = await peers.channel_pair()

    def broken(datagrams, now):
        raise AssertionError("a bug")

    first._driver._receive_burst = broken
    await other.send("x")
    with pytest.raises(ConnectionLost, match="a bug") as caught:
        await asyncio.wait_for(channel.receive(), 2.0)
    assert caught.value.reason == "internal_error"
    assert [str(error) for error in reported] == ["a bug"]


@pytest.mark.anyio
async def test_trace_goes_to_the_log_only_where_asked_for(peers, caplog):
    caplog.set_level(logging.DEBUG, logger="sans_rtc")
    await peers.pair()
    assert caplog.records == []
    await peers.pair(log=True, name="loud")
    assert caplog.records
    assert all(record.getMessage().startswith("loud ") for record in caplog.records)


@pytest.mark.anyio
async def test_loop_without_readers_connects_through_its_own_transports(peers, monkeypatch):
    monkeypatch.setattr("sans_rtc_asyncio.loop.has_readers", lambda loop: False)
    first, second, channel, other = await peers.channel_pair()
    await channel.send("through the fallback")
    assert await asyncio.wait_for(other.receive(), 2.0) == "through the fallback"
    await asyncio.wait_for(first.close(), 2.0)
    await asyncio.wait_for(second.close(), 2.0)
    await asyncio.sleep(0)
