"""From an object to a snapshot's body: walks over everything that it holds."""

from __future__ import annotations

from array import array
from collections import Counter, OrderedDict, deque
from collections.abc import Iterator, Mapping
from enum import Enum, Flag
from types import BuiltinMethodType, FunctionType, MethodType
from typing import Any, Final

import sans_rtc
from sans_rtc.errors import InvalidArgument
from sans_rtc.snapshot import classes
from sans_rtc.snapshot.forms import CONTAINER_METHODS, EXTERNALS, Form, Tag
from sans_rtc.snapshot.opaque import OPAQUE_ROWS, made_from, opaque_number
from sans_rtc.snapshot.wire import Writer

_SCALARS: Final = frozenset({type(None), bool, int, float, str})
_SEQUENCES: Final[Mapping[type, Form]] = {
    list: Form.LIST,
    tuple: Form.TUPLE,
    set: Form.SET,
    frozenset: Form.FROZENSET,
    deque: Form.DEQUE,
}
_DICTS: Final[Mapping[type, Form]] = {dict: Form.DICT, OrderedDict: Form.ORDERED_DICT, Counter: Form.COUNTER}
_FUNCTIONS: Final = (FunctionType, MethodType, BuiltinMethodType)
_ARRAY_CODES: Final = "bhilq"
_SMALL_LIMIT: Final = 1 << 32


class _Unset:
    """Stands for a slot that holds nothing."""


_UNSET: Final = _Unset()


