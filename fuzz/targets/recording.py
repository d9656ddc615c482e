"""Recordings: a file of anybody, as far as the records and what they say; nothing is replayed."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.codec import refuse
from sans_rtc.sctp import RELIABLE, Association, SctpConfig
from sans_rtc.testing import SeededEntropy
from sans_rtc.trace import make_recorded
from sans_rtc.trace.wire import parse_call, parse_construction, parse_header, read_records, serialize_header


def run(data: bytes) -> None:
    """The bytes are a file."""
    records = refuse(lambda: list(read_records(data))) or []
    for record in records:
        for parse in (parse_header, parse_construction, parse_call):
            refuse(parse, record)


def seeds() -> Iterator[bytes]:
    """A header, and a recorded association."""
    yield serialize_header(has_payloads=True, has_secrets=False)
    written: list[bytes] = []
    machine = make_recorded(Association, SctpConfig(), entropy=SeededEntropy(1), sink=written.append)
    machine.connect(1.0)
    machine.send(1, 51, b"x", RELIABLE, 1.0)
    machine.take_datagrams(1.0)
    machine.abort(2.0)
    machine.take_events()
    yield b"".join(written)
