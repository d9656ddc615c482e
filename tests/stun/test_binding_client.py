"""The Binding client: happy path, each timer, each refusal, each discard, and lossy links."""

import math

import pytest

from sans_rtc.errors import InvalidArgument, InvalidState
from sans_rtc.machine import Address, Datagram, Path, Terminated
from sans_rtc.stun import (
    RELIABLE_TRANSPORT,
    Attribute,
    AttributeType,
    BindingConfig,
    BindingFailed,
    BindingSucceeded,
    ErrorCode,
    Message,
    MessageClass,
    Method,
    error_response,
    is_fingerprint_valid,
    parse_message,
    serialize_message,
    success_response,
)
from sans_rtc.testing import ContractMonitor, Link, LinkConditions

A = AttributeType
MAPPED = Address("203.0.113.7", 61000)


def respond(datagram, *attributes):
    response = success_response(parse_message(datagram.data), [Attribute(*pair) for pair in attributes])
    return Datagram(serialize_message(response), datagram.path)


class BindingServer:
    """A server end for links: answers each Binding request with the address it came from."""

    deadline = math.inf
    is_terminated = False

    def __init__(self):
        self.datagrams = []

    def receive(self, datagram, now):
        try:
            request = parse_message(datagram.data)
        except ValueError:
            return
        response = success_response(request, [Attribute(A.XOR_MAPPED_ADDRESS, datagram.path.remote)])
        self.datagrams.append(Datagram(serialize_message(response, fingerprint=True), datagram.path))

    def take_datagrams(self, now):
        taken, self.datagrams = self.datagrams, []
        return taken

    def take_events(self):
        return ()


# --- happy path


def test_request_is_a_bare_binding_request_on_the_path(started, path):
    _, datagram = started
    request = parse_message(datagram.data)
    assert (request.message_class, request.method) == (MessageClass.REQUEST, Method.BINDING)
    assert request.attributes == []
    assert datagram.path is path


def test_request_carries_software_and_fingerprint_where_asked(make_client):
    client = make_client(BindingConfig(software="test", use_fingerprint=True))
    client.start(1000.0)
    (datagram,) = client.take_datagrams(1000.0)
    assert parse_message(datagram.data).value(A.SOFTWARE) == "test"
    assert is_fingerprint_valid(datagram.data)


def test_response_tells_the_mapped_address_and_the_round_trip(started):
    client, datagram = started
    client.receive(respond(datagram, (A.XOR_MAPPED_ADDRESS, MAPPED)), 1000.05)
    assert client.take_events() == [
        BindingSucceeded(MAPPED, pytest.approx(0.05)),
        Terminated("succeeded"),
    ]
    assert client.is_terminated and client.deadline == math.inf


def test_response_tells_software_and_other_address(started):
    client, datagram = started
    other = Address("198.51.100.2", 3479)
    client.receive(
        respond(datagram, (A.XOR_MAPPED_ADDRESS, MAPPED), (A.SOFTWARE, "coturn"), (A.OTHER_ADDRESS, other)), 1000.0
    )
    assert client.take_events()[0] == BindingSucceeded(MAPPED, 0.0, "coturn", other)


def test_response_of_an_old_server_with_mapped_address_is_taken(started):
    client, datagram = started
    client.receive(respond(datagram, (A.MAPPED_ADDRESS, MAPPED)), 1000.0)
    assert client.take_events()[0].mapped == MAPPED


@pytest.mark.proves("RFC5389-12.1-3-219c")
@pytest.mark.parametrize("reserved", [0x0002, 0x0004, 0x0005, 0x0007, 0x000B])
def test_attributes_that_an_old_server_adds_are_ignored(started, reserved):
    client, datagram = started
    client.receive(respond(datagram, (A.MAPPED_ADDRESS, MAPPED), (reserved, bytes(8))), 1000.0)
    assert client.take_events()[0].mapped == MAPPED


