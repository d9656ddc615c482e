"""Peers that want audio and video beside data get the data: media sections are rejected, not the offer."""

import pytest
from interop_peers.pair import Pair
from interop_peers.signalling import signalling


@pytest.fixture
def pair(ours, theirs):
    """The foreign peer offers: who answers cannot ask for media."""
    if not theirs.can_be_denied_media:
        pytest.skip(f"{theirs.name} takes no answer that rejects media")
    return Pair(ours, theirs, offerer=theirs, answerer=ours)


async def test_an_offer_with_media_is_answered_with_data_alone(pair):
    await pair.theirs.add_media()
    async with pair.connected("data"):
        await pair.assert_carries("data")


async def test_an_offer_that_adds_media_later_leaves_the_data_flowing(pair):
    async with pair.connected("data"):
        await pair.theirs.add_media()
        async with signalling(pair.theirs, pair.ours):
            await pair.assert_carries("data")
        await pair.ours.create_channel("another")
        await pair.theirs.until_open("another")
        await pair.assert_carries("another")
