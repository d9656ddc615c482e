"""What a description says of its transport, and of data: the part of it that is not audio or video (RFC 9429 5.8.3).

All sections in use share one transport: that of the section which is the tag of their BUNDLE group (RFC 9143).
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc.peer.negotiation_types import LocalTransport
from sans_rtc.sdp.attributes import (
    END_OF_CANDIDATES,
    FINGERPRINT,
    ICE_OPTIONS,
    ICE_PACING,
    ICE_PWD,
    ICE_UFRAG,
    MAX_MESSAGE_SIZE,
    SCTP_PORT,
    SCTPMAP,
    SETUP,
    TLS_ID,
)
from sans_rtc.sdp.description import MediaDescription, SessionDescription
from sans_rtc.sdp.values import Setup

DATA_FORMAT = "webrtc-datachannel"
# RFC 9429 section 5.1.2: the three that an implementation has to take.
DATA_PROTOCOLS = frozenset({"UDP/DTLS/SCTP", "TCP/DTLS/SCTP", "DTLS/SCTP"})
LEGACY_PROTOCOL = "DTLS/SCTP"  # from before RFC 8841: the format is the SCTP port, `a=sctpmap` says what runs on it
# RFC 8841 section 6.1: what an absent max-message-size stands for.
MESSAGE_SIZE_ABSENT = 65_536
# RFC 8122 section 5: name and length in bytes. MD2 and MD5 must not be used, what is unknown cannot be. Which of the
# others prove enough is for DTLS to say.
HASH_BYTES: Mapping[str, int] = {"sha-1": 20, "sha-224": 28, "sha-256": 32, "sha-384": 48, "sha-512": 64}


@attrs.frozen(slots=True)
class DataTerms:
    """What a description says of its data section."""

    mline_index: int
    mid: str | None
    sctp_port: int
    max_message_size: int


@attrs.frozen(slots=True)
class TransportTerms:
    """What a description says of the transport, at its tagged section and at session level.

    ice_pacing_ms  None where there is none
    setup          None where there is none
    tls_id         None where there is none
    data           None where no data section is in use
    """

    mline_index: int
    mid: str | None
    ice_ufrag: str
    ice_pwd: str = attrs.field(repr=False)
    ice_lite: bool
    ice_options: tuple[str, ...]
    ice_pacing_ms: int | None
    fingerprints: tuple[str, ...]
    setup: Setup | None
    tls_id: str | None
    candidates: tuple[str, ...]
    end_of_candidates: bool
    data: DataTerms | None

    def is_same_generation(self, other: TransportTerms | LocalTransport) -> bool:
        """True where the ICE credentials are the same; another value of either is a restart (RFC 9429 section 5.10)."""
        return (self.ice_ufrag, self.ice_pwd) == (other.ice_ufrag, other.ice_pwd)


def is_data_section(media: MediaDescription) -> bool:
    """True where the section is for WebRTC data channels, in the form of RFC 8841 or the one before it."""
    if media.kind.lower() != "application" or media.protocol.upper() not in DATA_PROTOCOLS:
        return False
    if DATA_FORMAT in (format_.lower() for format_ in media.formats):
        return True
    return media.protocol.upper() == LEGACY_PROTOCOL and any(
        sctpmap.protocol.lower() == DATA_FORMAT and str(sctpmap.port) in media.formats
        for sctpmap in media.lines.all(SCTPMAP)
    )


def is_legacy(media: MediaDescription) -> bool:
    """True where a data section has the form from before RFC 8841: its format is a port."""
    return DATA_FORMAT not in (format_.lower() for format_ in media.formats)


def has_own_transport(description: SessionDescription, media: MediaDescription) -> bool:
    """True where ICE credentials hold for a section, its own or the session's."""
    return description.effective(media, ICE_UFRAG) is not None


def read_terms(description: SessionDescription, index: int, data_index: int | None) -> TransportTerms:
    """Read what a description says of the transport; InvalidArgument where something is missing.

    index       of the tagged section
    data_index  of the data section in use, None where there is none
    """
    media = description.media[index]
    ufrag = description.effective(media, ICE_UFRAG)
    pwd = description.effective(media, ICE_PWD)
    if ufrag is None or pwd is None:
        raise InvalidArgument(f"the {_name(media)} has no ICE credentials")
    data = None if data_index is None else read_data_terms(description.media[data_index], data_index)
    return TransportTerms(
        mline_index=index,
        mid=media.mid,
        ice_ufrag=ufrag,
        ice_pwd=pwd,
        ice_lite=description.is_ice_lite,
        ice_options=description.effective(media, ICE_OPTIONS) or (),
        ice_pacing_ms=description.lines.first(ICE_PACING),
        fingerprints=_read_fingerprints(description, media),
        setup=description.effective(media, SETUP),
        tls_id=description.effective(media, TLS_ID),
        candidates=tuple(media.candidates),
        end_of_candidates=bool(description.effective(media, END_OF_CANDIDATES)),
        data=data,
    )


def _name(media: MediaDescription) -> str:
    kind = "data" if media.kind.lower() == "application" else media.kind
    return f"{kind} section (mid {media.mid})"


def _read_fingerprints(description: SessionDescription, media: MediaDescription) -> tuple[str, ...]:
    usable = []
    for fingerprint in description.effective_all(media, FINGERPRINT):
        length = HASH_BYTES.get(fingerprint.algorithm)
        if length is None:
            continue
        if len(fingerprint.value) != length:
            raise InvalidArgument(
                f"a {fingerprint.algorithm} fingerprint has {length} bytes, not {len(fingerprint.value)}"
            )
        usable.append(str(fingerprint))
    if not usable:
        raise InvalidArgument(f"the {_name(media)} has no certificate fingerprint that can be checked")
    return tuple(dict.fromkeys(usable))


def read_data_terms(media: MediaDescription, index: int) -> DataTerms:
    """Read what a data section says of SCTP; InvalidArgument where it says nothing."""
    message_size = media.lines.first(MAX_MESSAGE_SIZE)
    if message_size is None:
        message_size = MESSAGE_SIZE_ABSENT
    if is_legacy(media):
        ports = [sctpmap.port for sctpmap in media.lines.all(SCTPMAP) if sctpmap.protocol.lower() == DATA_FORMAT]
        port: int | None = next((port for port in ports if port != 0), None)
    else:
        port = media.lines.first(SCTP_PORT)
    if port is None:
        raise InvalidArgument(f"the data section (mid {media.mid}) has no SCTP port")
    return DataTerms(index, media.mid, port, message_size)
