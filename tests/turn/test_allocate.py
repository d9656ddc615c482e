"""The allocation: what is asked for, what is taken, how long it lasts, how it ends."""

import math

import pytest

from sans_rtc.errors import InvalidState
from sans_rtc.machine import Address, Terminated
from sans_rtc.streams import StreamUnneeded
from sans_rtc.stun import (
    AddressErrorCode,
    Attribute,
    AttributeType,
    IntegrityAlgorithm,
    Method,
    PasswordAlgorithm,
    PasswordAlgorithmEntry,
    has_integrity,
    parse_message,
)
from sans_rtc.turn import Allocated, AllocationFailed, ClientState, FamilyRefused

A = AttributeType
MAPPED, RELAYED, RELAYED6 = Address("203.0.113.7", 61000), Address("198.51.100.1", 50002), Address("2001:db8::1", 50004)
MD5, SHA256 = (PasswordAlgorithmEntry(int(algorithm)) for algorithm in PasswordAlgorithm)


def types_of(message):
    return [attribute.type for attribute in message.attributes]


# --- happy path


@pytest.mark.proves(
    "RFC8656-5-1-b3ca",
    "RFC5389-6-6-9372",
    "RFC5389-10.2.3-2-f522",
    "RFC5389-10.2.3-3-69a9",
    "RFC5389-10.2.3-4-5d0e",
    "RFC5389-10.2.3-5-a3d2",
    "RFC8445-5.1.1.2-6-b99e",
    "RFC5389-10.2.1.1-1-1ac3",
    "RFC5389-10.2.3-1-5ea5",
)
def test_allocation_takes_two_requests_the_first_without_credentials(make_scene, make_server, protocol):
    scene = make_scene(protocol)
    scene.client.allocate(scene.now)
    scene.pump()
    first, second = scene.requests(Method.ALLOCATE)
    assert types_of(first) == [A.REQUESTED_TRANSPORT] and first.value(A.REQUESTED_TRANSPORT) == 17
    assert types_of(second) == [A.REQUESTED_TRANSPORT, A.USERNAME, A.REALM, A.NONCE, A.MESSAGE_INTEGRITY]
    assert first.transaction_id != second.transaction_id
    assert scene.events == [Allocated((RELAYED,), MAPPED, 600)]
    assert scene.client.relayed_addresses == (RELAYED,) and scene.client.mapped_address == MAPPED
    assert scene.client.state is ClientState.ALLOCATED


@pytest.mark.proves("RFC8656-6-3-c836")
@pytest.mark.parametrize("anonymity", [False, True])
@pytest.mark.parametrize("algorithms", [(MD5,), (SHA256,), (MD5, SHA256), (SHA256, MD5)])
def test_password_algorithms_are_answered_with_sha256_where_it_is_offered(
    make_scene, make_server, algorithms, anonymity
):
    scene = make_scene(server=make_server(algorithms=algorithms, anonymity=anonymity))
    scene.allocated()
    assert scene.client.explain().signed_with == IntegrityAlgorithm.SHA256.name
    scene.client.create_permission("198.51.100.77", scene.now)
    scene.pump()
    (permission,) = scene.server.requests
    expected = SHA256 if SHA256 in algorithms else MD5
    assert permission.value(A.PASSWORD_ALGORITHM) == expected
    assert permission.value(A.PASSWORD_ALGORITHMS) == algorithms
    assert (permission.value(A.USERHASH) is not None, permission.value(A.USERNAME) is not None) == (
        anonymity,
        not anonymity,
    )


def test_server_that_asks_for_no_credentials_is_taken(make_scene, make_server):
    scene = make_scene(username="", password="")
    scene.server.requires_authentication = False
    scene.allocated()
    assert len(scene.server.requests) == 0 and scene.client.explain().signed_with is None


def test_client_without_credentials_is_refused_by_name(make_scene):
    scene = make_scene(username="", password="")
    scene.client.allocate(scene.now)
    scene.pump()
    assert scene.terminated.reason == "unauthenticated"


