"""Every block of Python in docs/media.md runs after the first one, which all begin with; its figures are the code's."""

import re

import pytest

from sans_rtc.congestion.config import PacerConfig
from sans_rtc.media import MediaConfig
from sans_rtc_net import media_inbox
from tests.docs.pages import ROOT, blocks, run_block

PAGE = (ROOT / "docs" / "media.md").read_text()
FIRST, *BLOCKS = blocks("docs/media.md")


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_example_runs_and_is_quiet_on_stderr(number):
    assert run_block(FIRST + BLOCKS[number]) == (0, [])


def test_bounds_are_those_of_the_code():
    rows = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|", PAGE, re.MULTILINE))
    media, pacer = MediaConfig(), PacerConfig()
    assert rows["frames that nobody takes, per receiver"] == (
        f"{media_inbox.FRAMES_KEPT_MAX} frames, {media_inbox.FRAME_BYTES_KEPT_MAX >> 20} MiB"
    )
    assert rows["packets that nobody takes, per receiver"] == f"{media_inbox.PACKETS_KEPT_MAX:,} packets"
    assert rows["packets that wait for what is missing, per stream"] == (
        f"{media.receive_packets_max:,} packets, {media.receive_bytes_max >> 20} MiB"
    )
    assert rows["how long they wait"] == (
        f"{media.repair_wait_s} s where a repetition may come, {media.reorder_wait_s} s where not"
    )
    assert rows["packets to be sent, per connection"] == (
        f"{pacer.queue_packets_max:,} packets, {pacer.queue_bytes_max >> 20} MiB"
    )
    assert rows["streams of a peer"] == f"{media.inbound_streams_max} SSRCs"
    assert rows["transceivers that the peer has added and nobody took"] == str(media_inbox.INCOMING_COUNT_MAX)
    assert f"every {media.keyframe_interval_s_min} s" in PAGE
