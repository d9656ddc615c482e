"""Resetting streams, both directions (RFC 6525)."""

import math

import pytest

from sans_rtc.errors import InvalidArgument, InvalidState
from sans_rtc.sctp import (
    DiscardReason,
    IncomingStreamsReset,
    Message,
    OutgoingResetDenied,
    OutgoingStreamsReset,
    ResetResult,
    TerminationReason,
)
from sans_rtc.sctp.chunks import Data, Error, ForwardTsn, ReConfig, Sack
from sans_rtc.sctp.params import (
    AddStreams,
    CauseCode,
    IncomingReset,
    OutgoingReset,
    Parameter,
    ReconfigResponse,
    SsnTsnReset,
    parse_reconfig,
    serialize_reconfig,
)

FULL = 1160 - 12 - 16


def items(said):
    """The RE-CONFIG parameters of these chunks."""
    chunks = [chunk for chunk in said if isinstance(chunk, ReConfig)]
    return [parse_reconfig(parameter) for chunk in chunks for parameter in chunk.parameters]


def reconfig(*items):
    return ReConfig([serialize_reconfig(item) for item in items])


def request(peer, *stream_ids, number=None, last_tsn=None):
    return OutgoingReset(
        peer_number(peer) if number is None else number,
        peer.their_tsn - 1,
        (peer.tsn - 1 if last_tsn is None else last_tsn) & 0xFFFFFFFF,
        stream_ids,
    )


def peer_number(peer):
    """The next request number of the scripted peer; it begins with its initial TSN (100)."""
    return peer.association._parts.reconfig._expected_number


# ours


@pytest.mark.proves(
    "RFC6525-4.1-2-d4b5",
    "RFC6525-5.1.2-2-6ea8",
    "RFC6525-5.1.2-8-d11d",
    "RFC6525-5.1.2-9-2e0e",
    "RFC6525-5.1.2-10-88d0",
)
def test_reset_is_requested_at_once_for_an_idle_stream(peer):
    peer.association.reset_streams([3, 5], peer.now)
    (item,) = items(peer.take())
    assert item == OutgoingReset(peer.their_tsn, 99, (peer.their_tsn - 1) & 0xFFFFFFFF, (3, 5))


@pytest.mark.proves("RFC6525-5.1.2-4-5e8a", "RFC6525-5.2.7-4-57d6")
@pytest.mark.parametrize("result", [ResetResult.PERFORMED, ResetResult.NOTHING_TO_DO])
def test_performed_reset_is_told_and_ssns_begin_anew(peer, send, result):
    send(peer.association, b"0", stream_id=3)
    send(peer.association, b"1", stream_id=3)
    peer.take()
    peer.association.reset_streams([3], peer.now)
    (item,) = items(peer.take())
    assert item.last_tsn == peer.their_tsn + 1
    peer.send(reconfig(ReconfigResponse(item.request_number, result)))
    assert OutgoingStreamsReset((3,)) in peer.take_events()
    send(peer.association, b"anew", stream_id=3)
    (chunk,) = [chunk for chunk in peer.take() if isinstance(chunk, Data)]
    assert chunk.ssn == 0


def test_reset_waits_for_what_is_buffered_on_the_stream(peer, send):
    send(peer.association, bytes(12 * FULL), stream_id=3)
    peer.association.reset_streams([3], peer.now)
    said = peer.take()
    assert len(said) == 10 and items(said) == []
    peer.send(peer.sack(2))
    said = peer.take()
    assert [type(chunk).__name__ for chunk in said] == ["Data", "Data", "ReConfig"]
    assert items(said)[0].last_tsn == peer.their_tsn + 11


def test_reset_does_not_wait_for_other_streams(peer, send):
    send(peer.association, bytes(12 * FULL), stream_id=1)
    peer.association.reset_streams([3], peer.now)
    assert [item.stream_ids for item in items(peer.take())] == [(3,)]


