"""Sections of media and the one transport: whose candidates are trickled, and which section carries them."""

import pytest

from sans_rtc.datachannel import ChannelOptions
from sans_rtc.peer import (
    ConnectionState,
    ConnectionStateChanged,
    LocalCandidate,
    NegotiationNeeded,
    PeerConfig,
    TransceiverOptions,
)
from sans_rtc.rtp.payload.interface import MediaKind

TRACK = TransceiverOptions(streams=("camera",), is_from_track=True)


@pytest.fixture
def mixed(make_pair):
    """The offerer wants audio and data, the answerer takes data only."""
    pair = make_pair(configs=(PeerConfig(), PeerConfig(accepts_media=False)))
    pair.peers[0].add_transceiver(MediaKind.AUDIO, TRACK, pair.now)
    pair.peers[0].create_channel("test", ChannelOptions(), pair.now)
    return pair


def test_candidates_are_announced_again_for_the_section_that_the_answer_has_chosen(mixed):
    mixed.offer_and_answer()
    mids = [event.mid for event in mixed.events(0, LocalCandidate)]
    assert set(mids) == {"0", "1"}
    assert mids == sorted(mids)
    assert {event.mid for event in mixed.events(1, LocalCandidate)} == {"1"}


@pytest.mark.parametrize("trickles", [True, False])
def test_data_connect_where_the_peer_rejects_audio(mixed, trickles):
    mixed.trickles = trickles
    mixed.offer_and_answer()
    mixed.link.run_until(lambda: mixed.handle_at(1, "test") is not None, within_s=10)
    assert [peer.connection_state for peer in mixed.peers] == [ConnectionState.CONNECTED] * 2
    assert mixed.peers[0].transceivers() == ()


def test_media_connect_without_data_and_data_come_later(make_pair):
    pair = make_pair()
    for peer in pair.peers:
        peer.add_transceiver(MediaKind.AUDIO, TRACK, pair.now)
    pair.offer_and_answer()
    pair.link.run_until(lambda: pair.peers[0].connection_state is ConnectionState.CONNECTED, within_s=10)
    pair.peers[1].create_channel("late", ChannelOptions(), pair.now)
    pair.offer_and_answer(first=1)
    pair.link.run_until(lambda: pair.handle_at(0, "late") is not None, within_s=10)
    assert len(pair.events(0, ConnectionStateChanged)) == 2
    pair.check()


def test_negotiation_needed_is_told_once_for_several_wishes(make_pair):
    pair = make_pair()
    for kind in MediaKind:
        pair.peers[0].add_transceiver(kind, TRACK, pair.now)
    pair.peers[0].create_channel("test", ChannelOptions(), pair.now)
    pair.link.flush()
    assert len(pair.events(0, NegotiationNeeded)) == 1
    pair.offer_and_answer()
    assert len(pair.events(0, NegotiationNeeded)) == 1
    pair.peers[0].stop_transceiver(1, pair.now)
    pair.link.flush()
    assert len(pair.events(0, NegotiationNeeded)) == 2
