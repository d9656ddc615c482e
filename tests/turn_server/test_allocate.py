"""Allocate, rule by rule (RFC 8656 section 7.2): refusals, reservations, quotas, and the same request again."""

import base64
import hashlib
import hmac

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.stun import Attribute, Method, serialize_message
from sans_rtc.turn.server import AllocationCreated, DiscardReason, RelayNeeded, RelayUnneeded, ServerConfig, User

EVEN, EVEN_AND_NEXT = ("EVEN_PORT", False), ("EVEN_PORT", True)


def source(number):
    return Address(f"198.51.100.{number}", 1000)


# -- rules 2 to 9 ------------------------------------------------------------------------------------------------------


def test_second_allocation_on_the_same_path_gets_437(client):
    client.allocated()
    assert client.allocate().code == 437


@pytest.mark.proves("RFC5389-7.3.1-1-1d00", "RFC5389-7.3.1-2-a750")
def test_same_request_again_gets_the_same_response_and_no_second_relay(site, client):
    first = client.allocate(transaction_id=b"t" * 12)
    second = client.allocate(transaction_id=b"t" * 12)
    assert second.data == first.data
    assert len(site.sockets) == 1
    assert len(site.events_of(AllocationCreated)) == 1


def test_same_request_again_after_a_while_tells_what_is_left(site, client):
    client.allocate(transaction_id=b"t" * 12)
    site.wait(100.0)
    assert client.allocate(transaction_id=b"t" * 12)["LIFETIME"] == 500


def test_same_request_again_while_the_relay_is_being_opened_is_ignored(site, client):
    client.take_challenge(client.bare(Method.ALLOCATE))
    site.holds = True
    assert client.allocate(transaction_id=b"t" * 12) is None
    assert client.allocate(transaction_id=b"t" * 12) is None
    assert client.allocate().code == 437
    assert client.refresh().code == 437
    assert site.server.stats.discards == {DiscardReason.NOT_OPEN_YET: 1}
    assert [datagram.path for datagram in site.open_relays()] == [client.path]
    assert client.refresh().code == 0


@pytest.mark.proves("RFC8656-7.2-3-b4ec")
@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ([], 400),
        ([("REQUESTED_TRANSPORT", 132)], 442),
        ([("REQUESTED_TRANSPORT", 6)], 400),  # TCP is relayed for clients that come by TCP only
        ([("REQUESTED_TRANSPORT", 17), ("RESERVATION_TOKEN", b"12345678")], 508),
        ([("REQUESTED_TRANSPORT", 17), ("RESERVATION_TOKEN", b"12345678"), EVEN], 400),
        ([("REQUESTED_TRANSPORT", 17), ("RESERVATION_TOKEN", b"12345678"), ("REQUESTED_ADDRESS_FAMILY", 1)], 400),
        ([("REQUESTED_TRANSPORT", 17), ("RESERVATION_TOKEN", b"12345678"), ("ADDITIONAL_ADDRESS_FAMILY", 2)], 400),
        ([("REQUESTED_TRANSPORT", 17), ("REQUESTED_ADDRESS_FAMILY", 1), ("ADDITIONAL_ADDRESS_FAMILY", 2)], 400),
        ([("REQUESTED_TRANSPORT", 17), ("REQUESTED_ADDRESS_FAMILY", 3)], 440),
        ([("REQUESTED_TRANSPORT", 17), ("ADDITIONAL_ADDRESS_FAMILY", 1)], 400),
        ([("REQUESTED_TRANSPORT", 17), ("ADDITIONAL_ADDRESS_FAMILY", 2), EVEN_AND_NEXT], 400),
    ],
)
def test_request_that_cannot_be_is_refused_and_leaves_nothing(site, client, attributes, code):
    reply = client.request(Method.ALLOCATE, *attributes)
    assert reply.code == code
    assert client.is_proven(reply)
    assert site.sockets == set()
    assert client.allocate().code == 0


def test_unknown_attribute_that_must_be_understood_gets_420_after_authentication(client):
    client.take_challenge(client.bare(Method.ALLOCATE))
    message = client.message(Method.ALLOCATE, [("REQUESTED_TRANSPORT", 17)])
    message.attributes += [Attribute(0x7ABC, b""), Attribute(0x7ABD, b"x"), *client.credentials()]
    reply = client.exchange(message, key=client.key)
    assert reply.code == 420
    assert reply["UNKNOWN_ATTRIBUTES"] == (0x7ABC, 0x7ABD)


