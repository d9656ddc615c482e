"""Replaces everything in a machine, in place, by what its snapshot holds: for machines that others refer to."""

from sans_rtc.snapshot import classes
from sans_rtc.snapshot.decode import Decoder
from sans_rtc.snapshot.encode import _Encoder, encode
from sans_rtc.snapshot.forms import EXTERNALS


class _InPlace(Decoder):
    """Uses the given object for the first node."""

    def __init__(self, body, externals, root):
        super().__init__(body, externals)
        self._root = root

    def _new(self, kind):
        root, self._root = self._root, None
        if root is None:
            return super()._new(kind)
        assert type(root) is kind
        getattr(root, "__dict__", {}).clear()
        for name in classes.slots_of(kind):
            if hasattr(root, name):
                object.__delattr__(root, name)
        return root


def externals_of(machine):
    """What the machine was given that is not stored, by name; AssertionError where it is not the same everywhere."""
    found = {}
    for node in _Encoder(machine)._nodes:
        if classes.is_own(type(node)) and not isinstance(node, tuple):
            for name in classes.attribute_names(node):
                if name in EXTERNALS and getattr(node, name) is not None:
                    known = found.setdefault(EXTERNALS[name], getattr(node, name))
                    assert known is getattr(node, name) or known == getattr(node, name), f"two different: {name}"
    return found


def reborn(machine):
    """The machine, with nothing left in it of what it was."""
    externals = externals_of(machine)
    body = encode(machine, 0.0)
    _InPlace(body, externals, machine).restore()
    return machine
