"""What holds for every codec, whatever the bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from sans_rtc.errors import LocalError, WireError

VECTORS = Path(__file__).parent.parent / "rfc-vectors"

Value = TypeVar("Value")
Wire = TypeVar("Wire", bytes, str)


def check_codec(parse: Callable[[Wire], Value], serialize: Callable[[Value], Wire], data: Wire) -> Value | None:
    """Parsing raises WireError at most; what was parsed can be written, and read again as the same.

    Returns what was parsed, None where it was refused
    """
    try:
        first = parse(data)
    except WireError:
        return None
    wire = serialize(first)
    again = serialize(parse(wire))
    assert again == wire, f"read and written again, {wire!r} becomes {again!r}"
    return first


def refuse(call: Callable[..., Value], *arguments: object, error: type[Exception] = WireError) -> Value | None:
    """What the call returns, None where it raises the one error that it may."""
    try:
        return call(*arguments)
    except error:
        return None


def allow_misuse(call: Callable[..., Value], *arguments: object) -> Value | None:
    """What the call returns, None where it says that the call is wrong."""
    return refuse(call, *arguments, error=LocalError)


def text_of(data: bytes) -> str:
    """The bytes as a text; any bytes are one, and all texts of UTF-8 can be reached."""
    return data.decode("utf-8", "replace")


def vector_bytes(folder: str, *keys: str) -> Iterator[bytes]:
    """The hexadecimal values of these keys in the vectors of a protocol."""
    for path in sorted((VECTORS / folder).glob("*.json")):
        yield from _hex_values(json.loads(path.read_text()), set(keys))


def _hex_values(node: object, keys: set[str]) -> Iterator[bytes]:
    if isinstance(node, dict):
        for key, value in node.items():
            texts = value if isinstance(value, list) else [value]
            if key in keys and texts and all(isinstance(text, str) for text in texts):
                yield from _from_hex(key, texts)
            else:
                yield from _hex_values(value, keys)
    elif isinstance(node, list):
        for item in node:
            yield from _hex_values(item, keys)


def _from_hex(key: str, texts: list[str]) -> Iterator[bytes]:
    """One message in several lines; of a plural, several messages."""
    parts = texts if key.endswith("s") and key != "bytes" else ["".join(texts)]
    for part in parts:
        yield bytes.fromhex(part.replace(" ", ""))
