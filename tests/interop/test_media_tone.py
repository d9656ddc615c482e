"""A tone that a peer's microphone hears is the tone that comes out here, without gaps."""

import array

import pytest
from interop_peers.media import Case, media_between
from interop_peers.tone import SAMPLE_RATE_HZ, TONE_HZ, frequency_of, quietest_share

MICROPHONES = ("chromium", "firefox", "aiortc")
SECONDS = 2.0
# The encoder settles in the first packets.
SKIPPED_S = 0.5
HERTZ_OFF_MAX = 2.0
QUIETEST_MIN = 0.5

pytest.importorskip("av", reason="PyAV is not installed")


def decoded_sound(frames):
    """The first channel of what Opus frames hold."""
    from sans_rtc_av import new_decoder
    from sans_rtc_av.frames import samples_of_sound

    decoder = new_decoder("opus")
    samples = array.array("h")
    for frame in frames:
        for sound in decoder.decode(frame.data, frame.timestamp):
            samples.extend(array.array("h", samples_of_sound(sound))[:: len(sound.layout.channels)])
    return samples


@pytest.fixture(
    scope="session", params=[pytest.param(n, marks=pytest.mark.interop) for n in ("chromium", "firefox", "aiortc")]
)
def peer(request, peers):
    """Those that record with a microphone, a fake one."""
    return peers[request.param]


async def test_a_tone_keeps_its_frequency_and_has_no_gaps(theirs, media):
    async with media_between(theirs, media, Case("offers")):
        await media.until_arrived("audio", round(SECONDS * 50))
    frames = [each for each in media.arrived if each.kind == "audio"]
    samples = decoded_sound(frames)
    heard = samples[round(SKIPPED_S * SAMPLE_RATE_HZ) :]
    assert len(heard) / SAMPLE_RATE_HZ > SECONDS - SKIPPED_S - 0.2
    assert abs(frequency_of(heard) - TONE_HZ) < HERTZ_OFF_MAX
    assert quietest_share(heard) > QUIETEST_MIN
