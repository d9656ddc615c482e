"""The loop closed: pacing, estimates by each kind of feedback, probes, shares of encodings."""

import pytest

from sans_rtc.media import (
    SenderBitrateChanged,
    TargetBitrateChanged,
)
from sans_rtc.testing import LinkConditions

CAPACITY_BPS = 1_500_000


def run_loop(pair, media, seconds, *, feedback, extensions, conditions=None):
    """An encoder that follows its share over a link of a limited rate; returns the pair and (now, target)."""
    codec = media.video_codec(feedback=feedback)
    video = media.video_section(ssrc=0xB1, codec=codec, extensions=extensions)
    other = media.video_section(ssrc=0xB5, codec=codec, extensions=extensions)
    conditions = conditions or LinkConditions(delay_s=0.025, rate_bytes_s=CAPACITY_BPS / 8, queue_bytes=60_000)
    pair = pair(sections=[video], other_sections=[other], conditions=conditions)
    targets = []
    share = 300_000
    index = 0
    while pair.elapsed_s < seconds:
        for event in pair.link.events[0]:
            if isinstance(event, SenderBitrateChanged):
                share = event.bitrate_bps
            elif isinstance(event, TargetBitrateChanged):
                targets.append((pair.elapsed_s, event.bitrate_bps))
        pair.link.events[0].clear()
        pair.send(0, media.VIDEO, media.vp8(index % 300 == 0, max(int(share / 30 / 8), 50), index), index * 3000)
        index += 1
        pair.link.run_for(1 / 30)
    return pair, targets


@pytest.mark.parametrize("kind", ["transport-cc", "ack ccfb"])
def test_target_converges_to_the_capacity_with_a_short_queue(pair, media, kind):
    feedback = frozenset(("nack", "nack pli", kind))
    pair, targets = run_loop(pair, media, 20.0, feedback=feedback, extensions=media.EXTENSIONS)
    late = [target for at, target in targets if at > 10.0] or [targets[-1][1]]
    assert 0.7 * CAPACITY_BPS < sum(late) / len(late) < 1.1 * CAPACITY_BPS
    received = pair.b.stats.bytes_received * 8 / pair.elapsed_s
    assert received > 0.6 * CAPACITY_BPS
    frames = [frame for frame in pair.frames(1) if frame.received_at > pair.now - 10.0]
    delays = [frame.received_at - (frame.timestamp - frames[0].timestamp) / 90000 for frame in frames]
    assert max(delays) - min(delays) < 0.3
