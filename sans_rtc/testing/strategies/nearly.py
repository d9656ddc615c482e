"""Nearly valid: what a broken or hostile peer might send in place of a valid message.

`nearly` damages bytes of any protocol without knowing it; the modules of the protocols add what takes knowledge, such
as an attribute twice. What these strategies give is *nearly* always invalid: some damage leaves a valid message.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

U8 = st.integers(0, 0xFF)
U16 = st.integers(0, 0xFFFF)
U32 = st.integers(0, 0xFFFFFFFF)
U64 = st.integers(0, 0xFFFFFFFFFFFFFFFF)
"""Unsigned integers of so many bits."""

_EDGES = (0, 1, 3, 4, 0x7F, 0x80, 0xFF)
_DAMAGES_MAX = 3


def _cut(draw: DrawFn, data: bytes) -> bytes:
    return data[: draw(st.integers(0, max(0, len(data) - 1)))]


def _extend(draw: DrawFn, data: bytes) -> bytes:
    return data + draw(st.binary(min_size=1, max_size=24))


def _flip(draw: DrawFn, data: bytes) -> bytes:
    damaged = bytearray(data or b"\0")
    damaged[draw(st.integers(0, len(damaged) - 1))] ^= 1 << draw(st.integers(0, 7))
    return bytes(damaged)


def _set_to_edge(draw: DrawFn, data: bytes) -> bytes:
    """One or two bytes that may be a field become a number at the edge of its range."""
    at, size = draw(st.integers(0, len(data))), draw(st.integers(1, 2))
    edge = bytes(draw(st.sampled_from(_EDGES)) for _ in range(size))
    return data[:at] + edge + data[at + size :]


def _repeat(draw: DrawFn, data: bytes) -> bytes:
    """A part stands there twice: for many formats an element twice."""
    start, end = sorted((draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))))
    return data[:end] + data[start:end] + data[end:]


def _swap(draw: DrawFn, data: bytes) -> bytes:
    """Two neighbouring parts change places."""
    first, second, third = sorted(draw(st.integers(0, len(data))) for _ in range(3))
    return data[:first] + data[second:third] + data[first:second] + data[third:]


def _drop(draw: DrawFn, data: bytes) -> bytes:
    start, end = sorted((draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))))
    return data[:start] + data[end:]


_DAMAGES: tuple[Callable[[DrawFn, bytes], bytes], ...] = (_cut, _extend, _flip, _set_to_edge, _repeat, _swap, _drop)


@st.composite
def nearly(draw: DrawFn, valid: SearchStrategy[bytes]) -> bytes:
    """Valid bytes, damaged up to three times: cut, extended, bits flipped, fields at an edge, parts doubled or swapped.

    valid  a strategy of valid messages
    """
    data = draw(valid)
    for _ in range(draw(st.integers(1, _DAMAGES_MAX))):
        data = draw(st.sampled_from(_DAMAGES))(draw, data)
    return data


@st.composite
def nearly_lines(draw: DrawFn, valid: SearchStrategy[str]) -> str:
    """A valid text of lines, damaged: lines doubled, left out, moved, cut, or with a word replaced.

    valid  a strategy of texts whose lines end in CRLF
    """
    lines = draw(valid).split("\r\n")
    for _ in range(draw(st.integers(1, _DAMAGES_MAX))):
        at = draw(st.integers(0, len(lines) - 1))
        line = lines[at]
        match draw(st.integers(0, 5)):
            case 0:
                lines.insert(draw(st.integers(0, len(lines))), line)
            case 1:
                lines[at : at + 1] = [] if len(lines) > 1 else [""]
            case 2:
                lines.insert(draw(st.integers(0, len(lines) - 1)), lines.pop(at))
            case 3:
                lines[at] = line[: draw(st.integers(0, len(line)))]
            case 4:
                lines[at] = line[:2] + draw(st.text(max_size=20))
            case _:
                words = line.split(" ")
                words[draw(st.integers(0, len(words) - 1))] = draw(st.sampled_from(_WORDS))
                lines[at] = " ".join(words)
    return "\r\n".join(lines)


_WORDS = ("", "0", "-1", "65536", "4294967296", "x", "a=", "*", "999999999999999999999", "\x00", "ä")
