"""Which cases of media are tried with which peer."""

from __future__ import annotations

from itertools import product

from interop_peers.media import Case
from sans_rtc.srtp.profile import SrtpProfile

ROLES = ("offers", "answers")
LOSS = 0.05

SHA1_80, SHA1_32 = SrtpProfile.AES128_CM_SHA1_80, SrtpProfile.AES128_CM_SHA1_32
GCM_128, GCM_256 = SrtpProfile.AEAD_AES_128_GCM, SrtpProfile.AEAD_AES_256_GCM

# What each peer has besides what this project has: video codecs, and SRTP profiles.
CODECS = {
    "chromium": ("VP8", "VP9", "AV1", "H264"),
    "firefox": ("VP8", "VP9", "AV1"),
    "aiortc": ("VP8", "H264"),
    "pion": ("VP8", "H264"),
}
PROFILES = {
    "chromium": (SHA1_80, GCM_128, GCM_256),
    "firefox": (SHA1_80, SHA1_32, GCM_128, GCM_256),
    "aiortc": (SHA1_80, GCM_128, GCM_256),
    "pion": (SHA1_80, GCM_128),
}


def cases_in_table(peer: str) -> list[Case]:
    """Every codec, every profile, and losses, in both roles."""
    cases = [Case(role, codec) for role, codec in product(ROLES, CODECS[peer])]
    cases += [Case(role, profile=profile) for role, profile in product(ROLES, PROFILES[peer])]
    cases += [Case(role, codec, loss=LOSS) for role, codec in product(ROLES, CODECS[peer])]
    return [*cases, *(Case(role, loss=loss, echo="packets") for role, loss in product(ROLES, (0.0, LOSS)))]


def cases_in_tests(peer: str) -> list[Case]:
    """Every codec and every profile once, the roles taking turns; losses; packets that are forwarded."""
    count = max(len(CODECS[peer]), len(PROFILES[peer]))
    pairs = [(CODECS[peer][n % len(CODECS[peer])], PROFILES[peer][n % len(PROFILES[peer])]) for n in range(count)]
    cases = [Case(ROLES[n % 2], codec, profile) for n, (codec, profile) in enumerate(pairs)]
    cases += [Case(ROLES[1], echo="packets"), Case(ROLES[0], loss=LOSS), Case(ROLES[1], loss=LOSS, echo="packets")]
    return cases
