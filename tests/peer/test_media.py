"""Audio and video of two whole peers in virtual time: JSEP, ICE, DTLS, SRTP, RTP and RTCP together."""

from itertools import pairwise

import pytest

from sans_rtc import dtls
from sans_rtc.datachannel import ChannelOptions
from sans_rtc.dtls.config import DtlsConfig
from sans_rtc.errors import InvalidArgument, InvalidState
from sans_rtc.machine import Datagram
from sans_rtc.media import EncodingSettings, FrameReceived, KeyframeRequested, OutgoingFrame, PacketReceived
from sans_rtc.peer import Description, PeerConfig, TrackAdded, TransceiverAdded, TransceiverOptions
from sans_rtc.rtp.recovery import KeyframeRequestKind
from sans_rtc.sdp.values import Direction
from sans_rtc.testing import LinkConditions, SeededEntropy
from tests.property.objects import footprint

OPUS = b"\xf8" + bytes(range(80))
KEYFRAME = b"\x10\x00\x00\x9d\x01\x2a\x80\x02\x68\x01" + bytes(3000)
DELTA = b"\x11\x00\x00" + bytes(2000)


def add(peer, kind, now, **options):
    return peer.add_transceiver(kind, TransceiverOptions(**options), now)


def connect(pair, *, kinds=("audio", "video"), answers="sendrecv", **options):
    """Transceivers at the offerer, an exchange, and a path; returns the handles at both ends, by kind."""
    mine = {kind: add(pair.peers[0], kind, pair.now, **options) for kind in kinds}
    theirs = {}

    def answer_with_all():
        theirs.update((str(info.kind), info.handle) for info in pair.peers[1].transceivers())
        for handle in theirs.values():
            pair.peers[1].set_direction(handle, answers, pair.now)

    pair.offer_and_answer(before_answer=answer_with_all)
    pair.link.run_until(lambda: all(str(peer.connection_state) == "connected" for peer in pair.peers), within_s=10)
    return mine, theirs


@pytest.mark.parametrize("direction", ["sendonly", Direction.SENDONLY])
def test_direction_of_the_options_is_a_word_or_a_member(direction):
    """Found by fuzzing: a word was taken, and making the offer failed by it."""
    assert TransceiverOptions(direction=direction).direction is Direction.SENDONLY
    with pytest.raises(InvalidArgument):
        TransceiverOptions(direction="stopped")


def play(pair, end, handles, *, seconds=2.0):
    """Send 20 ms packets of audio and 30 frames of video a second from one end; returns what was sent."""
    sent = {"audio": [], "video": []}
    for tick in range(int(seconds * 50)):
        if "audio" in handles:
            data = OPUS + tick.to_bytes(4, "big")
            pair.peers[end].send_frame(handles["audio"], OutgoingFrame(data, tick * 960), pair.now)
            sent["audio"].append(data)
        if "video" in handles and tick * 30 // 50 != (tick - 1) * 30 // 50:
            data = (KEYFRAME if not sent["video"] else DELTA) + tick.to_bytes(4, "big")
            pair.peers[end].send_frame(handles["video"], OutgoingFrame(data, tick * 1800), pair.now)
            sent["video"].append(data)
        pair.link.run_for(0.02)
    pair.link.run_for(1.0)
    return sent


def frames(pair, end, handle):
    return [event.frame.data for event in pair.events(end, FrameReceived) if event.handle == handle]


@pytest.mark.proves(
    "RFC3264-6.1-19-8c59", "RFC3264-6.1-20-b0b3", "RFC5763-6.10-1-205f", "RTP-USAGE-4.1-1-bf54", "RTP-USAGE-4.4-2-4461"
)
def test_frames_flow_both_ways_through_dtls_srtp(make_pair):
    pair = make_pair()
    mine, theirs = connect(pair)
    sent = play(pair, 0, mine)
    back = play(pair, 1, theirs)
    for kind in ("audio", "video"):
        assert frames(pair, 1, theirs[kind]) == sent[kind]
        assert frames(pair, 0, mine[kind]) == back[kind]
    pair.check()


