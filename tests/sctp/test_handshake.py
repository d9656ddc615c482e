"""Making an association: each order of messages, each timer, each refusal (RFC 9260 section 5)."""

import math

import pytest

from sans_rtc.machine import Terminated
from sans_rtc.sctp import RELIABLE, Connected, DiscardReason, Message, Restarted, SctpConfig, State, TerminationReason
from sans_rtc.sctp.chunks import (
    Abort,
    CookieAck,
    CookieEcho,
    Error,
    Init,
    Sack,
    Shutdown,
    ShutdownAck,
    ShutdownComplete,
    parse_chunk,
)
from sans_rtc.sctp.params import CauseCode, Parameter, ParameterType
from sans_rtc.sctp.responder import JUDGEMENTS, Judgement, Ties
from sans_rtc.sctp.state import TRANSITIONS
from sans_rtc.sctp.wire import parse_packet


def cookie_of(init_ack):
    return next(p.value for p in init_ack.parameters if p.type == ParameterType.STATE_COOKIE)


def test_one_end_connects(sctp):
    pair = sctp.connected_pair(simultaneous=False)
    assert pair.a.state == pair.b.state == "established"


@pytest.mark.proves("DATA-CHANNEL-6.2-1-ad97")
def test_both_ends_connect_at_once(sctp):
    a, b = sctp.association(1), sctp.association(2)
    pair = sctp.Pair(a, b)
    a.connect(pair.now)
    b.connect(pair.now)
    pair.exchange()
    for end in (0, 1):
        assert [event for event in pair.events[end] if isinstance(event, Connected)] == [Connected(65535, 65535)]


def test_connect_twice_changes_nothing(sctp):
    a = sctp.association()
    a.connect(1.0)
    a.connect(2.0)
    assert len(a.take_datagrams(2.0)) == 1


@pytest.mark.proves(
    "RFC6525-5.1.1-1-9b13",
    "RFC4960-3-1-297a",
    "RFC4960-3.1-6-a4d9",
    "RFC4960-5.1-7-43c5",
    "RFC4960-5.1-8-752b",
    "RFC4960-6.10-7-da5f",
    "RFC4960-11.3-1-d020",
    "RFC4960-3.1-4-5d00",
    "RFC4960-8.5.1-1-7fa7",
    "RFC4960-3.3.2-1-32e6",
    "RFC4960-5.1.1-1-639d",
    "DATA-CHANNEL-5-1-3d43",
    "DATA-CHANNEL-6.1-5-a340",
    "DATA-CHANNEL-6.1-3-41e1",
    "DATA-CHANNEL-6.1-4-800e",
    "RFC8261-6.1-3-8cca",
    "RFC8261-6.1-4-03cc",
)
def test_init_offers_forward_tsn_and_reconfig_and_not_interleaving(sctp):
    a = sctp.association()
    a.connect(0.0)
    (datagram,) = a.take_datagrams(0.0)
    (init,) = sctp.chunks_of([datagram])
    assert datagram[4:8] == bytes(4)
    assert init.parameters == [Parameter(0xC000, b""), Parameter(0x8008, b"\xc0\x82")]
    assert (init.streams_outbound, init.streams_inbound) == (65535, 65535)
    assert init.initiate_tag


@pytest.mark.proves("RFC4960-5.1.1-2-8a97")
def test_streams_are_the_lesser_of_both_wishes(sctp):
    pair = sctp.connected_pair(
        config_a=SctpConfig(streams_outbound=10, streams_inbound_max=20),
        config_b=SctpConfig(streams_outbound=30, streams_inbound_max=5),
    )
    assert pair.a.streams_outbound == 5
    assert pair.b.streams_outbound == 20


@pytest.mark.proves("RFC4960-5.1-4-4ddf", "RFC4960-5.1.3-2-269d")
def test_init_in_closed_keeps_no_state(sctp):
    raw = sctp.RawPeer(sctp.association())
    for _ in range(5):
        raw.send(raw.init(), tag=0)
        (init_ack,) = raw.take()
        assert init_ack.is_ack
    assert raw.association.state is State.CLOSED
    assert raw.association.deadline == math.inf


