"""A stream of frames as packets: each payload names its frame and its place, so that a wrong frame shows."""

import random

import pytest

from sans_rtc.rtp.wire import RtpPacket

FRAME_TICKS = 3000  # 30 frames a second at 90 kHz


def video(sizes, *, first=0, timestamp=0, ssrc=0x1234, payload_bytes=20):
    """Frames of so many packets as a list of lists of RtpPacket; the first byte of a payload is 1 where one begins."""
    frames = []
    number = first
    for index, size in enumerate(sizes):
        frames.append([])
        for part in range(size):
            head = bytes([part == 0]) + f"{index}/{part}/{size} ".encode()
            frames[-1].append(
                RtpPacket(
                    96,
                    number & 0xFFFF,
                    (timestamp + index * FRAME_TICKS) & 0xFFFFFFFF,
                    ssrc,
                    head.ljust(payload_bytes, b"."),
                    marker=part == size - 1,
                )
            )
            number += 1
    return frames


def begins_and_ends(packet):
    """The boundaries of `video`."""
    return packet.payload[0] == 1, packet.marker


@pytest.fixture(scope="session")
def make_video():
    return video


@pytest.fixture(scope="session")
def boundaries():
    return begins_and_ends


@pytest.fixture(scope="session")
def make_random():
    return random.Random
