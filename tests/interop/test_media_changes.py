"""What changes while media flow: keyframes asked for, tracks muted, turned round, replaced, added and removed."""

import asyncio

import pytest
from interop_peers.media import Case, media_between, stats_of
from interop_peers.signalling import signalling

SETTLED_S = 0.25
WATCHED_S = 0.4
MUTED_SHARE_MAX = 0.6
TIMEOUT_S = 6.0

KINDS = ("audio", "video")
ROLES = [Case("offers"), Case("answers")]


def needs(theirs, what):
    if what in theirs.lacks:
        pytest.skip(f"{theirs.name} lacks {what}")


def exchange(theirs, media):
    """Let the peer, which has answered, make an offer; or us, where the peer cannot offer then."""
    if "offers after answers" in theirs.lacks:
        return signalling(media, theirs)
    return signalling(theirs, media)


async def grown(read, before, what):
    """Wait until a number of a peer's statistics has grown."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            while (now := await read()) <= before:  # noqa: ASYNC110  # statistics can only be asked for
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise TimeoutError(f"no more {what} than {before} within {TIMEOUT_S} s") from None
    return now


async def decoded(theirs, name="framesDecoded", kind="video"):
    return (await stats_of(theirs)).sum(kind, name)


async def watched(media):
    """How many bytes come of each kind while we watch."""
    await asyncio.sleep(SETTLED_S)
    first = len(media.arrived)
    await asyncio.sleep(WATCHED_S)
    return {kind: sum(len(each.data) for each in media.arrived[first:] if each.kind == kind) for kind in KINDS}


async def test_a_peer_that_is_asked_for_a_keyframe_sends_one(theirs, media):
    async with media_between(theirs, media, ROLES[0]):
        await media.until_arrived("video", 5)
        before = media.keyframe_count("video")
        media.request_keyframe("video")
        await media.until(lambda: media.keyframe_count("video") > before, "keyframe", TIMEOUT_S)


async def test_a_peer_that_asks_for_a_keyframe_gets_one(theirs, media):
    async with media_between(theirs, media, ROLES[1]):
        await media.until_arrived("video", 5)
        await theirs.request("media-prepare", name="video")
        await grown(lambda: decoded(theirs), 0, "frames decoded")
        asked, sent = len(media.keyframe_requests), media.keyframe_count("video")
        await theirs.request("media-request-keyframe", name="video")
        await media.until(lambda: len(media.keyframe_requests) > asked, "request for a keyframe", TIMEOUT_S)
        await media.until(lambda: media.keyframe_count("video") > sent, "keyframe to send back", TIMEOUT_S)
        if "keyFramesDecoded" not in theirs.lacks:
            await grown(lambda: decoded(theirs, "keyFramesDecoded"), 1, "keyframes decoded")


async def test_muted_tracks_become_small_and_grow_again(theirs, media):
    needs(theirs, "media-enable")
    async with media_between(theirs, media, ROLES[0]):
        await media.until_arrived("video", 5)
        loud = await watched(media)
        for kind in KINDS:
            await theirs.request("media-enable", name=kind, on=False)
        muted = await watched(media)
        for kind in KINDS:
            await theirs.request("media-enable", name=kind, on=True)
        again = await watched(media)
    for kind, much in loud.items():
        assert muted[kind] < MUTED_SHARE_MAX * much, (loud, muted, again)
        assert again[kind] > MUTED_SHARE_MAX * much, (loud, muted, again)


async def test_a_direction_that_is_changed_stops_one_way_and_can_be_changed_back(theirs, media):
    needs(theirs, "media-direct")
    async with media_between(theirs, media, ROLES[1]):
        await media.until_arrived("video", 5)
        await theirs.request("media-direct", name="video", direction="recvonly")
        async with exchange(theirs, media):
            assert media.direction("video") == "sendonly"
            arrived = await watched(media)
            assert arrived["video"] == 0
            assert arrived["audio"] > 0
        await theirs.request("media-direct", name="video", direction="sendrecv")
        async with exchange(theirs, media):
            assert media.direction("video") == "sendrecv"
            before = await decoded(theirs)
            await media.until_arrived("video", 5)
            await grown(lambda: decoded(theirs), before, "frames decoded")


async def test_we_turn_a_transceiver_round_and_back(theirs, media):
    async with media_between(theirs, media, ROLES[1]):
        await media.until_arrived("video", 5)
        media.direct("video", "recvonly")
        async with signalling(media, theirs):
            before = await decoded(theirs)
            assert (await watched(media))["video"] > 0
            assert await decoded(theirs) - before < 3
        media.direct("video", "sendrecv")
        async with signalling(media, theirs):
            before = await decoded(theirs)
            await grown(lambda: decoded(theirs), before + 3, "frames decoded")


@pytest.mark.parametrize("case", ROLES, ids=lambda case: f"peer-{case.role}")
async def test_a_track_is_added_and_removed_by_renegotiation(theirs, media, case):
    if case.role == "answers":
        needs(theirs, "offers after answers")
    async with media_between(theirs, media, case):
        await media.until_arrived("video", 5)
        await theirs.request("media-add", name="more", kind="video", codecs=["VP8"])
        async with signalling(theirs, media):
            await media.until_arrived("video", 5, nth=1)
        await theirs.request("media-remove", name="more")
        async with signalling(theirs, media):
            assert media.direction("video", nth=1) in ("sendonly", "inactive")
            before = media.count("video", nth=1)
            assert (await watched(media))["audio"] > 0
            assert media.count("video", nth=1) - before < 3
            before = media.count("video")
            await media.until_arrived("video", 5)


async def test_we_add_a_track_that_the_peer_plays(theirs, media):
    async with media_between(theirs, media, ROLES[0]):
        await media.until_arrived("video", 5)
        before = (await stats_of(theirs)).count("video")
        media.copy("video")
        async with signalling(media, theirs):
            await grown(lambda: streams_decoded(theirs), before, "streams decoded")


async def streams_decoded(theirs):
    return (await stats_of(theirs)).count("video")


async def test_a_replaced_track_needs_no_negotiation(theirs, media):
    needs(theirs, "media-replace")
    async with media_between(theirs, media, ROLES[0]):
        await media.until_arrived("video", 5)
        await theirs.request("media-replace", name="video", source="drawn", width=480, height=360)
        before = await decoded(theirs)
        await media.until_arrived("video", 10)
        await grown(lambda: decoded(theirs), before + 10, "frames decoded")