@pytest.mark.proves(
    "RFC4960-3.3.3.1-1-4632",
    "RFC4960-3.3.12-1-5510",
    "RFC4960-5.1-6-f94a",
    "RFC4960-5.1.5-3-1e11",
    "RFC4960-5.1.5-4-62e8",
    "RFC4960-5.1-3-02b1",
)
def test_cookie_echo_opens_a_closed_association(sctp):
    raw = sctp.RawPeer(sctp.association())
    raw.send(raw.init(), tag=0)
    (init_ack,) = raw.take()
    raw.send(CookieEcho(cookie_of(init_ack)), raw.data(b"early"), tag=init_ack.initiate_tag)
    ack, sack = raw.take()
    assert ack == CookieAck()
    assert sack.cumulative_tsn == raw.tsn - 1
    assert raw.events == [Connected(65535, 65535), Message(0, 51, b"early")]


def test_cookie_echo_twice_is_acknowledged_twice(sctp):
    raw = sctp.RawPeer(sctp.association())
    raw.send(raw.init(), tag=0)
    (init_ack,) = raw.take()
    for _ in range(2):
        raw.send(CookieEcho(cookie_of(init_ack)), tag=init_ack.initiate_tag)
        assert CookieAck() in raw.take()
    assert [event for event in raw.events if isinstance(event, Connected)] == [Connected(65535, 65535)]


@pytest.mark.proves("RFC4960-5.1.5-1-863c")
def test_cookie_with_another_tag_is_discarded(sctp):
    raw = sctp.RawPeer(sctp.association())
    raw.send(raw.init(), tag=0)
    (init_ack,) = raw.take()
    raw.send(CookieEcho(cookie_of(init_ack)), tag=init_ack.initiate_tag ^ 1)
    assert raw.take() == []
    assert raw.association.state is State.CLOSED
    assert raw.association.stats.discards[DiscardReason.INVALID_COOKIE] == 1


@pytest.mark.proves("RFC4960-4-1-f680", "RFC4960-5.1.3-1-5054")
@pytest.mark.parametrize("cookie", [b"", b"x", bytes(96), bytes(200)])
def test_forged_cookie_is_discarded_silently(sctp, cookie):
    raw = sctp.RawPeer(sctp.association())
    raw.send(CookieEcho(cookie), raw.data(), tag=77)
    assert raw.take() == []
    assert raw.association.state is State.CLOSED
    assert raw.events == []


def test_cookie_of_another_association_is_discarded(sctp):
    first, second = sctp.RawPeer(sctp.association(1)), sctp.RawPeer(sctp.association(2))
    first.send(first.init(), tag=0)
    (init_ack,) = first.take()
    second.send(CookieEcho(cookie_of(init_ack)), tag=init_ack.initiate_tag)
    assert second.take() == []


@pytest.mark.proves("RFC4960-4-2-f8b2", "RFC4960-5.1.5-2-168b", "RFC4960-5.2.4-1-48ae", "RFC4960-5.1.3-1-5054")
def test_cookie_lives_for_its_lifetime_and_then_is_stale(sctp):
    raw = sctp.RawPeer(sctp.association(cookie_lifetime_s=10.0))
    raw.send(raw.init(), tag=0)
    (init_ack,) = raw.take()
    raw.now += 10.5
    raw.send(CookieEcho(cookie_of(init_ack)), raw.data(), tag=init_ack.initiate_tag)
    (error,) = raw.take()
    assert error == Error([Parameter(CauseCode.STALE_COOKIE, (500_000).to_bytes(4, "big"))])
    assert raw.association.state is State.CLOSED
    assert raw.events == []


def test_cookie_preservative_is_granted_within_bounds(sctp):
    raw = sctp.RawPeer(sctp.association(cookie_lifetime_s=10.0))
    raw.parameters.append(Parameter(ParameterType.COOKIE_PRESERVATIVE, (3_600_000).to_bytes(4, "big")))
    raw.send(raw.init(), tag=0)
    (init_ack,) = raw.take()
    raw.now += 14.9
    raw.send(CookieEcho(cookie_of(init_ack)), tag=init_ack.initiate_tag)
    assert raw.association.state is State.ESTABLISHED


