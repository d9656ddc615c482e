"""What a script may tell `sans-rtc peer`: one JSON object a line, its fields checked before anything is done.

`parse_request` is a codec: whatever the line holds, it returns a `Request` or raises `BadRequest` with a sentence for
the person who wrote the script.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import TypeAlias, TypeVar

import attrs

from sans_rtc_demo.jsonl import LINE_BYTES_MAX, LineTooLong

Value: TypeAlias = str | int | float | bool | None
T = TypeVar("T")

_STRING: tuple[type, ...] = (str,)
_OPTIONAL_STRING: tuple[type, ...] = (str, type(None))
_OPTIONAL_INTEGER: tuple[type, ...] = (int, type(None))
_OPTIONAL_NUMBER: tuple[type, ...] = (int, float, type(None))
_OPTIONAL_BOOLEAN: tuple[type, ...] = (bool, type(None))

# type: {field: the types it may have}; a field that may be None may be left out
REQUESTS: dict[str, dict[str, tuple[type, ...]]] = {
    "offer": {"sdp": _STRING},
    "answer": {"sdp": _STRING},
    "candidate": {
        "candidate": _OPTIONAL_STRING,
        "sdpMid": _OPTIONAL_STRING,
        "sdpMLineIndex": _OPTIONAL_INTEGER,
        "usernameFragment": _OPTIONAL_STRING,
    },
    "create-channel": {
        "label": _STRING,
        "ordered": _OPTIONAL_BOOLEAN,
        "max_retransmits": _OPTIONAL_INTEGER,
        "lifetime_s": _OPTIONAL_NUMBER,
        "protocol": _OPTIONAL_STRING,
        "negotiated_id": _OPTIONAL_INTEGER,
    },
    "send": {"label": _STRING, "text": _OPTIONAL_STRING, "base64": _OPTIONAL_STRING},
    "close-channel": {"label": _STRING},
    "restart-ice": {},
    "network-changed": {},
    "request-keyframe": {"mid": _STRING},
    "stats": {},
    "explain": {},
    "close": {},
}

# What a peer says of itself: taken and left out, so that two of them can be joined by nothing but two pipes.
REPORTS = frozenset(
    {"state", "channel", "channel-closed", "message", "summary", "error", "closed"}
    | {"track", "media", "keyframe-requested", "played", "recorded"}
)
# The reports that have the type of the request for them, and what tells them: to answer an answer would never end.
ANSWERS = {"explain": "text", "stats": "stats"}

_NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false", type(None): "null"}


class BadRequest(Exception):
    """A line that cannot be followed; the text says why."""


@attrs.define(slots=True)
class Request:
    """One line that was understood: its type, and every field of the type, None where it was left out."""

    kind: str
    fields: dict[str, Value]

    def text(self, field: str) -> str:
        """The value of a field that must be text."""
        value = self.fields[field]
        assert isinstance(value, str)
        return value

    def optional(self, field: str, kind: type[T]) -> T | None:
        """The value of a field that may be left out."""
        value = self.fields[field]
        assert value is None or isinstance(value, kind)
        return value

    def number(self, field: str) -> float | None:
        """The value of a field that is any number and may be left out."""
        value = self.fields[field]
        assert value is None or isinstance(value, int | float)
        return None if value is None else float(value)

    def payload(self) -> bytes | str:
        """What a `send` wants to have sent: its text, or the bytes of its Base64."""
        text, encoded = self.fields["text"], self.fields["base64"]
        if (text is None) == (encoded is None):
            raise BadRequest('send: needs one of "text" and "base64"')
        if text is not None:
            return _sendable(self.text("text"))
        try:
            return base64.b64decode(self.text("base64"), validate=True)
        except (binascii.Error, ValueError):
            raise BadRequest('send: "base64" is not Base64') from None


def parse_request(line: bytes | LineTooLong) -> Request | None:
    """Take one line; None for a report of another peer, BadRequest where it is not one of REQUESTS either."""
    if isinstance(line, LineTooLong):
        raise BadRequest(f"a line is longer than {LINE_BYTES_MAX} bytes")
    message = _parse_object(line)
    kind = message.get("type")
    if _is_report(message):
        return None
    if not isinstance(kind, str) or kind not in REQUESTS:
        raise BadRequest(f"unknown type {_shown(kind)}; known are {', '.join(REQUESTS)}")
    allowed = REQUESTS[kind]
    return Request(kind, {field: _checked(kind, field, types, message.get(field)) for field, types in allowed.items()})


def _parse_object(line: bytes) -> dict[str, object]:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):  # not JSON, or not UTF-8, or deeper than the parser goes
        raise BadRequest(f"not JSON: {_shown(line.decode(errors='replace'))}") from None
    if not isinstance(message, dict):
        raise BadRequest(f"not a JSON object: {_shown(message)}")
    return message


def _is_report(message: dict[str, object]) -> bool:
    kind = message.get("type")
    return isinstance(kind, str) and (kind in REPORTS or (kind in ANSWERS and ANSWERS[kind] in message))


def _checked(kind: str, field: str, types: tuple[type, ...], value: object) -> Value:
    # In Python, true and false are whole numbers; in JSON they are not.
    if type(value) not in types:
        expected = " or ".join(_NAMES[allowed] for allowed in types)
        found = "is missing" if value is None else f"must be {expected}, not {_shown(value)}"
        raise BadRequest(f'{kind}: "{field}" {found}')
    assert value is None or isinstance(value, str | int | float | bool)
    return value


def _sendable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:  # JSON can hold half of a surrogate pair, UTF-8 cannot
        raise BadRequest('send: "text" has half of a surrogate pair, which no text message can carry') from None
    return text


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
