"""A tone that a peer's microphone hears is the tone that a recording of it plays, without gaps."""

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
CODECS = {"audio": "opus", "video": "VP8"}

av = pytest.importorskip("av", reason="PyAV is not installed")


@pytest.fixture(scope="session", params=[pytest.param(name, marks=pytest.mark.interop) for name in MICROPHONES])
def peer(request, peers):
    """Those that record with a microphone, a fake one."""
    return peers[request.param]


def record(arrivals, path):
    """Write the frames that have come into a file as they are."""
    from sans_rtc_av import Recorder

    with Recorder(path) as recorder:
        tracks = {kind: recorder.add_track(codec) for kind, codec in CODECS.items()}
        for each in arrivals:
            recorder.write(tracks[each.kind], each.data, each.timestamp)


def sound_in(path):
    """The samples of a recording's sound, as one channel."""
    samples = array.array("h")
    with av.open(str(path)) as container:
        mono = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ)
        for frame in container.decode(audio=0):
            for each in mono.resample(frame):
                samples.frombytes(bytes(each.planes[0])[: 2 * each.samples])
    return samples


def pictures_in(path):
    """How many pictures a recording shows."""
    with av.open(str(path)) as container:
        return sum(1 for frame in container.decode(video=0))


async def test_a_recorded_tone_keeps_its_frequency_and_has_no_gaps(theirs, media, tmp_path):
    async with media_between(theirs, media, Case("offers")):
        await media.until_arrived("audio", round(SECONDS * 50))
    path = tmp_path / "call.mkv"
    record(media.arrived, path)
    heard = sound_in(path)[round(SKIPPED_S * SAMPLE_RATE_HZ) :]
    assert len(heard) / SAMPLE_RATE_HZ > SECONDS - SKIPPED_S - 0.2
    assert abs(frequency_of(heard) - TONE_HZ) < HERTZ_OFF_MAX
    assert quietest_share(heard) > QUIETEST_MIN
    assert pictures_in(path) == media.count("video")
