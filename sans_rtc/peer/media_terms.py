"""What one description says of a section of audio or video, and its text.

    a section of a description --read_media--> MediaTerms --write_media--> lines

Terms are read of the peer's descriptions and made for our own; what both say together is settled in `media_settling`.
Formats that are there for others (retransmissions, `apt`; redundancy) stay in the list, in their places.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc.media.parameters import RemoteSource
from sans_rtc.rtp.payload.codecs import codec_of_payload_type
from sans_rtc.rtp.payload.interface import Codec, MediaKind
from sans_rtc.sdp.attributes import (
    DIRECTIONS,
    EXTMAP,
    EXTMAP_ALLOW_MIXED,
    FMTP,
    MSID,
    RID,
    RTCP_FB,
    RTCP_MUX,
    RTCP_RSIZE,
    RTCP_XR,
    RTPMAP,
    SIMULCAST,
    SSRC,
    SSRC_GROUP,
)
from sans_rtc.sdp.description import Field, MediaDescription, SessionDescription
from sans_rtc.sdp.rtp_values import (
    FormatParameters,
    HeaderExtension,
    MediaStreamId,
    Rid,
    RidDirection,
    RtcpFeedback,
    RtpMap,
    Simulcast,
    SimulcastStream,
    SourceAttribute,
    SourceGroup,
)
from sans_rtc.sdp.values import Bandwidth, Direction

# RFC 9429 section 5.1.2: any of these is DTLS-SRTP where there is a fingerprint.
MEDIA_PROTOCOLS = frozenset(
    f"{carrier}{profile}"
    for carrier in ("", "UDP/TLS/", "TCP/DTLS/", "TCP/TLS/")
    for profile in ("RTP/SAVP", "RTP/SAVPF", "RTP/AVP", "RTP/AVPF")
)
MEDIA_PROTOCOL = "UDP/TLS/RTP/SAVPF"
RTX = "rtx"
_KINDS: Mapping[str, MediaKind] = {kind.value: kind for kind in MediaKind}
NO_STREAM = "-"  # RFC 8830 section 2: a track that belongs to no stream
_RECEIVER_RTT = "rcvr-rtt"
# RFC 8866 section 5.8 and RFC 3890 section 6.2. What AS and CT count of the layers below RTP is left out.
_BANDWIDTH_UNITS_BPS: Mapping[str, int] = {"CT": 1000, "AS": 1000, "TIAS": 1}
_REPAIR_GROUPS = {"FID": "rtx_ssrc", "FEC-FR": "fec_ssrc"}


@attrs.frozen(slots=True)
class Format:
    """One payload type of a section.

    channels    1 where `a=rtpmap` names none
    parameters  of `a=fmtp`
    feedback    kinds of feedback: "nack", "nack pli"
    codec       our row for it; None for what is not ours or is no codec
    """

    payload_type: int
    name: str
    clock_rate: int
    channels: int = 1
    parameters: str = ""
    feedback: tuple[str, ...] = ()
    codec: Codec | None = None

    @property
    def apt(self) -> int | None:
        """The payload type that this one repairs (RFC 4588 section 8.6); None where it repairs none."""
        if self.name.lower() != RTX:
            return None
        for part in self.parameters.split(";"):
            name, _, value = part.strip().partition("=")
            if name == "apt" and value.isascii() and value.isdigit() and len(value) <= 3:
                return int(value)
        return None


@attrs.frozen(slots=True, kw_only=True)
class MediaTerms:
    """What a description says of one section of audio or video.

    msids            of what its author sends
    sources          streams named by SSRC
    sent, received   layers of a simulcast, each way, as its author sees it
    paused           those of them that begin paused
    is_reduced_size  a=rtcp-rsize
    allows_mixed     a=extmap-allow-mixed
    answers_rtt      a=rtcp-xr:rcvr-rtt
    cname            of what its author sends
    bandwidth_bps    the most that its author wants to get, bit/s (RFC 3264 section 5.1); None: it does not say
    """

    mline_index: int
    mid: str | None
    kind: MediaKind
    direction: Direction
    formats: tuple[Format, ...]
    extensions: tuple[HeaderExtension, ...] = ()
    msids: tuple[MediaStreamId, ...] = ()
    sources: tuple[RemoteSource, ...] = ()
    sent: tuple[str, ...] = ()
    received: tuple[str, ...] = ()
    paused: frozenset[str] = frozenset()
    is_reduced_size: bool = False
    allows_mixed: bool = False
    answers_rtt: bool = False
    cname: str = ""
    bandwidth_bps: int | None = None

    @property
    def streams(self) -> tuple[str, ...]:
        """The ids of the streams that its author's track belongs to."""
        return tuple(dict.fromkeys(msid.stream_id for msid in self.msids if msid.stream_id != NO_STREAM))

    @property
    def is_sending(self) -> bool:
        """Its author sends."""
        return self.direction in (Direction.SENDRECV, Direction.SENDONLY)


