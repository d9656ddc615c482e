"""Two offers at once, settled by perfect negotiation (W3C WebRTC section 10.7)."""

import pytest

from sans_rtc.peer.negotiation import DtlsRole, SignalingState


class Polite:
    """One side of perfect negotiation, as W3C writes it, over two mailboxes."""

    def __init__(self, negotiation, facts, is_polite):
        self.negotiation, self.facts, self.is_polite = negotiation, facts, is_polite
        self.outbox = []
        self.ignored = 0

    def offer(self):
        description = self.negotiation.create_offer(self.facts)
        self.negotiation.apply_local(description)
        self.outbox.append(description)

    def receive(self, description):
        is_collision = description.type == "offer" and self.negotiation.state is not SignalingState.STABLE
        if is_collision and not self.is_polite:
            self.ignored += 1
            return
        self.negotiation.apply_remote(description)
        if description.type == "offer":
            answer = self.negotiation.create_answer(self.facts)
            self.negotiation.apply_local(answer)
            self.outbox.append(answer)


def settle(left, right):
    """Carry the mail until there is none."""
    for _ in range(20):
        for sender, receiver in ((left, right), (right, left)):
            mail, sender.outbox = sender.outbox, []
            for description in mail:
                receiver.receive(description)
        if not (left.outbox or right.outbox):
            return
    pytest.fail("the two ends go on for ever")


@pytest.mark.parametrize("polite", ["a", "b"])
@pytest.mark.parametrize("is_first", [True, False])
def test_glare_is_settled_by_perfect_negotiation(ends, connected, polite, is_first):
    pair = ends if is_first else connected
    pair.a.request_data()
    pair.b.request_data()
    left = Polite(pair.a, pair.a_transport, polite == "a")
    right = Polite(pair.b, pair.b_transport, polite == "b")
    left.offer()
    right.offer()
    settle(left, right)
    assert (left.negotiation.state, right.negotiation.state) == (SignalingState.STABLE, SignalingState.STABLE)
    assert left.negotiation.local_description == right.negotiation.remote_description
    assert right.negotiation.local_description == left.negotiation.remote_description
    assert {left.negotiation.transport.dtls_role, right.negotiation.transport.dtls_role} == set(DtlsRole)
    assert left.ignored + right.ignored == 1
    assert not left.negotiation.is_negotiation_needed
    assert not right.negotiation.is_negotiation_needed


def test_glare_of_two_restarts_is_settled(connected, transport):
    left = Polite(connected.a, transport("a", 1), True)
    right = Polite(connected.b, transport("b", 1), False)
    left.offer()
    right.offer()
    settle(left, right)
    assert (connected.a.transport.ice_ufrag, connected.b.transport.ice_ufrag) == ("b001", "a001")