@pytest.mark.proves("RFC6525-5.1.2-1-812d", "RFC6525-5.2.7-4-57d6")
def test_messages_after_a_reset_wait_for_it(peer, send):
    send(peer.association, b"before", stream_id=3)
    peer.association.reset_streams([3], peer.now)
    send(peer.association, b"after", stream_id=3)
    said = peer.take()
    assert [chunk.payload for chunk in said if isinstance(chunk, Data)] == [b"before"]
    assert peer.association.buffered_bytes(3) == 5
    peer.send(reconfig(ReconfigResponse(items(said)[0].request_number, ResetResult.PERFORMED)))
    (chunk,) = [chunk for chunk in peer.take() if isinstance(chunk, Data)]
    assert (chunk.payload, chunk.ssn) == (b"after", 0)


def test_second_reset_waits_for_the_messages_between(peer, send):
    peer.association.reset_streams([3], peer.now)
    send(peer.association, b"between", stream_id=3)
    peer.association.reset_streams([3], peer.now)
    send(peer.association, b"after", stream_id=3)
    (first,) = items(peer.take())
    peer.send(reconfig(ReconfigResponse(first.request_number, ResetResult.PERFORMED)))
    said = peer.take()
    assert [chunk.payload for chunk in said if isinstance(chunk, Data)] == [b"between"]
    (second,) = items(said)
    assert second.last_tsn == peer.their_tsn
    peer.send(reconfig(ReconfigResponse(second.request_number, ResetResult.PERFORMED)))
    (chunk,) = [chunk for chunk in peer.take() if isinstance(chunk, Data)]
    assert (chunk.payload, chunk.ssn) == (b"after", 0)
    assert peer.take_events().count(OutgoingStreamsReset((3,))) == 2


def test_second_reset_without_a_message_between_is_requested_again(peer):
    peer.association.reset_streams([3], peer.now)
    (first,) = items(peer.take())
    peer.association.reset_streams([3], peer.now)
    peer.send(reconfig(ReconfigResponse(first.request_number, ResetResult.PERFORMED)))
    (second,) = items(peer.take())
    peer.send(reconfig(ReconfigResponse(second.request_number, ResetResult.PERFORMED)))
    assert peer.take_events().count(OutgoingStreamsReset((3,))) == 2
    assert peer.association._outbound.flow.scheduler.streams == {}


@pytest.mark.parametrize("result", [ResetResult.DENIED, ResetResult.WRONG_SSN, ResetResult.BAD_SEQUENCE_NUMBER, 77])
def test_denied_reset_is_told_and_the_stream_goes_on(peer, send, result):
    send(peer.association, b"0", stream_id=3)
    peer.association.reset_streams([3], peer.now)
    send(peer.association, b"1", stream_id=3)
    (item,) = items(peer.take())
    peer.send(reconfig(ReconfigResponse(item.request_number, result)))
    assert OutgoingResetDenied((3,), result) in peer.take_events()
    assert peer.association.statistics.queued_bytes == 0
    assert peer.association._outbound.flow.scheduler.streams[3].next_ssn == 2


@pytest.mark.proves("RFC6525-5.1.1-2-b027", "RFC6525-5.1.1-3-a0f3")
def test_peer_without_reconfig_denies_at_once(sctp, send):
    raw = sctp.RawPeer(sctp.association(), parameters=()).establish()
    raw.association.reset_streams([3], raw.now)
    assert raw.take() == []
    assert raw.events == [OutgoingResetDenied((3,), ResetResult.DENIED)]
    send(raw.association, b"x", stream_id=3)
    assert raw.take()


def test_reset_before_the_association_waits_for_it(sctp):
    raw = sctp.RawPeer(sctp.association())
    raw.association.reset_streams([3], raw.now)
    raw.association.connect(raw.now)
    raw.take()
    raw.send(raw.init(is_ack=True, cookie=b"c"))
    raw.take()
    raw.send(raw.data())
    assert [item.stream_ids for item in items(raw.take())] == [(3,)]