def test_what_is_lost_is_sent_again(make_pair):
    pair = make_pair(conditions=LinkConditions(delay_s=0.01, loss=0.05))
    mine, theirs = connect(pair, kinds=("video",))
    sent = play(pair, 0, mine, seconds=5)
    assert frames(pair, 1, theirs["video"]) == sent["video"]


def test_the_peers_offer_makes_transceivers_that_receive(make_pair):
    pair = make_pair()
    add(pair.peers[0], "audio", pair.now, streams=("stream",))
    pair.offer_and_answer()
    (added,) = pair.events(1, TransceiverAdded)
    (track,) = pair.events(1, TrackAdded)
    assert track.streams == ("stream",)
    info = pair.peers[1].transceiver(added.transceiver)
    assert info.current_direction is Direction.RECVONLY
    assert pair.peers[0].transceivers()[0].current_direction is Direction.SENDONLY


@pytest.mark.proves("BUNDLE-8.1-1-bc69")
def test_media_and_data_share_the_transport(make_pair):
    pair = make_pair()
    mine = add(pair.peers[0], "video", pair.now)
    channel, _ = pair.connect()
    pair.peers[0].send_frame(mine, OutgoingFrame(KEYFRAME, 0), pair.now)
    pair.peers[0].send(channel, b"data", pair.now)
    pair.link.run_for(1.0)
    assert [event.frame.data for event in pair.events(1, FrameReceived)] == [KEYFRAME]
    assert pair.messages[1] == [b"data"]


def test_media_is_added_to_a_connection_that_carries_data(make_pair):
    pair = make_pair()
    pair.connect()
    mine = add(pair.peers[0], "video", pair.now)
    pair.offer_and_answer()
    pair.peers[0].send_frame(mine, OutgoingFrame(KEYFRAME, 0), pair.now)
    pair.link.run_for(1.0)
    assert [event.frame.data for event in pair.events(1, FrameReceived)] == [KEYFRAME]


def test_data_are_added_to_a_connection_that_carries_media(make_pair):
    pair = make_pair()
    connect(pair, kinds=("audio",))
    channel = pair.peers[0].create_channel("late", ChannelOptions(), pair.now)
    pair.offer_and_answer()
    pair.link.run_until(lambda: pair.handle_at(1, "late") is not None, within_s=5)
    pair.peers[0].send(channel, b"data", pair.now)
    pair.link.run_for(1.0)
    assert pair.messages[1] == [b"data"]


def test_a_keyframe_is_asked_for(make_pair):
    pair = make_pair()
    mine, theirs = connect(pair, kinds=("video",))
    pair.peers[0].send_frame(mine["video"], OutgoingFrame(KEYFRAME, 0), pair.now)
    pair.link.run_for(0.5)
    pair.peers[1].request_keyframe(theirs["video"], None, KeyframeRequestKind.PLI, pair.now)
    pair.link.run_for(0.2)
    assert [event.handle for event in pair.events(0, KeyframeRequested)] == [mine["video"]]


def test_packets_are_forwarded_without_decoding(make_pair):
    pair = make_pair()
    mine, theirs = connect(pair, kinds=("video",))
    pair.peers[1].set_receiver_output(theirs["video"], False, True, pair.now)
    pair.peers[0].send_frame(mine["video"], OutgoingFrame(KEYFRAME, 0), pair.now)
    pair.link.run_for(0.5)
    for event in pair.events(1, PacketReceived):
        pair.peers[1].send_packet(theirs["video"], event, "", pair.now)
    pair.link.run_for(0.5)
    assert frames(pair, 1, theirs["video"]) == []
    assert frames(pair, 0, mine["video"]) == [KEYFRAME]


@pytest.mark.proves("BUNDLE-9.2-4-9ff3", "RFC3264-8.3.4-1-b8ce")
def test_direction_stop_and_a_new_section_by_renegotiation(make_pair):
    pair = make_pair()
    mine, theirs = connect(pair)
    pair.peers[0].set_direction(mine["video"], "inactive", pair.now)
    pair.offer_and_answer()
    assert pair.peers[1].transceiver(theirs["video"]).current_direction is Direction.INACTIVE
    pair.peers[0].stop_transceiver(mine["video"], pair.now)
    pair.offer_and_answer()
    assert [info.handle for info in pair.peers[0].transceivers()] == [mine["audio"]]
    again = add(pair.peers[0], "video", pair.now)
    pair.offer_and_answer()
    pair.peers[0].send_frame(again, OutgoingFrame(KEYFRAME, 0), pair.now)
    sent = play(pair, 0, {"audio": mine["audio"]}, seconds=0.2)
    assert frames(pair, 1, theirs["audio"]) == sent["audio"]
    assert KEYFRAME in [event.frame.data for event in pair.events(1, FrameReceived)]


