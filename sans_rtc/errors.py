"""Every exception that the library raises.

Two families, told apart by who is at fault. `LocalError`: the caller's own call was wrong, and nothing has changed.
`WireError`: a codec was given bytes that are not what they should be. What a *peer* does is never an exception: it is
the event `Terminated`, or a discard counted in the machine's `stats`.
"""

from __future__ import annotations


class SansRtcError(Exception):
    """Base of every error of this library."""


class LocalError(SansRtcError):
    """Your call was wrong; nothing changed."""


class InvalidState(LocalError):
    """The call does not fit the state the object is in."""


class InvalidArgument(LocalError, ValueError):
    """An argument is of the wrong kind or out of its range."""


class LimitExceeded(LocalError):
    """The call would exceed a bound named in the configuration; wait until the queue is lower."""


class WireError(SansRtcError, ValueError):
    """Bytes that a codec cannot take.

    field   name of what was being parsed
    offset  bytes from the start of the input, where known, else -1
    """

    def __init__(self, message: str, *, field: str = "", offset: int = -1) -> None:
        super().__init__(message)
        self.field = field
        self.offset = offset


class Truncated(WireError):
    """The input ends before the field does."""


class Malformed(WireError):
    """The field is present and breaks its format."""


class Unsupported(WireError):
    """Well formed, but of a version or kind that this codec does not take."""