class _External:
    """Stands for what the caller gives again."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


_EXTERNAL_OF: Final = {name: _External(external) for name, external in EXTERNALS.items()}


def encode(root: object, now: float) -> bytes:
    """The body of a snapshot of an object; InvalidArgument where it holds something that cannot be stored."""
    return _Encoder(root).body(now)


class _Encoder:
    """Numbers all nodes that can be reached, then writes them."""

    def __init__(self, root: object) -> None:
        self._constants = classes.constants()
        self._strings: dict[str, int] = {}
        self._shapes: dict[tuple[type, tuple[str, ...]], int] = {}
        self._shape_pieces = Writer()
        self._numbers: dict[int, int] = {}
        self._nodes: list[object] = []
        self._holders: list[int] = []  # of each node, the number of the one that was found to hold it
        self._parts: dict[int, tuple[object, str]] = {}  # what hangs from MADE nodes, by identity
        self._held: dict[int, tuple[tuple[str, ...], list[object]]] = {}  # what objects hold, by identity
        self._find_parts(root)
        self._add(root, 0)
        index = 0
        while index < len(self._nodes):
            for member in self._members_of(self._nodes[index]):
                self._add(member, index)
            index += 1

    def body(self, now: float) -> bytes:
        """Write everything."""
        nodes = Writer()
        for number, value in enumerate(self._nodes):
            self._write_node(value, number, nodes)
        strings = Writer()
        for text in self._strings:
            strings.text(text)
        out = Writer()
        out.text(sans_rtc.__version__)
        out.number(now)
        for count, pieces in (
            (len(self._strings), strings),
            (len(self._shapes), self._shape_pieces),
            (len(self._nodes), nodes),
        ):
            out.uint(count)
            out.blob(pieces.content())
        return out.content()

    # -- finding -----------------------------------------------------------------------------------------------------

    def _find_parts(self, root: object) -> None:
        """Look for all MADE nodes, so that what hangs from them is known wherever it is met."""
        waiting, seen, kept = [root], set(), []
        while waiting:
            value = waiting.pop()
            if id(value) in seen or _is_inline(value) or id(value) in self._constants:
                continue
            seen.add(id(value))
            kept.append(value)
            names = made_from(type(value)) if classes.is_own(type(value)) else None
            if names is None:
                waiting += self._members_of(value)
                continue
            arguments = [getattr(value, name) for name in names]
            waiting += arguments
            known = {id(value), *map(id, arguments)}
            for name in classes.attribute_names(value):
                self._note_part(getattr(value, name), value, name, known)

    def _note_part(self, part: object, owner: object, path: str, known: set[int]) -> None:
        is_own = classes.is_own(type(part)) and not isinstance(part, Enum)
        if (not is_own and not isinstance(part, _FUNCTIONS)) or id(part) in known or id(part) in self._constants:
            return
        known.add(id(part))
        self._parts.setdefault(id(part), (owner, path))
        if is_own:
            for name in classes.attribute_names(part):
                self._note_part(getattr(part, name), owner, f"{path}.{name}", known)

    def _add(self, value: object, holder: int) -> None:
        if not _is_inline(value) and id(value) not in self._constants and id(value) not in self._numbers:
            self._numbers[id(value)] = len(self._nodes)
            self._nodes.append(value)
            self._holders.append(holder)

    def _members_of(self, value: object) -> Iterator[object]:
        """What a node refers to; nothing for what is not known, which is told when it is written."""
        kind = type(value)
        part = self._parts.get(id(value))
        if part is not None:
            yield part[0]
        elif kind in _SEQUENCES:
            yield from _items_of(value)
        elif kind in _DICTS:
            for key, item in value.items():  # type: ignore[attr-defined]  # as above
                yield key
                yield item
        elif isinstance(value, MethodType | BuiltinMethodType):
            yield value.__self__
        elif classes.is_own(kind):
            yield from value if isinstance(value, tuple) else self._attributes_of(value)[1]

    def _attributes_of(self, value: object) -> tuple[tuple[str, ...], list[object]]:
        """The names of the attributes to store, and what they hold; looked up once, and kept alive by the root."""
        held = self._held.get(id(value))
        if held is None:
            held = self._held[id(value)] = self._look_up_attributes_of(value)
        return held

    @staticmethod
    def _look_up_attributes_of(value: Any) -> tuple[tuple[str, ...], list[object]]:
        made = made_from(type(value))
        if made is not None:
            return made, [getattr(value, name) for name in made]
        slots = classes.slots_of(type(value))
        others = getattr(value, "__dict__", {})
        names = (*slots, *[name for name in others if name != classes.HASH_CACHE]) if others else slots
        values = [getattr(value, name, _UNSET) for name in slots]
        values += [other for name, other in others.items() if name != classes.HASH_CACHE]
        if not EXTERNALS.keys().isdisjoint(names):
            values = [_without_external(name, held) for name, held in zip(names, values, strict=True)]
        return names, values

    # -- writing -----------------------------------------------------------------------------------------------------

    def _write_value(self, value: Any, out: Writer) -> None:
        kind = type(value)
        if value is None:
            out.byte(Tag.NONE)
        elif kind is bool:
            out.byte(Tag.TRUE if value else Tag.FALSE)
        elif kind is int:
            self._write_integer(value, out)
        elif kind is float:
            out.byte(Tag.FLOAT)
            out.number(value)
        elif kind is str:
            self._write_string(Tag.TEXT, value, out)
        elif id(value) in self._numbers:
            out.byte(Tag.NODE)
            out.uint(self._numbers[id(value)])
        elif id(value) in self._constants:
            self._write_string(Tag.CONSTANT, self._constants[id(value)][1], out)
        else:
            self._write_named(value, out)

    @staticmethod
    def _write_integer(value: int, out: Writer) -> None:
        if 0 <= value < _SMALL_LIMIT:
            out.byte(Tag.SMALL)
            out.uint(value)
        else:
            out.byte(Tag.INTEGER)
            out.integer(value)

    def _write_named(self, value: Any, out: Writer) -> None:
        if isinstance(value, Flag):
            out.byte(Tag.FLAGS)
            out.uint(self._shape(type(value), ()))
            out.uint(value.value)
        elif isinstance(value, Enum):
            out.byte(Tag.MEMBER)
            out.uint(self._shape(type(value), ()))
            out.uint(self._string(value.name))
        elif isinstance(value, type):
            out.byte(Tag.CLASS)
            out.uint(self._shape(value, ()))
        elif isinstance(value, _External):
            self._write_string(Tag.EXTERNAL, value.name, out)
        else:
            assert value is _UNSET, "everything else is a node or a constant"
            out.byte(Tag.UNSET)

    def _write_string(self, tag: Tag, value: str, out: Writer) -> None:
        out.byte(tag)
        out.uint(self._string(value))

    def _write_values(self, values: list[object], out: Writer) -> None:
        for value in values:
            self._write_value(value, out)

    def _write_node(self, value: Any, number: int, out: Writer) -> None:
        kind = type(value)
        part = self._parts.get(id(value))
        if part is not None:
            out.byte(Form.PART)
            self._write_value(part[0], out)
            out.uint(self._string(part[1]))
        elif kind in _SEQUENCES:
            self._write_sequence(value, out)
        elif kind in _DICTS:
            out.byte(_DICTS[kind])
            out.uint(len(value))
            for key, item in value.items():
                self._write_value(key, out)
                self._write_value(item, out)
        elif kind is bytes or kind is bytearray:
            out.byte(Form.BYTES if kind is bytes else Form.BYTEARRAY)
            out.blob(bytes(value))
        elif isinstance(value, MethodType | BuiltinMethodType):
            self._write_method(value, number, out)
        elif kind is array and value.typecode in _ARRAY_CODES:
            self._write_array(value, out)
        elif classes.is_own(kind):
            self._write_object(value, out)
        else:
            self._write_opaque(value, number, out)

    def _write_sequence(self, value: Any, out: Writer) -> None:
        out.byte(_SEQUENCES[type(value)])
        if type(value) is deque:
            self._write_value(value.maxlen, out)
        out.uint(len(value))
        self._write_values(_items_of(value), out)

    @staticmethod
    def _write_array(value: Any, out: Writer) -> None:
        out.byte(Form.ARRAY)
        out.byte(ord(value.typecode))
        out.blob(b"".join([item.to_bytes(8, "big", signed=True) for item in value]))

    def _write_object(self, value: Any, out: Writer) -> None:
        kind = type(value)
        if isinstance(value, tuple):
            out.byte(Form.NAMED_TUPLE)
            out.uint(self._shape(kind, ()))
            out.uint(len(value))
            self._write_values(list(value), out)
            return
        names, values = self._attributes_of(value)
        out.byte(Form.MADE if made_from(kind) is not None else Form.OBJECT)
        out.uint(self._shape(kind, names))
        self._write_values(values, out)

    def _write_method(self, value: MethodType | BuiltinMethodType, number: int, out: Writer) -> None:
        owner, name = value.__self__, value.__name__
        known = CONTAINER_METHODS.get(type(owner)) or classes.function_names_of(type(owner))
        if name not in known:
            raise self._refusal(f"{value.__qualname__}, a method of what is not ours", number)
        out.byte(Form.METHOD)
        self._write_value(owner, out)
        out.uint(self._string(name))

    def _write_opaque(self, value: object, number: int, out: Writer) -> None:
        row = opaque_number(value)
        if row is None:
            what = value.__qualname__ if isinstance(value, FunctionType) else f"an object of {type(value).__qualname__}"
            raise self._refusal(what, number)
        out.byte(Form.OPAQUE)
        out.byte(row)
        out.blob(OPAQUE_ROWS[row].write(value))

    # -- tables ------------------------------------------------------------------------------------------------------

    def _string(self, text: str) -> int:
        return self._strings.setdefault(text, len(self._strings))

    def _shape(self, kind: type, names: tuple[str, ...]) -> int:
        number = self._shapes.get((kind, names))
        if number is None:
            number = self._shapes[kind, names] = len(self._shapes)
            self._shape_pieces.text(classes.name_of(kind))
            self._shape_pieces.blob(classes.layout_digest(kind))
            self._shape_pieces.uint(len(names))
            for name in names:
                self._shape_pieces.uint(self._string(name))
        return number

    def _refusal(self, what: str, number: int) -> InvalidArgument:
        """The error that says what cannot be stored, and where it is."""
        way = []
        while number:
            number = self._holders[number]
            way.append(type(self._nodes[number]).__name__)
        return InvalidArgument(f"a snapshot cannot hold {what}, found in {' < '.join(way) or 'itself'}")


def _is_inline(value: object) -> bool:
    return type(value) in _SCALARS or isinstance(value, Enum | type | _External | _Unset)


def _items_of(value: Any) -> list[object]:
    """What a sequence or set holds; a set in an order that does not depend on the hashes of this process."""
    items = list(value)
    if isinstance(value, set | frozenset) and not any(classes.hashes_by_identity(type(item)) for item in items):
        items.sort(key=repr)
    return items


def _without_external(name: str, held: object) -> object:
    if name in EXTERNALS and held is not _UNSET:
        return _EXTERNAL_OF[name]
    return held
