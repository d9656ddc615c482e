"""The values of the attributes that describe RTP: formats, feedback, header extensions, streams, simulcast.

Kept and understood in descriptions with audio and video, whoever will send the media.
"""

from __future__ import annotations

import re
from typing import Literal

import attrs

from sans_rtc.errors import Malformed
from sans_rtc.sdp.grammar import parse_member, parse_token, parse_uint, shorten, split_words
from sans_rtc.sdp.values import Direction

_UINT32_MAX = (1 << 32) - 1
_PAYLOAD_TYPE_MAX = 127  # seven bits of the RTP header, RFC 3550 section 5.1
_EXTENSION_ID_MAX = 4351  # RFC 8285 section 5: 1 to 14 or 255, and 4096 to 4351 for "more than can be numbered"
_WORDS_MAX = 4096
_RID = re.compile(r"[A-Za-z0-9_-]+\Z")

RidDirection = Literal["send", "recv"]


@attrs.frozen(slots=True)
class RtpMap:
    """What a payload type stands for (RFC 8866 section 6.6)."""

    payload_type: int
    encoding: str
    clock_rate: int
    parameters: str | None = None

    @classmethod
    def parse(cls, text: str) -> RtpMap:
        """Take the value of an `a=rtpmap` attribute."""
        payload_type, mapping = split_words(text, "rtpmap", 2, 2)
        encoding, _, rest = mapping.partition("/")
        clock_rate, slash, parameters = rest.partition("/")
        return cls(
            parse_uint(payload_type, "rtpmap payload type", _PAYLOAD_TYPE_MAX),
            parse_token(encoding, "rtpmap encoding"),
            parse_uint(clock_rate, "rtpmap clock rate", _UINT32_MAX),
            parse_token(parameters, "rtpmap parameters") if slash else None,
        )

    def __str__(self) -> str:
        text = f"{self.payload_type} {self.encoding}/{self.clock_rate}"
        return text if self.parameters is None else f"{text}/{self.parameters}"


@attrs.frozen(slots=True)
class FormatParameters:
    """The parameters of one format, whose syntax the format decides (RFC 8866 section 6.15)."""

    format: str
    parameters: str

    @classmethod
    def parse(cls, text: str) -> FormatParameters:
        """Take the value of an `a=fmtp` attribute."""
        format_, _, parameters = text.strip(" ").partition(" ")
        if not parameters:
            raise Malformed(f"fmtp has no parameters: {shorten(text)}", field="fmtp")
        return cls(parse_token(format_, "fmtp format"), parameters)

    @property
    def values(self) -> dict[str, str]:
        """The parameters as names and values, where they are written `name=value;name=value`; a bare name has ""."""
        pairs = (part.strip().partition("=") for part in self.parameters.split(";"))
        return {name: value for name, _, value in pairs if name}

    def __str__(self) -> str:
        return f"{self.format} {self.parameters}"


@attrs.frozen(slots=True)
class RtcpFeedback:
    """A kind of RTCP feedback for one payload type, or for all of them: None (RFC 4585 section 4.2)."""

    payload_type: int | None
    type: str
    parameter: str | None = None

    @classmethod
    def parse(cls, text: str) -> RtcpFeedback:
        """Take the value of an `a=rtcp-fb` attribute."""
        payload_type, kind, *parameters = split_words(text, "rtcp-fb", 2, _WORDS_MAX)
        return cls(
            None if payload_type == "*" else parse_uint(payload_type, "rtcp-fb payload type", _PAYLOAD_TYPE_MAX),
            parse_token(kind, "rtcp-fb type"),
            " ".join(parameters) or None,
        )

    def __str__(self) -> str:
        text = f"{'*' if self.payload_type is None else self.payload_type} {self.type}"
        return text if self.parameter is None else f"{text} {self.parameter}"


@attrs.frozen(slots=True)
class HeaderExtension:
    """The number that an RTP header extension has in this session (RFC 8285 section 5)."""

    id: int
    uri: str
    direction: Direction | None = None
    parameters: str | None = None

    @classmethod
    def parse(cls, text: str) -> HeaderExtension:
        """Take the value of an `a=extmap` attribute."""
        number, uri, *parameters = split_words(text, "extmap", 2, _WORDS_MAX)
        number, slash, direction = number.partition("/")
        identifier = parse_uint(number, "extmap id", _EXTENSION_ID_MAX)
        if identifier == 0:
            raise Malformed("extmap id 0 is padding (RFC 8285 section 4.2)", field="extmap")
        way = parse_member(Direction, direction, "extmap direction") if slash else None
        return cls(identifier, uri, way, " ".join(parameters) or None)

    def __str__(self) -> str:
        number = str(self.id) if self.direction is None else f"{self.id}/{self.direction}"
        return f"{number} {self.uri}" if self.parameters is None else f"{number} {self.uri} {self.parameters}"


