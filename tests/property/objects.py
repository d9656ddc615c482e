"""Looks at whole machines from outside: their state as plain data, and how much of it there is.

State is plain data by design (integers, bytes, lists, slotted classes), so walking over it sees everything that a
machine remembers; ciphers and other opaque objects count as one item each.
"""

import functools
from collections import deque
from enum import Enum
from types import BuiltinMethodType, FunctionType, MethodType, ModuleType

import attrs

_LEAVES = (int, float, str, bytes, type(None), Enum, type, FunctionType, ModuleType)
_SEQUENCES = (list, tuple, set, frozenset, deque)
# A hash that is computed when it is first asked for is no state.
_CACHES = {"_attrs_cached_hash", "__weakref__"}


@attrs.frozen
class Footprint:
    """How much a machine remembers.

    items  entries of all its lists, tuples, dicts, sets and deques
    bytes  of all its strings, bytes and bytearrays
    """

    items: int
    bytes: int

    def __sub__(self, other):
        return Footprint(self.items - other.items, self.bytes - other.bytes)


def snapshot(root):
    """The state of an object and of everything that it holds, as a flat list of plain values.

    Two snapshots of one object are equal where nothing in it has changed, the order of its dicts included.
    """
    numbers, tokens, kept, waiting = {}, [], [], [root]
    while waiting:
        value = waiting.pop()
        if isinstance(value, _LEAVES):
            tokens.append(value)
        elif isinstance(value, bytearray):
            tokens.append(bytes(value))
        elif id(value) in numbers:
            tokens.append(("seen", numbers[id(value)]))
        else:
            numbers[id(value)] = len(numbers)
            kept.append(value)  # so that no other object gets its id
            members = list(_members(value))
            tokens.append((type(value).__name__, len(members)))
            waiting += reversed(members)
    return tokens


def footprint(root):
    """How much an object and everything that it holds remember."""
    seen, kept, waiting = set(), [], [root]
    items = size = 0
    while waiting:
        value = waiting.pop()
        if isinstance(value, str | bytes | bytearray):
            size += len(value)
        elif not isinstance(value, _LEAVES) and id(value) not in seen:
            seen.add(id(value))
            kept.append(value)
            members = list(_members(value))
            if isinstance(value, (*_SEQUENCES, dict)):
                items += len(value)
            waiting += members
    return Footprint(items, size)


def _members(value):
    """What an object holds, in an order that is its own."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield item
    elif isinstance(value, _SEQUENCES):
        yield from value
    elif isinstance(value, MethodType | BuiltinMethodType):
        yield value.__self__
    elif isinstance(value, functools.partial):
        yield from (value.func, value.args, value.keywords)
    else:
        for name in _attributes(type(value)):
            if hasattr(value, name):
                yield getattr(value, name)
        yield from getattr(value, "__dict__", {}).values()


@functools.cache
def _attributes(kind):
    """The slots of a class and of its bases."""
    names = []
    for base in kind.__mro__:
        slots = base.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            is_private = name.startswith("__") and not name.endswith("__")
            names.append(f"_{base.__name__.lstrip('_')}{name}" if is_private else name)
    return [name for name in names if name not in _CACHES]
