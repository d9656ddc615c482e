"""Network namespaces with NATs and firewalls between them: a small internet on one machine.

    public    a bridge with the server, the outer sides of all gateways, and hosts with public addresses
    gateway   one namespace a NAT or firewall: "out" towards the public one or another gateway, "in" towards its hosts
    host      one interface, "eth0"

Names begin with `sr` and the numbers of this process and lab, and `close` removes exactly those; a namespace takes its
interfaces, rules and routes with it.
"""

from __future__ import annotations

import atexit
import itertools
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import attrs

PROGRAMS = ("ip", "nft")
COMMAND_TIMEOUT_S = 20.0


_numbers = itertools.count(1)


class NamespacesRefused(Exception):
    """This machine does not let us make network namespaces; the text says why."""


@attrs.frozen
class Nat:
    """What a gateway does, as rules of nftables.

    name     for people
    prerouting, postrouting, forward   rules of the chains of those names; `in` and `out` are its interfaces,
             @INNER@ the address of the host behind it, @OUTER@ its own
    sets     declarations that the rules use
    """

    name: str
    prerouting: Sequence[str] = ()
    postrouting: Sequence[str] = ()
    forward: Sequence[str] = ()
    sets: Sequence[str] = ()


# What comes unasked for the gateway itself is dropped before it is tracked: its entry would take the port away from the
# mapping that the host inside is about to make.
RULES = """
table inet gateway {{
  {sets}
  chain prerouting {{ type nat hook prerouting priority dstnat; {prerouting} }}
  chain postrouting {{ type nat hook postrouting priority srcnat; {postrouting} }}
  chain input {{ type filter hook input priority filter; iifname "out" meta l4proto {{ tcp, udp }} drop; }}
  chain forward {{ type filter hook forward priority filter; {forward} }}
}}
"""

PORT_RESTRICTED = Nat("port-restricted", postrouting=['oifname "out" masquerade'])
SYMMETRIC = Nat("symmetric", postrouting=['oifname "out" masquerade fully-random'])
FULL_CONE = Nat(
    "full cone",
    prerouting=['iifname "out" meta l4proto udp dnat ip to @INNER@'],
    postrouting=['oifname "out" snat ip to @OUTER@'],
)
ADDRESS_RESTRICTED = Nat(
    "address-restricted",
    sets=["set seen { type ipv4_addr; flags dynamic, timeout; timeout 2m; }"],
    prerouting=['iifname "out" meta l4proto udp ip saddr @seen dnat ip to @INNER@'],
    postrouting=['oifname "out" snat ip to @OUTER@'],
    forward=['iifname "in" meta l4proto udp update @seen { ip daddr }'],
)
FIREWALL = Nat("firewall", forward=['iifname "out" ct state new drop'])


def with_forward(nat: Nat, name: str, *rules: str, sets: Sequence[str] = ()) -> Nat:
    """The same NAT with more rules for what passes."""
    return attrs.evolve(nat, name=name, forward=[*rules, *nat.forward], sets=[*nat.sets, *sets])


UDP_BLOCKED = with_forward(PORT_RESTRICTED, "UDP blocked", "meta l4proto udp drop")
TLS_ONLY = with_forward(
    PORT_RESTRICTED, "TLS only", "meta l4proto udp drop", 'iifname "in" meta l4proto tcp tcp dport != 443 drop'
)
# Counted from a host's first datagram: it is noted for good, and lets UDP through for so long.
UDP_FOR_5_S = with_forward(
    PORT_RESTRICTED,
    "UDP for 5 s",
    'iifname "in" meta l4proto udp ip saddr != @known add @fresh { ip saddr }',
    'iifname "in" meta l4proto udp add @known { ip saddr }',
    'iifname "in" meta l4proto udp ip saddr != @fresh drop',
    'iifname "out" meta l4proto udp ip daddr != @fresh drop',
    sets=[
        "set known { type ipv4_addr; flags dynamic; }",
        "set fresh { type ipv4_addr; flags dynamic, timeout; timeout 5s; }",
    ],
)


def uplink_up(number: int) -> str:
    """What gives a mobile host one of its uplinks: address, and routes for what comes from there."""
    net, interface = f"10.{number}.0", f"eth{number}"
    return (
        f"ip link set {interface} up; ip addr add {net}.2/24 dev {interface}\n"
        f"ip route add default via {net}.1 dev {interface} metric {number}\n"
        f"ip route add default via {net}.1 dev {interface} table {100 + number}\n"
        f"ip rule add from {net}.2 table {100 + number} priority {100 + number}"
    )


def uplink_down(number: int) -> str:
    """What takes it away, routes and all."""
    net, interface = f"10.{number}.0", f"eth{number}"
    return (
        f"ip addr del {net}.2/24 dev {interface}; ip link set {interface} down\n"
        f"ip rule del from {net}.2 table {100 + number}"
    )


