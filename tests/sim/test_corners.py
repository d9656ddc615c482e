"""Corners that the simulation has found, each as a test of its own."""

import pytest

from sans_rtc.datachannel import ChannelBufferLow, ChannelClosed, ChannelOptions
from sans_rtc.errors import LimitExceeded
from sans_rtc.machine import Address, Terminated
from sans_rtc.peer import ConnectionState, Description, LocalCandidate, PeerConfig, TerminationReason
from sans_rtc.sctp import SctpConfig
from sans_rtc.testing import LinkConditions
from tests.peer.conftest import Pair
from tests.sim.arena import run
from tests.sim.plan import draw_plan
from tests.sim.scenario import Scenario, draw
from tests.sim.session import simulate
from tests.sim.world import addresses_of


def test_what_the_lost_path_left_unanswered_is_not_counted_against_the_new_one():
    """The last retransmission that SCTP may make is on its way when ICE loses the path."""
    config = PeerConfig(sctp=SctpConfig(association_retransmissions_max=8))
    pair = Pair(configs=(config, config))
    handle, _ = pair.connect()
    pair.link.run_for(1.0)
    pair.link.filter = lambda end, datagram: None
    pair.peers[0].send(handle, "during the outage", pair.now)
    pair.link.run_for(60.0)
    assert [peer.connection_state for peer in pair.peers] == [ConnectionState.FAILED] * 2
    pair.link.filter = lambda end, datagram: datagram
    pair.peers[0].restart_ice(pair.now)
    pair.offer_and_answer()
    pair.link.run_until(lambda: pair.messages[1] == ["during the outage"], within_s=5.0)


def test_congestion_window_begins_anew_on_another_path_and_only_there():
    """RFC 8261 section 6.1."""
    pair = Pair(conditions=LinkConditions(delay_s=0.02))
    handle, _ = pair.connect()
    initial = pair.peers[0].explain().sctp.congestion_window_bytes
    for _ in range(20):
        pair.peers[0].send(handle, bytes(10_000), pair.now)
    pair.link.run_until(lambda: len(pair.messages[1]) == 20)
    assert pair.peers[0].explain().sctp.congestion_window_bytes > 2 * initial
    pair.peers[0].restart_ice(pair.now)
    pair.offer_and_answer()
    pair.link.run_for(0.5)
    assert pair.peers[0].explain().ice.selected.generation == 1
    assert pair.peers[0].explain().sctp.congestion_window_bytes > 2 * initial
    other = Address("10.0.0.9", 5009)
    pair.peers[0].add_local_address(other, "wlan0", pair.now)
    pair.link.run_for(0.5)
    pair.peers[0].remove_local_address(Address("10.0.0.1", 5000), pair.now)
    pair.link.run_for(1.0)
    assert pair.peers[0].explain().ice.selected.path.local == other
    assert pair.peers[0].explain().sctp.congestion_window_bytes <= initial


@pytest.mark.parametrize("options", [{"lifetime_s": 0.01}, {"lifetime_s": 0.01, "ordered": False}])
def test_close_does_not_wait_for_a_message_that_expires_in_the_queue(options):
    pair = Pair(conditions=LinkConditions(delay_s=0.05))
    bulk, _ = pair.connect()
    brief = pair.peers[0].create_channel("brief", ChannelOptions(**options, priority=1), pair.now)
    pair.link.run_for(0.5)
    for _ in range(10):
        pair.peers[0].send(bulk, bytes(20_000), pair.now)
        pair.peers[0].send(brief, bytes(1000), pair.now)
    pair.peers[0].close(pair.now)
    took_s = pair.link.run_until(lambda: all(peer.is_terminated for peer in pair.peers), within_s=5.0)
    assert took_s < 1.5
    assert pair.events(0, Terminated)[0].reason == TerminationReason.CLOSED


@pytest.mark.parametrize("seed", range(30))
def test_channel_opened_right_after_another_was_closed_opens_at_both_ends(seed):
    """It takes the same stream; what confirms the reset of the first may be lost."""
    pair = Pair(seed=seed, conditions=LinkConditions(delay_s=0.01, loss=0.2))
    pair.connect("first")
    for label in ("second", "third", "fourth"):
        closed = len(pair.events(0, ChannelClosed))
        pair.peers[0].close_channel(pair.peers[0].channels()[0].channel, pair.now)
        pair.link.run_until(lambda closed=closed: len(pair.events(0, ChannelClosed)) > closed, within_s=30.0)
        pair.peers[0].create_channel(label, ChannelOptions(), pair.now)
        pair.link.run_until(lambda label=label: pair.handle_at(1, label) is not None, within_s=30.0)


