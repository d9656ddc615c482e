"""Each timer: the flight's, the handshake's, the alert's grace; and what makes a flight go out again."""

import itertools
import math

import pytest

from sans_rtc.dtls import DtlsConfig
from sans_rtc.dtls.handshake import HandshakeType
from sans_rtc.machine import Terminated
from sans_rtc.testing import LinkConditions

CLIENT, SERVER = 0, 1


def times_sent(machine, start, until):
    """When a machine that hears nothing sends datagrams."""
    times = []
    now = start
    while now <= until:
        times += [round(now - start, 6)] * len(machine.take_datagrams(now))
        now = machine.deadline
        if now == math.inf:
            break
        machine.handle_timer(now)
    return times


def test_client_that_hears_nothing_sends_at_doubling_intervals(make_pair):
    client = make_pair(DtlsConfig(flight_timeout_s=0.1, flight_timeout_s_max=1.0)).client
    client.start(1000.0)
    assert times_sent(client, 1000.0, 1004.0) == pytest.approx([0, 0.1, 0.3, 0.7, 1.5, 2.5, 3.5])
    assert client.stats.flights_sent == 1


def test_first_timeout_is_configurable(make_pair):
    client = make_pair(DtlsConfig(flight_timeout_s=0.4)).client
    client.start(1000.0)
    assert client.deadline == pytest.approx(1000.4)


def test_server_retransmits_its_flight_too(make_pair):
    pair = make_pair()
    pair.link.filter = lambda end, datagram: datagram if end == CLIENT and len(pair.link.sent[0]) == 1 else None
    pair.start()
    pair.link.run_for(0.45)
    # answered after 10 ms, again after 0.1 and 0.2 s more; the client's repetitions are lost
    assert len(pair.link.sent[SERVER]) == 3


def test_handshake_that_does_not_complete_ends_after_its_timeout(make_pair):
    pair = make_pair(DtlsConfig(handshake_timeout_s=7))
    pair.client.start(pair.now)
    pair.link.run_for(6.99)
    assert not pair.client.is_terminated
    pair.link.run_for(0.02)
    assert pair.reason(CLIENT) == "handshake_timeout"
    assert "nothing that could be used" in pair.events(CLIENT, Terminated)[0].detail
    assert pair.client.deadline == math.inf
    assert pair.client.state == "failed"


def test_handshake_has_all_of_its_time_on_the_path_that_comes_back(make_pair):
    pair = make_pair(DtlsConfig(handshake_timeout_s=7))
    pair.client.start(pair.now)
    pair.link.run_for(6.0)
    pair.client.path_changed(pair.now)
    pair.link.run_for(6.9)
    assert not pair.client.is_terminated
    pair.link.run_for(0.2)
    assert pair.reason(CLIENT) == "handshake_timeout"


def test_another_path_arms_nothing_where_no_handshake_is_under_way(make_pair):
    pair = make_pair().connect()
    pair.client.path_changed(pair.now)
    assert pair.client.deadline == math.inf


def test_handshake_is_not_given_up_while_the_path_is_silent_and_has_the_rest_of_its_time_after(make_pair):
    pair = make_pair(DtlsConfig(handshake_timeout_s=7))
    pair.client.start(pair.now)
    pair.link.run_for(3.0)
    pair.client.path_silent(pair.now)
    pair.link.run_for(100.0)
    assert not pair.client.is_terminated
    pair.client.path_silent(pair.now)  # says nothing new
    pair.client.path_alive(pair.now)
    pair.link.run_for(3.9)
    assert not pair.client.is_terminated
    pair.link.run_for(0.2)
    assert pair.reason(CLIENT) == "handshake_timeout"


def test_path_that_is_silent_again_and_again_gains_a_handshake_no_time(make_pair):
    pair = make_pair(DtlsConfig(handshake_timeout_s=7))
    pair.client.start(pair.now)
    for _ in range(6):
        pair.link.run_for(1.0)
        pair.client.path_silent(pair.now)
        pair.link.run_for(1.0)
        pair.client.path_alive(pair.now)
    assert not pair.client.is_terminated
    pair.link.run_for(1.1)
    assert pair.reason(CLIENT) == "handshake_timeout"


@pytest.mark.parametrize("end", [CLIENT, SERVER])
def test_flight_goes_again_at_once_when_the_path_is_alive_again(make_pair, end):
    pair = make_pair(DtlsConfig(flight_timeout_s=2.0, flight_timeout_s_max=8.0))
    number = itertools.count()
    pair.link.filter = lambda _, datagram: datagram if next(number) < end else None  # a server gets the ClientHello
    pair.start()
    pair.link.run_for(1.0)
    for machine in (pair.client, pair.server):
        machine.path_silent(pair.now)
    pair.link.run_for(20.0)
    pair.link.filter = lambda _, datagram: datagram
    (pair.client, pair.server)[end].path_alive(pair.now)
    assert pair.link.run_until(lambda: pair.client.state == pair.server.state == "connected", within_s=5.0) < 0.2