@pytest.mark.proves("RFC4960-3.2.2-1-f535")
def test_unknown_parameters_of_init_are_reported_in_init_ack(sctp):
    raw = sctp.RawPeer(sctp.association())
    raw.parameters.append(Parameter(0xFFF0, b"abc"))
    raw.send(raw.init(), tag=0)
    (init_ack,) = raw.take()
    assert Parameter(ParameterType.UNRECOGNIZED_PARAMETER, b"\xff\xf0\0\x07abc\0") in init_ack.parameters


@pytest.mark.proves("RFC4960-3.2.2-3-64c7")
def test_unknown_parameters_of_init_ack_are_reported_behind_the_cookie_echo(sctp):
    raw = sctp.RawPeer(sctp.association())
    raw.association.connect(raw.now)
    raw.take()
    raw.parameters.append(Parameter(0xFFF0, b"abc"))
    raw.send(raw.init(is_ack=True, cookie=b"c"))
    echo, error = raw.take()
    assert echo == CookieEcho(b"c")
    assert error.causes[0].type == CauseCode.UNRECOGNIZED_PARAMETERS


@pytest.mark.proves("RFC4960-5.1-12-f1a7", "RFC4960-8.4-4-3bea")
@pytest.mark.parametrize("change", [{"streams": 0}, {"window_bytes": 1499}])
def test_init_without_streams_or_window_is_aborted(sctp, change):
    raw = sctp.RawPeer(sctp.association(), **change)
    raw.send(raw.init(), tag=0)
    (datagram,) = raw.take_packets()
    assert datagram[4:8] == raw.tag.to_bytes(4, "big")
    assert sctp.chunks_of([datagram]) == [Abort([Parameter(CauseCode.INVALID_MANDATORY_PARAMETER, b"")])]


def test_init_with_tag_zero_is_discarded_silently(sctp):
    raw = sctp.RawPeer(sctp.association())
    raw.send(raw.init(tag=0), tag=0)
    assert raw.take() == []
    assert raw.association.stats.discards[DiscardReason.INVALID_INIT] == 1


def test_init_with_a_host_name_is_aborted(sctp):
    raw = sctp.RawPeer(sctp.association())
    raw.parameters.append(Parameter(ParameterType.HOST_NAME_ADDRESS, b"host\0"))
    raw.send(raw.init(), tag=0)
    (abort,) = raw.take()
    assert abort.causes[0].type == CauseCode.UNRESOLVABLE_ADDRESS


@pytest.mark.parametrize("change", [{"streams": 0}, {"window_bytes": 100}])
def test_init_ack_without_streams_or_window_ends_the_attempt(sctp, change):
    raw = sctp.RawPeer(sctp.association(), **change)
    raw.association.connect(raw.now)
    raw.take()
    raw.send(raw.init(is_ack=True, cookie=b"c"))
    (abort,) = raw.take()
    assert isinstance(abort, Abort)
    assert raw.events[-1].reason == TerminationReason.PROTOCOL_VIOLATION


def test_init_ack_without_cookie_ends_the_attempt(sctp):
    raw = sctp.RawPeer(sctp.association())
    raw.association.connect(raw.now)
    raw.take()
    raw.send(raw.init(is_ack=True))
    (abort,) = raw.take()
    assert abort.causes == [Parameter(CauseCode.MISSING_MANDATORY_PARAMETER, b"\0\0\0\1\0\7")]


@pytest.mark.proves("RFC4960-3.3.3-3-2b9f")
def test_init_ack_with_tag_zero_ends_the_attempt_silently(sctp):
    raw = sctp.RawPeer(sctp.association())
    raw.association.connect(raw.now)
    raw.take()
    raw.send(raw.init(is_ack=True, cookie=b"c", tag=0))
    assert raw.take() == []
    assert raw.association.is_terminated


def test_cookie_too_large_for_a_packet_ends_the_attempt(sctp):
    raw = sctp.RawPeer(sctp.association())
    raw.association.connect(raw.now)
    raw.take()
    raw.send(raw.init(is_ack=True, cookie=bytes(1200)))
    (abort,) = raw.take()
    assert abort.causes[0].type == CauseCode.OUT_OF_RESOURCE


def test_second_init_ack_is_discarded(peer):
    peer.send(peer.init(is_ack=True, cookie=b"again"))
    assert peer.take() == []
    assert peer.association.stats.discards[DiscardReason.UNEXPECTED_CHUNK] == 1


