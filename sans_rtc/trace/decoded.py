"""One message of any layer as plain data: what `trace import` lists and a report draws."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum
from typing import Final, TypeAlias, Union

import attrs

from sans_rtc.machine import Address, Path

Plain: TypeAlias = Union[bool, int, float, str, "list[Plain]", "dict[str, Plain]", None]

_BYTES_SHOWN_MAX: Final = 32
_TEXT_SHOWN_MAX: Final = 200
_ITEMS_SHOWN_MAX: Final = 64
_DEPTH_MAX: Final = 8


@attrs.define(slots=True)
class Decoded:
    """One message.

    at           seconds: of a capture Unix time, of a recording that of its calls
    source       who sent it
    destination  to whom
    layer        "stun", "turn", "dtls", "sctp", "dcep", "data", "rtp", "rtcp", "unknown"
    name         of the message, in the RFC's words
    size         its bytes
    fields       what it says
    """

    at: float
    source: Address
    destination: Address
    layer: str
    name: str
    size: int
    fields: dict[str, Plain] = attrs.Factory(dict)

    def as_json(self, start: float = 0.0) -> dict[str, Plain]:
        """The message for `json.dumps`, its time in seconds after `start`."""
        return {
            "at_s": round(self.at - start, 9),
            "from": str(self.source),
            "to": str(self.destination),
            "layer": self.layer,
            "name": self.name,
            "bytes": self.size,
            **({"fields": self.fields} if self.fields else {}),
        }

    def as_text(self, start: float = 0.0) -> str:
        """The message in a line, its time in seconds after `start`."""
        fields = " ".join([f"{name}={_shown(value)}" for name, value in self.fields.items()])
        ends = f"{self.source} > {self.destination}"
        return f"{self.at - start:12.6f} {ends:43} {self.layer:5} {self.name} {fields}".rstrip()


def plain(value: object, depth: int = 0) -> Plain:
    """Any value of a parsed message as JSON has it; long ones are cut, and say so."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return value.name.lower()
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return value if len(value) <= _TEXT_SHOWN_MAX else f"{value[:_TEXT_SHOWN_MAX]}... ({len(value)} characters)"
    if isinstance(value, bytes):
        more = f"... ({len(value)} bytes)" if len(value) > _BYTES_SHOWN_MAX else ""
        return value[:_BYTES_SHOWN_MAX].hex() + more
    if isinstance(value, Address | Path) or depth >= _DEPTH_MAX:
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item, depth + 1) for key, item in value.items()}
    kind = type(value)
    if attrs.has(kind):
        return {field.name: plain(getattr(value, field.name), depth + 1) for field in attrs.fields(kind)}
    if isinstance(value, list | tuple):
        return _items(value, depth)
    return str(value)


def _items(value: list[object] | tuple[object, ...], depth: int) -> Plain:
    names = getattr(value, "_fields", None)
    if names is not None:
        return {name: plain(item, depth + 1) for name, item in zip(names, value, strict=True)}
    items = [plain(item, depth + 1) for item in value[:_ITEMS_SHOWN_MAX]]
    return [*items, f"... ({len(value)} in all)"] if len(value) > _ITEMS_SHOWN_MAX else items


def _shown(value: Plain) -> str:
    if isinstance(value, str):
        return repr(value) if not value or " " in value or "\n" in value else value
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join([f'{name}={_shown(item)}' for name, item in value.items()])}}}"
    return str(value)