@pytest.mark.proves(
    "RFC6525-5.1.1-4-2835",
    "RFC6525-5.1.1-5-b9c9",
    "RFC6525-5.1.2-3-86d7",
    "RFC6525-5.1.2-11-b825",
    "RFC6525-5.2.7-1-0688",
    "RFC6525-5.2.7-2-6554",
)
def test_one_request_is_in_flight_at_a_time(peer):
    peer.association.reset_streams([1], peer.now)
    (first,) = items(peer.take())
    peer.association.reset_streams([2], peer.now)
    assert peer.take() == []
    peer.send(reconfig(ReconfigResponse(first.request_number, ResetResult.PERFORMED)))
    (second,) = items(peer.take())
    assert (second.request_number, second.stream_ids) == (first.request_number + 1, (2,))


@pytest.mark.proves("RFC6525-5.1.1-6-225e", "RFC6525-5.1.1-8-a97f", "RFC6525-5.1.1-9-10f7")
def test_request_is_repeated_unchanged_with_back_off_until_the_end(sctp):
    raw = sctp.RawPeer(sctp.association(association_retransmissions_max=3, heartbeat_interval_s=math.inf)).establish()
    raw.association.reset_streams([1], raw.now)
    seen, times = items(raw.take()), []
    while not raw.association.is_terminated:
        times.append(round(raw.association.deadline - raw.now, 3))
        seen += items(raw.wait(raw.association.deadline - raw.now))
    assert times == [0.2, 0.4, 0.8, 1.6]
    assert len(seen) == 4 and all(item == seen[0] for item in seen)
    assert raw.events[-1].reason == TerminationReason.PEER_UNREACHABLE


def test_request_is_repeated_soon_once_the_peer_is_heard_again(sctp, send):
    raw = sctp.RawPeer(sctp.association(heartbeat_interval_s=math.inf, rto_max_s=60.0)).establish()
    raw.association.reset_streams([1], raw.now)
    raw.wait(5.0)  # repeated at 0.2, 0.6, 1.4 and 3.0 s; next at 6.2 s
    assert raw.association.deadline - raw.now > 1.0
    send(raw.association, b"x", now=raw.now)
    raw.take()
    raw.send(raw.sack(1))
    assert items(raw.wait(0.21))


@pytest.mark.proves("RFC6525-5.2.7-3-7913")
def test_in_progress_is_patient_and_never_counts(sctp):
    raw = sctp.RawPeer(sctp.association(association_retransmissions_max=2, heartbeat_interval_s=math.inf)).establish()
    raw.association.reset_streams([1], raw.now)
    (item,) = items(raw.take())
    raw.send(reconfig(ReconfigResponse(item.request_number, ResetResult.IN_PROGRESS)))
    assert raw.take_events() == []
    repeated = items(raw.wait(60.0))
    assert len(repeated) > 5 and all(again == item for again in repeated)
    raw.send(reconfig(ReconfigResponse(item.request_number, ResetResult.PERFORMED)))
    assert raw.take_events() == [OutgoingStreamsReset((1,))]
    assert raw.association.deadline == math.inf


def test_response_to_nothing_is_ignored(peer):
    peer.send(reconfig(ReconfigResponse(1, ResetResult.PERFORMED)))
    assert peer.take_events() == []
    peer.association.reset_streams([1], peer.now)
    (item,) = items(peer.take())
    peer.send(reconfig(ReconfigResponse(item.request_number + 1, ResetResult.PERFORMED)))
    assert peer.take_events() == []


def test_more_streams_than_a_packet_lists_take_several_requests(sctp):
    raw = sctp.RawPeer(sctp.association(mtu_bytes=256)).establish()
    raw.association.reset_streams(range(300), raw.now)
    reset = []
    while len(reset) < 300:
        datagrams = raw.take_packets()
        assert all(len(datagram) <= 256 for datagram in datagrams)
        (item,) = items(sctp.chunks_of(datagrams))
        reset += item.stream_ids
        raw.send(reconfig(ReconfigResponse(item.request_number, ResetResult.PERFORMED)))
    assert reset == list(range(300))


@pytest.mark.parametrize("stream_ids", [[-1], [65535], [0, 70000]])
def test_reset_of_a_stream_that_does_not_exist_raises(peer, stream_ids):
    with pytest.raises(InvalidArgument):
        peer.association.reset_streams(stream_ids, peer.now)
    assert peer.take() == []


