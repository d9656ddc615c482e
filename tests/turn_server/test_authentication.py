"""Whose request is it (RFC 8489 section 9.2.4)? Challenges, passwords, algorithms, nonces, users, and refusals."""

import base64
import hashlib
import hmac

import pytest

from sans_rtc.machine import Address
from sans_rtc.stun import (
    Attribute,
    AttributeType,
    Method,
    PasswordAlgorithmEntry,
    SecurityFeatures,
    security_features,
    serialize_message,
)
from sans_rtc.turn.server import AllocationEnded, AuthFailure, Credentials, EndReason, User

A = AttributeType
ANYWHERE = Address("198.51.100.99", 5)


@pytest.mark.proves(
    "RFC8656-5-1-b3ca", "RFC8656-7.2-1-2f2d", "RFC5389-10.2.2-1-5c79", "RFC5389-10.2.2-2-83d2", "RFC5389-10.2.2-4-b819"
)
def test_request_without_credentials_gets_a_challenge(site, client):
    reply = client.bare(Method.ALLOCATE, ("REQUESTED_TRANSPORT", 17))
    assert reply.code == 401
    assert reply["REALM"] == "example.org"
    assert [entry.algorithm for entry in reply["PASSWORD_ALGORITHMS"]] == [2, 1]
    assert (
        security_features(reply["NONCE"]) == SecurityFeatures.PASSWORD_ALGORITHMS | SecurityFeatures.USERNAME_ANONYMITY
    )
    assert reply["SOFTWARE"] is None
    assert site.server.stats.auth_failures == {AuthFailure.NO_CREDENTIALS: 1}
    assert site.sockets == set()


@pytest.mark.proves("RFC8656-7.2-2-6e32", "RFC5389-10.2.2-18-e6c5")
@pytest.mark.parametrize("with_sha256", [False, True], ids=["md5-sha1", "sha256"])
@pytest.mark.parametrize("hides", [False, True], ids=["username", "userhash"])
def test_right_credentials_are_taken_and_the_response_is_proven_the_same_way(site, with_sha256, hides):
    client = site.client(with_sha256=with_sha256, hides=hides)
    reply = client.allocate()
    assert reply.code == 0
    assert client.is_proven(reply)
    assert (reply["MESSAGE_INTEGRITY_SHA256"] is not None) == with_sha256
    assert (reply["MESSAGE_INTEGRITY"] is not None) == (not with_sha256)
    assert client.refresh().code == 0


@pytest.mark.proves(
    "RFC5389-10.2.2-10-b6fa", "RFC5389-10.2.2-13-b819", "RFC5389-10.2.2-15-790e", "RFC5389-10.2.2-16-60b2"
)
@pytest.mark.parametrize(
    ("changes", "failure"),
    [
        ({"password": "wrong"}, AuthFailure.WRONG_PASSWORD),
        ({"name": "mallory"}, AuthFailure.UNKNOWN_USER),
        ({"name": "mallory", "hides": True}, AuthFailure.UNKNOWN_USER),
        ({"realm": "elsewhere"}, AuthFailure.WRONG_REALM),
        ({"password": "wrong", "with_sha256": True}, AuthFailure.WRONG_PASSWORD),
    ],
)
def test_wrong_credentials_get_401_and_no_relay(site, changes, failure):
    client = site.client(**changes)
    reply = client.allocate()
    assert reply.code == 401
    assert reply["NONCE"] is not None
    assert not client.is_proven(reply)
    assert site.server.stats.auth_failures[failure] == 1
    assert site.sockets == set()
    assert site.server.explain(site.now) == ()


@pytest.mark.proves("RFC5389-10.2.2-6-25b1")
@pytest.mark.parametrize("missing", ["USERNAME", "REALM", "NONCE"])
def test_integrity_without_its_companions_gets_400_without_a_challenge(client, missing):
    client.take_challenge(client.bare(Method.ALLOCATE))
    message = client.message(Method.ALLOCATE, [("REQUESTED_TRANSPORT", 17)])
    message.attributes += [item for item in client.credentials() if item.type != A[missing]]
    reply = client.exchange(message, key=client.key)
    assert reply.code == 400
    assert reply["NONCE"] is None


