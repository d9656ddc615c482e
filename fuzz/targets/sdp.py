"""Session descriptions: lines, sections, and every attribute that has a form."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.codec import VECTORS, check_codec, refuse, text_of
from sans_rtc.sdp import check_attributes, parse_description, serialize_description


def run(data: bytes) -> None:
    """The bytes are a description in UTF-8."""
    description = check_codec(parse_description, serialize_description, text_of(data))
    if description is not None:
        refuse(check_attributes, description)


def seeds() -> Iterator[bytes]:
    """The descriptions of the RFCs and of other stacks."""
    for path in sorted((VECTORS / "sdp").glob("*.sdp")):
        yield path.read_bytes()
