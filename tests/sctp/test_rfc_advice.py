"""What the RFCs of SCTP advise (SHOULD) and no other test is about: RFC 4960, 6525, 8261, 8899."""

import math

import pytest

from sans_rtc.dtls import DtlsConfig
from sans_rtc.sctp import Association, SctpConfig, State, TerminationReason
from sans_rtc.sctp.chunks import Abort, CookieEcho, Data, Error, Heartbeat, ReConfig, Sack
from sans_rtc.sctp.params import (
    AddStreams,
    CauseCode,
    OutgoingReset,
    Parameter,
    ParameterType,
    parse_reconfig,
    serialize_reconfig,
)
from sans_rtc.sctp.path_mtu import PROBE_TIMER_S, RAISE_TIMER_S
from sans_rtc.testing import SeededEntropy

FULL = 1160 - 12 - 16
PACKET = FULL + 16
LONG = bytes(3000)


def connecting(sctp, **changes):
    raw = sctp.RawPeer(sctp.association(**changes))
    raw.association.connect(raw.now)
    raw.take()
    return raw


def searching(sctp, send):
    """An association that searches for the MTU of its path, and its first probe."""
    association = sctp.association(mtu_probe_bytes=(1352, 1432), heartbeat_interval_s=math.inf)
    raw = sctp.RawPeer(association, window_bytes=1 << 20).establish()
    send(association, LONG)
    raw.take()
    return raw, association.take_probe(raw.now)


def info_of(probe):
    """What a HEARTBEAT ACK has to bring back."""
    return probe[16 : 12 + int.from_bytes(probe[14:16], "big")]


# the handshake


@pytest.mark.parametrize("field", ["streams_outbound", "streams_inbound"])
@pytest.mark.proves(
    "RFC4960-3.3.2-10-e0f6",
    "RFC4960-3.3.2-12-3ab7",
    "RFC4960-5.1-10-3aaf",
    "RFC4960-5.1-11-ba66",
)
def test_init_without_streams_either_way_is_aborted_with_the_cause(sctp, field):
    raw = sctp.RawPeer(sctp.association())
    init = raw.init()
    setattr(init, field, 0)
    raw.send(init, tag=0)
    assert raw.take() == [Abort([Parameter(CauseCode.INVALID_MANDATORY_PARAMETER, b"")])]
    assert raw.association.state is State.CLOSED


@pytest.mark.parametrize("field", ["streams_outbound", "streams_inbound"])
@pytest.mark.proves("RFC4960-3.3.3-6-f48a", "RFC4960-3.3.3-8-fd14", "RFC4960-5.1-10-3aaf", "RFC4960-5.1-11-ba66")
def test_init_ack_without_streams_either_way_ends_the_attempt(sctp, field):
    raw = connecting(sctp)
    init_ack = raw.init(is_ack=True, cookie=b"c")
    setattr(init_ack, field, 0)
    raw.send(init_ack)
    assert raw.take() == [Abort([Parameter(CauseCode.INVALID_MANDATORY_PARAMETER, b"")])]
    assert raw.events[-1].reason == TerminationReason.PROTOCOL_VIOLATION


@pytest.mark.proves("RFC4960-3.3.2-5-b97b")
def test_known_parameter_that_no_init_should_have_is_no_obstacle(sctp):
    raw = sctp.RawPeer(sctp.association())
    raw.parameters.append(Parameter(ParameterType.STATE_COOKIE, b"out of place"))
    raw.send(raw.init(), tag=0)
    (init_ack,) = raw.take()
    assert init_ack.is_ack


@pytest.mark.proves("RFC4960-3.3.3-13-6f9c")
def test_known_parameter_that_no_init_ack_should_have_is_no_obstacle(sctp):
    raw = connecting(sctp)
    raw.parameters.append(Parameter(ParameterType.COOKIE_PRESERVATIVE, bytes(4)))
    raw.send(raw.init(is_ack=True, cookie=b"c"))
    assert raw.take() == [CookieEcho(b"c")]


