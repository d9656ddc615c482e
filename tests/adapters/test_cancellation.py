"""A whole session of two peers, cancelled at every kind of moment on each loop: nothing is left running or open."""

import asyncio
import gc
import importlib
import os
import signal
import socket
import threading
import warnings

import anyio
import anyio.lowlevel
import pytest

from sans_rtc.errors import InvalidState
from sans_rtc.peer.config import PeerConfig

pytestmark = pytest.mark.usefixtures("no_leaks")

CONFIG = PeerConfig(close_timeout_s=0.2)
LOOPS = ["asyncio", "trio"]


def peer_type(loop):
    pytest.importorskip(loop)
    return importlib.import_module(f"sans_rtc_{loop}").PeerConnection


async def session(make):
    """Connect, talk both ways, open a second channel, close it, and close."""
    async with make(CONFIG, bind="127.0.0.1") as first, make(CONFIG, bind="127.0.0.1") as second:
        await converse(first, second)


async def tcp_session(make):
    """The same over TCP: the second peer has nothing else."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    second = make(CONFIG, sockets=[sock], tcp="passive")
    async with second, make(CONFIG, bind="127.0.0.1", tcp="active") as first:
        await converse(first, second)


async def hidden_session(make):
    """The same with addresses hidden behind names, over sockets that both peers share."""
    options = {"bind": "127.0.0.1", "hide_host_addresses": True}
    async with make(CONFIG, **options) as first, make(CONFIG, **options) as second:
        await converse(first, second)


async def converse(first, second):
    channel = first.create_data_channel("a")
    await first.set_local_description(await first.create_offer())
    await second.set_remote_description(first.local_description)
    await second.set_local_description(await second.create_answer())
    await first.set_remote_description(second.local_description)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(trickle, first, second)
        tasks.start_soon(trickle, second, first)
    with anyio.fail_after(5):
        other = await anext(second.incoming_channels())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(echo, other)
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


class AsyncioRun:
    """One run of a coroutine on a loop of its own, cancelled after a number of the loop's steps."""

    def __init__(self, function, argument, cancel_after):
        self.steps = 0
        self.left = []
        self.was_cancelled = False
        self.cancel_after = cancel_after
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda loop, context: self.left.append(context))
        self.task = self.loop.create_task(function(argument))
        self.step()
        try:
            self.loop.run_until_complete(self.task)
        except asyncio.CancelledError:
            self.was_cancelled = True
        finally:
            self.left += asyncio.all_tasks(self.loop)
            self.left += [timer for timer in self.loop._scheduled if not timer.cancelled()]
            readers = self.loop._selector.get_map().values()
            self.left += [key for key in readers if key.fd != self.loop._ssock.fileno()]
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()

    def step(self):
        if self.task.done():
            return
        if self.steps == self.cancel_after:
            self.task.cancel()
        self.steps += 1
        self.loop.call_soon(self.step)


class TrioRun:
    """The same under trio, cancelled after a number of turns of its loop."""

    def __init__(self, function, argument, cancel_after):
        import trio

        self.steps = 0
        self.left = []
        self.was_cancelled = False
        self.cancel_after = cancel_after
        self.scope = trio.CancelScope()
        trio.run(self.main, function, argument, instruments=[self])

    async def main(self, function, argument):
        import trio

        before = trio.lowlevel.current_statistics().tasks_living
        with self.scope:
            await function(argument)
        self.was_cancelled = self.scope.cancelled_caught
        self.cancel_after = -1
        if trio.lowlevel.current_statistics().tasks_living != before:
            self.left.append("a task")
        if trio.lowlevel.current_statistics().io_statistics.tasks_waiting_read > 1:  # trio's own wake-up socket
            self.left.append("a reader")

    def after_io_wait(self, timeout):
        if self.steps == self.cancel_after:
            self.scope.cancel()
        self.steps += 1


RUNS = {"asyncio": AsyncioRun, "trio": TrioRun}


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    ("session", "cancellations"),
    [(session, 80), (tcp_session, 25), (hidden_session, 25)],
    ids=["udp", "tcp", "hidden"],
)
def test_session_cancelled_anywhere_leaves_nothing_behind(loop, session, cancellations, open_descriptors):
    make, run = peer_type(loop), RUNS[loop]
    whole = run(session, make, cancel_after=-1)
    assert not whole.was_cancelled
    cancelled = 0
    before = open_descriptors()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for index in range(cancellations):  # evenly, so that no stretch of a session is left out
            one = run(session, make, cancel_after=index * whole.steps // cancellations)
            cancelled += one.was_cancelled
            assert one.left == []
            assert open_descriptors() == before
        gc.collect()
    assert [str(warning.message) for warning in warned] == []
    assert cancelled > cancellations / 2


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_error_in_user_code_propagates_as_it_is_and_leaves_nothing_behind(loop, error):
    async def main():
        async with peer_type(loop)(bind="127.0.0.1") as peer:
            peer.create_data_channel("x")
            await peer.set_local_description()
            raise error

    with pytest.raises(error):
        anyio.run(main, backend=loop)


@pytest.fixture
def interrupts_raise():
    """Python's own handler of SIGINT: a suite that a shell started in the background ignores that signal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("loop", LOOPS)
def test_interrupt_from_the_keyboard_ends_a_waiting_program(loop, interrupts_raise):
    async def main():
        async with peer_type(loop)(bind="127.0.0.1") as peer:
            channel = peer.create_data_channel("x")
            await peer.set_local_description()
            threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT)).start()
            await channel.receive()

    with pytest.raises(KeyboardInterrupt):
        anyio.run(main, backend=loop)


@pytest.mark.parametrize("package", ["sans_rtc_asyncio", "sans_rtc_trio", "sans_rtc_anyio"])
def test_peer_outside_a_loop_is_refused(package):
    with pytest.raises(InvalidState, match="running event loop"):
        importlib.import_module(package).PeerConnection()


@pytest.mark.anyio
async def test_peer_lives_in_a_task_group_and_ends_when_that_is_cancelled(adapter, adapter_package):
    async with anyio.create_task_group() as tasks:
        peer = adapter_package.PeerConnection(bind="127.0.0.1", nursery=tasks)
        peer.create_data_channel("x")
        await peer.set_local_description()
        tasks.cancel_scope.cancel()
    assert peer.connection_state == "closed"
    assert peer.close_report.reason == "aborted"


@pytest.mark.anyio
async def test_task_group_ends_when_the_peers_in_it_have_ended(adapter, adapter_package):
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            peers = [adapter_package.PeerConnection(bind="127.0.0.1", nursery=tasks) for _ in range(2)]
            for peer in peers:
                peer.create_data_channel("x")
                await peer.set_local_description()
            await peers[0].close()
            peers[1].abort()
