"""Channels of every kind open at both ends with the same options, whoever makes them."""

import pytest

OPTIONS = {
    "reliable": {"protocol": "chat"},
    "unordered": {"ordered": False},
    "no retransmission": {"ordered": False, "max_retransmits": 0},
    "three retransmissions": {"max_retransmits": 3},
    "half a second": {"lifetime_ms": 500},
}
"""label: how it is made"""


def seen(channel):
    names = ("ordered", "maxRetransmits", "maxPacketLifeTime", "protocol")
    return {name: channel.get(name) for name in names}


def expected(*, ordered=True, max_retransmits=None, lifetime_ms=None, protocol=""):
    return {
        "ordered": ordered,
        "maxRetransmits": max_retransmits,
        "maxPacketLifeTime": lifetime_ms,
        "protocol": protocol,
    }


async def test_channels_made_before_and_after_connecting_open_with_their_options(pair):
    for label, options in OPTIONS.items():
        await pair.offerer.create_channel(label, **options)
    async with pair.connected("first"):
        for label, options in OPTIONS.items():
            await pair.answerer.create_channel(f"{label} too", **options)
        for label, options in OPTIONS.items():
            assert seen(await pair.answerer.until_open(label)) == expected(**options)
            assert seen(await pair.offerer.until_open(f"{label} too")) == expected(**options)
            await pair.assert_carries(label)


async def test_channel_ids_agree_and_tell_who_is_the_dtls_client(pair):
    async with pair.connected("from the offerer"):
        await pair.answerer.create_channel("from the answerer")
        ids = {}
        for label in ("from the offerer", "from the answerer"):
            ids[label] = {(await end.until_open(label))["id"] for end in pair.ends}
        assert [len(both) for both in ids.values()] == [1, 1]
        # RFC 8832 section 6: the DTLS client takes the even ones; the answerer is the client (RFC 8842 section 5.3).
        assert ids["from the offerer"].pop() % 2 == 1
        assert ids["from the answerer"].pop() % 2 == 0


@pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "unordered"])
async def test_a_negotiated_channel_carries_messages_without_an_announcement(pair, ordered):
    async with pair.connected("agreed", negotiated=100, ordered=ordered):
        await pair.assert_carries("agreed")
        assert {end.channels["agreed"]["id"] for end in pair.ends} == {100}
