"""The numbers of a session: which payload type means which format, and which id which header extension.

RFC 9143 section 9.1: within a BUNDLE group one payload type means one format. A number that was said once, by either
end, keeps its meaning for as long as the session lasts, unless the peer gives it another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import TypeAlias

import attrs

from sans_rtc.errors import InvalidArgument, WireError
from sans_rtc.peer.media_config import FEC_NAMES
from sans_rtc.peer.media_terms import RTX, Format, MediaTerms
from sans_rtc.rtp.payload.interface import Codec

# RFC 3551 section 6 leaves 96 to 127 to descriptions; RFC 5761 section 4 lets 35 to 63 be used beside RTCP.
PAYLOAD_TYPES = (*range(96, 128), *range(35, 64))
# RFC 8285 section 4.2: the one-byte form has ids 1 to 14, the two-byte form the others.
EXTENSION_IDS = (*range(1, 15), *range(16, 256))

_CACHED_CHARACTERS_MAX = 256

FormatKey: TypeAlias = tuple[object, ...]


def codec_key(codec: Codec) -> FormatKey:
    """What makes a format of ours another one than the others."""
    return (codec.name.lower(), codec.clock_rate, codec.channels, codec.parameters)


def correction_key(name: str, clock_rate: int) -> FormatKey:
    """What makes a format of error correction another one than the others, whatever its parameters."""
    return (name, clock_rate, 1, "fec")


def match(codecs: Iterable[Codec], format_: Format) -> tuple[Codec, str] | None:
    """The first of our formats that a format of the peer's is compatible with, and what an answer says of it."""
    name = format_.name.lower()
    for codec in codecs:
        if (codec.clock_rate, codec.channels) != (format_.clock_rate, format_.channels) or codec.name.lower() != name:
            continue
        negotiate = _negotiate_again if len(format_.parameters) <= _CACHED_CHARACTERS_MAX else _negotiate
        answer = negotiate(codec.negotiate, codec.parameters, format_.parameters)
        if answer is not None:
            return codec, answer
    return None


def _negotiate(negotiate: Callable[[str, str], str | None], ours: str, theirs: str) -> str | None:
    try:
        return negotiate(ours, theirs)
    except (WireError, InvalidArgument):
        return None  # RFC 9429 section 5.10: what is not supported is ignored


# A conference offers the same formats in each of its hundreds of sections.
_negotiate_again = lru_cache(maxsize=512)(_negotiate)


def _key_of(format_: Format) -> FormatKey:
    """Of a format of the peer's that is no codec of ours."""
    name = format_.name.lower()
    if name in FEC_NAMES:
        return correction_key(name, format_.clock_rate)
    return (name, format_.clock_rate, format_.channels, format_.parameters, "theirs")


@attrs.define(slots=True)
class Numbering:
    """The numbers that have a meaning."""

    _formats: dict[int, FormatKey] = attrs.field(factory=dict)
    _payload_types: dict[FormatKey, int] = attrs.field(factory=dict)
    _uris: dict[int, str] = attrs.field(factory=dict)
    _ids: dict[str, int] = attrs.field(factory=dict)

    def copy(self) -> Numbering:
        """Another one with the same numbers."""
        return Numbering(dict(self._formats), dict(self._payload_types), dict(self._uris), dict(self._ids))

    def note(self, terms: MediaTerms, codecs: Iterable[Codec]) -> None:
        """Note the numbers of a description of the peer's: from now on they mean what it says."""
        keys: dict[int, FormatKey] = {}
        codecs = tuple(codecs)
        for format_ in terms.formats:
            if format_.apt is None:
                matched = match(codecs, format_)
                keys[format_.payload_type] = _key_of(format_) if matched is None else codec_key(matched[0])
        for format_ in terms.formats:
            if format_.apt is not None:
                keys[format_.payload_type] = (RTX, keys.get(format_.apt, ()))
        for number, key in keys.items():
            self._bind(number, key)
        for extension in terms.extensions:
            self._bind_extension(extension.id, extension.uri)

    def _bind(self, number: int, key: FormatKey) -> None:
        before = self._formats.get(number)
        if before is not None and before != key and self._payload_types.get(before) == number:
            del self._payload_types[before]
        self._formats[number] = key
        self._payload_types.setdefault(key, number)

    def _bind_extension(self, number: int, uri: str) -> None:
        before = self._uris.get(number)
        if before is not None and before != uri and self._ids.get(before) == number:
            del self._ids[before]
        self._uris[number] = uri
        self._ids.setdefault(uri, number)

    def payload_type(self, key: FormatKey, static: int | None = None) -> int | None:
        """The payload type of a format, a new one where it has none; None where none is left."""
        known = self._payload_types.get(key)
        if known is not None:
            return known
        choices = PAYLOAD_TYPES if static is None else (static, *PAYLOAD_TYPES)
        number = next((number for number in choices if number not in self._formats), None)
        if number is not None:
            self._bind(number, key)
        return number

    def extension_id(self, uri: str) -> int | None:
        """The id of a header extension, a new one where it has none; None where none is left."""
        known = self._ids.get(uri)
        if known is not None:
            return known
        number = next((number for number in EXTENSION_IDS if number not in self._uris), None)
        if number is not None:
            self._bind_extension(number, uri)
        return number


def conflict(earlier: Mapping[int, FormatKey], terms: MediaTerms) -> int | None:
    """The first payload type of a section that means another format elsewhere in the group (RFC 9143 section 9.1)."""
    for format_ in terms.formats:
        key = (format_.name.lower(), format_.clock_rate, format_.channels)
        if earlier.get(format_.payload_type, key) != key:
            return format_.payload_type
    return None
