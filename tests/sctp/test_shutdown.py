"""Ending gracefully, and noticing that the peer is gone (RFC 9260 8.1, 8.3, 9.2)."""

import math

import pytest

from sans_rtc.errors import InvalidState
from sans_rtc.sctp import RELIABLE, DiscardReason, Message, Reliability, State, TerminationReason
from sans_rtc.sctp.chunks import Abort, CookieEcho, Data, Heartbeat, Sack, Shutdown, ShutdownAck, ShutdownComplete

FULL = 1160 - 12 - 16


def shutdown(raw, acknowledged=0):
    return Shutdown((raw.their_tsn + acknowledged - 1) & 0xFFFFFFFF)


@pytest.mark.proves("RFC4960-8.5.1-7-2648")
def test_both_ends_end_with_closed(pair):
    pair.a.close(pair.now)
    pair.exchange()
    assert [pair.events[end][-1].reason for end in (0, 1)] == [TerminationReason.CLOSED] * 2


def test_both_ends_close_at_once(pair):
    pair.a.close(pair.now)
    pair.b.close(pair.now)
    pair.exchange()
    assert [pair.events[end][-1].reason for end in (0, 1)] == [TerminationReason.CLOSED] * 2


@pytest.mark.proves("RFC4960-4-11-8dab", "RFC4960-9.2-4-7738", "RFC4960-9.2-10-1ea8")
def test_close_waits_for_queued_messages_of_both_ends(pair, send):
    for index, end in enumerate(pair.ends):
        send(end, bytes([index]) * 200_000)
    pair.a.close(pair.now)
    pair.exchange()
    assert pair.messages(0) == [Message(0, 51, b"\1" * 200_000)]
    assert pair.messages(1) == [Message(0, 51, b"\0" * 200_000)]
    assert [pair.events[end][-1].reason for end in (0, 1)] == [TerminationReason.CLOSED] * 2


def test_close_goes_on_where_the_last_message_expires_in_the_queue(peer, send):
    """Everything else is acknowledged by then, so that nothing would come that makes it go on."""
    send(peer.association, bytes(10 * FULL))
    send(peer.association, b"late", reliability=Reliability(lifetime_s=0.01))
    peer.association.close(peer.now)
    assert len(peer.take()) == 10  # the congestion window is full
    peer.wait(0.02)
    peer.send(peer.sack(10))
    assert peer.take() == [Shutdown(peer.tsn - 1)]


def test_close_is_idempotent(peer):
    peer.association.close(peer.now)
    peer.association.close(peer.now)
    assert peer.take() == [Shutdown(peer.tsn - 1)]


@pytest.mark.proves(
    "RFC4960-3-1-297a",
    "RFC4960-3.1-6-a4d9",
    "RFC4960-5.1-7-43c5",
    "RFC4960-5.1-8-752b",
    "RFC4960-6.10-7-da5f",
    "RFC4960-3.3.8-1-9d8c",
    "RFC4960-3.3.13-1-9ce3",
    "RFC4960-6-5-4c7f",
    "RFC4960-8.5.1-7-2648",
)
def test_states_of_the_closing_end(peer, send):
    send(peer.association, b"x")
    peer.take()
    peer.association.close(peer.now)
    assert peer.association.state is State.SHUTDOWN_PENDING
    assert peer.take() == []
    peer.send(peer.sack(1))
    assert peer.association.state is State.SHUTDOWN_SENT
    assert peer.take() == [Shutdown(peer.tsn - 1)]
    peer.send(ShutdownAck())
    assert peer.take() == [ShutdownComplete()]
    assert peer.events[-1].reason == TerminationReason.CLOSED


@pytest.mark.proves("RFC4960-3.3.9-1-3b7f", "RFC4960-4-10-c41c", "RFC4960-9.2-9-97de", "RFC4960-6-5-4c7f")
def test_states_of_the_other_end(peer, send):
    send(peer.association, b"x")
    peer.take()
    peer.send(shutdown(peer))
    assert peer.association.state is State.SHUTDOWN_RECEIVED
    assert peer.take() == []
    with pytest.raises(InvalidState):
        peer.association.send(0, 51, b"late", RELIABLE, peer.now)
    peer.send(peer.sack(1))
    assert peer.association.state is State.SHUTDOWN_ACK_SENT
    assert peer.take() == [ShutdownAck()]
    peer.send(ShutdownComplete())
    assert peer.take() == []
    assert peer.events[-1].reason == TerminationReason.CLOSED


