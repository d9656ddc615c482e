"""Two peer connections in virtual time: connecting, sending, closing, losing each other."""

import math

import attrs
import pytest

from sans_rtc import dtls
from sans_rtc.datachannel import ChannelBufferLow, ChannelClosed, ChannelOpened, ChannelOptions
from sans_rtc.errors import InvalidArgument, InvalidState, LimitExceeded
from sans_rtc.ice import ConnectionState as IceState
from sans_rtc.ice import IceConfig
from sans_rtc.machine import Address, Datagram, Path, Terminated
from sans_rtc.peer import (
    ConnectionState,
    ConnectionStateChanged,
    Description,
    LocalCandidate,
    NegotiationNeeded,
    PeerConfig,
    PeerConnection,
    SignalingState,
    TerminationReason,
)
from sans_rtc.sctp.config import SctpConfig
from sans_rtc.testing import LinkConditions, SeededEntropy


def states(pair, end):
    return [event.state for event in pair.events(end, ConnectionStateChanged)]


def terminated(pair, end):
    [event] = pair.events(end, Terminated)
    return event


# -- connecting ------------------------------------------------------------------------------------------------------


@pytest.mark.proves("RFC5763-5-9-9e89")
def test_two_peers_connect_within_a_few_round_trips(pair):
    pair.peers[0].create_channel("test", ChannelOptions(), pair.now)
    pair.offer_and_answer()
    took_s = pair.link.run_until(lambda: pair.events(0, ChannelOpened) and pair.events(1, ChannelOpened))
    assert took_s <= 0.014  # 1 ms each way: ICE 1 to 2 round trips, DTLS 2, SCTP 2, DCEP half
    assert states(pair, 0) == states(pair, 1) == [ConnectionState.CONNECTING, ConnectionState.CONNECTED]
    pair.check()


def test_states_follow_w3c(pair):
    peer = pair.peers[0]
    assert (peer.connection_state, peer.signaling_state) == (ConnectionState.NEW, SignalingState.STABLE)
    pair.connect()
    assert peer.connection_state is ConnectionState.CONNECTED
    assert peer.ice_connection_state in (IceState.CONNECTED, IceState.COMPLETED)
    assert peer.signaling_state is SignalingState.STABLE


def test_negotiation_is_needed_once_for_the_first_channel(pair):
    peer = pair.peers[0]
    for _ in range(3):
        peer.create_channel("x", ChannelOptions(), pair.now)
    assert [event for event in peer.take_events() if isinstance(event, NegotiationNeeded)] == [NegotiationNeeded()]


def test_candidates_are_announced_and_end_with_an_empty_one(pair):
    pair.connect()
    for end in (0, 1):
        candidates = [event.candidate for event in pair.events(end, LocalCandidate)]
        assert [line.partition(" ")[0] for line in candidates] == ["candidate:1", ""]


def test_offer_without_anything_to_offer_is_refused(pair):
    with pytest.raises(InvalidState):
        pair.peers[0].create_offer(pair.now)


@pytest.mark.parametrize("seed", range(40))
def test_peers_connect_and_deliver_over_a_bad_link(make_pair, seed):
    conditions = LinkConditions(delay_s=0.02, jitter_s=0.01, loss=0.1, duplication=0.05, reordering=0.1)
    pair = make_pair(seed=seed, conditions=conditions)
    handle, _ = pair.connect()
    sent = [bytes([n % 256]) * (n * 97 % 5000) for n in range(60)]
    for message in sent:
        pair.peers[0].send(handle, message, pair.now)
    pair.link.run_until(lambda: len(pair.messages[1]) == len(sent), within_s=60)
    assert pair.messages[1] == sent
    pair.check()


def test_corrupted_datagrams_of_a_session_change_nothing(pair):
    handle, _ = pair.connect()
    pair.link.conditions = LinkConditions(delay_s=0.005, corruption=0.2)
    sent = [str(n) for n in range(100)]
    for message in sent:
        pair.peers[0].send(handle, message, pair.now)
    pair.link.run_until(lambda: len(pair.messages[1]) == 100, within_s=60)
    assert pair.messages[1] == sent


