"""Strangers' packets, wrong tags, out of the blue, unknown chunks, violations (RFC 9260 3.2, 6.10, 8.4, 8.5)."""

import math

import pytest

from sans_rtc.errors import InvalidState
from sans_rtc.machine import Terminated
from sans_rtc.sctp import RELIABLE, DiscardReason, Message, State, TerminationReason
from sans_rtc.sctp.chunks import (
    Abort,
    CookieAck,
    Data,
    Error,
    Heartbeat,
    Sack,
    Shutdown,
    ShutdownAck,
    ShutdownComplete,
    serialize,
)
from sans_rtc.sctp.params import CauseCode, Parameter
from sans_rtc.sctp.wire import Sealer, serialize_chunk


def discards(association):
    return {reason: count for reason, count in association.stats.discards.items() if count}


# strangers


def test_zero_length_packet_is_discarded_in_every_state(sctp):
    raw = sctp.RawPeer(sctp.association())
    raw.receive(b"")
    raw.establish()
    raw.receive(b"")
    raw.association.abort(raw.now)
    raw.association.receive(b"", raw.now)
    assert discards(raw.association)[DiscardReason.TOO_SHORT] == 2
    assert raw.take()


@pytest.mark.parametrize("size", range(1, 17))
def test_short_packet_is_discarded(peer, sctp, size):
    peer.receive(sctp.packet(peer.data(), tag=peer.their_tag)[: size - 1])
    assert discards(peer.association) == {DiscardReason.TOO_SHORT: 1}


@pytest.mark.proves("RFC4960-3.1-1-e3ef", "RFC4960-3.1-2-e3ef")
@pytest.mark.parametrize("ports", [(5001, 5000), (5000, 5001), (0, 0)])
def test_packet_of_other_ports_is_discarded(peer, sctp, ports):
    source, destination = ports
    peer.receive(sctp.packet(peer.data(), tag=peer.their_tag, source_port=source, destination_port=destination))
    assert peer.take() == []
    assert discards(peer.association) == {DiscardReason.WRONG_PORT: 1}


@pytest.mark.proves("RFC4960-8.5-2-3c1e")
@pytest.mark.parametrize("tag_error", [1, 0x80000000, 0xFFFFFFFF])
def test_data_with_a_wrong_tag_is_discarded_silently(peer, tag_error):
    peer.send(peer.data(), tag=peer.their_tag ^ tag_error)
    assert peer.take() == []
    assert peer.take_events() == []
    assert discards(peer.association) == {DiscardReason.WRONG_TAG: 1}


def test_data_with_tag_zero_is_discarded_silently(peer):
    peer.send(peer.data(), tag=0)
    assert peer.take() == []
    assert discards(peer.association) == {DiscardReason.WRONG_TAG: 1}


@pytest.mark.proves("RFC4960-6.8-3-9f20", "RFC4960-6.8-4-780c")
@pytest.mark.parametrize("position", [0, 4, 8, 11, 12, 15, 16, 28])
def test_flipped_bit_anywhere_is_discarded(peer, sctp, position):
    datagram = bytearray(sctp.packet(peer.data(), tag=peer.their_tag))
    datagram[position] ^= 4
    peer.receive(bytes(datagram))
    assert peer.take_events() == []
    assert sum(discards(peer.association).values()) == 1


def test_packet_of_the_peer_made_longer_is_discarded(peer, sctp):
    peer.receive(sctp.packet(peer.data(), tag=peer.their_tag) + b"\0\0\0\0")
    assert peer.take_events() == []
    assert discards(peer.association) == {DiscardReason.BAD_CHECKSUM: 1}


@pytest.mark.proves("RFC4960-6.10-6-a969")
def test_data_chunk_longer_than_its_packet_is_dropped(peer):
    body = serialize(peer.data(b"12345678"))
    peer.receive(Sealer(5000, 5000, peer.their_tag).seal(body[:-4]))
    assert peer.take_events() == []
    assert discards(peer.association) == {DiscardReason.PARTIAL_CHUNK: 1, DiscardReason.NO_CHUNK: 1}


def test_chunks_before_a_partial_chunk_are_processed(peer):
    body = serialize(peer.data(b"whole")) + serialize(peer.data(b"12345678"))[:-4]
    peer.receive(Sealer(5000, 5000, peer.their_tag).seal(body))
    assert peer.take_events() == [Message(0, 51, b"whole")]
    assert discards(peer.association) == {DiscardReason.PARTIAL_CHUNK: 1}


def test_data_in_its_last_padding_is_not_data(peer, sctp):
    datagram = sctp.packet(peer.data(b"12345"), tag=peer.their_tag)
    peer.receive(datagram)
    assert peer.take_events() == [Message(0, 51, b"12345")]


