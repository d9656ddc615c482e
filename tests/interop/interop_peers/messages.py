"""The messages of a test: made from three numbers by every peer, in every language, and compared by hash.

noise    512 KiB from x = x * 1664525 + 1013904223 mod 2**32, x starting at 1, the highest byte of each x
binary   a slice of the noise
text     the same slice in 64 letters; where the offset is divisible by 3, nine bytes outside ASCII come first
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

NOISE_SIZE = 1 << 19
ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
PREFIX = "é€😀"  # two, three and four bytes of UTF-8


class Message(NamedTuple):
    """kind "t" for text or "b" for binary, the size in bytes, and where in the noise it begins."""

    kind: str
    size: int
    offset: int


class Digest(NamedTuple):
    """What a peer says of a message that it has received."""

    kind: str
    size: int
    sha256: str  # the first 16 hexadecimal digits


@cache
def _noise() -> tuple[bytes, bytes]:
    x, noise = 1, bytearray(NOISE_SIZE)
    for index in range(NOISE_SIZE):
        x = (x * 1664525 + 1013904223) & 0xFFFFFFFF
        noise[index] = x >> 24
    return bytes(noise), bytes(noise).translate(bytes(ALPHABET[byte & 63] for byte in range(256)))


def content(message: Message) -> bytes | str:
    """Make the message: `str` for text."""
    kind, size, offset = message
    noise, text = _noise()
    if kind == "b":
        return noise[offset : offset + size]
    prefix = PREFIX if size >= len(PREFIX.encode()) and offset % 3 == 0 else ""
    return prefix + text[offset : offset + size - len(prefix.encode())].decode()


def digest(data: bytes | str) -> Digest:
    """Hash a message as it was received."""
    kind, octets = ("t", data.encode()) if isinstance(data, str) else ("b", data)
    return Digest(kind, len(octets), hashlib.sha256(octets).hexdigest()[:16])


def digests(messages: Sequence[Message]) -> list[Digest]:
    """Say what should arrive."""
    return [digest(content(message)) for message in messages]


def mixed(count: int, largest: int, *, seed: int) -> list[Message]:
    """Make `count` messages: text, binary and empty, one byte to `largest`.

    Most fit one packet and a few are as large as may be: about 2.5 MB for a thousand with a largest of 256 KiB.
    """
    chance = random.Random(seed)
    sizes = list(_sizes(count, largest))
    chance.shuffle(sizes)
    return [Message(chance.choice("tb"), size, chance.randrange(NOISE_SIZE - size)) for size in sizes]


def _sizes(count: int, largest: int) -> Iterator[int]:
    rare = [(largest, 3), (65_535, 4), (16_384, 20), (1_200, 40), (1_150, 40), (1, 20), (0, 20)]
    spent = 0
    for size, per_thousand in rare:
        share = max(1, count * per_thousand // 1000)
        spent += share
        yield from [min(size, largest)] * share
    yield from (1 + index % 1_000 for index in range(count - spent))
