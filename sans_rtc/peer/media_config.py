"""What a session offers and takes of audio and video: formats, header extensions, feedback, and bundling."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc.rtp.extensions import Extension
from sans_rtc.rtp.payload.codecs import CODECS, codecs_named
from sans_rtc.rtp.payload.interface import Codec, MediaKind
from sans_rtc.sdp.grammar import is_token, shorten
from sans_rtc.validators import count

FLEXFEC = "flexfec"
FEC_NAMES = frozenset({"red", "ulpfec", "flexfec-03", FLEXFEC})
_CNAME_CHARACTERS_MAX = 255  # of an SDES item, RFC 3550 section 6.5


class BundlePolicy(StrEnum):
    """How much is staked on the peer's bundling (W3C RTCBundlePolicy).

    A peer connection has one transport, so a section that the peer does not bundle is not used under any policy.
        deviation: RFC 9429 section 4.1.1 marks the second and later sections of a kind bundle-only under BALANCED.
        Here they name the one transport, as under MAX_COMPAT, which peers from before `a=bundle-only` read, too.
    """

    BALANCED = "balanced"
    MAX_COMPAT = "max-compat"
    MAX_BUNDLE = "max-bundle"  # sections after the first are offered with port 0 and `a=bundle-only`


@attrs.frozen(slots=True)
class CodecChoice:
    """A row of the table of codecs, by its name, with parameters that may be other ones: plain data.

    parameters  of `a=fmtp`, as this end says them
    """

    name: str
    clock_rate: int
    channels: int = 1
    parameters: str = ""

    @classmethod
    def of(cls, codec: Codec | CodecChoice) -> CodecChoice:
        """The choice of a row."""
        if isinstance(codec, CodecChoice):
            return codec
        return cls(codec.name, codec.clock_rate, codec.channels, codec.parameters)

    @property
    def codec(self) -> Codec:
        """The row, with these parameters; InvalidArgument where the table has none."""
        return _row(self)


@lru_cache(maxsize=256)
def _row(choice: CodecChoice) -> Codec:
    rows = codecs_named(choice.name, choice.clock_rate, choice.channels)
    if not rows:
        raise InvalidArgument(f"there is no codec {choice.name}/{choice.clock_rate}/{choice.channels}")
    row = next((row for row in rows if row.parameters == choice.parameters), rows[0])
    return row if row.parameters == choice.parameters else attrs.evolve(row, parameters=choice.parameters)


def _choose(codecs: Iterable[Codec | CodecChoice]) -> tuple[CodecChoice, ...]:
    return tuple(map(CodecChoice.of, codecs))


def _rows(kind: MediaKind, *names: str) -> tuple[CodecChoice, ...]:
    return _choose(codec for name in names for codec in CODECS if codec.kind is kind and codec.name == name)


AUDIO_CODECS = _rows(MediaKind.AUDIO, "opus", "red", "G722", "PCMU", "PCMA", "CN", "telephone-event")
VIDEO_CODECS = _rows(MediaKind.VIDEO, "VP8", "VP9", "H264", "AV1", "H265")

# Fourteen in all, which is what the one-byte form of RFC 8285 has numbers for.
AUDIO_EXTENSIONS = (
    Extension.SSRC_AUDIO_LEVEL,
    Extension.ABS_SEND_TIME,
    Extension.TRANSPORT_CC,
    Extension.MID,
    Extension.CSRC_AUDIO_LEVEL,
)
VIDEO_EXTENSIONS = (
    Extension.TRANSMISSION_OFFSET,
    Extension.ABS_SEND_TIME,
    Extension.VIDEO_ORIENTATION,
    Extension.TRANSPORT_CC,
    Extension.PLAYOUT_DELAY,
    Extension.VIDEO_CONTENT_TYPE,
    Extension.VIDEO_TIMING,
    Extension.COLOR_SPACE,
    Extension.MID,
    Extension.RID,
    Extension.REPAIRED_RID,
    Extension.DEPENDENCY_DESCRIPTOR,
)
AUDIO_FEEDBACK = ("transport-cc",)
VIDEO_FEEDBACK = ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli")


@attrs.frozen(slots=True, kw_only=True)
class KindConfig:
    """What is offered and taken of one kind of media.

    codecs      rows of the table of codecs or choices of them, the preferred one first
    extensions  URIs of header extensions (RFC 8285)
    feedback    kinds of RTCP feedback, as `a=rtcp-fb` has them: "nack", "nack pli" (RFC 4585 section 4.2)
    """

    codecs: tuple[CodecChoice, ...] = attrs.field(converter=_choose)
    extensions: tuple[str, ...]
    feedback: tuple[str, ...]

    @property
    def rows(self) -> tuple[Codec, ...]:
        """The codecs."""
        return tuple(choice.codec for choice in self.codecs)


_AUDIO = KindConfig(codecs=AUDIO_CODECS, extensions=AUDIO_EXTENSIONS, feedback=AUDIO_FEEDBACK)
_VIDEO = KindConfig(codecs=VIDEO_CODECS, extensions=VIDEO_EXTENSIONS, feedback=VIDEO_FEEDBACK)


@attrs.frozen(slots=True, kw_only=True)
class MediaNegotiationConfig:
    """What can be chosen about audio and video in descriptions.

    audio, video           of each kind
    rtx                    video is offered with retransmissions in streams of their own (RFC 4588)
    fec                    formats of error correction for video: "flexfec" (RFC 8627) is sent and taken; taken alone
                           are "flexfec-03", or "red" and "ulpfec", which are what browsers have
    takes_simulcast        a peer that offers a simulcast is told to send all its layers (RFC 8853); else one
    reduced_size_rtcp      `a=rtcp-rsize` (RFC 5506) is offered and answered
    receiver_rtt           `a=rtcp-xr:rcvr-rtt` (RFC 3611 section 5.1) is offered and answered
    mixed_extensions       `a=extmap-allow-mixed` (RFC 8285 section 6) is offered and answered
    bundle_policy          W3C RTCBundlePolicy
    cname                  of this end (RFC 7022); one is drawn for the session where None
    transceiver_count_max  of one session, those included that the peer's offers make
    encoding_count_max     layers of one simulcast, either way
    source_count_max       streams that a section of the peer may name by SSRC; those after them are not noted
    """

    audio: KindConfig = _AUDIO
    video: KindConfig = _VIDEO
    rtx: bool = True
    fec: tuple[str, ...] = ()
    takes_simulcast: bool = True
    reduced_size_rtcp: bool = True
    receiver_rtt: bool = True
    mixed_extensions: bool = True
    bundle_policy: BundlePolicy = BundlePolicy.BALANCED
    cname: str | None = None
    transceiver_count_max: int = count(256, 0, 512)
    encoding_count_max: int = count(8, 1, 64)
    source_count_max: int = count(64, 0, 4096)

    def __attrs_post_init__(self) -> None:
        for kind in MediaKind:
            for codec in self.of(kind).rows:
                if codec.kind is not kind:
                    raise InvalidArgument(f"{codec.name} is {codec.kind}, not {kind}")
        unknown = set(self.fec) - FEC_NAMES
        if unknown:
            raise InvalidArgument(f"fec is of {', '.join(sorted(FEC_NAMES))}, not {', '.join(sorted(unknown))}")
        if self.cname is not None and not (is_token(self.cname) and len(self.cname) <= _CNAME_CHARACTERS_MAX):
            raise InvalidArgument(f"cname is a token of {_CNAME_CHARACTERS_MAX} characters, not {shorten(self.cname)}")

    def of(self, kind: MediaKind) -> KindConfig:
        """What there is of a kind."""
        return self.audio if kind is MediaKind.AUDIO else self.video