def test_shutdown_acknowledges_like_a_sack(peer, send):
    send(peer.association, b"x")
    peer.take()
    peer.send(shutdown(peer, acknowledged=1))
    assert peer.take() == [ShutdownAck()]


def test_shutdown_does_not_revoke_gap_reports(peer, send):
    send(peer.association, bytes(5 * FULL))
    peer.take()
    peer.send(peer.sack(0, gaps=[(2, 3)]))
    before = peer.association.statistics.flight_bytes
    peer.send(shutdown(peer))
    assert peer.association.statistics.flight_bytes == before


def test_shutdown_in_shutdown_pending_is_received(peer, send):
    send(peer.association, b"x")
    peer.take()
    peer.association.close(peer.now)
    peer.send(shutdown(peer))
    assert peer.association.state is State.SHUTDOWN_RECEIVED


def test_shutdown_in_shutdown_sent_is_acknowledged(peer):
    peer.association.close(peer.now)
    peer.take()
    peer.send(shutdown(peer))
    assert peer.take() == [ShutdownAck()]
    assert peer.association.state is State.SHUTDOWN_ACK_SENT
    peer.send(ShutdownAck())
    assert peer.take() == [ShutdownComplete()]


@pytest.mark.proves("RFC4960-9.2-11-4f8c")
def test_shutdown_while_connecting_is_dropped(sctp):
    raw = sctp.RawPeer(sctp.association())
    raw.association.connect(raw.now)
    raw.take()
    raw.send(shutdown(raw))
    assert raw.association.state is State.COOKIE_WAIT
    assert raw.association.stats.discards[DiscardReason.UNEXPECTED_CHUNK] == 1


@pytest.mark.proves("RFC4960-4-9-0cc4", "RFC4960-9.2-5-4d6f", "RFC4960-9.2-6-3dce")
def test_data_after_shutdown_is_answered_with_both(peer):
    peer.association.close(peer.now)
    peer.take()
    peer.send(peer.data(b"still sending"))
    said = peer.take()
    assert Shutdown(peer.tsn - 1) in said
    assert any(isinstance(chunk, Sack) for chunk in said)
    assert peer.take_events()[-1] == Message(0, 51, b"still sending")


def test_bundled_data_after_shutdown_is_answered_with_both(peer):
    peer.association.close(peer.now)
    peer.take()
    peer.send(peer.data(b"1"), peer.data(b"2", ssn=1))
    assert Shutdown(peer.tsn - 1) in peer.take()


@pytest.mark.proves("RFC4960-6-2-1618")
def test_data_after_shutdown_ack_is_dropped(peer):
    peer.send(shutdown(peer))
    peer.take()
    peer.send(peer.data())
    assert peer.take() == []
    assert peer.association.stats.discards[DiscardReason.UNEXPECTED_CHUNK] == 1


@pytest.mark.proves("RFC4960-9.2-1-e5e4", "RFC4960-9.2-2-ff24")
def test_shutdown_is_repeated_with_the_present_tsn_and_given_up(sctp):
    raw = sctp.RawPeer(sctp.association(shutdown_retransmissions_max=2)).establish()
    raw.association.close(raw.now)
    raw.take()
    assert raw.wait(0.2) == [Shutdown(raw.tsn - 1)]
    assert raw.wait(10.0) == [Shutdown(raw.tsn - 1)]
    assert raw.events[-1].reason == TerminationReason.PEER_UNREACHABLE


def test_shutdown_ack_is_repeated_and_then_taken_as_heard(sctp):
    raw = sctp.RawPeer(sctp.association(shutdown_retransmissions_max=2)).establish()
    raw.send(shutdown(raw))
    assert raw.take() + raw.wait(10.0) == [ShutdownAck()] * 3
    assert raw.events[-1].reason == TerminationReason.CLOSED


def test_shutdown_again_gets_shutdown_ack_again(peer):
    peer.send(shutdown(peer))
    peer.take()
    peer.send(shutdown(peer))
    assert peer.take() == [ShutdownAck()]


@pytest.mark.proves("RFC4960-9.2-7-f5b2")
def test_guard_ends_a_shutdown_that_never_does(sctp):
    raw = sctp.RawPeer(sctp.association(shutdown_guard_s=3.0)).establish()
    raw.association.close(raw.now)
    said = raw.take()
    for _ in range(100):
        raw.send(raw.data(flags=7))
        said += raw.wait(0.05)
    assert isinstance(said[-1], Abort)
    assert raw.events[-1].reason == TerminationReason.SHUTDOWN_TIMEOUT


