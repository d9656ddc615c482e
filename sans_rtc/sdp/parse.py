"""From text to a session description (RFC 8866 section 5).

Tolerant in form: line ends of LF or CRLF, a missing last line end, empty lines, trailing spaces, any order of lines
within a section, letters of lines that nobody knows, `s=` empty or absent. Strict in substance: the first line is
`v=0`, there is one `o=`, and every `m=`, `o=`, `c=`, `t=`, `b=` and `a=` line has its form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from sans_rtc.errors import Malformed, Truncated, Unsupported, WireError
from sans_rtc.sdp.attributes import ATTRIBUTES
from sans_rtc.sdp.config import DEFAULT_LIMITS, SdpLimits
from sans_rtc.sdp.description import Attribute, Field, Lines, MediaDescription, SessionDescription
from sans_rtc.sdp.grammar import is_token, parse_protocol, parse_token, parse_uint, shorten, split_words
from sans_rtc.sdp.values import Bandwidth, Connection, Origin, Timing

_Value = TypeVar("_Value")

_FORMATS_MAX = 4096
_PORT_MAX = 65_535

# Lines whose form is checked at once; the value is kept as it stands.
_CHECKS: Mapping[str, Callable[[str], object]] = {
    "o": Origin.parse,
    "c": Connection.parse,
    "t": Timing.parse,
    "b": Bandwidth.parse,
}
# RFC 8866 section 5: these belong to the session level. In a media section they tell of two descriptions run together.
_SESSION_ONLY = frozenset("vostruepz")
_SESSION_SINGLE = frozenset("vos")


def parse_description(text: str, limits: SdpLimits = DEFAULT_LIMITS) -> SessionDescription:
    """Parse a whole session description.

    text     the description, with any line ends
    limits   what is too large
    Errors   WireError, whose `offset` is the number of the line, counted from 1
    Source   RFC 8866 sections 5 and 9, RFC 9429 section 5.8
    """
    session = SessionDescription()
    section = session.lines
    counts: dict[str, int] = {}
    for number, line in _split_lines(text, limits):
        letter, value = line[0], line[2:]
        if letter == "m":
            media = _at_line(_parse_media_value, value, number)
            media.line = number
            section = media.lines
            session.media.append(media)
            if len(session.media) > limits.media_count_max:
                raise Unsupported(f"more than {limits.media_count_max} media sections", field="m=", offset=number)
            counts = {}
            continue
        counts[letter] = counts.get(letter, 0) + 1
        _check_place(letter, counts, section is session.lines, number)
        section.items.append(_parse_line(letter, value, number))
        if counts.get("a", 0) > limits.attribute_count_max:
            raise Unsupported(f"more than {limits.attribute_count_max} attributes", field="a=", offset=number)
    if session.lines.field("o") is None:
        raise Truncated("there is no o= line", field="o=")
    return session


def check_attributes(description: SessionDescription) -> None:
    """Parse every attribute that the table knows, and raise `WireError` for one that is malformed."""
    for lines in (description.lines, *(media.lines for media in description.media)):
        names = {item.name.lower() for item in lines.items if isinstance(item, Attribute)}
        for name in names & ATTRIBUTES.keys():
            spec = ATTRIBUTES[name]
            if spec.is_repeatable:
                lines.all(spec)
            else:
                lines.first(spec)


def _split_lines(text: str, limits: SdpLimits) -> list[tuple[int, str]]:
    """The lines that are not empty, with their numbers; each has a letter and an equals sign."""
    if len(text) > limits.characters_max:
        raise Unsupported(f"{len(text)} characters are more than {limits.characters_max}", field="description")
    lines = text.split("\n")  # not splitlines(): it breaks at characters that SDP allows in a value
    if len(lines) > limits.line_count_max + 1:
        raise Unsupported(f"{len(lines)} lines are more than {limits.line_count_max}", field="description")
    found: list[tuple[int, str]] = []
    for number, raw in enumerate(lines, 1):
        line = raw.rstrip("\r")
        if not line.strip():
            continue
        _check_line(line, number, limits)
        if not found and line.rstrip() != "v=0":
            _reject_version(line, number)
        found.append((number, line))
    if not found:
        raise Truncated("the description is empty", field="description", offset=0)
    return found


def _check_line(line: str, number: int, limits: SdpLimits) -> None:
    if len(line) > limits.line_characters_max:
        raise Unsupported(f"line {number} has {len(line)} characters", field="line", offset=number)
    if len(line) < 2 or line[1] != "=" or not (line[0].isascii() and line[0].isalpha()):
        raise Malformed(f"line {number} is not a letter, = and a value: {shorten(line)}", field="line", offset=number)
    if "\0" in line or "\r" in line:
        raise Malformed(f"line {number} holds a NUL or CR: {shorten(line)}", field="line", offset=number)


def _reject_version(line: str, number: int) -> None:
    if line.startswith("v="):
        raise Unsupported(f"line {number}: the version is not 0: {shorten(line)}", field="v=", offset=number)
    raise Malformed(f"line {number}: the first line is not v=0: {shorten(line)}", field="v=", offset=number)


def _check_place(letter: str, counts: dict[str, int], is_session: bool, number: int) -> None:
    if not is_session and letter in _SESSION_ONLY:
        raise Malformed(f"line {number}: {letter}= in a media section", field=f"{letter}=", offset=number)
    if is_session and letter in _SESSION_SINGLE and counts[letter] > 1:
        raise Malformed(f"line {number}: a second {letter}=", field=f"{letter}=", offset=number)


def _parse_line(letter: str, value: str, number: int) -> Field | Attribute:
    if letter != "a":
        check = _CHECKS.get(letter)
        if check is not None:
            _at_line(check, value, number)
        return Field(letter, value, number)
    name, colon, rest = value.partition(":")
    if not colon:
        name = name.rstrip(" ")
    if not is_token(name):
        raise Malformed(f"line {number}: an attribute without a name: {shorten(value)}", field="a=", offset=number)
    return Attribute(name, rest if colon else None, number)


def _parse_media_value(value: str) -> MediaDescription:
    kind, port, protocol, *formats = split_words(value, "m=", 4, _FORMATS_MAX)
    port, slash, count = port.partition("/")
    return MediaDescription(
        parse_token(kind, "m= media"),
        parse_uint(port, "m= port", _PORT_MAX),
        parse_protocol(protocol, "m= protocol"),
        [parse_token(format_, "m= format") for format_ in formats],
        Lines(),
        parse_uint(count, "m= number of ports", _PORT_MAX) if slash else None,
    )


def _at_line(parse: Callable[[str], _Value], value: str, number: int) -> _Value:
    """Parse a value and name the line in the error."""
    try:
        return parse(value)
    except WireError as error:
        raise type(error)(f"line {number}: {error}", field=error.field, offset=number) from None