def test_second_cookie_ack_is_discarded(peer):
    peer.send(CookieAck())
    assert peer.take() == []
    assert peer.association.stats.discards[DiscardReason.UNEXPECTED_CHUNK] == 1


@pytest.mark.proves("RFC4960-4-3-53f5", "RFC4960-4-4-1898", "RFC4960-4-5-44e4", "RFC4960-5.1.6-1-367b")
def test_init_is_repeated_with_back_off_and_then_given_up(sctp):
    raw = sctp.RawPeer(sctp.association(init_retransmissions_max=3, rto_initial_s=0.5, rto_max_s=1.5))
    raw.association.connect(raw.now)
    times = []
    raw.take()
    while not raw.association.is_terminated:
        times.append(round(raw.association.deadline - raw.now, 6))
        said = raw.wait(raw.association.deadline - raw.now)
        assert all(isinstance(chunk, Init) for chunk in said)
    assert times == [0.5, 1.0, 1.5, 1.5]
    assert raw.events[-1].reason == TerminationReason.HANDSHAKE_TIMEOUT


@pytest.mark.proves("RFC4960-4-6-68de", "RFC4960-4-7-1898", "RFC4960-4-8-44e4")
def test_cookie_echo_is_repeated_and_then_given_up(sctp):
    raw = sctp.RawPeer(sctp.association(init_retransmissions_max=2))
    raw.association.connect(raw.now)
    raw.take()
    raw.send(raw.init(is_ack=True, cookie=b"c"))
    said = raw.wait(60.0)
    assert said == [CookieEcho(b"c")] * 3
    assert raw.events[-1].reason == TerminationReason.HANDSHAKE_TIMEOUT


def test_stale_cookie_error_begins_again_with_a_preservative(sctp):
    raw = sctp.RawPeer(sctp.association())
    raw.association.connect(raw.now)
    raw.take()
    raw.send(raw.init(is_ack=True, cookie=b"c"))
    raw.take()
    raw.send(Error([Parameter(CauseCode.STALE_COOKIE, (250_000).to_bytes(4, "big"))]))
    (init,) = raw.take()
    assert raw.association.state is State.COOKIE_WAIT
    preservative = next(p for p in init.parameters if p.type == ParameterType.COOKIE_PRESERVATIVE)
    assert 250 <= int.from_bytes(preservative.value, "big") <= 1250
    raw.send(raw.init(is_ack=True, cookie=b"fresh"))
    assert raw.take() == [CookieEcho(b"fresh")]


def test_stale_cookie_error_later_is_ignored(peer):
    peer.send(Error([Parameter(CauseCode.STALE_COOKIE, bytes(4))]))
    assert peer.association.state is State.ESTABLISHED


def test_round_trip_of_the_handshake_is_measured(sctp):
    raw = sctp.RawPeer(sctp.association())
    raw.association.connect(raw.now)
    raw.take()
    raw.now += 0.1
    raw.send(raw.init(is_ack=True, cookie=b"c"))
    assert raw.association.statistics.srtt_s == pytest.approx(0.1)


def test_repeated_init_is_not_measured(sctp):
    raw = sctp.RawPeer(sctp.association())
    raw.association.connect(raw.now)
    raw.wait(0.6)
    raw.send(raw.init(is_ack=True, cookie=b"c"))
    assert raw.association.statistics.srtt_s == 0.0


def test_data_before_cookie_ack_implies_it(sctp):
    raw = sctp.RawPeer(sctp.association())
    raw.association.connect(raw.now)
    raw.take()
    raw.send(raw.init(is_ack=True, cookie=b"c"))
    raw.take()
    raw.send(raw.data(b"hello"))
    assert raw.association.state is State.ESTABLISHED
    assert raw.take_events()[-1] == Message(0, 51, b"hello")


@pytest.mark.proves(
    "RFC4960-3-1-297a",
    "RFC4960-3.1-6-a4d9",
    "RFC4960-5.1-7-43c5",
    "RFC4960-5.1-8-752b",
    "RFC4960-6.10-7-da5f",
    "RFC4960-3.3.11-1-bbbc",
    "RFC4960-5.1-5-441d",
    "RFC4960-5.1.4-1-2115",
    "RFC4960-6-1-ecaa",
)
def test_messages_sent_before_the_handshake_go_out_after_it(sctp, send):
    raw = sctp.RawPeer(sctp.association())
    send(raw.association, b"early")
    raw.association.connect(raw.now)
    assert isinstance(raw.take()[0], Init)
    raw.send(raw.init(is_ack=True, cookie=b"c"))
    assert raw.take() == [CookieEcho(b"c")]
    raw.send(CookieAck())
    assert [chunk.payload for chunk in raw.take()] == [b"early"]


