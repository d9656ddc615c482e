"""Hello extensions: one table of those this library understands; all others, GREASE included, are kept and ignored.

    struct { ExtensionType extension_type; opaque extension_data<0..2^16-1>; } Extension;    (RFC 5246 section 7.4.1.4)

Browsers shuffle the order, so nothing depends on it.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

import attrs

from sans_rtc.dtls.wire import (
    expect_end,
    parse_uint16_list,
    serialize_uint16_list,
    serialize_vector,
    take_uint,
    take_vector,
)
from sans_rtc.errors import Malformed


class ExtensionType(IntEnum):
    """Numbers from the IANA registry."""

    SUPPORTED_GROUPS = 10
    EC_POINT_FORMATS = 11
    SIGNATURE_ALGORITHMS = 13
    USE_SRTP = 14
    EXTENDED_MASTER_SECRET = 23
    SUPPORTED_VERSIONS = 43
    RENEGOTIATION_INFO = 0xFF01


POINT_FORMAT_UNCOMPRESSED = 0  # RFC 8422 section 5.1.2


@attrs.frozen(slots=True)
class UseSrtp:
    """SRTP protection profiles in order of preference, and the master key identifier (RFC 5764 section 4.1.1)."""

    profiles: tuple[int, ...]
    mki: bytes = b""


@attrs.define(slots=True)
class Extensions:
    """The extensions of a ClientHello or ServerHello; None where one is absent.

    supported_groups        named groups, most preferred first
    ec_point_formats        point formats
    signature_algorithms    signature schemes, most preferred first
    use_srtp                SRTP profiles
    extended_master_secret  b"" where present (it has no content)
    supported_versions      of a ClientHello: versions, most preferred first
    renegotiation_info      the renegotiated_connection field
    unknown                 all others: number and content, in their order
    types                   all numbers in the order they came; filled by parsing only
    """

    supported_groups: tuple[int, ...] | None = None
    ec_point_formats: tuple[int, ...] | None = None
    signature_algorithms: tuple[int, ...] | None = None
    use_srtp: UseSrtp | None = None
    extended_master_secret: bytes | None = None
    supported_versions: tuple[int, ...] | None = None
    renegotiation_info: bytes | None = None
    unknown: tuple[tuple[int, bytes], ...] = ()
    types: tuple[int, ...] = attrs.field(default=(), eq=False)


def _parse_uint16_vector(body: bytes, field: str) -> tuple[int, ...]:
    values, offset = take_vector(body, 0, 2, field, minimum=2)
    expect_end(body, offset, field)
    return parse_uint16_list(values, field)


def _serialize_uint16_vector(values: tuple[int, ...]) -> bytes:
    return serialize_vector(serialize_uint16_list(values), 2)


def _parse_point_formats(body: bytes, field: str) -> tuple[int, ...]:
    formats, offset = take_vector(body, 0, 1, field, minimum=1)
    expect_end(body, offset, field)
    return tuple(formats)


def _serialize_point_formats(formats: tuple[int, ...]) -> bytes:
    return serialize_vector(bytes(formats), 1)


def _parse_use_srtp(body: bytes, field: str) -> UseSrtp:
    profiles, offset = take_vector(body, 0, 2, field, minimum=2)
    mki, offset = take_vector(body, offset, 1, "srtp_mki")
    expect_end(body, offset, field)
    return UseSrtp(parse_uint16_list(profiles, field), mki)


def _serialize_use_srtp(value: UseSrtp) -> bytes:
    return serialize_vector(serialize_uint16_list(value.profiles), 2) + serialize_vector(value.mki, 1)


def _parse_empty(body: bytes, field: str) -> bytes:
    expect_end(body, 0, field)
    return body


def _serialize_empty(value: bytes) -> bytes:
    return b""


def _parse_versions(body: bytes, field: str) -> tuple[int, ...]:
    versions, offset = take_vector(body, 0, 1, field, minimum=2)
    expect_end(body, offset, field)
    return parse_uint16_list(versions, field)


def _serialize_versions(versions: tuple[int, ...]) -> bytes:
    return serialize_vector(serialize_uint16_list(versions), 1)


def _parse_opaque8(body: bytes, field: str) -> bytes:
    value, offset = take_vector(body, 0, 1, field)
    expect_end(body, offset, field)
    return value


def _serialize_opaque8(value: bytes) -> bytes:
    return serialize_vector(value, 1)


class ExtensionRow(NamedTuple):
    """How one extension is read and written.

    field      its attribute of `Extensions`
    parse      from the content and the field's name, raising WireError
    serialize  to the content
    section    where it is specified
    """

    field: str
    parse: Callable[[bytes, str], object]
    serialize: Callable[..., bytes]
    section: str


EXTENSIONS = {
    ExtensionType.EXTENDED_MASTER_SECRET: ExtensionRow(
        "extended_master_secret", _parse_empty, _serialize_empty, "RFC 7627 section 5.1"
    ),
    ExtensionType.RENEGOTIATION_INFO: ExtensionRow(
        "renegotiation_info", _parse_opaque8, _serialize_opaque8, "RFC 5746 section 3.2"
    ),
    ExtensionType.SUPPORTED_GROUPS: ExtensionRow(
        "supported_groups", _parse_uint16_vector, _serialize_uint16_vector, "RFC 8422 section 5.1.1"
    ),
    ExtensionType.EC_POINT_FORMATS: ExtensionRow(
        "ec_point_formats", _parse_point_formats, _serialize_point_formats, "RFC 8422 section 5.1.2"
    ),
    ExtensionType.SIGNATURE_ALGORITHMS: ExtensionRow(
        "signature_algorithms", _parse_uint16_vector, _serialize_uint16_vector, "RFC 5246 section 7.4.1.4.1"
    ),
    ExtensionType.USE_SRTP: ExtensionRow("use_srtp", _parse_use_srtp, _serialize_use_srtp, "RFC 5764 section 4.1.1"),
    ExtensionType.SUPPORTED_VERSIONS: ExtensionRow(
        "supported_versions", _parse_versions, _serialize_versions, "RFC 8446 section 4.2.1"
    ),
}
_ROWS = {int(type_): row for type_, row in EXTENSIONS.items()}


def take_extensions(data: bytes, offset: int) -> Extensions:
    """Read the extensions at the end of a hello; there may be none at all, not even their length.

    Errors  WireError: a known one is malformed, one comes twice, or bytes follow
    """
    extensions = Extensions()
    if offset == len(data):
        return extensions
    block, end = take_vector(data, offset, 2, "extensions")
    expect_end(data, end, "extensions")
    types: list[int] = []
    unknown: list[tuple[int, bytes]] = []
    position = 0
    while position < len(block):  # each round takes four bytes at least
        type_, position = take_uint(block, position, 2, "extension_type")
        body, position = take_vector(block, position, 2, "extension_data")
        # RFC 5246 section 7.4.1.4: "There MUST NOT be more than one extension of the same type."
        if type_ in types:
            raise Malformed(f"the extension {type_} comes twice", field="extension_type", offset=offset + position)
        types.append(type_)
        row = _ROWS.get(type_)
        if row is None:
            unknown.append((type_, body))
        else:
            setattr(extensions, row.field, row.parse(body, row.field))
    extensions.unknown = tuple(unknown)
    extensions.types = tuple(types)
    return extensions


def serialize_extensions(extensions: Extensions) -> bytes:
    """Write the known extensions in the order of the table, then the unknown; b"" where there is none."""
    parts = []
    for type_, row in EXTENSIONS.items():
        value = getattr(extensions, row.field)
        if value is not None:
            parts.append(type_.to_bytes(2, "big") + serialize_vector(row.serialize(value), 2))
    parts += [type_.to_bytes(2, "big") + serialize_vector(body, 2) for type_, body in extensions.unknown]
    return serialize_vector(b"".join(parts), 2) if parts else b""
