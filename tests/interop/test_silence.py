"""A peer that is killed says nothing more: we notice in about three seconds, and give up when it stays away."""

import asyncio

import pytest
from interop_peers.messages import digests, mixed
from interop_peers.pair import Pair

# Counted from the last answer to a check, of which there is about one a second: so up to 1.2 s less from the kill.
DISCONNECTED_AFTER_S = 3.0
FAILED_AFTER_S = 5.0


@pytest.fixture
def both_roles(peer, theirs, open_ours, run):
    """Two pairs, so that each role is tried in the same seconds; ours gives up sooner than the 30 s of the default."""
    other = run(peer.open_session())
    first, second = (open_ours(failed_after_s=FAILED_AFTER_S) for _ in range(2))
    yield Pair(first, theirs, offerer=first, answerer=theirs), Pair(second, other, offerer=other, answerer=second)
    run(other.end())


async def test_a_killed_peer_is_disconnected_after_three_seconds_and_failed_later(both_roles):
    are_connected = asyncio.Barrier(2)  # a browser that is killed is gone for both
    async with asyncio.TaskGroup() as tasks:
        for pair in both_roles:
            tasks.create_task(killed(pair, are_connected))


async def killed(pair, are_connected):
    clock = asyncio.get_running_loop().time
    async with pair.connected("data"):
        await pair.assert_carries("data")
        await are_connected.wait()
        killed_at = clock()
        await pair.theirs.kill()
        await pair.ours.until_state("disconnected")
        disconnected_after_s = clock() - killed_at
        await pair.ours.until_state("failed")
        failed_after_s = clock() - killed_at
    assert 1.5 <= disconnected_after_s <= 4.5
    assert 3.5 <= failed_after_s <= 8.0


@pytest.fixture
def patient(theirs, open_ours):
    """The foreign peer and ours with the defaults, ours offering."""
    ours = open_ours()
    return Pair(ours, theirs, offerer=ours, answerer=theirs)


async def test_a_peer_that_comes_back_finds_everything_as_it_was(patient):
    ours, theirs = patient.ends
    messages = mixed(20, patient.largest, seed=11)
    async with patient.connected("data"):
        with theirs.frozen():
            await ours.until_state("disconnected")
            await ours.send_all("data", messages)
        await ours.until(lambda: ours.states[-1][0] == "connected", "connected again")
        assert await theirs.until_received("data", len(messages)) == digests(messages)
