"""What SRTP costs: nanoseconds to protect and to unprotect a packet, for each profile; pylibsrtp's beside it.

One thread, in turns burst by burst, the same packets: a header extension of 8 bytes, one SSRC, in order, as they go
to and come from a socket. The figures are processor time, of each stack's best round: a busy machine disturbs a mean.
pylibsrtp is libsrtp behind cffi, and what aiortc calls; it has not RFC 6188's profiles.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

import attrs

from benchmarks.report import Cell, ratio
from sans_rtc.srtp import MasterKey, SrtpProfile, SrtpReceiver, SrtpSender
from sans_rtc.srtp.profile import profile_row

BURST = 50

Transform: TypeAlias = Callable[[bytes], bytes | None]
Ends: TypeAlias = tuple[Transform, Transform]

SIZES_BYTES = (160, 1000, 1200)

_HEADER_EXTENSION = bytes.fromhex("bede0002") + bytes.fromhex("22aabbcc31123410")


@attrs.frozen(slots=True)
class Options:
    """How much is measured: packets in a round, rounds, bytes of an RTP packet."""

    count: int = 2000
    rounds: int = 20
    sizes: Sequence[int] = SIZES_BYTES


def measure(options: Options) -> list[dict[str, Cell]]:
    """One row for each profile and size."""
    return [_row(profile, size, options) for profile in SrtpProfile for size in options.sizes]


def _packet(number: int, payload: bytes) -> bytes:
    fixed = b"\x90\x60" + (number & 0xFFFF).to_bytes(2, "big") + (number * 100).to_bytes(4, "big") + b"abcd"
    return fixed + _HEADER_EXTENSION + payload


HEADER_BYTES = len(_packet(0, b""))


def _row(profile: SrtpProfile, size: int, options: Options) -> dict[str, Cell]:
    payload = os.urandom(max(0, size - HEADER_BYTES))
    packets = [_packet(number, payload) for number in range(options.count)]
    row = profile_row(profile)
    master = MasterKey(os.urandom(row.key_bytes), os.urandom(row.salt_bytes))
    ours, theirs = Times(), Times()
    for _ in range(options.rounds):
        our_ends, their_ends = _our_ends(profile, master), _pylibsrtp_ends(profile, master)
        gc.collect()
        ours.begin_round()
        theirs.begin_round()
        for start in range(0, len(packets), BURST):
            burst = packets[start : start + BURST]
            if their_ends is not None and start // BURST % 2:  # whoever comes second finds the packets in the cache
                theirs.run(their_ends, burst)
            ours.run(our_ends, burst)
            if their_ends is not None and not start // BURST % 2:
                theirs.run(their_ends, burst)
    cells: dict[str, Cell] = {"profile": row.name, "packet_bytes": size}
    for name, our_times, their_times in (
        ("protect", ours.protect_ns, theirs.protect_ns),
        ("unprotect", ours.unprotect_ns, theirs.unprotect_ns),
    ):
        our_ns = min(our_times) / len(packets)
        their_ns = min(their_times) / len(packets) or None
        cells[f"{name}_per_s"] = 1e9 / our_ns
        cells[f"{name}_ns"] = our_ns
        cells[f"pylibsrtp_{name}_ns"] = their_ns
        cells[f"{name}_ratio"] = ratio(our_ns, their_ns)
    return cells


@attrs.define(slots=True)
class Times:
    """Nanoseconds of processor time for each round, of protecting and of unprotecting."""

    protect_ns: list[int] = attrs.Factory(list)
    unprotect_ns: list[int] = attrs.Factory(list)

    def begin_round(self) -> None:
        """What runs from now on counts for another round."""
        self.protect_ns.append(0)
        self.unprotect_ns.append(0)

    def run(self, ends: Ends, burst: Sequence[bytes]) -> None:
        """Take a burst there and back."""
        protect, unprotect = ends
        begun = time.thread_time_ns()
        protected = [protect(packet) for packet in burst]
        sent = time.thread_time_ns()
        opened = [unprotect(data) for data in protected if data is not None]
        done = time.thread_time_ns()
        assert opened == burst
        self.protect_ns[-1] += sent - begun
        self.unprotect_ns[-1] += done - sent


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
