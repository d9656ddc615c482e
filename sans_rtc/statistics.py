"""Statistics with the names of the W3C (webrtc-stats): plain data in snake_case here, camelCase for `to_json`.

Every object has an id that stays, and points at others by theirs: `transport_id`, `codec_id`, `remote_id`.
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar

import attrs


@attrs.define(slots=True, kw_only=True)
class Stats:
    """One object of statistics (webrtc-stats section 4).

    id            the same each time
    timestamp_ms  when it was taken: Unix time in ms where the configuration gives the wall clock's offset, else `now`
    """

    type: ClassVar[str] = ""

    id: str
    timestamp_ms: float

    def to_json(self) -> dict[str, object]:
        """As a browser's getStats has it: members that are None are left out."""
        members: dict[str, object] = {"type": self.type, "id": self.id, "timestamp": self.timestamp_ms}
        for field in attrs.fields(type(self)):
            value = getattr(self, field.name)
            if value is not None and field.name not in ("id", "timestamp_ms"):
                members[_camel(field.name)] = _plain(value)
        return members


# Words that the W3C writes in its own way.
_WORDS = {"id": "Id", "url": "Url", "ssrc": "Ssrc", "rtx": "Rtx", "fec": "Fec"}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(_WORDS.get(word, word.capitalize()) for word in rest)


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value