def test_xor_mapped_address_counts_before_mapped_address(started):
    client, datagram = started
    rewritten = Address("10.0.0.1", 1)
    client.receive(respond(datagram, (A.MAPPED_ADDRESS, rewritten), (A.XOR_MAPPED_ADDRESS, MAPPED)), 1000.0)
    assert client.take_events()[0].mapped == MAPPED


# --- timers


def test_request_is_repeated_at_the_times_of_6_2_1_then_fails(make_client):
    client = make_client()
    client.start(1000.0)
    times, first = [], None
    while not client.is_terminated:
        now = client.deadline if times else 1000.0
        client.handle_timer(now)
        for datagram in client.take_datagrams(now):
            first = first or datagram.data
            assert datagram.data == first
            times.append(round((now - 1000) * 1000))
    assert times == [0, 500, 1500, 3500, 7500, 15500, 31500]
    assert now == 1039.5
    assert client.take_events() == [
        BindingFailed(0, "the server does not answer"),
        Terminated("timed_out", "the server does not answer"),
    ]
    assert client.stats.requests_sent == 7


def test_over_a_reliable_transport_the_request_is_sent_once(make_client):
    client = make_client(BindingConfig(schedule=RELIABLE_TRANSPORT))
    client.start(1000.0)
    assert client.deadline == 1039.5
    client.handle_timer(1039.5)
    assert client.is_terminated and client.stats.requests_sent == 1


def test_rtt_is_unknown_after_a_retransmission(started):
    client, datagram = started
    client.handle_timer(1000.5)
    client.receive(respond(datagram, (A.XOR_MAPPED_ADDRESS, MAPPED)), 1000.51)
    assert client.take_events()[0].rtt_s is None


def test_nothing_is_armed_before_start(make_client):
    client = make_client()
    assert client.deadline == math.inf
    client.handle_timer(1000.0)
    assert client.take_datagrams(1000.0) == () and client.take_events() == ()


# --- refusals


@pytest.mark.parametrize("code", [400, 401, 500, 699])
def test_error_response_is_surfaced_with_its_code(started, code):
    client, datagram = started
    response = error_response(parse_message(datagram.data), code, "because")
    client.receive(Datagram(serialize_message(response), datagram.path), 1000.0)
    assert client.take_events() == [BindingFailed(code, "because"), Terminated("refused", "because")]


@pytest.mark.proves("RFC5389-7.3.4-1-6df7")
def test_alternate_server_of_a_300_is_surfaced_and_not_followed(started):
    client, datagram = started
    alternate = Address("198.51.100.9", 3478)
    response = error_response(parse_message(datagram.data), 300)
    response.attributes += [Attribute(A.ALTERNATE_SERVER, alternate), Attribute(A.ALTERNATE_DOMAIN, "b.example")]
    client.receive(Datagram(serialize_message(response), datagram.path), 1000.0)
    assert client.take_events()[0] == BindingFailed(300, "Try Alternate", alternate, "b.example")
    assert client.take_datagrams(1000.0) == ()


def test_alternate_server_counts_only_with_a_300(started):
    client, datagram = started
    response = error_response(parse_message(datagram.data), 400)
    response.attributes.append(Attribute(A.ALTERNATE_SERVER, MAPPED))
    client.receive(Datagram(serialize_message(response), datagram.path), 1000.0)
    assert client.take_events()[0].alternate_server is None


def test_error_response_without_a_code_is_a_failure(started):
    client, datagram = started
    message = parse_message(datagram.data)
    message.message_class = MessageClass.ERROR_RESPONSE
    client.receive(Datagram(serialize_message(message), datagram.path), 1000.0)
    assert client.take_events()[0].code == 0


def test_response_without_an_address_is_a_failure(started):
    client, datagram = started
    client.receive(respond(datagram), 1000.0)
    failed, ended = client.take_events()
    assert failed.code == 0 and ended.reason == "unusable_response"