def test_stopped_transceivers_are_forgotten(make_pair):
    pair = make_pair()
    connect(pair, kinds=("audio",))

    def items_after(times):
        for _ in range(times):
            handle = add(pair.peers[0], "video", pair.now)
            pair.peers[0].set_receiver_output(handle, True, True, pair.now)
            pair.offer_and_answer()
            pair.peers[0].stop_transceiver(handle, pair.now)
            pair.offer_and_answer()
        pair.link.run_for(10)
        return footprint(pair.peers[0]).items

    first = items_after(3)
    again = items_after(20) - first  # SSRCs and where their numbers ended stay: none may come again under one key
    assert again <= 20 * 5


def test_simulcast_layers_arrive_by_their_rid(make_pair):
    pair = make_pair()
    layers = tuple(EncodingSettings(rid=rid) for rid in "lmh")
    mine, _ = connect(pair, kinds=("video",), encodings=layers, direction=Direction.SENDONLY, answers="recvonly")
    for number, rid in enumerate("lmh"):
        frame = OutgoingFrame(KEYFRAME + rid.encode(), number, rid=rid)
        pair.peers[0].send_frame(mine["video"], frame, pair.now)
    pair.link.run_for(0.5)
    got = {event.frame.rid: event.frame.data[-1:] for event in pair.events(1, FrameReceived)}
    assert got == {rid: rid.encode() for rid in "lmh"}


@pytest.mark.proves("RFC3551-3-3-cf2c", "RTP-USAGE-4.3-1-bb86", "RTP-USAGE-10-4-80db")
def test_nothing_is_sent_before_media_are_negotiated(make_pair):
    pair = make_pair()
    handle = add(pair.peers[0], "video", pair.now)
    with pytest.raises(InvalidState):
        pair.peers[0].send_frame(handle, OutgoingFrame(KEYFRAME, 0), pair.now)
    with pytest.raises(InvalidArgument):
        add(pair.peers[0], "smell", pair.now)
    mine, _ = connect(pair, kinds=("audio",))
    late = add(pair.peers[0], "video", pair.now)
    for number, error in ((late, InvalidState), (99, InvalidArgument)):
        with pytest.raises(error):
            pair.peers[0].send_frame(number, OutgoingFrame(KEYFRAME, 0), pair.now)
    pair.peers[0].send_frame(mine["audio"], OutgoingFrame(OPUS, 0), pair.now)


def test_offered_media_are_rejected_where_they_are_not_accepted(make_pair):
    pair = make_pair(configs=(None, PeerConfig(accepts_media=False)))
    add(pair.peers[0], "video", pair.now)
    pair.connect()
    assert pair.peers[1].transceivers() == ()
    assert "m=video 0 " in pair.peers[1].local_description.sdp


