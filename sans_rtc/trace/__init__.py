"""Recordings of machines: made as they run, replayed byte for byte, looked at, exported for Wireshark."""

from sans_rtc.trace.recorder import RecordedMachine, RecordOptions, make_recorded, record, recorded_entropy
from sans_rtc.trace.replay import NotReplayable, Replayer, ReplayMismatch, ReplayReport, replay
from sans_rtc.trace.ring import Ring
from sans_rtc.trace.wire import Call, Construction, Header, Outcome, Record, RecordKind, read_records
from sans_rtc.trace.withheld import LeftOut, Withheld

__all__ = [
    "Call",
    "Construction",
    "Header",
    "LeftOut",
    "NotReplayable",
    "Outcome",
    "Record",
    "RecordKind",
    "RecordOptions",
    "RecordedMachine",
    "ReplayMismatch",
    "ReplayReport",
    "Replayer",
    "Ring",
    "Withheld",
    "make_recorded",
    "read_records",
    "record",
    "recorded_entropy",
    "replay",
]
