"""What the tests of codecs share: the way over RTP, how alike two pictures are, what a sound's frequency is."""

import array
import math
import os

import pytest

from sans_rtc.rtp.payload import codecs_named
from sans_rtc.testing import SeededEntropy

os.environ.setdefault("SVT_LOG", "1")


@pytest.fixture
def over_rtp():
    """over_rtp(codec_name) -> a function that takes a frame through packets and gives it back."""

    def make(codec_name, payload_bytes_max=1100):
        codec = codecs_named(codec_name)[0]
        packetizer = codec.new_packetizer(codec.parameters, SeededEntropy(1))
        depacketizer = codec.new_depacketizer(codec.parameters)

        def carry(frame):
            payloads = packetizer.packetize(frame, payload_bytes_max=payload_bytes_max)
            assert all(len(payload) <= payload_bytes_max for payload in payloads)
            return depacketizer.depacketize(payloads)

        return carry

    return make


@pytest.fixture
def psnr():
    """psnr(picture, picture) -> dB of the luma; inf for equal ones."""
    from sans_rtc_av import planes_of_picture

    def compare(one, other):
        a, b = planes_of_picture(one)[0][::7], planes_of_picture(other)[0][::7]
        error = sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) / len(a)
        return 10 * math.log10(255**2 / error) if error else math.inf

    return compare


@pytest.fixture
def frequency_of():
    """frequency_of(samples of 16 bits, rate, channels) -> Hz by rising zero crossings, of the first channel."""

    def measure(samples, sample_rate, channels=1):
        values = array.array("h", samples)[::channels]
        crossings = [n for n in range(1, len(values)) if values[n - 1] < 0 <= values[n]]
        return sample_rate * (len(crossings) - 1) / (crossings[-1] - crossings[0])

    return measure


@pytest.fixture
def quietest_of():
    """quietest_of(samples, rate, channels) -> the least peak of all pieces of 10 ms: a gap shows as 0."""

    def measure(samples, sample_rate, channels=1):
        values = array.array("h", samples)[::channels]
        piece = sample_rate // 100
        return min(max(map(abs, values[n : n + piece])) for n in range(0, len(values) - piece, piece))

    return measure
