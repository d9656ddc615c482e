"""What must fail: forgers, strangers, replays, weakened challenges, wrong credentials, and data nobody asked for."""

import base64

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.machine import Address, Path
from sans_rtc.stun import (
    Attribute,
    AttributeType,
    IntegrityAlgorithm,
    Message,
    MessageClass,
    Method,
    PasswordAlgorithm,
    PasswordAlgorithmEntry,
    error_response,
    parse_message,
    serialize_message,
    success_response,
)
from sans_rtc.stun.long_term import STALE_NONCE_COUNT_MAX
from sans_rtc.turn import Allocated, AllocationFailed, ClientState, DataReceived, PeerRefused
from sans_rtc.turn.requests import CHALLENGE_COUNT_MAX

A = AttributeType
PEER, STRANGER = Address("198.51.100.77", 4000), Address("198.51.100.99", 4000)
MD5, SHA256 = (PasswordAlgorithmEntry(int(algorithm)) for algorithm in PasswordAlgorithm)


@pytest.fixture
def asking(scene):
    """A scene whose signed Allocate request waits for its answer."""
    scene.client.allocate(scene.now)
    (first,) = scene.client.take_datagrams(scene.now)
    for answer in scene.server.receive(first, scene.now):
        scene.client.receive(answer, scene.now)
    (scene.signed,) = scene.client.take_datagrams(scene.now)
    (scene.truth,) = scene.server.receive(scene.signed, scene.now)
    return scene


def goes_on(scene):
    """The request is still under way, and the truth is still taken."""
    assert scene.client.state is ClientState.ALLOCATING and scene.client.take_events() == ()
    scene.client.receive(scene.truth, scene.now)
    scene.pump()
    return len(scene.take(Allocated)) == 1


def forged(scene, *attributes, key=None, algorithm=IntegrityAlgorithm.SHA1, code=None, fingerprint=False):
    request = parse_message(scene.signed.data)
    response = error_response(request, code) if code else success_response(request)
    response.attributes += [Attribute(*pair) for pair in attributes]
    return serialize_message(response, key=key, algorithm=algorithm, fingerprint=fingerprint)


ALLOCATION = [(A.XOR_RELAYED_ADDRESS, STRANGER), (A.XOR_MAPPED_ADDRESS, STRANGER), (A.LIFETIME, 600)]


# --- credentials


@pytest.mark.parametrize("wrong", [{"password": "wrong"}, {"username": "mallory"}])
def test_wrong_credentials_are_named(make_scene, wrong):
    scene = make_scene(**wrong)
    scene.client.allocate(scene.now)
    scene.pump()
    assert scene.terminated.reason == "unauthenticated" and scene.terminated.detail.startswith("401 Unauthenticated")
    assert len(scene.sent) == 2  # one without credentials, one with; RFC 8656 section 7.4: no further requests


def test_wrong_realm_in_the_key_is_refused_by_the_server(scene):
    scene.server.requires_authentication = True
    realms = iter(["one", "two", "two"])
    challenge = scene.server.challenge

    def changing(request, data):
        scene.server.realm = next(realms, "two")
        return challenge(request, data)

    scene.server.challenge = changing
    scene.client.allocate(scene.now)
    scene.pump()
    # The realm changed once between the challenges: the key is made anew, and fits.
    assert len(scene.take(Allocated)) == 1 and scene.client.explain().realm == "two"


def test_realms_that_change_for_ever_come_to_an_end(scene):
    challenge = scene.server.challenge

    def changing(request, data):
        scene.server.realm += "x"
        return challenge(request, data)

    scene.server.challenge = changing
    scene.client.allocate(scene.now)
    scene.pump()
    assert scene.terminated.reason == "unauthenticated" and len(scene.sent) == CHALLENGE_COUNT_MAX + 1


def test_expired_nonce_is_renewed_without_anybody_noticing(ready):
    ready.server.serial += 1
    ready.advance(540)
    assert [message.method for message in ready.requests(Method.REFRESH)] == [Method.REFRESH] * 2
    assert ready.events == [] and len(ready.server.requests) == 1
    assert ready.client.stats.challenges == 2  # that of the Allocate request, and this


def test_nonces_that_never_hold_end_by_name(ready):
    challenge = ready.server.challenge

    def stale(request, data):
        response = challenge(request, data)
        ready.server.serial += 1
        return response

    ready.server.serial += 1
    ready.server.challenge = stale
    ready.advance(540)
    assert ready.terminated.reason == "stale_nonce"
    assert len(ready.sent) == STALE_NONCE_COUNT_MAX + 1


