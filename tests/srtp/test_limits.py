"""Every bound, and what happens there: SSRCs, packets under one key, packets of one SSRC."""

import pytest

from sans_rtc.errors import InvalidArgument, LimitExceeded
from sans_rtc.srtp.streams import RTCP_INDEX_COUNT, RTP_INDEX_COUNT

LAST_ROC = (1 << 32) - 1


@pytest.mark.proves("RFC3711-3.3.1-9-cf92", "RFC3711-8.1.1-3-89a1", "RFC3711-9.2-3-4d48", "RFC3711-9.2-4-f3cf")
def test_sender_ends_after_the_last_index_of_48_bits(profile, tools, make_pair):
    pair = make_pair(profile)
    pair.sender.set_rollover_counter(tools.SSRC, LAST_ROC)
    pair.receiver.set_rollover_counter(tools.SSRC, LAST_ROC)
    for number in (65500, 65535):
        assert pair.receive(pair.send(number)) == tools.rtp(number)
    before = tools.state_of(pair.sender)
    for number in (0, 1, 32000):
        with pytest.raises(LimitExceeded):
            pair.send(number)
    assert tools.state_of(pair.sender) == before
    assert pair.send(65534)
    assert pair.send(0, ssrc=1)


@pytest.mark.proves("RFC3711-9.2-3-4d48", "RFC3711-9.2-4-f3cf", "RFC3711-3.3.1-9-cf92")
def test_run_of_packets_ends_at_the_last_index_of_48_bits(profile, tools, make_pair):
    pair = make_pair(profile)
    pair.sender.set_rollover_counter(tools.SSRC, LAST_ROC)
    pair.send(65533)
    headers = [tools.rtp(number & 0xFFFF, payload=b"") for number in range(65534, 65534 + 5)]
    sealed = pair.sender.protect_run(headers, [b"x"] * 5, tools.SSRC, 65534)
    assert len(sealed) == 2
    assert pair.sender.protect_run(headers[2:], [b"x"] * 3, tools.SSRC, 0) == []
    with pytest.raises(LimitExceeded):
        pair.send(0)


def test_receiver_opens_no_run_beyond_the_last_index(tools, make_pair):
    pair = make_pair()
    pair.receiver.set_rollover_counter(tools.SSRC, LAST_ROC)
    pair.sender.set_rollover_counter(tools.SSRC, LAST_ROC)
    for number in (65500, 65534):
        assert pair.receive(pair.send(number)) is not None
    last = pair.send(65535)
    beyond = pair.sender._keys.transform.seal_rtp(tools.rtp(0), 12, tools.SSRC << 48 ^ RTP_INDEX_COUNT)
    assert pair.receiver.open_run([last, beyond], 12, tools.SSRC, 65535) == [b"payload"]
    assert pair.receive(beyond) == "index_exhausted"


@pytest.mark.proves("RFC3711-9.2-4-f3cf")
def test_another_key_does_not_give_a_stream_more_packets_under_the_first(kind, tools, make_pair):
    """9.2: "previously stored and used keys MUST NOT be used again"."""
    pair = make_pair(kind)
    with pytest.raises(InvalidArgument):
        pair.sender.rekey(pair.master)


def test_sender_that_begins_at_the_last_rollover_counter_ends_too(tools, make_pair):
    pair = make_pair()
    pair.sender.set_rollover_counter(tools.SSRC, LAST_ROC)
    pair.send(0)
    pair.send(30000)
    pair.send(60000)
    with pytest.raises(LimitExceeded):
        pair.send(0)


def test_receiver_discards_what_would_be_beyond_the_last_index(tools, make_pair):
    pair = make_pair()
    for end in (pair.sender, pair.receiver):
        end.set_rollover_counter(tools.SSRC, LAST_ROC)
    pair.receive(pair.send(65535))
    forged = tools.rtp(0, payload=bytes(40))
    assert pair.receive(forged) == "index_exhausted"
    assert pair.receiver.explain().rtp[0].rollover_counter == LAST_ROC


def test_first_packet_is_not_tried_beyond_the_last_index(tools, make_pair):
    pair = make_pair()
    pair.receiver.set_rollover_counter(tools.SSRC, LAST_ROC)
    assert tools.SSRC & 1 == 0
    neighbour = (tools.SSRC | 1) << 48  # where an index of 49 bits would lead to
    assert pair.receive(pair.sender._keys.transform.seal_rtp(tools.rtp(0), 12, neighbour)) == "authentication_failed"