# collisions (5.2.1, 5.2.4)


@pytest.mark.proves("RFC4960-5.2.1-1-62e3", "RFC4960-5.2.1-7-2ddd")
def test_init_in_cookie_wait_is_answered_with_the_same_tag(sctp):
    raw = sctp.RawPeer(sctp.association())
    raw.association.connect(raw.now)
    (init,) = raw.take()
    raw.send(raw.init(), tag=0)
    (init_ack,) = raw.take()
    assert (init_ack.initiate_tag, init_ack.initial_tsn) == (init.initiate_tag, init.initial_tsn)
    assert raw.association.state is State.COOKIE_WAIT


def test_cookie_echo_in_cookie_wait_opens_by_action_b(sctp):
    raw = sctp.RawPeer(sctp.association())
    raw.association.connect(raw.now)
    raw.take()
    raw.send(raw.init(), tag=0)
    (init_ack,) = raw.take()
    raw.send(CookieEcho(cookie_of(init_ack)))
    assert CookieAck() in raw.take()
    assert raw.association.state is State.ESTABLISHED
    assert raw.wait(0.0) == []


def test_cookie_echo_in_cookie_echoed_opens_by_action_d(sctp):
    raw = sctp.RawPeer(sctp.association())
    raw.association.connect(raw.now)
    raw.take()
    raw.send(raw.init(), tag=0)
    (init_ack,) = raw.take()
    raw.send(raw.init(is_ack=True, cookie=b"theirs"))
    raw.take()
    raw.send(CookieEcho(cookie_of(init_ack)))
    assert CookieAck() in raw.take()
    assert raw.association.state is State.ESTABLISHED


@pytest.mark.proves("RFC4960-3.3.2-6-90a4", "RFC4960-5.2.1-3-9da0")
def test_cookie_echo_with_a_newer_tag_of_the_peer_takes_it_over(sctp):
    raw = sctp.RawPeer(sctp.association())
    raw.association.connect(raw.now)
    raw.take()
    raw.send(raw.init(is_ack=True, cookie=b"theirs"))
    raw.take()
    raw.tag = 0x12345678
    raw.send(raw.init(), tag=0)
    (init_ack,) = raw.take()
    raw.send(CookieEcho(cookie_of(init_ack)))
    (datagram,) = raw.take_packets()
    assert datagram[4:8] == raw.tag.to_bytes(4, "big")
    assert raw.association.state is State.ESTABLISHED


@pytest.mark.proves("RFC4960-5.2.2-9-9e8f", "RFC4960-5.2.4-6-32e3")
def test_late_cookie_is_discarded_by_action_c(sctp):
    raw = sctp.RawPeer(sctp.association())
    association = raw.association
    raw.send(raw.init(), tag=0)
    (init_ack,) = raw.take()
    association._tcb.set_local_tag(0x55555555)  # as if it had since asked for an association under another tag
    raw.their_tag = 0x55555555
    association.connect(raw.now)
    raw.take()
    raw.send(raw.init(is_ack=True, cookie=b"theirs"))
    raw.take()
    raw.send(CookieEcho(cookie_of(init_ack)), tag=init_ack.initiate_tag)
    assert raw.take() == []
    assert association.state is State.COOKIE_ECHOED
    assert association.stats.discards[DiscardReason.OLD_COOKIE] == 1


def test_table_of_judgements_is_that_of_the_rfc():
    actions = {
        (local, peer, ties): JUDGEMENTS.get((local, peer, ties))
        for local in (True, False)
        for peer in (True, False)
        for ties in Ties
    }
    assert {key for key, action in actions.items() if action is Judgement.RESTART} == {(False, False, Ties.MATCH)}
    assert {key for key, action in actions.items() if action is Judgement.LATE} == {(False, True, Ties.NONE)}
    assert all(actions[True, False, ties] is Judgement.COLLISION for ties in Ties)
    assert all(actions[True, True, ties] is Judgement.DUPLICATE for ties in Ties)
    assert sum(action is None for action in actions.values()) == 4


