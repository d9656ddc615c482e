"""What a snapshot's body is made of: a table of nodes, and values that refer to them.

    body    library version, text | now, float | strings: table of texts | shapes: table | nodes: table, the root first
    table   count, uint | blob of the items
    shape   class name, text | layout digest, 8 bytes | number of attribute names, string numbers...
    node    form, 8 bits | what the form says
    value   tag, 8 bits | what the tag says

Whatever can be shared or can refer back to itself is a node and known by its number; so sharing and cycles are kept.
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum
from typing import Final


class Tag(IntEnum):
    """What a value is."""

    NONE = 0
    FALSE = 1
    TRUE = 2
    INTEGER = 3  # integer
    FLOAT = 4  # float
    TEXT = 5  # string number
    NODE = 6  # node number
    MEMBER = 7  # shape number of an enumeration, string number of the member's name
    FLAGS = 13  # shape number of an enumeration of flags, uint: their value
    CLASS = 8  # shape number
    CONSTANT = 9  # string number of its name
    EXTERNAL = 10  # string number of its name
    UNSET = 11  # a slot that holds nothing
    SMALL = 12  # uint: an integer of 0 to 2**32 - 1


class Form(IntEnum):
    """What a node is."""

    BYTES = 0  # blob
    BYTEARRAY = 1  # blob
    LIST = 2  # count, values
    TUPLE = 3  # count, values
    SET = 4  # count, values
    FROZENSET = 5  # count, values
    DEQUE = 6  # maximal length as a value, count, values
    DICT = 7  # count, keys and values
    ORDERED_DICT = 8  # as DICT
    COUNTER = 9  # as DICT
    ARRAY = 10  # type code, 8 bits, blob: signed integers, big-endian
    OBJECT = 11  # shape number, as many values as it has names
    NAMED_TUPLE = 12  # shape number, count, values
    MADE = 13  # shape number, as many values as it has names: arguments of the constructor
    PART = 14  # value of a MADE node, string number: the way down from it
    METHOD = 15  # value of the owner, string number of the name
    OPAQUE = 16  # row, 8 bits, blob


EXTERNALS: Final = {
    "entropy": "entropy",
    "_entropy": "entropy",
    "trace": "trace",
    "_trace": "trace",
    "key_log": "key_log",
    "_key_log": "key_log",
}
"""Attributes that hold what the caller has given, and gives anew: by their name, the argument of `restore`."""

CONTAINER_METHODS: Final[dict[type, tuple[str, ...]]] = {list: ("append",), deque: ("append",), dict: ("get",)}
"""Methods of containers that are kept bound, for speed."""
