"""SCTP packets, their chunks and parameters (RFC 9260, 3758, 4820, 6525), and DCEP (RFC 8832)."""

from __future__ import annotations

import google_crc32c
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from sans_rtc.datachannel.wire import AckMessage, DcepMessage, OpenMessage, serialize_dcep
from sans_rtc.sctp import chunks as c
from sans_rtc.sctp import params as p
from sans_rtc.sctp.config import Reliability
from sans_rtc.sctp.wire import Packet, serialize_chunk, serialize_packet
from sans_rtc.testing.strategies.nearly import U8, U16, U32, nearly

_STREAM_IDS = st.lists(U16, max_size=5).map(tuple)
_COMMON_HEADER_BYTES = 12


def sctp_parameters() -> SearchStrategy[p.Parameter]:
    """`Parameter` of INIT and INIT ACK: a known type or any, up to 24 bytes of value."""
    kinds = st.one_of(st.sampled_from(p.ParameterType).map(int), U16)
    return st.builds(p.Parameter, kinds, st.binary(max_size=24))


def sctp_causes() -> SearchStrategy[p.Parameter]:
    """`Parameter` as an error cause of ABORT and ERROR."""
    return st.builds(p.Parameter, st.one_of(st.sampled_from(p.CauseCode).map(int), U16), st.binary(max_size=24))


def sctp_reconfig_parameters() -> SearchStrategy[p.ReconfigParameter]:
    """The requests and responses of RE-CONFIG (RFC 6525 section 4), decoded."""
    results = st.one_of(st.sampled_from(p.ResetResult).map(int), U32)
    return st.one_of(
        st.builds(p.OutgoingReset, U32, U32, U32, _STREAM_IDS),
        st.builds(p.IncomingReset, U32, _STREAM_IDS),
        st.builds(p.SsnTsnReset, U32),
        st.builds(p.ReconfigResponse, U32, results),
        st.builds(p.ReconfigResponse, U32, results, U32, U32),
        st.builds(p.AddStreams, U32, U16, st.booleans()),
    )


def data_chunks() -> SearchStrategy[c.Data]:
    """`Data` of 1 to 60 bytes with any flags and numbers."""
    return st.builds(c.Data, st.integers(0, 15), U32, U16, U16, U32, st.binary(min_size=1, max_size=60))


def sctp_chunks() -> SearchStrategy[c.Chunk]:
    """A chunk of any type that the table has, decoded."""
    parameters, causes = st.lists(sctp_parameters(), max_size=4), st.lists(sctp_causes(), max_size=3)
    gaps = st.lists(st.tuples(U16, U16), max_size=4)
    reconfig = st.lists(sctp_reconfig_parameters().map(p.serialize_reconfig), min_size=1, max_size=2)
    return st.one_of(
        data_chunks(),
        st.builds(c.Init, U32, U32, U16, U16, U32, parameters, st.booleans()),
        st.builds(c.Sack, U32, U32, gaps, st.lists(U32, max_size=3).map(tuple)),
        st.builds(c.Heartbeat, st.binary(min_size=4, max_size=40), st.booleans()),
        st.builds(c.Abort, causes, st.booleans()),
        st.builds(c.Shutdown, U32),
        st.builds(c.ShutdownAck),
        st.builds(c.Error, causes),
        st.builds(c.CookieEcho, st.binary(max_size=60)),
        st.builds(c.CookieAck),
        st.builds(c.ShutdownComplete, st.booleans()),
        st.builds(c.ReConfig, reconfig),
        st.builds(c.ForwardTsn, U32, st.lists(st.tuples(U16, U16), max_size=4)),
        st.builds(c.Pad, st.integers(0, 40)),
    )


@st.composite
def sctp_packets(draw: DrawFn, tag: int | None = None, port: int = 5000) -> bytes:
    """The bytes of a packet of one to three chunks with the right checksum.

    tag   the verification tag, None: any
    port  both ports
    """
    body = b"".join([c.serialize(chunk) for chunk in draw(st.lists(sctp_chunks(), min_size=1, max_size=3))])
    number = draw(U32) if tag is None else tag
    return resealed(port.to_bytes(2, "big") * 2 + number.to_bytes(4, "big") + bytes(4) + body)


def resealed(data: bytes) -> bytes:
    """A packet with the checksum that its bytes deserve, so that a receiver looks further; shorter than a header: as it
    is."""
    if len(data) < _COMMON_HEADER_BYTES:
        return data
    crc: int = google_crc32c.value(data[:8] + bytes(4) + data[_COMMON_HEADER_BYTES:])
    return data[:8] + crc.to_bytes(4, "little") + data[_COMMON_HEADER_BYTES:]


@st.composite
def _misshapen(draw: DrawFn, tag: int | None, port: int) -> bytes:
    """Chunks of any type, known or not, with values that fit none; the checksum is right."""
    kinds = st.one_of(st.sampled_from(c.ChunkType).map(int), U8)
    raw = [(draw(kinds), draw(U8), draw(st.binary(max_size=28))) for _ in range(draw(st.integers(1, 3)))]
    return serialize_packet(Packet(port, port, draw(U32) if tag is None else tag, raw))


@st.composite
def nearly_sctp_packets(draw: DrawFn, tag: int | None = None, port: int = 5000) -> bytes:
    """Bytes that are nearly a packet; damaged ones most often have a right checksum, or nothing would look at them."""
    packet = draw(st.one_of(nearly(sctp_packets(tag, port)), _misshapen(tag, port)))
    if tag is not None:
        packet = port.to_bytes(2, "big") * 2 + tag.to_bytes(4, "big") + packet[8:]
    return resealed(packet) if draw(st.integers(0, 3)) else packet


def sctp_chunk_bytes() -> SearchStrategy[bytes]:
    """One chunk as bytes with header and padding."""
    return st.one_of(sctp_chunks().map(c.serialize), st.builds(serialize_chunk, U8, U8, st.binary(max_size=20)))


def reliabilities() -> SearchStrategy[Reliability]:
    """`Reliability` of every kind: ordered or not; reliable, of so many retransmissions, or for so many whole ms."""
    return st.one_of(
        st.builds(Reliability, ordered=st.booleans()),
        st.builds(Reliability, ordered=st.booleans(), max_retransmits=U32),
        st.builds(Reliability, ordered=st.booleans(), lifetime_s=U32.map(lambda ms: ms / 1000)),
    )


def dcep_messages() -> SearchStrategy[DcepMessage]:
    """`OpenMessage` of every channel type, or `AckMessage`."""
    text = st.text(st.characters(codec="utf-8"), max_size=20)
    return st.one_of(st.builds(OpenMessage, text, text, reliabilities(), U16), st.builds(AckMessage))


def dcep_datagrams() -> SearchStrategy[bytes]:
    """The bytes of a DCEP message."""
    return dcep_messages().map(serialize_dcep)


def nearly_dcep_datagrams() -> SearchStrategy[bytes]:
    """Bytes that are nearly a DCEP message: damaged, of an unknown channel type, or with texts that are not UTF-8."""
    forged = st.builds(lambda kind, rest: b"\x03" + bytes((kind,)) + rest, U8, st.binary(min_size=0, max_size=40))
    return st.one_of(nearly(dcep_datagrams()), forged)
