"""The sound that fake microphones record: one tone, so that its frequency and its gaps can be measured elsewhere."""

from __future__ import annotations

import math
import statistics
import struct
import wave
from collections.abc import Sequence
from pathlib import Path

TONE_HZ = 440
SAMPLE_RATE_HZ = 48_000
AMPLITUDE = 8_000


def write_tone(path: Path) -> Path:
    """Write one second of the tone, which can be repeated without a seam: whole periods."""
    samples = [round(AMPLITUDE * math.sin(2 * math.pi * TONE_HZ * n / SAMPLE_RATE_HZ)) for n in range(SAMPLE_RATE_HZ)]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return path


def frequency_of(samples: Sequence[float]) -> float:
    """The frequency of a tone, hertz, by its zero crossings upwards: exact to a share of a period in all of it."""
    crossings = [n for n in range(1, len(samples)) if samples[n - 1] < 0 <= samples[n]]
    return (len(crossings) - 1) * SAMPLE_RATE_HZ / (crossings[-1] - crossings[0])


def quietest_share(samples: Sequence[float], window: int = SAMPLE_RATE_HZ // 100) -> float:
    """The loudness of the quietest 10 ms, as a share of the median: near 1 for a tone, 0 where there is a gap."""
    levels = [sum(map(abs, samples[at : at + window])) for at in range(0, len(samples) - window, window)]
    return min(levels) / statistics.median(levels)
