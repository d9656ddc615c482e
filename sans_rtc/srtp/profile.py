"""Protection profiles: which cipher, which tag, how long the keys are.

AES_CM_128_HMAC_SHA1_80 and _32 are RFC 3711's own (section 5, RFC 5764 section 4.1.2), the 256-bit ones RFC 6188's,
AEAD_AES_128_GCM and _256_GCM those of RFC 7714 (section 12).
deviation: RFC 3711 section 5.1 has the NULL cipher mandatory to implement; here there is none, for WebRTC never sends
media in the clear and what cannot be chosen cannot be chosen by mistake.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from sans_rtc.errors import InvalidArgument


class SrtpProfile(IntEnum):
    """The profiles by their numbers in DTLS (RFC 5764 section 4.1.2, RFC 7714 section 14.2).

    RFC 6188 gives AES-256 in counter mode names for SDES only; 3 and 4 are what drafts of DTLS-SRTP had, and what other
    stacks that know them use. They suit keys that were agreed upon elsewhere: DTLS does not offer them unless told to.
    """

    AES128_CM_SHA1_80 = 0x0001
    AES128_CM_SHA1_32 = 0x0002
    AES256_CM_SHA1_80 = 0x0003
    AES256_CM_SHA1_32 = 0x0004
    AEAD_AES_128_GCM = 0x0007
    AEAD_AES_256_GCM = 0x0008


class ProfileRow(NamedTuple):
    """What a profile means.

    key_bytes       of the master key and of the session encryption key
    salt_bytes      of the master salt and of the session salt
    rtp_tag_bytes   of an RTP packet's authentication tag
    rtcp_tag_bytes  of an RTCP packet's
    is_aead         AES-GCM; otherwise AES in counter mode with HMAC-SHA1
    name            as RFC 4568 and RFC 7714 spell it
    """

    key_bytes: int
    salt_bytes: int
    rtp_tag_bytes: int
    rtcp_tag_bytes: int
    is_aead: bool
    name: str


# The _32 profiles keep 80 bits for RTCP: RFC 3711 section 5.2 forbids less there.
PROFILES = {
    SrtpProfile.AES128_CM_SHA1_80: ProfileRow(16, 14, 10, 10, False, "AES_CM_128_HMAC_SHA1_80"),
    SrtpProfile.AES128_CM_SHA1_32: ProfileRow(16, 14, 4, 10, False, "AES_CM_128_HMAC_SHA1_32"),
    SrtpProfile.AES256_CM_SHA1_80: ProfileRow(32, 14, 10, 10, False, "AES_256_CM_HMAC_SHA1_80"),
    SrtpProfile.AES256_CM_SHA1_32: ProfileRow(32, 14, 4, 10, False, "AES_256_CM_HMAC_SHA1_32"),
    SrtpProfile.AEAD_AES_128_GCM: ProfileRow(16, 12, 16, 16, True, "AEAD_AES_128_GCM"),
    SrtpProfile.AEAD_AES_256_GCM: ProfileRow(32, 12, 16, 16, True, "AEAD_AES_256_GCM"),
}


def profile_row(profile: int) -> ProfileRow:
    """Look a profile up by its number; InvalidArgument where this library does not have it."""
    row = PROFILES.get(profile)  # type: ignore[call-overload]  # an int finds the IntEnum it equals
    if row is None:
        raise InvalidArgument(f"there is no SRTP profile {profile}; known are {sorted(map(int, PROFILES))}")
    return row  # type: ignore[no-any-return]  # as above