# restart (5.2.2, 5.2.4 A)


def restart(peer, *, tag=0x77777777, tsn=500):
    """The peer forgets everything and connects anew; returns what the association says to its COOKIE ECHO."""
    peer.tag, peer.tsn = tag, tsn
    peer.send(peer.init(), tag=0)
    (datagram,) = peer.take_packets()
    assert datagram[4:8] == tag.to_bytes(4, "big")
    init_ack = parse_chunk(parse_packet(datagram).chunks[0])
    peer.send(CookieEcho(cookie_of(init_ack)), tag=init_ack.initiate_tag)
    peer.their_tag, peer.their_tsn = init_ack.initiate_tag, init_ack.initial_tsn
    return peer.take()


@pytest.mark.proves("RFC4960-5.2.2-6-8c1a", "RFC4960-5.2.2-8-bae8", "RFC4960-5.3.1-1-4ff4", "RFC4960-5.3.1-2-2221")
def test_unexpected_init_gets_a_new_tag_and_changes_nothing(peer):
    before = peer.their_tag
    peer.tag = 0x77777777
    peer.send(peer.init(), tag=0)
    (init_ack,) = peer.take()
    assert init_ack.initiate_tag != before
    assert peer.association.state is State.ESTABLISHED
    peer.send(peer.data(b"still here"))
    assert peer.take_events()[-1] == Message(0, 51, b"still here")


@pytest.mark.proves("RFC4960-5.2.2-4-fd26", "RFC4960-5.2.2-5-b4e5", "RFC4960-5.2.4-2-14da")
def test_restart_begins_anew_and_says_so(peer, send):
    send(peer.association, b"lost with the old association")
    peer.take()
    peer.send(peer.data(b"a", ssn=0), peer.data(b"b", ssn=1))
    peer.take_events()
    assert CookieAck() in restart(peer)
    assert [type(event) for event in peer.take_events()] == [Restarted, Connected]
    assert peer.association.unacknowledged_bytes == 0
    peer.send(peer.data(b"new", ssn=0))
    assert peer.take_events() == [Message(0, 51, b"new")]
    send(peer.association, b"answer")
    (data,) = [chunk for chunk in peer.take() if not isinstance(chunk, Sack)]
    assert (data.tsn, data.ssn) == (peer.their_tsn, 0)


def test_credit_for_messages_before_the_restart_is_still_taken(peer):
    peer.send(peer.data(b"12345"))
    peer.take()
    restart(peer)
    peer.association.consume(5, peer.now)
    assert peer.association.statistics.local_window_bytes == peer.association._tcb.config.receive_window_bytes


def test_restart_while_shutting_down_is_refused(peer):
    peer.send(Shutdown((peer.their_tsn - 1) & 0xFFFFFFFF))
    assert peer.take() == [ShutdownAck()]
    peer.tag = 0x77777777
    peer.send(peer.init(), tag=0)
    assert peer.take() == [ShutdownAck()]
    assert peer.association.state is State.SHUTDOWN_ACK_SENT


@pytest.mark.proves("RFC4960-5.2.4-4-f5a4")
def test_cookie_of_a_restart_while_shutting_down_is_refused(peer):
    peer.tag = 0x77777777
    peer.send(peer.init(), tag=0)
    (init_ack,) = peer.take()
    peer.send(Shutdown((peer.their_tsn - 1) & 0xFFFFFFFF))
    peer.take()
    peer.send(CookieEcho(cookie_of(init_ack)), tag=init_ack.initiate_tag)
    said = peer.take()
    assert ShutdownAck() in said
    assert Error([Parameter(CauseCode.COOKIE_RECEIVED_WHILE_SHUTTING_DOWN, b"")]) in said


# the state table


def test_every_state_has_a_row_and_leads_to_closed():
    assert set(TRANSITIONS) == set(State)
    assert all(State.CLOSED in row for state, row in TRANSITIONS.items() if state is not State.CLOSED)


def test_a_move_that_is_not_in_the_table_is_a_bug(sctp):
    with pytest.raises(AssertionError):
        sctp.association()._tcb.enter(State.SHUTDOWN_SENT, 0.0)


