"""The end of a connection: close, abort, alerts from the peer and from strangers."""

import math

import pytest

from sans_rtc.dtls import ApplicationData, DtlsConfig
from sans_rtc.dtls.wire import ContentType
from sans_rtc.errors import InvalidState
from sans_rtc.machine import Terminated
from sans_rtc.testing import LinkConditions

CLIENT, SERVER = 0, 1
ALERT = ContentType.ALERT
CLOSE_NOTIFY = b"\x01\x00"
HANDSHAKE_FAILURE = b"\x02\x28"


@pytest.mark.parametrize("end", [CLIENT, SERVER])
def test_close_tells_the_peer_and_ends_both(make_pair, end):
    pair = make_pair().connect()
    pair.ends[end].close(pair.now)
    assert pair.ends[end].is_terminated
    pair.link.run_for(1.0)
    assert (pair.reason(end), pair.reason(1 - end)) == ("closed", "peer_closed")
    assert [each.state for each in pair.ends] == ["closed", "closed"]


def test_data_sent_before_the_close_arrives(make_pair):
    pair = make_pair().connect()
    pair.client.send(b"last words", pair.now)
    pair.client.close(pair.now)
    pair.link.run_for(1.0)
    assert pair.events(SERVER, ApplicationData) == [ApplicationData(b"last words")]
    assert isinstance(pair.link.events[SERVER][-1], Terminated)


@pytest.mark.proves("RFC5246-7.2.1-1-608a")
def test_close_notify_is_answered(make_pair):
    """RFC 5246 section 7.2.1"""
    pair = make_pair().connect()
    sent = len(pair.link.sent[SERVER])
    pair.client.close(pair.now)
    pair.link.run_for(1.0)
    assert len(pair.link.sent[SERVER]) == sent + 1


def test_close_twice_is_close_once(make_pair):
    pair = make_pair().connect()
    pair.client.close(pair.now)
    pair.client.close(pair.now)
    pair.client.abort(pair.now)
    pair.link.run_for(1.0)
    assert len(pair.events(CLIENT, Terminated)) == 1


def test_abort_is_a_fatal_alert(make_pair):
    pair = make_pair().connect()
    pair.client.abort(pair.now)
    pair.link.run_for(1.0)
    assert (pair.reason(CLIENT), pair.reason(SERVER)) == ("aborted", "peer_alert")
    assert "user_canceled" in pair.events(SERVER, Terminated)[0].detail


@pytest.mark.parametrize("verb", ["close", "abort"])
def test_end_before_the_start_is_silent(make_pair, verb):
    pair = make_pair()
    for machine in pair.ends:
        getattr(machine, verb)(pair.now)
        assert machine.take_datagrams(pair.now) == ()
        assert [type(event) for event in machine.take_events()] == [Terminated]


def test_server_that_has_heard_nothing_closes_silently(make_pair):
    pair = make_pair()
    pair.server.start(pair.now)
    pair.server.close(pair.now)
    assert pair.server.take_datagrams(pair.now) == ()


def test_close_in_the_handshake_ends_both(make_pair):
    pair = make_pair().start()
    pair.link.run_for(0.015)
    pair.server.close(pair.now)
    pair.link.run_for(3.0)
    assert (pair.reason(SERVER), pair.reason(CLIENT)) == ("closed", "peer_closed")


def test_after_the_end_inputs_are_ignored(make_pair):
    pair = make_pair().connect()
    pair.client.send(b"x", pair.now)
    (record,) = pair.client.take_datagrams(pair.now)
    pair.server.close(pair.now)
    assert len(pair.server.take_datagrams(pair.now)) == 1
    assert len(pair.server.take_events()) == 1
    pair.server.receive(record, pair.now)
    pair.server.send(b"x", pair.now)
    pair.server.start(pair.now)
    pair.server.handle_timer(pair.now + 1000)
    assert pair.server.take_datagrams(pair.now) == ()
    assert pair.server.take_events() == ()
    assert pair.server.deadline == math.inf


def test_starting_twice_is_an_invalid_state(make_pair):
    pair = make_pair().start()
    for machine in pair.ends:
        with pytest.raises(InvalidState):
            machine.start(pair.now)


def test_nothing_is_received_before_the_start(make_pair):
    pair = make_pair()
    pair.client.start(pair.now)
    pair.server.receive(pair.client.take_datagrams(pair.now)[0], pair.now)
    assert pair.server.stats.discards["not_started"] == 1
    assert pair.server.take_datagrams(pair.now) == ()


@pytest.mark.parametrize("description", [10, 20, 40, 42, 47, 50, 51, 80, 200])
def test_fatal_alert_of_the_peer_ends_the_connection(make_pair, description):
    pair = make_pair().connect()
    pair.server.receive(pair.client._records.seal(ALERT, bytes([2, description])), pair.now)
    pair.link.run_for(0.1)
    assert pair.reason(SERVER) == "peer_alert"
    assert pair.server.state == "failed"
    assert pair.client.stats.discards["bad_mac"] == 0


@pytest.mark.parametrize("description", [90, 100, 41, 200])
def test_warning_alert_of_the_peer_does_not(make_pair, description):
    pair = make_pair().connect()
    pair.server.receive(pair.client._records.seal(ALERT, bytes([1, description])), pair.now)
    pair.link.run_for(5.0)
    assert pair.is_connected()
    assert pair.server.stats.discards["warning_alert"] == 1