@pytest.mark.proves("RFC4960-3.2.2-2-1d97")
def test_report_of_unknown_parameters_shares_the_packet_of_the_cookie_echo(sctp):
    raw = connecting(sctp)
    raw.parameters.append(Parameter(0xFFF0, b"abc"))
    raw.send(raw.init(is_ack=True, cookie=b"c"))
    (packet,) = raw.take_packets()
    assert [type(chunk) for chunk in sctp.chunks_of([packet])] == [CookieEcho, Error]


@pytest.mark.proves("RFC4960-5.1-1-0a36")
def test_tags_are_drawn_at_random():

    tags = {Association(SctpConfig(), entropy=SeededEntropy(seed))._tcb.local_tag for seed in range(100)}
    assert len(tags) == 100
    assert 0 < min(tags) < 1 << 28 and 15 << 28 < max(tags) < 1 << 32


@pytest.mark.proves("RFC4960-3.3.11-2-dffe", "RFC4960-5.1.3-4-dffe", "RFC4960-11.4-5-52e8")
def test_cookie_and_init_ack_are_small(sctp):
    raw = sctp.RawPeer(sctp.association())
    raw.send(raw.init(), tag=0)
    (packet,) = raw.take_packets()
    assert len(packet) <= 160
    (init_ack,) = sctp.chunks_of([packet])
    assert len(init_ack.parameters[0].value) <= 100


# out of the blue, and the end


@pytest.mark.proves("RFC4960-6-6-b8bb")
def test_sack_out_of_the_blue_is_aborted(sctp):
    raw = sctp.RawPeer(sctp.association())
    raw.send(Sack(1, 1500, []), tag=4711)
    assert raw.take() == [Abort([], is_reflected=True)]


@pytest.mark.proves("RFC4960-9.1-3-5519")
def test_abort_by_the_application_says_so(peer):
    peer.association.abort(peer.now)
    (abort,) = peer.take()
    assert [cause.type for cause in abort.causes] == [CauseCode.USER_INITIATED_ABORT]


@pytest.mark.proves("RFC4960-9.2-8-6ce0")
def test_guard_of_the_shutdown_is_five_times_the_longest_rto():
    config = SctpConfig()
    assert config.shutdown_guard_s == 5 * config.rto_max_s


@pytest.mark.proves("RFC4960-8.3-3-aa1c")
def test_answered_heartbeats_clear_the_count_of_errors(sctp):
    raw = sctp.RawPeer(sctp.association(heartbeat_interval_s=1.0, association_retransmissions_max=2)).establish()
    for _ in range(10):
        said = raw.wait(0.1)
        while not (asked := [chunk for chunk in said if isinstance(chunk, Heartbeat)]):
            said = raw.wait(0.1)
        assert raw.association._tcb.error_count == 1
        raw.send(Heartbeat(asked[0].value, is_ack=True))
        assert raw.association._tcb.error_count == 0
    assert not raw.association.is_terminated


# sending


@pytest.mark.proves("RFC4960-6.2-25-b85d")
def test_message_without_data_is_refused(peer, send):
    with pytest.raises(ValueError):
        send(peer.association, b"")
    assert peer.take() == []


@pytest.mark.proves("RFC4960-6.1-3-8ac6")
def test_closed_window_is_not_probed_while_anything_is_in_flight(sctp, send):
    raw = sctp.RawPeer(sctp.association(tail_loss_probe=False), window_bytes=5 * PACKET).establish()
    send(raw.association, bytes(5 * FULL))
    send(raw.association, bytes(5 * FULL))
    count = len([chunk for chunk in raw.take() if isinstance(chunk, Data)])
    raw.send(raw.sack(count - 2, window_bytes=0))
    offsets = {chunk.tsn - raw.their_tsn for chunk in raw.wait(2.0) if isinstance(chunk, Data)}
    assert offsets and max(offsets) < count