def media_kind(media: MediaDescription) -> MediaKind | None:
    """The kind of a section that could be taken: audio or video over a protocol that may mean DTLS-SRTP; else None."""
    return _KINDS.get(media.kind.lower()) if media.protocol.upper() in MEDIA_PROTOCOLS else None


def is_multiplexed(media: MediaDescription, tag: MediaDescription) -> bool:
    """RFC 9143 section 7.1.3: a bundled section may leave `a=rtcp-mux` to the tagged one."""
    return media.lines.has(RTCP_MUX) or tag.lines.has(RTCP_MUX)


# -- reading ---------------------------------------------------------------------------------------------------------


def read_media(description: SessionDescription, index: int, source_count_max: int) -> MediaTerms:
    """Read what a description says of the section at an index; WireError where something in use is malformed."""
    media = description.media[index]
    lines = media.lines
    sources, cname, legacy_msids = _read_sources(media, source_count_max)
    sent, received, paused = _read_simulcast(media)
    report = description.effective(media, RTCP_XR) or ""
    return MediaTerms(
        mline_index=index,
        mid=media.mid,
        kind=_KINDS[media.kind.lower()],
        direction=description.effective_direction(media),
        formats=_read_formats(media),
        extensions=tuple(description.effective_all(media, EXTMAP)),
        msids=tuple(lines.all(MSID)) or legacy_msids,
        sources=sources,
        sent=sent,
        received=received,
        paused=paused,
        is_reduced_size=lines.has(RTCP_RSIZE),
        allows_mixed=bool(description.effective(media, EXTMAP_ALLOW_MIXED)),
        answers_rtt=any(word.partition("=")[0] == _RECEIVER_RTT for word in report.split(" ")),
        cname=cname,
        bandwidth_bps=_read_bandwidth(description, media),
    )


def _read_bandwidth(description: SessionDescription, media: MediaDescription) -> int | None:
    """The least that `b=` lines of the section and of the session name; None without one that is known."""
    lines = [item for level in (description.lines, media.lines) for item in level.items if isinstance(item, Field)]
    bandwidths = [Bandwidth.parse(item.value) for item in lines if item.type == "b"]
    units = [(each.value, _BANDWIDTH_UNITS_BPS.get(each.type.upper())) for each in bandwidths]
    return min([value * unit for value, unit in units if unit is not None], default=None)


def _read_formats(media: MediaDescription) -> tuple[Format, ...]:
    lines = media.lines
    maps = {rtpmap.payload_type: rtpmap for rtpmap in reversed(lines.all(RTPMAP))}
    parameters = {fmtp.format: fmtp.parameters for fmtp in reversed(lines.all(FMTP))}
    feedback: dict[int | None, list[str]] = {}
    for line in lines.all(RTCP_FB):
        kind = line.type if line.parameter is None else f"{line.type} {line.parameter}"
        feedback.setdefault(line.payload_type, []).append(kind.lower())
    found: dict[int, Format] = {}
    for text in media.formats:
        if not text.isdecimal() or len(text) > 3 or int(text) > 127:
            raise InvalidArgument(f"a format of {media.kind} is a payload type, not {text[:40]!r}")
        number = int(text)
        kinds = tuple(dict.fromkeys((*feedback.get(number, ()), *feedback.get(None, ()))))
        format_ = _read_format(number, maps, parameters.get(text, ""), kinds)
        if format_ is not None:
            found.setdefault(number, format_)
    return tuple(found.values())


def _read_format(number: int, maps: Mapping[int, RtpMap], parameters: str, feedback: tuple[str, ...]) -> Format | None:
    rtpmap = maps.get(number)
    if rtpmap is None:  # RFC 3551 section 6: static ones need none
        codec = codec_of_payload_type(number)
        if codec is None:
            return None
        return Format(number, codec.name, codec.clock_rate, codec.channels, parameters, feedback)
    text = rtpmap.parameters or ""
    channels = int(text) if text.isascii() and text.isdigit() and len(text) <= 3 else 1
    return Format(number, rtpmap.encoding, rtpmap.clock_rate, channels, parameters, feedback)


