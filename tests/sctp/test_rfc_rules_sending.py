"""Rules of RFC 9260 for what is sent, that no other test is about."""

import math

import pytest

from sans_rtc.errors import InvalidState
from sans_rtc.sctp import RELIABLE, State
from sans_rtc.sctp.chunks import CookieEcho, Data, Heartbeat, Init, Sack, Shutdown, serialize
from sans_rtc.sctp.params import Parameter, ParameterType, serialize_parameters
from sans_rtc.sctp.wire import serialize_chunk

FULL = 1160 - 12 - 16


def data(said):
    return [chunk for chunk in said if isinstance(chunk, Data)]


def shutdown(raw):
    return Shutdown((raw.their_tsn - 1) & 0xFFFFFFFF)


@pytest.mark.proves(
    "RFC4960-3.2-1-50dc",
    "RFC4960-3.2-3-3d44",
    "RFC4960-3.2-4-48fe",
    "RFC4960-3.2-5-968f",
    "RFC4960-3.2.1-1-c808",
    "RFC4960-3.2.1-2-7f21",
    "RFC4960-3.3.1-8-c8a2",
    "RFC4960-3.3.1-9-10c3",
    "RFC4960-3.3.1-10-3084",
)
@pytest.mark.parametrize("size", range(9))
def test_chunk_and_parameter_are_padded_with_up_to_three_zeros_that_are_not_counted(size):
    value = b"\xff" * size
    padding = bytes(-size % 4)
    assert serialize(CookieEcho(value)) == b"\x0a\x00\x00" + bytes([4 + size]) + value + padding
    expected = b"\xff\xf0\x00" + bytes([4 + size]) + value + padding
    assert serialize_parameters([Parameter(0xFFF0, value), Parameter(0xC000, b"")]) == expected + b"\xc0\x00\x00\x04"


@pytest.mark.proves(
    "RFC4960-3.2-1-50dc",
    "RFC4960-3.2-3-3d44",
    "RFC4960-3.2-4-48fe",
    "RFC4960-3.2-5-968f",
    "RFC4960-3.2.1-1-c808",
    "RFC4960-3.2.1-2-7f21",
    "RFC4960-3.3.1-8-c8a2",
    "RFC4960-3.3.1-9-10c3",
    "RFC4960-3.3.1-10-3084",
    "RFC4960-3.3.1-1-bb53",
)
def test_data_chunk_has_the_layout_of_the_rfc():
    expected = "0003001501020304aabbccdd0000003368656c6c6f000000"
    assert serialize(Data(3, 0x01020304, 0xAABB, 0xCCDD, 51, b"hello")).hex() == expected


@pytest.mark.proves("RFC4960-3.3.4-1-1ca4", "RFC4960-3.3.4-2-455b")
def test_sack_of_the_example_has_the_layout_of_the_rfc():
    expected = "03000018" + "0000000c" + "00001234" + "00020000" + "00020003" + "00050005"
    assert serialize(Sack(12, 4660, [(2, 3), (5, 5)])).hex() == expected


@pytest.mark.proves("RFC4960-1.6-3-a34b")
def test_tsn_after_the_last_is_0(sctp, send):
    association = sctp.association()
    association._tcb.local_initial_tsn = 0xFFFFFFFE
    raw = sctp.RawPeer(association).establish()
    send(association, bytes(3 * FULL))
    assert [chunk.tsn for chunk in data(raw.take())] == [0xFFFFFFFE, 0xFFFFFFFF, 0]


@pytest.mark.proves("RFC4960-3.3.1-7-6091", "RFC4960-6.5-3-f0d3")
def test_ssn_after_the_last_is_0_and_all_fragments_carry_it(peer, send):
    peer.association._outbound.flow.scheduler.stream(3).next_ssn = 0xFFFF
    for _ in range(2):
        send(peer.association, bytes(2 * FULL), stream_id=3)
    assert [chunk.ssn for chunk in data(peer.take())] == [0xFFFF, 0xFFFF, 0, 0]


