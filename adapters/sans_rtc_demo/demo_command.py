"""`sans-rtc demo`: checks that two peers connect on loopback, then serves a page that connects a browser to Python."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import sys
from pathlib import Path
from typing import Final

from sans_rtc import __version__
from sans_rtc_asyncio import PeerConnection
from sans_rtc_demo.demo_check import CheckReport, check, table
from sans_rtc_demo.demo_recordings import RECORDING_COUNT_MAX, Recordings, require_writable
from sans_rtc_net.peer_metrics import PeerMetrics

EXIT_DONE: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130
PORT_MAX: Final = 65_535


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command's options."""
    parser = subparsers.add_parser("demo", help="a web page that connects to Python, served from this machine")
    parser.add_argument("--host", default="127.0.0.1", help="address or name to serve the page at (127.0.0.1)")
    parser.add_argument("--port", type=_port, default=8080, help="TCP port of the page (8080); 0: any free one")
    either = parser.add_mutually_exclusive_group()  # a check has no page to record
    either.add_argument("--check", action="store_true", help="connect two peers on loopback, report, and stop")
    either.add_argument(
        "--record",
        type=Path,
        metavar="FILE",
        help="record every connection of the page, keys and messages too, for `sans-rtc trace`: the first in FILE, "
        "each further one (a page that is loaded again makes one) in a file with its number before the suffix: a.rec, "
        f"a-2.rec, a-3.rec, up to {RECORDING_COUNT_MAX}. What is there is overwritten",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit status; ModuleNotFoundError where the web server's packages are missing."""
    if args.record is not None:
        try:
            require_writable(args.record)
        except OSError as error:
            print(f"sans-rtc demo: {args.record}: nothing can be recorded: {error.strerror or error}", file=sys.stderr)
            return EXIT_USAGE
    try:
        return _run(args.host, args.port, args.record, is_check=args.check)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _run(host: str, port: int, record: Path | None, *, is_check: bool) -> int:
    report = asyncio.run(_check())
    if report.rows:
        _say(table(report.rows))
    if report.failure:
        print(f"\nFailed. {report.failure}", file=sys.stderr)
        return EXIT_FAILED
    return EXIT_DONE if is_check else _serve(host, port, record)


async def _check() -> CheckReport:
    _say(f"sans_rtc {__version__}: two peers in this process, over UDP on 127.0.0.1\n")
    return await check()


def _serve(host: str, port: int, record: Path | None) -> int:
    # Only now, so that --check needs nothing of the extra `demo`.
    importlib.import_module("starlette")
    from sans_rtc_demo import demo_serve

    try:
        listener = demo_serve.listen(host, port)
    except OSError as error:
        print(f"\nThe page cannot be served at {host} port {port}: {error.strerror or error}.", file=sys.stderr)
        print("Choose another place with --host and --port.", file=sys.stderr)
        return EXIT_FAILED
    is_loopback, url = demo_serve.is_loopback(host), demo_serve.page_url(host, listener)

    metrics = PeerMetrics()
    recordings = None if record is None else Recordings(record, _say)

    def make_peer() -> PeerConnection:
        trace = metrics.trace_peer()

        def make(path: Path | None) -> PeerConnection:
            return PeerConnection(include_loopback=True if is_loopback else None, trace=trace, record=path)

        return make(None) if recordings is None else recordings.make_peer(make)

    def on_ready() -> None:
        _say(f"\nOpen {url} in a browser. Ctrl-C ends the demo.")
        if record is not None:
            _say(f"Connections are recorded, keys and messages too: see `sans-rtc trace report {record} -o page.html`.")

    on_closed = None if recordings is None else recordings.on_closed
    asyncio.run(demo_serve.serve(listener, (host,), make_peer, on_ready, metrics, on_closed))
    return EXIT_DONE


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= PORT_MAX:
        raise ValueError(text)
    return port


def _say(text: str) -> None:
    print(text, flush=True)