@pytest.mark.parametrize(
    "attributes",
    [
        [Attribute(A.PASSWORD_ALGORITHMS, (PasswordAlgorithmEntry(1),))],
        [Attribute(A.PASSWORD_ALGORITHM, PasswordAlgorithmEntry(1))],
        [
            Attribute(A.PASSWORD_ALGORITHMS, (PasswordAlgorithmEntry(1),)),
            Attribute(A.PASSWORD_ALGORITHM, PasswordAlgorithmEntry(1)),
        ],
        [
            Attribute(A.PASSWORD_ALGORITHMS, (PasswordAlgorithmEntry(1), PasswordAlgorithmEntry(2))),
            Attribute(A.PASSWORD_ALGORITHM, PasswordAlgorithmEntry(2)),
        ],
        [
            Attribute(A.PASSWORD_ALGORITHMS, (PasswordAlgorithmEntry(2), PasswordAlgorithmEntry(1))),
            Attribute(A.PASSWORD_ALGORITHM, PasswordAlgorithmEntry(3)),
        ],
    ],
)
def test_algorithms_other_than_offered_get_400_for_somebody_may_have_taken_out_the_stronger(site, client, attributes):
    client.take_challenge(client.bare(Method.ALLOCATE))
    message = client.message(Method.ALLOCATE, [("REQUESTED_TRANSPORT", 17)])
    message.attributes += client.credentials() + attributes
    assert client.exchange(message, key=client.key).code == 400
    assert site.server.stats.auth_failures[AuthFailure.BAD_ALGORITHMS] == 1


def test_request_that_was_changed_on_the_way_gets_401(client):
    client.take_challenge(client.bare(Method.ALLOCATE))
    message = client.message(Method.ALLOCATE, [("REQUESTED_TRANSPORT", 17), ("LIFETIME", 600)])
    message.attributes += client.credentials()
    data = bytearray(serialize_message(message, key=client.key))
    data[35] ^= 1  # the lifetime
    assert client.reply_to(message, client.send(bytes(data))).code == 401


# -- nonces ------------------------------------------------------------------------------------------------------------


@pytest.mark.proves("RFC5389-10.2.2-8-ea2c", "RFC5389-10.2.2-9-2a77")
def test_nonce_is_good_for_its_lifetime_and_then_gets_438_with_a_new_one(make_site):
    site = make_site(nonce_lifetime_s=100.0)
    client = site.client()
    client.allocated()
    site.wait(99.0)
    assert client.refresh().code == 0
    site.wait(2.5)
    reply = client.refresh()
    assert reply.code == 438
    assert reply["REALM"] == "example.org"
    assert reply["PASSWORD_ALGORITHMS"] is not None
    assert reply["NONCE"] != client.nonce
    client.take_challenge(reply)
    assert client.refresh().code == 0


def test_nonce_of_another_client_gets_438(site):
    first, second = site.client(), site.client(ANYWHERE)
    first.allocated()
    second.nonce = first.nonce
    reply = second.request(Method.ALLOCATE, ("REQUESTED_TRANSPORT", 17))
    assert reply.code == 438
    assert site.server.stats.auth_failures[AuthFailure.STALE_NONCE] == 1


def test_nonce_is_good_from_another_port_of_the_client(site, at):
    first = site.client()
    first.allocated()
    second = site.client(Address(at["client"].host, 9))
    second.nonce = first.nonce
    assert second.allocate().code == 0


@pytest.mark.parametrize("position", [0, 9, 12, 13, 20, 30, 34])
def test_forged_nonce_gets_438(client, position):
    client.take_challenge(client.bare(Method.ALLOCATE))
    nonce = bytearray(client.nonce)
    nonce[position] = ord("B") if nonce[position] != ord("B") else ord("C")
    client.nonce = bytes(nonce)
    assert client.request(Method.ALLOCATE, ("REQUESTED_TRANSPORT", 17)).code == 438


@pytest.mark.parametrize("nonce", [b"", b"x", b"x" * 35, b"\xff" * 35, b"obMatJos2AAAD" + b"=" * 22, b"A" * 763])
def test_nonce_of_any_form_gets_438(client, nonce):
    client.take_challenge(client.bare(Method.ALLOCATE))
    client.nonce = nonce
    assert client.request(Method.ALLOCATE, ("REQUESTED_TRANSPORT", 17)).code == 438


def test_nonce_of_another_server_gets_438(make_site):
    first, second = make_site(seed=1).client(), make_site(seed=2).client()
    first.take_challenge(first.bare(Method.ALLOCATE))
    second.nonce = first.nonce
    assert second.request(Method.ALLOCATE, ("REQUESTED_TRANSPORT", 17)).code == 438


def test_replayed_request_from_another_address_does_nothing(site, client):
    """The must-fail test of the nonce's binding: a request seen on the wire, sent again from elsewhere."""
    client.take_challenge(client.bare(Method.ALLOCATE))
    message = client.message(Method.ALLOCATE, [("REQUESTED_TRANSPORT", 17)])
    message.attributes += client.credentials()
    data = serialize_message(message, key=client.key)
    thief = site.client(ANYWHERE)
    assert thief.reply_to(message, thief.send(data)).code == 438
    assert site.sockets == set()


# -- users -------------------------------------------------------------------------------------------------------------


@pytest.mark.proves("RFC8656-5-4-aa51")
def test_another_user_cannot_use_an_allocation(make_site):
    site = make_site(users=(User("alice", "secret"), User("bob", "secret")))
    alice, bob = site.client(), site.client(name="bob")
    alice.allocated()
    bob.nonce = alice.nonce
    for method in (Method.REFRESH, Method.CREATE_PERMISSION, Method.CHANNEL_BIND):
        reply = bob.request(method)
        assert reply.code == 441
        assert bob.is_proven(reply)
    assert bob.allocate().code == 437
    assert site.server.stats.auth_failures[AuthFailure.OTHER_USER] == 3


