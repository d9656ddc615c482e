"""`sans-rtc peer` with a foreign peer at the other side of its pipes."""

import pytest
from interop_peers.command import CommandSession
from interop_peers.messages import digests, mixed


@pytest.fixture
def ours(run):
    """The command in a process of its own in place of a connection in this one."""
    session = CommandSession()
    yield session
    run(session.end())


@pytest.mark.parametrize("trickle", [True, False], ids=["trickled", "whole"])
async def test_the_command_connects_and_carries_messages(pair, trickle):
    from_us, from_them = mixed(50, pair.largest, seed=7), mixed(50, pair.largest, seed=8)
    async with pair.connected("chat", trickle=trickle):
        at_us, at_them = await pair.exchange("chat", from_us, from_them)
    assert at_us == digests(from_them)
    assert at_them == digests(from_us)


async def test_a_close_of_the_command_reaches_the_peer(pair):
    async with pair.connected("chat"):
        await pair.ours.close()
        await pair.theirs.until_closed("chat")