@pytest.mark.proves(
    "RFC8656-7.1-4-26ab",
    "RFC8656-7.1-5-57be",
    "RFC8656-7.1-6-1cda",
    "RFC8656-7.1-7-de8c",
    "RFC8656-7.1-8-a924",
    "RFC8656-7.1-11-c907",
)
@pytest.mark.parametrize(
    ("changes", "attributes"),
    [
        ({"lifetime_s": 1200}, {A.LIFETIME: 1200}),
        ({"families": (6,)}, {A.REQUESTED_ADDRESS_FAMILY: 2}),
        ({"families": (4, 6)}, {A.ADDITIONAL_ADDRESS_FAMILY: 2, 0x8032: b"\2\0\0\0"}),
        ({"families": (6, 4)}, {A.ADDITIONAL_ADDRESS_FAMILY: 2, 0x8032: b"\2\0\0\0"}),
        ({"even_port": True}, {A.EVEN_PORT: False}),
        ({"reserve_next": True}, {A.EVEN_PORT: True}),
        ({"reservation_token": b"12345678"}, {A.RESERVATION_TOKEN: b"12345678"}),
        ({"reservation_token": b"12345678", "families": (6,)}, {A.RESERVATION_TOKEN: b"12345678"}),
        ({"dont_fragment": True}, {A.DONT_FRAGMENT: True}),
        ({"software": "test"}, {A.SOFTWARE: "test"}),
    ],
)
def test_request_asks_for_what_the_configuration_says(make_scene, changes, attributes):
    scene = make_scene(**changes)
    scene.client.allocate(scene.now)
    (datagram,) = scene.client.take_datagrams(scene.now)
    request = parse_message(datagram.data)
    assert {a.type: a.value for a in request.attributes} == {A.REQUESTED_TRANSPORT: 17, **attributes}


def test_dual_allocation_gives_both_addresses_ipv4_first(make_scene):
    scene = make_scene(families=(4, 6))
    scene.server.relayed_addresses = [RELAYED6, RELAYED]
    assert scene.allocated() == Allocated((RELAYED, RELAYED6), MAPPED, 600)
    assert scene.client.overhead_bytes == 48


@pytest.mark.parametrize(("code", "name"), [(440, "Address Family not Supported"), (508, "Insufficient Capacity")])
def test_address_error_code_names_the_missing_family(make_scene, code, name):
    scene = make_scene(families=(4, 6))
    scene.server.address_error = AddressErrorCode(2, code, "none left")
    event = scene.allocated()
    assert event.relayed == (RELAYED,) and event.refused == (FamilyRefused(6, code, name, "none left"),)
    assert scene.client.explain().refused_families == event.refused


@pytest.mark.parametrize(
    ("value", "codes"),
    [(b"\2\0\4\x28none", [440]), (b"\2\0\4", []), (b"\2\0\0\0", []), (b"\7\0\4\x28", [])],
)
def test_address_error_code_under_the_number_of_the_draft_is_read(make_scene, value, codes):
    scene = make_scene(families=(4, 6))
    alter_allocation(scene, lambda response: response.attributes.append(Attribute(0x8033, value)))
    assert [refused.code for refused in scene.allocated().refused] == codes


def test_reservation_token_is_handed_over(make_scene):
    scene = make_scene(reserve_next=True)
    scene.server.token = b"87654321"
    assert scene.allocated().reservation_token == b"87654321"


def test_reserved_port_may_be_of_any_family(make_scene):
    scene = make_scene(reservation_token=b"87654321")
    scene.server.relayed_addresses = [RELAYED6]
    assert scene.allocated().relayed == (RELAYED6,)


def test_server_that_cannot_keep_from_fragmenting_is_used_without(make_scene):
    scene = make_scene(dont_fragment=True)
    scene.server.errors[Method.ALLOCATE] = [(420, "", Attribute(A.UNKNOWN_ATTRIBUTES, (int(A.DONT_FRAGMENT),)))]
    scene.allocated()
    assert scene.client.explain().dont_fragment is False and scene.client.overhead_bytes == 36


def test_other_unknown_attributes_are_an_end(make_scene):
    scene = make_scene(dont_fragment=True)
    scene.server.errors[Method.ALLOCATE] = [(420, "", Attribute(A.UNKNOWN_ATTRIBUTES, (int(A.REQUESTED_TRANSPORT),)))]
    scene.client.allocate(scene.now)
    scene.pump()
    assert scene.terminated.reason == "unknown_attribute"


# --- errors, by name