def test_many_requests_with_one_stale_nonce_are_all_renewed(ready):
    ready.server.serial += 1
    for index in range(40):
        ready.client.create_permission(f"198.51.100.{index}", ready.now)
    ready.pump()
    assert len(ready.server.permissions) == 40 and ready.events == []


# --- rotation


def test_new_password_of_the_same_user_is_used_once_the_old_is_refused(ready):
    ready.client.set_credentials("alice", "new secret", ready.now)
    ready.advance(540)
    assert ready.events == [] and len(ready.sent) == 1  # the old one still holds
    ready.server.password = "new secret"
    ready.advance(540)
    assert ready.events == [] and len(ready.sent) == 3
    ready.advance(540)
    assert ready.events == [] and len(ready.sent) == 4


def test_credentials_of_another_user_do_not_disturb_the_allocation(ready):
    ready.client.set_credentials("bob", "hunter2", ready.now)
    ready.advance(600)
    assert ready.events == [] and ready.server.requests[-1].value(A.USERNAME) == "alice"


def test_wrong_new_credentials_end_by_name(ready):
    ready.client.set_credentials("alice", "wrong", ready.now)
    ready.server.password = "new secret"
    ready.advance(540)
    assert ready.terminated.reason == "unauthenticated"


def test_refusal_of_what_was_taken_before_is_believed_over_udp_only_if_nobody_says_better(ready):
    ready.server.password, right = "changed", ready.server.password
    ready.advance(545)
    assert ready.events == [] and ready.discards["unproven_refusal"] >= 1
    ready.server.password = right
    ready.advance(30)
    assert ready.events == [] and len(ready.server.requests) == 1
    ready.server.password = "changed"
    ready.advance(600)
    assert ready.terminated.reason == "unauthenticated" and ready.terminated.detail.startswith("401")


def test_refusal_of_what_was_taken_before_is_believed_at_once_over_a_stream(make_scene):
    scene = make_scene("tls")
    scene.allocated()
    scene.server.password = "changed"
    scene.advance(540)
    assert scene.terminated.reason == "unauthenticated"


def test_credentials_set_before_the_start_are_used(scene):
    scene.server.user, scene.server.password = "bob", "hunter2"
    scene.client.set_credentials("bob", "hunter2", scene.now)
    scene.allocated()
    assert scene.client.explain().username == "bob"


def test_credentials_set_while_the_first_request_is_under_way_are_used(scene):
    scene.server.user, scene.server.password = "bob", "hunter2"
    scene.client.allocate(scene.now)
    scene.client.set_credentials("bob", "hunter2", scene.now)
    scene.pump()
    assert len(scene.take(Allocated)) == 1


@pytest.mark.parametrize("pair", [("", ""), ("u", ""), ("", "p"), ("u\0", "p"), ("u" * 509, "p")])
def test_credentials_that_cannot_be_used_are_refused_and_change_nothing(ready, pair):
    with pytest.raises(InvalidArgument):
        ready.client.set_credentials(*pair, ready.now)
    ready.advance(540)
    assert ready.events == []


# --- forged and replayed responses


@pytest.mark.parametrize("code", [None, 300, 400, 403, 437, 441, 486, 508])
@pytest.mark.parametrize("key", [None, b"wrong key"])
def test_forged_response_is_counted_and_the_request_goes_on(asking, code, key):
    asking.deliver(forged(asking, *ALLOCATION, key=key, code=code))
    assert asking.discards == {"not_authentic": 1} and goes_on(asking)


def test_response_signed_for_other_credentials_is_not_taken(asking):
    asking.server.password = "other"
    asking.deliver(forged(asking, *ALLOCATION, key=asking.server.key()))
    assert asking.discards == {"not_authentic": 1} and goes_on(asking)


def test_response_changed_on_the_way_is_not_taken(asking):
    data = bytearray(asking.truth.data)
    data[30] ^= 1
    asking.deliver(bytes(data))
    assert asking.discards == {"not_authentic": 1} and goes_on(asking)


def test_what_only_forgers_said_is_told_at_the_end(asking):
    asking.deliver(forged(asking, code=486))
    asking.server.is_silent = True
    asking.advance(40)
    assert asking.terminated.reason == "timed_out"
    assert "one that is not says 486 Allocation Quota Reached" in asking.terminated.detail


