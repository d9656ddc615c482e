"""Partial reliability, the sender's side (RFC 3758 3.5, RFC 7496)."""

import pytest

from sans_rtc.sctp import BufferLow, Reliability, SendFailed
from sans_rtc.sctp.chunks import CookieAck, Data, ForwardTsn

FULL = 1160 - 12 - 16


def data(said):
    return [chunk for chunk in said if isinstance(chunk, Data)]


def forwards(said):
    return [chunk for chunk in said if isinstance(chunk, ForwardTsn)]


def failures(raw):
    return [event for event in raw.take_events() if isinstance(event, SendFailed)]


def once(ordered=True):
    return Reliability(ordered=ordered, max_retransmits=0)


def lose(raw):
    """Nothing is answered: T3-rtx expires."""
    return raw.wait(0.25)


@pytest.fixture
def raw(sctp):
    return sctp.RawPeer(sctp.association(tail_loss_probe=False)).establish()


def test_message_without_retransmissions_is_sent_once(raw, send):
    send(raw.association, b"once", reliability=once())
    assert len(data(raw.take())) == 1
    said = lose(raw)
    assert data(said) == []
    assert forwards(said) == [ForwardTsn(raw.their_tsn, [(0, 0)])]
    assert failures(raw) == [SendFailed(0, 51, 4, was_sent=True)]


@pytest.mark.proves("DATA-CHANNEL-5-1-3d43", "DATA-CHANNEL-6.1-5-a340", "DATA-CHANNEL-6.1-6-196c")
@pytest.mark.parametrize("limit", [0, 1, 3])
def test_retransmissions_are_limited_to_the_number(raw, send, limit):
    send(raw.association, b"x", reliability=Reliability(max_retransmits=limit))
    said = raw.take() + raw.wait(20.0)
    assert len(data(said)) == 1 + limit


def test_abandoned_chunks_leave_the_flight(raw, send):
    send(raw.association, bytes(3 * FULL), reliability=once())
    raw.take()
    lose(raw)
    assert raw.association.statistics.flight_bytes == 0
    assert raw.association.statistics.lost_bytes == 0
    assert raw.association.unacknowledged_bytes == 0


def test_message_is_abandoned_as_a_whole(raw, send):
    send(raw.association, bytes(8 * FULL), reliability=once())
    raw.take()
    raw.send(raw.sack(1, gaps=[(2, 5)]))  # the second is lost
    (forward,) = forwards(raw.take())
    assert forward == ForwardTsn(raw.their_tsn + 7, [(0, 0)])


def test_unordered_streams_are_not_listed(raw, send):
    send(raw.association, b"x", reliability=once(ordered=False))
    raw.take()
    assert forwards(lose(raw)) == [ForwardTsn(raw.their_tsn, [])]


def test_last_ssn_of_each_stream_is_listed(raw, send):
    for stream_id in (1, 1, 2):
        send(raw.association, b"x", stream_id=stream_id, reliability=once())
    raw.take()
    (forward,) = forwards(lose(raw))
    assert sorted(forward.streams) == [(1, 1), (2, 0)]


def test_point_advances_over_abandoned_chunks_only(raw, send):
    send(raw.association, b"a", reliability=once())
    send(raw.association, b"b")
    send(raw.association, b"c", reliability=once())
    raw.take()
    said = lose(raw)
    assert forwards(said) == [ForwardTsn(raw.their_tsn, [(0, 0)])]
    assert [chunk.payload for chunk in data(said)] == [b"b"]
    raw.send(raw.sack(2))
    assert forwards(raw.take()) == [ForwardTsn(raw.their_tsn + 2, [(0, 2)])]


def test_forward_tsn_is_repeated_until_the_peer_has_passed(raw, send):
    send(raw.association, b"x", reliability=once())
    raw.take()
    assert len(forwards(lose(raw))) == 1
    assert len(forwards(raw.wait(1.0))) >= 1
    raw.send(raw.sack(1))
    assert raw.wait(5.0) == []
    assert raw.association._outbound.is_all_acknowledged


def test_forward_tsn_is_not_repeated_for_each_sack(raw, send):
    send(raw.association, b"x", reliability=once())
    raw.take()
    send(raw.association, bytes(5 * FULL))
    raw.take()
    raw.send(raw.sack(0, gaps=[(2, 4)]))
    assert len(forwards(raw.take())) == 1
    raw.send(raw.sack(0, gaps=[(2, 5)]))
    assert forwards(raw.take()) == []


