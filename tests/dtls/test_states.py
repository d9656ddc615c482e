"""The transition tables: complete, and every state is reached on the way that the protocol has."""

import pytest

from sans_rtc.dtls import client12, server12, states

TABLES = [
    (client12.ClientState, client12.TRANSITIONS, client12.ClientState.START),
    (server12.ServerState, server12.TRANSITIONS, server12.ServerState.AWAIT_CLIENT_HELLO),
    (states.ConnectionState, states.TRANSITIONS, states.ConnectionState.NEW),
]


@pytest.mark.parametrize(("kind", "table", "start"), TABLES)
def test_every_state_is_in_the_table_and_can_be_reached(kind, table, start):
    assert set(table) == set(kind)
    reached, frontier = {start}, [start]
    while frontier:
        for state in table[frontier.pop()] - reached:
            reached.add(state)
            frontier.append(state)
    assert reached == set(kind)


@pytest.mark.parametrize(
    ("table", "steps"),
    [(client12.TRANSITIONS, client12._STEPS), (server12.TRANSITIONS, server12._STEPS)],
)
def test_every_state_that_waits_has_a_step(table, steps):
    waiting = {state for state, following in table.items() if following and state.value != "start"}
    assert set(steps) == waiting


@pytest.mark.parametrize("end", [0, 1])
def test_handshake_walks_through_every_state_in_order(make_pair, end):
    pair = make_pair()
    handshake = pair.ends[end]._handshake._handshake
    walked = [handshake.state]
    enter = handshake._enter

    def note(state):
        enter(state)
        walked.append(handshake.state)

    handshake._enter = note
    pair.connect()
    assert walked == list(type(handshake.state))


def test_entering_a_state_that_does_not_follow_is_a_bug(make_pair):
    pair = make_pair()
    with pytest.raises(AssertionError):
        pair.client._handshake._handshake._enter(client12.ClientState.COMPLETE)
    with pytest.raises(AssertionError):
        pair.client._enter(states.ConnectionState.CONNECTED, 0.0)


def test_connection_states_are_those_of_w3c(make_pair):
    pair = make_pair()
    assert pair.client.state == "new"
    pair.start()
    assert pair.client.state == "connecting"
    pair.link.run_until(pair.is_connected)
    assert pair.client.state == "connected"
    pair.client.close(pair.now)
    assert pair.client.state == "closed"


def test_two_clients_end_with_a_reason(make_pair):
    first, second = make_pair(seed=1).client, make_pair(seed=2).client
    first.start(0.0)
    second.start(0.0)
    second.receive(first.take_datagrams(0.0)[0], 0.0)
    (event,) = second.take_events()
    assert (event.reason, "client_hello" in event.detail) == ("protocol_violation", True)
