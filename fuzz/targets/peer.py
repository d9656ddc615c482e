"""The peer connection, whole; the first byte decides which end it is."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from fuzz.arguments import a_number, a_reliability, a_stream, altered, an_address, some_data
from fuzz.insider import speak_as_peer
from fuzz.life import lives, of_kind, play
from sans_rtc.datachannel import ChannelOptions
from sans_rtc.errors import InvalidState
from sans_rtc.peer import Description
from tests.property.scenes.table import KINDS

TYPES = ("offer", "answer", "pranswer", "rollback")
CANDIDATE = "candidate:1 1 udp {} 10.0.0.9 {} typ host"


def _options(script):
    promise = a_reliability(script)
    return ChannelOptions(
        ordered=promise.ordered,
        max_retransmits=promise.max_retransmits,
        lifetime_s=promise.lifetime_s,
        negotiated_id=a_number(script) if script.below(2) else None,
    )


def _describe_again(peer, script, now):
    """One of the descriptions that there are, altered, for either side."""
    known = [each for each in (peer.local_description, peer.remote_description) if each is not None]
    if not known:
        raise InvalidState("there is none yet")
    sdp = altered(script.pick(known).sdp, script)
    verb = peer.set_remote_description if script.below(4) else peer.set_local_description
    verb(Description(script.pick(TYPES), sdp), now)


def _channel(peer, script):
    channels = peer.channels()
    return channels[script.below(len(channels))].channel if channels else script.below(4)


VERBS = (
    lambda peer, script, now: peer.create_channel(script.text(20), _options(script), now),
    lambda peer, script, now: peer.send(_channel(peer, script), some_data(script), now),
    lambda peer, script, now: peer.send(_channel(peer, script), script.text(80), now),
    lambda peer, script, now: peer.consume(_channel(peer, script), a_number(script), now),
    lambda peer, script, now: peer.close_channel(_channel(peer, script), now),
    lambda peer, script, now: peer.set_buffered_low_threshold(_channel(peer, script), a_number(script), now),
    lambda peer, script, now: peer.create_offer(now),
    lambda peer, script, now: peer.create_answer(now),
    lambda peer, script, now: peer.set_local_description(None, now),
    _describe_again,
    _describe_again,
    lambda peer, script, now: peer.set_remote_description(Description(script.pick(TYPES), script.text(255)), now),
    lambda peer, script, now: peer.add_remote_candidate(
        CANDIDATE.format(script.below(1 << 32), script.below(65_536)), script.pick(("0", "1", None, "")), now
    ),
    lambda peer, script, now: peer.add_remote_candidate(script.text(100), "0", now),
    lambda peer, script, now: peer.restart_ice(now),
    lambda peer, script, now: peer.add_local_address(an_address(script), "eth1", now),
    lambda peer, script, now: peer.remove_local_address(an_address(script), now),
    lambda peer, script, now: peer.end_of_local_addresses(now),
    lambda peer, script, now: peer.name_resolved("stun.example", script.pick(((), ("192.0.2.8",), ("x",))), now),
    lambda peer, script, now: peer.network_changed(now),
    lambda peer, script, now: peer.stream_opened(a_stream(script), now),
    lambda peer, script, now: peer.stream_closed(a_stream(script), "gone", now),
    lambda peer, script, now: str(peer.explain()),
)
SUBJECTS = tuple(of_kind(KINDS[f"peer {end}"], VERBS, insider=speak_as_peer) for end in ("offerer", "answerer"))


def run(data: bytes) -> None:
    """The first byte chooses the end, the rest is a script."""
    if data:
        play(SUBJECTS[data[0] & 1], data[1:])


def seeds() -> Iterator[bytes]:
    """Both lives, meddled with now and then: each run takes a while."""
    for number, life in enumerate(islice(lives(len(VERBS), steps=24), 0, None, 7)):
        yield bytes((number & 1,)) + life
