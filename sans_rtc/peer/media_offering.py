"""What this end says of a section of audio or video, in an offer or an answer (RFC 9429 sections 5.2 and 5.3).

Pure but for numbers: a format or a header extension that is offered for the first time is given one, for good.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from sans_rtc.media.parameters import Encoding, RemoteSource
from sans_rtc.peer.media_config import FLEXFEC, KindConfig, MediaNegotiationConfig
from sans_rtc.peer.media_terms import NO_STREAM, RTX, Format, MediaTerms
from sans_rtc.peer.numbering import FormatKey, Numbering, codec_key, correction_key, match
from sans_rtc.peer.transceivers import Transceiver, intersect, reverse
from sans_rtc.rtp.extensions import Extension
from sans_rtc.rtp.payload.interface import MediaKind, Purpose
from sans_rtc.rtp.payload_types import is_usable_with_rtcp_mux
from sans_rtc.sdp.rtp_values import HeaderExtension, MediaStreamId
from sans_rtc.sdp.values import Direction

VIDEO_CLOCK_RATE = 90_000
# Microseconds. "flexfec-03", draft-ietf-payload-flexible-fec-scheme-05 section 5.1: what libwebrtc says. "flexfec",
# RFC 8627 section 5.1: as long as a session waits for a packet that may be repaired; later repair is of no use.
_FEC_PARAMETERS = {"flexfec-03": "repair-window=10000000", FLEXFEC: "repair-window=500000"}
_OTHER_WAY = {
    None: None,
    Direction.SENDRECV: Direction.SENDRECV,
    Direction.SENDONLY: Direction.RECVONLY,
    Direction.RECVONLY: Direction.SENDONLY,
}


@attrs.frozen(slots=True)
class MediaAuthor:
    """Who makes the terms of this end.

    cname  of this end
    """

    config: MediaNegotiationConfig
    numbering: Numbering
    cname: str

    # -- offers ------------------------------------------------------------------------------------------------------

    def offer(self, transceiver: Transceiver, index: int, mid: str, answered: MediaTerms | None) -> MediaTerms:
        """What an offer says of a transceiver.

        answered  the last answer about the section, whosever; None for a new section
        Source    RFC 9429 sections 5.2.1 and 5.2.2
        """
        kind = transceiver.kind
        config = self.config.of(kind)
        formats = self._offered_formats(transceiver, config)
        uris = config.extensions
        if answered is not None:
            # RFC 9429 section 5.2.2: the order of the last answer, and only the feedback and header extensions that it
            # has; formats that it does not have come anew, with all that is theirs.
            formats = _with_feedback_of(formats, answered.formats)
            if not transceiver.preferences:
                formats = _in_order_of(formats, answered.formats)
            agreed = {extension.uri for extension in answered.extensions}
            uris = tuple(uri for uri in uris if uri in agreed)
        ids = ((self.numbering.extension_id(uri), uri) for uri in uris)
        extensions = tuple(HeaderExtension(number, uri) for number, uri in ids if number is not None)
        sends = transceiver.wants_to_send
        encodings = transceiver.association.encodings
        return MediaTerms(
            mline_index=index,
            mid=mid,
            kind=kind,
            direction=transceiver.direction,
            formats=formats,
            extensions=extensions,
            msids=_msids(transceiver) if sends else (),
            sources=_sources(encodings, self.cname, formats) if sends else (),
            sent=_rids(encodings) if sends else (),
            received=transceiver.association.rids if transceiver.wants_to_receive else (),
            is_reduced_size=self.config.reduced_size_rtcp and (answered is None or answered.is_reduced_size),
            allows_mixed=self.config.mixed_extensions,
            answers_rtt=self.config.receiver_rtt,
            cname=self.cname,
        )

    def _offered_formats(self, transceiver: Transceiver, config: KindConfig) -> tuple[Format, ...]:
        formats: list[Format] = []
        has_rtx = self.config.rtx and transceiver.kind is MediaKind.VIDEO
        for codec in transceiver.preferred or config.rows:
            key = codec_key(codec)
            number = self.numbering.payload_type(key, codec.payload_type)
            if number is None:
                continue
            is_media = codec.purpose is Purpose.MEDIA
            feedback = config.feedback if is_media else ()
            formats.append(
                Format(number, codec.name, codec.clock_rate, codec.channels, codec.parameters, feedback, codec)
            )
            if is_media and has_rtx:
                formats += self._repair(number, key)
        if transceiver.kind is MediaKind.VIDEO:
            for name in self.config.fec:
                formats += self._correction(name)
        return tuple(_with_redundancy(formats))

    def _repair(self, number: int, key: FormatKey) -> list[Format]:
        repair = self.numbering.payload_type((RTX, key))
        return [] if repair is None else [Format(repair, RTX, VIDEO_CLOCK_RATE, parameters=f"apt={number}")]

    def _correction(self, name: str) -> list[Format]:
        key = correction_key(name, VIDEO_CLOCK_RATE)
        number = self.numbering.payload_type(key)
        if number is None:
            return []
        found = [Format(number, name, VIDEO_CLOCK_RATE, parameters=_FEC_PARAMETERS.get(name, ""))]
        return found + (self._repair(number, key) if name == "red" and self.config.rtx else [])

    # -- answers -----------------------------------------------------------------------------------------------------

    def answer(self, transceiver: Transceiver, offered: MediaTerms) -> MediaTerms | None:
        """What an answer says to an offered section; None where there is no format in common.

        Source  RFC 9429 section 5.3.1
        """
        formats = self._answered_formats(transceiver, offered)
        if not any(format_.codec is not None and format_.codec.purpose is Purpose.MEDIA for format_ in formats):
            return None
        direction = intersect(transceiver.direction, reverse(offered.direction))
        sends = direction in (Direction.SENDRECV, Direction.SENDONLY)
        extensions = _answered_extensions(offered, self.config.of(offered.kind))
        encodings = transceiver.association.encodings
        has_rids = any(extension.uri == Extension.RID for extension in extensions)
        received = offered.sent if offered.is_sending and self.config.takes_simulcast and has_rids else ()
        sent = tuple(rid for rid in _rids(encodings) if rid in offered.received) if sends and has_rids else ()
        used = encodings if sent else encodings[:1]
        return MediaTerms(
            mline_index=offered.mline_index,
            mid=offered.mid,
            kind=offered.kind,
            direction=direction,
            formats=formats,
            extensions=extensions,
            msids=_msids(transceiver) if transceiver.wants_to_send else (),
            sources=_sources(used, self.cname, formats) if sends else (),
            sent=sent,
            received=received[: self.config.encoding_count_max] if direction is not Direction.SENDONLY else (),
            is_reduced_size=self.config.reduced_size_rtcp and offered.is_reduced_size,
            allows_mixed=self.config.mixed_extensions and offered.allows_mixed,
            answers_rtt=self.config.receiver_rtt and offered.answers_rtt,
            cname=self.cname,
        )

    def _answered_formats(self, transceiver: Transceiver, offered: MediaTerms) -> tuple[Format, ...]:
        config = self.config.of(offered.kind)
        preferences = transceiver.preferred
        rows = config.rows
        accepted: dict[int, Format] = {}
        for format_ in offered.formats:
            found = match(preferences or rows, format_)
            if found is None or not is_usable_with_rtcp_mux(format_.payload_type):
                continue
            codec, parameters = found
            feedback = tuple(kind for kind in format_.feedback if kind in config.feedback)
            accepted[format_.payload_type] = attrs.evolve(
                format_, parameters=parameters, feedback=feedback, codec=codec
            )
        if preferences:
            ranks = {codec_key(codec): rank for rank, codec in reversed(list(enumerate(preferences)))}
            ranked = sorted(accepted.values(), key=lambda each: ranks[codec_key(each.codec)] if each.codec else 0)
            accepted = {each.payload_type: each for each in ranked}
        return tuple(self._with_helpers(accepted, offered))

    def _with_helpers(self, accepted: dict[int, Format], offered: MediaTerms) -> list[Format]:
        """Put what repairs or doubles an accepted format behind it, and error correction last."""
        repairs: dict[int, Format] = {}
        for format_ in offered.formats:
            if format_.apt is not None and self.config.rtx and is_usable_with_rtcp_mux(format_.payload_type):
                repairs.setdefault(format_.apt, attrs.evolve(format_, parameters=f"apt={format_.apt}", feedback=()))
        is_video = offered.kind is MediaKind.VIDEO
        corrections = [
            attrs.evolve(format_, parameters=_answered_correction(format_), feedback=())
            for format_ in offered.formats
            if is_video and format_.name.lower() in self.config.fec and format_.payload_type not in accepted
        ]
        formats: list[Format] = []
        for format_ in (*accepted.values(), *corrections):
            is_redundancy = format_.codec is not None and format_.codec.purpose is Purpose.REDUNDANCY
            if is_redundancy and not _names_only(format_.parameters, accepted):
                continue
            formats.append(format_)
            if format_.payload_type in repairs:
                formats.append(repairs[format_.payload_type])
        return formats


def _answered_correction(format_: Format) -> str:
    """What an answer says of a format: of FlexFEC how long this end waits, without what it may not know."""
    return _FEC_PARAMETERS[FLEXFEC] if format_.name.lower() == FLEXFEC else format_.parameters


def _names_only(parameters: str, accepted: dict[int, Format]) -> bool:
    """True where the payload types that RED names are all accepted (RFC 2198 section 5)."""
    numbers = parameters.split("/")
    return all(number.isdecimal() and len(number) <= 3 and int(number) in accepted for number in numbers)


def _with_redundancy(formats: Sequence[Format]) -> list[Format]:
    """RED names the formats that it carries, twice for one redundant block: the first of its clock rate."""
    found = []
    for format_ in formats:
        if format_.codec is not None and format_.codec.purpose is Purpose.REDUNDANCY:
            carried = next((each for each in formats if _is_carried(each, format_)), None)
            if carried is None:
                continue
            format_ = attrs.evolve(format_, parameters=f"{carried.payload_type}/{carried.payload_type}")
        found.append(format_)
    return found


def _is_carried(format_: Format, red: Format) -> bool:
    is_media = format_.codec is not None and format_.codec.purpose is Purpose.MEDIA
    return is_media and (format_.clock_rate, format_.channels) == (red.clock_rate, red.channels)


def _with_feedback_of(formats: Sequence[Format], answered: Sequence[Format]) -> tuple[Format, ...]:
    agreed = {format_.payload_type: format_.feedback for format_ in answered}
    return tuple(
        attrs.evolve(each, feedback=tuple(kind for kind in each.feedback if kind in agreed[each.payload_type]))
        if each.payload_type in agreed
        else each
        for each in formats
    )


def _in_order_of(formats: Sequence[Format], before: Sequence[Format]) -> tuple[Format, ...]:
    """RFC 9429 section 5.2.2: formats in the order of the last answer, and others after them."""
    ranks = {format_.payload_type: rank for rank, format_ in enumerate(before)}
    return tuple(sorted(formats, key=lambda each: ranks.get(each.payload_type, len(ranks))))


def _answered_extensions(offered: MediaTerms, config: KindConfig) -> tuple[HeaderExtension, ...]:
    """RFC 8285 section 6: those that were offered and are ours, under their ids, each way as offered."""
    found: dict[str, HeaderExtension] = {}
    for extension in offered.extensions:
        if extension.uri not in config.extensions or extension.direction is Direction.INACTIVE:
            continue
        if extension.id <= 255 and extension.id not in (each.id for each in found.values()):
            found.setdefault(
                extension.uri, HeaderExtension(extension.id, extension.uri, _OTHER_WAY[extension.direction])
            )
    return tuple(found.values())


def _msids(transceiver: Transceiver) -> tuple[MediaStreamId, ...]:
    """RFC 8830 section 2, one for each stream. The track's id is told, which peers from before RFC 9429 read."""
    return tuple(MediaStreamId(stream, transceiver.track_id) for stream in transceiver.streams or (NO_STREAM,))


def _rids(encodings: Sequence[Encoding]) -> tuple[str, ...]:
    return tuple(encoding.rid for encoding in encodings) if len(encodings) > 1 else ()


def _sources(encodings: Sequence[Encoding], cname: str, formats: Sequence[Format]) -> tuple[RemoteSource, ...]:
    """The streams by SSRC; layers of a simulcast go by their rid alone, as browsers have it."""
    if len(encodings) != 1:
        return ()
    only = encodings[0]
    rtx_ssrc = only.rtx_ssrc if any(format_.apt is not None for format_ in formats) else 0
    fec_ssrc = only.fec_ssrc if any(format_.name.lower() == FLEXFEC for format_ in formats) else 0
    return (RemoteSource(ssrc=only.ssrc, rtx_ssrc=rtx_ssrc, cname=cname, fec_ssrc=fec_ssrc),)
