"""A bridge from the machines' trace records to `logging`: one logger, one line a record, off unless asked for.

    PeerConnection(trace=trace_to_logging("call 17"))
    handler.setFormatter(JsonFormatter())            where a program is to read the lines

What a record says is on the log record as well: `peer` (the correlation id), `layer`, `event`, `at`, `fields`.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from datetime import UTC, datetime

from sans_rtc.machine import Address, Path, Trace, TraceRecord
from sans_rtc.trace.aliases import Aliases

LOGGER_NAME = "sans_rtc"


def trace_to_logging(
    peer_id: str,
    *,
    logger: logging.Logger | None = None,
    level: int = logging.DEBUG,
    redact_addresses: bool = False,
) -> Trace:
    """Make a trace that logs each record under the peer's id.

    peer_id           whatever tells this peer from the others in the log: all its lines carry it
    logger            "sans_rtc" where None
    redact_addresses  addresses and host names come out as others, the same one always as the same
    """
    target = logger or logging.getLogger(LOGGER_NAME)
    aliases = Aliases() if redact_addresses else None

    def log(record: TraceRecord) -> None:
        if target.isEnabledFor(level):
            fields = record.fields if aliases is None else _redacted(record.fields, aliases)
            extra = {"peer": peer_id, "layer": record.layer, "event": record.name, "at": record.at, "fields": fields}
            target.log(level, "%s %s %s%s", peer_id, record.layer, record.name, _Fields(fields), extra=extra)

    return log


def fan_out(*traces: Trace) -> Trace:
    """One trace for several: each gets every record."""

    def trace(record: TraceRecord) -> None:
        for each in traces:
            each(record)

    return trace


class JsonFormatter(logging.Formatter):
    """Each log record as one line of JSON: of a trace `peer`, `layer`, `event`, `at`, `fields`, else `message`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        if hasattr(record, "peer"):
            line |= {name: getattr(record, name) for name in ("peer", "layer", "event", "at")}
            fields: Mapping[str, object] = getattr(record, "fields", {})
            line |= {"fields": {name: _plain(value) for name, value in fields.items()}}
        else:
            line["message"] = record.getMessage()
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def _plain(value: object) -> object:
    """A number, a truth or nothing: whatever else there is comes as its text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, bool | int | float | None) else str(value)


def _redacted(fields: Mapping[str, object], aliases: Aliases) -> dict[str, object]:
    return {name: _redacted_value(value, aliases) for name, value in fields.items()}


def _redacted_value(value: object, aliases: Aliases) -> object:
    if isinstance(value, Address):
        return aliases.address(value)
    if isinstance(value, Path):
        return aliases.path(value)
    if isinstance(value, str):
        return aliases.prose(value)
    if isinstance(value, bool | int | float | None):
        return value
    return aliases.prose(str(value))


class _Fields:
    """Formats only where a handler wants the line."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, object]) -> None:
        self._fields = fields

    def __str__(self) -> str:
        return "".join([f" {name}={value}" for name, value in self._fields.items()])