@pytest.mark.parametrize("message_class", [MessageClass.SUCCESS_RESPONSE, MessageClass.ERROR_RESPONSE])
def test_response_with_an_unknown_required_attribute_is_a_failure(started, message_class):
    client, datagram = started
    attributes = [
        Attribute(A.XOR_MAPPED_ADDRESS, MAPPED),
        Attribute(A.ERROR_CODE, ErrorCode(400)),
        Attribute(0x0FFF, b""),
    ]
    message = Message(message_class, Method.BINDING, datagram.data[8:20], attributes)
    client.receive(Datagram(serialize_message(message), datagram.path), 1000.0)
    assert client.take_events()[-1].reason == "unusable_response"


# --- discards: each leaves the transaction as it was


def discarded(client, datagram, reason):
    deadline = client.deadline
    client.receive(datagram, 1000.1)
    assert client.stats.discards == {reason: 1}
    assert client.take_events() == () and client.take_datagrams(1000.1) == ()
    assert client.deadline == deadline and not client.is_terminated


@pytest.mark.parametrize(
    "remote", [Address("198.51.100.1", 3479), Address("198.51.100.2", 3478), Address("::ffff:198.51.100.1", 3478)]
)
def test_response_from_another_address_is_discarded(started, path, remote):
    client, datagram = started
    response = respond(datagram, (A.XOR_MAPPED_ADDRESS, MAPPED))
    discarded(client, Datagram(response.data, Path(path.local, remote)), "wrong_path")


def test_response_on_another_socket_is_discarded(started, path):
    client, datagram = started
    response = respond(datagram, (A.XOR_MAPPED_ADDRESS, MAPPED))
    discarded(client, Datagram(response.data, Path(Address("192.0.2.10", 50001), path.remote)), "wrong_path")


def test_empty_datagram_from_an_unrelated_address_is_discarded(started):
    client, _ = started
    discarded(client, Datagram(b"", Path(Address("10.0.0.1", 1), Address("10.0.0.2", 2))), "wrong_path")


@pytest.mark.parametrize("data", [b"", b"\0", bytes(20), b"\x80" * 40, b"\x16\xfe\xfd" + bytes(40)])
def test_datagram_that_is_not_stun_is_discarded(started, path, data):
    client, _ = started
    discarded(client, Datagram(data, path), "not_stun")


def test_response_with_another_transaction_id_is_discarded(started, path):
    client, datagram = started
    response = respond(datagram, (A.XOR_MAPPED_ADDRESS, MAPPED)).data
    discarded(client, Datagram(response[:8] + bytes(12) + response[20:], path), "unknown_transaction")


@pytest.mark.parametrize("message_class", [MessageClass.REQUEST, MessageClass.INDICATION])
def test_request_or_indication_is_discarded(started, path, message_class):
    client, datagram = started
    message = Message(message_class, Method.BINDING, datagram.data[8:20])
    discarded(client, Datagram(serialize_message(message), path), "not_a_response")


def test_own_request_reflected_is_discarded(started):
    client, datagram = started
    discarded(client, datagram, "not_a_response")


def test_response_to_another_method_is_discarded(started, path):
    client, datagram = started
    message = Message(MessageClass.SUCCESS_RESPONSE, Method.ALLOCATE, datagram.data[8:20])
    discarded(client, Datagram(serialize_message(message), path), "not_a_response")


def test_response_with_a_wrong_fingerprint_is_discarded(started, path):
    client, datagram = started
    response = success_response(parse_message(datagram.data), [Attribute(A.XOR_MAPPED_ADDRESS, MAPPED)])
    data = serialize_message(response, fingerprint=True)
    discarded(client, Datagram(data[:-1] + bytes([data[-1] ^ 1]), path), "bad_fingerprint")


def test_response_before_the_request_is_discarded(make_client, path):
    client = make_client()
    message = Message(MessageClass.SUCCESS_RESPONSE, Method.BINDING, bytes(12))
    client.receive(Datagram(serialize_message(message), path), 1000.0)
    assert client.stats.discards == {"unknown_transaction": 1}