# the tag rules of ABORT, SHUTDOWN COMPLETE, SHUTDOWN ACK, INIT


@pytest.mark.proves("RFC4960-8.5.1-5-ef0b", "RFC4960-9.1-5-e409", "RFC4960-9.1-6-1b7e", "RFC4960-9.1-7-af11")
def test_abort_with_our_tag_ends(peer):
    peer.send(Abort([Parameter(CauseCode.USER_INITIATED_ABORT, b"Close called")]))
    (event,) = peer.take_events()
    assert event == Terminated(TerminationReason.REMOTE_ABORT, "the peer aborted: user initiated abort: Close called")


@pytest.mark.proves("RFC4960-8.5.1-5-ef0b", "RFC4960-9.1-5-e409")
def test_abort_with_reflected_tag_ends(peer):
    peer.send(Abort([], is_reflected=True), tag=peer.tag)
    assert peer.association.is_terminated


@pytest.mark.proves("RFC4960-8.5.1-5-ef0b", "RFC4960-9.1-5-e409", "RFC4960-8.5.1-6-26c9")
@pytest.mark.parametrize("is_reflected", [False, True])
def test_abort_with_a_wrong_tag_is_discarded(peer, is_reflected):
    wrong = peer.tag if not is_reflected else peer.their_tag
    peer.send(Abort([], is_reflected=is_reflected), tag=wrong)
    peer.send(Abort([], is_reflected=is_reflected), tag=12345)
    assert not peer.association.is_terminated
    assert peer.take() == []
    assert discards(peer.association) == {DiscardReason.WRONG_TAG: 2}


@pytest.mark.proves("RFC4960-3.3.7-4-ef95", "RFC4960-9.1-4-0b77")
def test_abort_is_never_answered(peer):
    peer.send(Abort([]))
    assert peer.take() == []


@pytest.mark.proves("RFC4960-8.5.1-10-6161")
def test_shutdown_complete_outside_of_shutdown_ack_sent_is_ignored(peer):
    peer.send(ShutdownComplete())
    assert peer.association.state is State.ESTABLISHED
    assert discards(peer.association) == {DiscardReason.UNEXPECTED_CHUNK: 1}


def test_reflected_shutdown_complete_ends_the_shutdown(peer):
    peer.send(Shutdown((peer.their_tsn - 1) & 0xFFFFFFFF))
    peer.take()
    peer.send(ShutdownComplete(is_reflected=True), tag=peer.tag)
    assert peer.take_events()[-1].reason == TerminationReason.CLOSED


@pytest.mark.proves("RFC4960-8.5.1-2-1e42", "RFC4960-11.3-2-d6da")
def test_bundled_init_is_discarded(peer):
    peer.send(peer.init(), peer.data(), tag=0)
    assert peer.take() == []
    assert discards(peer.association) == {DiscardReason.BUNDLED_INIT: 1}


@pytest.mark.proves("RFC4960-8.5.1-2-1e42", "RFC4960-11.3-2-d6da")
def test_init_with_a_tag_is_discarded(peer):
    peer.send(peer.init())
    assert peer.take() == []
    assert discards(peer.association) == {DiscardReason.BUNDLED_INIT: 1}


@pytest.mark.proves("RFC4960-3.1-5-3148", "RFC4960-8.5.1-12-ed79")
def test_shutdown_ack_while_connecting_is_out_of_the_blue(sctp):
    raw = sctp.RawPeer(sctp.association())
    raw.association.connect(raw.now)
    raw.take()
    raw.send(ShutdownAck(), tag=4711)
    (datagram,) = raw.take_packets()
    assert datagram[4:8] == (4711).to_bytes(4, "big")
    assert sctp.chunks_of([datagram]) == [ShutdownComplete(is_reflected=True)]
    assert raw.association.state is State.COOKIE_WAIT


# out of the blue (8.4)


@pytest.mark.proves(
    "RFC4960-3.3.7-5-c59c", "RFC4960-8.4-1-7f0e", "RFC4960-8.4-5-e689", "RFC4960-8.5.1-4-93d4", "RFC4960-6-3-be62"
)
def test_data_out_of_the_blue_is_aborted_with_its_own_tag(sctp):
    raw = sctp.RawPeer(sctp.association())
    raw.send(raw.data(), tag=4711)
    (datagram,) = raw.take_packets()
    assert datagram[4:8] == (4711).to_bytes(4, "big")
    assert sctp.chunks_of([datagram]) == [Abort([], is_reflected=True)]


@pytest.mark.proves("RFC4960-3.3.13-2-c59c", "RFC4960-8.5.1-8-8c1e")
def test_shutdown_ack_out_of_the_blue_is_completed(sctp):
    raw = sctp.RawPeer(sctp.association())
    raw.send(ShutdownAck(), tag=4711)
    assert raw.take() == [ShutdownComplete(is_reflected=True)]


