"""Credentials of STUN: OpaqueString, keys, USERHASH and the nonce cookie (RFC 8489 sections 9.1, 9.2, 14.4).

short-term   ICE: the key is the password
long-term    TURN and some STUN servers: the key is a digest of user name, realm and password
"""

from __future__ import annotations

import hashlib
import unicodedata
from enum import IntEnum

from sans_rtc.errors import InvalidArgument

# The longest text that is prepared: beyond what any attribute can carry (763 bytes) nothing is worth normalising.
TEXT_CHARACTERS_MAX = 1024


class PasswordAlgorithm(IntEnum):
    """STUN Password Algorithms registry (RFC 8489 section 18.5)."""

    MD5 = 0x0001
    SHA256 = 0x0002


def opaque_string(text: str) -> str:
    """Prepare a credential by the OpaqueString profile (RFC 8265 section 4.2): spaces mapped, NFC, case kept.

    InvalidArgument for empty text and for characters that the FreeformClass disallows: control characters, lone
    surrogates, private use, unassigned code points, and those that are ignored in display.
    deviation: contextual rules (RFC 8264 section 5.4: joiners, Hangul jamo) are not evaluated; joiners are refused.
    """
    if text.isascii() and text.isprintable() and text:
        return text
    if not 0 < len(text) <= TEXT_CHARACTERS_MAX:
        raise InvalidArgument(f"a credential of {len(text)} characters")
    mapped = "".join([" " if unicodedata.category(char) == "Zs" else char for char in text])
    prepared = unicodedata.normalize("NFC", mapped)
    for char in prepared:
        if unicodedata.category(char) in _DISALLOWED_CATEGORIES or ord(char) in _IGNORABLE:
            raise InvalidArgument(f"U+{ord(char):04X} has no place in a credential")
    return prepared


# RFC 8264 section 4.3.3: FreeformClass disallows controls, unassigned, and ignorable code points. Cf holds the
# joiners, soft hyphen and bidi marks; Co and Cs are never allowed; Zl and Zp are separators with a control's effect.
_DISALLOWED_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
# RFC 8264 section 9.13, PrecisIgnorableProperties, as far as their category is not in the set above.
_IGNORABLE = frozenset({0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0, *range(0xFE00, 0xFE10)})


def short_term_key(password: str) -> bytes:
    """The key of the short-term mechanism: the prepared password (RFC 8489 section 9.1.1)."""
    return opaque_string(password).encode()


def long_term_key(
    username: str, realm: str, password: str, algorithm: PasswordAlgorithm = PasswordAlgorithm.MD5
) -> bytes:
    """The key of the long-term mechanism: a digest of `username:realm:password`, each prepared.

    16 bytes for MD5 (RFC 8489 section 18.5.1.1), 32 for SHA-256 (18.5.1.2).
    """
    text = ":".join((opaque_string(username), opaque_string(realm), opaque_string(password))).encode()
    if algorithm == PasswordAlgorithm.MD5:
        # The protocol's own choice and no secret of ours rests on collisions; FIPS builds refuse MD5 otherwise.
        return hashlib.md5(text, usedforsecurity=False).digest()
    return hashlib.sha256(text).digest()


def userhash(username: str, realm: str) -> bytes:
    """The value of USERHASH, which hides the user name: SHA-256 of `username:realm` (RFC 8489 section 14.4)."""
    return hashlib.sha256(f"{opaque_string(username)}:{opaque_string(realm)}".encode()).digest()