@pytest.mark.proves("JSEP-5.11-3-6c99")
@pytest.mark.proves("RFC5763-5-6-cd95", "RFC8122-6.2-5-c183")
def test_dtls_client_hello_that_comes_before_the_answer_is_kept(pair):
    offerer, answerer = pair.peers
    pair.answer_offer()
    pair.link.run_for(0.1)  # the answer is still on its way through signalling
    assert offerer.connection_state is not ConnectionState.CONNECTED
    offerer.set_remote_description(answerer.local_description, pair.now)
    pair.link.run_until(lambda: offerer.connection_state is ConnectionState.CONNECTED, within_s=1.0)


def test_same_inputs_give_the_same_bytes(make_pair):
    def run():
        pair = make_pair(seed=3, conditions=LinkConditions(delay_s=0.01, loss=0.05, reordering=0.1))
        handle, _ = pair.connect()
        for n in range(20):
            pair.peers[0].send(handle, bytes(n * 100), pair.now)
        pair.link.run_for(2)
        pair.peers[0].close(pair.now)
        pair.link.run_for(5)
        return [(datagram.data, datagram.path) for end in (0, 1) for datagram in pair.link.sent[end]]

    assert run() == run()


# -- trust -----------------------------------------------------------------------------------------------------------


@pytest.mark.proves("JSEP-5.1.1-5-e927")
@pytest.mark.proves("RFC5763-5-12-b7c4", "RFC5763-5-13-3964")
def test_peer_with_another_key_than_signalled_gets_no_data(make_pair):
    pair = make_pair()
    offerer, answerer = pair.peers
    pair.answer_offer()
    pair.link.flush()
    other = dtls.Certificate.generate(SeededEntropy("other"), 0).fingerprint()
    lines = answerer.local_description.sdp.splitlines()
    forged = "\r\n".join(f"a=fingerprint:{other}" if "a=fingerprint" in line else line for line in lines) + "\r\n"
    offerer.set_remote_description(Description("answer", forged), pair.now)
    pair.link.run_for(5)
    assert terminated(pair, 0).reason == TerminationReason.DTLS_FAILED
    assert "not the one that was signalled" in terminated(pair, 0).detail
    assert pair.events(0, ChannelOpened) == pair.events(1, ChannelOpened) == []
    assert ConnectionState.CONNECTED not in states(pair, 0)


def test_only_weak_fingerprints_end_the_connection_with_the_reason(pair):
    offerer, answerer = pair.peers
    pair.answer_offer()
    lines = answerer.local_description.sdp.splitlines()
    weak = "a=fingerprint:sha-1 " + ":".join(["AB"] * 20)
    text = "\r\n".join(weak if "a=fingerprint" in line else line for line in lines) + "\r\n"
    offerer.set_remote_description(Description("answer", text), pair.now)
    pair.link.flush()
    assert terminated(pair, 0).reason == TerminationReason.DTLS_FAILED


# -- messages --------------------------------------------------------------------------------------------------------


def test_text_binary_and_empty_messages_arrive_as_they_were(pair):
    handle, _ = pair.connect()
    sent = ["text", "", b"binary", b"", "ü" * 1000, b"x" * 262_144]
    for message in sent:
        pair.peers[0].send(handle, message, pair.now)
    pair.link.run_until(lambda: len(pair.messages[1]) == len(sent))
    assert pair.messages[1] == sent


def test_message_over_the_offered_maximum_is_refused(pair):
    handle, _ = pair.connect()
    with pytest.raises(InvalidArgument):
        pair.peers[0].send(handle, b"x" * 262_145, pair.now)