@attrs.frozen(slots=True)
class SourceAttribute:
    """Something said about one SSRC, such as its cname (RFC 5576 section 4.1)."""

    ssrc: int
    name: str
    value: str | None = None

    @classmethod
    def parse(cls, text: str) -> SourceAttribute:
        """Take the value of an `a=ssrc` attribute."""
        ssrc, _, attribute = text.strip(" ").partition(" ")
        name, colon, value = attribute.partition(":")
        return cls(parse_uint(ssrc, "ssrc", _UINT32_MAX), parse_token(name, "ssrc attribute"), value if colon else None)

    def __str__(self) -> str:
        return f"{self.ssrc} {self.name}" if self.value is None else f"{self.ssrc} {self.name}:{self.value}"


@attrs.frozen(slots=True)
class SourceGroup:
    """SSRCs that belong together, such as a stream and its retransmissions: FID (RFC 5576 section 4.2)."""

    semantics: str
    ssrcs: tuple[int, ...] = ()

    @classmethod
    def parse(cls, text: str) -> SourceGroup:
        """Take the value of an `a=ssrc-group` attribute."""
        semantics, *ssrcs = split_words(text, "ssrc-group", 1, _WORDS_MAX)
        return cls(
            parse_token(semantics, "ssrc-group semantics"),
            tuple(parse_uint(ssrc, "ssrc-group", _UINT32_MAX) for ssrc in ssrcs),
        )

    def __str__(self) -> str:
        return " ".join((self.semantics, *map(str, self.ssrcs)))


@attrs.frozen(slots=True)
class MediaStreamId:
    """The stream that a track belongs to, and the track's own name where it is told (RFC 8830 section 2)."""

    stream_id: str
    track_id: str | None = None

    @classmethod
    def parse(cls, text: str) -> MediaStreamId:
        """Take the value of an `a=msid` attribute."""
        stream_id, *track_id = split_words(text, "msid", 1, 2)
        return cls(parse_token(stream_id, "msid"), parse_token(track_id[0], "msid track") if track_id else None)

    def __str__(self) -> str:
        return self.stream_id if self.track_id is None else f"{self.stream_id} {self.track_id}"


@attrs.frozen(slots=True)
class Rid:
    """A restriction on one RTP stream (RFC 8851 section 10): its name, way, formats and limits."""

    id: str
    direction: RidDirection
    formats: tuple[str, ...] = ()
    restrictions: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Rid:
        """Take the value of an `a=rid` attribute."""
        identifier, direction, *rest = split_words(text, "rid", 2, 3)
        formats: tuple[str, ...] = ()
        restrictions: list[tuple[str, str]] = []
        for part in rest[0].split(";") if rest else ():
            name, _, value = part.partition("=")
            if name == "pt":
                formats = tuple(parse_token(format_, "rid format") for format_ in value.split(","))
            else:
                restrictions.append((parse_token(name, "rid restriction"), value))
        return cls(_parse_rid(identifier), _parse_rid_direction(direction), formats, tuple(restrictions))

    def __str__(self) -> str:
        limits = ["pt=" + ",".join(self.formats)] if self.formats else []
        limits += [f"{name}={value}" if value else name for name, value in self.restrictions]
        return " ".join([self.id, self.direction, *([";".join(limits)] if limits else [])])


@attrs.frozen(slots=True)
class SimulcastStream:
    """One stream of a simulcast, and whether it begins paused (RFC 8853 section 5.1)."""

    rid: str
    is_paused: bool = False

    def __str__(self) -> str:
        return f"~{self.rid}" if self.is_paused else self.rid


@attrs.frozen(slots=True)
class Simulcast:
    """The streams of a simulcast each way; every stream is a tuple of alternatives (RFC 8853 section 5.1)."""

    send: tuple[tuple[SimulcastStream, ...], ...] = ()
    receive: tuple[tuple[SimulcastStream, ...], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Simulcast:
        """Take the value of an `a=simulcast` attribute."""
        words = split_words(text, "simulcast", 2, 4)
        ways = dict(zip(words[::2], words[1::2], strict=False))
        if len(words) % 2 or len(ways) != len(words) // 2:
            raise Malformed(f"simulcast is not one or two of send and recv: {shorten(text)}", field="simulcast")
        streams = {_parse_rid_direction(way): _parse_streams(listed) for way, listed in ways.items()}
        return cls(streams.get("send", ()), streams.get("recv", ()))

    def __str__(self) -> str:
        parts = []
        for way, streams in (("send", self.send), ("recv", self.receive)):
            if streams:
                parts.append(f"{way} {';'.join(','.join(map(str, stream)) for stream in streams)}")
        return " ".join(parts)


def _parse_streams(text: str) -> tuple[tuple[SimulcastStream, ...], ...]:
    return tuple(
        tuple(SimulcastStream(_parse_rid(name.removeprefix("~")), name.startswith("~")) for name in stream.split(","))
        for stream in text.split(";")
    )


def is_rid(text: str) -> bool:
    """True where the text can name a layer (RFC 8851 section 10)."""
    return _RID.match(text) is not None


def _parse_rid(text: str) -> str:
    if not is_rid(text):
        raise Malformed(f"rid is not letters, digits, - and _: {shorten(text)}", field="rid")
    return text


def _parse_rid_direction(text: str) -> RidDirection:
    if text == "send":
        return "send"
    if text == "recv":
        return "recv"
    raise Malformed(f"rid direction is neither send nor recv: {shorten(text)}", field="rid")
