"""What only a connection under trio does: nurseries, checkpoints, cancellation without effect, its clock."""

import socket
import time

import pytest

pytest.importorskip("trio")

import trio
import trio.testing

from sans_rtc.errors import InvalidState
from sans_rtc.ice.config import IceConfig
from sans_rtc.peer.config import PeerConfig
from sans_rtc_net.errors import ConnectionFailed, ConnectionLost
from sans_rtc_trio import PeerConnection

pytestmark = pytest.mark.usefixtures("no_leaks")


def run(main, *arguments, **options):
    trio.run(main, *arguments, **options)


async def connect(first, second):
    await first.set_local_description()
    await second.set_remote_description(first.local_description)
    await second.set_local_description()
    await first.set_remote_description(second.local_description)
    with trio.fail_after(10):
        await first.wait_connected()
        await second.wait_connected()


async def joined(main, config=None):
    """Two connected peers and both ends of a channel, handed to `main`."""
    async with (
        PeerConnection(config, bind="127.0.0.1") as first,
        PeerConnection(config, bind="127.0.0.1") as second,
    ):
        channel = first.create_data_channel("x")
        await connect(first, second)
        with trio.fail_after(10):
            await channel.opened()
            other = await anext(second.incoming_channels())
        await main(first, second, channel, other)


def test_nothing_can_be_started_before_there_is_a_nursery():
    async def main():
        peer = PeerConnection(bind="127.0.0.1")
        with pytest.raises(InvalidState, match="async with"):
            peer.create_data_channel("x")
        for call in (peer.create_offer, peer.set_local_description):
            with pytest.raises(InvalidState, match="async with"):
                await call()
        assert peer.signaling_state == "stable"
        assert (await peer.close()).reason == "closed"

    run(main)


def test_connection_that_never_ran_frees_the_sockets_it_was_given():
    async def main():
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        PeerConnection(sockets=[sock]).abort()
        assert sock.fileno() == -1

    run(main)


def test_connection_is_entered_once():
    async def main():
        async with PeerConnection(bind="127.0.0.1") as peer:
            with pytest.raises(InvalidState, match="already"):
                await peer.__aenter__()

    run(main)


def test_connection_in_a_nursery_is_closed_where_it_is_entered_too():
    async def main():
        async with trio.open_nursery() as nursery:
            async with PeerConnection(bind="127.0.0.1", nursery=nursery) as peer:
                peer.create_data_channel("x")
            assert peer.connection_state == "closed"

    run(main)


def test_every_call_that_is_awaited_is_a_checkpoint():
    async def check(first, second, channel, other):
        calls = [
            lambda: channel.send("x"),
            other.receive,
            channel.opened,
            channel.drain,
            first.wait_connected,
            first.gathering_complete,
            first.create_offer,
            lambda: first.add_ice_candidate(None),
            lambda: anext(first.local_candidates()),
            lambda: anext(first.connection_states()),
            channel.close,
            other.close,
            first.close,
            second.close,
        ]
        for call in calls:
            with trio.testing.assert_checkpoints():
                await call()

    run(joined, check)


def test_cancelled_send_has_not_sent_and_cancelled_receive_has_taken_nothing():
    async def check(first, second, channel, other):
        await channel.send("first")
        with trio.CancelScope() as scope:
            scope.cancel()
            await channel.send("never")
        assert scope.cancelled_caught
        await channel.send("second")
        while len(other._inbox.messages) < 2:
            await trio.lowlevel.checkpoint()
        with trio.CancelScope() as scope:
            scope.cancel()
            await other.receive()
        assert scope.cancelled_caught
        assert [await other.receive(), await other.receive()] == ["first", "second"]

    run(joined, check)


def test_sender_that_never_waits_lets_others_run():
    async def check(first, second, channel, other):
        turns = 0

        async def count():
            nonlocal turns
            while True:
                turns += 1
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(count)
            for _ in range(20):
                await channel.send("x")
            nursery.cancel_scope.cancel()
        assert turns > 10

    run(joined, check)


def test_connection_can_be_closed_gracefully_under_a_shield_though_it_is_cancelled():
    async def check(first, second, channel, other):
        with trio.CancelScope() as scope:
            try:
                await channel.send("last words")
                scope.cancel()
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    report = await first.close()
        assert (report.reason, report.is_complete) == ("closed", True)
        assert await other.receive() == "last words"

    run(joined, check)


def test_cancellation_from_outside_is_seen_as_one():
    async def main():
        with trio.move_on_after(0.05) as scope:
            async with PeerConnection(bind="127.0.0.1") as peer:
                channel = peer.create_data_channel("x")
                await peer.set_local_description()
                await channel.receive()
        assert scope.cancelled_caught
        assert peer.close_report.reason == "aborted"

    run(main)


def test_bug_in_the_machine_ends_the_nursery_and_reaches_whoever_waits():
    seen = []

    async def check(first, second, channel, other):
        def broken(datagrams, now):
            raise AssertionError("a bug")

        first._driver._pump._receive_burst = broken
        await other.send("x")
        try:
            await channel.receive()
        except ConnectionLost as error:
            seen.append(error.reason)
            raise

    with pytest.raises(BaseExceptionGroup) as caught:
        run(joined, check)
    assert caught.group_contains(AssertionError, match="a bug")
    assert seen == ["internal_error"]


def test_task_of_the_programs_that_fails_comes_out_as_it_would_without_a_connection():
    async def main():
        async with PeerConnection(bind="127.0.0.1"), trio.open_nursery() as nursery:
            nursery.start_soon(fail)
            await trio.sleep_forever()

    async def fail():
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as caught:
        run(main)
    assert [type(error) for error in caught.value.exceptions] == [ZeroDivisionError]


def test_clock_that_is_moved_moves_the_connection():
    """Consent expires after half a minute of the clock's time, which takes no time."""

    async def check(first, second, channel, other):
        states = first.connection_states()
        second._driver.close()
        began_at, began_really_at = trio.current_time(), time.monotonic()
        seen = [await anext(states) for _ in range(3)]
        assert seen == ["connected", "disconnected", "failed"]
        assert 20 < trio.current_time() - began_at < 60
        assert time.monotonic() - began_really_at < 5
        with pytest.raises(ConnectionLost):
            await channel.receive()

    run(joined, check, PeerConfig(), clock=trio.testing.MockClock(autojump_threshold=0.01))


def test_waiting_has_the_bounds_of_the_loops_clock():
    async def main():
        async with PeerConnection(PeerConfig(ice=IceConfig()), bind="127.0.0.1") as peer:
            peer.create_data_channel("x")
            await peer.set_local_description()
            began_at = trio.current_time()
            with pytest.raises(ConnectionFailed, match="not connected after 1000"):
                await peer.wait_connected(timeout=1000.0)
            assert trio.current_time() - began_at >= 1000.0

    run(main, clock=trio.testing.MockClock(autojump_threshold=0.01))


def test_certificate_is_valid_now_whatever_the_loops_clock_says():
    async def check(first, second, channel, other):
        offset_s = first._config.wall_clock_offset_s
        assert abs(trio.current_time() + offset_s - time.time()) < 60

    run(joined, check, None)
