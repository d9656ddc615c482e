"""Slows down whoever asks without proving who it is: so many answers a second to each source, and no more.

A fixed number of token buckets; a source has the one that a keyed digest of its address names. So memory is bounded
whatever the sources, there is nothing to evict, and nobody can choose to share a bucket with somebody else. IPv6
sources are told apart by their /64, for whoever has one of its addresses has all of them.
"""

from __future__ import annotations

import hashlib

from sans_rtc.machine import Address
from sans_rtc.stun.values import host_bytes

_PREFIX_BYTES = 8


class SourceThrottle:
    """Token buckets by source.

    rate_per_s    tokens that come back each second
    burst         tokens that a bucket holds
    bucket_count  buckets there are
    key           up to 64 bytes, secret: decides who shares a bucket
    """

    __slots__ = ("_bucket_count", "_buckets", "_burst", "_key", "_rate_per_s")

    def __init__(self, rate_per_s: float, burst: float, bucket_count: int, key: bytes) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._bucket_count = bucket_count
        self._key = key
        self._buckets: dict[int, tuple[float, float]] = {}  # tokens left, and when that was

    def takes(self, source: Address, now: float) -> bool:
        """Take one token of the source's bucket; False where it is empty."""
        packed = host_bytes(source.host)[:_PREFIX_BYTES]
        digest = hashlib.blake2b(packed, digest_size=8, key=self._key).digest()
        index = int.from_bytes(digest, "big") % self._bucket_count
        left, at = self._buckets.get(index, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._rate_per_s)
        if left < 1.0:
            self._buckets[index] = (left, now)
            return False
        self._buckets[index] = (left - 1.0, now)
        return True

    def __len__(self) -> int:
        return len(self._buckets)