def test_no_data_shares_a_packet_with_shutdown(pair, sctp, send):
    send(pair.a, b"x")
    pair.a.close(pair.now)
    packets = []
    for _ in range(10):
        for end, other in ((pair.a, pair.b), (pair.b, pair.a)):
            for datagram in end.take_datagrams(pair.now):
                packets.append(sctp.chunks_of([datagram]))
                other.receive(datagram, pair.now)
    for chunks in packets:
        kinds = {type(chunk) for chunk in chunks}
        assert not (kinds & {Shutdown, ShutdownAck} and Data in kinds)


# HEARTBEAT


def heartbeats(said):
    return [chunk for chunk in said if isinstance(chunk, Heartbeat) and not chunk.is_ack]


@pytest.mark.proves("RFC4960-8.3-1-2786")
def test_idle_path_is_asked_after_the_interval_and_an_rto(peer):
    assert heartbeats(peer.wait(30.0)) == []
    (heartbeat,) = heartbeats(peer.wait(0.5))
    peer.now += 0.07
    peer.send(Heartbeat(heartbeat.value, is_ack=True))
    assert peer.association.statistics.srtt_s > 0.0
    assert peer.association._tcb.error_count == 0


def test_heartbeat_measures_the_round_trip(sctp):
    raw = sctp.RawPeer(sctp.association())
    raw.send(raw.init(), tag=0)
    raw.send(CookieEcho(raw.take()[0].parameters[0].value))
    assert raw.association.statistics.srtt_s == 0.0
    said = []
    while not said:
        said = heartbeats(raw.wait(0.01))
    raw.now += 0.07
    raw.send(Heartbeat(said[0].value, is_ack=True))
    assert raw.association.statistics.srtt_s == pytest.approx(0.07, abs=0.011)


def test_busy_path_is_not_asked(peer, send):
    for count in range(60):
        send(peer.association, b"x", now=peer.now)
        peer.take()
        peer.send(peer.sack(count + 1))
        assert heartbeats(peer.wait(1.0)) == []


def test_unanswered_heartbeats_end_the_association(sctp):
    raw = sctp.RawPeer(sctp.association(heartbeat_interval_s=1.0, association_retransmissions_max=3)).establish()
    said = raw.wait(60.0)
    assert len(heartbeats(said)) == 3
    assert raw.events[-1].reason == TerminationReason.PEER_UNREACHABLE


def test_forged_heartbeat_ack_is_ignored(peer):
    peer.wait(31.0)
    errors = peer.association._tcb.error_count
    peer.send(Heartbeat(bytes(20), is_ack=True))
    assert peer.association._tcb.error_count == errors == 1
    assert peer.association.stats.discards[DiscardReason.HEARTBEAT_MISMATCH] == 1


def test_heartbeat_can_be_switched_off(sctp):
    raw = sctp.RawPeer(sctp.association(heartbeat_interval_s=math.inf)).establish()
    assert raw.association.deadline == math.inf


def test_no_heartbeat_while_shutting_down(sctp):
    raw = sctp.RawPeer(
        sctp.association(heartbeat_interval_s=0.5, shutdown_retransmissions_max=100, shutdown_guard_s=100.0)
    ).establish()
    raw.association.close(raw.now)
    assert heartbeats(raw.take() + raw.wait(20.0)) == []


def test_answers_to_heartbeats_are_bounded(peer):
    for index in range(1000):
        peer.send(Heartbeat(index.to_bytes(4, "big")))
    assert len(peer.take()) == 64
    assert peer.association.stats.discards[DiscardReason.CONTROL_QUEUE_FULL] == 936


def test_heartbeat_over_the_mtu_is_not_answered(peer):
    peer.send(Heartbeat(bytes(1200)))
    assert peer.take() == []
    assert peer.association.stats.discards[DiscardReason.CHUNK_TOO_LARGE] == 1


def test_shutdown_ack_when_established_is_unexpected(peer):
    peer.send(ShutdownAck())
    assert peer.association.state is State.ESTABLISHED
    assert peer.association.stats.discards[DiscardReason.UNEXPECTED_CHUNK] == 1
