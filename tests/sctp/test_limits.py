"""A peer that does one thing for ever: memory and work stay bounded."""

import tracemalloc

import pytest

from sans_rtc.sctp import DiscardReason, IncomingStreamsReset
from sans_rtc.sctp.chunks import ForwardTsn, ReConfig, serialize
from sans_rtc.sctp.config import HELD_OVERHEAD_BYTES
from sans_rtc.sctp.outstanding import RENEGES_MAX
from sans_rtc.sctp.params import OutgoingReset, serialize_reconfig
from sans_rtc.sctp.wire import Sealer

B, E, U = 2, 1, 4
WINDOW = 100_000
# What one held byte may cost: a fragment of one byte is charged 65, and is a run of its own at worst, with its entries
# in two maps and a list.
COST_PER_CHARGED_BYTE = 12


@pytest.fixture
def raw(sctp):
    return sctp.RawPeer(sctp.association(receive_window_bytes=WINDOW, message_bytes_max=WINDOW)).establish()


def held(raw):
    return raw.association._inbound.reassembly.held_bytes


def feed(raw, chunks):
    """Give it the chunks without looking, as fast as can be; returns the memory that stays."""
    sealer = Sealer(5000, 5000, raw.their_tag)
    packets = [sealer.seal(serialize(chunk)) for chunk in chunks]
    tracemalloc.start()
    try:
        for index, datagram in enumerate(packets):
            raw.association.receive(datagram, raw.now)
            if index % 50 == 0:
                raw.association.take_datagrams(raw.now)
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


FLOODS = {
    "tiny messages never consumed": lambda raw, n: raw.data(b"x", flags=B | E | U),
    "tiny ordered messages, the first missing": lambda raw, n: raw.data(b"x", ssn=n + 1),
    "fragments without a beginning": lambda raw, n: raw.data(b"x", flags=0),
    "fragments without an end": lambda raw, n: raw.data(b"x", flags=B if n == 0 else 0),
    "ends alone between messages": lambda raw, n: raw.data(b"x", flags=E | U if n % 2 else B | E | U),
    "each message on a stream of its own": lambda raw, n: raw.data(b"x", stream_id=n % 65535, ssn=1),
    "large messages": lambda raw, n: raw.data(bytes(1000), flags=B | E | U),
}


@pytest.mark.parametrize("name", FLOODS)
def test_memory_of_a_flood_is_bounded_by_the_window(raw, name):
    memory = feed(raw, [FLOODS[name](raw, index) for index in range(2500)])
    assert not raw.association.is_terminated
    assert held(raw) <= WINDOW + 1000 + HELD_OVERHEAD_BYTES
    assert memory < COST_PER_CHARGED_BYTE * WINDOW + 200_000


def test_memory_of_65535_streams_is_bounded(sctp):
    raw = sctp.RawPeer(sctp.association()).establish()
    memory = feed(raw, [raw.data(b"x", stream_id=stream_id) for stream_id in range(0, 65535, 32)])
    assert memory < 2 * (1 << 20)


def test_duplicates_for_ever_leave_nothing(raw):
    chunk = raw.data()
    feed(raw, [chunk])
    assert feed(raw, [chunk] * 3000) < 50_000


def test_gaps_for_ever_leave_little(raw):
    memory = feed(raw, [raw.data(b"x", tsn=raw.tsn + 2 * index, flags=B | E | U) for index in range(1, 3000)])
    assert memory < COST_PER_CHARGED_BYTE * WINDOW + 200_000
    assert raw.association._inbound.tsns.range_count <= 1024


def test_answers_that_nobody_takes_are_bounded(peer):
    sealer = Sealer(5000, 5000, peer.their_tag)
    for index in range(3000):
        chunk = peer.data(b"x", flags=B | E | U, tsn=peer.tsn + index % 1000 * 2 + 1)
        peer.association.receive(sealer.seal(serialize(chunk)), peer.now)
    assert len(peer.association.take_datagrams(peer.now)) <= 65


def test_skips_of_one_stream_listed_many_times_are_done_once(peer):
    reassembly = peer.association._inbound.reassembly
    reassembly.skip(0, [(1, ssn) for ssn in range(300)])
    assert reassembly._next_ssn == {1: 300}


@pytest.mark.parametrize("skipped", [3, 50, 5000])
def test_skipping_delivers_what_arrived_either_way_of_finding_it(peer, skipped):
    base = peer.tsn
    for index, ssn in enumerate((2, 3, 7, 6000)):
        peer.send(peer.data(bytes([index]), ssn=ssn, tsn=base + 1 + index))
    peer.send(ForwardTsn(base, [(0, skipped)]))
    got = [event.data for event in peer.take_events()]
    assert got == [bytes([index]) for index, ssn in enumerate((2, 3, 7, 6000)) if ssn <= skipped]


def test_gap_reports_that_come_and_go_are_not_believed_for_ever(peer, send):
    send(peer.association, bytes(5000))
    peer.take()
    for _ in range(RENEGES_MAX):
        peer.send(peer.sack(0, gaps=[(2, 2)]))
        peer.send(peer.sack(0))
    before = peer.association.statistics.flight_bytes
    peer.send(peer.sack(0, gaps=[(2, 2)]))
    assert peer.association.statistics.flight_bytes == before
    peer.send(peer.sack(5))
    assert peer.association.statistics.flight_bytes == 0


def test_reset_of_all_streams_is_one_event(peer):
    item = OutgoingReset(100, peer.their_tsn - 1, peer.tsn - 1, ())
    peer.send(ReConfig([serialize_reconfig(item)]))
    (event,) = peer.take_events()
    assert event == IncomingStreamsReset(tuple(range(65535)))
    assert peer.association.stats.discards[DiscardReason.EARLY_REQUEST] == 0