def test_close_while_connecting_ends_at_once(sctp):
    raw = sctp.RawPeer(sctp.association())
    raw.association.connect(raw.now)
    raw.take()
    raw.association.close(raw.now)
    assert raw.take_events() == [Terminated(TerminationReason.LOCAL_ABORT, "closed before there was an association")]


def test_close_while_connecting_waits_for_queued_messages(sctp):
    pair = sctp.Pair(sctp.association(1), sctp.association(2))
    pair.a.send(0, 51, b"last words", RELIABLE, pair.now)
    pair.a.connect(pair.now)
    pair.a.close(pair.now)
    pair.advance(1.0)
    assert pair.messages(1) == [Message(0, 51, b"last words")]
    assert pair.events[0][-1].reason == TerminationReason.CLOSED == pair.events[1][-1].reason


@pytest.mark.proves("RFC4960-5.2.4-5-f064")
def test_cookie_with_a_newer_tag_when_established_takes_the_tag_over(sctp):
    """Action B in ESTABLISHED: the cookie was made while both were connecting, the peer began anew since."""
    raw = sctp.RawPeer(sctp.association())
    raw.association.connect(raw.now)
    raw.take()
    newer = raw.init(tag=0x12345678)
    raw.send(newer, tag=0)
    (init_ack,) = raw.take()
    raw.send(raw.init(is_ack=True, cookie=b"theirs"))
    raw.take()
    raw.send(CookieAck())
    raw.take()
    raw.send(CookieEcho(cookie_of(init_ack)))
    (datagram,) = raw.take_packets()
    assert datagram[4:8] == (0x12345678).to_bytes(4, "big")
    assert raw.association.state is State.ESTABLISHED


def test_stale_cookie_errors_for_ever_end_the_attempt(sctp):
    raw = sctp.RawPeer(sctp.association(init_retransmissions_max=3))
    raw.association.connect(raw.now)
    for _ in range(10):
        raw.take()
        raw.send(raw.init(is_ack=True, cookie=b"c"))
        raw.take()
        raw.send(Error([Parameter(CauseCode.STALE_COOKIE, bytes(4))]))
        if raw.association.is_terminated:
            break
    assert raw.take_events()[-1].reason == TerminationReason.HANDSHAKE_TIMEOUT


def test_restart_forgets_resets_that_were_asked_for(peer, send):
    send(peer.association, bytes(50_000), stream_id=3)
    peer.association.reset_streams([3], peer.now)
    peer.take()
    restart(peer)
    peer.take_events()
    assert peer.association._parts.reconfig.pending == {}
    assert peer.association._outbound.flow.scheduler.streams == {}


def test_restart_during_a_close_closes_again(peer):
    peer.association.close(peer.now)
    peer.take()
    assert peer.association.state is State.SHUTDOWN_SENT
    said = restart(peer)
    assert any(isinstance(chunk, Shutdown) for chunk in said)
    peer.send(ShutdownAck())
    assert peer.take() == [ShutdownComplete()]


def test_flood_of_stale_cookies_of_strangers_is_harmless(sctp):
    raw = sctp.RawPeer(sctp.association())
    for size in range(0, 400, 7):
        raw.send(CookieEcho(bytes(size)), tag=1 + size)
    assert raw.take() == []
    assert raw.association.stats.discards[DiscardReason.INVALID_COOKIE] == 58


def test_both_ends_that_open_count_no_surprise(sctp):
    """Everything crosses everything: each end is established by the other's COOKIE ECHO before its own is answered."""
    ends = [sctp.association(seed) for seed in (1, 2)]
    for end in ends:
        end.connect(0.0)
    for _ in range(5):
        crossing = [end.take_datagrams(0.0) for end in ends]
        for end, datagrams in zip(ends, reversed(crossing), strict=True):
            for datagram in datagrams:
                end.receive(datagram, 0.0)
    for end in ends:
        assert end.state is State.ESTABLISHED
        assert not any(end.stats.discards.values())


def test_second_answer_to_one_asking_is_a_surprise(peer):
    peer.send(CookieAck())
    assert peer.association.stats.discards[DiscardReason.UNEXPECTED_CHUNK] == 1
