"""A bridge from the machines' trace records to `logging`: one logger, one line a record, off unless asked for."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from sans_rtc.machine import Trace, TraceRecord

LOGGER_NAME = "sans_rtc"


def trace_to_logging(peer_id: str, *, logger: logging.Logger | None = None, level: int = logging.DEBUG) -> Trace:
    """Make a trace that logs each record under the peer's id.

    peer_id  whatever tells this peer from the others in the log
    logger   "sans_rtc" where None
    """
    target = logger or logging.getLogger(LOGGER_NAME)

    def log(record: TraceRecord) -> None:
        if target.isEnabledFor(level):
            target.log(level, "%s %s %s%s", peer_id, record.layer, record.name, _Fields(record.fields))

    return log


class _Fields:
    """Formats only where a handler wants the line."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, object]) -> None:
        self._fields = fields

    def __str__(self) -> str:
        return "".join([f" {name}={value}" for name, value in self._fields.items()])