def test_forward_tsn_fits_the_packet(sctp, send):
    raw = sctp.RawPeer(sctp.association(tail_loss_probe=False, mtu_bytes=256, initial_cwnd_packets=100)).establish()
    for stream_id in range(200):
        send(raw.association, b"x", stream_id=stream_id, reliability=once())
    raw.take()
    passed = 0
    for _ in range(20):
        for datagram in raw.take_packets():
            assert len(datagram) <= 256
            for forward in forwards(sctp.chunks_of([datagram])):
                passed = forward.new_cumulative_tsn - raw.their_tsn + 1
        if passed:
            raw.send(raw.sack(passed))
        if passed == 200:
            return
        raw.now += 0.3
        raw.monitor.handle_timer(raw.now)
    raise AssertionError(f"only {passed} are skipped")


def test_message_expires_in_the_queue_without_a_number(raw, send):
    raw.window_bytes = 0
    send(raw.association, b"blocks", stream_id=1)
    raw.take()
    raw.send(raw.sack(1, window_bytes=0))
    send(raw.association, b"late", reliability=Reliability(lifetime_s=0.1), now=raw.now)
    raw.take()
    raw.now += 0.2
    raw.send(raw.sack(1, window_bytes=10_000))
    send(raw.association, b"next", now=raw.now)
    (chunk,) = data(raw.take())
    assert (chunk.payload, chunk.ssn) == (b"next", 0)
    assert failures(raw) == [SendFailed(0, 51, 4, was_sent=False)]


@pytest.mark.proves("DATA-CHANNEL-6.1-6-196c")
def test_message_is_not_repeated_after_its_lifetime(raw, send):
    send(raw.association, b"x", reliability=Reliability(lifetime_s=0.1))
    raw.take()
    said = lose(raw)
    assert data(said) == [] and len(forwards(said)) == 1


def test_message_is_repeated_within_its_lifetime(raw, send):
    send(raw.association, b"x", reliability=Reliability(lifetime_s=1.0))
    raw.take()
    assert len(data(lose(raw))) == 1
    said = raw.wait(3.0)
    assert len(data(said)) == 1  # at 0.6; the next would be at 1.4
    assert forwards(said)


def test_half_sent_message_expires_with_a_tsn_for_its_end(raw, send):
    """All that was sent has been acknowledged: without a further TSN the peer would wait for the rest for ever."""
    send(raw.association, bytes(20 * FULL), reliability=Reliability(lifetime_s=0.1))
    send(raw.association, b"next")
    assert len(data(raw.take())) == 10
    raw.now += 0.15
    raw.send(raw.sack(10))
    said = raw.take()
    assert forwards(said) == [ForwardTsn(raw.their_tsn + 10, [(0, 0)])]
    assert [(chunk.payload, chunk.ssn, chunk.tsn) for chunk in data(said)] == [(b"next", 1, raw.their_tsn + 11)]
    raw.send(raw.sack(12))
    assert raw.association._outbound.is_all_acknowledged


def test_half_sent_message_gives_its_buffer_back(raw, send):
    send(raw.association, bytes(20 * FULL), reliability=Reliability(lifetime_s=0.1))
    raw.take()
    raw.take_events()
    raw.now += 0.15
    raw.send(raw.sack(10))
    raw.take()
    assert raw.association.buffered_bytes(0) == 0
    assert BufferLow(0) in raw.take_events()


@pytest.mark.parametrize("reliability", [Reliability(max_retransmits=0), Reliability(lifetime_s=0.1)])
def test_peer_without_forward_tsn_gets_everything_that_was_begun(sctp, send, reliability):
    raw = sctp.RawPeer(sctp.association(tail_loss_probe=False), parameters=()).establish()
    send(raw.association, bytes(20 * FULL), reliability=reliability)
    raw.take()
    said = raw.wait(1.0)
    assert forwards(said) == []
    assert len(data(said)) >= 2
    raw.send(raw.sack(10))
    assert len(data(raw.take())) > 0


def test_probe_does_not_repeat_what_must_not_be(sctp, send):
    raw = sctp.RawPeer(sctp.association())
    raw.association.connect(raw.now)
    raw.take()
    raw.now += 0.02
    raw.send(raw.init(is_ack=True, cookie=b"c"))
    raw.take()
    raw.send(CookieAck())
    send(raw.association, b"reliable", now=raw.now)
    send(raw.association, b"once", reliability=once(), now=raw.now)
    raw.take()
    assert [chunk.payload for chunk in data(raw.wait(0.1))][:1] == [b"reliable"]


def test_round_trip_is_not_measured_by_a_skipped_chunk(raw, send):
    before = raw.association.statistics.srtt_s
    send(raw.association, b"x", reliability=once())
    raw.take()
    lose(raw)
    raw.send(raw.sack(1))
    assert raw.association.statistics.srtt_s == before


def test_abandoned_chunk_that_arrived_after_all_is_fine(raw, send):
    send(raw.association, b"x", reliability=once())
    raw.take()
    lose(raw)
    raw.send(raw.sack(1))
    send(raw.association, b"y")
    (chunk,) = data(raw.take())
    assert (chunk.tsn, chunk.ssn) == (raw.their_tsn + 1, 1)
