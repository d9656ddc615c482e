"""Serial number arithmetic (RFC 1982): comparing counters that wrap.

With SERIAL_BITS = n, `a` comes before `b` when b - a modulo 2**n lies between 1 and 2**(n-1) - 1. At a distance of
exactly 2**(n-1) the RFC leaves the order undefined; here neither comes before the other.
"""

from __future__ import annotations

MASK_16 = 0xFFFF
MASK_32 = 0xFFFFFFFF
HALF_16 = 0x8000
HALF_32 = 0x80000000


def add_16(serial: int, increment: int) -> int:
    """Add modulo 2**16 (RFC 1982 section 3.1)."""
    return (serial + increment) & MASK_16


def add_32(serial: int, increment: int) -> int:
    """Add modulo 2**32 (RFC 1982 section 3.1)."""
    return (serial + increment) & MASK_32


def is_before_16(left: int, right: int) -> bool:
    """True where left < right in 16-bit serial arithmetic (RFC 1982 section 3.2)."""
    return 0 < (right - left) & MASK_16 < HALF_16


def is_before_32(left: int, right: int) -> bool:
    """True where left < right in 32-bit serial arithmetic (RFC 1982 section 3.2)."""
    return 0 < (right - left) & MASK_32 < HALF_32


def is_before_or_equal_32(left: int, right: int) -> bool:
    """True where left <= right in 32-bit serial arithmetic."""
    return (right - left) & MASK_32 < HALF_32


def distance_32(left: int, right: int) -> int:
    """The signed distance from left to right, -2**31 to 2**31 - 1: add it to left to get right."""
    difference = (right - left) & MASK_32
    return difference - (1 << 32) if difference >= HALF_32 else difference