def test_first_timeout_begins_anew_on_the_path_that_is_alive_again(make_pair):
    client = make_pair(DtlsConfig(flight_timeout_s=0.1, flight_timeout_s_max=1.0)).client
    client.start(1000.0)
    times_sent(client, 1000.0, 1000.9)
    client.path_silent(1001.0)
    client.path_alive(1001.2)
    assert times_sent(client, 1001.2, 1002.0) == pytest.approx([0, 0.1, 0.3, 0.7])


def test_silence_before_the_start_holds_for_the_handshake_and_ends_with_it(make_pair):
    pair = make_pair(DtlsConfig(handshake_timeout_s=7))
    pair.client.path_silent(pair.now)
    pair.client.start(pair.now)
    pair.link.run_for(20.0)
    assert not pair.client.is_terminated
    pair.client.abort(pair.now)
    pair.client.path_alive(pair.now)
    assert pair.client.deadline == math.inf


def test_silence_arms_nothing_where_no_handshake_is_under_way(make_pair):
    pair = make_pair().connect()
    for machine in (pair.client, pair.server):
        machine.path_silent(pair.now)
        machine.path_alive(pair.now)
        assert machine.deadline == math.inf and not machine.take_datagrams(pair.now)


def test_server_waits_for_a_client_hello_without_end(make_pair):
    pair = make_pair()
    pair.server.start(pair.now)
    assert pair.server.deadline == math.inf


def test_server_that_got_a_client_hello_ends_after_the_timeout(make_pair):
    pair = make_pair(DtlsConfig(handshake_timeout_s=7))
    pair.link.filter = lambda end, datagram: datagram if end == CLIENT and len(pair.link.sent[0]) == 1 else None
    pair.start()
    pair.link.run_for(7.0)
    assert (pair.reason(CLIENT), pair.reason(SERVER)) == ("handshake_timeout", None)
    pair.link.run_for(0.02)
    assert pair.reason(SERVER) == "handshake_timeout"


def test_nothing_is_armed_once_connected(make_pair):
    pair = make_pair().connect()
    assert [end.deadline for end in pair.ends] == [math.inf, math.inf]


@pytest.mark.proves("RFC6347-4.2.5-1-a0dc")
@pytest.mark.parametrize("lost", range(4))
def test_each_lost_flight_is_made_up_for(make_pair, lost):
    pair = make_pair()
    count = []

    def lose_one(end, datagram):
        count.append(datagram)
        return None if len(count) == lost + 1 else datagram

    pair.link.filter = lose_one
    pair.start()
    assert pair.link.run_until(pair.is_connected) < 0.3


@pytest.mark.proves("RFC6347-4.2.4-1-1620")
def test_servers_lost_finished_is_repeated_when_the_clients_comes_again(make_pair):
    """RFC 6347 section 4.2.4: in the FINISHED state, for the last flight; and however late."""
    pair = make_pair()
    is_open = [False]
    pair.link.filter = lambda end, datagram: (
        None if end == SERVER and pair.server.state == "connected" and not is_open[0] else datagram
    )
    pair.start()
    pair.link.run_for(20.0)
    assert (pair.client.state, pair.server.state) == ("connecting", "connected")
    is_open[0] = True
    pair.link.run_until(pair.is_connected, within_s=5.0)
    assert pair.server.stats.flights_repeated > 3


def test_server_repeats_its_finished_for_authentic_ones_only(make_pair, make_record):
    pair = make_pair()
    pair.link.filter = lambda end, datagram: datagram
    pair.connect()
    pair.link.run_for(1.0)
    sent = len(pair.link.sent[SERVER])
    for number in range(100, 120):
        pair.server.receive(make_record(22, b"\x14" + bytes(11), epoch=1, number=number), pair.now)
        pair.server.receive(make_record(22, b"\x14" + bytes(11), number=number), pair.now)
    for datagram in pair.link.sent[CLIENT]:
        pair.server.receive(datagram, pair.now)
    pair.link.flush()
    assert len(pair.link.sent[SERVER]) == sent


def test_repeated_flight_makes_the_answer_go_out_again(make_pair):
    """RFC 6347 section 4.2.4: reading a retransmission is a reason to retransmit."""
    pair = make_pair(DtlsConfig(), DtlsConfig(flight_timeout_s=50, flight_timeout_s_max=50))
    lost = []
    pair.link.filter = lambda end, datagram: lost.append(datagram) if end == SERVER and not lost else datagram
    pair.start()
    assert pair.link.run_until(pair.is_connected) < 0.3
    assert pair.server.stats.flights_repeated == 1
    assert pair.server.stats.flights_retransmitted == 0


def test_duplicated_datagrams_set_off_no_storm(make_pair):
    pair = make_pair(conditions=LinkConditions(duplication=1.0)).connect()
    pair.link.run_for(5.0)
    assert [len(sent) for sent in pair.link.sent] == [2, 2]


