"""Rules of RFC 6525 and 9260 that no other test is about."""

import math

import pytest

from sans_rtc.sctp import Message
from sans_rtc.sctp.chunks import ReConfig
from sans_rtc.sctp.params import (
    AddStreams,
    IncomingReset,
    OutgoingReset,
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
