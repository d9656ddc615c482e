"""Properties of audio and video: two ends that add, stop, turn and offer in any order always end up agreeing."""

from collections import deque
from heapq import heappop, heappush
from random import Random

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.errors import InvalidState
from sans_rtc.media.parameters import EncodingSettings
from sans_rtc.peer.media_config import (
    AUDIO_EXTENSIONS,
    VIDEO_EXTENSIONS,
    VIDEO_FEEDBACK,
    BundlePolicy,
    KindConfig,
    MediaNegotiationConfig,
)
from sans_rtc.peer.negotiation import (
    Description,
    DescriptionType,
    LocalTransport,
    Negotiation,
    NegotiationConfig,
    SignalingState,
)
from sans_rtc.peer.transceivers import TransceiverOptions, reverse
from sans_rtc.rtp.payload.codecs import codecs_named
from sans_rtc.rtp.payload.interface import MediaKind
from sans_rtc.sdp import parse_description
from sans_rtc.sdp.attributes import EXTMAP, RTPMAP
from sans_rtc.sdp.values import Direction
from sans_rtc.testing import SeededEntropy

ROUNDS_MAX = 12
CODECS = {
    MediaKind.AUDIO: [[], codecs_named("PCMU"), [*codecs_named("PCMA"), *codecs_named("opus")]],
    MediaKind.VIDEO: [[], codecs_named("VP8"), [*codecs_named("H264")[:2], *codecs_named("VP8")]],
}
FEW_CODECS = {
    "audio": KindConfig(
        codecs=[*codecs_named("opus"), *codecs_named("red"), *codecs_named("PCMU"), *codecs_named("PCMA")],
        extensions=AUDIO_EXTENSIONS,
        feedback=("transport-cc",),
    ),
    "video": KindConfig(
        codecs=[*codecs_named("VP8"), *codecs_named("H264")[:2]], extensions=VIDEO_EXTENSIONS, feedback=VIDEO_FEEDBACK
    ),
}
STREAMS = [(), ("camera",), ("screen", "camera")]


def facts(name):
    return LocalTransport(
        ice_ufrag=f"{name}000", ice_pwd=name * 24, fingerprints=["sha-256 " + ":".join([f"{ord(name):02X}"] * 32)]
    )


@attrs.define
class End:
    """One end in perfect negotiation (W3C WebRTC section 10.7)."""

    name: str
    negotiation: Negotiation
    inbox: deque = attrs.field(factory=deque)
    is_polite: bool = False

    def offer(self, other):
        if self.negotiation.state is SignalingState.STABLE and self.negotiation.is_negotiation_needed:
            try:
                offer = self.negotiation.create_offer(facts(self.name))
            except InvalidState:
                return
            self.negotiation.apply_local(offer)
            other.inbox.append(offer)

    def take(self, other):
        if not self.inbox:
            return
        description = self.inbox.popleft()
        if description.type is DescriptionType.OFFER:
            if self.negotiation.state is not SignalingState.STABLE and not self.is_polite:
                return
            self.negotiation.apply_remote(description)
            answer = self.negotiation.create_answer(facts(self.name))
            self.negotiation.apply_local(answer)
            other.inbox.append(answer)
        else:
            self.negotiation.apply_remote(description)

    def give_up(self):
        if self.negotiation.state is SignalingState.STABLE and self.negotiation.is_negotiation_needed:
            self.negotiation.apply_local(self.negotiation.create_offer(facts(self.name)))
            self.negotiation.apply_local(Description("rollback"))

    def pick(self, number):
        live = [info for info in self.negotiation.media.infos() if not info.is_stopping]
        return live[number % len(live)] if live else None