@pytest.mark.proves(
    "RFC8656-7.4-9-7030",
    "RFC8656-7.4-14-3806",
    "RFC8656-7.4-2-1eb2",
    "RFC8656-7.4-3-727b",
    "RFC8656-7.4-4-06ad",
    "RFC8656-7.4-5-e2fb",
    "RFC8656-7.4-8-eac4",
    "RFC8656-7.4-10-e2fb",
    "RFC8656-7.4-11-606b",
    "RFC8656-7.4-12-af18",
    "RFC8656-7.4-13-865f",
    "RFC5389-15.6-8-0ef8",
)
@pytest.mark.parametrize(
    ("code", "reason", "name"),
    [
        (300, "try_alternate", "Try Alternate"),
        (400, "bad_request", "Bad Request"),
        (403, "forbidden", "Forbidden"),
        (420, "unknown_attribute", "Unknown Attribute"),
        (437, "allocation_mismatch", "Allocation Mismatch"),
        (440, "address_family_not_supported", "Address Family not Supported"),
        (441, "wrong_credentials", "Wrong Credentials"),
        (442, "unsupported_transport_protocol", "Unsupported Transport Protocol"),
        (443, "peer_address_family_mismatch", "Peer Address Family Mismatch"),
        (486, "allocation_quota_reached", "Allocation Quota Reached"),
        (500, "server_error", "Server Error"),
        (508, "insufficient_capacity", "Insufficient Capacity"),
        (699, "refused", "Unknown Error"),
    ],
)
def test_error_reaches_the_application_by_name_with_the_servers_reason(scene, code, reason, name):
    scene.server.errors[Method.ALLOCATE] = [(code, "because I say so")]
    scene.client.allocate(scene.now)
    scene.pump()
    (event,) = scene.take(AllocationFailed)
    assert (event.code, event.name, event.was_allocated) == (code, name, False)
    assert event.reason.startswith("because I say so")
    assert scene.terminated.reason == reason
    assert scene.terminated.detail.startswith(f"{code} {name}: because I say so")


def test_mismatch_at_the_start_says_what_helps(scene):
    scene.server.errors[Method.ALLOCATE] = [(437, "in use")]
    scene.client.allocate(scene.now)
    scene.pump()
    assert "take another port" in scene.terminated.detail


# --- responses of no use


def alter_allocation(scene, change):
    respond = scene.server.on_allocate

    def altered(request, now):
        response = respond(request, now)
        change(response)
        return response

    scene.server.on_allocate = altered


def without(type_):
    def change(response):
        response.attributes = [a for a in response.attributes if a.type != type_]

    return change


@pytest.mark.proves("RFC8656-7.3-1-a08f", "RFC8656-7.3-2-ddef")
@pytest.mark.parametrize(
    "change",
    [
        without(A.XOR_RELAYED_ADDRESS),
        without(A.XOR_MAPPED_ADDRESS),
        lambda response: response.attributes.append(Attribute(A.XOR_RELAYED_ADDRESS, RELAYED6)),
        lambda response: response.attributes.append(Attribute(A.XOR_RELAYED_ADDRESS, RELAYED)),
        lambda response: response.attributes.__setitem__(0, Attribute(A.XOR_RELAYED_ADDRESS, Address("1.2.3.4", 0))),
        lambda response: response.attributes.__setitem__(2, Attribute(A.LIFETIME, 0)),
    ],
)
def test_response_of_no_use_ends_the_client_and_gives_the_allocation_back(scene, change):
    alter_allocation(scene, change)
    scene.client.allocate(scene.now)
    scene.pump()
    assert scene.terminated.reason == "unusable_response"
    (delete,) = scene.requests(Method.REFRESH)
    assert delete.value(A.LIFETIME) == 0


def test_response_with_an_unknown_required_attribute_is_of_no_use(scene):
    alter_allocation(scene, lambda response: response.attributes.append(Attribute(0x7FFF, b"")))
    scene.client.allocate(scene.now)
    scene.pump()
    assert scene.terminated.reason == "unusable_response"


def test_response_without_lifetime_lasts_ten_minutes(scene):
    alter_allocation(scene, without(A.LIFETIME))
    assert scene.allocated().lifetime_s == 600


def test_endless_lifetime_is_refreshed_within_a_day(scene):
    scene.server.lifetime_s = 0xFFFFFFFF
    scene.allocated()
    assert scene.client.deadline <= scene.now + 86_400


# --- timers


