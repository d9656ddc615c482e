"""The gate for what is not STUN: proven paths only, and a little patience for those who are early."""

import pytest

from sans_rtc.errors import InvalidState
from sans_rtc.ice import AddressFilter, DiscardReason, Payload, Role
from sans_rtc.machine import Address, Datagram, Path

STRANGER = Address("198.51.100.7", 7000)


def payload(hand, data=b"\x16dtls", remote=None, ecn=0):
    return Datagram(data, Path(hand.local, remote or hand.remote), ecn)


@pytest.fixture
def hand(make_hand):
    return make_hand(Role.CONTROLLED).meet()


@pytest.mark.proves("RFC8445-12.2-1-09ba")
def test_payload_on_a_path_proven_by_a_request(hand):
    hand.receive(hand.request())
    hand.receive(payload(hand, ecn=1))
    assert hand.of(Payload) == [Payload(b"\x16dtls", hand.path, 1)]


def test_payload_on_a_path_proven_by_a_response(hand):
    hand.answer_all(hand.sent)
    hand.receive(payload(hand))
    assert len(hand.of(Payload)) == 1


def test_payload_that_another_address_of_this_host_sends_to_its_loopback(make_hand):
    """A browser on the same machine checks, and selects, every pair that answers; its data must not be nobody's."""
    hand = make_hand(Role.CONTROLLED, address_filter=AddressFilter(allow_loopback=True))
    hand.local = Address("127.0.0.1", 1111)
    hand.meet()
    assert hand.checks() == [], "nothing is sent there unasked"
    hand.receive(hand.request(use_candidate=True))
    hand.receive(payload(hand))
    assert hand.of(Payload) == [Payload(b"\x16dtls", hand.path, 0)]
    hand.answer_all(hand.sent)
    assert hand.agent.selected_path == hand.path


def test_request_sent_again_from_elsewhere_does_not_open_the_gate_for_its_sender(hand):
    """Whoever overhears a request can do that; an address that the peer has not signalled must answer a check."""
    elsewhere = Path(hand.local, STRANGER)
    said = hand.receive(hand.request(path=elsewhere))
    hand.receive(payload(hand, remote=STRANGER))
    assert hand.of(Payload) == []
    hand.answer_all(hand.wait(0.1) + said)
    assert hand.of(Payload) == [Payload(b"\x16dtls", elsewhere, 0)]


@pytest.mark.proves("RFC8445-5.3-3-0020")
def test_payload_after_a_request_that_came_before_the_peer_was_known_waits_for_the_answer_to_a_check(make_hand):
    hand = make_hand(Role.CONTROLLED)
    hand.agent.add_local_address(hand.local, "eth0", hand.now)
    hand.receive(hand.request())
    hand.receive(payload(hand))
    hand.agent.set_remote_parameters(hand.parameters, hand.now)
    assert hand.of(Payload) == []
    hand.answer_all(hand.drain())
    assert len(hand.of(Payload)) == 1


def test_early_payload_waits_and_is_released_in_order_before_what_follows(hand):
    for index in range(3):
        hand.receive(payload(hand, b"\x16%d" % index))
    assert hand.of(Payload) == []
    hand.receive(hand.request())
    hand.receive(payload(hand, b"\x163"))
    assert [event.data for event in hand.of(Payload)] == [b"\x160", b"\x161", b"\x162", b"\x163"]


def test_early_payload_of_another_path_goes_on_waiting(hand):
    other = Address("10.0.0.5", 5)
    hand.agent.add_remote_candidate(hand.candidate(other), hand.now)
    hand.receive(payload(hand, b"\x16other", other))
    hand.receive(payload(hand))
    hand.receive(hand.request())
    assert [event.data for event in hand.of(Payload)] == [b"\x16dtls"]
    assert hand.agent.explain().early_datagrams == 1
    hand.receive(hand.request(path=Path(hand.local, other)))
    assert [event.data for event in hand.of(Payload)] == [b"\x16dtls", b"\x16other"]


@pytest.mark.proves("RFC5764-7.4-1-e30f")
def test_payload_of_a_stranger_is_discarded(hand):
    hand.receive(payload(hand, remote=STRANGER))
    assert hand.agent.stats.discards == {DiscardReason.UNKNOWN_SOURCE: 1}
    assert hand.agent.explain().early_datagrams == 0


def test_payload_to_a_socket_that_is_not_ours_is_discarded(hand):
    hand.agent.receive(Datagram(b"\x16", Path(STRANGER, hand.remote)), hand.now)
    assert hand.agent.stats.discards == {DiscardReason.UNKNOWN_LOCAL_ADDRESS: 1}


def test_early_payload_is_bounded_in_number(make_hand):
    hand = make_hand(Role.CONTROLLED, early_datagram_count_max=2).meet()
    for index in range(5):
        hand.receive(payload(hand, b"\x16%d" % index))
    hand.receive(hand.request())
    assert [event.data for event in hand.of(Payload)] == [b"\x160", b"\x161"]
    assert hand.agent.stats.discards == {DiscardReason.EARLY_BUFFER_FULL: 3}


def test_early_payload_is_bounded_in_bytes(make_hand):
    hand = make_hand(Role.CONTROLLED, early_bytes_max=100).meet()
    hand.receive(payload(hand, b"\x16" * 60))
    hand.receive(payload(hand, b"\x16" * 60))
    hand.receive(payload(hand, b"\x16" * 40))
    hand.receive(hand.request())
    assert [len(event.data) for event in hand.of(Payload)] == [60, 40]
    # Room is free again for other paths.
    other = Address("10.0.0.5", 5)
    hand.agent.add_remote_candidate(hand.candidate(other), hand.now)
    hand.receive(payload(hand, b"\x16" * 100, other))
    assert hand.agent.explain().early_datagrams == 1


@pytest.mark.parametrize("first", [4, 16, 20, 63, 64, 79, 128, 191, 255])
def test_every_first_byte_above_three_is_payload(hand, first):
    hand.receive(hand.request())
    hand.receive(payload(hand, bytes([first])))
    assert len(hand.of(Payload)) == 1


@pytest.mark.parametrize("first", [0, 1, 2, 3])
def test_first_byte_of_stun_is_never_payload(hand, first):
    hand.receive(hand.request())
    hand.receive(payload(hand, bytes([first]) + b"no stun"))
    assert hand.of(Payload) == []
    assert hand.agent.stats.discards == {DiscardReason.MALFORMED_STUN: 1}


def test_path_that_compares_equal_is_as_good_as_the_same_object(hand):
    hand.receive(hand.request())
    hand.receive(Datagram(b"\x16", Path(Address(*hand.local), Address(*hand.remote))))
    assert len(hand.of(Payload)) == 1


@pytest.mark.proves("RFC8445-12.1-3-c3ff", "RFC7675-5.1-1-0e6c", "SECURITY-4.2-1-300e")
def test_sending_without_a_path_is_an_error_and_changes_nothing(hand):
    with pytest.raises(InvalidState):
        hand.agent.send(b"\x16", hand.now)
    assert hand.drain() == []


def test_payload_and_sending_after_the_end_are_ignored(hand):
    hand.receive(hand.request())
    hand.answer_all(hand.sent)
    hand.agent.close(hand.now)
    hand.drain()
    hand.receive(payload(hand))
    hand.receive(payload(hand, remote=STRANGER))
    hand.agent.send(b"\x16", hand.now)
    assert hand.drain() == []
    assert hand.of(Payload) == []
