"""What a stranger can make the server do: little, and seldom. Amplification is bounded, and stated here."""

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.stun import Message, MessageClass, Method, serialize_message
from sans_rtc.testing import SeededEntropy
from sans_rtc.turn.server import DiscardReason, ServerConfig
from sans_rtc.turn.server.throttle import SourceThrottle

IP_AND_UDP_BYTES = 28
# A challenge of docs/turn-server.md: with the default realm, and with the longest that the configuration takes.
CHALLENGE_BYTES = 108
CHALLENGE_BYTES_MAX = 164


def challenge_bytes(site):
    client = site.client()
    message = client.message(Method.ALLOCATE, ())
    (datagram,) = client.send(serialize_message(message))
    return len(serialize_message(message)), len(datagram.data)


def test_challenge_has_the_stated_size(make_site):
    assert challenge_bytes(make_site(realm="sans-rtc")) == (20, CHALLENGE_BYTES)
    assert challenge_bytes(make_site(realm="r" * 64)) == (20, CHALLENGE_BYTES_MAX)


def test_amplification_on_the_wire_is_below_three_with_the_default_realm_and_four_with_any(make_site):
    asked, answered = challenge_bytes(make_site(realm="sans-rtc"))
    assert (answered + IP_AND_UDP_BYTES) / (asked + IP_AND_UDP_BYTES) < 3
    asked, answered = challenge_bytes(make_site(realm="r" * 64))
    assert (answered + IP_AND_UDP_BYTES) / (asked + IP_AND_UDP_BYTES) <= 4


def test_longer_realm_is_refused():
    with pytest.raises(InvalidArgument):
        ServerConfig(realm="r" * 65)


@pytest.mark.parametrize(
    "method", [Method.ALLOCATE, Method.REFRESH, Method.CREATE_PERMISSION, Method.CONNECT, 1, 0x123]
)
def test_one_request_gets_at_most_one_response(site, client, method):
    assert len(client.send(serialize_message(client.message(method, ())))) <= 1


def test_source_that_keeps_asking_is_slowed_down_and_others_are_not(make_site):
    site = make_site(unauthenticated_per_s=10.0, unauthenticated_burst=20.0)
    client = site.client()
    answered = [client.bare(Method.ALLOCATE) is not None for _ in range(50)]
    assert answered == [True] * 20 + [False] * 30
    assert site.server.stats.throttled == 30
    assert site.server.stats.discards == {DiscardReason.THROTTLED: 30}
    assert site.client(Address("198.51.100.8", 1)).bare(Method.ALLOCATE) is not None
    site.wait(0.5)
    assert sum(client.bare(Method.ALLOCATE) is not None for _ in range(50)) == 5


def test_other_ports_and_wrong_passwords_and_bindings_count_for_the_same_source(make_site):
    site = make_site(unauthenticated_per_s=1.0, unauthenticated_burst=3.0)
    assert site.client(Address("198.51.100.7", 1)).bare(Method.ALLOCATE) is not None
    assert site.client(Address("198.51.100.7", 2)).bare(Method.BINDING) is not None
    client = site.client(Address("198.51.100.7", 3), password="wrong")
    client.take_challenge(client.bare(Method.ALLOCATE))
    assert client.request(Method.ALLOCATE, ("REQUESTED_TRANSPORT", 17)) is None


def test_addresses_of_one_ipv6_network_share_a_bucket(make_site):
    site = make_site(unauthenticated_per_s=1.0, unauthenticated_burst=4.0)
    answered = 0
    for number in range(10):
        path = Path(Address("2001:db8::1", 3478), Address(f"2001:db8:5:6::{number + 1:x}", 1000))
        answered += bool(site.receive(serialize_message(site.client().message(Method.ALLOCATE, ())), path))
    assert answered == 4


def test_client_with_an_allocation_is_served_though_its_source_is_throttled(make_site):
    site = make_site(unauthenticated_per_s=0.1, unauthenticated_burst=2.0, nonce_lifetime_s=100.0)
    client = site.client()
    client.allocated()
    for _ in range(5):
        client.bare(Method.ALLOCATE)
    assert client.bare(Method.ALLOCATE) is None
    assert client.refresh().code == 0
    site.wait(101.0)
    site.client(Address("198.51.100.7", 1)).bare(Method.BINDING)
    for _ in range(20):
        client.bare(Method.ALLOCATE)
    assert client.refresh().code == 438


def test_memory_for_sources_is_bounded_whatever_they_are():
    throttle = SourceThrottle(50.0, 200.0, 64, b"key")
    for number in range(5000):
        throttle.takes(Address(f"10.{number >> 8 & 255}.{number & 255}.1", 1), 0.0)
    assert len(throttle) == 64


def test_strangers_change_nothing_but_counters(make_site):
    """Unauthenticated bytes of every kind: nothing is kept for them, and no timer is armed."""
    site = make_site(source_bucket_count=8)
    entropy = SeededEntropy(5)
    for number in range(300):
        path = Path(Address("192.0.2.1", 3478), Address(f"198.51.{number % 100}.7", 1000 + number))
        kind = MessageClass(number % 4)
        message = Message(kind, (1, 3, 4, 6, 7, 8, 9, 10, 11)[number % 9], entropy(12), [])
        site.server.receive(Datagram(serialize_message(message), path), site.now)
        site.server.receive(Datagram(b"\x40\x00\x00\x04abcd", path), site.now)
    site.drain()
    assert site.server.deadline == float("inf")
    assert site.server.explain(site.now) == ()
    assert site.events == []
