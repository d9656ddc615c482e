"""Messages with a short life: what is given up never arrives in part and holds up nobody (RFC 3758, RFC 8260)."""

import pytest
from interop_peers.messages import Message, digests

COUNT = 30
LIFETIME_MS = 5


@pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "unordered"])
async def test_messages_that_are_given_up_leave_the_others_whole(pair, ordered):
    messages = [Message("b", pair.largest // 2, 1000 * index) for index in range(COUNT)]
    async with pair.connected("reliable"):
        await pair.ours.create_channel("fleeting", ordered=ordered, lifetime_ms=LIFETIME_MS)
        await pair.theirs.until_open("fleeting")
        for end in pair.ends:
            await end.send_all("fleeting", messages)
        await pair.assert_carries("reliable")
        for end in pair.ends:
            arrived = end.received.get("fleeting", [])
            assert set(arrived) <= set(digests(messages))
            assert len(arrived) == len(set(arrived))
        assert len(pair.theirs.received.get("fleeting", [])) < COUNT
