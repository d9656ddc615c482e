"""A session description as lines in order: what is understood is reached by type, what is not is kept.

    SessionDescription
      lines   o=, s=, t=, a= and the rest of the session level
      media   MediaDescription, one for each m= line
        lines   c=, a= and the rest of that section

Line numbers count from 1 and are told as the `offset` of an error; two lines that differ in nothing else are equal.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import attrs

from sans_rtc.errors import Malformed, WireError
from sans_rtc.sdp.attributes import (
    BUNDLE_ONLY,
    CANDIDATE,
    DIRECTIONS,
    GROUP,
    ICE_LITE,
    MID,
    AttributeSpec,
)
from sans_rtc.sdp.values import Connection, Direction, Group, Origin

Value = TypeVar("Value")


@attrs.define(slots=True)
class Field:
    """A line that is not an attribute: its letter, and the text after the equals sign as it stands."""

    type: str
    value: str
    line: int = attrs.field(default=0, eq=False)


@attrs.define(slots=True)
class Attribute:
    """An `a=` line: its name, and the text after the colon as it stands; None where there is no colon."""

    name: str
    value: str | None = None
    line: int = attrs.field(default=0, eq=False)


@attrs.define(slots=True)
class Lines:
    """The lines of one section, in order."""

    items: list[Field | Attribute] = attrs.field(factory=list)

    def field(self, type: str) -> Field | None:
        """The first line of a type other than `a`."""
        return next((item for item in self.items if isinstance(item, Field) and item.type == type), None)

    def attributes(self, name: str) -> Iterator[Attribute]:
        """The attributes of a name, in either case, in order."""
        return iter(self._named(name))

    def _named(self, name: str) -> list[Attribute]:
        # Most names have another length, which costs less to see than that they are others.
        size = len(name)
        return [
            item
            for item in self.items
            if type(item) is Attribute and len(item.name) == size and item.name.lower() == name
        ]

    def has(self, spec: AttributeSpec[object]) -> bool:
        """True where the attribute stands here."""
        return bool(self._named(spec.name))

    def first(self, spec: AttributeSpec[Value]) -> Value | None:
        """The value of an attribute that stands once; None where it does not. Two that contradict are an error."""
        found = self._named(spec.name)
        if not found:
            return None
        value = _parse_value(spec, found[0])
        if not spec.is_repeatable:
            for other in found[1:]:
                if other.value != found[0].value:
                    raise Malformed(
                        f"line {other.line}: a second, different a={spec.name}", field=spec.name, offset=other.line
                    )
        return value

    def all(self, spec: AttributeSpec[Value]) -> list[Value]:
        """The values of an attribute that may stand several times, in order."""
        return [_parse_value(spec, attribute) for attribute in self._named(spec.name)]

    def add(self, spec: AttributeSpec[Value], value: Value) -> None:
        """Append an attribute."""
        self.items.append(Attribute(spec.name, spec.serialize(value)))

    def add_field(self, type: str, value: object) -> None:
        """Append a line that is not an attribute."""
        self.items.append(Field(type, str(value)))


def _parse_value(spec: AttributeSpec[Value], attribute: Attribute) -> Value:
    try:
        return spec.parse(attribute.value or "")
    except WireError as error:
        raise type(error)(
            f"line {attribute.line}: {error}", field=error.field or spec.name, offset=attribute.line
        ) from None


@attrs.define(slots=True)
class MediaDescription:
    """One media section: its `m=` line taken apart, and its other lines (RFC 8866 section 5.14).

    kind        "audio", "video", "application"
    port        0 to 65535; 0 in an offer disables, in an answer rejects (RFC 3264 sections 6 and 8.2)
    protocol    such as "UDP/DTLS/SCTP"
    formats     payload types, or "webrtc-datachannel"
    port_count  the number after the port's slash, where there is one
    """

    kind: str
    port: int
    protocol: str
    formats: list[str]
    lines: Lines = attrs.field(factory=Lines)
    port_count: int | None = None
    line: int = attrs.field(default=0, eq=False)

    @property
    def mid(self) -> str | None:
        """The name of this section in this session (RFC 5888 section 4)."""
        return self.lines.first(MID)

    @property
    def is_bundle_only(self) -> bool:
        """True where the section may live in its BUNDLE group only, and so has port 0 (RFC 9143 section 6)."""
        return self.lines.has(BUNDLE_ONLY)

    @property
    def is_disabled(self) -> bool:
        """True where port 0 means that the section is not used."""
        return self.port == 0 and not self.is_bundle_only

    @property
    def connection(self) -> Connection | None:
        """The section's own `c=` line."""
        return _connection(self.lines)

    @property
    def direction(self) -> Direction | None:
        """The section's own direction."""
        return _direction(self.lines)

    @property
    def candidates(self) -> list[str]:
        """The ICE candidates as `sans_rtc.ice.candidate.parse_candidate` takes them: "candidate:..."."""
        return [f"candidate:{value}" for value in self.lines.all(CANDIDATE)]


@attrs.define(slots=True)
class SessionDescription:
    """A whole description: what stands before the first `m=` line, and the media sections."""

    lines: Lines = attrs.field(factory=Lines)
    media: list[MediaDescription] = attrs.field(factory=list)

    @property
    def origin(self) -> Origin:
        """Who made the description, and its version."""
        field = self.lines.field("o")
        if field is None:
            raise Malformed("there is no o= line", field="o=")
        return Origin.parse(field.value)

    @property
    def session_name(self) -> str:
        """The `s=` line; "-" where it is missing or empty, which is how RFC 9429 writes a name that means nothing."""
        field = self.lines.field("s")
        return (field.value.strip() if field is not None else "") or "-"

    @property
    def is_ice_lite(self) -> bool:
        """True where the author only answers ICE checks (RFC 8839 section 5.3)."""
        return self.lines.has(ICE_LITE)

    @property
    def bundle_groups(self) -> list[Group]:
        """The BUNDLE groups, in order."""
        return [group for group in self.lines.all(GROUP) if group.semantics.upper() == "BUNDLE"]

    def index_of(self, mid: str) -> int | None:
        """Where the media section of this name stands, counted from 0."""
        return next((index for index, media in enumerate(self.media) if media.mid == mid), None)

    def effective(self, media: MediaDescription, spec: AttributeSpec[Value]) -> Value | None:
        """The value that holds for a media section: its own, else the session's where the attribute is inherited."""
        if media.lines.has(spec) or not spec.is_inherited:
            return media.lines.first(spec)
        return self.lines.first(spec)

    def effective_all(self, media: MediaDescription, spec: AttributeSpec[Value]) -> list[Value]:
        """As `effective`, for an attribute that may stand several times; any at media level hide the session's."""
        if media.lines.has(spec) or not spec.is_inherited:
            return media.lines.all(spec)
        return self.lines.all(spec)

    def effective_direction(self, media: MediaDescription) -> Direction:
        """The direction that holds for a media section; sendrecv where none is given (RFC 8866 section 6.7)."""
        return media.direction or _direction(self.lines) or Direction.SENDRECV

    def effective_connection(self, media: MediaDescription) -> Connection | None:
        """The default destination of a media section: its own `c=` line, else the session's."""
        return media.connection or _connection(self.lines)


def _connection(lines: Lines) -> Connection | None:
    field = lines.field("c")
    return None if field is None else Connection.parse(field.value)


def _direction(lines: Lines) -> Direction | None:
    return next((direction for spec, direction in DIRECTIONS.items() if lines.has(spec)), None)