def test_bad_fingerprint_is_counted(asking):
    data = bytearray(forged(asking, *ALLOCATION, key=asking.server.key(), fingerprint=True))
    data[-1] ^= 1
    asking.deliver(bytes(data))
    assert asking.discards == {"bad_fingerprint": 1} and goes_on(asking)


def test_replayed_response_is_a_strangers(ready):
    ready.advance(540)
    (datagram,) = ready.sent
    (replay,) = ready.server.receive(datagram, ready.now)
    before = ready.client.explain().expires_at
    ready.deliver(replay.data)
    assert ready.discards == {"unknown_transaction": 1} and ready.client.explain().expires_at == before


def test_response_of_another_method_is_a_strangers(asking):
    request = parse_message(asking.signed.data)
    request.method = Method.REFRESH
    asking.deliver(serialize_message(success_response(request), key=asking.server.key()))
    assert asking.discards == {"unknown_transaction": 1} and goes_on(asking)


@pytest.mark.parametrize(
    "path",
    [
        Path(Address("192.0.2.10", 50000), Address("198.51.100.1", 3479)),
        Path(Address("192.0.2.10", 50000), Address("198.51.100.2", 3478)),
        Path(Address("192.0.2.10", 50001), Address("198.51.100.1", 3478)),
        Path(Address("192.0.2.10", 50000), Address("198.51.100.1", 3478), "tcp"),
    ],
)
def test_response_from_a_stranger_is_counted_though_it_is_true(asking, path):
    asking.deliver(asking.truth.data, path)
    assert asking.discards == {"wrong_path": 1} and goes_on(asking)


def test_old_nonce_does_not_make_its_true_answer_a_lie(ready):
    """Two requests under way; the challenge of one changes the nonce; the answer to the other is still taken."""
    ready.client.create_permission("198.51.100.1", ready.now)
    ready.client.create_permission("198.51.100.2", ready.now)
    first, second = ready.client.take_datagrams(ready.now)
    (granted,) = ready.server.receive(first, ready.now)
    ready.server.serial += 1
    (stale,) = ready.server.receive(second, ready.now)
    ready.deliver(stale.data)
    ready.deliver(granted.data)
    assert ready.discards == {} and ready.client.explain().permissions[0].state == "granted"


# --- bid-down


def cookie(features):
    return b"obMatJos2" + base64.b64encode(features.to_bytes(3, "big")) + b"nonce"


@pytest.mark.parametrize("algorithms", [None, (), (PasswordAlgorithmEntry(0x7777),)])
def test_challenge_with_the_algorithms_taken_out_is_not_answered(scene, algorithms):
    scene.client.allocate(scene.now)
    (datagram,) = scene.client.take_datagrams(scene.now)
    response = error_response(parse_message(datagram.data), 401)
    response.attributes += [Attribute(A.REALM, "example.org"), Attribute(A.NONCE, cookie(1))]
    if algorithms is not None:
        response.attributes.append(Attribute(A.PASSWORD_ALGORITHMS, algorithms))
    scene.deliver(serialize_message(response))
    assert scene.client.take_datagrams(scene.now) == () and scene.discards == {"unusable_challenge": 1}
    scene.server.is_silent = True
    scene.advance(40)
    assert scene.terminated.reason == "unusable_challenge"


def test_weakened_challenge_does_not_keep_the_true_one_out(scene, make_server):
    scene.server = make_server(algorithms=(SHA256,))
    scene.client.allocate(scene.now)
    (datagram,) = scene.client.take_datagrams(scene.now)
    response = error_response(parse_message(datagram.data), 401)
    response.attributes += [Attribute(A.REALM, "example.org"), Attribute(A.NONCE, cookie(1))]
    scene.deliver(serialize_message(response))
    (truth,) = scene.server.receive(datagram, scene.now)
    scene.deliver(truth.data)
    scene.pump()
    assert len(scene.take(Allocated)) == 1


def test_sha1_is_not_taken_where_sha256_was_agreed(make_scene, make_server):
    scene = make_scene(server=make_server(algorithms=(MD5, SHA256)))
    scene.allocated()
    scene.client.create_permission("198.51.100.77", scene.now)
    (datagram,) = scene.client.take_datagrams(scene.now)
    response = success_response(parse_message(datagram.data))
    scene.deliver(serialize_message(response, key=scene.server.response_key))
    assert scene.discards == {"not_authentic": 1}