def test_forged_repetitions_are_answered_seldom(make_pair):
    """Amplification: a stranger who replays a ClientHello gets eight answers at most."""
    pair = make_pair(DtlsConfig(), DtlsConfig(flight_timeout_s=60, flight_timeout_s_max=60))
    pair.link.filter = lambda end, datagram: datagram if end == CLIENT and len(pair.link.sent[0]) == 1 else None
    pair.start()
    pair.link.run_for(0.02)
    hello = pair.link.sent[CLIENT][0]
    sent = len(pair.link.sent[SERVER])
    for second in range(400):
        pair.server.receive(hello, pair.now + second / 20)
    for tenth in range(0, 20000, 10):
        pair.server.receive(hello, pair.now + 20 + tenth)
        pair.server.take_datagrams(pair.now + 20 + tenth)
    assert pair.server.stats.flights_repeated == 8
    assert sent == 1


def test_partly_received_flight_prompts_nothing(make_pair):
    """What has come of the peer's next flight shows that it has all of ours."""
    pair = make_pair(DtlsConfig(mtu_bytes=256), DtlsConfig(mtu_bytes=256))
    lost = []

    def lose_the_last(end, datagram):
        if end == SERVER and len(pair.link.sent[SERVER]) == 3 and not lost:
            return lost.append(datagram)
        return datagram

    pair.link.filter = lose_the_last
    pair.start()
    pair.link.run_until(pair.is_connected)
    assert pair.client.stats.flights_repeated == 0


def test_data_before_the_finished_prompts_the_client_to_ask_again(make_pair):
    """RFC 6347 section 4.2.4: the shortcut of the retransmission timer."""
    pair = make_pair(DtlsConfig(flight_timeout_s=0.5))
    lost = []

    def lose_finished(end, datagram):
        if end == SERVER and pair.server.state == "connected" and not lost:
            return lost.append(datagram)
        return datagram

    pair.link.filter = lose_finished
    pair.start()
    pair.link.run_until(lambda: lost)
    pair.link.run_for(0.3)
    pair.server.send(b"early", pair.now)
    assert pair.link.run_until(pair.is_connected) < 0.05
    assert pair.client.stats.flights_repeated == 1


def test_timers_due_together_end_it_once(make_pair, make_record):
    client = make_pair(DtlsConfig(handshake_timeout_s=5, alert_grace_s=5)).client
    client.start(0.0)
    client.receive(make_record(21, b"\x02\x28"), 0.0)
    client.handle_timer(1000.0)
    assert [type(event) for event in client.take_events()] == [Terminated]


def test_timer_that_is_not_due_does_nothing(make_pair):
    client = make_pair().client
    client.start(0.0)
    client.take_datagrams(0.0)
    client.handle_timer(0.05)
    assert client.take_datagrams(0.05) == ()


def test_late_duplicate_of_an_answered_flight_prompts_nothing(make_pair, tamper):
    """The client's next flight has begun to arrive, so it has all of ours."""
    pair = make_pair(DtlsConfig(), DtlsConfig(flight_timeout_s=60, flight_timeout_s_max=60))
    tamper.hold_from(pair, SERVER, HandshakeType.CLIENT_KEY_EXCHANGE)
    assert pair.server._handshake.message_count == 2
    pair.server.receive(pair.link.sent[CLIENT][0], pair.now)
    assert pair.server.take_datagrams(pair.now) == ()
    assert pair.server.stats.flights_repeated == 0


def test_data_between_change_cipher_spec_and_finished_prompts_the_client_to_ask_again(make_pair, split_records):
    pair = make_pair()
    pair.link.filter = lambda end, datagram: None if pair.server.state == "connected" else datagram
    pair.start()
    pair.link.run_until(lambda: pair.server.state == "connected")
    change_cipher_spec = pair.link.sent[SERVER][-1][:14]
    pair.server.send(b"early", pair.now)
    pair.client.receive(change_cipher_spec, pair.now)
    pair.client.receive(pair.server.take_datagrams(pair.now)[0], pair.now + 0.05)
    assert pair.client.stats.flights_repeated == 1
    assert len(pair.client.take_datagrams(pair.now + 0.05)) == 1


def test_repeated_hello_verify_request_mirrors_the_record_number_again(make_pair, split_records):
    """RFC 6347 section 4.2.1"""
    pair = make_pair(DtlsConfig(use_cookies=True))
    counts = [0, 0]

    def lose(end, datagram):
        counts[end] += 1
        return None if counts[end] in ((1, 3), (1,))[end] else datagram

    pair.link.filter = lose
    pair.connect()
    assert [split_records(datagram)[0][2] for datagram in pair.link.sent[CLIENT][:5]] == [0, 1, 2, 3, 4]
    assert [split_records(datagram)[0][2] for datagram in pair.link.sent[SERVER][:3]] == [1, 3, 4]
