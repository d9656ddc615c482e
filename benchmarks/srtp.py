"""What SRTP costs: nanoseconds to protect and to unprotect a packet, for each profile; pylibsrtp's beside it.

One thread, in turns, the same packets: video with a header extension of 8 bytes, one SSRC, in order, in bursts, as they
go to and come from a socket; the figures are those of the median burst, for a busy machine disturbs a mean. pylibsrtp
is libsrtp behind cffi, and what aiortc calls; it has not RFC 6188's profiles.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import TypeAlias

import attrs

from benchmarks.report import Cell, ratio
from sans_rtc.srtp import MasterKey, SrtpProfile, SrtpReceiver, SrtpSender
from sans_rtc.srtp.profile import profile_row

BURST = 50

Transform: TypeAlias = Callable[[bytes], bytes | None]
Ends: TypeAlias = tuple[Transform, Transform]

_HEADER_EXTENSION = bytes.fromhex("bede0002") + bytes.fromhex("22aabbcc31123410")


@attrs.frozen(slots=True)
class Options:
    """How much is measured: packets in a round, rounds, payload bytes of a packet."""

    count: int = 10_000
    rounds: int = 5
    size: int = 1200


def measure(options: Options) -> list[dict[str, Cell]]:
    """One row for each profile."""
    payload = os.urandom(options.size)
    packets = [_packet(number, payload) for number in range(options.count)]
    return [_row(profile, packets, options) for profile in SrtpProfile]


def _packet(number: int, payload: bytes) -> bytes:
    fixed = b"\x90\x60" + (number & 0xFFFF).to_bytes(2, "big") + (number * 100).to_bytes(4, "big") + b"abcd"
    return fixed + _HEADER_EXTENSION + payload


def _row(profile: SrtpProfile, packets: Sequence[bytes], options: Options) -> dict[str, Cell]:
    row = profile_row(profile)
    master = MasterKey(os.urandom(row.key_bytes), os.urandom(row.salt_bytes))
    ours, theirs = Times(), Times()
    for _ in range(options.rounds):
        our_ends, their_ends = _our_ends(profile, master), _pylibsrtp_ends(profile, master)
        gc.collect()
        for start in range(0, len(packets), BURST):
            burst = packets[start : start + BURST]
            if their_ends is not None and start // BURST % 2:  # whoever comes second finds the packets in the cache
                theirs.run(their_ends, burst)
            ours.run(our_ends, burst)
            if their_ends is not None and not start // BURST % 2:
                theirs.run(their_ends, burst)
    cells: dict[str, Cell] = {"profile": row.name}
    for name, our_times, their_times in (
        ("protect", ours.protect_ns, theirs.protect_ns),
        ("unprotect", ours.unprotect_ns, theirs.unprotect_ns),
    ):
        our_ns = median(our_times)
        their_ns = median(their_times) if their_times else None
        cells[f"{name}_per_s"] = 1e9 / our_ns
        cells[f"{name}_ns"] = our_ns
        cells[f"pylibsrtp_{name}_ns"] = their_ns
        cells[f"{name}_ratio"] = ratio(our_ns, their_ns)
    return cells


@attrs.define(slots=True)
class Times:
    """Nanoseconds for each packet of each burst, protected and unprotected."""

    protect_ns: list[float] = attrs.Factory(list)
    unprotect_ns: list[float] = attrs.Factory(list)

    def run(self, ends: Ends, burst: Sequence[bytes]) -> None:
        """Take a burst there and back."""
        protect, unprotect = ends
        begun = time.perf_counter_ns()
        protected = [protect(packet) for packet in burst]
        sent = time.perf_counter_ns()
        opened = [unprotect(data) for data in protected if data is not None]
        done = time.perf_counter_ns()
        assert opened == burst
        self.protect_ns.append((sent - begun) / len(burst))
        self.unprotect_ns.append((done - sent) / len(burst))


def _our_ends(profile: SrtpProfile, master: MasterKey) -> Ends:
    return SrtpSender(profile, master).protect_rtp, SrtpReceiver(profile, master).unprotect_rtp


def _pylibsrtp_ends(profile: SrtpProfile, master: MasterKey) -> Ends | None:
    """None where pylibsrtp is not installed or has not the profile."""
    try:
        from pylibsrtp import Policy, Session
    except ImportError:
        return None
    number = {
        SrtpProfile.AES128_CM_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
        SrtpProfile.AES128_CM_SHA1_32: Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
        SrtpProfile.AEAD_AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
        SrtpProfile.AEAD_AES_256_GCM: Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    }.get(profile)
    if number is None:
        return None
    key = master.key + master.salt
    sender = Session(Policy(key=key, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=number))
    receiver = Session(Policy(key=key, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=number))
    return sender.protect, receiver.unprotect
