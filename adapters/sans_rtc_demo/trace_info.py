"""`sans-rtc trace info`: what is in a recording, for people or as JSON."""

from __future__ import annotations

import argparse
import json

import attrs

from sans_rtc.trace.inspection import Summary, summarize
from sans_rtc_demo.trace_files import EXIT_SAME, records_of


def info(arguments: argparse.Namespace) -> int:
    """Print what is in it."""
    summary = summarize(records_of(arguments.file))
    print(json.dumps(_as_json(summary)) if arguments.json else _as_text(summary))
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
            ("redacted", summary.header.is_redacted),
            ("payloads", summary.header.has_payloads),
            ("secrets", summary.header.has_secrets),
            (f"{summary.key_log_lines} key log lines", summary.key_log_lines),
        )
        if is_there
    ]
    lines = [
        f"machine     {construction.class_name if construction else 'unknown'}",
        f"library     {f'sans_rtc {summary.header.library}' if summary.header.library else 'unknown'}",
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
