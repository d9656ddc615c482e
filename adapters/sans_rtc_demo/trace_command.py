"""`sans-rtc trace`: looks at recordings, replays them, and turns them into captures for Wireshark."""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Final

from sans_rtc import __version__
from sans_rtc.errors import WireError
from sans_rtc.trace import NotReplayable, ReplayMismatch, replay
from sans_rtc.trace.export import export_pcapng, key_log_of
from sans_rtc.trace.inspection import cut, first_difference
from sans_rtc.trace.layers import redact_association
from sans_rtc.trace.redact import redact
from sans_rtc.trace.whole import BUGS
from sans_rtc.trace.wire import parse_header
from sans_rtc_demo.trace_files import (
    EXIT_DIFFERENT,
    EXIT_FAILED,
    EXIT_SAME,
    Unreadable,
    records_of,
    require_other,
    write,
)
from sans_rtc_demo.trace_import import add_options as add_import_options
from sans_rtc_demo.trace_import import import_capture
from sans_rtc_demo.trace_info import info
from sans_rtc_demo.trace_report import add_options as add_report_options
from sans_rtc_demo.trace_report import report
from sans_rtc_net.recording import read_recording

_SUMMARY: Final = "what was recorded with --record: show, replay, compare, cut, export it"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command's options."""
    parser = subparsers.add_parser("trace", help=_SUMMARY, description=f"Takes {_SUMMARY}.")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    contents = _action(actions, "info", "what is in a recording")
    contents.add_argument("--json", action="store_true", help="as one JSON object")
    _action(actions, "replay", "play it to a fresh machine; exit status 0 only where every byte is the same")
    diff = _action(actions, "diff", "the first place where two recordings differ; exit status 1 where there is one")
    diff.add_argument("other", metavar="OTHER", type=Path)
    piece = _action(actions, "cut", "a part of it, in seconds from its first call, with what a replay of that needs")
    piece.add_argument(
        "--from", dest="from_s", type=_seconds, default=-math.inf, metavar="S", help="from this second on"
    )
    piece.add_argument("--to", dest="to_s", type=_seconds, default=math.inf, metavar="S", help="up to then")
    piece.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="where it goes")
    export = _action(actions, "export", "a capture that Wireshark opens decrypted")
    export.add_argument("--pcapng", type=Path, required=True, metavar="FILE", help="where it goes")
    redacted = _action(actions, "redact", "the same with addresses, names and payloads replaced, without keys")
    redacted.add_argument("output", metavar="OUTPUT", type=Path, help="where it goes")
    redacted.add_argument("--sctp", action="store_true", help="only the SCTP association: of that there is a replay")
    redacted.add_argument("--number", type=int, default=0, metavar="N", help="with --sctp: which of several, from 0")
    add_import_options(_action(actions, "import", "the messages of every layer in a capture, a browser's too"))
    add_report_options(_action(actions, "report", "one page that shows what happened, with drawings"))
    _action(actions, "keylog", "the keys of its DTLS sessions, one a line, as SSLKEYLOGFILE has them")


def run(arguments: argparse.Namespace) -> int:
    """Do one of the actions."""
    try:
        for output in ("output", "pcapng"):
            if isinstance(path := getattr(arguments, output, None), Path):
                require_other(arguments.file, path)
        status = _ACTIONS[arguments.action](arguments)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Whoever read it has seen enough; what is still to be flushed goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except Unreadable as error:
        return _failed(str(error))
    except OSError as error:
        return _failed(f"{error.filename or arguments.file}: {error.strerror or error}")
    except (WireError, NotReplayable, ReplayMismatch) as error:
        return _failed(f"{arguments.file}: {error}")


def _failed(text: str) -> int:
    print(f"sans-rtc trace: {text}", file=sys.stderr)
    return EXIT_FAILED


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, summary: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=summary, description=summary)
    parser.add_argument("file", metavar="FILE", type=Path)
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if math.isnan(seconds):
        raise ValueError(text)
    return seconds


def _about_versions(path: Path) -> str:
    """What a difference may come of."""
    library = parse_header(next(records_of(path))).library
    if library == __version__:
        return f"It was recorded by this version of sans_rtc, {library}: is the code the same?"
    told = f"It was recorded by sans_rtc {library}, and this is {__version__}: " if library else ""
    return f"{told}a recording of another version differs where that version did something else."


def _replay(arguments: argparse.Namespace) -> int:
    started = time.perf_counter()
    try:
        report = replay(read_recording(arguments.file))
    except ReplayMismatch as mismatch:
        print(f"different at {mismatch}")
        print(_about_versions(arguments.file), file=sys.stderr)
        return EXIT_DIFFERENT
    except BUGS as bug:
        if isinstance(bug, WireError):
            raise
        traceback.print_exception(bug)
        print("The machine raised this: a bug that was recorded, or one of this version.", file=sys.stderr)
        return EXIT_DIFFERENT
    took_s = time.perf_counter() - started
    print(
        f"the same: {report.calls} calls, {report.datagrams_in} datagrams in, {report.datagrams_out} out, "
        f"{report.events} events, {report.compared_bytes} bytes compared; "
        f"{report.last_now - report.first_now:.3f} s replayed in {took_s:.3f} s"
    )
    return EXIT_SAME


def _diff(arguments: argparse.Namespace) -> int:
    difference = first_difference(records_of(arguments.file), records_of(arguments.other))
    if difference is None:
        print("the same")
        return EXIT_SAME
    print(f"record {difference.index}, at {difference.now:.6f}")
    print(f"  {arguments.file}: {difference.first or '(ends)'}")
    print(f"  {arguments.other}: {difference.second or '(ends)'}")
    return EXIT_DIFFERENT


def _cut(arguments: argparse.Namespace) -> int:
    if arguments.from_s > arguments.to_s:
        return _failed(f"nothing is from {arguments.from_s:g} s on and up to {arguments.to_s:g} s")
    pieces = (record.serialize() for record in cut(records_of(arguments.file), arguments.from_s, arguments.to_s))
    return write(arguments.output, pieces)


def _redact(arguments: argparse.Namespace) -> int:
    records = records_of(arguments.file)
    if arguments.sctp:
        return write(arguments.output, redact_association(records, arguments.number))
    return write(arguments.output, (record.serialize() for record in redact(records)))


def _export(arguments: argparse.Namespace) -> int:
    return write(arguments.pcapng, export_pcapng(records_of(arguments.file)))


def _keylog(arguments: argparse.Namespace) -> int:
    lines = key_log_of(records_of(arguments.file))
    for line in lines:
        print(line)
    if not lines:
        print(f"sans-rtc trace: {arguments.file}: there are no keys in it", file=sys.stderr)
    return EXIT_SAME if lines else EXIT_DIFFERENT


_ACTIONS: Final = {
    "info": info,
    "replay": _replay,
    "report": report,
    "diff": _diff,
    "cut": _cut,
    "export": _export,
    "import": import_capture,
    "keylog": _keylog,
    "redact": _redact,
}
