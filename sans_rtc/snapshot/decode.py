"""From a snapshot's body to the object that was stored: nodes are allocated, then filled, then what hashes is put in
place, for a hash is that of a complete object."""

from __future__ import annotations

from array import array
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping
from enum import Enum, Flag
from types import FunctionType, MethodType
from typing import Any, Final

import attrs

import sans_rtc
from sans_rtc.errors import InvalidArgument
from sans_rtc.snapshot import classes
from sans_rtc.snapshot.forms import CONTAINER_METHODS, Form, Tag
from sans_rtc.snapshot.opaque import OPAQUE_ROWS, made_from
from sans_rtc.snapshot.wire import Reader

_DEPTH_MAX: Final = 200
"""How deep tuples may nest in one another."""
_NEW: Final[Mapping[Form, Callable[[], Any]]] = {
    Form.LIST: list,
    Form.SET: set,
    Form.DICT: dict,
    Form.ORDERED_DICT: OrderedDict,
    Form.COUNTER: Counter,
}
_COLLECTIONS: Final = frozenset({Form.LIST, Form.TUPLE, Form.SET, Form.FROZENSET, Form.DEQUE})
_DICTS: Final = frozenset({Form.DICT, Form.ORDERED_DICT, Form.COUNTER})
_KEYED: Final = _DICTS | {Form.SET}


@attrs.define(slots=True)
class _Shape:
    kind: type
    names: tuple[str, ...]


@attrs.define(slots=True, eq=False)
class _Node:
    """A node as it was read: `values` may hold `_Ref`s."""

    form: Form
    values: list[Any]
    shape: _Shape | None = None
    data: bytes = b""
    code: int = 0
    name: str = ""
    built: Any = None
    is_built: bool = False
    is_filled: bool = False


@attrs.define(slots=True)
class _Ref:
    number: int


class _UnsetType:
    """Stands for a slot that holds nothing."""


_UNSET: Final = _UnsetType()
_PLAIN: Final[Mapping[int, Any]] = {Tag.NONE: None, Tag.FALSE: False, Tag.TRUE: True, Tag.UNSET: _UNSET}
# The usual ones, as plain numbers: most of the time is spent on them.
_NODE: Final = int(Tag.NODE)
_SMALL: Final = int(Tag.SMALL)
_TEXT: Final = int(Tag.TEXT)


def decode(body: bytes, externals: Mapping[str, object]) -> tuple[object, float]:
    """The object and the `now` with which it was stored; InvalidArgument for what this version cannot restore."""
    try:
        return Decoder(body, externals).restore()
    except (TypeError, ValueError, AttributeError, LookupError, OverflowError, RecursionError) as error:
        if isinstance(error, InvalidArgument):
            raise
        raise InvalidArgument(f"the snapshot holds what does not fit this version of the library: {error}") from error


