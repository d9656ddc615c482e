"""Rules of RFC 6525 and 9260 that no other test is about."""

import math

import pytest

from sans_rtc.sctp import Message, State
from sans_rtc.sctp.chunks import ReConfig, Shutdown, ShutdownComplete, serialize
from sans_rtc.sctp.params import (
    AddStreams,
    IncomingReset,
    OutgoingReset,
    ParameterType,
    ReconfigResponse,
    ResetResult,
    SsnTsnReset,
    parse_reconfig,
    serialize_parameter,
    serialize_reconfig,
)


def reconfig(*items):
    return ReConfig([serialize_reconfig(item) for item in items])


def reconfig_items(said):
    chunks = [chunk for chunk in said if isinstance(chunk, ReConfig)]
    return [parse_reconfig(parameter) for chunk in chunks for parameter in chunk.parameters]


@pytest.mark.proves(
    "RFC6525-4.1-1-a443",
    "RFC6525-4.2-1-1bca",
    "RFC6525-4.3-1-8242",
    "RFC6525-4.4-1-00e3",
    "RFC6525-4.5-1-71d3",
    "RFC6525-4.6-1-71d3",
)
@pytest.mark.parametrize(
    ("item", "size"),
    [
        (OutgoingReset(1, 2, 3, ()), 16),
        (OutgoingReset(1, 2, 3, (4, 5, 6)), 22),
        (IncomingReset(1, (4, 5, 6)), 14),
        (SsnTsnReset(1), 8),
        (ReconfigResponse(1, 1), 12),
        (ReconfigResponse(1, 1, 2, 3), 20),
        (AddStreams(1, 2, is_incoming=False), 12),
        (AddStreams(1, 2, is_incoming=True), 12),
    ],
)
def test_reconfig_parameter_has_the_length_of_its_definition(item, size):
    written = serialize_parameter(serialize_reconfig(item))
    assert int.from_bytes(written[2:4], "big") == size


@pytest.mark.proves("RFC6525-5.1.1-7-05a9")
def test_answer_alone_arms_no_reconfig_timer(peer):
    before = peer.association.deadline
    peer.send(reconfig(OutgoingReset(100, peer.their_tsn - 1, 99, (3,))))
    assert reconfig_items(peer.take()) == [ReconfigResponse(100, ResetResult.PERFORMED)]
    assert peer.association.deadline == before
    assert reconfig_items(peer.wait(5.0)) == []


@pytest.mark.proves("RFC6525-5.2.2-6-bd4d", "RFC6525-5.2.2-7-f9fe")
@pytest.mark.parametrize(("listed", "reset"), [((), {3, 4}), ((3,), {3})])
def test_listed_streams_begin_anew_or_all_where_none_is_listed(sctp, listed, reset):
    peer = sctp.RawPeer(sctp.association(heartbeat_interval_s=math.inf)).establish()
    for stream_id in (3, 4):
        peer.send(peer.data(b"0", stream_id=stream_id, ssn=0))
    peer.send(reconfig(OutgoingReset(100, peer.their_tsn - 1, peer.tsn - 1, listed)))
    peer.take_events()
    for stream_id in (3, 4):
        peer.send(peer.data(b"next", stream_id=stream_id, ssn=0 if stream_id in reset else 1))
    assert peer.take_events() == [Message(stream_id, 51, b"next") for stream_id in (3, 4)]


@pytest.mark.proves("RFC6525-5.2.3-3-d649", "RFC6525-5.2.3-4-02d0")
def test_wish_for_a_stream_at_ssn_0_is_granted_all_the_same(peer):
    peer.association.reset_streams([3], peer.now)
    (ours,) = reconfig_items(peer.take())
    peer.send(reconfig(IncomingReset(100, (3, 4))))
    (answer,) = reconfig_items(peer.take())
    assert answer.result == ResetResult.IN_PROGRESS
    peer.send(reconfig(ReconfigResponse(ours.request_number, ResetResult.PERFORMED)))
    (again,) = reconfig_items(peer.take())
    assert (again.response_number, set(again.stream_ids)) == (100, {3, 4})


@pytest.mark.proves("RFC4960-3.2-2-7ff5", "RFC4960-3.2-6-b7ba", "RFC4960-3.2.1-3-b7ba")
@pytest.mark.parametrize("size", range(1, 9))
def test_padding_of_chunks_and_parameters_is_ignored_whatever_it_holds(sctp, size):
    raw = sctp.RawPeer(sctp.association())
    padding = b"\xee" * (-size % 4)
    parameter = b"\xff\xf0\x00" + bytes([4 + size]) + b"p" * size + padding
    init = serialize(raw.init()) + parameter
    raw.send(init[:2] + len(init).to_bytes(2, "big") + init[4:], tag=0)
    (init_ack,) = raw.take()
    assert ParameterType.UNRECOGNIZED_PARAMETER in [each.type for each in init_ack.parameters]
    raw.establish()
    whole = serialize(raw.data(b"d" * size))
    raw.send(whole[: 16 + size] + padding, raw.data(b"next", ssn=1))
    assert [event.data for event in raw.take_events() if isinstance(event, Message)] == [b"d" * size, b"next"]


@pytest.mark.proves("RFC4960-8.5.1-9-26c9")
def test_shutdown_complete_with_a_wrong_tag_is_discarded(peer):
    peer.send(Shutdown((peer.their_tsn - 1) & 0xFFFFFFFF))
    for tag, is_reflected in ((peer.tag, False), (peer.their_tag, True), (4711, False), (4711, True)):
        peer.send(ShutdownComplete(is_reflected=is_reflected), tag=tag)
    assert peer.association.state is State.SHUTDOWN_ACK_SENT


@pytest.mark.proves("RFC6525-5.2.6-1-7740", "RFC6525-5.2.6-2-2082")
def test_request_for_more_of_our_streams_is_denied_though_there_is_room(sctp):
    peer = sctp.RawPeer(sctp.association(streams_inbound_max=20), streams=10).establish()
    peer.send(reconfig(AddStreams(100, 1, is_incoming=True)))
    assert [item.result for item in reconfig_items(peer.take())] == [ResetResult.DENIED]


@pytest.mark.proves("RFC6525-5.1.2-5-ddbe")
def test_wish_for_some_streams_resets_just_these(peer, send):
    for stream_id in (3, 4, 5):
        send(peer.association, b"x", stream_id=stream_id)
    peer.take()
    peer.send(reconfig(IncomingReset(100, (3, 5))))
    assert reconfig_items(peer.take())[-1].stream_ids == (3, 5)