def wish(end, verb, number):
    media, info = end.negotiation.media, end.pick(number)
    match verb:
        case "add" | "add track" | "add layers":
            kind = list(MediaKind)[number % 2] if verb != "add layers" else MediaKind.VIDEO
            layers = tuple(EncodingSettings(rid=rid) for rid in "hml") if verb == "add layers" else ()
            options = TransceiverOptions(
                direction=list(Direction)[number % 4],
                streams=STREAMS[number % 3],
                encodings=layers,
                is_from_track=verb == "add track",
            )
            media.add_transceiver(kind, options)
        case "data":
            end.negotiation.request_data()
        case "stop" if info is not None:
            media.stop(info.handle)
        case "turn" if info is not None:
            media.set_direction(info.handle, list(Direction)[number // 3 % 4])
        case "streams" if info is not None:
            media.set_streams(info.handle, STREAMS[number // 5 % 3])
        case "prefer" if info is not None:
            media.set_codec_preferences(info.handle, CODECS[info.kind][number // 7 % 3])


WISHES = ["add", "add track", "add layers", "data", "stop", "turn", "streams", "prefer"]
STEPS = st.tuples(st.sampled_from("ab"), st.sampled_from([*WISHES, "offer", "take", "give up"]), st.integers(0, 60))


def make(policy=BundlePolicy.BALANCED, takes_media=True):
    media = MediaNegotiationConfig(bundle_policy=policy, **FEW_CODECS)
    config = NegotiationConfig(media=media)
    other = NegotiationConfig(media=media, accepts_media=takes_media)
    a = End("a", Negotiation(config, entropy=SeededEntropy(1)), is_polite=True)
    return a, End("b", Negotiation(other, entropy=SeededEntropy(2)))


def run(ends, steps):
    for name, verb, number in steps:
        end, other = ends if name == "a" else ends[::-1]
        if verb == "offer":
            end.offer(other)
        elif verb == "take":
            end.take(other)
        elif verb == "give up":
            end.give_up()
        else:
            wish(end, verb, number)


def settle(ends):
    """Let both ends negotiate until neither needs to; it is told how many rounds that took."""
    a, b = ends
    for round_ in range(ROUNDS_MAX):
        while a.inbox or b.inbox:
            a.take(b)
            b.take(a)
        if not (a.negotiation.is_negotiation_needed or b.negotiation.is_negotiation_needed):
            return round_
        (a if a.negotiation.is_negotiation_needed else b).offer(b if a.negotiation.is_negotiation_needed else a)
    raise AssertionError("the ends never agree")


def check_numbers(description):
    """RFC 9143 section 9.1: one payload type, one format; RFC 8285: one id, one extension."""
    formats, ids = {}, {}
    for media in description.media:
        if media.is_disabled:
            continue
        for rtpmap in media.lines.all(RTPMAP):
            meaning = (rtpmap.encoding, rtpmap.clock_rate)
            assert formats.setdefault(rtpmap.payload_type, meaning) == meaning
        for extension in media.lines.all(EXTMAP):
            assert ids.setdefault(extension.id, extension.uri) == extension.uri


def check(ends):
    a, b = (end.negotiation for end in ends)
    assert (a.state, b.state) == (SignalingState.STABLE, SignalingState.STABLE)
    if a.local_description is None:
        return
    descriptions = [parse_description(end.local_description.sdp) for end in (a, b)]
    lines = [[(media.kind, media.mid) for media in each.media] for each in descriptions]
    assert lines[0] == lines[1]
    answer = descriptions[a.current_local_description.type is DescriptionType.OFFER]
    used = {media.mid for media in answer.media if not media.is_disabled}
    assert {mid for group in answer.bundle_groups for mid in group.mids} == used
    for description in descriptions:
        check_numbers(description)
    infos = [{info.mid: info for info in end.media.infos()} for end in (a, b)]
    assert infos[0].keys() == infos[1].keys()
    assert None not in infos[0]
    for mid, ours in infos[0].items():
        theirs = infos[1][mid]
        assert (ours.kind, ours.current_direction) == (theirs.kind, reverse(theirs.current_direction))
        check_flow(ours.section, theirs.section)
        check_flow(theirs.section, ours.section)
    assert (a.transport is None) == (b.transport is None) == (not used)
    if used:
        assert (a.transport.mid, a.transport.sctp_port) == (b.transport.mid, b.transport.sctp_port)


def check_flow(sender, receiver):
    assert (sender.send is None) == (receiver.receive is None)
    if sender.send is None:
        return
    sent, taken = sender.send, receiver.receive
    assert {(c.payload_type, c.codec.name, c.rtx_payload_type) for c in sent.codecs} == {
        (c.payload_type, c.codec.name, c.rtx_payload_type) for c in taken.codecs
    }
    assert sorted(sent.extensions) == sorted(taken.extensions)
    assert tuple(e.rid for e in sent.encodings if e.rid) == taken.rids
    if not taken.rids and taken.sources:
        assert [e.ssrc for e in sent.encodings] == [source.ssrc for source in taken.sources]


@settings(max_examples=120, deadline=None)
@given(st.lists(STEPS, max_size=30), st.sampled_from(BundlePolicy))
def test_two_ends_agree_whatever_they_do_in_whatever_order(steps, policy):
    ends = make(policy)
    run(ends, steps)
    settle(ends)
    check(ends)


@settings(max_examples=40, deadline=None)
@given(st.lists(STEPS, max_size=20))
def test_end_for_data_only_agrees_too(steps):
    ends = make(takes_media=False)
    run(ends, steps)
    settle(ends)
    a, b = (end.negotiation for end in ends)
    assert len(a.media.sections) == len(b.media.sections)


@settings(max_examples=40, deadline=None)
@given(st.lists(STEPS, max_size=15))
def test_equal_entropy_and_calls_give_equal_text(steps):
    texts = []
    for _ in range(2):
        ends = make()
        run(ends, steps)
        texts.append([(end.negotiation.local_description, end.negotiation.media.sections) for end in ends])
    assert texts[0] == texts[1]


@pytest.mark.parametrize("policy", list(BundlePolicy))
def test_first_exchange_of_both_ends_takes_two_rounds_at_most(policy):
    ends = make(policy)
    for end in ends:
        for verb in ("add track", "add", "data", "add layers"):
            wish(end, verb, 8)
            wish(end, verb, 9)
    assert settle(ends) <= 2
    check(ends)


# -- perfect negotiation in virtual time (W3C WebRTC section 10.7) ----------------------------------------------------


class Signals:
    """Both ends on one clock: wishes come at their times, descriptions take theirs, in order each way."""

    def __init__(self, seed):
        self.random = Random(seed)
        self.ends = make(self.random.choice(list(BundlePolicy)))
        self.heap = []
        self.count = 0
        self.arrival = [0.0, 0.0]

    def at(self, when, action, *arguments):
        self.count += 1
        heappush(self.heap, (when, self.count, action, arguments))

    def run(self):
        for _ in range(12):
            name, verb = self.random.choice("ab"), self.random.choice(WISHES)
            self.at(self.random.uniform(0, 2), self.on_wish, "ab".index(name), verb, self.random.randrange(60))
        while self.heap:
            now, _, action, arguments = heappop(self.heap)
            action(now, *arguments)
        return now

    def on_wish(self, now, side, verb, number):
        wish(self.ends[side], verb, number)
        self.act(now, side, End.offer)

    def on_arrival(self, now, side):
        self.act(now, side, End.take)
        self.act(now, side, End.offer)

    def act(self, now, side, verb):
        end, sent = self.ends[side], deque()
        verb(end, End("wire", None, sent))
        for description in sent:
            self.arrival[side] = max(self.arrival[side], now + self.random.uniform(0.01, 0.5))
            self.at(self.arrival[side], self.on_delivery, 1 - side, description)

    def on_delivery(self, now, side, description):
        self.ends[side].inbox.append(description)
        self.on_arrival(now, side)


@pytest.mark.parametrize("seed", range(40))
def test_perfect_negotiation_comes_to_rest_with_both_ends_agreeing(seed):
    signals = Signals(seed)
    now = signals.run()
    assert [end.negotiation.is_negotiation_needed for end in signals.ends] == [False, False]
    assert now < 2 + 12 * 1.0
    check(signals.ends)
