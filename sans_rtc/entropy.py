"""Entropy as an argument: the core never asks the system for random bytes.

Every machine takes `entropy: Callable[[int], bytes]`. Keys, nonces, identifiers and cookies are made of it, so that
the same entropy, calls and times give the same output bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from sans_rtc.errors import InvalidArgument

Entropy: TypeAlias = Callable[[int], bytes]
"""Returns the asked number of bytes, unpredictable to everybody else (tests and replays aside)."""

# RFC 8839 section 5.1: ice-char, the alphabet of ICE credentials; 64 letters, so 6 bits each without bias.
ICE_CHARS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def draw_uint(entropy: Entropy, bits: int) -> int:
    """Draw an unsigned integer of the given number of bits (a multiple of 8)."""
    if bits <= 0 or bits % 8:
        raise InvalidArgument(f"bits must be a positive multiple of 8, not {bits}")
    return int.from_bytes(entropy(bits // 8), "big")


def draw_below(entropy: Entropy, limit: int) -> int:
    """Draw an integer from 0 to limit - 1. The bias is below 2**-64: eight bytes more are drawn than needed."""
    if limit <= 0:
        raise InvalidArgument(f"limit must be positive, not {limit}")
    return int.from_bytes(entropy((limit.bit_length() + 7) // 8 + 8), "big") % limit


def draw_fraction(entropy: Entropy) -> float:
    """Draw a float from 0.0 up to, not including, 1.0, with 53 bits."""
    return (int.from_bytes(entropy(8), "big") >> 11) / (1 << 53)


def draw_text(entropy: Entropy, length: int, alphabet: str = ICE_CHARS) -> str:
    """Draw text of `length` characters from an alphabet whose size divides 256 (no bias)."""
    if 256 % len(alphabet):
        raise InvalidArgument("the alphabet's size must divide 256")
    return "".join([alphabet[byte % len(alphabet)] for byte in entropy(length)])