def test_own_frames_and_forwarded_packets_take_turns_in_one_stream(make_pair):
    """Timestamps and numbers go on, whoever made the packet: a player would drop what seems to be of long ago."""
    pair = make_pair()
    mine, theirs = connect(pair, kinds=("video",))
    pair.peers[1].set_receiver_output(theirs["video"], False, True, pair.now)
    pair.peers[0].set_receiver_output(mine["video"], True, True, pair.now)
    timestamp = 0xF0000000
    for turn in range(3):
        pair.peers[0].send_frame(
            mine["video"], OutgoingFrame(KEYFRAME + bytes([turn]), timestamp + turn * 9000), pair.now
        )
        seen = len(pair.events(1, PacketReceived))
        pair.link.run_for(0.1)
        for event in pair.events(1, PacketReceived)[seen:]:
            pair.peers[1].send_packet(theirs["video"], event, "", pair.now)
        pair.link.run_for(0.1)
        pair.peers[1].send_frame(theirs["video"], OutgoingFrame(KEYFRAME + b"own" + bytes([turn]), turn), pair.now)
        pair.link.run_for(0.1)
    packets = [event.packet for event in pair.events(0, PacketReceived)]
    first, last = packets[0], packets[-1]
    steps = [(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in pairwise(packets)]
    assert all(step < 90_000 for step in steps) and sum(steps) == pytest.approx(0.7 * 90_000, rel=0.01)
    assert (last.sequence_number - first.sequence_number) & 0xFFFF == len(packets) - 1
    own = [KEYFRAME + b"own" + bytes([turn]) for turn in range(3)]
    forwarded = [KEYFRAME + bytes([turn]) for turn in range(3)]
    assert frames(pair, 0, mine["video"]) == [frame for both in zip(forwarded, own, strict=True) for frame in both]


def test_explanation_tells_of_transceivers_bitrate_and_what_was_dropped(make_pair):
    pair = make_pair()
    mine, _ = connect(pair)
    play(pair, 0, mine, seconds=1)
    pair.peers[1].receive(Datagram(b"\x80" + bytes(60), next(iter(pair.peers[1].explain().ice.pairs)).path), pair.now)
    explanation = pair.peers[0].explain()
    assert "video (mid 1): wanted sendrecv, agreed sendrecv, sends VP8" in str(explanation)
    assert explanation.target_bitrate_bps > 0 and "media may take" in str(explanation)
    assert pair.peers[1].explain().discards["media"] == {"not_authentic": 1}


def test_explanation_says_that_media_cannot_flow_without_an_srtp_profile(make_pair):
    pair = make_pair(configs=(PeerConfig(dtls=DtlsConfig(srtp_profiles=())), None))
    mine, _ = connect(pair, kinds=("audio",))
    assert not pair.peers[0].can_send_media(mine["audio"])
    assert "no media can flow" in pair.peers[0].explain().likely_cause


def test_packets_that_overtake_the_last_flight_of_dtls_are_kept_for_the_keys(make_pair):
    pair = make_pair()
    mine = add(pair.peers[0], "video", pair.now)
    offerer, answerer = pair.peers
    late = []
    receive = answerer.receive

    def without_dtls(datagram, now):
        if 20 <= datagram.data[0] <= 63 and str(offerer.statistics(now)["T01"].dtls_state) == "connected":
            late.append(datagram)
        else:
            receive(datagram, now)

    answerer.receive = without_dtls
    pair.monitors[1].receive = without_dtls
    pair.offer_and_answer()
    pair.link.run_until(lambda: offerer.can_send_media(mine), within_s=5)
    offerer.send_frame(mine, OutgoingFrame(KEYFRAME, 0), pair.now)
    pair.link.run_for(0.05)
    assert pair.events(1, FrameReceived) == []
    for datagram in late:
        receive(datagram, pair.now)
    del answerer.receive
    assert [event.frame.data for event in answerer.take_events() if isinstance(event, FrameReceived)] == [KEYFRAME]


@pytest.mark.proves("RFC5763-5-12-b7c4", "RFC5763-5-13-3964", "RFC8122-6.2-6-98d0", "RTP-USAGE-4.2-2-199a")
def test_no_frame_is_told_or_sent_before_the_peer_is_proved(make_pair):
    """RFC 8827 section 6.5, RFC 5764: media pass only after DTLS has proved the key that was signalled."""
    pair = make_pair()
    mine = add(pair.peers[0], "video", pair.now)
    offerer, answerer = pair.peers
    other = dtls.Certificate.generate(SeededEntropy("another"), 0, 86_400)

    def of_another(answer):
        own = str(answerer.statistics(pair.now)["CL"].fingerprint)
        return Description("answer", answer.sdp.replace(own, str(other.fingerprint()).split(" ")[1]))

    pair.offer_and_answer(altered=of_another)
    for tick in range(50):
        if not offerer.is_terminated:
            offerer.send_frame(mine, OutgoingFrame(KEYFRAME, tick * 1800), pair.now)
        pair.link.run_for(0.02)
    assert offerer.is_terminated and pair.events(1, FrameReceived) == []
    sent = [stats.packets_sent for stats in offerer.statistics(pair.now).values() if stats.type == "outbound-rtp"]
    assert sent == [0]