class Decoder:
    """Reads a body and builds what it tells of."""

    def __init__(self, body: bytes, externals: Mapping[str, object]) -> None:
        reader = Reader(body)
        version = reader.text()
        if version != sans_rtc.__version__:
            raise InvalidArgument(
                f"the snapshot was stored by version {version}, and this is {sans_rtc.__version__}: "
                "a session is restored by the version that stored it"
            )
        self._externals = externals
        self._now = reader.number()
        self._strings = _table(reader, Reader.text)
        self._shapes = _table(reader, self._read_shape)
        self._nodes = _table(reader, self._read_node)
        if not reader.is_at_end or not self._nodes:
            raise InvalidArgument("the snapshot is longer than what it tells of, or empty")

    def restore(self) -> tuple[object, float]:
        """Build everything."""
        for node in self._nodes:
            self._allocate(node)
        for node in self._nodes:
            if node.form not in _KEYED:
                self._fill(node, 0)
        for node in self._nodes:
            self._fill(node, 0)
        return self._build(self._nodes[0], 0), self._now

    # -- reading -----------------------------------------------------------------------------------------------------

    def _read_shape(self, reader: Reader) -> _Shape:
        name = reader.text()
        kind = classes.find_class(name)
        if reader.blob() != classes.layout_digest(kind):
            raise InvalidArgument(f"the snapshot was stored by another version: {name} has other attributes now")
        return _Shape(kind, tuple([self._strings[reader.uint()] for _ in range(reader.count())]))

    def _read_value(self, reader: Reader) -> Any:
        tag = reader.byte()
        if tag == _NODE:
            return _Ref(reader.uint())
        if tag == _SMALL:
            return reader.uint()
        if tag == _TEXT:
            return self._strings[reader.uint()]
        if tag in _PLAIN:
            return _PLAIN[tag]
        if tag == Tag.FLOAT:
            return reader.number()
        if tag == Tag.INTEGER:
            return reader.integer()
        return self._read_named(Tag(tag), reader)

    def _read_named(self, tag: Tag, reader: Reader) -> Any:
        number = reader.uint()
        if tag is Tag.CONSTANT:
            return classes.find_constant(self._strings[number])
        if tag is Tag.EXTERNAL:
            return self._externals.get(self._strings[number])
        kind = self._shapes[number].kind
        if tag is Tag.CLASS:
            return kind
        if tag is Tag.FLAGS:
            if not issubclass(kind, Flag):
                raise InvalidArgument(f"{kind.__qualname__} has no flags")
            return kind(reader.uint())
        name = self._strings[reader.uint()]
        if not issubclass(kind, Enum) or name not in kind.__members__:
            raise InvalidArgument(f"{kind.__qualname__} has no member {name}")
        return kind.__members__[name]

    def _read_values(self, count: int, reader: Reader) -> list[Any]:
        return [self._read_value(reader) for _ in range(count)]

    def _read_node(self, reader: Reader) -> _Node:
        form = Form(reader.byte())
        match form:
            case Form.BYTES | Form.BYTEARRAY:
                return _Node(form, [], data=reader.blob())
            case Form.ARRAY | Form.OPAQUE:
                code = reader.byte()
                return _Node(form, [], data=reader.blob(), code=code)
            case Form.PART | Form.METHOD:
                return _Node(form, [self._read_value(reader)], name=self._strings[reader.uint()])
            case Form.OBJECT | Form.MADE:
                shape = self._shapes[reader.uint()]
                return _Node(form, self._read_values(len(shape.names), reader), shape)
            case Form.NAMED_TUPLE:
                shape = self._shapes[reader.uint()]
                return _Node(form, self._read_values(reader.count(), reader), shape)
            case Form.DEQUE:
                limit = self._read_value(reader)
                return _Node(form, self._read_values(reader.count(), reader), code=-1 if limit is None else limit)
            case _:
                width = 2 if form in _DICTS else 1
                return _Node(form, self._read_values(width * reader.count(), reader))

    # -- building ----------------------------------------------------------------------------------------------------

    def _allocate(self, node: _Node) -> None:
        """Make what other nodes may refer to before it is complete."""
        if node.form is Form.OBJECT:
            assert node.shape is not None
            node.built = self._new(node.shape.kind)
        elif node.form is Form.DEQUE:
            node.built = deque(maxlen=None if node.code < 0 else node.code)
        elif node.form in _NEW:
            node.built = _NEW[node.form]()
        else:
            return
        node.is_built = True

    def _new(self, kind: type) -> object:
        """An object of this class with no attribute set yet."""
        if issubclass(kind, Enum | tuple) or made_from(kind) is not None:
            raise InvalidArgument(f"{kind.__qualname__} is no class of plain objects")
        return object.__new__(kind)

    def _value(self, value: Any, depth: int) -> Any:
        return self._build(self._nodes[value.number], depth) if type(value) is _Ref else value

    def _build(self, node: _Node, depth: int) -> Any:
        """The object of a node; one that cannot change is made when it is first needed."""
        if not node.is_built:
            if depth > _DEPTH_MAX:
                raise InvalidArgument("the snapshot nests too deep")
            node.built = self._make(node, depth + 1)
            node.is_built = True
        return node.built

    def _make(self, node: _Node, depth: int) -> Any:
        match node.form:
            case Form.BYTES:
                return node.data
            case Form.BYTEARRAY:
                return bytearray(node.data)
            case Form.TUPLE:
                return tuple([self._value(value, depth) for value in node.values])
            case Form.NAMED_TUPLE:
                return self._make_named_tuple(node, depth)
            case Form.FROZENSET:
                return frozenset([self._complete(value, depth) for value in node.values])
            case Form.ARRAY:
                return _make_array(chr(node.code), node.data)
            case Form.OPAQUE:
                return OPAQUE_ROWS[node.code].read(node.data)
            case Form.METHOD:
                return _bind(self._value(node.values[0], depth), node.name)
            case Form.PART:
                return _walk(self._value(node.values[0], depth), node.name)
            case _:
                return self._make_made(node, depth)

    def _make_named_tuple(self, node: _Node, depth: int) -> Any:
        assert node.shape is not None
        if not issubclass(node.shape.kind, tuple):
            raise InvalidArgument(f"{node.shape.kind.__qualname__} is no tuple")
        return tuple.__new__(node.shape.kind, [self._value(value, depth) for value in node.values])

    def _make_made(self, node: _Node, depth: int) -> Any:
        shape = node.shape
        if shape is None or made_from(shape.kind) != shape.names:
            raise InvalidArgument("the snapshot tells of a constructor that is none of those known")
        for value in node.values:
            if type(value) is _Ref:
                self._fill(self._nodes[value.number], depth)
        return shape.kind(*[self._complete(value, depth) for value in node.values])

    # -- filling -----------------------------------------------------------------------------------------------------

    def _complete(self, value: Any, depth: int) -> Any:
        """The value, and where its content makes its hash, complete."""
        if type(value) is _Ref:
            if depth > _DEPTH_MAX:
                raise InvalidArgument("the snapshot nests too deep")
            node = self._nodes[value.number]
            if node.form is Form.OBJECT:
                assert node.shape is not None
                if not classes.hashes_by_identity(node.shape.kind) and not node.is_filled:
                    self._fill(node, depth)
                    for held in node.values:
                        self._complete(held, depth + 1)
            elif node.form in (Form.TUPLE, Form.NAMED_TUPLE):
                for held in node.values:
                    self._complete(held, depth + 1)
        return self._value(value, depth)

    def _fill(self, node: _Node, depth: int) -> None:
        if node.is_filled:
            return
        node.is_filled = True
        if node.form is Form.OBJECT:
            self._fill_object(node, depth)
        elif node.form in (Form.LIST, Form.DEQUE):
            node.built.extend([self._value(value, depth) for value in node.values])
        elif node.form is Form.SET:
            node.built.update([self._complete(value, depth) for value in node.values])
        elif node.form in _DICTS:
            for index in range(0, len(node.values), 2):
                key = self._complete(node.values[index], depth)
                node.built[key] = self._value(node.values[index + 1], depth)
        else:
            self._build(node, depth)

    def _fill_object(self, node: _Node, depth: int) -> None:
        assert node.shape is not None
        kind, built = node.shape.kind, node.built
        for name, value in zip(node.shape.names, node.values, strict=True):
            if value is not _UNSET:
                object.__setattr__(built, name, self._value(value, depth))
        if classes.has_hash_cache(kind):
            object.__setattr__(built, classes.HASH_CACHE, None)