@pytest.mark.proves("RFC4960-8.4-3-cc93")
@pytest.mark.parametrize(
    "chunk",
    [
        Abort([]),
        ShutdownComplete(),
        CookieAck(),
        Error([Parameter(CauseCode.STALE_COOKIE, bytes(4))]),
    ],
    ids=lambda chunk: type(chunk).__name__,
)
def test_these_out_of_the_blue_are_not_answered(sctp, chunk):
    raw = sctp.RawPeer(sctp.association())
    raw.send(chunk, tag=4711)
    assert raw.take() == []
    assert discards(raw.association) == {DiscardReason.OUT_OF_THE_BLUE: 1}


def test_answers_out_of_the_blue_are_bounded(sctp):
    raw = sctp.RawPeer(sctp.association())
    for _ in range(500):
        raw.send(raw.data(), tag=4711)
    assert len(raw.take()) == 64


# unknown chunks (3.2)


@pytest.mark.parametrize(
    ("chunk_type", "goes_on", "is_reported"),
    [(0x3E, False, False), (0x40, False, True), (0x80, True, False), (0xFE, True, True)],
)
def test_high_bits_of_an_unknown_chunk_say_what_to_do(peer, chunk_type, goes_on, is_reported):
    unknown = serialize_chunk(chunk_type, 5, b"abcde")
    peer.send(unknown, peer.data(b"after"))
    said = peer.take()
    assert peer.take_events() == ([Message(0, 51, b"after")] if goes_on else [])
    errors = [chunk for chunk in said if isinstance(chunk, Error)]
    assert errors == ([Error([Parameter(CauseCode.UNRECOGNIZED_CHUNK_TYPE, unknown)])] if is_reported else [])


def test_chunks_before_an_unknown_one_count(peer):
    peer.send(peer.data(b"before"), serialize_chunk(0x3E, 0, b""))
    assert peer.take_events() == [Message(0, 51, b"before")]


def test_large_unknown_chunk_is_reported_in_part(peer):
    peer.send(serialize_chunk(0xFE, 0, bytes(1000)))
    (error,) = peer.take()
    assert len(error.causes[0].value) == 256


def test_interleaved_data_is_unknown_since_it_is_not_offered(peer):
    peer.send(serialize_chunk(64, 3, bytes(17)))
    (error,) = peer.take()
    assert error.causes[0].type == CauseCode.UNRECOGNIZED_CHUNK_TYPE


def test_malformed_chunk_is_dropped_and_the_next_processed(peer):
    peer.send(serialize_chunk(3, 0, bytes(5)), peer.data(b"after"))
    assert peer.take_events() == [Message(0, 51, b"after")]
    assert discards(peer.association) == {DiscardReason.MALFORMED_CHUNK: 1}


@pytest.mark.proves("RFC4960-6-7-1678")
def test_sack_while_connecting_is_unexpected(sctp):
    raw = sctp.RawPeer(sctp.association())
    raw.association.connect(raw.now)
    raw.take()
    raw.send(Sack(raw.their_tsn, 0, []))
    assert discards(raw.association) == {DiscardReason.UNEXPECTED_CHUNK: 1}


# violations of an authentic peer


def assert_aborted(peer, code, reason=TerminationReason.PROTOCOL_VIOLATION):
    (abort,) = [chunk for chunk in peer.take() if isinstance(chunk, Abort)]
    assert abort.causes[0].type == code
    assert peer.events[-1].reason == reason
    assert peer.association.deadline == math.inf
    assert peer.association.take_datagrams(peer.now) == ()


@pytest.mark.proves("RFC4960-6.2-24-8f28")
def test_data_without_user_data_is_aborted(peer):
    peer.send(peer.data(b""))
    assert_aborted(peer, CauseCode.NO_USER_DATA)


@pytest.mark.proves("RFC4960-11.4-4-96c2")
def test_sack_for_what_was_never_sent_is_aborted(peer):
    peer.send(peer.sack(1))
    assert_aborted(peer, CauseCode.PROTOCOL_VIOLATION)


def test_shutdown_for_what_was_never_sent_is_aborted(peer):
    peer.send(Shutdown(peer.their_tsn))
    assert_aborted(peer, CauseCode.PROTOCOL_VIOLATION)


def test_fragments_of_two_messages_in_a_row_are_aborted(peer):
    peer.send(peer.data(flags=2, stream_id=1))
    peer.send(peer.data(flags=1, stream_id=2))
    assert_aborted(peer, CauseCode.PROTOCOL_VIOLATION)


def test_message_over_the_limit_is_aborted(sctp):
    raw = sctp.RawPeer(sctp.association(message_bytes_max=100)).establish()
    raw.send(raw.data(bytes(60), flags=2))
    raw.send(raw.data(bytes(41), flags=0))
    assert_aborted(raw, CauseCode.OUT_OF_RESOURCE, TerminationReason.MESSAGE_TOO_LARGE)