def test_duplicate_and_late_responses_are_ignored(started):
    client, datagram = started
    response = respond(datagram, (A.XOR_MAPPED_ADDRESS, MAPPED))
    client.receive(response, 1000.1)
    client.receive(response, 1000.2)
    assert len(client.take_events()) == 2
    client.receive(response, 2000.0)
    assert client.take_events() == ()


def test_late_response_after_the_time_out_is_ignored(started):
    client, datagram = started
    while not client.is_terminated:
        client.handle_timer(client.deadline)
    client.take_events()
    client.receive(respond(datagram, (A.XOR_MAPPED_ADDRESS, MAPPED)), 1050.0)
    assert client.take_events() == ()


# --- ends and misuse


def test_second_start_is_refused_and_changes_nothing(started):
    client, _ = started
    with pytest.raises(InvalidState):
        client.start(1000.0)
    assert client.take_datagrams(1000.0) == ()


@pytest.mark.parametrize("verb", ["close", "abort"])
def test_end_is_reported_once_and_nothing_follows(started, verb):
    client, datagram = started
    getattr(client, verb)(1000.1)
    getattr(client, verb)(1000.2)
    client.start(1000.3)
    client.handle_timer(2000.0)
    client.receive(respond(datagram, (A.XOR_MAPPED_ADDRESS, MAPPED)), 2000.0)
    assert client.take_events() == [Terminated({"close": "closed", "abort": "aborted"}[verb])]
    assert client.take_datagrams(2000.0) == () and client.deadline == math.inf


def test_software_that_is_too_long_is_refused():
    with pytest.raises(InvalidArgument):
        BindingConfig(software="x" * 128)


def test_trace_tells_each_step(make_client):
    records = []
    client = make_client(trace=records.append)
    client.start(1000.0)
    client.receive(Datagram(b"", client.take_datagrams(1000.0)[0].path), 1000.1)
    client.close(1000.2)
    assert [(r.layer, r.name, r.at) for r in records] == [
        ("stun", "request_sent", 1000.0),
        ("stun", "discarded", 1000.1),
        ("stun", "terminated", 1000.2),
    ]


def test_equal_entropy_gives_equal_requests(make_client):
    first, second, other = make_client(seed=1), make_client(seed=1), make_client(seed=2)
    for client in (first, second, other):
        client.start(1000.0)
    data = [client.take_datagrams(1000.0)[0].data for client in (first, second, other)]
    assert data[0] == data[1] != data[2]


# --- simulation


@pytest.mark.parametrize("seed", range(40))
def test_answer_arrives_over_a_bad_link(make_client, path, seed):
    client = ContractMonitor(make_client(seed=seed))
    link = Link(
        client,
        BindingServer(),
        seed=seed,
        conditions=LinkConditions(delay_s=0.05, loss=0.25, duplication=0.3, reordering=0.3, corruption=0.1),
    )
    client.machine.start(link.now)
    link.run_until(lambda: client.is_terminated, within_s=40.0)
    outcome, ended = link.events[0]
    if ended.reason == "succeeded" and client.machine.stats.requests_sent == 1:
        # 50 ms each way, and up to 20 ms more where a datagram is held back.
        assert 0.0999 < outcome.rtt_s < 0.1401
    assert isinstance(outcome, BindingSucceeded | BindingFailed)
    client.check(link.now)


@pytest.mark.parametrize("seed", range(20))
def test_answer_is_right_over_a_link_that_only_loses(make_client, path, seed):
    client = make_client(seed=seed)
    link = Link(client, BindingServer(), seed=seed, conditions=LinkConditions(loss=0.3, duplication=0.3))
    client.start(link.now)
    link.run_until(lambda: client.is_terminated, within_s=40.0)
    assert link.events[0][0].mapped == path.local
