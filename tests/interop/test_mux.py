"""Peers that this project did not write, all at once on one UDP port of ours."""

import asyncio
import os
from contextlib import AsyncExitStack

import pytest
from interop_peers.local import LocalSession
from interop_peers.pair import Pair
from interop_peers.processes import Missing

from sans_rtc_asyncio import PeerConnection
from sans_rtc_asyncio.mux import UdpMux

pytestmark = pytest.mark.interop

NAMES = ("chromium", "firefox", "pion")


@pytest.fixture
def visitors(peers, run, network):
    """A fresh connection of each foreign peer; those that are not installed are left out."""
    sessions, missing = [], []
    for name in NAMES:
        host = peers[name]
        try:
            if host.needs_namespace:
                network.require_alone()
            sessions.append(run(host.open_session()))
        except Missing as reason:
            missing.append(f"{name}: {reason}")
    if missing and os.environ.get("SANS_RTC_REQUIRE_INTEROP") == "1":
        pytest.fail("; ".join(missing))
    if len(sessions) < 2:
        pytest.skip("; ".join(missing))
    yield sessions
    for session in sessions:
        run(session.end())


def local_session(mux):
    session = LocalSession(PeerConnection(mux=mux))
    session._start(session._report_states())
    session._start(session._report_channels())
    return session


@pytest.mark.parametrize("is_ours_offering", [False, True], ids=["peers-offer", "peers-answer"])
async def test_browsers_and_pion_share_one_port_of_ours(visitors, run, is_ours_offering):
    async with UdpMux(bind="127.0.0.1") as mux, AsyncExitStack() as stack:
        pairs = []
        for theirs in visitors:
            ours = local_session(mux)
            stack.push_async_callback(ours.end)
            offerer, answerer = (ours, theirs) if is_ours_offering else (theirs, ours)
            pairs.append(Pair(ours, theirs, offerer, answerer))
        for pair in pairs:
            await stack.enter_async_context(pair.connected("data"))
        await asyncio.gather(*(pair.assert_carries("data") for pair in pairs))
        selected = [pair.ours.connection.explain().ice.selected.path for pair in pairs]
        assert {path.local for path in selected} == set(mux.local_addresses)
        assert len({path.remote for path in selected}) == len(pairs)
        await pairs[0].ours.close()
        for pair in pairs[1:]:
            await pair.ours.create_channel("more")
            for end in pair.ends:
                await end.until_open("more")
        await asyncio.gather(*(pair.assert_carries("more") for pair in pairs[1:]))
