"""Media in the life of a session: data beside them, another path under them, sections that are used again."""

import pytest
from interop_peers.media import Case, media_between, stats_of
from interop_peers.messages import digests, mixed
from interop_peers.signalling import signalling

OFFERS, ANSWERS = Case("offers"), Case("answers")


async def test_messages_and_media_share_a_connection(theirs, media):
    messages = mixed(40, 16_000, seed=21)
    await theirs.create_channel("data")
    async with media_between(theirs, media, OFFERS):
        await theirs.until_open("data")
        await media.until_open("data")
        await media.until_arrived("video", 5)
        await theirs.send_all("data", messages)
        await media.send_all("data", messages)
        assert await media.until_received("data", len(messages)) == digests(messages)
        assert await theirs.until_received("data", len(messages)) == digests(messages)
        await media.until_arrived("video", 5)


async def test_media_go_on_when_the_path_changes(theirs, media):
    if not theirs.can_restart:
        pytest.skip(f"{theirs.name} knows no ICE restarts")
    async with media_between(theirs, media, ANSWERS):
        await media.until_arrived("video", 5)
        media.connection.restart_ice()
        async with signalling(media, theirs):
            await media.until_generation(1)
            before = (await stats_of(theirs)).sum("audio", "packetsReceived")
            await media.until_arrived("video", 5)
            await media.until_arrived("audio", 20)
            assert (await stats_of(theirs)).sum("audio", "packetsReceived") > before


async def test_a_stopped_section_is_used_again(theirs, media):
    if "media-stop" in theirs.lacks:
        pytest.skip(f"{theirs.name} lacks media-stop")
    async with media_between(theirs, media, OFFERS):
        await media.until_arrived("video", 5)
        await theirs.request("media-stop", name="video")
        async with signalling(theirs, media):
            await media.until(lambda: not media.has("video"), "end of the transceiver")
        await theirs.request("media-add", name="again", kind="video", codecs=["VP8"])
        async with signalling(theirs, media):
            await media.until_arrived("video", 5)
        sections = media.connection.remote_description.sdp.count("\nm=")
    assert sections == 2