def rest_client(site, name, secret="s1"):
    digest = hmac.digest(secret.encode(), name.encode(), hashlib.sha1)
    return site.client(name=name, password=base64.b64encode(digest).decode())


@pytest.mark.proves("TURN-REST-4.2-1-ad3d")
def test_rest_credentials_are_taken_until_they_expire(make_site):
    site = make_site(users=(), rest_secrets=("s1",), wall_clock_offset_s=1_000_000.0)
    client = rest_client(site, "1001100:bob")  # the test begins at 1001000
    client.allocated()
    late = rest_client(site, "1001000:bob")
    late.path = site.client(ANYWHERE).path
    assert late.allocate().code == 401
    assert site.server.stats.auth_failures[AuthFailure.EXPIRED] == 1
    site.wait(200.0)
    # draft-uberti-rtcweb-turn-rest section 4.2: an allocation lives on, and is refreshed, after that.
    assert client.refresh().code == 0


@pytest.mark.parametrize("name", ["bob", "bob:1001100", "", "x1001100:bob", "-1:bob", "1" * 13 + ":bob", "1e9:bob"])
def test_name_without_an_expiry_is_nobody_of_the_rest_api(make_site, name):
    site = make_site(users=(), rest_secrets=("s1",), wall_clock_offset_s=1_000_000.0)
    client = site.client()
    client.take_challenge(client.bare(Method.ALLOCATE))
    message = client.message(Method.ALLOCATE, [("REQUESTED_TRANSPORT", 17)])
    message.attributes += [Attribute(A.USERNAME, name), *client.credentials()[1:]]
    assert client.exchange(message, key=client.key).code == 401


@pytest.mark.proves("TURN-REST-4.2-3-9bdb")
def test_rest_credentials_of_a_wrong_secret_get_401(make_site):
    site = make_site(rest_secrets=("s1",), wall_clock_offset_s=1_000_000.0)
    assert rest_client(site, "1001100:bob", "s3").allocate().code == 401


def test_names_cannot_be_hidden_where_only_the_name_says_whose_secret_it_is(make_site):
    site = make_site(rest_secrets=("s1",))
    client = site.client()
    client.take_challenge(client.bare(Method.ALLOCATE))
    assert security_features(client.nonce) == SecurityFeatures.PASSWORD_ALGORITHMS


@pytest.mark.proves("TURN-REST-5.2-2-0b30")
def test_old_and_new_secret_are_valid_side_by_side_and_then_only_the_new(make_site):
    site = make_site(users=(), rest_secrets=("s1",), wall_clock_offset_s=1_000_000.0)
    sources = iter(range(10, 20))

    def allocates(secret):
        client = rest_client(site, "1009000:bob", secret)
        client.path = site.client(Address("198.51.100.1", next(sources))).path
        return client.allocate().code == 0

    assert (allocates("s1"), allocates("s2")) == (True, False)
    site.server.set_credentials(Credentials(rest_secrets=("s1", "s2")), site.now)
    assert (allocates("s1"), allocates("s2")) == (True, True)
    site.server.set_credentials(Credentials(rest_secrets=("s2",)), site.now)
    site.drain()
    assert (allocates("s1"), allocates("s2")) == (False, True)
    assert len(site.server.explain(site.now)) == 4  # those of the old secret live on


def test_user_with_two_passwords_and_then_one(make_site):
    site = make_site(users=(User("alice", "old"), User("alice", "new")))
    old, new = site.client(password="old"), site.client(ANYWHERE, password="new")
    old.allocated()
    new.allocated()
    site.server.set_credentials(Credentials(users=(User("alice", "new"),)), site.now)
    site.drain()
    assert [(event.client, event.reason) for event in site.events_of(AllocationEnded)] == [
        (old.path, EndReason.REVOKED)
    ]
    assert old.refresh().code == 401
    assert new.refresh().code == 0


def test_allocation_moves_to_the_new_password_when_it_is_refreshed_with_it(make_site):
    site = make_site(users=(User("alice", "old"), User("alice", "new")))
    client = site.client(password="old")
    client.allocated()
    client.password = "new"
    assert client.refresh().code == 0
    site.server.set_credentials(Credentials(users=(User("alice", "new"),)), site.now)
    assert client.refresh().code == 0


def test_passwords_and_secrets_do_not_show(make_site):
    credentials = Credentials(users=(User("alice", "hush-password"),), rest_secrets=("hush-secret",))
    records = []
    site = make_site(users=credentials.users, trace=records.append)
    site.client(password="hush-password").allocated()
    shown = f"{credentials!r} {site.events!r} {records!r} {site.server.explain(site.now)!r}"
    assert "hush" not in shown
    assert [record.name for record in records] == ["refused", "request"]
