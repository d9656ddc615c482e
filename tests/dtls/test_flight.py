"""Flights: packed into datagrams, retransmitted by timer and on the peer's prompting, within bounds."""

import math

import pytest

from sans_rtc.dtls import DtlsConfig, DtlsStats
from sans_rtc.dtls.flight import Flight, FlightItem, FlightSchedule
from sans_rtc.dtls.handshake import HandshakeMessage, parse_fragments
from sans_rtc.dtls.reassembly import Reassembler
from sans_rtc.dtls.record import RecordLayer

SCHEDULE = FlightSchedule(timeout_s=0.1, timeout_s_max=1.0)


def make_items(*sizes):
    return [FlightItem(0, HandshakeMessage(11, seq, bytes([seq]) * size)) for seq, size in enumerate(sizes)]


def pack(items, mtu_bytes=1200):
    flight = Flight(SCHEDULE)
    flight.start(items, 0.0, is_timed=True)
    return flight.pack(RecordLayer(DtlsConfig(), DtlsStats()), mtu_bytes, 548)


def unpack(datagrams):
    """The messages, by a reader that gets the datagrams."""
    records = RecordLayer(DtlsConfig(), DtlsStats())
    reassembler = Reassembler(DtlsConfig(), DtlsStats())
    messages = []
    for datagram in datagrams:
        for _, epoch, _, data in records.open(datagram):
            for fragment in parse_fragments(data):
                reassembler.add(fragment, epoch)
            while (message := reassembler.peek()) is not None:
                messages.append(message)
                reassembler.accept()
    return messages


def test_small_messages_share_a_datagram():
    items = make_items(100, 200, 0, 50)
    (datagram,) = pack(items)
    assert len(datagram) == 350 + 4 * 25
    assert unpack([datagram]) == [item.message for item in items]


@pytest.mark.proves("RFC6347-4.1.1-1-2bb7", "RFC6347-4.2.3-1-ca44", "RFC6347-4.2.3-2-9758", "RFC6347-4.1.1-2-038a")
@pytest.mark.parametrize("mtu_bytes", [256, 300, 548, 1200, 1500])
@pytest.mark.parametrize("sizes", [(3000,), (100, 1100, 5000, 0), (231, 231), (1175,), (1174, 1), (1176, 64, 63)])
def test_no_datagram_exceeds_the_mtu_and_nothing_is_lost(mtu_bytes, sizes):
    items = make_items(*sizes)
    datagrams = pack(items, mtu_bytes)
    assert max(map(len, datagrams)) <= mtu_bytes
    assert unpack(datagrams) == [item.message for item in items]


def test_what_is_left_of_a_datagram_is_filled_by_cutting_a_message():
    datagrams = pack(make_items(600, 1000))
    assert [len(datagram) for datagram in datagrams] == [1200, 1600 + 3 * 25 - 1200]


@pytest.mark.proves("RFC6347-4.2.3-3-3f0d")
def test_fragments_of_a_message_lie_side_by_side():
    records, ends = RecordLayer(DtlsConfig(), DtlsStats()), {}
    for datagram in pack(make_items(600, 3000, 0, 900), 300):
        for *_, data in records.open(datagram):
            for fragment in parse_fragments(data):
                assert fragment.offset == ends.get(fragment.message_seq, 0)
                ends[fragment.message_seq] = fragment.offset + len(fragment.body)
    assert list(ends.values()) == [600, 3000, 0, 900]


def test_a_message_is_not_cut_for_less_than_64_bytes():
    datagrams = pack(make_items(1100, 100))  # 1125 bytes used, 75 left, 50 of them for data
    assert [len(datagram) for datagram in datagrams] == [1125, 125]


def test_change_cipher_spec_is_a_record_of_one_byte(split_records):
    (datagram,) = pack_with_ccs()
    assert split_records(datagram)[1] == (20, 0, 1, b"\x01")


def pack_with_ccs():
    records = RecordLayer(DtlsConfig(), DtlsStats())
    records.install_write(1, records._write[0].protection)
    flight = Flight(SCHEDULE)
    items = [*make_items(10), FlightItem(0, None), FlightItem(1, HandshakeMessage(20, 1, bytes(12)))]
    flight.start(items, 0.0, is_timed=True)
    datagrams = flight.pack(records, 1200, 548)
    assert records.write_epoch == 1
    return datagrams