def test_sending_beyond_the_buffer_is_refused_and_buffer_low_says_when_to_go_on(make_pair):
    config = PeerConfig(sctp=SctpConfig(send_buffer_bytes_max=100_000))
    pair = make_pair(configs=(config, config))
    handle, _ = pair.connect()
    peer = pair.peers[0]
    for _ in range(10):
        peer.send(handle, b"x" * 10_000, pair.now)
    with pytest.raises(LimitExceeded):
        peer.send(handle, b"x" * 10_000, pair.now)
    buffered = peer.buffered_amount(handle)
    assert 0 < buffered <= 100_000
    peer.set_buffered_low_threshold(handle, 50_000, pair.now)
    before = len(pair.events(0, ChannelBufferLow))
    pair.link.run_until(lambda: len(pair.events(0, ChannelBufferLow)) > before, within_s=5)
    assert peer.buffered_amount(handle) <= 50_000
    peer.send(handle, b"x" * 10_000, pair.now)


def test_reader_that_does_not_consume_stops_the_sender_and_one_that_does_lets_it_go_on(make_pair):
    config = PeerConfig(sctp=SctpConfig(receive_window_bytes=300_000))
    pair = make_pair(configs=(config, config))
    mine, theirs = pair.connect()
    pair.consumes = False
    for _ in range(100):
        pair.peers[0].send(mine, b"x" * 10_000, pair.now)
    pair.link.run_for(5)
    held = len(pair.messages[1])
    assert 20 <= held <= 31
    pair.consumes = True
    pair.peers[1].consume(theirs, held * 10_000, pair.now)
    pair.link.run_until(lambda: len(pair.messages[1]) == 100, within_s=20)


def test_both_ends_may_open_channels(pair):
    pair.connect("first")
    pair.peers[1].create_channel("second", ChannelOptions(ordered=False, max_retransmits=0), pair.now)
    pair.link.run_until(lambda: pair.handle_at(0, "second") is not None, within_s=1)
    info = pair.peers[0].channel(pair.handle_at(0, "second"))
    assert (info.ordered, info.max_retransmits, info.is_incoming) == (False, 0, True)


def test_pre_negotiated_channel_needs_no_word(pair):
    handles = [peer.create_channel("n", ChannelOptions(negotiated_id=9), pair.now) for peer in pair.peers]
    pair.offer_and_answer()
    pair.link.run_until(lambda: pair.events(0, ChannelOpened) and pair.events(1, ChannelOpened), within_s=5)
    pair.peers[1].send(handles[1], "hello", pair.now)
    pair.link.run_until(lambda: pair.messages[0] == ["hello"], within_s=1)


@pytest.mark.parametrize("closer", [0, 1])
def test_channel_closed_by_either_side_closes_at_both(pair, closer):
    handles = pair.connect()
    pair.peers[closer].close_channel(handles[closer], pair.now)
    pair.link.run_until(lambda: pair.events(0, ChannelClosed) and pair.events(1, ChannelClosed), within_s=2)
    assert [peer.channels() for peer in pair.peers] == [[], []]
    pair.open_another()


# -- the end ---------------------------------------------------------------------------------------------------------


def test_close_delivers_everything_first_and_tells_the_peer(pair):
    handle, _ = pair.connect()
    for n in range(50):
        pair.peers[0].send(handle, bytes(10_000) + bytes([n]), pair.now)
    pair.peers[0].close(pair.now)
    pair.peers[0].close(pair.now)
    pair.link.run_for(4)
    assert len(pair.messages[1]) == 50
    assert terminated(pair, 0).reason == TerminationReason.CLOSED
    assert terminated(pair, 1).reason == TerminationReason.CLOSED_BY_PEER
    assert pair.peers[0].unacknowledged_bytes == 0
    assert [peer.deadline for peer in pair.peers] == [math.inf, math.inf]
    pair.check()


def test_close_of_a_silent_peer_ends_in_time_and_says_how_much_was_not_acknowledged(pair):
    handle, _ = pair.connect()
    pair.link.filter = lambda end, datagram: None
    pair.peers[0].send(handle, b"x" * 5000, pair.now)
    pair.peers[0].close(pair.now)
    took_s = pair.link.run_until(lambda: pair.peers[0].is_terminated, within_s=10)
    assert took_s == pytest.approx(PeerConfig().close_timeout_s)
    assert terminated(pair, 0).reason == TerminationReason.CLOSE_TIMEOUT
    assert pair.peers[0].unacknowledged_bytes == 5000