def test_reset_after_close_raises(peer):
    peer.association.close(peer.now)
    with pytest.raises(InvalidState):
        peer.association.reset_streams([1], peer.now)


def test_reset_stream_is_forgotten(peer, send):
    send(peer.association, b"x", stream_id=3)
    peer.association.reset_streams([3], peer.now)
    (item,) = items(peer.take())
    peer.send(reconfig(ReconfigResponse(item.request_number, ResetResult.PERFORMED)))
    assert peer.association._outbound.flow.scheduler.streams == {}


# the peer's


@pytest.mark.proves(
    "RFC6525-4.4-3-d4b5",
    "RFC6525-5.1.7-1-eab0",
    "RFC6525-5.1.7-2-d0b4",
    "RFC6525-5.1.7-4-99a0",
    "RFC6525-5.1.7-7-00e6",
    "RFC6525-5.2.2-9-fa45",
    "RFC6525-5.2.2-10-432e",
)
def test_peer_reset_is_performed_and_told(peer):
    peer.send(peer.data(b"0", stream_id=3, ssn=0))
    peer.send(reconfig(request(peer, 3)))
    said = peer.take()
    assert items(said) == [ReconfigResponse(100, ResetResult.PERFORMED)]
    assert any(isinstance(chunk, Sack) for chunk in said)
    assert IncomingStreamsReset((3,)) in peer.take_events()
    peer.send(peer.data(b"anew", stream_id=3, ssn=0))
    assert peer.take_events() == [Message(3, 51, b"anew")]


def test_peer_reset_of_all_streams_lists_them(sctp):
    raw = sctp.RawPeer(sctp.association(streams_inbound_max=4)).establish()
    raw.send(raw.data(b"0", stream_id=1), raw.data(b"0", stream_id=2))
    raw.send(reconfig(request(raw)))
    assert raw.take_events()[-1] == IncomingStreamsReset((0, 1, 2, 3))


@pytest.mark.proves("RFC6525-5.2.1-4-d483")
def test_same_request_again_gets_the_same_answer_and_no_event(peer):
    item = request(peer, 3)
    peer.send(reconfig(item))
    peer.take()
    assert peer.take_events() == [IncomingStreamsReset((3,))]
    for _ in range(3):
        peer.send(reconfig(item))
        assert items(peer.take()) == [ReconfigResponse(100, ResetResult.PERFORMED)]
    assert peer.take_events() == []


@pytest.mark.parametrize("number", [98, 101, 0, 0xFFFFFFFF])
def test_request_out_of_sequence_is_refused(peer, number):
    peer.send(reconfig(request(peer, 3, number=number)))
    assert items(peer.take()) == [ReconfigResponse(number, ResetResult.BAD_SEQUENCE_NUMBER)]
    assert peer.take_events() == []


@pytest.mark.proves("RFC6525-5.2.2-3-0c0b", "RFC6525-5.2.2-5-85f3")
def test_reset_before_its_last_tsn_is_deferred_and_then_told(peer):
    first = peer.data(b"0", stream_id=3, ssn=0)
    item = request(peer, 3)
    peer.send(reconfig(item))
    assert items(peer.take()) == [ReconfigResponse(100, ResetResult.IN_PROGRESS)]
    peer.send(reconfig(item))
    assert items(peer.take()) == [ReconfigResponse(100, ResetResult.IN_PROGRESS)]
    peer.send(first)
    assert items(peer.take()) == [ReconfigResponse(100, ResetResult.PERFORMED)]
    assert peer.take_events() == [Message(3, 51, b"0"), IncomingStreamsReset((3,))]
    peer.send(reconfig(item))
    assert items(peer.take()) == [ReconfigResponse(100, ResetResult.PERFORMED)]


