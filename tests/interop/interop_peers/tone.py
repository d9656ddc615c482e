"""The sound that fake microphones record: one tone, so that its frequency and its gaps can be measured elsewhere."""

from __future__ import annotations

import math
import struct
import wave
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
