"""From a session description to text: strict, with CRLF at every line end (RFC 8866 section 5)."""

from __future__ import annotations

from sans_rtc.errors import InvalidArgument
from sans_rtc.sdp.description import Attribute, Field, MediaDescription, SessionDescription
from sans_rtc.sdp.grammar import shorten


def serialize_description(description: SessionDescription) -> str:
    """The text of a description.

    Effects  none; lines come out in the order that they have
    Errors   InvalidArgument where a value holds a line end or NUL, which would forge lines
    """
    lines = [_line(item) for item in description.lines.items]
    for media in description.media:
        lines.append(_media_line(media))
        lines += [_line(item) for item in media.lines.items]
    for line in lines:
        if "\n" in line or "\r" in line or "\0" in line:
            raise InvalidArgument(f"a line of a description holds a line end or NUL: {shorten(line)}")
    return "\r\n".join([*lines, ""])


def _line(item: Field | Attribute) -> str:
    if isinstance(item, Field):
        return f"{item.type}={item.value}"
    return f"a={item.name}" if item.value is None else f"a={item.name}:{item.value}"


def _media_line(media: MediaDescription) -> str:
    port = str(media.port) if media.port_count is None else f"{media.port}/{media.port_count}"
    return " ".join((f"m={media.kind}", port, media.protocol, *media.formats))