def _read_sources(
    media: MediaDescription, count_max: int
) -> tuple[tuple[RemoteSource, ...], str, tuple[MediaStreamId, ...]]:
    """The streams named by SSRC without those that repair others; the cname; the `msid` of before RFC 8830."""
    named: dict[int, str] = {}
    msids: dict[MediaStreamId, None] = {}
    for line in media.lines.all(SSRC):
        if line.ssrc not in named and len(named) >= 3 * count_max:
            continue
        named.setdefault(line.ssrc, "")
        if line.name == "cname" and line.value:
            named[line.ssrc] = line.value
        elif line.name == "msid" and line.value and len(msids) < count_max:
            msids[MediaStreamId.parse(line.value)] = None
    repairs: dict[int, dict[str, int]] = {}
    repairing: set[int] = set()
    for group in media.lines.all(SSRC_GROUP):
        role = _REPAIR_GROUPS.get(group.semantics.upper())
        if role is not None and len(group.ssrcs) == 2 and len(repairs) < count_max:
            repairs.setdefault(group.ssrcs[0], {})[role] = group.ssrcs[1]
            repairing.add(group.ssrcs[1])
            named.setdefault(group.ssrcs[0], "")
    primary = [ssrc for ssrc in named if ssrc not in repairing][:count_max]
    sources = tuple(RemoteSource(ssrc=ssrc, cname=named[ssrc], **repairs.get(ssrc, {})) for ssrc in primary)
    return sources, next((cname for cname in named.values() if cname), ""), tuple(msids)


def _read_simulcast(media: MediaDescription) -> tuple[tuple[str, ...], tuple[str, ...], frozenset[str]]:
    """RFC 8853 section 5.1, of alternatives the first; a layer that no `a=rid` tells of does not count."""
    simulcast = media.lines.first(SIMULCAST)
    if simulcast is None:
        return (), (), frozenset()
    known = {(rid.id, rid.direction) for rid in media.lines.all(RID)}

    def of(streams: tuple[tuple[SimulcastStream, ...], ...], way: RidDirection) -> dict[str, bool]:
        firsts = (alternatives[0] for alternatives in streams if alternatives)
        return {stream.rid: stream.is_paused for stream in firsts if (stream.rid, way) in known}

    sent, received = of(simulcast.send, "send"), of(simulcast.receive, "recv")
    return tuple(sent), tuple(received), frozenset(rid for rid, paused in (sent | received).items() if paused)


# -- writing ---------------------------------------------------------------------------------------------------------


def write_media(media: MediaDescription, terms: MediaTerms) -> None:
    """Append the lines of a section that tell its terms; the transport's lines are not among them."""
    lines = media.lines
    for extension in terms.extensions:
        lines.add(EXTMAP, extension)
    if terms.allows_mixed:
        lines.add(EXTMAP_ALLOW_MIXED, True)
    lines.add(next(spec for spec, direction in DIRECTIONS.items() if direction is terms.direction), True)
    for msid in terms.msids:
        lines.add(MSID, msid)
    lines.add(RTCP_MUX, True)
    if terms.is_reduced_size:
        lines.add(RTCP_RSIZE, True)
    if terms.answers_rtt:
        lines.add(RTCP_XR, f"{_RECEIVER_RTT}=all")
    for format_ in terms.formats:
        _write_format(media, format_)
    _write_simulcast(media, terms)
    _write_sources(media, terms)


def _write_format(media: MediaDescription, format_: Format) -> None:
    number = format_.payload_type
    channels = str(format_.channels) if format_.channels != 1 else None
    media.lines.add(RTPMAP, RtpMap(number, format_.name, format_.clock_rate, channels))
    for kind in format_.feedback:
        type_, _, parameter = kind.partition(" ")
        media.lines.add(RTCP_FB, RtcpFeedback(number, type_, parameter or None))
    if format_.parameters:
        media.lines.add(FMTP, FormatParameters(str(number), format_.parameters))


def _write_simulcast(media: MediaDescription, terms: MediaTerms) -> None:
    if not (terms.sent or terms.received):
        return
    for rid in terms.sent:
        media.lines.add(RID, Rid(rid, "send"))
    for rid in terms.received:
        media.lines.add(RID, Rid(rid, "recv"))
    sent, received = (tuple((SimulcastStream(rid),) for rid in rids) for rids in (terms.sent, terms.received))
    media.lines.add(SIMULCAST, Simulcast(sent, received))


def _write_sources(media: MediaDescription, terms: MediaTerms) -> None:
    """`a=ssrc` with cname and msid, as browsers write it and as aiortc and pion read it (RFC 5576)."""
    for source in terms.sources:
        if source.rtx_ssrc:
            media.lines.add(SSRC_GROUP, SourceGroup("FID", (source.ssrc, source.rtx_ssrc)))
        if source.fec_ssrc:  # RFC 5956 section 4.3
            media.lines.add(SSRC_GROUP, SourceGroup("FEC-FR", (source.ssrc, source.fec_ssrc)))
    for source in terms.sources:
        for ssrc in (source.ssrc, source.rtx_ssrc, source.fec_ssrc):
            if ssrc:
                media.lines.add(SSRC, SourceAttribute(ssrc, "cname", source.cname))
                for msid in terms.msids[:1]:
                    media.lines.add(SSRC, SourceAttribute(ssrc, "msid", str(msid)))