def test_whole_message_over_the_limit_is_aborted(sctp):
    raw = sctp.RawPeer(sctp.association(message_bytes_max=100)).establish()
    raw.send(raw.data(bytes(101)))
    assert_aborted(raw, CauseCode.OUT_OF_RESOURCE, TerminationReason.MESSAGE_TOO_LARGE)


def test_message_at_the_limit_is_delivered(sctp):
    raw = sctp.RawPeer(sctp.association(message_bytes_max=100)).establish()
    raw.send(raw.data(bytes(60), flags=2))
    raw.send(raw.data(bytes(40), flags=1))
    assert raw.take_events() == [Message(0, 51, bytes(100))]


def test_invalid_stream_is_acknowledged_and_reported(sctp):
    raw = sctp.RawPeer(sctp.association(streams_inbound_max=10)).establish()
    raw.send(raw.data(stream_id=10))
    raw.send(raw.data(b"fine", stream_id=9))
    said = raw.take()
    assert Error([Parameter(CauseCode.INVALID_STREAM_IDENTIFIER, b"\0\x0a\0\0")]) in said
    assert said[0].cumulative_tsn == raw.tsn - 1
    assert raw.events == [Message(9, 51, b"fine")]


# after the end (rule 10), and local misuse (rule 9)


def test_nothing_happens_after_the_end(peer):
    association = peer.association
    association.abort(peer.now)
    peer.take()
    for action in (
        lambda: association.receive(b"x" * 100, peer.now),
        lambda: peer.send(peer.data()),
        lambda: association.handle_timer(peer.now + 100),
        lambda: association.close(peer.now),
        lambda: association.abort(peer.now),
        lambda: association.connect(peer.now),
        lambda: association.consume(0, peer.now),
        lambda: association.path_changed(peer.now),
    ):
        action()
        assert association.take_datagrams(peer.now) == ()
        assert association.take_events() == ()
        assert association.deadline == math.inf


@pytest.mark.proves("RFC4960-9.1-1-464e", "RFC4960-9.1-2-6ca4")
def test_local_abort_tells_the_peer_and_is_the_last_event(pair):
    pair.a.abort(pair.now)
    pair.exchange()
    assert pair.events[0] == [Terminated(TerminationReason.LOCAL_ABORT, "aborted by the application")]
    assert pair.events[1][-1].reason == TerminationReason.REMOTE_ABORT
    assert "aborted by the application" in pair.events[1][-1].detail


@pytest.mark.proves("RFC4960-3.3.7-1-ede2", "RFC4960-3.3.7-2-d9ab", "RFC4960-9.1-1-464e", "RFC4960-9.1-2-6ca4")
def test_abort_drops_what_is_queued(peer, send):
    send(peer.association, b"never sent")
    peer.association.abort(peer.now)
    (chunk,) = peer.take()
    assert isinstance(chunk, Abort)


def test_send_after_the_end_raises(peer):
    peer.association.abort(peer.now)
    with pytest.raises(InvalidState):
        peer.association.send(0, 51, b"x", RELIABLE, peer.now)


def test_trace_records_are_plain_and_secret_free(sctp):
    records = []
    raw = sctp.RawPeer(sctp.association(trace=records.append)).establish()
    raw.send(Error([Parameter(CauseCode.PROTOCOL_VIOLATION, b"oops")]))
    raw.association.abort(raw.now)
    assert [record.name for record in records] == ["state", "state", "state", "error_received", "state", "terminated"]
    assert {record.layer for record in records} == {"sctp"}


@pytest.mark.proves("RFC4960-6-11-6b69", "RFC4960-6.9-1-296e", "RFC4960-6.9-11-29fd", "RFC4960-6.10-5-d241")
def test_data_in_a_bundle_equals_data_alone(sctp):
    alone = sctp.RawPeer(sctp.association()).establish()
    bundled = sctp.RawPeer(sctp.association()).establish()
    for raw in (alone, bundled):
        raw.take_events()
    chunks = [Data(3, 100 + index, index % 3, index // 3, 51, bytes([index])) for index in range(9)]
    for chunk in chunks:
        alone.send(chunk)
    bundled.send(*chunks)
    assert alone.take_events() == bundled.take_events()


@pytest.mark.proves("RFC4960-3.3.6-1-103a", "RFC4960-8.3-2-60ed", "RFC8899-3-4-7fd9")
def test_heartbeat_is_answered_unchanged(peer):
    peer.send(Heartbeat(b"\0\1\0\x08abcd\0\2\0\x05e"))
    assert peer.take() == [Heartbeat(b"\0\1\0\x08abcd\0\2\0\x05e", is_ack=True)]