@pytest.mark.proves("DATA-CHANNEL-6.6-9-7b2d")
def test_short_message_does_not_wait_for_what_is_outstanding(peer, send):
    for index in range(5):
        send(peer.association, b"x")
        assert [type(chunk) for chunk in peer.take()] == [Data], index


@pytest.mark.proves("RFC8261-5-7-9baf", "DATA-CHANNEL-5-5-d71e", "RFC8899-5.1.2-1-d094")
def test_first_packets_fit_1200_bytes_with_what_dtls_adds():
    assert DtlsConfig().mtu_bytes <= 1200
    assert SctpConfig().mtu_bytes + 37 <= 1200


# resetting streams


@pytest.mark.proves("RFC6525-5.2.1-3-3489")
def test_request_to_reset_is_answered_with_a_sack_too(peer):
    request = serialize_reconfig(OutgoingReset(100, peer.their_tsn - 1, peer.tsn - 1, (0,)))
    peer.send(ReConfig([request]))
    assert {type(chunk) for chunk in peer.take()} == {ReConfig, Sack}


@pytest.mark.parametrize("is_incoming", [False, True])
@pytest.mark.proves("RFC6525-4.5-2-3afb", "RFC6525-4.6-2-3afb")
def test_reserved_field_of_more_streams_is_0_and_ignored(is_incoming):
    item = AddStreams(7, 3, is_incoming)
    parameter = serialize_reconfig(item)
    assert parameter.value[6:8] == b"\0\0"
    assert parse_reconfig(Parameter(parameter.type, parameter.value[:6] + b"\xab\xcd")) == item


# the MTU of the path


@pytest.mark.proves("RFC8899-5.1.1-1-7fa6", "RFC8899-3-12-5252", "RFC8899-8-1-347f")
def test_unanswered_probe_is_not_repeated_within_a_second(sctp, send):
    raw, probe = searching(sctp, send)
    raw.send(raw.sack(3))
    assert PROBE_TIMER_S >= 1.0
    assert probe is not None
    for _ in range(9):
        raw.wait(0.11)
        assert raw.association.take_probe(raw.now) is None
    raw.wait(0.02)
    assert raw.association.take_probe(raw.now) is not None


@pytest.mark.proves("RFC8899-3-14-76d1")
def test_larger_packets_do_not_widen_the_window(sctp, send):
    raw, probe = searching(sctp, send)
    before = raw.association.statistics.congestion_window_bytes
    raw.send(Heartbeat(info_of(probe), is_ack=True))
    after = raw.association.statistics
    assert (after.mtu_bytes, after.congestion_window_bytes) == (1352, before)


@pytest.mark.proves("RFC8899-3-16-e1bc")
def test_closed_window_of_the_peer_does_not_keep_a_probe_back(sctp, send):
    raw = sctp.RawPeer(sctp.association(mtu_probe_bytes=(1352,)), window_bytes=1 << 20).establish()
    send(raw.association, LONG)
    raw.take()
    raw.send(raw.sack(3, window_bytes=0))
    assert raw.association.take_probe(raw.now) is not None


@pytest.mark.proves(
    "RFC8899-5.1.1-2-e8ee",
    "RFC8899-5.2-1-e2cf",
    "RFC8899-6.2.1.3-1-788f",
    "RFC8899-6.2.3.3-1-788f",
)
def test_nothing_is_probed_between_the_end_of_a_search_and_the_raise_timer(sctp, send):
    raw, probe = searching(sctp, send)
    raw.send(raw.sack(3))
    while probe is not None:
        raw.send(Heartbeat(info_of(probe), is_ack=True))
        probe = raw.association.take_probe(raw.now)
    for _ in range(59):
        raw.wait(RAISE_TIMER_S / 60)
        assert raw.association.take_probe(raw.now) is None