@pytest.mark.proves("RFC6525-5.2.2-4-b04d", "RFC6525-5.2.2-8-fd27")
def test_data_behind_a_deferred_reset_is_held_back(peer):
    missing = peer.data(b"old", stream_id=3, ssn=0)
    peer.send(reconfig(request(peer, 3)))
    peer.send(peer.data(b"new", stream_id=3, ssn=0))
    peer.send(peer.data(b"other", stream_id=4, ssn=0))
    assert peer.take_events() == [Message(4, 51, b"other")]
    peer.send(missing)
    assert peer.take_events() == [Message(3, 51, b"old"), IncomingStreamsReset((3,)), Message(3, 51, b"new")]


def test_held_back_data_counts_against_the_window(sctp):
    raw = sctp.RawPeer(sctp.association(receive_window_bytes=4000, message_bytes_max=4000)).establish()
    raw.data(b"missing")
    raw.send(reconfig(request(raw)))
    for _ in range(20):
        raw.send(raw.data(bytes(1000), flags=7))
    assert raw.association._inbound.reassembly.held_bytes <= 5000 + 64


def test_reset_that_waits_is_not_said_to_be_performed_because_one_of_ours_is(peer):
    """Ours carries the number of theirs, as every request does; its answer says nothing of theirs."""
    peer.data(b"lost", stream_id=3)
    theirs = request(peer, 3)
    peer.send(reconfig(theirs))
    assert items(peer.take()) == [ReconfigResponse(100, ResetResult.IN_PROGRESS)]
    peer.association.reset_streams([7], peer.now)
    (ours,) = items(peer.take())
    peer.send(reconfig(ReconfigResponse(ours.request_number, ResetResult.PERFORMED)))
    assert OutgoingStreamsReset((7,)) in peer.take_events()
    peer.send(reconfig(theirs))
    assert items(peer.take()) == [ReconfigResponse(100, ResetResult.IN_PROGRESS)]


def test_deferred_reset_is_performed_by_forward_tsn(peer):
    peer.data(b"abandoned", stream_id=3)
    peer.send(reconfig(request(peer, 3)))
    peer.send(ForwardTsn(peer.tsn - 1, [(3, 0)]))
    assert ReconfigResponse(100, ResetResult.PERFORMED) in items(peer.take())
    assert IncomingStreamsReset((3,)) in peer.take_events()


def test_reset_drops_a_beginning_that_waits(peer):
    peer.send(peer.data(b"1", stream_id=3, ssn=1))
    peer.send(reconfig(request(peer, 3)))
    peer.send(peer.data(b"0", stream_id=3, ssn=0))
    peer.send(peer.data(b"second", stream_id=3, ssn=1))
    assert [event.data for event in peer.take_events() if isinstance(event, Message)] == [b"0", b"second"]


def test_reset_of_a_stream_that_the_peer_lacks_is_refused(sctp):
    raw = sctp.RawPeer(sctp.association(streams_inbound_max=4)).establish()
    raw.send(reconfig(request(raw, 4)))
    assert items(raw.take()) == [ReconfigResponse(100, ResetResult.WRONG_SSN)]


# requests to reset ours, and the others


@pytest.mark.proves("RFC6525-5.1.2-5-ddbe", "RFC6525-5.1.2-6-192e", "RFC6525-5.2.3-1-606c", "RFC6525-5.2.3-2-ba2d")
def test_wish_for_our_reset_becomes_our_request(peer, send):
    send(peer.association, b"x", stream_id=3)
    peer.take()
    peer.send(reconfig(IncomingReset(100, (3,))))
    said = items(peer.take())
    assert said == [
        ReconfigResponse(100, ResetResult.IN_PROGRESS),
        OutgoingReset(peer.their_tsn, 100, peer.their_tsn, (3,)),
    ]
    peer.send(reconfig(ReconfigResponse(peer.their_tsn, ResetResult.PERFORMED)))
    assert OutgoingStreamsReset((3,)) in peer.take_events()
    peer.send(reconfig(IncomingReset(100, (3,))))
    assert items(peer.take()) == [ReconfigResponse(100, ResetResult.PERFORMED)]


@pytest.mark.proves("RFC6525-5.2.3-3-d649", "RFC6525-5.2.3-5-8179")
def test_wish_for_what_is_being_reset_is_nothing_to_do(peer):
    peer.association.reset_streams([3, 4], peer.now)
    peer.take()
    peer.send(reconfig(IncomingReset(100, (3,))))
    assert items(peer.take()) == [ReconfigResponse(100, ResetResult.NOTHING_TO_DO)]