@pytest.mark.proves(
    "RFC3711-3.3.1-9-cf92", "RFC3711-8.1.1-3-89a1", "RFC3711-9.2-3-4d48", "RFC3711-9.2-4-f3cf", "RFC3711-3.4-12-77b2"
)
def test_sender_of_rtcp_ends_after_the_last_index_of_31_bits(profile, tools, make_pair):
    pair = make_pair(profile)
    pair.sender.protect_rtcp(tools.rtcp())
    pair.sender._rtcp_streams[tools.SSRC].highest = RTCP_INDEX_COUNT - 2
    assert pair.receive_rtcp(pair.sender.protect_rtcp(tools.rtcp())) == tools.rtcp()
    assert pair.receiver.explain().rtcp[0].sequence_number == RTCP_INDEX_COUNT - 1
    before = tools.state_of(pair.sender)
    for _ in range(2):
        with pytest.raises(LimitExceeded):
            pair.sender.protect_rtcp(tools.rtcp())
    assert tools.state_of(pair.sender) == before
    assert pair.sender.protect_rtcp(tools.rtcp(ssrc=1))


def test_limits_are_those_of_rfc_3711():
    assert (RTP_INDEX_COUNT, RTCP_INDEX_COUNT) == (2**48, 2**31)


def test_sender_takes_so_many_ssrcs_and_no_more(kind, tools, make_pair):
    pair = make_pair(kind, stream_count_max=3)
    for ssrc in range(3):
        pair.send(1, ssrc=ssrc)
        pair.sender.protect_rtcp(tools.rtcp(ssrc=ssrc))
    before = tools.state_of(pair.sender)
    with pytest.raises(LimitExceeded):
        pair.send(1, ssrc=3)
    with pytest.raises(LimitExceeded):
        pair.sender.protect_rtcp(tools.rtcp(ssrc=3))
    assert tools.state_of(pair.sender) == before
    pair.send(2, ssrc=2)


@pytest.mark.proves("RFC3711-3.2.3-2-7b42")
def test_receiver_takes_so_many_ssrcs_and_no_more(kind, tools, make_pair):
    pair = make_pair(kind)
    small = make_pair(kind, stream_count_max=3)
    for ssrc in range(3):
        assert small.receive(pair.send(1, ssrc=ssrc)) is not None
        assert small.receive_rtcp(pair.sender.protect_rtcp(tools.rtcp(ssrc=ssrc))) is not None
    assert small.receive(pair.send(1, ssrc=3)) == "too_many_streams"
    assert small.receive_rtcp(pair.sender.protect_rtcp(tools.rtcp(ssrc=3))) == "too_many_streams"
    assert small.receive(pair.send(2, ssrc=2)) is not None

    small.receiver.forget_stream(0)
    assert small.receive(pair.send(2, ssrc=3)) is not None
    assert small.receive_rtcp(pair.sender.protect_rtcp(tools.rtcp(ssrc=3))) is not None


def test_forged_packets_of_many_ssrcs_take_no_place(kind, tools, make_pair):
    pair = make_pair(kind, stream_count_max=2)
    for ssrc in range(100):
        pair.receive(tools.rtp(1, ssrc=ssrc, payload=bytes(40)))
        pair.receive_rtcp(tools.rtcp(ssrc=ssrc))
    assert tools.state_of(pair.receiver) == ({}, {}, {})
    assert pair.receive(pair.send(1, ssrc=7)) is not None


def test_stream_that_is_forgotten_begins_anew(tools, make_pair):
    pair = make_pair()
    for number in (65535, 0):
        pair.receive(pair.send(number))
    pair.receiver.forget_stream(tools.SSRC)
    pair.receiver.forget_stream(12345)
    assert pair.receiver.explain().rtp == ()
    assert pair.receive(pair.send(1)) is not None
    assert pair.receiver.explain().rtp[0].rollover_counter == 1


def test_packet_that_was_refused_does_not_begin_a_stream_of_the_sender(tools, make_pair):
    pair = make_pair(encrypted_extension_ids={1})
    with pytest.raises(ValueError):
        pair.send(5, extension=(0xBEDE, b"\x1fab\x00"))
    assert tools.state_of(pair.sender) == ({}, {}, {})
    pair.send(5)