def test_candidates_of_an_offer_that_gave_way_are_announced_again_with_the_answer():
    """Both offer at once; the impolite end has dropped what was trickled for the offer that it ignored."""
    pair = Pair()
    pair.trickles = False
    impolite, polite = pair.peers
    for peer in pair.peers:
        peer.create_channel("glare", ChannelOptions(), pair.now)
        peer.set_local_description(None, pair.now)
    pair.link.flush()
    before = len(pair.events(1, LocalCandidate))
    polite.set_remote_description(impolite.local_description, pair.now)
    polite.set_local_description(None, pair.now)
    pair.link.flush()
    again = [event.candidate for event in pair.events(1, LocalCandidate)][before:]
    assert again == [event.candidate for event in pair.events(1, LocalCandidate)][:before]
    assert "a=candidate:" in polite.local_description.sdp and "a=end-of-candidates" in polite.local_description.sdp
    impolite.set_remote_description(polite.local_description, pair.now)
    pair.link.filter = lambda end, datagram: None if end == 1 and datagram.data[:2] == b"\0\1" else datagram
    pair.link.run_until(lambda: impolite.connection_state is ConnectionState.CONNECTED, within_s=2.0)


def test_candidates_of_an_offer_that_was_taken_back_are_announced_again_with_the_next():
    pair = Pair()
    pair.trickles = False
    peer = pair.peers[0]
    peer.create_channel("again", ChannelOptions(), pair.now)
    for _ in range(3):
        peer.set_local_description(None, pair.now)
        pair.link.flush()
        assert "a=candidate:" in peer.local_description.sdp
        peer.set_local_description(Description("rollback"), pair.now)
    pair.offer_and_answer()
    pair.link.run_until(lambda: pair.handle_at(1, "again") is not None, within_s=2.0)


def test_room_is_told_of_though_the_channel_that_took_it_is_being_closed():
    """Else whoever was refused on another channel would wait for ever."""
    config = PeerConfig(sctp=SctpConfig(send_buffer_bytes_max=100_000))
    pair = Pair(configs=(config, config), conditions=LinkConditions(delay_s=0.02))
    first, _ = pair.connect()
    second = pair.open_another()
    for _ in range(9):
        pair.peers[0].send(first, bytes(10_000), pair.now)
    with pytest.raises(LimitExceeded):
        pair.peers[0].send(second, bytes(20_000), pair.now)
    pair.peers[0].close_channel(first, pair.now)
    before = len(pair.link.events[0])
    pair.link.run_for(2.0)
    assert ChannelBufferLow(first) in pair.link.events[0][before:]
    pair.peers[0].send(second, bytes(20_000), pair.now)


@pytest.mark.parametrize("rebinds_after_s", [0.1, 0.2])
def test_nat_that_rebinds_while_ice_restarts_is_followed(rebinds_after_s):
    """Valid pairs of the new generation are checked on, so that the peer hears of their new addresses."""
    plan = draw_plan(0)
    plan.conditions, plan.ending, plan.end_behind_nat = LinkConditions(delay_s=0.05), "close", 1
    plan.signalling_s, plan.addresses = 0.0, (addresses_of(0, 1), addresses_of(1, 1))
    plan.script = [(0.0, "create", 0, "x", ChannelOptions()), (1.5, "restart", 0), (1.5 + rebinds_after_s, "rebind")]
    plan.faults_end_s = 2.5
    assert simulate(0, plan=plan).progress_s < 8.0


def test_candidates_of_the_old_generation_are_not_announced_again_when_the_peer_restarts():
    """Their end would be taken for that of the new generation, whose later candidates would then be left out."""
    pair = Pair()
    pair.connect()
    pair.trickles = False
    before = len(pair.events(1, LocalCandidate))
    pair.peers[0].restart_ice(pair.now)
    pair.peers[0].set_local_description(None, pair.now)
    pair.link.flush()
    pair.peers[1].set_remote_description(pair.peers[0].local_description, pair.now)
    pair.link.flush()
    assert pair.events(1, LocalCandidate)[before:] == []
    pair.peers[1].set_local_description(None, pair.now)
    pair.link.flush()
    ufrag = pair.peers[1]._transport.agent.local_parameters.ufrag
    said = [event.candidate for event in pair.events(1, LocalCandidate)][before:]
    assert said and all(ufrag in candidate for candidate in said[:-1]) and said[-1] == ""