class Namespaces:
    """All namespaces of one test module. Use as a context manager."""

    def __init__(self) -> None:
        self.prefix = f"sr{os.getpid()}-{next(_numbers)}"
        self._names: list[str] = []
        remove_orphans()
        atexit.register(self.close)

    def __enter__(self) -> Namespaces:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove every namespace that was made here; idempotent."""
        atexit.unregister(self.close)
        while self._names:
            subprocess.run(["ip", "netns", "del", self._names.pop()], capture_output=True, timeout=COMMAND_TIMEOUT_S)

    def add(self, name: str) -> str:
        """Make a namespace with loopback up; return its full name. NamespacesRefused where that is not allowed."""
        full = f"{self.prefix}-{name}"
        try:
            done = subprocess.run(
                ["ip", "netns", "add", full], capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S
            )
        except FileNotFoundError:
            raise NamespacesRefused("the program `ip` is not installed") from None
        if done.returncode != 0:
            raise NamespacesRefused(f"no network namespaces here: {done.stderr.strip()}")
        self._names.append(full)
        self.shell(full, "ip link set lo up")
        return full

    def shell(self, namespace: str, script: str) -> str:
        """Run a shell script inside; return what it prints. NamespacesRefused where a step is not allowed."""
        done = subprocess.run(
            self.command(namespace, "sh", "-ec", script), capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S
        )
        if done.returncode != 0:
            raise NamespacesRefused(f"in {namespace}: {done.stderr.strip() or done.returncode}")
        return done.stdout

    def command(self, namespace: str, *words: str) -> list[str]:
        """The command line that runs a program inside."""
        return ["ip", "netns", "exec", namespace, *words]

    def join(self, first: str, first_interface: str, second: str, second_interface: str) -> None:
        """Lay a cable between two namespaces."""
        self.shell(
            first,
            f"ip link add {first_interface} type veth peer name {second_interface} netns {second}\n"
            f"ip link set {first_interface} up",
        )
        self.shell(second, f"ip link set {second_interface} up")

    def enforce(self, namespace: str, nat: Nat, *, inner: str = "", outer: str = "") -> None:
        """Make a namespace a gateway of this kind."""

        def chain(rules: Sequence[str]) -> str:
            return "; ".join(rules).replace("@INNER@", inner).replace("@OUTER@", outer) + ("; " if rules else "")

        text = RULES.format(
            sets="\n  ".join(nat.sets),
            prerouting=chain(nat.prerouting),
            postrouting=chain(nat.postrouting),
            forward=chain(nat.forward),
        )
        self.shell(namespace, f"nft -f - <<'END'\n{text}END")


def remove_orphans() -> None:
    """Remove the namespaces of processes that were killed before they could: their names tell whose they are."""
    folder = Path("/run/netns")
    for entry in folder.iterdir() if folder.is_dir() else ():
        match = re.fullmatch(r"sr(\d+)-.*", entry.name)
        if match and not Path("/proc", match[1]).exists():
            subprocess.run(["ip", "netns", "del", entry.name], capture_output=True, timeout=COMMAND_TIMEOUT_S)


WITHOUT_IPV6 = "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6"
FORWARDING = "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding"


class Internet:
    """The public namespace and what hangs from it.

    public        203.0.113.0/24 and 2001:db8:0:1::/64 on a bridge; the server is at .1 and ::1
    hosts         their namespaces by name
    """

    SERVER = "203.0.113.1"
    SERVER6 = "2001:db8:0:1::1"
    NOWHERE, NOWHERE6 = "203.0.113.254", "2001:db8:0:1::fe"

    def __init__(self, namespaces: Namespaces) -> None:
        self.namespaces = namespaces
        self.hosts: dict[str, str] = {}
        self.gateways: dict[str, str] = {}
        self._next = 10
        self.public = namespaces.add("public")
        namespaces.shell(
            self.public,
            f"{FORWARDING}\n"
            "ip link add net type bridge\n"
            "echo 0 > /proc/sys/net/ipv6/conf/net/accept_dad\n"
            f"ip addr add {self.SERVER}/24 dev net\n"
            f"ip addr add {self.SERVER6}/64 dev net nodad\n"
            "ip link set net up\n"
            # What nobody has goes out and is never heard of again, as on the internet; without a route coturn would
            # end the whole allocation of whoever sends there.
            "echo 0 > /proc/sys/net/ipv4/conf/all/send_redirects; echo 0 > /proc/sys/net/ipv4/conf/net/send_redirects\n"
            f"ip route add default via {self.NOWHERE}; ip route add default via {self.NOWHERE6}\n"
            f"ip neigh add {self.NOWHERE} lladdr 02:00:00:00:00:fe dev net nud permanent\n"
            f"ip neigh add {self.NOWHERE6} lladdr 02:00:00:00:00:fe dev net nud permanent",
        )

    def add_host(self, name: str) -> str:
        """A host with a public address; return its namespace."""
        host = self.namespaces.add(name)
        self.hosts[name] = host
        self._to_bridge(host, "eth0")
        number = self._take_number()
        self.namespaces.shell(
            host,
            f"{WITHOUT_IPV6}; ip addr add 203.0.113.{number}/24 dev eth0; ip route add default via {self.SERVER}",
        )
        return host

    def add_host_behind(self, name: str, *nats: Nat) -> str:
        """A host with a private address behind NATs, the outermost first; return its namespace."""
        outside, outer_host, outer_route = None, f"203.0.113.{self._take_number()}", self.SERVER
        for depth, nat in enumerate(nats):
            gateway = self._add_gateway(f"{name}-gw{depth}", outside)
            inner_net = f"10.{depth}.0"
            self.namespaces.shell(
                gateway,
                f"ip addr add {outer_host}/24 dev out; ip route add default via {outer_route}\n"
                f"ip link add in type bridge; ip addr add {inner_net}.1/24 dev in; ip link set in up",
            )
            self.namespaces.enforce(gateway, nat, inner=f"{inner_net}.2", outer=outer_host)
            outside, outer_host, outer_route = gateway, f"{inner_net}.2", f"{inner_net}.1"
        host = self._add_inside(name, outside)
        self.namespaces.shell(
            host, f"{WITHOUT_IPV6}; ip addr add {outer_host}/24 dev eth0; ip route add default via {outer_route}"
        )
        return host

    def add_ipv6_host(self, name: str) -> str:
        """A host with nothing but IPv6, behind a firewall; return its namespace."""
        number = self._take_number()
        gateway = self._add_gateway(f"{name}-gw0", None)
        outer, net = f"2001:db8:0:1::{number}", f"2001:db8:0:{number}"
        self.namespaces.shell(
            gateway,
            f"ip addr add {outer}/64 dev out nodad; ip route add default via {self.SERVER6}\n"
            f"ip link add in type bridge; ip addr add {net}::1/64 dev in nodad; ip link set in up",
        )
        self.namespaces.enforce(gateway, FIREWALL)
        self.namespaces.shell(self.public, f"ip route add {net}::/64 via {outer}")
        host = self._add_inside(name, gateway)
        self.namespaces.shell(host, f"ip addr add {net}::2/64 dev eth0 nodad; ip route add default via {net}::1")
        return host

    def add_mobile_host(self, name: str, nat: Nat) -> str:
        """A host with two uplinks, each behind a NAT of its own: 10.1.0.2 on eth1, 10.2.0.2 on eth2."""
        host = self.hosts[name] = self.namespaces.add(name)
        self.namespaces.shell(host, WITHOUT_IPV6)
        for number in (1, 2):
            outer, inner = f"203.0.113.{self._take_number()}", f"10.{number}.0"
            gateway = self._add_gateway(f"{name}-gw{number}", None)
            self.namespaces.shell(
                gateway,
                f"ip addr add {outer}/24 dev out; ip route add default via {self.SERVER}\n"
                f"ip link add in type bridge; ip addr add {inner}.1/24 dev in; ip link set in up",
            )
            self.namespaces.enforce(gateway, nat, inner=f"{inner}.2", outer=outer)
            self._to_inner_bridge(host, f"eth{number}", gateway)
            self.namespaces.shell(host, uplink_up(number))
        return host

    def _add_gateway(self, name: str, outside: str | None) -> str:
        gateway = self.gateways[name] = self.namespaces.add(name)
        self.namespaces.shell(gateway, FORWARDING)
        if outside is None:
            self._to_bridge(gateway, "out")
        else:
            self._to_inner_bridge(gateway, "out", outside)
        return gateway

    def _add_inside(self, name: str, gateway: str) -> str:
        host = self.hosts[name] = self.namespaces.add(name)
        self._to_inner_bridge(host, "eth0", gateway)
        return host

    def _to_bridge(self, namespace: str, interface: str) -> None:
        port = f"p{len(self.hosts)}-{len(self.gateways)}"
        self.namespaces.join(namespace, interface, self.public, port)
        self.namespaces.shell(self.public, f"ip link set {port} master net")

    def _to_inner_bridge(self, namespace: str, interface: str, gateway: str) -> None:
        port = f"q{len(self.hosts)}-{len(self.gateways)}"
        self.namespaces.join(namespace, interface, gateway, port)
        self.namespaces.shell(gateway, f"ip link set {port} master in")

    def _take_number(self) -> int:
        self._next += 1
        return self._next