def _table(reader: Reader, read: Callable[[Reader], Any]) -> list[Any]:
    count = reader.count()
    inner = Reader(reader.blob())
    found = [read(inner) for _ in range(count)]
    if not inner.is_at_end:
        raise InvalidArgument("a table of the snapshot is longer than what it holds")
    return found


def _make_array(code: str, data: bytes) -> array[int]:
    items = [int.from_bytes(data[start : start + 8], "big", signed=True) for start in range(0, len(data), 8)]
    return array(code, items)


def _bind(owner: object, name: str) -> Any:
    """The method of this name; looked up in the class, so that no code of the object runs."""
    if name in CONTAINER_METHODS.get(type(owner), ()):
        return getattr(owner, name)
    if classes.is_own(type(owner)):
        for base in type(owner).__mro__:
            function = vars(base).get(name)
            if isinstance(function, FunctionType):
                return MethodType(function, owner)
    raise InvalidArgument(f"{type(owner).__qualname__} has no method {name}")


def _walk(owner: object, path: str) -> object:
    """Follow a way down from an object that was made anew."""
    if made_from(type(owner)) is None:
        raise InvalidArgument("the snapshot tells of a part of what was not made anew")
    found = owner
    for name in path.split("."):
        if name not in classes.attribute_names(found):
            raise InvalidArgument(f"{type(owner).__qualname__} has no {path}")
        found = getattr(found, name)
    return found
