"""What negotiation says of the media that a session carries, as plain data: the one contract between SDP and RTP.

    descriptions --> MediaSection for each m= section in use --> RtpSession.configure

Names are those of the W3C's RTCRtpParameters (WebRTC section 5.2) where it has them.
"""

from __future__ import annotations

import attrs

from sans_rtc.rtp.payload.interface import Codec, MediaKind
from sans_rtc.validators import count, none_or, within

PAYLOAD_TYPE_MAX = 127
SSRC_MAX = 0xFFFFFFFF
PRIORITY_MAX = 8.0


_is_payload_type = within(0, PAYLOAD_TYPE_MAX)


@attrs.frozen(slots=True)
class CodecParameters:
    """A format that may be sent or received, under its payload type in this session.

    codec             the row of the table of codecs
    parameters        of `a=fmtp`: when sending, what the peer says it takes; when receiving, what we have said
    feedback          kinds of RTCP feedback agreed for it, as `a=rtcp-fb` has them: "nack", "nack pli", "ccm fir",
                      "goog-remb", "transport-cc", "ack ccfb"
    rtx_payload_type  of its retransmissions (RFC 4588); None: lost packets are sent again as they were
    """

    payload_type: int = attrs.field(validator=_is_payload_type)
    codec: Codec
    parameters: str = ""
    feedback: frozenset[str] = frozenset()
    rtx_payload_type: int | None = attrs.field(default=None, validator=none_or(_is_payload_type))


@attrs.frozen(slots=True)
class FecParameters:
    """A format of forward error correction: "flexfec", "flexfec-03", "ulpfec", or "red" as the wrapping of ulpfec."""

    payload_type: int = attrs.field(validator=_is_payload_type)
    name: str
    parameters: str = ""


@attrs.frozen(slots=True)
class Encoding:
    """One RTP stream that is sent: the only one of its sender, or one layer of a simulcast.

    rid               its name in a simulcast (RFC 8851), else empty
    ssrc, rtx_ssrc, fec_ssrc  drawn when the transceiver was made; rtx_ssrc is used where a codec has a payload type for
                      it, fec_ssrc where there is error correction
    is_active         it is sent at all
    max_bitrate_bps   the most that its encoder is told; None: no bound
    scale_down_by     of the resolution, for the encoder's information
    priority          its share of the bitrate beside others; 1 is usual
    """

    rid: str = ""
    ssrc: int = count(0, 0, SSRC_MAX)
    rtx_ssrc: int = count(0, 0, SSRC_MAX)
    is_active: bool = True
    max_bitrate_bps: int | None = None
    scale_down_by: float = 1.0
    priority: float = 1.0
    fec_ssrc: int = count(0, 0, SSRC_MAX)


@attrs.frozen(slots=True)
class EncodingSettings:
    """What an application may change of an encoding without negotiation (W3C RTCRtpSender.setParameters)."""

    rid: str = ""
    is_active: bool = True
    max_bitrate_bps: int | None = None
    scale_down_by: float = 1.0
    priority: float = 1.0


@attrs.frozen(slots=True)
class SendParameters:
    """What is sent in a section.

    codecs         agreed, the preferred one first; payload types are those the peer wants
    encodings      one, or the layers of a simulcast
    extensions     (id, URI) of header extensions that the peer takes (RFC 8285)
    cname          of this end, in RTCP SDES (RFC 7022)
    fec            error correction that may be sent: "flexfec" (RFC 8627); None: none
    bandwidth_bps  the most that the peer wants of it, bit/s, all encodings together; None: no bound
    """

    codecs: tuple[CodecParameters, ...]
    encodings: tuple[Encoding, ...]
    extensions: tuple[tuple[int, str], ...] = ()
    cname: str = ""
    fec: FecParameters | None = None
    bandwidth_bps: int | None = None


@attrs.frozen(slots=True)
class RemoteSource:
    """A stream that the peer's description names by SSRC (RFC 5576); rtx_ssrc by `a=ssrc-group:FID`, 0: none named."""

    ssrc: int
    rtx_ssrc: int = 0
    cname: str = ""
    fec_ssrc: int = 0


@attrs.frozen(slots=True)
class ReceiveParameters:
    """What is received in a section.

    codecs       that may come, under the payload types that the peer uses
    extensions   (id, URI) of header extensions that may come
    sources      streams named by SSRC; may be empty: then the MID tells
    rids         layers of a simulcast that may come, empty without one
    fec          formats of error correction that may come
    """

    codecs: tuple[CodecParameters, ...]
    extensions: tuple[tuple[int, str], ...] = ()
    sources: tuple[RemoteSource, ...] = ()
    rids: tuple[str, ...] = ()
    fec: tuple[FecParameters, ...] = ()


@attrs.frozen(slots=True)
class MediaSection:
    """One m= section of audio or video that is in use.

    handle           of its transceiver
    send, receive    None where nothing is sent or received in it now
    is_reduced_size  RTCP need not be compound (RFC 5506)
    allows_mixed     one- and two-byte header extensions may alternate (RFC 8285 section 4.1.2)
    wants_receiver_rtt  the peer answers XR RRTR with DLRR (`a=rtcp-xr:rcvr-rtt`, RFC 3611)
    """

    handle: int
    mid: str
    kind: MediaKind
    send: SendParameters | None = None
    receive: ReceiveParameters | None = None
    is_reduced_size: bool = False
    allows_mixed: bool = False
    wants_receiver_rtt: bool = False