def test_abort_ends_at_once_and_the_peer_hears_of_it(pair):
    pair.connect()
    pair.peers[0].abort(pair.now)
    assert pair.peers[0].is_terminated
    pair.link.run_for(0.5)
    assert terminated(pair, 1).reason in (TerminationReason.ABORTED_BY_PEER, TerminationReason.CLOSED_BY_PEER)
    assert len(pair.events(0, ChannelClosed)) == len(pair.events(1, ChannelClosed)) == 1


def test_close_before_anything_happened_ends_at_once(pair):
    pair.peers[0].close(pair.now)
    pair.link.flush()
    assert pair.link.events[0][-1] == Terminated(TerminationReason.CLOSED, "")
    for call in (
        lambda peer: peer.create_channel("x", ChannelOptions(), pair.now),
        lambda peer: peer.create_offer(pair.now),
        lambda peer: peer.set_local_description(None, pair.now),
        lambda peer: peer.add_local_address(Address("10.0.0.1", 1), "", pair.now),
    ):
        with pytest.raises(InvalidState):
            call(pair.peers[0])


def test_after_the_end_inputs_are_ignored(pair):
    pair.connect()
    pair.peers[0].abort(pair.now)
    pair.link.flush()
    before = len(pair.link.events[0])
    path = Path(Address("10.0.0.1", 5000), Address("10.0.0.2", 5000))
    pair.peers[0].receive(Datagram(b"\x16" * 100, path), pair.now)
    pair.peers[0].handle_timer(pair.now + 100)
    pair.peers[0].close(pair.now + 100)
    assert (pair.peers[0].take_events(), pair.peers[0].take_datagrams(pair.now + 100)) == ((), ())
    assert len(pair.link.events[0]) == before


def test_peer_that_vanishes_is_disconnected_after_three_seconds_and_then_failed(pair):
    pair.connect()
    pair.link.run_for(5)
    pair.link.filter = lambda end, datagram: None if end == 1 else datagram
    took_s = pair.link.run_until(lambda: states(pair, 0)[-1] is ConnectionState.DISCONNECTED, within_s=10)
    assert 2.0 <= took_s <= 3.1
    took_s += pair.link.run_until(lambda: states(pair, 0)[-1] is ConnectionState.FAILED, within_s=40)
    assert took_s == pytest.approx(30, abs=1.5)


def test_peer_that_comes_back_is_connected_again_and_nothing_is_lost(pair):
    handle, _ = pair.connect()
    pair.link.filter = lambda end, datagram: None
    pair.peers[0].send(handle, "during the outage", pair.now)
    pair.link.run_until(lambda: states(pair, 0)[-1] is ConnectionState.DISCONNECTED, within_s=10)
    pair.link.filter = lambda end, datagram: datagram
    pair.link.run_until(lambda: states(pair, 0)[-1] is ConnectionState.CONNECTED, within_s=3)
    pair.link.run_until(lambda: pair.messages[1] == ["during the outage"], within_s=12)


def test_session_without_a_path_stands_still_until_ice_is_restarted_however_late(pair):
    handle, _ = pair.connect()
    pair.link.filter = lambda end, datagram: None
    pair.peers[0].send(handle, "after two minutes", pair.now)
    pair.link.run_for(120)
    assert [states(pair, end)[-1] for end in (0, 1)] == [ConnectionState.FAILED] * 2
    pair.link.filter = lambda end, datagram: datagram
    pair.peers[0].restart_ice(pair.now)
    pair.offer_and_answer()
    pair.link.run_until(lambda: pair.messages[1] == ["after two minutes"], within_s=5)
    pair.link.run_for(1)
    assert [peer.connection_state for peer in pair.peers] == [ConnectionState.CONNECTED] * 2


