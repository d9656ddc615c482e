"""The command `sans-rtc`: `peer`, which any program can script, and `demo`, a page in the browser.

A subcommand is a module with `add_parser(subparsers)` and `run(arguments) -> int`, imported only when it is asked for:
`sans-rtc peer` needs nothing of what the web server of `sans-rtc demo` needs.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from sans_rtc import __version__

# name: (module, one line of help, the extra that brings what it needs)
SUBCOMMANDS = {
    "peer": ("sans_rtc_demo.peer_command", "a peer that signals by JSON lines on stdin and stdout", ""),
    "stun": ("sans_rtc_demo.stun_command", "the public address, and what kind of NAT it is behind", ""),
    "turn-server": ("sans_rtc_demo.turn_command", "a TURN and STUN server, for development and small deployments", ""),
    "trace": ("sans_rtc_demo.trace_command", "what was recorded with --record: show, replay, cut, export it", ""),
    "demo": ("sans_rtc_demo.demo_command", "a web page that connects to Python, served from this machine", "demo"),
}

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130  # as shells have it: 128 and the number of SIGINT


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status; `arguments` are those of the process where none are given."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    chosen = given[0] if given and given[0] in SUBCOMMANDS else None
    parser = argparse.ArgumentParser(prog="sans-rtc", description="WebRTC from the command line.")
    parser.add_argument("--version", action="version", version=f"sans-rtc {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    try:
        _add_subparsers(subparsers, chosen)
        parsed = parser.parse_args(given)
        if chosen is None:
            parser.print_help(sys.stderr)
            return EXIT_USAGE
        status = importlib.import_module(SUBCOMMANDS[chosen][0]).run(parsed)
    except ModuleNotFoundError as error:
        return _missing(chosen, error)
    except KeyboardInterrupt:  # before the subcommand handles signals, or where it cannot
        return EXIT_INTERRUPTED
    assert isinstance(status, int)
    return status


def _add_subparsers(subparsers: argparse._SubParsersAction[argparse.ArgumentParser], chosen: str | None) -> None:
    """Let the chosen subcommand describe itself; of the others the name and one line are enough."""
    for name, (module, summary, _) in SUBCOMMANDS.items():
        if name == chosen:
            importlib.import_module(module).add_parser(subparsers)
        else:
            subparsers.add_parser(name, help=summary)


def _missing(chosen: str | None, error: ModuleNotFoundError) -> int:
    extra = SUBCOMMANDS[chosen][2] if chosen else ""
    remedy = f"; it comes with: pip install 'sans-rtc[{extra}]'" if extra else ""
    print(f"sans-rtc {chosen}: needs the package {error.name}, which is not installed{remedy}", file=sys.stderr)
    return EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main())
