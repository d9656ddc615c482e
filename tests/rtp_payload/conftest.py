"""What the payload tests share: vectors, frames of every video format, ways to lose payloads."""

import json
from pathlib import Path

import pytest

from sans_rtc.rtp.payload import codecs_named
from sans_rtc.testing import SeededEntropy

VECTORS = Path(__file__).parents[2] / "rfc-vectors" / "rtp-payload"

# Fixture name -> file of vectors.
FILES = {
    "vp8_vector": "vp8", "vp9_vector": "vp9", "h264_vector": "h264", "h265_vector": "h265", "av1_vector": "av1",
    "opus_vector": "opus", "audio_vector": "audio",
}  # fmt: skip


def pytest_generate_tests(metafunc):
    for fixture, stem in FILES.items():
        if fixture in metafunc.fixturenames:
            vectors = json.loads((VECTORS / f"{stem}.json").read_text())["vectors"]
            metafunc.parametrize(fixture, vectors, ids=[f"{v['section']} {v['name']}" for v in vectors])


@pytest.fixture
def codec_of():
    """codec_of(name): the first row of this name."""
    return lambda name: codecs_named(name)[0]


@pytest.fixture
def packetizer_of():
    """packetizer_of(codec): one for the codec's own parameters, with known entropy."""
    return lambda codec: codec.new_packetizer(codec.parameters, SeededEntropy(1))
