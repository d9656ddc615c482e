"""A recording that can be shown to somebody: who talked, and what they said, replaced; how it went, kept.

    same calls, same times, same datagrams of the same sizes, same kinds of events
    other addresses, names, credentials, identifiers; blank payloads; no keys, no entropy

There is no replay of it: datagrams are encrypted and authenticated, and without keys no machine makes them again.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, Final, cast

import attrs

from sans_rtc.dtls.certificate import Certificate
from sans_rtc.errors import LocalError, WireError
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.rtp.extensions import ExtensionMap
from sans_rtc.trace.aliases import Aliases
from sans_rtc.trace.reading import RESTORE, find_class
from sans_rtc.trace.redact_sctp import redact_packet
from sans_rtc.trace.redact_text import redact_candidate, redact_extension, redact_sdp
from sans_rtc.trace.redact_wire import redact_datagram
from sans_rtc.trace.values import Encoder
from sans_rtc.trace.whole import whole
from sans_rtc.trace.wire import (
    Call,
    Construction,
    Outcome,
    Record,
    RecordKind,
    parse_call,
    parse_construction,
    parse_header,
    serialize_call,
    serialize_header,
)
from sans_rtc.trace.withheld import CheckedDatagrams, Checksum, LeftOut, Withheld

# Names of arguments and fields whose texts are words of ours or of a specification.
_KEPT_NAMES: Final = frozenset({"type", "mid", "kind", "tcp_type", "algorithm", "scheme", "direction", "transport"})
_KEPT_WORDS: Final = frozenset({"udp", "tcp", "tls", "offer", "answer", "pranswer", "rollback"})


def redact(records: Iterable[Record]) -> Iterator[Record]:
    """Replace what identifies and what opens in a recording; WireError where it is none."""
    redactor = _Redactor()
    for record in whole(records):
        fresh = redactor.record(record)
        if fresh is not None:
            yield fresh


class _Redactor:
    """Knows what it has replaced by what."""

    def __init__(self) -> None:
        self._aliases = Aliases()
        self._encoder = Encoder(are_secrets_kept=False)
        self._class: type | None = None
        self._names: dict[str, list[str]] = {}
        self._raw: Callable[[bytes, Aliases], bytes] = redact_datagram

    def record(self, record: Record) -> Record | None:
        """The record that stands for one; None where it is left out."""
        match record.kind:
            case RecordKind.HEADER:
                library = parse_header(record).library
                header = serialize_header(has_payloads=False, has_secrets=False, is_redacted=True, library=library)
                return Record(RecordKind.HEADER, header[5:])
            case RecordKind.KEY_LOG:
                return None
            case RecordKind.ENTROPY:  # that something was drawn, and how much
                return Record(RecordKind.ENTROPY, bytes(len(record.body)))
            case RecordKind.CONSTRUCTION:
                return self._construction(parse_construction(record))
            case RecordKind.CALL:
                return self._call(parse_call(record))
            case RecordKind.DROPPED:
                return record

    def _construction(self, construction: Construction) -> Record:
        if construction.class_name.startswith("sans_rtc.sctp."):
            self._raw = redact_packet
        try:
            self._class = find_class(construction.class_name.removesuffix(f".{RESTORE}"))
        except WireError:
            self._class = None  # another version's: its calls are told by what they are given
        is_restored = construction.class_name.endswith(f".{RESTORE}")
        names = [] if is_restored else self._names_of("__init__")
        arguments = [self._value(value, _at(names, index)) for index, value in enumerate(construction.arguments)]
        named = {name: self._value(value, name) for name, value in construction.named.items()}
        encode = self._encoder.encode
        body = encode(construction.class_name) + encode(arguments) + encode(named)
        return Record(RecordKind.CONSTRUCTION, body)

    def _call(self, call: Call) -> Record:
        names = self._names_of(call.name)
        is_in = call.name in ("receive", "receive_many")
        arguments = tuple(
            [
                self._datagrams(value) if is_in and not index else self._value(value, _at(names, index))
                for index, value in enumerate(call.arguments)
            ]
        )
        result = b"" if call.outcome is Outcome.NOT_COMPARED else self._encoder.encode(self._result(call))
        return serialize_call(Call(call.name, call.now, arguments, call.outcome, result), self._encoder)

    def _result(self, call: Call) -> object:
        value = call.value()
        if call.name == "take_datagrams" and call.outcome is Outcome.RETURNED:
            return self._datagrams(value)
        if call.outcome is Outcome.RAISED and isinstance(value, tuple) and len(value) == 2:
            return [value[0], self._aliases.prose(str(value[1]))]
        return self._value(value, "")

    def _names_of(self, method: str) -> list[str]:
        """The names of a method's parameters, without `self`."""
        names = self._names.get(method)
        if names is None:
            found = getattr(self._class, method, None)
            names = self._names[method] = list(inspect.signature(found).parameters)[1:] if found is not None else []
        return names

    def _datagrams(self, value: object) -> object:
        """A datagram or several, however the machine has them."""
        if isinstance(value, bytes):
            return self._raw(value, self._aliases)
        if isinstance(value, Datagram):
            return self._datagram(value)
        if isinstance(value, CheckedDatagrams):  # there was no replay to make them again
            return [(self._aliases.path(value.path), Withheld(size)) for size in value.sizes]
        if isinstance(value, Withheld):
            return Withheld(value.size, value.is_text, self._raw(value.head, self._aliases))
        if isinstance(value, tuple | list):
            return [self._datagrams(item) for item in value]
        return self._value(value, "")

    def _datagram(self, datagram: Datagram) -> Datagram:
        is_piece = datagram.path.protocol != "udp"  # of a stream, cut anywhere
        data = bytes(len(datagram.data)) if is_piece else redact_datagram(datagram.data, self._aliases)
        return Datagram(data, self._aliases.path(datagram.path), datagram.ecn, datagram.dont_fragment)

    def _value(self, value: object, name: str) -> object:
        """Any value, by its type; texts by the name of what holds them."""
        if isinstance(value, Enum | LeftOut | None | bool | int | float):
            return value
        if isinstance(value, str):
            return self._text(value, name)
        if isinstance(value, bytes):
            return bytes(len(value))
        if isinstance(value, Mapping):
            return {self._value(key, name): self._value(item, str(key)) for key, item in value.items()}
        if isinstance(value, tuple | list) and not hasattr(value, "_fields"):
            return self._sequence(value, name)
        if isinstance(value, frozenset | set):
            return frozenset([self._value(item, name) for item in value])
        return self._object(value)

    def _sequence(self, value: tuple[object, ...] | list[object], name: str) -> object:
        if name == "extensions" and len(value) == 2 and all(isinstance(item, str) for item in value):
            return [value[0], redact_extension(str(value[0]), str(value[1]), self._aliases)]
        items = [self._value(item, name) for item in value]
        return items if isinstance(value, list) else tuple(items)

    def _object(self, value: object) -> object:
        kind = type(value)
        match value:
            case Address():
                return self._aliases.address(value)
            case Path():
                return self._aliases.path(value)
            case Datagram():
                return self._datagram(value)
            case Withheld() | Checksum():
                return Withheld(value.size, value.is_text)
            case Certificate() | ExtensionMap():
                return LeftOut(kind.__name__)
        try:
            if attrs.has(kind):
                fields = [field for field in attrs.fields(kind) if field.init]
                fresh = {
                    field.alias or field.name: self._value(getattr(value, field.name), field.name) for field in fields
                }
                return kind(**fresh)
            names = cast(Any, value)._fields  # a named tuple: there is nothing else
            return kind(*[self._value(getattr(value, name), name) for name in names])
        except (LocalError, TypeError, ValueError):
            return LeftOut(kind.__qualname__)  # what stands for its texts is none of what it allows

    def _text(self, text: str, name: str) -> str:
        aliases = self._aliases
        if name in _KEPT_NAMES or text in _KEPT_WORDS:
            return text
        if name in ("detail", "reason"):
            return aliases.prose(text)
        if name in ("host", "hosts", "name", "address"):
            return aliases.host(text)
        if text.startswith("v=0"):
            return redact_sdp(text, aliases)
        if text.startswith(("candidate:", "a=candidate:")):
            return redact_candidate(text, aliases)
        return aliases.text(_KINDS.get(name, "text"), text)


# Texts that are found elsewhere as well, under the same replacement.
_KINDS: Final = {
    "network": "network",
    "ufrag": "ufrag",
    "local_ufrag": "ufrag",
    "remote_ufrag": "ufrag",
    "username": "user",
    "pwd": "pwd",
    "local_pwd": "pwd",
    "password": "pwd",
    "label": "label",
    "protocol": "protocol",
    "foundation": "foundation",
}


def _at(names: list[str], index: int) -> str:
    return names[index] if index < len(names) else ""
