"""Three layers of one picture from a browser, each a stream of its own with a rid (RFC 8853)."""

import asyncio

import pytest
from interop_peers.media import Case, media_between

LAYERS = (
    {"rid": "q", "scaleResolutionDownBy": 4, "maxBitrate": 100_000},
    {"rid": "h", "scaleResolutionDownBy": 2, "maxBitrate": 250_000},
    {"rid": "f", "scaleResolutionDownBy": 1, "maxBitrate": 600_000},
)
SENDERS = ("chromium", "firefox")
WIDTH, HEIGHT = 960, 540


@pytest.fixture(
    scope="session", params=[pytest.param(name, marks=pytest.mark.interop) for name in ("chromium", "firefox")]
)
def peer(request, peers):
    """Those that send a simulcast."""
    return peers[request.param]


@pytest.fixture
def media(open_media):
    """A connection of this project that only receives: three layers cannot be sent back in one."""
    return open_media(echo="none")


def vp8_size(frame):
    """Width and height in the header of a VP8 keyframe (RFC 6386 section 9.1)."""
    return int.from_bytes(frame[6:8], "little") & 0x3FFF, int.from_bytes(frame[8:10], "little") & 0x3FFF


async def test_three_layers_arrive_by_their_names_and_in_their_sizes(theirs, media):
    async with media_between(theirs, media, Case("offers"), encodings=LAYERS, width=WIDTH, height=HEIGHT):
        for layer in LAYERS:
            await media.until_arrived("video", 3, rid=layer["rid"], timeout_s=30)
        media.request_keyframe("video", rid="f")
        before = media.keyframe_count("video", rid="f")
        await media.until(lambda: media.keyframe_count("video", rid="f") > before, "keyframe of one layer")
        await asyncio.sleep(0.1)
    sizes = {each.rid: vp8_size(each.data) for each in media.arrived if each.kind == "video" and each.is_keyframe}
    assert sizes == {
        layer["rid"]: (WIDTH // layer["scaleResolutionDownBy"], HEIGHT // layer["scaleResolutionDownBy"])
        for layer in LAYERS
    }