@pytest.mark.proves("RFC8656-3.7-2-b085")
def test_dont_fragment_gets_420_where_the_driver_cannot(site, client, at):
    reply = client.allocate(("DONT_FRAGMENT", True))
    assert reply.code == 420
    assert reply["UNKNOWN_ATTRIBUTES"] == (0x001A,)
    client.allocated()
    client.permit(at["peer"])
    assert client.indicate(at["peer"], b"x", ("DONT_FRAGMENT", True)) == []
    assert site.server.stats.discards == {DiscardReason.INVALID_INDICATION: 1}


def test_dont_fragment_is_passed_on_where_the_driver_can(make_site, at):
    client = make_site(can_forbid_fragments=True).client()
    relayed = client.allocated(("DONT_FRAGMENT", True))
    client.permit(at["peer"])
    assert client.indicate(at["peer"], b"x", ("DONT_FRAGMENT", True)) == [
        Datagram(b"x", Path(relayed, at["peer"]), 0, True)
    ]
    assert client.indicate(at["peer"], b"x")[0].dont_fragment is False


@pytest.mark.proves("RFC8656-7.2-4-fcb9")
def test_family_that_the_server_has_not_gets_440(make_site):
    client = make_site(relay_hosts=("2001:db8::2",)).client()
    assert client.allocate().code == 440
    assert client.allocate(("REQUESTED_ADDRESS_FAMILY", 2)).code == 0


def test_dual_request_is_met_in_part_and_says_what_is_missing(make_site):
    client = make_site(relay_hosts=("192.0.2.2",)).client()
    reply = client.allocate(("ADDITIONAL_ADDRESS_FAMILY", 2))
    assert len(reply.all("XOR_RELAYED_ADDRESS")) == 1
    assert reply["ADDRESS_ERROR_CODE"][:2] == (2, 440)


def test_dual_request_of_which_one_port_is_not_to_be_had(site, client):
    site.refuses = lambda needed: needed.address.family == 6
    reply = client.allocate(("ADDITIONAL_ADDRESS_FAMILY", 2))
    assert [address.family for address in reply.all("XOR_RELAYED_ADDRESS")] == [4]
    assert reply["ADDRESS_ERROR_CODE"][:2] == (2, 508)


@pytest.mark.proves("RFC5389-13-1-e186")
def test_server_without_relays_is_a_stun_server_and_no_more(make_site):
    client = make_site(relay_hosts=()).client()
    assert client.bare(Method.ALLOCATE) is None
    assert client.bare(Method.BINDING).code == 0


# -- lifetimes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "granted"), [(None, 600), (0, 600), (1, 600), (599, 600), (700, 700), (2**32 - 1, 3600)]
)
def test_lifetime_is_never_below_the_default_nor_above_the_maximum(client, asked, granted):
    attributes = [("LIFETIME", asked)] if asked is not None else []
    assert client.allocate(*attributes)["LIFETIME"] == granted
    if asked != 0:
        assert client.refresh(asked)["LIFETIME"] == granted


# -- ports -------------------------------------------------------------------------------------------------------------


def test_even_port_is_even(make_site):
    for seed in range(8):
        assert make_site(seed=seed).client().allocated(EVEN).port % 2 == 0


def test_next_port_is_reserved_for_whoever_shows_the_token(site, client):
    reply = client.allocate(EVEN_AND_NEXT)
    relayed, token = reply["XOR_RELAYED_ADDRESS"], reply["RESERVATION_TOKEN"]
    following = Address(relayed.host, relayed.port + 1)
    assert site.sockets == {(relayed, "udp"), (following, "udp")}
    second = site.client(source(9))
    assert second.allocated(("RESERVATION_TOKEN", token)) == following
    third = site.client(source(10))
    assert third.allocate(("RESERVATION_TOKEN", token)).code == 508
    second.refresh(0)
    client.refresh(0)
    assert site.sockets == set()


