"""Which classes and constants a snapshot may name: those of this package, its tools for tests apart.

A class is named by module and qualified name, with a digest of its layout: what attributes it has. An object of a class
that has since been given another layout is refused rather than half restored.

Constants (the rows of tables, functions, sentinels) are not copied but named as well, by the way from a global name of
a module down to them, so that they stay the very objects that the code compares with.
"""

from __future__ import annotations

import dis
import functools
import hashlib
import importlib
import re
import sys
from collections.abc import Callable, Iterator
from enum import Enum
from types import FunctionType, ModuleType
from typing import Any, Final, TypeVar, cast

from sans_rtc.errors import InvalidArgument

PACKAGE: Final = __name__.partition(".")[0]
DIGEST_BYTES: Final = 8
HASH_CACHE: Final = "_attrs_cached_hash"
"""Where attrs keeps the hash of a frozen object: of strings, it is another one in every process."""

_NOT_STATE: Final = frozenset({"__weakref__", "__dict__", HASH_CACHE})
_MODULE_NAME: Final = re.compile(rf"{PACKAGE}(\.[a-zA-Z_]\w*)+")
_DEPTH_MAX: Final = 6
_NAMES_MAX: Final = 1024  # that are remembered; three times the classes that there are


_Found = TypeVar("_Found")


def _cached(function: Callable[[type], _Found]) -> Callable[[type], _Found]:
    """Remember what a function says of a class."""
    return cast(Callable[[type], _Found], functools.cache(function))


@_cached
def is_own(kind: type) -> bool:
    """Whether a class is part of this package."""
    return _is_own_module(kind.__module__)


@_cached
def name_of(kind: type) -> str:
    """The name of a class, "module:qualified name"; InvalidArgument where that does not lead back to it."""
    name = f"{kind.__module__}:{kind.__qualname__}"
    if find(name) is not kind:
        raise InvalidArgument(f"{name} is made in a function, and cannot be named from outside")
    return name


def find(name: str) -> object:
    """What stands under such a name; InvalidArgument where there is nothing."""
    module, _, path = name.partition(":")
    found: object = own_module(module)
    for part in path.split("."):
        if not isinstance(found, ModuleType | type) or part not in vars(found):
            raise InvalidArgument(f"this version of the library has no {name}")
        found = vars(found)[part]
    return found


@functools.lru_cache(maxsize=_NAMES_MAX)
def find_class(name: str) -> type:
    """The class of this name."""
    found = find(name)
    if not isinstance(found, type) or not is_own(found):
        raise InvalidArgument(f"{name} is not a class of this library")
    return found


def own_module(name: str) -> ModuleType:
    """A module of this package, imported where it was not; InvalidArgument where there is none of this name."""
    if not _is_own_module(name) or not _MODULE_NAME.fullmatch(name):
        raise InvalidArgument(f"{name} is not a module of this library")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise InvalidArgument(f"this version of the library has no {name}") from error


def hashes_by_identity(kind: type) -> bool:
    """Whether the hash of these objects has nothing to do with what they hold."""
    found: object = kind.__hash__
    return found is object.__hash__


@_cached
def slots_of(kind: type) -> tuple[str, ...]:
    """The names of a class's slots, its bases' included, in order, as attributes are set."""
    names: dict[str, None] = {}
    for base in reversed(kind.__mro__):
        slots = base.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            is_private = name.startswith("__") and not name.endswith("__")
            names[f"_{base.__name__.lstrip('_')}{name}" if is_private else name] = None
    return tuple(name for name in names if name not in _NOT_STATE)


@_cached
def has_hash_cache(kind: type) -> bool:
    """Whether attrs keeps the hash of these objects."""
    return any(HASH_CACHE in base.__dict__ for base in kind.__mro__)


@_cached
def function_names_of(kind: type) -> frozenset[str]:
    """The names of the methods that a class of this package has; none of another."""
    if not is_own(kind):
        return frozenset()
    return frozenset(
        name for base in kind.__mro__ for name, value in vars(base).items() if isinstance(value, FunctionType)
    )


@_cached
def layout_digest(kind: type) -> bytes:
    """What objects of a class consist of, as a digest: the fields of a tuple, the members of an enumeration, slots, and
    what the constructor sets."""
    if issubclass(kind, Enum):
        parts = [f"{name}={member.value!r}" for name, member in kind.__members__.items()]
    elif issubclass(kind, tuple):
        parts = list(getattr(kind, "_fields", ()))
    else:
        constructor = kind.__init__
        code = constructor.__code__ if isinstance(constructor, FunctionType) else None
        stored = {step.argval for step in dis.get_instructions(code) if step.opname == "STORE_ATTR"} if code else set()
        parts = [*slots_of(kind), "|", *sorted(stored)]
    return hashlib.sha256("\n".join(parts).encode()).digest()[:DIGEST_BYTES]


# -- constants -------------------------------------------------------------------------------------------------------


def constants() -> dict[int, tuple[object, str]]:
    """Every constant of the modules that are imported: by its identity, itself and its name."""
    names = tuple(sorted(name for name in list(sys.modules) if _is_own_module(name)))
    return _constants_of(names)


def find_constant(name: str) -> object:
    """The constant of this name."""
    module, _, path = name.partition(":")
    found = _remembered_constants_in(module).get(path) if _is_own_module(module) else None
    if found is None:  # a table has grown since
        own_module(module)
        found = _constants_in(module).get(path)
    if found is None:
        raise InvalidArgument(f"this version of the library has no {name}")
    return found


@functools.lru_cache(maxsize=1)  # objects that it holds keep their identities
def _constants_of(modules: tuple[str, ...]) -> dict[int, tuple[object, str]]:
    found: dict[int, tuple[object, str]] = {}
    for module in modules:
        for path, value in _constants_in(module).items():
            found.setdefault(id(value), (value, f"{module}:{path}"))
    return found


@functools.lru_cache(maxsize=_NAMES_MAX)
def _remembered_constants_in(module: str) -> dict[str, object]:
    own_module(module)
    return _constants_in(module)


def _constants_in(module: str) -> dict[str, object]:
    found: dict[str, object] = {}
    seen: set[int] = set()
    for name, value in list(vars(sys.modules[module]).items()):
        if not name.startswith("__"):
            _find_constants(value, name, found, seen, 0)
    return found


def _find_constants(value: object, path: str, found: dict[str, object], seen: set[int], depth: int) -> None:
    kind = type(value)
    if depth > _DEPTH_MAX or id(value) in seen or isinstance(value, type | ModuleType | Enum):
        return
    seen.add(id(value))
    if kind is FunctionType or kind is object or is_own(kind):
        found[path] = value
    for step, part in _parts_of(value):
        _find_constants(part, f"{path}/{step}", found, seen, depth + 1)


def _parts_of(value: object) -> Iterator[tuple[object, object]]:
    if isinstance(value, dict):
        yield from enumerate(list(value.values()))
    elif isinstance(value, tuple | list):
        yield from enumerate(value)
    elif is_own(type(value)):
        for name in attribute_names(value):
            yield name, getattr(value, name)


def attribute_names(value: Any) -> list[str]:
    """The names of an object's attributes that are set: slots, then the others."""
    return [name for name in slots_of(type(value)) if hasattr(value, name)] + list(getattr(value, "__dict__", ()))


def _is_own_module(name: str) -> bool:
    return name.startswith(f"{PACKAGE}.") and not name.startswith((f"{PACKAGE}.testing", f"{PACKAGE}.snapshot"))
