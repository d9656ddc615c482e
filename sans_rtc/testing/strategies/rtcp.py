"""RTCP packets of every kind, compound and of reduced size (RFC 3550, 3611, 4585, 5104, 5506, 8888)."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from sans_rtc import rtcp
from sans_rtc.rtcp.wire import TABLE, RtcpPacket, serialize_compound
from sans_rtc.testing.strategies.nearly import U8, U16, U32, U64, nearly

_WORDS = st.integers(0, 4).flatmap(lambda count: st.binary(min_size=4 * count, max_size=4 * count))
_FORMATS = frozenset((int(row.packet_type), row.format) for row in TABLE)


def report_blocks() -> SearchStrategy[rtcp.ReportBlock]:
    """`ReportBlock` with every field over its whole range."""
    lost = st.integers(-(1 << 23), (1 << 23) - 1)
    return st.builds(rtcp.ReportBlock, U32, U8, lost, U32, U32, U32, U32)


def _reports() -> SearchStrategy[RtcpPacket]:
    blocks = st.lists(report_blocks(), max_size=3)
    sender = st.builds(rtcp.SenderReport, U32, U64, U32, U32, U32, blocks, _WORDS)
    return st.one_of(sender, st.builds(rtcp.ReceiverReport, U32, blocks, _WORDS))


def _descriptions() -> SearchStrategy[RtcpPacket]:
    items = st.lists(st.builds(rtcp.SdesItem, st.integers(1, 255), st.binary(max_size=20)), max_size=3)
    chunks = st.lists(st.builds(rtcp.SdesChunk, U32, items), max_size=3)
    goodbye = st.builds(rtcp.Goodbye, st.lists(U32, max_size=4).map(tuple), st.binary(max_size=20))
    name = st.text("ABCxyz019 ", min_size=4, max_size=4).map(str.encode)
    app = st.builds(rtcp.App, U32, name, _WORDS, st.integers(0, 31))
    return st.one_of(st.builds(rtcp.SourceDescription, chunks), goodbye, app)


@st.composite
def _transport_feedback(draw: DrawFn) -> rtcp.TransportFeedback:
    deltas = draw(st.lists(st.none() | st.integers(-0x8000, 0x7FFF), min_size=1, max_size=40))
    head = draw(U32), draw(U32), draw(U16), draw(st.integers(0, 0xFFFFFF)), draw(U8)
    return rtcp.TransportFeedback(*head, deltas)


def _limits() -> SearchStrategy[rtcp.BitrateLimit]:
    """Of the bitrate 17 significant bits travel, so only such are drawn."""
    rates = st.builds(lambda mantissa, exponent: mantissa << exponent, st.integers(0, 0x1FFFF), st.integers(0, 20))
    return st.builds(rtcp.BitrateLimit, U32, rates, st.integers(0, 511))


def _feedback() -> SearchStrategy[RtcpPacket]:
    some_limits, limits = st.lists(_limits(), min_size=1, max_size=3), st.lists(_limits(), max_size=3)
    metrics = st.lists(st.none() | st.tuples(st.integers(0, 3), st.integers(0, 0x1FFF)), max_size=9)
    rates = st.builds(lambda mantissa, exponent: mantissa << exponent, st.integers(0, 0x3FFFF), st.integers(0, 20))
    losses = st.builds(rtcp.SliceLoss, st.integers(0, 0x1FFF), st.integers(0, 0x1FFF), st.integers(0, 63))
    # The FCI is filled up to whole words with padding bits: 2 bytes stand before the bits.
    bits = st.integers(0, 3).flatmap(lambda count: st.binary(min_size=4 * count + 2, max_size=4 * count + 2))
    first = st.integers(0, 0xFFFF).flatmap(
        lambda begin: st.lists(st.integers(0, 60), min_size=1, max_size=8, unique=True).map(
            lambda steps: [begin + step & 0xFFFF for step in sorted(steps)]
        )
    )
    return st.one_of(
        st.builds(rtcp.Nack, U32, U32, first),
        st.builds(rtcp.PictureLossIndication, U32, U32),
        st.builds(rtcp.SliceLossIndication, U32, U32, st.lists(losses, min_size=1, max_size=3)),
        st.builds(rtcp.ReferencePictureSelection, U32, U32, st.integers(0, 127), bits),
        st.builds(rtcp.FullIntraRequest, U32, st.lists(st.builds(rtcp.FirEntry, U32, U8), min_size=1, max_size=3), U32),
        st.builds(rtcp.BitrateRequest, U32, some_limits, U32),
        st.builds(rtcp.BitrateNotification, U32, limits, U32),
        st.builds(rtcp.Remb, U32, rates, st.lists(U32, max_size=4).map(tuple), U32),
        _transport_feedback(),
        st.builds(
            rtcp.CongestionControlFeedback,
            U32,
            U32,
            st.lists(st.builds(rtcp.StreamFeedback, U32, U16, metrics), max_size=3),
        ),
    )


def _extended() -> SearchStrategy[RtcpPacket]:
    delays = st.lists(st.builds(rtcp.ReceiverDelay, U32, U32, U32), max_size=3)
    block = st.one_of(
        st.builds(rtcp.ReceiverReferenceTime, U64),
        st.builds(rtcp.DelaySinceLastReport, delays),
        st.builds(rtcp.UnknownBlock, st.integers(8, 255), U8, _WORDS),
    )
    return st.builds(rtcp.ExtendedReport, U32, st.lists(block, max_size=3))


def _unknown() -> SearchStrategy[RtcpPacket]:
    feedback = st.tuples(st.sampled_from((205, 206)), st.integers(0, 31)).filter(lambda each: each not in _FORMATS)
    packet_types = st.integers(192, 223).filter(lambda number: not 200 <= number <= 207)
    return st.one_of(
        st.builds(lambda kind, *rest: rtcp.UnknownFeedback(*kind, *rest), feedback, U32, U32, _WORDS),
        st.builds(rtcp.UnknownPacket, packet_types, st.integers(0, 31), _WORDS),
    )


def rtcp_packets() -> SearchStrategy[RtcpPacket]:
    """One packet of any kind that the table has, or unknown."""
    return st.one_of(_reports(), _descriptions(), _feedback(), _extended(), _unknown())


def rtcp_compounds() -> SearchStrategy[list[RtcpPacket]]:
    """A compound: a report, then up to three packets of any kind (RFC 3550 section 6.1)."""
    return st.builds(lambda report, rest: [report, *rest], _reports(), st.lists(rtcp_packets(), max_size=3))


def rtcp_datagrams(*, reduced_size: bool = False) -> SearchStrategy[bytes]:
    """The bytes of a compound.

    reduced_size  begin with any packet (RFC 5506)
    """
    packets = st.lists(rtcp_packets(), min_size=1, max_size=3) if reduced_size else rtcp_compounds()
    return packets.map(serialize_compound)


def nearly_rtcp_datagrams() -> SearchStrategy[bytes]:
    """Bytes that are nearly RTCP: damaged, or a right header with a body of any kind."""
    forged = st.builds(
        lambda count, kind, body: bytes((0x80 | count, kind)) + (len(body) // 4).to_bytes(2, "big") + body,
        st.integers(0, 63),
        st.integers(192, 223),
        _WORDS,
    )
    return st.one_of(nearly(rtcp_datagrams()), st.lists(forged, min_size=1, max_size=3).map(b"".join))