def test_change_cipher_spec_that_does_not_fit_begins_a_datagram():
    records = RecordLayer(DtlsConfig(), DtlsStats())
    records.install_write(1, records._write[0].protection)
    flight = Flight(SCHEDULE)
    flight.start([*make_items(231 - 13), FlightItem(0, None)], 0.0, is_timed=True)
    assert [len(d) for d in flight.pack(records, 256, 256)] == [243, 14]


@pytest.mark.proves("RFC6347-4.2.1-12-4c75")
def test_retransmission_makes_new_records_of_the_same_messages(split_records):
    records = RecordLayer(DtlsConfig(), DtlsStats())
    flight = Flight(SCHEDULE)
    flight.start(make_items(100), 0.0, is_timed=True)
    (first,) = flight.pack(records, 1200, 548)
    flight.retransmit(0.1)
    (second,) = flight.pack(records, 1200, 548)
    assert split_records(first)[0][3] == split_records(second)[0][3]
    assert [split_records(d)[0][2] for d in (first, second)] == [0, 1]


def test_timeout_doubles_up_to_its_bound():
    flight = Flight(SCHEDULE)
    flight.start(make_items(1), 0.0, is_timed=True)
    now, gaps = 0.0, []
    for _ in range(6):
        gaps.append(round(flight.deadline - now, 6))
        now = flight.deadline
        flight.retransmit(now)
    assert gaps == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


@pytest.mark.proves("RFC6347-4.2.4.1-2-3eb5")
def test_timeout_is_retained_after_a_loss_and_reset_after_none():
    """RFC 6347 section 4.2.4.1"""
    flight = Flight(SCHEDULE)
    flight.start(make_items(1), 0.0, is_timed=True)
    flight.retransmit(0.1)
    flight.start(make_items(1), 0.2, is_timed=True)
    assert flight.deadline == pytest.approx(0.4)
    flight.start(make_items(1), 0.3, is_timed=True)
    assert flight.deadline == pytest.approx(0.4)


@pytest.mark.proves("RFC6347-4.1.1.1-11-47f6")
def test_datagrams_shrink_after_three_retransmissions():
    """RFC 6347 section 4.1.1.1"""
    records = RecordLayer(DtlsConfig(), DtlsStats())
    flight = Flight(SCHEDULE)
    flight.start(make_items(1100), 0.0, is_timed=True)
    sizes = []
    for _ in range(5):
        sizes.append(max(map(len, flight.pack(records, 1200, 548))))
        flight.retransmit(flight.deadline)
    assert sizes == [1125, 1125, 1125, 548, 548]


def test_flight_that_needs_no_answer_has_no_deadline():
    flight = Flight(SCHEDULE)
    flight.start(make_items(1), 0.0, is_timed=False)
    assert flight.deadline == math.inf
    assert flight.is_due


def test_promptings_within_25_ms_are_one():
    flight = Flight(SCHEDULE)
    flight.start(make_items(1), 0.0, is_timed=True)
    answers = [flight.repeat(now, is_authentic=False) for now in (0.0, 0.02, 0.03, 0.04, 0.05, 0.06)]
    assert answers == [False, False, True, False, False, True]


def test_prompting_resets_the_timer():
    """RFC 6347 section 4.2.4: "resets the retransmit timer"."""
    flight = Flight(SCHEDULE)
    flight.start(make_items(1), 0.0, is_timed=True)
    flight.repeat(0.08, is_authentic=False)
    assert flight.deadline == pytest.approx(0.18)


def test_forged_promptings_are_answered_eight_times_at_most():
    flight = Flight(SCHEDULE)
    flight.start(make_items(1), 0.0, is_timed=True)
    assert sum(flight.repeat(float(now), is_authentic=False) for now in range(1, 100)) == 8
    assert sum(flight.repeat(float(now), is_authentic=True) for now in range(100, 200)) == 100


def test_cleared_flight_is_never_sent_again():
    flight = Flight(SCHEDULE)
    flight.start(make_items(1), 0.0, is_timed=True)
    flight.clear()
    assert not flight.repeat(10.0, is_authentic=True)
    assert (flight.deadline, flight.is_due) == (math.inf, False)