@pytest.mark.parametrize("data", [b"\x02", b"\x02\x28\x00", b"\x07\x28"])
def test_malformed_alert_is_discarded(make_pair, data):
    pair = make_pair().connect()
    pair.server.receive(pair.client._records.seal(ALERT, data), pair.now)
    assert pair.server.stats.discards["malformed_alert"] == 1
    assert pair.is_connected()


@pytest.mark.proves("RFC6347-4.1.2.7-1-7638", "RFC6347-4.1.2.7-3-d48c", "RFC6347-5-3-f06a", "RFC5764-7.3.1-1-aba2")
@pytest.mark.parametrize("data", [HANDSHAKE_FAILURE, CLOSE_NOTIFY])
def test_strangers_alert_does_not_end_a_connection(make_pair, make_record, data):
    pair = make_pair().connect()
    for end in pair.ends:
        end.receive(make_record(ALERT, data, number=999), pair.now)
        end.receive(make_record(ALERT, data, number=999, epoch=1), pair.now)
        end.receive(make_record(ALERT, data, number=999, epoch=2), pair.now)
    pair.link.run_for(60.0)
    assert pair.is_connected()


@pytest.mark.parametrize("data", [HANDSHAKE_FAILURE, CLOSE_NOTIFY])
@pytest.mark.parametrize("at_s", [0.0, 0.005, 0.015, 0.025, 0.035])
def test_strangers_alert_does_not_end_a_handshake_that_goes_on(make_pair, make_record, data, at_s):
    pair = make_pair().start()
    pair.link.run_for(at_s)
    for end in pair.ends:
        end.receive(make_record(ALERT, data, number=999), pair.now)
    pair.link.run_until(pair.is_connected)
    pair.link.run_for(60.0)
    assert pair.is_connected()
    assert sum(end.stats.discards["unauthenticated_alert"] for end in pair.ends) > 0


def test_strangers_alert_does_not_end_a_handshake_that_loses_a_flight(make_pair, make_record):
    """The grace is longer than a few retransmissions."""
    pair = make_pair()
    lost = []
    pair.link.filter = lambda end, datagram: lost.append(datagram) if len(lost) < 3 else datagram
    pair.start()
    pair.client.receive(make_record(ALERT, HANDSHAKE_FAILURE), pair.now)
    pair.link.run_until(pair.is_connected, within_s=5.0)


@pytest.mark.parametrize(("data", "reason"), [(HANDSHAKE_FAILURE, "peer_alert"), (CLOSE_NOTIFY, "peer_closed")])
def test_plaintext_alert_is_believed_when_nothing_follows(make_pair, make_record, data, reason):
    pair = make_pair()
    pair.client.start(pair.now)
    pair.client.receive(make_record(ALERT, data), pair.now)
    pair.client.receive(make_record(ALERT, b"\x02\x32"), pair.now)  # the first one counts
    pair.link.run_for(0.99)
    assert pair.client.state == "connecting"
    pair.link.run_for(0.02)
    assert pair.reason(CLIENT) == reason
    assert "unprotected" in pair.events(CLIENT, Terminated)[0].detail


def test_server_that_has_said_nothing_does_not_heed_alerts(make_pair, make_record):
    pair = make_pair()
    pair.server.start(pair.now)
    pair.server.receive(make_record(ALERT, HANDSHAKE_FAILURE), pair.now)
    assert pair.server.deadline == math.inf
    pair.client.start(pair.now)
    pair.link.run_until(pair.is_connected)


def test_plaintext_warning_is_not_even_a_suspicion(make_pair, make_record):
    pair = make_pair(DtlsConfig(handshake_timeout_s=5))
    pair.client.start(pair.now)
    pair.client.receive(make_record(ALERT, b"\x01\x5a"), pair.now)
    pair.link.run_for(4.0)
    assert pair.client.state == "connecting"


def test_refused_client_learns_why_in_a_moment(make_pair, make_certificate):
    pair = make_pair(server_expects=[make_certificate("other").fingerprint()]).start()
    pair.link.run_until(lambda: pair.client.is_terminated, within_s=1.1)
    assert "bad_certificate" in pair.events(CLIENT, Terminated)[0].detail


def test_strangers_alert_is_forgotten_when_the_handshake_goes_on(make_pair, make_record):
    """On a path so long that the grace is over before the handshake is."""
    pair = make_pair(conditions=LinkConditions(delay_s=0.4)).start()
    pair.client.receive(make_record(ALERT, HANDSHAKE_FAILURE), pair.now)
    assert pair.link.run_until(pair.is_connected) == pytest.approx(1.6)


def test_flight_that_is_due_goes_out_before_the_alert(make_pair, split_records):
    pair = make_pair()
    pair.server.start(pair.now)
    pair.client.start(pair.now)
    pair.server.receive(pair.client.take_datagrams(pair.now)[0], pair.now)
    pair.server.close(pair.now)
    flight, alert = pair.server.take_datagrams(pair.now)
    assert [split_records(datagram)[-1][0] for datagram in (flight, alert)] == [22, 21]
    assert split_records(alert)[0][2] == len(split_records(flight))