def test_request_over_udp_is_sent_at_the_times_of_rfc_8489_then_fails(scene):
    scene.server.is_silent = True
    scene.client.allocate(scene.now)
    scene.pump()
    times, start = [], scene.now
    while not scene.client.is_terminated:
        sent = len(scene.sent)
        scene.advance(scene.client.deadline - scene.now)
        times += [round((scene.now - start) * 1000)] * (len(scene.sent) - sent)
    assert times == [500, 1500, 3500, 7500, 15500, 31500] and scene.now == start + 39.5
    assert scene.terminated == Terminated("timed_out", "Timeout: the server does not answer")
    assert scene.client.stats.retransmissions == 6
    assert scene.events[0] == AllocationFailed(0, "Timeout", "the server does not answer", False)


@pytest.mark.proves("RFC5389-7.2.2-6-232e")
@pytest.mark.parametrize("protocol", ["tcp", "tls"])
def test_request_over_a_stream_is_sent_once_and_fails_after_ti(make_scene, protocol):
    scene = make_scene(protocol)
    scene.server.is_silent = True
    scene.client.allocate(scene.now)
    scene.pump()
    assert scene.client.deadline == scene.now + 39.5
    scene.advance(39.5)
    assert scene.terminated.reason == "timed_out" and len(scene.sent) == 1


def test_lost_request_is_made_up_for(scene):
    scene.server.is_silent = True
    scene.client.allocate(scene.now)
    scene.pump()
    scene.server.is_silent = False
    scene.advance(0.5)
    assert len(scene.take(Allocated)) == 1


@pytest.mark.proves("RFC8656-8-1-f9c1")
@pytest.mark.parametrize(("lifetime_s", "after_s"), [(600, 540), (3600, 3540), (100, 50), (1, 0.5)])
def test_allocation_is_refreshed_before_it_expires(make_scene, lifetime_s, after_s):
    scene = make_scene()
    scene.server.lifetime_s = lifetime_s
    scene.allocated()
    assert scene.client.deadline == scene.now + after_s
    for _ in range(3):
        scene.advance(after_s)
    assert [r.value(A.LIFETIME) for r in scene.server.requests] == [600] * 3
    assert scene.events == []


def test_refresh_that_is_not_answered_ends_the_client(ready):
    ready.server.is_silent = True
    ready.advance(600)
    assert ready.terminated.reason == "timed_out"
    assert ready.events[0].was_allocated


def test_allocation_that_expires_before_the_answer_ends_the_client(make_scene):
    scene = make_scene()
    scene.server.lifetime_s = 20
    scene.allocated()
    scene.server.is_silent = True
    scene.advance(20)
    assert scene.terminated.reason == "expired"


def test_client_that_slept_too_long_says_so(ready):
    ready.now += 5000
    ready.client.handle_timer(ready.now)
    ready.pump()
    assert ready.terminated.reason == "expired"


def test_refresh_granting_nothing_ends_the_client(ready):
    ready.server.lifetime_s = 0
    ready.advance(540)
    assert ready.terminated.reason == "expired"


@pytest.mark.parametrize(
    ("code", "reason"), [(437, "allocation_mismatch"), (441, "wrong_credentials"), (400, "bad_request")]
)
def test_refresh_that_is_refused_ends_the_client_by_name(ready, code, reason):
    ready.server.errors[Method.REFRESH] = [(code, "")]
    ready.advance(540)
    assert ready.terminated.reason == reason
    assert (ready.events[0].code, ready.events[0].was_allocated) == (code, True)


def test_mismatch_of_an_allocation_says_that_a_new_one_helps(ready):
    ready.server.has_allocation = False
    ready.advance(540)
    assert "a NAT has changed it: make a new one" in ready.terminated.detail


@pytest.mark.proves("RFC5389-7.3.4-2-1dd6")
def test_refresh_that_meets_a_server_error_is_tried_again_while_there_is_time(ready):
    ready.server.errors[Method.REFRESH] = [(500, ""), (508, "")]
    ready.advance(599)
    assert ready.events == [] and len(ready.server.requests) == 3
    ready.server.errors[Method.REFRESH] = [(500, "")] * 100
    ready.advance(1000)
    assert ready.terminated.reason == "expired"


def test_keepalive_goes_where_nothing_else_does_over_udp_only(make_scene, protocol):
    scene = make_scene(protocol, keepalive_s=15.0)
    scene.allocated()
    scene.advance(14.9)
    assert scene.sent == []
    scene.advance(0.1)
    if protocol != "udp":
        assert scene.sent == []
        return
    (datagram,) = scene.sent
    message = parse_message(datagram.data)
    assert (message.message_class.name, message.method) == ("INDICATION", Method.BINDING)
    scene.advance(10)
    scene.send()
    sent = len(scene.sent)
    scene.advance(14.9)
    assert len(scene.sent) == sent


