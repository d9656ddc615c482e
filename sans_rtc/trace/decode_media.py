"""RTP and RTCP: the headers as they are, and with the keys of DTLS what is in them (RFC 3550, 3711, 5764)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Final

from sans_rtc.errors import SansRtcError, WireError
from sans_rtc.rtcp.wire import PacketType, parse_compound
from sans_rtc.rtp.wire import is_rtcp, parse_rtp
from sans_rtc.srtp import SrtpReceiver, dtls_keying_material_bytes, keys_from_dtls
from sans_rtc.trace.decode_sctp import Found
from sans_rtc.trace.decoded import Plain, plain

_RTP_HEADER: Final = struct.Struct(">BBHII")
_RTCP_HEADER: Final = struct.Struct(">BBHI")
_RTCP_NAMES: Final = {kind.value: kind.name for kind in PacketType}


class MediaKeys:
    """Opens the SRTP of one DTLS session, both directions."""

    def __init__(self, profile: int, exported: bytes) -> None:
        """InvalidArgument for a profile that is not known here.

        exported  what DTLS exports for the profile
        """
        client, server = keys_from_dtls(profile, exported, is_client=True)
        self._receivers = {True: SrtpReceiver(profile, client), False: SrtpReceiver(profile, server)}

    @classmethod
    def of_session(cls, profile: int | None, export: Callable[[int], bytes | None]) -> MediaKeys | None:
        """The keys of a DTLS session; None without a profile that is known here, or where nothing can be exported.

        export  gives so many bytes for the label of SRTP (RFC 5764 section 4.2)
        """
        if profile is None:
            return None
        try:
            exported = export(dtls_keying_material_bytes(profile))
            return None if exported is None else cls(profile, exported)
        except SansRtcError:
            return None

    def open(self, data: bytes, *, is_from_client: bool | None) -> bytes | None:
        """The packet that was sent; None where the keys are not its own. Of an unknown direction both are tried."""
        for direction in (True, False) if is_from_client is None else (is_from_client,):
            receiver = self._receivers[direction]
            opened = receiver.unprotect_rtcp(data) if is_rtcp(data) else receiver.unprotect_rtp(data)
            if opened is not None:
                return opened
        return None


def decode_media(data: bytes, opened: bytes | None) -> Iterator[Found]:
    """What a packet says: of one that could not be opened the header."""
    if is_rtcp(data):
        yield from _rtcp(data, opened)
    else:
        yield _rtp(data, opened)


def _rtp(data: bytes, opened: bytes | None) -> Found:
    if len(data) < _RTP_HEADER.size:
        return "rtp", "too short", len(data), {}
    _, second, sequence_number, timestamp, ssrc = _RTP_HEADER.unpack_from(data)
    fields: dict[str, Plain] = {
        "ssrc": ssrc,
        "payload_type": second & 0x7F,
        "sequence_number": sequence_number,
        "timestamp": timestamp,
        "marker": second > 0x7F,
        "is_opened": opened is not None,
    }
    if opened is not None:
        try:
            packet = parse_rtp(opened)
        except WireError as error:
            fields["malformed"] = str(error)
        else:
            fields["payload_bytes"] = len(packet.payload)
            fields["extensions"] = {str(number): value.hex() for number, value in packet.extensions}
    return "rtp", "RTP", len(data), fields


def _rtcp(data: bytes, opened: bytes | None) -> Iterator[Found]:
    if len(data) < _RTCP_HEADER.size:
        yield "rtcp", "too short", len(data), {}
        return
    if opened is None:
        _, kind, _, ssrc = _RTCP_HEADER.unpack_from(data)
        name = _RTCP_NAMES.get(kind, f"type {kind}")
        yield "rtcp", name, len(data), {"ssrc": ssrc, "is_opened": False}
        return
    try:
        packets = parse_compound(opened, allow_reduced_size=True)
    except SansRtcError as error:
        yield "rtcp", "malformed", len(data), {"error": str(error)}
        return
    for packet in packets:
        said = plain(packet)
        yield "rtcp", type(packet).__name__, len(data), said if isinstance(said, dict) else {}