@pytest.mark.proves("RFC8656-7.2-7-c717")
def test_reservation_is_told_again_and_lasts_30_seconds(site, client):
    reply = client.allocate(EVEN_AND_NEXT, transaction_id=b"t" * 12)
    assert client.allocate(EVEN_AND_NEXT, transaction_id=b"t" * 12)["RESERVATION_TOKEN"] == reply["RESERVATION_TOKEN"]
    site.wait(29.9)
    assert len(site.sockets) == 2
    site.wait(0.2)
    assert len(site.sockets) == 1
    assert site.client(source(9)).allocate(("RESERVATION_TOKEN", reply["RESERVATION_TOKEN"])).code == 508


def test_reservation_of_another_user_is_not_to_be_had(make_site):
    site = make_site(users=(User("alice", "secret"), User("bob", "secret")))
    token = site.client().allocate(EVEN_AND_NEXT)["RESERVATION_TOKEN"]
    assert site.client(source(9), name="bob").allocate(("RESERVATION_TOKEN", token)).code == 508


def test_data_at_a_reserved_relay_are_nobodys(site, client, at):
    relayed = client.allocate(EVEN_AND_NEXT)["XOR_RELAYED_ADDRESS"]
    request = serialize_message(client.message(Method.BINDING, ()))
    assert site.receive(request, Path(Address(relayed.host, relayed.port + 1), at["peer"])) == []
    assert site.server.stats.discards == {DiscardReason.UNKNOWN_RELAY: 1}


def test_pair_is_given_up_whole_where_one_half_is_taken(site, client):
    site.refuses = lambda needed: needed.relay_id == 2
    relayed = client.allocated(EVEN_AND_NEXT)
    assert site.sockets == {(relayed, "udp"), (Address(relayed.host, relayed.port + 1), "udp")}
    assert len(site.events_of(RelayNeeded)) == 4
    assert len(site.events_of(RelayUnneeded)) == 1


def test_508_after_as_many_ports_as_the_configuration_says(make_site):
    site = make_site(relay_attempt_count_max=3)
    site.refuses = lambda needed: True
    client = site.client()
    assert client.allocate().code == 508
    assert len(site.events_of(RelayNeeded)) == 3
    assert site.server.explain(site.now) == ()
    site.refuses = lambda needed: False
    assert client.allocate().code == 0


@pytest.mark.proves("RFC8656-6-1-71fd")
def test_508_where_no_port_is_left_and_a_port_given_back_is_used_again(make_site):
    site = make_site(relay_port_min=50000, relay_port_max=50002)
    clients = [site.client(source(number)) for number in range(4)]
    ports = {client.allocated().port for client in clients[:3]}
    assert ports == {50000, 50001, 50002}
    assert clients[3].allocate().code == 508
    clients[0].refresh(0)
    assert clients[3].allocate().code == 0


def test_odd_range_has_no_pair_beyond_its_end(make_site):
    site = make_site(relay_port_min=50001, relay_port_max=50002)
    assert site.client().allocate(EVEN_AND_NEXT).code == 508
    assert site.client().allocated(EVEN).port == 50002


# -- quotas ------------------------------------------------------------------------------------------------------------


@pytest.mark.proves("RFC8656-5-10-9c81", "RFC8656-7.2-6-4d2d")
def test_user_quota_gets_486_and_another_user_goes_on(make_site):
    site = make_site(users=(User("alice", "secret"), User("bob", "secret")), user_allocation_count_max=2)
    clients = [site.client(source(number)) for number in range(3)]
    assert [client.allocate().code for client in clients] == [0, 0, 486]
    assert site.client(source(9), name="bob").allocate().code == 0
    clients[0].refresh(0)
    assert clients[2].allocate().code == 0


def test_users_of_the_rest_api_are_counted_by_the_name_behind_the_time(make_site):
    site = make_site(users=(), rest_secrets=("s",), user_allocation_count_max=1)

    def allocate(number, name):
        digest = hmac.digest(b"s", name.encode(), hashlib.sha1)
        return site.client(source(number), name=name, password=base64.b64encode(digest).decode()).allocate().code

    assert [allocate(1, "9000:bob"), allocate(2, "9001:bob"), allocate(3, "9001:eve")] == [0, 486, 0]


