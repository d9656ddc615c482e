"""`sans-rtc trace import`: a capture of any WebRTC session as a list of decoded messages."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from sans_rtc.trace.decode import SessionDecoder, decode_capture
from sans_rtc.trace.decoded import Decoded
from sans_rtc_demo.trace_files import EXIT_FAILED, EXIT_SAME, write_text

# It is read whole: the secrets may stand behind what they open.
CAPTURE_BYTES_MAX: Final = 1 << 30
KEY_LOG_BYTES_MAX: Final = 1 << 24


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe the action's options."""
    parser.add_argument("--keys", type=Path, metavar="KEYS", help="a key log as SSLKEYLOGFILE has it")
    parser.add_argument("--json", action="store_true", help="JSON, one message a line")
    parser.add_argument("-o", "--output", default="-", metavar="OUTPUT", help="where it goes; -: the standard output")


def import_capture(arguments: argparse.Namespace) -> int:
    """Decode a capture and write what it says."""
    keys = "" if arguments.keys is None else _read(arguments.keys, KEY_LOG_BYTES_MAX).decode("ascii", "replace")
    data = _read(arguments.file, CAPTURE_BYTES_MAX)
    decoder, notes = SessionDecoder(), Counter[str]()
    messages = _noted(decode_capture(data, keys, decoder), notes)
    output = None if arguments.output == "-" else Path(arguments.output)
    write_text(output, _lines(messages, is_json=arguments.json))
    print(f"{notes['messages']} messages", file=sys.stderr)
    for why in sorted(notes.keys() - {"messages"}):
        print(f"{notes[why]} protected, not opened: {why}", file=sys.stderr)
    if decoder.unrecognized:
        print(f"{decoder.unrecognized} datagrams of other traffic", file=sys.stderr)
    return EXIT_SAME if notes["messages"] else EXIT_FAILED


def _read(path: Path, bytes_max: int) -> bytes:
    with path.open("rb") as file:
        data = file.read(bytes_max + 1)
    if len(data) > bytes_max:
        raise OSError(f"{path} is larger than {bytes_max} bytes: take a part of it")
    return data


def _noted(messages: Iterable[Decoded], notes: Counter[str]) -> Iterator[Decoded]:
    for message in messages:
        notes["messages"] += 1
        if message.fields.get("is_opened") is False:
            notes[str(message.fields.get("why", "no keys for its session"))] += 1
        yield message


def _lines(messages: Iterable[Decoded], *, is_json: bool) -> Iterator[str]:
    start: float | None = None
    for message in messages:
        start = message.at if start is None else start
        yield json.dumps(message.as_json(start)) if is_json else message.as_text(start)
