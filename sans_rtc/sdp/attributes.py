"""The attributes that the library understands, as one table: name, level, value, and where they are defined.

An attribute that is not in the table is kept as it stands, in its place. Values are parsed when they are asked for, so
that a broken line about something that nobody uses harms nobody.
    deviation: RFC 9429 section 5.8 rejects a description for any malformed line. Here it is rejected for a malformed
    line of the general structure, and for a malformed value of an attribute that is used; `check_attributes` is strict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Flag
from typing import Generic, TypeVar

import attrs

from sans_rtc.errors import Malformed
from sans_rtc.sdp.grammar import is_ice_text, parse_member, parse_token, parse_uint, shorten, split_words
from sans_rtc.sdp.rtp_values import (
    FormatParameters,
    HeaderExtension,
    MediaStreamId,
    Rid,
    RtcpFeedback,
    RtpMap,
    Simulcast,
    SourceAttribute,
    SourceGroup,
)
from sans_rtc.sdp.values import Direction, Fingerprint, Group, RtcpDestination, SctpMap, Setup

Value = TypeVar("Value", covariant=True)

_UINT16_MAX = 65_535
_UINT64_MAX = (1 << 64) - 1
_WORDS_MAX = 4096
_TLS_ID_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_")


class Level(Flag):
    """Where an attribute may stand."""

    SESSION = 1
    MEDIA = 2
    BOTH = 3


def _serialize(value: object) -> str | None:
    return str(value)


@attrs.frozen(slots=True)
class AttributeSpec(Generic[Value]):
    """One row of the table.

    name           the name, in lower case; it is matched in either case
    level          where the attribute may stand
    parse          from the text after the colon ("" without one) to the value; raises WireError
    source         the RFC and its section
    is_repeatable  it may stand several times in one section
    is_inherited   at session level it holds for every media section that has none of its own
    serialize      from the value to the text after the colon; None: the attribute has no colon
    """

    name: str
    level: Level
    parse: Callable[[str], Value]
    source: str
    is_repeatable: bool = False
    is_inherited: bool = False
    serialize: Callable[[object], str | None] = _serialize


def _parse_flag(text: str) -> bool:
    """A flag is true where it stands. RFC 8866 section 5.13: it has no value; one that is there is not looked at."""
    return True


def _serialize_flag(value: object) -> str | None:
    return None


def _parse_text(text: str) -> str:
    return text.strip(" ")


def _parse_mid(text: str) -> str:
    return parse_token(text.strip(" "), "mid")


def _parse_ice_ufrag(text: str) -> str:
    return _parse_ice(text.strip(" "), "ice-ufrag", 4)


def _parse_ice_pwd(text: str) -> str:
    return _parse_ice(text.strip(" "), "ice-pwd", 22)


def _parse_ice(text: str, name: str, length_min: int) -> str:
    if not is_ice_text(text, length_min, 256):
        raise Malformed(f"{name} is not {length_min} to 256 letters, digits, + and /: {shorten(text)}", field=name)
    return text


def _parse_ice_options(text: str) -> tuple[str, ...]:
    options = split_words(text, "ice-options", 1, _WORDS_MAX)
    return tuple(parse_token(option, "ice-options").lower() for option in options)


def _words(value: object) -> str | None:
    assert isinstance(value, tuple)
    return " ".join(value)


def _parse_setup(text: str) -> Setup:
    return parse_member(Setup, text, "setup")


def _parse_tls_id(text: str) -> str:
    value = text.strip(" ")
    if not 20 <= len(value) <= 255 or not _TLS_ID_CHARACTERS.issuperset(value):
        raise Malformed(f"tls-id is not 20 to 255 letters, digits, +, /, - and _: {shorten(text)}", field="tls-id")
    return value


def _parse_sctp_port(text: str) -> int:
    return parse_uint(text.strip(" "), "sctp-port", _UINT16_MAX)


def _parse_max_message_size(text: str) -> int:
    return parse_uint(text.strip(" "), "max-message-size", _UINT64_MAX)


def _parse_milliseconds(text: str) -> int:
    return parse_uint(text.strip(" "), "milliseconds", _UINT64_MAX)


def _flag(name: str, level: Level, source: str, *, is_inherited: bool = False) -> AttributeSpec[bool]:
    return AttributeSpec(name, level, _parse_flag, source, is_inherited=is_inherited, serialize=_serialize_flag)


_S, _M, _B = Level.SESSION, Level.MEDIA, Level.BOTH

# fmt: off
GROUP = AttributeSpec("group", _S, Group.parse, "RFC 5888 5, RFC 9143 5", is_repeatable=True)
MID = AttributeSpec("mid", _M, _parse_mid, "RFC 5888 4")
BUNDLE_ONLY = _flag("bundle-only", _M, "RFC 9143 6")

ICE_LITE = _flag("ice-lite", _S, "RFC 8839 5.3")
ICE_UFRAG = AttributeSpec("ice-ufrag", _B, _parse_ice_ufrag, "RFC 8839 5.4", is_inherited=True)
ICE_PWD = AttributeSpec("ice-pwd", _B, _parse_ice_pwd, "RFC 8839 5.4", is_inherited=True)
ICE_OPTIONS = AttributeSpec("ice-options", _B, _parse_ice_options, "RFC 8839 5.6", is_inherited=True, serialize=_words)
ICE_PACING = AttributeSpec("ice-pacing", _S, _parse_milliseconds, "RFC 8839 5.5")
ICE_MISMATCH = _flag("ice-mismatch", _M, "RFC 8839 5.3")
CANDIDATE = AttributeSpec("candidate", _M, _parse_text, "RFC 8839 5.1", is_repeatable=True)
REMOTE_CANDIDATES = AttributeSpec("remote-candidates", _M, _parse_text, "RFC 8839 5.2")
END_OF_CANDIDATES = _flag("end-of-candidates", _B, "RFC 8840", is_inherited=True)

FINGERPRINT = AttributeSpec("fingerprint", _B, Fingerprint.parse, "RFC 8122 5", is_repeatable=True, is_inherited=True)
SETUP = AttributeSpec("setup", _B, _parse_setup, "RFC 4145 4, RFC 8842 5", is_inherited=True)
TLS_ID = AttributeSpec("tls-id", _B, _parse_tls_id, "RFC 8842 4", is_inherited=True)
IDENTITY = AttributeSpec("identity", _S, _parse_text, "RFC 8827 5", is_repeatable=True)

SCTP_PORT = AttributeSpec("sctp-port", _M, _parse_sctp_port, "RFC 8841 5")
MAX_MESSAGE_SIZE = AttributeSpec("max-message-size", _M, _parse_max_message_size, "RFC 8841 6")
SCTPMAP = AttributeSpec("sctpmap", _M, SctpMap.parse, "draft-ietf-mmusic-sctp-sdp-05", is_repeatable=True)

SENDRECV = _flag("sendrecv", _B, "RFC 8866 6.7", is_inherited=True)
SENDONLY = _flag("sendonly", _B, "RFC 8866 6.7", is_inherited=True)
RECVONLY = _flag("recvonly", _B, "RFC 8866 6.7", is_inherited=True)
INACTIVE = _flag("inactive", _B, "RFC 8866 6.7", is_inherited=True)
RTPMAP = AttributeSpec("rtpmap", _M, RtpMap.parse, "RFC 8866 6.6", is_repeatable=True)
FMTP = AttributeSpec("fmtp", _M, FormatParameters.parse, "RFC 8866 6.15", is_repeatable=True)
PTIME = AttributeSpec("ptime", _M, _parse_milliseconds, "RFC 8866 6.4")
MAXPTIME = AttributeSpec("maxptime", _M, _parse_milliseconds, "RFC 8866 6.5")
RTCP = AttributeSpec("rtcp", _M, RtcpDestination.parse, "RFC 3605 2.1")
RTCP_FB = AttributeSpec("rtcp-fb", _M, RtcpFeedback.parse, "RFC 4585 4.2", is_repeatable=True)
RTCP_MUX = _flag("rtcp-mux", _M, "RFC 5761 5.1.1")
RTCP_MUX_ONLY = _flag("rtcp-mux-only", _M, "RFC 8858 3")
RTCP_RSIZE = _flag("rtcp-rsize", _M, "RFC 5506 5")
RTCP_XR = AttributeSpec("rtcp-xr", _B, _parse_text, "RFC 3611 5.1", is_inherited=True)
EXTMAP = AttributeSpec("extmap", _B, HeaderExtension.parse, "RFC 8285 5", is_repeatable=True, is_inherited=True)
EXTMAP_ALLOW_MIXED = _flag("extmap-allow-mixed", _B, "RFC 8285 6", is_inherited=True)
SSRC = AttributeSpec("ssrc", _M, SourceAttribute.parse, "RFC 5576 4.1", is_repeatable=True)
SSRC_GROUP = AttributeSpec("ssrc-group", _M, SourceGroup.parse, "RFC 5576 4.2", is_repeatable=True)
MSID = AttributeSpec("msid", _M, MediaStreamId.parse, "RFC 8830 2", is_repeatable=True)
RID = AttributeSpec("rid", _M, Rid.parse, "RFC 8851 10", is_repeatable=True)
SIMULCAST = AttributeSpec("simulcast", _M, Simulcast.parse, "RFC 8853 5.1")
# fmt: on

_ROWS: tuple[AttributeSpec[object], ...] = (
    GROUP,
    MID,
    BUNDLE_ONLY,
    ICE_LITE,
    ICE_UFRAG,
    ICE_PWD,
    ICE_OPTIONS,
    ICE_PACING,
    ICE_MISMATCH,
    CANDIDATE,
    REMOTE_CANDIDATES,
    END_OF_CANDIDATES,
    FINGERPRINT,
    SETUP,
    TLS_ID,
    IDENTITY,
    SCTP_PORT,
    MAX_MESSAGE_SIZE,
    SCTPMAP,
    SENDRECV,
    SENDONLY,
    RECVONLY,
    INACTIVE,
    RTPMAP,
    FMTP,
    PTIME,
    MAXPTIME,
    RTCP,
    RTCP_FB,
    RTCP_MUX,
    RTCP_MUX_ONLY,
    RTCP_RSIZE,
    RTCP_XR,
    EXTMAP,
    EXTMAP_ALLOW_MIXED,
    SSRC,
    SSRC_GROUP,
    MSID,
    RID,
    SIMULCAST,
)

ATTRIBUTES: Mapping[str, AttributeSpec[object]] = {row.name: row for row in _ROWS}
"""The table, by name."""

DIRECTIONS: Mapping[AttributeSpec[bool], Direction] = {
    SENDRECV: Direction.SENDRECV,
    SENDONLY: Direction.SENDONLY,
    RECVONLY: Direction.RECVONLY,
    INACTIVE: Direction.INACTIVE,
}
"""The four attributes that say which way media flow."""
