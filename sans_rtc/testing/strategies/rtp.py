"""RTP packets with header extensions (RFC 3550, RFC 8285), and the same protected (RFC 3711, RFC 7714)."""

from __future__ import annotations

import attrs
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from sans_rtc.rtp.header_extension import is_rfc_8285
from sans_rtc.rtp.wire import RtpPacket, serialize_rtp
from sans_rtc.srtp import MasterKey, SrtpProfile, SrtpSender
from sans_rtc.srtp.profile import profile_row
from sans_rtc.testing.strategies.nearly import U16, U32, nearly

_ONE_BYTE = st.tuples(st.integers(1, 14), st.binary(min_size=1, max_size=16))
_TWO_BYTE = st.tuples(st.integers(1, 255), st.binary(max_size=40))
# RFC 5761 section 4: as the second byte of a datagram, 64 to 95 with a marker would be RTCP.
_PAYLOAD_TYPES = st.one_of(st.integers(0, 63), st.integers(96, 127))


def rtp_extension_elements() -> SearchStrategy[list[tuple[int, bytes]]]:
    """Elements (id, value) of RFC 8285, all of which fit the one-byte form, or not all."""
    return st.one_of(st.lists(_ONE_BYTE, max_size=4), st.lists(_TWO_BYTE, max_size=4))


@st.composite
def rtp_packets(draw: DrawFn) -> RtpPacket:
    """`RtpPacket`: with contributing sources, extensions of either form or of another profile, and padding, or not."""
    other = None
    extensions = draw(rtp_extension_elements())
    if not extensions and draw(st.booleans()):
        words = draw(st.binary(max_size=12))
        other = (draw(U16.filter(lambda profile: not is_rfc_8285(profile))), words + bytes(-len(words) % 4))
    return RtpPacket(
        draw(_PAYLOAD_TYPES),
        draw(U16),
        draw(U32),
        draw(U32),
        draw(st.binary(max_size=60)),
        draw(st.booleans()),
        tuple(draw(st.lists(U32, max_size=4))),
        extensions,
        draw(st.integers(0, 255)) if draw(st.booleans()) else 0,
        other,
    )


def rtp_datagrams() -> SearchStrategy[bytes]:
    """The bytes of a valid packet."""
    return st.builds(serialize_rtp, rtp_packets(), is_two_byte=st.booleans())


def nearly_rtp_datagrams() -> SearchStrategy[bytes]:
    """Bytes that are nearly a packet."""
    return nearly(rtp_datagrams())


@attrs.frozen(slots=True)
class ProtectedRtp:
    """An SRTP packet with all that it takes to open it.

    profile  number of `SrtpProfile`
    master   the master key that it was protected with
    plain    the RTP packet
    data     the SRTP packet
    """

    profile: SrtpProfile
    master: MasterKey
    plain: bytes
    data: bytes


@st.composite
def srtp_packets(draw: DrawFn) -> ProtectedRtp:
    """`ProtectedRtp`: the first packet of its stream, under a key of any profile, with an MKI or without."""
    profile = draw(st.sampled_from(SrtpProfile))
    row = profile_row(profile)
    key = draw(st.binary(min_size=row.key_bytes, max_size=row.key_bytes))
    salt = draw(st.binary(min_size=row.salt_bytes, max_size=row.salt_bytes))
    master = MasterKey(key, salt, draw(st.binary(max_size=4)))
    plain = draw(rtp_datagrams())
    return ProtectedRtp(profile, master, plain, SrtpSender(profile, master).protect_rtp(plain))


def nearly_srtp_packets() -> SearchStrategy[tuple[ProtectedRtp, bytes]]:
    """An SRTP packet, and the same damaged: nothing may come of it but what the sender has sent."""
    return srtp_packets().flatmap(lambda packet: st.tuples(st.just(packet), nearly(st.just(packet.data))))