def test_stale_nonce_that_weakens_the_algorithms_is_not_answered(make_scene, make_server):
    scene = make_scene(server=make_server(algorithms=(SHA256,)))
    scene.allocated()
    scene.client.create_permission("198.51.100.77", scene.now)
    (datagram,) = scene.client.take_datagrams(scene.now)
    response = error_response(parse_message(datagram.data), 438)
    response.attributes += [Attribute(A.REALM, "example.org"), Attribute(A.NONCE, b"plain nonce")]
    scene.deliver(serialize_message(response))
    assert scene.client.take_datagrams(scene.now) == () and scene.discards == {"unusable_challenge": 1}


# --- data


@pytest.mark.proves("RFC8656-11.4-1-6280", "RFC8656-11.6-1-28bc")
def test_data_of_a_peer_without_permission_are_dropped(ready):
    assert ready.from_peer(b"hello") == [] and ready.discards == {"no_permission": 1}


def test_data_after_the_permission_has_expired_are_dropped(ready):
    ready.client.create_permission(PEER.host, ready.now)
    ready.pump()
    ready.server.is_silent = True
    ready.now += 300
    assert ready.from_peer(b"late") == [] and ready.discards == {"no_permission": 1}


@pytest.mark.proves("RFC8656-12.6-1-6058")
def test_data_on_a_channel_whose_permission_has_expired_are_dropped(ready):
    ready.client.bind_channel(PEER, ready.now)
    ready.pump()
    ready.take()
    ready.now += 300
    assert not [e for e in ready.on_channel(0x4000, b"late") if isinstance(e, DataReceived)]
    assert ready.discards == {"no_permission": 1}


def test_data_that_a_stranger_sends_in_the_servers_name_from_elsewhere_are_dropped(ready, indication):
    ready.client.create_permission(PEER.host, ready.now)
    ready.pump()
    elsewhere = Path(ready.path.local, Address("198.51.100.1", 3479))
    assert ready.deliver(indication(b"hello"), elsewhere) == [] and ready.discards == {"wrong_path": 1}


def test_data_on_a_channel_that_nobody_has_bound_are_dropped(ready):
    assert ready.on_channel(0x4000, b"hello") == [] and ready.discards == {"unknown_channel": 1}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"\x80rtp", "unknown_kind"),
        (b"\x16dtls", "unknown_kind"),
        (b"\x50\x00\x00\x00", "unknown_kind"),
        (b"\x00\x01", "malformed_stun"),
        (b"\x40", "malformed_channel_data"),
        (b"\x40\x00\x00", "malformed_channel_data"),
    ],
)
def test_what_is_neither_stun_nor_channel_data_is_counted(ready, data, reason):
    assert ready.deliver(data) == [] and ready.discards == {reason: 1}


def test_channel_data_that_claim_more_than_there_is_are_dropped(ready):
    ready.client.bind_channel(PEER, ready.now)
    ready.pump()
    assert ready.deliver(b"\x40\x00\x00\x05abcd") == [] and ready.discards == {"malformed_channel_data": 1}


def test_indications_field_by_field(ready, indication):
    ready.client.create_permission(PEER.host, ready.now)
    ready.pump()
    for data in (
        indication(b"x", None),
        indication(None),
        serialize_message(
            Message(
                MessageClass.INDICATION,
                Method.DATA,
                bytes(12),
                [Attribute(A.XOR_PEER_ADDRESS, PEER), Attribute(A.DATA, b""), Attribute(0x7FFF, b"")],
            )
        ),
    ):
        assert ready.deliver(data) == []
    assert ready.discards == {"malformed_indication": 3}


@pytest.mark.parametrize("method", [Method.BINDING, Method.SEND, Method.CONNECTION_ATTEMPT])
@pytest.mark.parametrize("message_class", [MessageClass.REQUEST, MessageClass.INDICATION])
def test_messages_that_clients_do_not_take_are_counted(ready, message_class, method):
    assert ready.deliver(serialize_message(Message(message_class, method, bytes(12)))) == []
    assert ready.discards == {"unexpected_stun": 1}


def test_forged_refusal_does_not_hurt_a_peer(ready):
    ready.client.create_permission(PEER.host, ready.now)
    (datagram,) = ready.client.take_datagrams(ready.now)
    ready.deliver(serialize_message(error_response(parse_message(datagram.data), 403), key=b"guess"))
    assert ready.take(PeerRefused, AllocationFailed) == [] and ready.discards == {"not_authentic": 1}
