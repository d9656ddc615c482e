"""Fair shares between streams (RFC 8260 section 3.6), on the unit of a message."""

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.sctp import RELIABLE
from sans_rtc.sctp.chunks import Data
from sans_rtc.sctp.scheduler import OutboundMessage, Scheduler


def enqueue(scheduler, stream_id, size=1000, count=1):
    for _ in range(count):
        scheduler.enqueue(OutboundMessage(scheduler.stream(stream_id), 51, bytes(size), RELIABLE, 0.0))


def order(scheduler, count=1 << 30):
    taken = []
    while len(taken) < count and (message := scheduler.next()) is not None:
        taken.append(message.stream.id)
    return taken


def test_one_stream_is_in_order():
    scheduler = Scheduler()
    messages = [OutboundMessage(scheduler.stream(1), 51, bytes([index]), RELIABLE, 0.0) for index in range(1, 6)]
    for message in messages:
        scheduler.enqueue(message)
    assert [scheduler.next() for _ in messages] == messages
    assert scheduler.next() is None


def test_equal_streams_take_turns():
    scheduler = Scheduler()
    for stream_id in (1, 2, 3):
        enqueue(scheduler, stream_id, count=3)
    assert order(scheduler) == [1, 2, 3] * 3


def test_shares_are_of_bytes_not_of_messages():
    scheduler = Scheduler()
    enqueue(scheduler, 1, size=10_000, count=10)
    enqueue(scheduler, 2, size=1000, count=100)
    taken = order(scheduler, 55)
    assert 4 <= taken.count(1) <= 6


@pytest.mark.proves("DATA-CHANNEL-6.4-1-2b56")
@pytest.mark.parametrize("weight", [1, 64, 256, 512, 1024, 65535])
def test_shares_follow_the_weights(weight):
    scheduler = Scheduler()
    scheduler.stream(1).weight = weight
    enqueue(scheduler, 1, count=2000)
    enqueue(scheduler, 2, count=2000)
    taken = order(scheduler, 1000)
    expected = 1000 * weight / (weight + 256)
    assert abs(taken.count(1) - expected) <= max(10, 0.02 * expected)


def test_idle_stream_does_not_save_up_its_share():
    scheduler = Scheduler()
    enqueue(scheduler, 1, count=100)
    order(scheduler, 90)
    enqueue(scheduler, 2, count=10)
    assert order(scheduler, 4).count(2) == 2


def test_busy_stream_is_not_ahead_after_the_others_return():
    scheduler = Scheduler()
    enqueue(scheduler, 1, count=1000)
    enqueue(scheduler, 2)
    order(scheduler, 500)
    enqueue(scheduler, 2, count=10)
    assert 1 in order(scheduler, 3)


def test_many_streams_all_get_their_turn():
    scheduler = Scheduler()
    for stream_id in range(65535):
        enqueue(scheduler, stream_id, size=1)
    assert sorted(order(scheduler)) == list(range(65535))
    assert scheduler.queued_messages == 0


def test_large_message_is_not_interleaved_with_another(peer, send):
    """Without I-DATA the fragments of a message have consecutive TSNs."""
    send(peer.association, bytes(30_000), stream_id=1)
    for _ in range(5):
        send(peer.association, bytes(2000), stream_id=2)
    chunks = sorted(peer.deliver_all(), key=lambda chunk: (chunk.tsn - peer.their_tsn) & 0xFFFFFFFF)
    message = None
    for chunk in chunks:
        assert isinstance(chunk, Data)
        if chunk.flags & 2:
            assert message is None
            message = (chunk.stream_id, chunk.ssn)
        assert message == (chunk.stream_id, chunk.ssn)
        if chunk.flags & 1:
            message = None


def test_weight_is_honoured_by_the_association(peer, send):
    peer.association.set_stream_weight(1, 1024, peer.now)
    for _ in range(100):
        send(peer.association, bytes(1100), stream_id=1)
        send(peer.association, bytes(1100), stream_id=2)
    first = peer.deliver_all()[:50]
    assert 38 <= sum(chunk.stream_id == 1 for chunk in first) <= 42


@pytest.mark.parametrize("arguments", [(0, 0), (0, 65536), (-1, 256), (65535, 256)])
def test_wrong_weight_raises(peer, arguments):
    with pytest.raises(InvalidArgument):
        peer.association.set_stream_weight(*arguments, peer.now)