@pytest.mark.proves(
    "RFC4960-3.1-3-a978", "RFC4960-3.3.3-1-a239", "RFC4960-8.5-1-4bd5", "RFC4960-8.5.1-3-7337", "RFC4960-8.5.1-11-9d99"
)
def test_tag_of_the_peer_stands_in_every_packet(sctp, send):
    raw = sctp.RawPeer(sctp.association())
    raw.association.connect(raw.now)
    (init,) = raw.take_packets()
    raw.send(raw.init(is_ack=True, cookie=b"c"))
    (echo,) = raw.take_packets()
    raw.send(raw.data())
    send(raw.association, b"x")
    raw.association.abort(raw.now)
    rest = raw.take_packets()
    assert init[4:8] == bytes(4)
    assert rest and {packet[4:8] for packet in [echo, *rest]} == {raw.tag.to_bytes(4, "big")}


@pytest.mark.proves("RFC4960-3.3.3-2-c3fe")
def test_tag_is_never_0(sctp):
    association = sctp.association()
    association._tcb.entropy = bytes
    assert association._tcb.draw_tag() != 0


@pytest.mark.proves("RFC4960-3.3.3-5-4a58")
def test_init_ack_asks_for_no_more_streams_than_the_peer_takes(sctp):
    raw = sctp.RawPeer(sctp.association(streams_inbound_max=9), streams=7)
    raw.send(raw.init(), tag=0)
    (init_ack,) = raw.take()
    assert (init_ack.streams_outbound, init_ack.streams_inbound) == (7, 9)


@pytest.mark.proves("RFC4960-6-10-d02b", "RFC4960-6.10-2-14a5", "RFC4960-6.9-6-be85")
def test_control_chunks_come_before_data_and_all_fit_the_packet(peer, sctp, send):
    peer.data()
    for size in (100, FULL, FULL - 20):
        peer.send(peer.data(ssn=1))
        peer.send(Heartbeat(b"\0\1\0\x08abcd"))
        send(peer.association, bytes(size))
        packets = peer.take_packets()
        assert max(map(len, packets)) <= 1160
        for packet in packets:
            kinds = [isinstance(chunk, Data) for chunk in sctp.chunks_of([packet])]
            assert kinds == sorted(kinds)


@pytest.mark.proves("RFC4960-6-10-d02b", "RFC4960-6.10-2-14a5", "RFC4960-6.9-6-be85")
def test_reset_request_comes_before_data_in_its_packet(peer, sctp, send):
    send(peer.association, b"small", stream_id=3)
    peer.association.reset_streams([3, 5], peer.now)
    for packet in peer.take_packets():
        kinds = [isinstance(chunk, Data) for chunk in sctp.chunks_of([packet])]
        assert kinds == sorted(kinds)


@pytest.mark.proves("RFC4960-11.4-2-6a78")
def test_answers_to_one_packet_share_a_packet(peer):
    unknown = serialize_chunk(0xFE, 0, b"unknown")
    peer.send(Heartbeat(b"\0\1\0\x08abcd"), unknown, peer.data(flags=3 | 8))
    assert len(peer.take_packets()) == 1


@pytest.mark.proves("RFC4960-6.1-14-39bc")
def test_new_data_do_not_restart_t3(sctp, send):
    raw = sctp.RawPeer(sctp.association(tail_loss_probe=False, heartbeat_interval_s=math.inf)).establish()
    send(raw.association, b"x")
    raw.take()
    due = raw.association.deadline
    raw.now += 0.1
    send(raw.association, b"y", now=raw.now)
    raw.take()
    assert raw.association.deadline == due


@pytest.mark.proves("RFC4960-5.2.4-3-c4ae")
def test_restart_of_the_peer_begins_with_the_initial_window(peer, send):
    initial = peer.association.statistics.congestion_window_bytes
    send(peer.association, bytes(200_000))
    peer.take()
    peer.send(peer.sack(10))
    assert peer.association.statistics.congestion_window_bytes > initial
    peer.tag, peer.tsn = 0x77777777, 500
    peer.send(peer.init(), tag=0)
    (init_ack,) = [chunk for chunk in peer.take() if isinstance(chunk, Init)]
    cookie = next(p.value for p in init_ack.parameters if p.type == ParameterType.STATE_COOKIE)
    peer.send(CookieEcho(cookie), tag=init_ack.initiate_tag)
    assert peer.association.statistics.congestion_window_bytes == initial


