"""Properties: nothing that a peer's text says does more than raise `WireError` or `LocalError`, and then nothing moved;
two ends that follow the rules agree, in whatever order they offer, answer, roll back and restart."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sans_rtc.errors import LocalError, WireError
from sans_rtc.peer.negotiation import (
    Description,
    DtlsRole,
    LocalTransport,
    Negotiation,
    SignalingState,
)
from sans_rtc.sdp import parse_description
from sans_rtc.testing import SeededEntropy

PROFILE = settings(max_examples=100, deadline=None)
VECTORS = [
    path.read_bytes().decode() for path in sorted((Path(__file__).parents[3] / "rfc-vectors" / "sdp").glob("*.sdp"))
]
KINDS = ["offer", "answer", "pranswer"]


def facts(name, generation=0):
    ufrag = f"{name}{generation:03}"
    return LocalTransport(ice_ufrag=ufrag, ice_pwd=ufrag * 6, fingerprints=["sha-256 " + ":".join(["AB"] * 32)])


def seen(end):
    return (end.state, end.local_description, end.remote_description, end.transport, end.is_negotiation_needed)


def end_in(state):
    """An end in stable, have-local-offer or (True) after an exchange."""
    end = Negotiation(entropy=SeededEntropy(7))
    end.request_data()
    if state != "new":
        offer = end.create_offer(facts("a"))
        end.apply_local(offer)
        if state == "connected":
            peer = Negotiation(entropy=SeededEntropy(8))
            peer.apply_remote(offer)
            end.apply_remote(peer.create_answer(facts("b")))
    return end


def feed(end, description):
    """Apply a remote description; where it is refused nothing has moved, where it is taken the exchange goes on."""
    before = seen(end)
    try:
        end.apply_remote(description)
    except (WireError, LocalError):
        assert before == seen(end)
        return
    if end.state is SignalingState.HAVE_REMOTE_OFFER:
        generation = 0 if end.local_credentials else 1
        for attempt in (generation, 1 - generation):
            try:
                answer = end.create_answer(facts("a", attempt))
            except LocalError:
                continue
            parsed, offered = parse_description(answer.sdp), parse_description(description.sdp)
            assert len(parsed.media) == len(offered.media)
            end.apply_local(answer)
            break


@st.composite
def mutated(draw):
    """A real description with lines dropped, doubled, swapped, cut, changed."""
    lines = draw(st.sampled_from(VECTORS)).split("\r\n")
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.integers(0, 5)):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, draw(st.sampled_from(lines)))
            case 2:
                other = draw(st.integers(0, len(lines) - 1))
                lines[at], lines[other] = lines[other], lines[at]
            case 3:
                lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
            case 4:
                lines[at] = re.sub(r"\d+", str(draw(st.integers(-1, 1 << 70))), lines[at])
            case _:
                lines[at] += draw(st.text(max_size=6))
        if not lines:
            return ""
    return "\r\n".join(lines)


@PROFILE
@given(mutated(), st.sampled_from(KINDS), st.sampled_from(["new", "offered", "connected"]))
def test_mutations_of_real_descriptions_raise_nothing_unexpected(text, kind, state):
    feed(end_in(state), Description(kind, text))


@pytest.mark.proves("JSEP-8-1-7fe6")
@PROFILE
@given(st.text(), st.sampled_from(KINDS), st.sampled_from(["new", "offered", "connected"]))
def test_any_text_raises_nothing_unexpected(text, kind, state):
    feed(end_in(state), Description(kind, text))


@PROFILE
@given(st.text(), st.none() | st.text(), st.none() | st.integers(), st.none() | st.text())
def test_any_candidate_raises_local_error_only(candidate, mid, mline_index, ufrag):
    end = end_in("connected")
    try:
        end.add_remote_candidate(candidate, mid, mline_index, ufrag)
    except LocalError:
        pass
    parse_description(end.remote_description.sdp)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(["a-offers", "b-offers", "a-restarts", "b-restarts"]), max_size=5))
def test_equal_entropy_and_calls_give_equal_text(steps):
    def run():
        ends = {name: Negotiation(entropy=SeededEntropy(ord(name))) for name in "ab"}
        generations = dict.fromkeys("ab", 0)
        log = []
        for step in ["a-offers", *steps]:
            name, verb = step.split("-")
            other = "b" if name == "a" else "a"
            if verb == "restarts":
                generations = {key: value + 1 for key, value in generations.items()}
            ends[name].request_data()
            offer = ends[name].create_offer(facts(name, generations[name]))
            ends[name].apply_local(offer)
            ends[other].apply_remote(offer)
            answer = ends[other].create_answer(facts(other, generations[other]))
            ends[other].apply_local(answer)
            ends[name].apply_remote(answer)
            log += [offer, answer]
        return log

    assert run() == run()


class TwoEnds(RuleBasedStateMachine):
    """Two ends with a signalling path that keeps the order; each acts only when no answer of its own is awaited."""

    def __init__(self):
        super().__init__()
        self.ends = {name: Negotiation(entropy=SeededEntropy(ord(name))) for name in "ab"}
        self.generation = dict.fromkeys("ab", 0)
        self.mail = {"a": [], "b": []}  # to whom
        self.versions = {"a": [], "b": []}
        for end in self.ends.values():
            end.request_data()

    def facts(self, name):
        return facts(name, self.generation[name])

    def send(self, name, description):
        self.versions[name].append((parse_description(description.sdp).origin.session_version, description.sdp))
        self.mail["b" if name == "a" else "a"].append(description)

    @rule(name=st.sampled_from("ab"), restarts=st.booleans())
    def offer(self, name, restarts):
        end = self.ends[name]
        if end.state is not SignalingState.STABLE or self.mail["a"] or self.mail["b"]:
            return
        if restarts and end.local_credentials is not None:
            self.generation[name] += 1
        description = end.create_offer(self.facts(name))
        end.apply_local(description)
        self.send(name, description)

    @rule()
    def glare(self):
        if any(end.state is not SignalingState.STABLE for end in self.ends.values()) or any(self.mail.values()):
            return
        for name, end in self.ends.items():
            description = end.create_offer(self.facts(name))
            end.apply_local(description)
            self.send(name, description)

    @precondition(lambda self: self.mail["a"] or self.mail["b"])
    @rule(name=st.sampled_from("ab"), provisional=st.booleans(), withdraws=st.booleans())
    def deliver(self, name, provisional, withdraws):
        if not self.mail[name]:
            return
        end, description = self.ends[name], self.mail[name].pop(0)
        is_offer = description.type == "offer"
        if is_offer and end.state is not SignalingState.STABLE and name == "a":
            return  # the impolite end ignores it
        changes = end.apply_remote(description)
        if not is_offer:
            return
        if withdraws and changes.rolled_back is None:
            end.apply_remote(Description("rollback"))
            end.apply_remote(description)
        if changes.is_ice_restart:
            self.generation[name] += 1
        if provisional:
            early = Description("pranswer", end.create_answer(self.facts(name)).sdp)
            end.apply_local(early)
            self.send(name, early)
        answer = end.create_answer(self.facts(name))
        end.apply_local(answer)
        self.send(name, answer)

    @invariant()
    def a_version_has_one_text(self):
        for sent in self.versions.values():
            assert [version for version, _ in sent] == sorted(version for version, _ in sent)
            assert len({version for version, _ in sent}) == len(set(sent))

    @invariant()
    def the_ends_agree_when_all_is_delivered(self):
        a, b = self.ends["a"], self.ends["b"]
        if self.mail["a"] or self.mail["b"]:
            return
        assert (a.state, b.state) == (SignalingState.STABLE, SignalingState.STABLE)
        if a.transport is None:
            return
        assert a.local_description.sdp == b.remote_description.sdp
        assert b.local_description.sdp == a.remote_description.sdp
        assert {a.transport.dtls_role, b.transport.dtls_role} == set(DtlsRole)
        assert a.transport.is_controlling != b.transport.is_controlling
        assert a.transport.ice_ufrag == self.facts("b").ice_ufrag
        assert b.transport.ice_ufrag == self.facts("a").ice_ufrag


TestTwoEnds = TwoEnds.TestCase
TestTwoEnds.settings = settings(max_examples=50, stateful_step_count=25, deadline=None)