def test_second_wish_before_the_first_is_done_is_put_off(peer, send):
    peer.association.reset_streams([1], peer.now)
    peer.take()
    peer.send(reconfig(IncomingReset(100, (3,))))
    peer.take()
    peer.send(reconfig(IncomingReset(101, (4,))))
    assert items(peer.take())[-1] == ReconfigResponse(101, ResetResult.REQUEST_IN_PROGRESS)


@pytest.mark.proves(
    "RFC6525-5.2.1-5-0d13",
    "RFC6525-5.1.7-3-9897",
    "RFC6525-5.1.7-5-d46a",
    "RFC6525-5.1.7-6-0a09",
)
def test_renumbering_of_everything_is_denied(peer):
    peer.send(peer.data())
    peer.take()
    peer.send(reconfig(SsnTsnReset(100)))
    expected = ReconfigResponse(100, ResetResult.DENIED, peer.their_tsn, (peer.tsn + (1 << 31)) & 0xFFFFFFFF)
    assert items(peer.take()) == [expected]
    peer.send(peer.data())
    peer.send(reconfig(SsnTsnReset(100)))
    assert items(peer.take()) == [expected]  # 5.2.1: the same, though the TSNs are others now


@pytest.mark.proves("RFC6525-5.1.7-4-99a0", "RFC6525-5.1.7-7-00e6", "RFC6525-4.4-2-b2b3")
def test_only_the_answer_to_a_renumbering_has_tsns(peer):
    peer.send(reconfig(OutgoingReset(100, peer.their_tsn - 1, peer.tsn - 1, (0,))))
    (answer,) = items(peer.take())
    assert (answer.sender_next_tsn, answer.receiver_next_tsn) == (None, None)
    peer.send(reconfig(SsnTsnReset(100 + 7)))  # though it is out of turn
    (answer,) = items(peer.take())
    assert answer.result == ResetResult.BAD_SEQUENCE_NUMBER
    assert (answer.sender_next_tsn, answer.receiver_next_tsn) == (peer.their_tsn, (peer.tsn + (1 << 31)) & 0xFFFFFFFF)


@pytest.mark.proves("RFC6525-5.2.5-1-09d3", "RFC6525-5.2.5-2-eb91", "RFC6525-5.2.6-1-7740", "RFC6525-5.2.5-3-2082")
def test_more_streams_are_granted_within_the_bound(sctp):
    raw = sctp.RawPeer(sctp.association(streams_inbound_max=20), streams=10).establish()
    said = []
    for item in (AddStreams(100, 10, False), AddStreams(101, 1, False), AddStreams(102, 1, True)):
        raw.send(reconfig(item))
        said += items(raw.take())
    assert [(item.response_number, item.result) for item in said] == [
        (100, ResetResult.PERFORMED),
        (101, ResetResult.DENIED),
        (102, ResetResult.DENIED),
    ]
    raw.send(raw.data(b"x", stream_id=19))
    assert raw.take_events() == [Message(19, 51, b"x")]


@pytest.mark.proves("RFC6525-5.2.1-2-2ccc", "RFC6525-5.2.1-1-1f1b")
def test_two_answers_go_into_one_chunk(peer):
    peer.send(reconfig(AddStreams(100, 1, is_incoming=False), AddStreams(101, 1, is_incoming=True)))
    (chunk,) = [chunk for chunk in peer.take() if isinstance(chunk, ReConfig)]
    assert len(chunk.parameters) == 2


@pytest.mark.proves("RFC6525-3.1-1-f740")
def test_parameters_that_do_not_go_together_are_reported(peer):
    peer.send(reconfig(SsnTsnReset(100), SsnTsnReset(101)))
    (error,) = [chunk for chunk in peer.take() if isinstance(chunk, Error)]
    assert error.causes[0].type == CauseCode.PROTOCOL_VIOLATION