@pytest.mark.proves("RFC4960-4-12-b746")
def test_nothing_is_taken_to_send_in_shutdown_ack_sent(peer):
    peer.send(shutdown(peer))
    assert peer.association.state is State.SHUTDOWN_ACK_SENT
    with pytest.raises(InvalidState):
        peer.association.send(0, 51, b"late", RELIABLE, peer.now)


@pytest.mark.proves("RFC4960-9.2-3-e90b")
def test_close_in_shutdown_received_sends_no_shutdown(peer, send):
    send(peer.association, b"x")
    peer.take()
    peer.send(shutdown(peer))
    peer.association.close(peer.now)
    assert peer.association.state is State.SHUTDOWN_RECEIVED
    assert not [chunk for chunk in peer.take() if isinstance(chunk, Shutdown)]


@pytest.mark.proves("RFC4960-5.2.1-7-2ddd")
def test_init_of_the_peer_leaves_ours_to_be_repeated(sctp):
    raw = sctp.RawPeer(sctp.association())
    raw.association.connect(raw.now)
    (ours,) = raw.take()
    due = raw.association.deadline
    raw.send(raw.init(), tag=0)
    raw.take()
    assert (raw.association.state, raw.association.deadline) == (State.COOKIE_WAIT, due)
    assert raw.wait(due - raw.now) == [ours]


@pytest.mark.proves("RFC4960-3.3.1-1-bb53", "RFC4960-3.3.1-8-c8a2", "RFC4960-3.3.1-9-10c3", "RFC4960-3.3.1-10-3084")
def test_data_that_are_sent_have_the_layout_of_the_rfc(sctp, send):
    association = sctp.association()
    association._tcb.local_initial_tsn = 0x01020304
    raw = sctp.RawPeer(association).establish()
    association._outbound.flow.scheduler.stream(0xAABB).next_ssn = 0xCCDD
    send(association, b"hello", stream_id=0xAABB, ppid=51)
    (packet,) = raw.take_packets()
    assert packet[12:].hex() == "0003001501020304aabbccdd0000003368656c6c6f000000"


@pytest.mark.proves("RFC4960-3.3.4-1-1ca4", "RFC4960-3.3.4-2-455b")
def test_sack_that_is_sent_says_what_the_example_of_the_rfc_says(sctp):
    raw = sctp.RawPeer(sctp.association(receive_window_bytes=10_000, message_bytes_max=1000), tsn=10).establish()
    for tsn in (10, 11, 12, 14, 15, 17):
        raw.send(raw.data(tsn=tsn, ssn=tsn - 10))
    window = raw.association.statistics.local_window_bytes
    expected = "03000018" + "0000000c" + f"{window:08x}" + "00020000" + "00020003" + "00050005"
    assert raw.take_packets()[-1][12:].hex() == expected


@pytest.mark.proves("RFC4960-8.3-2-60ed")
def test_heartbeat_is_answered_from_cookie_echoed_until_the_shutdown(sctp, send):
    ping, pong = Heartbeat(b"\0\1\0\x08abcd"), Heartbeat(b"\0\1\0\x08abcd", is_ack=True)
    raw = sctp.RawPeer(sctp.association())
    raw.association.connect(raw.now)
    raw.take()
    raw.send(raw.init(is_ack=True, cookie=b"c"))
    raw.take()
    raw.send(ping)
    assert raw.association.state is State.COOKIE_ECHOED and pong in raw.take()
    for closes, state in ((True, State.SHUTDOWN_PENDING), (False, State.SHUTDOWN_RECEIVED)):
        raw = sctp.RawPeer(sctp.association()).establish()
        send(raw.association, b"x")
        raw.take()
        if closes:
            raw.association.close(raw.now)
        else:
            raw.send(shutdown(raw))
        raw.send(ping)
        assert raw.association.state is state and pong in raw.take()
