"""What addresses are, which may be paired, which become candidates."""

import pytest

from sans_rtc.ice import AddressFilter, AddressRewrite, RewriteMode
from sans_rtc.ice.addresses import (
    can_be_paired,
    canonical_address,
    canonical_host,
    is_unusable,
    without_zone,
    zone_of,
)
from sans_rtc.ice.filters import FilterReason, refuse, rewritings_of
from sans_rtc.machine import Address


@pytest.mark.parametrize(
    ("spelled", "canonical"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8::0:1", "2001:db8::1"),
        ("FE80::1%eth0", "fe80::1%eth0"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
    ],
)
def test_canonical_spelling(spelled, canonical):
    assert canonical_host(spelled) == canonical


def test_canonical_address_is_the_same_object_where_nothing_changes():
    address = Address("192.0.2.1", 9)
    assert canonical_address(address) is address


def test_zone_is_cut_for_others():
    assert without_zone(Address("fe80::1%eth0", 5)) == ("fe80::1", 5)
    assert zone_of("fe80::1%eth0") == "eth0"
    assert zone_of("fe80::1") == ""


@pytest.mark.proves("RFC8445-6.1.2.2-1-42f1")
@pytest.mark.parametrize(
    ("local", "remote", "expected"),
    [
        ("192.0.2.1", "198.51.100.1", True),
        ("192.0.2.1", "2001:db8::1", False),
        ("2001:db8::1", "2001:db8::2", True),
        ("fe80::1%eth0", "fe80::2", True),
        ("fe80::1%eth0", "2001:db8::2", False),
        ("2001:db8::1", "fe80::2", False),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "192.0.2.1", False),
        ("192.0.2.1", "127.0.0.1", False),
        ("169.254.1.1", "192.0.2.1", True),
        ("192.0.2.1", "name.local", False),
    ],
)
def test_pairing_of_addresses(local, remote, expected):
    assert can_be_paired(local, remote) is expected


@pytest.mark.proves("RFC8445-5.1.1.1-5-34fb", "RFC8445-5.1.1.1-6-c4fe")
@pytest.mark.parametrize(
    "host",
    [
        "0.0.0.0",
        "0.1.2.3",
        "255.255.255.255",
        "224.0.0.1",
        "::",
        "ff02::1",
        "::ffff:192.0.2.1",
        "::192.0.2.1",
        "fec0::1",
    ],
)
def test_unusable_addresses(host):
    assert is_unusable(host)


@pytest.mark.parametrize("host", ["192.0.2.1", "127.0.0.1", "169.254.0.1", "::1", "fe80::1", "2001:db8::1", "fd00::1"])
def test_usable_addresses(host):
    assert not is_unusable(host)


@pytest.mark.proves("RFC8445-5.1.1.1-4-201c", "RFC8445-5.1.1.1-8-7fe7", "RFC8445-5.1.1.1-5-34fb")
@pytest.mark.parametrize(
    ("host", "network", "rules", "reason"),
    [
        ("192.0.2.1", "eth0", {}, None),
        ("0.0.0.0", "eth0", {}, FilterReason.UNUSABLE),
        ("2001:db8::1", "eth0", {"families": (4,)}, FilterReason.FAMILY),
        ("192.0.2.1", "eth0", {"families": (6,)}, FilterReason.FAMILY),
        ("192.0.2.1", "eth0", {"port_min": 6000}, FilterReason.PORT),
        ("192.0.2.1", "eth0", {"port_max": 4000}, FilterReason.PORT),
        ("192.0.2.1", "eth0", {"port_min": 5000, "port_max": 5000}, None),
        ("127.0.0.1", "lo", {}, FilterReason.LOOPBACK),
        ("::1", "lo", {}, FilterReason.LOOPBACK),
        ("127.0.0.1", "lo", {"allow_loopback": True}, None),
        ("169.254.1.1", "eth0", {}, FilterReason.LINK_LOCAL),
        ("fe80::1%eth0", "eth0", {}, FilterReason.LINK_LOCAL),
        ("fe80::1%eth0", "eth0", {"allow_link_local": True}, None),
        ("192.0.2.1", "docker0", {"excluded_networks": ("docker*",)}, FilterReason.NETWORK),
        ("192.0.2.1", "eth0", {"networks": ("wlan*",)}, FilterReason.NETWORK),
        ("192.0.2.1", "wlan1", {"networks": ("wlan*",)}, None),
        ("192.0.2.1", "", {"networks": ("wlan*",)}, FilterReason.NETWORK),
    ],
)
def test_filter(host, network, rules, reason):
    assert refuse(Address(host, 5000), network, AddressFilter(**rules)) is reason


def test_rewriting_replaces_unless_every_rule_adds():
    replace = AddressRewrite("10.0.0.1", "203.0.113.1")
    add = AddressRewrite("10.0.0.1", "203.0.113.2", RewriteMode.ADD)
    other = AddressRewrite("10.0.0.9", "203.0.113.9")
    assert rewritings_of("10.0.0.1", (other,)) == (True, [])
    assert rewritings_of("10.0.0.1", (add, other)) == (True, [add])
    assert rewritings_of("10.0.0.1", (replace, add)) == (False, [replace, add])
