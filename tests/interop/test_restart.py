"""New paths for a connection that goes on (ICE restart, RFC 8445 section 2.4), asked for by either side."""

import pytest
from interop_peers.messages import digests, mixed
from interop_peers.signalling import signalling

# Long enough for a browser to check from its new port before it has our answer.
SIGNALLING_DELAY_S = 0.15


@pytest.mark.parametrize("trickle", [True, False], ids=["peer-restarts-trickled", "we-restart-whole"])
async def test_messages_flow_before_during_and_after_a_restart(pair, trickle):
    if not pair.theirs.can_restart:
        pytest.skip(f"{pair.theirs.name} knows no ICE restarts")
    restarting = (pair.theirs, pair.ours) if trickle else (pair.ours, pair.theirs)
    from_us, from_them = mixed(300, pair.largest, seed=9), mixed(300, pair.largest, seed=10)
    async with pair.connected("data", trickle=trickle):
        await pair.ours.send_all("data", from_us[:100])
        async with signalling(*restarting, trickle=trickle, restart=True, delay_s=SIGNALLING_DELAY_S):
            await pair.ours.send_all("data", from_us[100:200])
            await pair.theirs.send_all("data", from_them[:200])
            await pair.ours.until_generation(1)
            await pair.ours.send_all("data", from_us[200:])
            await pair.theirs.send_all("data", from_them[200:])
            at_us = await pair.ours.until_received("data", len(from_them))
            at_them = await pair.theirs.until_received("data", len(from_us))
    assert at_us == digests(from_them)
    assert at_them == digests(from_us)
    assert {state for state, _ in pair.ours.states} == {"new", "connecting", "connected"}