# --- the end


@pytest.mark.proves("RFC8656-8-2-bbf0")
def test_close_deletes_the_allocation_and_ends(ready):
    ready.client.close(ready.now)
    assert ready.client.state is ClientState.CLOSING
    ready.pump()
    (request,) = ready.server.requests
    assert request.value(A.LIFETIME) == 0 and not ready.server.has_allocation
    assert ready.events == [Terminated("closed")] and ready.terminated


def test_close_of_an_allocation_that_is_gone_is_a_success(ready):
    ready.server.has_allocation = False
    ready.client.close(ready.now)
    ready.pump()
    assert ready.events == [Terminated("closed")]


def test_close_does_not_wait_for_ever(ready):
    ready.server.is_silent = True
    ready.client.close(ready.now)
    ready.pump()
    ready.client.close(ready.now)
    ready.advance(5)
    assert ready.events == [Terminated("closed", "the server has not confirmed it")]


def test_close_takes_a_stale_nonce(ready):
    ready.server.serial += 1
    ready.client.close(ready.now)
    ready.pump()
    assert not ready.server.has_allocation and ready.terminated.reason == "closed"


def test_close_while_allocating_gives_back_what_comes(scene):
    scene.client.allocate(scene.now)
    scene.client.close(scene.now)
    scene.pump()
    assert scene.events == [Terminated("closed")] and not scene.server.has_allocation
    assert [request.method for request in scene.server.requests] == [Method.ALLOCATE, Method.REFRESH]


@pytest.mark.parametrize("verb", ["close", "abort"])
def test_end_before_the_start_is_at_once(scene, verb):
    getattr(scene.client, verb)(scene.now)
    scene.pump()
    assert scene.events == [Terminated(verb + ("d" if verb == "close" else "ed"))]
    assert scene.sent == []


def test_abort_tells_the_server_once_and_ends(ready):
    ready.client.abort(ready.now)
    assert ready.client.is_terminated
    ready.pump()
    assert ready.events == [Terminated("aborted")] and not ready.server.has_allocation


def test_stream_is_not_needed_after_the_end(make_scene):
    scene = make_scene("tcp")
    scene.allocated()
    scene.client.close(scene.now)
    scene.pump()
    assert scene.events == [StreamUnneeded(scene.path), Terminated("closed")]


def test_after_the_end_inputs_are_ignored(ready):
    ready.client.abort(ready.now)
    ready.pump()
    client, now = ready.client, ready.now
    client.allocate(now)
    client.send(b"", Address("1.2.3.4", 5), now)
    client.create_permission("1.2.3.4", now)
    client.bind_channel(Address("1.2.3.4", 5), now)
    client.connect(Address("1.2.3.4", 5), now)
    client.disconnect(Address("1.2.3.4", 5), now)
    client.stream_opened(ready.path, now)
    client.stream_closed(ready.path, "", now)
    client.handle_timer(now)
    client.close(now)
    client.abort(now)
    ready.from_peer(b"late")
    assert client.take_events() == () and client.take_datagrams(now) == () and client.deadline == math.inf


def test_trace_tells_the_steps_and_no_secret(make_scene):
    records = []
    scene = make_scene(trace=records.append)
    scene.allocated()
    scene.deliver(b"\xff")
    scene.from_peer(b"x")
    scene.client.close(scene.now)
    scene.pump()
    assert {record.layer for record in records} == {"turn"}
    assert [record.name for record in records] == [
        "state_entered",
        "request_sent",
        "request_sent",
        "answered",
        "state_entered",
        "state_entered",
        "request_sent",
        "answered",
        "state_entered",
    ]
    assert "secret" not in repr(records)


def test_allocate_twice_is_refused(scene):
    scene.client.allocate(scene.now)
    with pytest.raises(InvalidState):
        scene.client.allocate(scene.now)


@pytest.mark.proves("RFC5389-10.2.1.2-1-e057", "RFC5389-10.2.1.2-2-2efa", "RFC5389-10.2.1.2-3-21b3")
def test_requests_are_signed_once_challenged(ready):
    ready.advance(540)
    (refresh,) = ready.sent
    assert has_integrity(refresh.data)
