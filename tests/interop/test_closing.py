"""An end that one side makes is seen by the other, soon and whole."""

from interop_peers.messages import digests, mixed


async def test_a_channel_that_we_close_closes_at_the_peer(pair):
    async with pair.connected("data"):
        await pair.ours.close_channel("data")
        for end in pair.ends:
            await end.until_closed("data")


async def test_a_channel_that_the_peer_closes_closes_here(pair):
    async with pair.connected("data"):
        await pair.theirs.close_channel("data")
        for end in pair.ends:
            await end.until_closed("data")


async def test_other_channels_live_on_and_a_new_one_opens(pair):
    async with pair.connected("stays"):
        await pair.ours.create_channel("goes")
        await pair.theirs.until_open("goes")
        await pair.theirs.close_channel("goes")
        await pair.ours.until_closed("goes")
        await pair.ours.create_channel("comes")
        await pair.theirs.until_open("comes")
        for label in ("stays", "comes"):
            await pair.assert_carries(label)


async def test_what_we_sent_before_closing_a_channel_still_arrives(pair):
    messages = mixed(50, pair.largest, seed=5)
    async with pair.connected("data"):
        await pair.ours.send_all("data", messages)
        await pair.ours.close_channel("data")
        assert await pair.theirs.until_received("data", len(messages)) == digests(messages)
        await pair.theirs.until_closed("data")


async def test_what_we_sent_before_closing_the_connection_still_arrives(pair):
    messages = mixed(50, pair.largest, seed=6)
    async with pair.connected("data"):
        await pair.ours.send_all("data", messages)
        await pair.ours.close()
        assert await pair.theirs.until_received("data", len(messages)) == digests(messages)
        await pair.theirs.until_closed("data")


async def test_a_connection_that_the_peer_closes_ends_here(pair):
    async with pair.connected("data"):
        await pair.theirs.close()
        await pair.ours.until_closed("data")
        await pair.ours.until_state("closed")