def test_init_that_the_lost_path_left_unanswered_is_not_counted_against_the_new_one():
    """DTLS is up, and INIT is sent into the silence of a path that is dead, until ICE has another."""
    config = PeerConfig(sctp=SctpConfig(init_retransmissions_max=4))
    pair = Pair(configs=(config, config), conditions=LinkConditions(delay_s=0.01))
    pair.peers[0].create_channel("late", ChannelOptions(), pair.now)
    pair.offer_and_answer()
    pair.link.run_until(lambda: all(peer.connection_state == "connected" for peer in pair.peers), within_s=5.0)
    pair.link.filter = lambda end, datagram: None if 20 <= datagram.data[0] <= 63 else datagram
    handshake = pair.peers[0]._transport.data.association._parts.handshake
    pair.link.run_until(lambda: handshake._retransmissions == 4)  # one more would end it
    other = Address("10.0.0.9", 5009)
    pair.peers[0].add_local_address(other, "wlan0", pair.now)
    pair.link.run_for(0.3)
    pair.peers[0].remove_local_address(Address("10.0.0.1", 5000), pair.now)
    pair.link.run_for(3.0)
    pair.link.filter = lambda end, datagram: datagram
    pair.link.run_until(lambda: pair.handle_at(1, "late") is not None, within_s=6.0)


def test_mapping_that_changed_while_the_controlling_end_was_down_is_nominated_anew():
    """Two checks were answered at once: the first took note of the mapping, the second nominates, and saw none."""
    run(
        draw(98056).reduced(
            only=(0, 3, 5), without=("duplication", "rate", "damage", "black-hole", "interfaces", "windows")
        )
    )


def test_peer_that_nominates_a_pair_without_consent_is_asked_for_a_restart():
    """The clock of the controlled end jumped beyond the consent of a pair that was about to be nominated."""
    without = ("loss", "bursts", "reordering", "jitter", "rate", "damage", "black-hole", "interfaces", "windows")
    run(draw(99811).reduced(only=(2, 4, 5, 8, 12), without=(*without, "duplication", "signalling")))


@pytest.mark.parametrize(
    ("seed", "faults_end_s", "actions"),
    [
        (29369, 1.769, ((0.0, "track", 1, "audio", 0), (0.4, "track", 1, "video", 1), (1.669, "play", 1, 8))),
        (
            56457, 1.491,
            (
                (0.0, "track", 1, "video", 0), (0.0, "track", 1, "video", 1), (0.065, "weather", 412659753),
                (0.364, "play", 1, 3), (0.669, "play", 0, 8), (1.322, "play", 1, 3), (1.391, "play", 0, 8),
            ),
        ),
    ],
    ids=("audio", "video"),
)  # fmt: skip
def test_frames_arrive_behind_what_fills_a_narrow_link_that_becomes_a_wide_one(seed, faults_end_s, actions):
    """The cable lost every datagram until its queue had drained: what waited counted for more than it could hold."""
    scenario = Scenario(
        seed=seed,
        conditions=LinkConditions(delay_s=0.001, rate_bytes_s=50_000.0, queue_bytes=30_000),
        nats=(None, None),
        interfaces=(1, 1),
        windows=(None, None),
        signalling_s=0.01,
        ending="close",
        faults_end_s=faults_end_s,
        actions=tuple((number, *action) for number, action in enumerate(actions)),
    )
    assert run(scenario).frames > 0


FEW = ("bursts", "duplication", "rate", "damage", "black-hole", "interfaces", "windows")


@pytest.mark.parametrize(
    ("seed", "only", "without"),
    [
        pytest.param(7018, (2, 6, 10), (*FEW, "loss", "jitter"), id="cookie-echo-of-the-controlling-end"),
        pytest.param(65213, (1, 10), (*FEW, "jitter", "delay"), id="cookie-echo-of-the-controlled-end"),
        pytest.param(24067, (0, 3), (*FEW, "reordering", "delay", "signalling"), id="dtls-of-the-controlling-end"),
        pytest.param(52780, (0, 1), (*FEW, "jitter", "signalling"), id="dtls-of-the-controlled-end"),
    ],
)
def test_nat_that_rebinds_during_a_handshake_does_not_end_it_before_ice_is_restarted(seed, only, without):
    """The path is dead until the restart, and ICE says so; the application restarts it once that has failed."""
    run(draw(seed).reduced(only=only, without=without))
