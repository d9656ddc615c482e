"""`sans-rtc trace`: looks at recordings, replays them, and turns them into captures for Wireshark."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

from sans_rtc.errors import WireError
from sans_rtc.trace import NotReplayable, Record, ReplayMismatch, read_records, replay
from sans_rtc.trace.export import export_pcapng, key_log_of
from sans_rtc.trace.inspection import Summary, cut, first_difference, summarize
from sans_rtc_net.recording import read_recording

EXIT_SAME: Final = 0
EXIT_DIFFERENT: Final = 1
EXIT_FAILED: Final = 2

_SUMMARY: Final = "what was recorded with --record: show, replay, compare, cut, export it"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command's options."""
    parser = subparsers.add_parser("trace", help=_SUMMARY, description=f"Takes {_SUMMARY}.")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    info = _action(actions, "info", "what is in a recording")
    info.add_argument("--json", action="store_true", help="as one JSON object")
    _action(actions, "replay", "play it to a fresh machine; exit status 0 only where every byte is the same")
    diff = _action(actions, "diff", "the first place where two recordings differ; exit status 1 where there is one")
    diff.add_argument("other", metavar="OTHER", type=Path)
    piece = _action(actions, "cut", "a part of it, with what a replay of that needs")
    piece.add_argument("--from", dest="from_s", type=float, default=-math.inf, metavar="S", help="from this second on")
    piece.add_argument("--to", dest="to_s", type=float, default=math.inf, metavar="S", help="up to this second")
    piece.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="where it goes")
    export = _action(actions, "export", "a capture that Wireshark opens decrypted")
    export.add_argument("--pcapng", type=Path, required=True, metavar="FILE", help="where it goes")
    _action(actions, "keylog", "the keys of its DTLS sessions, one a line, as SSLKEYLOGFILE has them")


def run(arguments: argparse.Namespace) -> int:
    """Do one of the actions."""
    try:
        return _ACTIONS[arguments.action](arguments)
    except (WireError, NotReplayable, OSError) as error:
        print(f"sans-rtc trace: {arguments.file}: {error}", file=sys.stderr)
        return EXIT_FAILED


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, summary: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=summary, description=summary)
    parser.add_argument("file", metavar="FILE", type=Path)
    return parser


def _records(path: Path) -> Iterator[Record]:
    return read_records(read_recording(path))


def _info(arguments: argparse.Namespace) -> int:
    summary = summarize(_records(arguments.file))
    print(json.dumps(_as_json(summary)) if arguments.json else _as_text(summary))
    return EXIT_SAME


def _replay(arguments: argparse.Namespace) -> int:
    started = time.perf_counter()
    try:
        report = replay(read_recording(arguments.file))
    except ReplayMismatch as mismatch:
        print(f"different at {mismatch}")
        return EXIT_DIFFERENT
    took_s = time.perf_counter() - started
    print(
        f"the same: {report.calls} calls, {report.datagrams_in} datagrams in, {report.datagrams_out} out, "
        f"{report.events} events, {report.compared_bytes} bytes compared; "
        f"{report.last_now - report.first_now:.3f} s replayed in {took_s:.3f} s"
    )
    return EXIT_SAME


def _diff(arguments: argparse.Namespace) -> int:
    difference = first_difference(_records(arguments.file), _records(arguments.other))
    if difference is None:
        print("the same")
        return EXIT_SAME
    print(f"record {difference.index}, at {difference.now:.6f}")
    print(f"  {arguments.file}: {difference.first or '(ends)'}")
    print(f"  {arguments.other}: {difference.second or '(ends)'}")
    return EXIT_DIFFERENT


def _cut(arguments: argparse.Namespace) -> int:
    pieces = (record.serialize() for record in cut(_records(arguments.file), arguments.from_s, arguments.to_s))
    return _write(arguments.output, pieces)


def _export(arguments: argparse.Namespace) -> int:
    return _write(arguments.pcapng, export_pcapng(_records(arguments.file)))


def _keylog(arguments: argparse.Namespace) -> int:
    lines = key_log_of(_records(arguments.file))
    print("\n".join(lines))
    return EXIT_SAME if lines else EXIT_DIFFERENT


def _write(path: Path, pieces: Iterator[bytes]) -> int:
    path.touch(mode=0o600)  # it holds keys, as the recording does
    with path.open("wb") as file:
        for piece in pieces:
            file.write(piece)
    return EXIT_SAME


def _as_json(summary: Summary) -> dict[str, object]:
    construction = summary.construction
    return {
        **attrs.asdict(summary.header),
        "class": construction.class_name if construction else None,
        "is_replayable": summary.is_replayable,
        "records": summary.record_count,
        "bytes": summary.byte_count,
        "dropped_records": summary.dropped,
        "duration_s": summary.duration_s,
        "datagrams_in": summary.datagrams_in,
        "bytes_in": summary.bytes_in,
        "datagrams_out": summary.datagrams_out,
        "bytes_out": summary.bytes_out,
        "draws": summary.draws,
        "key_log_lines": summary.key_log_lines,
        "calls": dict(summary.calls),
        "raised": dict(summary.raised),
        "events": dict(summary.events),
        "states": [[at_s, event] for at_s, event in summary.states],
    }


def _as_text(summary: Summary) -> str:
    construction = summary.construction
    contents = [
        name
        for name, is_there in (
            ("payloads", summary.header.has_payloads),
            ("secrets", summary.header.has_secrets),
            (f"{summary.key_log_lines} key log lines", summary.key_log_lines),
        )
        if is_there
    ]
    lines = [
        f"machine     {construction.class_name if construction else 'unknown'}",
        f"holds       {', '.join(contents) or 'neither payloads nor secrets'}",
        f"replayable  {'yes' if summary.is_replayable else 'no'}",
        f"size        {summary.record_count} records, {summary.byte_count} bytes",
        f"duration    {summary.duration_s:.3f} s",
        f"datagrams   {summary.datagrams_in} in ({summary.bytes_in} bytes), "
        f"{summary.datagrams_out} out ({summary.bytes_out} bytes)",
        f"calls       {_counts(summary.calls)}",
        f"events      {_counts(summary.events)}",
    ]
    if summary.raised:
        lines.append(f"refused     {_counts(summary.raised)}")
    if summary.dropped:
        lines.append(f"dropped     {summary.dropped} older records")
    return "\n".join([*lines, *[f"{at_s:11.4f} s {event}" for at_s, event in summary.states]])


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda item: -item[1])) or "none"


_ACTIONS: Final = {
    "info": _info,
    "replay": _replay,
    "diff": _diff,
    "cut": _cut,
    "export": _export,
    "keylog": _keylog,
}