def test_silence_is_configurable():
    config = IceConfig(disconnected_after_s=6.0)
    assert attrs.evolve(PeerConfig(), ice=config).ice.disconnected_after_s == 6.0


# -- restarting ICE --------------------------------------------------------------------------------------------------


@pytest.mark.proves("ICE-SDP-4.4.3.1-1-e818")
@pytest.mark.parametrize("first", [0, 1])
def test_ice_restart_by_either_side_keeps_data_flowing(pair, first):
    handle, _ = pair.connect()
    before = pair.peers[first].local_description.sdp
    pair.peers[first].restart_ice(pair.now)
    assert pair.peers[first].take_events() == [NegotiationNeeded()]
    pair.peers[0].send(handle, "before", pair.now)
    pair.offer_and_answer(first)
    pair.peers[0].send(handle, "after", pair.now)
    pair.link.run_until(lambda: pair.messages[1] == ["before", "after"], within_s=2)
    pair.link.run_for(3)
    ufrags = [
        next(line for line in sdp.splitlines() if "ice-ufrag" in line)
        for sdp in (before, pair.peers[first].local_description.sdp)
    ]
    assert ufrags[0] != ufrags[1]
    assert [peer.connection_state for peer in pair.peers] == [ConnectionState.CONNECTED] * 2
    assert pair.peers[0].explain().ice.selected.generation == 1


def test_restart_that_is_rolled_back_goes_on_as_before(pair):
    handle, _ = pair.connect()
    pair.peers[0].restart_ice(pair.now)
    pair.peers[0].set_local_description(None, pair.now)
    pair.link.flush()
    pair.peers[0].set_local_description(Description("rollback"), pair.now)
    pair.peers[0].send(handle, "still here", pair.now)
    pair.link.run_until(lambda: pair.messages[1] == ["still here"], within_s=2)
    pair.link.run_for(40)
    assert [peer.connection_state for peer in pair.peers] == [ConnectionState.CONNECTED] * 2


# -- local misuse ----------------------------------------------------------------------------------------------------


@pytest.mark.proves("JSEP-5.6-5-4fef", "JSEP-8-1-7fe6")
@pytest.mark.parametrize("sdp", ["", "hello", "v=0\r\n", "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=x\r\n"])
def test_description_that_is_none_is_refused_and_changes_nothing(pair, sdp):
    with pytest.raises((InvalidArgument, InvalidState)):
        pair.peers[0].set_remote_description(Description("offer", sdp), pair.now)
    assert pair.peers[0].signaling_state is SignalingState.STABLE
    pair.connect()


@pytest.mark.proves("JSEP-4.1.17-2-e823")
def test_candidate_that_is_none_is_refused(pair):
    pair.connect()
    for line in ("nonsense", "candidate:", "candidate:1 1 udp x 10.0.0.1 1 typ host"):
        with pytest.raises(InvalidArgument):
            pair.peers[0].add_remote_candidate(line, "0", pair.now)


def test_candidate_before_a_remote_description_is_refused():
    peer = PeerConnection(entropy=SeededEntropy(1))
    with pytest.raises(InvalidState):
        peer.add_remote_candidate("candidate:1 1 udp 1 10.0.0.1 1 typ host", "0", 0.0)


# -- inputs do the work ----------------------------------------------------------------------------------------------


def test_candidates_are_in_the_description_as_soon_as_the_address_is_named(pair):
    peer = pair.peers[0]
    peer.create_channel("x", ChannelOptions(), pair.now)
    peer.set_local_description(None, pair.now)
    peer.add_local_address(Address("10.0.0.1", 5000), "eth0", pair.now)
    assert "a=candidate:1 1 udp" in peer.local_description.sdp
    peer.end_of_local_addresses(pair.now)
    assert "a=end-of-candidates" in peer.local_description.sdp


def test_channel_made_on_a_connection_is_open_with_the_next_events(pair):
    pair.connect()
    handle = pair.peers[0].create_channel("more", ChannelOptions(), pair.now)
    assert pair.peers[0].take_events() == [ChannelOpened(handle, "more", "", False)]