def test_broken_parameter_is_dropped(peer):
    peer.send(ReConfig([Parameter(13, bytes(5))]))
    assert peer.take() == []
    peer.send(ReConfig([Parameter(99, bytes(8))]))
    assert peer.take() == []


def test_both_ends_close_a_channel(pair, send):
    for end in pair.ends:
        send(end, b"x", stream_id=3)
    pair.a.reset_streams([3], pair.now)
    pair.exchange()
    assert OutgoingStreamsReset((3,)) in pair.events[0]
    assert IncomingStreamsReset((3,)) in pair.events[1]
    pair.b.reset_streams([3], pair.now)
    pair.exchange()
    assert IncomingStreamsReset((3,)) in pair.events[0]
    assert OutgoingStreamsReset((3,)) in pair.events[1]
    send(pair.a, b"again", stream_id=3)
    pair.exchange()
    assert pair.messages(1)[-1].data == b"again"


@pytest.mark.parametrize("resets", [(), (3, 5)])
def test_silence_is_counted_once_though_a_reset_goes_unanswered_beside_data(sctp, send, resets):
    """T3-rtx and the RE-CONFIG timer see the same outage; together they would end the association in half the time."""
    raw = sctp.RawPeer(sctp.association(association_retransmissions_max=5, heartbeat_interval_s=math.inf)).establish()
    send(raw.association, b"x")
    if resets:
        raw.association.reset_streams(resets, raw.now)
    before = raw.now
    while not raw.association.is_terminated:
        raw.wait(0.1)
    assert raw.events[-1].reason == TerminationReason.PEER_UNREACHABLE
    assert raw.now - before > 0.2 * (1 + 2 + 4 + 8 + 16 + 24)


def test_request_put_off_is_not_called_performed_with_the_other(peer):
    missing = peer.data(b"0", stream_id=3, ssn=0)
    first = request(peer, 3)
    peer.send(reconfig(first))
    peer.take()
    second = request(peer, 4, number=101)
    peer.send(reconfig(second))
    assert items(peer.take())[-1] == ReconfigResponse(101, ResetResult.REQUEST_IN_PROGRESS)
    peer.send(missing)
    assert items(peer.take()) == [ReconfigResponse(100, ResetResult.PERFORMED)]
    peer.send(reconfig(second))
    assert items(peer.take()) == [ReconfigResponse(101, ResetResult.REQUEST_IN_PROGRESS)]


def test_wish_for_a_stream_number_that_can_not_be_is_refused(peer):
    peer.send(reconfig(IncomingReset(100, (65535,))))
    assert items(peer.take()) == [ReconfigResponse(100, ResetResult.WRONG_SSN)]


def test_wish_for_all_streams_means_those_that_were_used(peer, send):
    send(peer.association, b"x", stream_id=3)
    peer.take()
    peer.send(reconfig(IncomingReset(100, ())))
    assert items(peer.take())[-1].stream_ids == (3,)


def test_violation_in_what_was_held_back_ends_the_association(sctp):
    raw = sctp.RawPeer(sctp.association(message_bytes_max=100)).establish()
    missing = raw.data(b"0", stream_id=3, ssn=0)
    raw.send(reconfig(request(raw, 3)))
    raw.send(raw.data(bytes(101), stream_id=3, ssn=0))
    assert not raw.association.is_terminated
    raw.send(missing)
    assert raw.association.is_terminated


def test_second_request_before_the_answer_to_the_first_has_gone_waits(peer):
    """One request may be in flight (5.1.1); each may list all 65535 streams, so they are not performed in a flood."""
    peer.send(reconfig(request(peer, number=100)))
    for _ in range(49):
        peer.send(reconfig(request(peer, number=101)))
    assert items(peer.take()) == [ReconfigResponse(100, ResetResult.PERFORMED)]
    assert len([event for event in peer.take_events() if isinstance(event, IncomingStreamsReset)]) == 1
    assert peer.association.stats.discards[DiscardReason.EARLY_REQUEST] == 49
    peer.send(reconfig(request(peer, 3, number=101)))
    assert items(peer.take()) == [ReconfigResponse(101, ResetResult.PERFORMED)]
