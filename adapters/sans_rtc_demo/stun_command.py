"""`sans-rtc stun URL`: the public address of this host, and what kind of NAT it sits behind (RFC 5780)."""

from __future__ import annotations

import argparse
import json
import socket
import sys
from typing import Final

from sans_rtc.errors import InvalidArgument, WireError
from sans_rtc.machine import Address, Path
from sans_rtc.stun import (
    BehaviorDiscovered,
    BehaviorDiscovery,
    BehaviorEvent,
    Dependence,
    DiscoveryFailed,
    NatBehavior,
    RetransmissionSchedule,
)
from sans_rtc.stun.uri import Scheme, parse_stun_uri
from sans_rtc_net.clock import monotonic
from sans_rtc_net.driver import drive
from sans_rtc_net.entropy import system_entropy
from sans_rtc_net.udp import UdpSocket

EXIT_DONE: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2

_FAMILIES: Final = {4: socket.AF_INET, 6: socket.AF_INET6}
_SUMMARY: Final = "the public address, and what kind of NAT it is behind"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command's options."""
    parser = subparsers.add_parser("stun", help=_SUMMARY, description=f"Ask a STUN server for {_SUMMARY}.")
    parser.add_argument("url", metavar="URL", help="stun:HOST or stun:HOST:PORT; HOST alone will do")
    parser.add_argument("--bind", metavar="ADDRESS", default="", help="local address (the one that the system chooses)")
    parser.add_argument("--family", type=int, choices=(4, 6), help="version of IP; else each that the server has")
    parser.add_argument("--timeout", type=_seconds, default=3.5, metavar="S", help="seconds a question may take (3.5)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of text")


def run(arguments: argparse.Namespace) -> int:
    """Ask over each version of IP; the exit status is 0 where one has got an answer."""
    try:
        servers = _servers(arguments.url, arguments.family)
    except (InvalidArgument, OSError) as error:
        print(f"sans-rtc stun: {error}", file=sys.stderr)
        return EXIT_USAGE if isinstance(error, InvalidArgument) else EXIT_FAILED
    is_answered = False
    for server in servers:
        try:
            event = _discover(server, arguments.bind, arguments.timeout)
        except (InvalidArgument, OSError) as error:
            event = DiscoveryFailed(0, str(error))
        if isinstance(event, BehaviorDiscovered):
            is_answered = True
            found = event.behavior
            print(json.dumps(_as_json(server, found)) if arguments.json else _as_text(server, found), flush=True)
        else:
            code = f"{event.code} " if event.code else ""
            print(f"sans-rtc stun: {server}: {code}{event.reason}", file=sys.stderr)
    return EXIT_DONE if is_answered else EXIT_FAILED


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.05 <= value <= 60.0:
        raise argparse.ArgumentTypeError("0.05 to 60 seconds")
    return value


def _servers(url: str, family: int | None) -> list[Address]:
    """One address of the server for each version of IP. Errors: InvalidArgument, OSError where the name has none."""
    try:
        uri = parse_stun_uri(url if ":" in url and url.split(":")[0] in tuple(Scheme) else f"stun:{url}")
    except WireError as error:
        raise InvalidArgument(f"{url!r}: {error}") from None
    if uri.scheme is not Scheme.STUN:
        raise InvalidArgument(f"NATs are told apart by what they do to UDP: a stun: URL is needed, not {uri.scheme}:")
    families = [family] if family is not None else list(_FAMILIES)
    found: dict[int, Address] = {}
    for info in socket.getaddrinfo(uri.host, uri.port, type=socket.SOCK_DGRAM):
        address = Address(str(info[4][0]).partition("%")[0], uri.port)
        if info[0] in _FAMILIES.values() and address.family in families:
            found.setdefault(address.family, address)
    if not found:
        raise OSError(f"{uri.host} has no address of IPv{' or IPv'.join(map(str, families))}")
    return list(found.values())


def _discover(server: Address, bind: str, timeout_s: float) -> BehaviorDiscovered | DiscoveryFailed:
    sock = UdpSocket.bind(bind or _source_of(server))
    try:
        schedule = _schedule(timeout_s)
        client = BehaviorDiscovery(Path(sock.local, server), entropy=system_entropy, schedule=schedule)
        events: list[BehaviorEvent] = []
        client.start(monotonic())
        drive(client, [sock], on_events=events.extend, until=lambda: client.is_terminated)
        return next(event for event in events if isinstance(event, BehaviorDiscovered | DiscoveryFailed))
    finally:
        sock.close()


def _schedule(timeout_s: float) -> RetransmissionSchedule:
    """Requests at 0, 1/7, 3/7 and 5/7 of the time that a question may take."""
    unit_s = timeout_s / 7
    return RetransmissionSchedule(rto_s=unit_s, request_count_max=4, last_wait_factor=2.0, rto_s_max=2 * unit_s)


def _source_of(server: Address) -> str:
    """The local address that the system would send from; nothing is sent. OSError where there is no route."""
    with socket.socket(_FAMILIES[server.family], socket.SOCK_DGRAM) as probe:
        probe.connect(server)
        host = str(probe.getsockname()[0])
    return host.partition("%")[0]


def _as_json(server: Address, found: NatBehavior) -> dict[str, object]:
    return {
        "server": str(server),
        "local": str(found.local),
        "mapped": str(found.mapped),
        "translated": found.is_translated,
        "mapping": found.mapping,
        "filtering": found.filtering,
        "hairpinning": found.is_hairpinning,
        "kind": found.classic_name,
        "rtt_ms": None if found.rtt_s is None else round(1000 * found.rtt_s, 3),
        "software": found.software,
    }


def _as_text(server: Address, found: NatBehavior) -> str:
    rtt = "" if found.rtt_s is None else f", round trip {1000 * found.rtt_s:.1f} ms"
    lines = [
        f"{server}{rtt}",
        f"  local address   {found.local}",
        f"  public address  {found.mapped}" + ("" if found.is_translated else "  (the same: no NAT)"),
    ]
    if found.other is None:
        lines.append("  kind of NAT     unknown: this server has no second address to ask from (RFC 5780)")
    else:
        lines += [
            f"  kind            {found.classic_name or 'unknown: the server did not answer from its other address'}",
            f"  mapping         {found.mapping}",
            f"  filtering       {found.filtering}",
        ]
    if found.is_translated:
        hairpinning = {True: "yes", False: "no", None: "not known"}[found.is_hairpinning]
        lines.append(f"  hairpinning     {hairpinning}")
    if found.mapping in (Dependence.ADDRESS_DEPENDENT, Dependence.ADDRESS_AND_PORT_DEPENDENT):
        lines.append(
            "  peers behind a NAT like this, or a port-restricted one, are reached through a relay (TURN) only"
        )
    return "\n".join(lines)
