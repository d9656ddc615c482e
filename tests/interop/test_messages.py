"""A thousand messages both ways at once arrive unchanged: text, binary and empty, 1 B to 256 KiB."""

from interop_peers.messages import Message, digests, mixed

COUNT = 1000


async def test_a_thousand_messages_both_ways_arrive_in_order(pair):
    from_us, from_them = mixed(COUNT, pair.largest, seed=1), mixed(COUNT, pair.largest, seed=2)
    async with pair.connected("data"):
        at_us, at_them = await pair.exchange("data", from_us, from_them)
    assert at_us == digests(from_them)
    assert at_them == digests(from_us)


async def test_a_thousand_messages_both_ways_arrive_in_any_order(pair):
    from_us, from_them = mixed(COUNT, pair.largest, seed=3), mixed(COUNT, pair.largest, seed=4)
    async with pair.connected("data", ordered=False, trickle=False):
        at_us, at_them = await pair.exchange("data", from_us, from_them)
    assert sorted(at_us) == sorted(digests(from_them))
    assert sorted(at_them) == sorted(digests(from_us))


async def test_every_kind_of_message_comes_back_as_it_went(pair):
    messages = [Message(kind, size, 3) for kind in "tb" for size in (0, 1, 9, 1200, pair.largest)]
    async with pair.connected("data"):
        await pair.theirs.echo("data")
        await pair.ours.send_all("data", messages)
        came_back = await pair.ours.until_received("data", len(messages))
    assert came_back == digests(messages)


async def test_we_echo_every_kind_of_message(pair):
    messages = [Message(kind, size, 3) for kind in "tb" for size in (0, 1, 9, 1200, pair.largest)]
    async with pair.connected("data"):
        await pair.ours.echo("data")
        await pair.theirs.send_all("data", messages)
        came_back = await pair.theirs.until_received("data", len(messages))
    assert came_back == digests(messages)
