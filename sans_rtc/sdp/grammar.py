"""The small rules of RFC 8866 section 9 that the values of lines and attributes share.

Everything here is given text that a stranger wrote: each function returns a value or raises `WireError`.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TypeVar

from sans_rtc.errors import Malformed

_Member = TypeVar("_Member", bound=StrEnum)

# RFC 8866 section 9: token-char, and the ice-char of RFC 8839 section 5.1. `\Z` and not `$`: no newline may follow.
_TOKEN = re.compile(r"[!#-'*+\-.0-9A-Z^-~]+\Z")
_TOKEN_PATH = re.compile(r"[!#-'*+\-.0-9A-Z^-~]+(?:/[!#-'*+\-.0-9A-Z^-~]+)*\Z")
_ICE_CHARS = re.compile(r"[A-Za-z0-9+/]+\Z")
# Sixteen times the digits that any number of SDP needs: Python refuses to convert more than 4300 of them.
_DIGIT_COUNT_MAX = 320


def is_token(text: str) -> bool:
    """True where the text is a token: one or more visible ASCII characters without separators."""
    return _TOKEN.match(text) is not None


def is_ice_text(text: str, length_min: int, length_max: int) -> bool:
    """True where the text is made of ice-chars and its length is within the bounds."""
    return length_min <= len(text) <= length_max and _ICE_CHARS.match(text) is not None


def parse_uint(text: str, field: str, maximum: int) -> int:
    """The value of a run of ASCII digits, 0 to maximum."""
    if not text.isascii() or not text.isdigit() or len(text) > _DIGIT_COUNT_MAX:
        raise Malformed(f"{field} is not a number: {shorten(text)}", field=field)
    value = int(text)
    if value > maximum:
        raise Malformed(f"{field} is above {maximum}: {shorten(text)}", field=field)
    return value


def parse_member(kind: type[_Member], text: str, field: str) -> _Member:
    """The member of an enumeration that the text names, in either case."""
    try:
        return kind(text.strip(" ").lower())
    except ValueError:
        raise Malformed(f"{field} is unknown: {shorten(text)}", field=field) from None


def parse_token(text: str, field: str) -> str:
    """The text itself, where it is a token."""
    if not is_token(text):
        raise Malformed(f"{field} is not a token: {shorten(text)}", field=field)
    return text


def parse_protocol(text: str, field: str) -> str:
    """The text itself, where it is tokens with slashes between them, such as UDP/DTLS/SCTP."""
    if _TOKEN_PATH.match(text) is None:
        raise Malformed(f"{field} is not a protocol: {shorten(text)}", field=field)
    return text


def split_words(text: str, field: str, count_min: int, count_max: int) -> list[str]:
    """The words of a text between spaces, however many spaces there are; their number is checked."""
    words = text.split(" ")
    if "" in words:
        words = [word for word in words if word]
    if not count_min <= len(words) <= count_max:
        raise Malformed(f"{field} has {len(words)} parts: {shorten(text)}", field=field)
    return words


def shorten(text: str) -> str:
    """A text as an error message shows it: quoted, and cut where it is long."""
    return repr(text) if len(text) <= 60 else repr(text[:57] + "...")