def test_source_quota_gets_486_whatever_the_user(make_site):
    site = make_site(users=(User("alice", "secret"), User("bob", "secret")), source_allocation_count_max=1)
    assert site.client(Address("198.51.100.7", 1)).allocate().code == 0
    assert site.client(Address("198.51.100.7", 2), name="bob").allocate().code == 486
    assert site.client(Address("198.51.100.8", 2), name="bob").allocate().code == 0


def test_capacity_gets_508_and_reservations_count(make_site):
    site = make_site(allocation_count_max=3)
    assert site.client(source(1)).allocate(EVEN_AND_NEXT).code == 0
    assert site.client(source(2)).allocate().code == 0
    assert site.client(source(3)).allocate().code == 508
    site.wait(31.0)
    assert site.client(source(3)).allocate().code == 0


def test_reservation_counts_for_its_user(make_site):
    site = make_site(user_allocation_count_max=2)
    assert site.client(source(1)).allocate(EVEN_AND_NEXT).code == 0
    assert site.client(source(2)).allocate().code == 486


def test_permissions_and_channels_have_their_bound(make_site):
    site = make_site(permission_count_max=3, channel_count_max=2)
    client = site.client()
    client.allocated()
    hosts = [Address(f"203.0.113.{number}", 1) for number in range(1, 6)]
    assert client.permit(*hosts[:3]).code == 0
    assert client.permit(*hosts[:3]).code == 0
    assert client.permit(hosts[3]).code == 508
    assert client.bind(hosts[0], 0x4000).code == 0
    assert client.bind(Address(hosts[0].host, 2), 0x4001).code == 0
    assert client.bind(hosts[1], 0x4002).code == 508
    assert client.bind(hosts[0], 0x4000).code == 0
    site.wait(301.0)
    assert client.permit(*hosts[2:]).code == 0


@pytest.mark.proves("RFC8656-5-10-9c81")
def test_rate_of_one_allocation_is_bounded_both_ways_and_refills(make_site, at):
    site = make_site(allocation_bytes_per_s_max=1000.0)
    client = site.client()
    relayed = client.allocated()
    client.bind(at["peer"])
    frame = b"\x40\x00\x01\x90" + bytes(400)
    assert [len(client.send(frame)) for _ in range(3)] == [1, 1, 0]
    assert site.receive(bytes(400), Path(relayed, at["peer"])) == []
    assert client.indicate(at["peer"], bytes(400)) == []
    assert site.receive(bytes(400), Path(relayed, Address(at["peer"].host, 1))) == []
    assert site.server.stats.discards == {DiscardReason.RATE_LIMITED: 4}
    site.wait(0.4)
    assert len(site.receive(bytes(400), Path(relayed, at["peer"]))) == 1


# -- the driver's mistakes ---------------------------------------------------------------------------------------------


def test_answer_to_no_question_is_an_error_of_the_driver(site, client):
    with pytest.raises(InvalidArgument):
        site.server.relay_opened(7, Address("192.0.2.2", 50000), site.now)
    with pytest.raises(InvalidArgument):
        site.server.relay_failed(7, "", site.now)
    client.take_challenge(client.bare(Method.ALLOCATE))
    site.holds = True
    client.allocate()
    with pytest.raises(InvalidArgument):
        site.server.relay_opened(1, Address("192.0.2.2", 1), site.now)
    assert len(site.open_relays()) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"relay_port_min": 50001, "relay_port_max": 50000},
        {"relay_hosts": ("192.0.2.1", "192.0.2.2")},
        {"relay_hosts": ("2001:DB8::1",)},
        {"relay_hosts": ("name",)},
        {"lifetime_s": 600.0, "lifetime_s_max": 500.0},
        {"allocation_count_max": 0},
        {"nonce_lifetime_s": 3601.0},
        {"channel_number_max": 0x8000},
        {"realm": ""},
        {"external_hosts": ("192.0.2.77",)},
        {"relay_hosts": ("10.0.0.5",), "external_hosts": ("192.0.2.77", "192.0.2.78")},
        {"binding_addresses": (Address("192.0.2.1", 1), Address("192.0.2.1", 2))},
    ],
)
def test_configuration_that_cannot_be_is_refused(changes):
    with pytest.raises(InvalidArgument):
        ServerConfig(**changes)
