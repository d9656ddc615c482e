"""`sans-rtc turn-server`: a TURN and STUN server for development and small deployments.

SIGHUP reads the files of --user-file and --rest-secret-file again, so that users and secrets change without a restart.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc.turn.server import ServerConfig, User
from sans_rtc_asyncio.turn_server import TurnServer
from sans_rtc_net.turn_settings import DEFAULT_PORT, DEFAULT_TLS_PORT

try:
    import resource
except ModuleNotFoundError:  # Windows
    resource = None  # type: ignore[assignment]

EXIT_DONE: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2

_SUMMARY: Final = "a TURN and STUN server, for development and small deployments"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command's options."""
    parser = subparsers.add_parser("turn-server", help=_SUMMARY, description=_SUMMARY)
    add = parser.add_argument
    add("--bind", metavar="ADDRESS", action="append", help="listen here (127.0.0.1); repeatable, as for IPv6")
    add("--port", type=_port, default=DEFAULT_PORT, metavar="N", help=f"of UDP and TCP ({DEFAULT_PORT}); 0: any free")
    add("--tls-port", type=_port, metavar="N", help=f"of TLS ({DEFAULT_TLS_PORT} with --cert and --key); 0: any free")
    add("--cert", default="", metavar="FILE", help="certificate for TLS, PEM")
    add("--key", default="", metavar="FILE", help="its key, PEM")
    add("--realm", default="sans-rtc", metavar="R", help="realm of the passwords (sans-rtc)")
    add("--user", type=_user, action="append", default=[], metavar="NAME:PASSWORD", help="may allocate; repeatable")
    add("--user-file", metavar="FILE", help="more of them, one a line; read again on SIGHUP")
    add("--rest-secret", action="append", default=[], metavar="SECRET", help="of the TURN REST API; repeatable")
    add("--rest-secret-file", metavar="FILE", help="more of them, one a line; read again on SIGHUP")
    add("--allow-loopback-peers", action="store_true", help="let clients reach peers on this host")
    add(
        "--allow-peers",
        action="append",
        default=[],
        metavar="NETWORK",
        help="though private, as 10.0.0.0/8; repeatable",
    )
    add("--deny-peers", action="append", default=[], metavar="NETWORK", help="though public; repeatable")
    add(
        "--relay-address", action="append", default=[], metavar="ADDRESS", help="of relays (that of --bind); repeatable"
    )
    add(
        "--external-address",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="told in place of it, behind a 1:1 NAT",
    )
    add("--min-port", type=_port, default=49_152, metavar="N", help="first port of relays (49152)")
    add("--max-port", type=_port, default=65_535, metavar="N", help="last port of relays (65535)")
    add("--max-allocations", type=int, default=1000, metavar="N", help="in all (1000)")
    add("--user-quota", type=int, default=200, metavar="N", help="allocations of one user, and of one address (200)")
    add("--old-channels", action="store_true", help="take the channel numbers of RFC 5766 too")
    add("--alternate-port", type=_port, metavar="N", help="second UDP port; with two --bind, for RFC 5780")
    add("--metrics-port", type=_port, metavar="N", help="OpenMetrics by HTTP, at the first --bind; 0: any free")


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    try:
        server = _make(args)
    except (InvalidArgument, OSError) as error:
        print(f"sans-rtc turn-server: {error}", file=sys.stderr)
        return EXIT_USAGE
    try:
        return asyncio.run(_serve(server, args))
    except (InvalidArgument, OSError) as error:
        print(f"sans-rtc turn-server: {error}", file=sys.stderr)
        return EXIT_FAILED


def _make(args: argparse.Namespace) -> TurnServer:
    tls_port = DEFAULT_TLS_PORT if args.tls_port is None and args.cert and args.key else args.tls_port
    config = attrs.evolve(
        ServerConfig(),
        allocation_count_max=args.max_allocations,
        user_allocation_count_max=args.user_quota,
        source_allocation_count_max=args.user_quota,
        channel_number_max=0x7FFF if args.old_channels else ServerConfig().channel_number_max,
    )
    users, rest_secrets = _read_credentials(args)
    return TurnServer(
        bind=args.bind or "127.0.0.1",
        port=args.port,
        tls_port=tls_port,
        certificate_file=args.cert,
        key_file=args.key,
        users=users,
        rest_secrets=rest_secrets,
        realm=args.realm,
        relay_addresses=args.relay_address,
        external_addresses=args.external_address,
        ports=(args.min_port, args.max_port),
        allow_loopback_peers=args.allow_loopback_peers,
        allow_peers=args.allow_peers,
        deny_peers=args.deny_peers,
        alternate_port=args.alternate_port,
        metrics_port=args.metrics_port,
        config=config,
    )


async def _serve(server: TurnServer, args: argparse.Namespace) -> int:
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, over.set)
    if hasattr(signal, "SIGHUP"):
        loop.add_signal_handler(signal.SIGHUP, _reload, server, args)
    _raise_descriptor_limit()
    async with server:
        where = f"; metrics at http://{server.metrics_address}/metrics" if server.metrics_address else ""
        print(f"sans-rtc turn-server: {' '.join(server.urls)}{where}", flush=True)
        waits = [asyncio.ensure_future(over.wait()), asyncio.ensure_future(server.wait_closed())]
        done, waiting = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waiting:
            wait.cancel()
    return EXIT_FAILED if any(wait.exception() for wait in done) else EXIT_DONE


def _raise_descriptor_limit() -> None:
    """Every relay is a descriptor, and shells start programs with a limit of 1024: take what the system allows."""
    if resource is None:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):  # as it was, then
        pass


def _reload(server: TurnServer, args: argparse.Namespace) -> None:
    """Read the files again; where they are wrong, all stays as it was."""
    try:
        users, rest_secrets = _read_credentials(args)
        server.set_credentials(users=users, rest_secrets=rest_secrets)
    except (InvalidArgument, OSError) as error:
        print(f"sans-rtc turn-server: credentials are left as they were: {error}", file=sys.stderr, flush=True)


def _read_credentials(args: argparse.Namespace) -> tuple[Sequence[User], Sequence[str]]:
    users = [*args.user, *[_user(line) for line in _lines(args.user_file)]]
    return users, [*args.rest_secret, *_lines(args.rest_secret_file)]


def _lines(name: str | None) -> list[str]:
    """The lines of a file that are neither empty nor begin with #."""
    text = Path(name).read_text(encoding="utf-8") if name else ""
    return [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]


def _user(text: str) -> User:
    name, colon, password = text.partition(":")
    if not colon:
        raise InvalidArgument("a user is NAME:PASSWORD")
    return User(name, password)


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65_535:
        raise ValueError(text)
    return port
