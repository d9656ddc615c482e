"""Stores a machine as bytes, and makes it anew from them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

from sans_rtc.entropy import Entropy
from sans_rtc.errors import InvalidArgument, InvalidState
from sans_rtc.machine import Trace
from sans_rtc.snapshot.decode import decode
from sans_rtc.snapshot.encode import encode
from sans_rtc.snapshot.rescale import rescaled
from sans_rtc.snapshot.sealing import seal, snapshot_id, unseal

M = TypeVar("M")


def store(machine: object, key: bytes, now: float) -> bytes:
    """A snapshot of any machine or transform of this library, sealed with a key; the machine is not changed by it.

    The machine goes on, and so must not be restored as well once it has sent anything more: the two would use the same
    nonces, and each miss what the other has acknowledged. `PeerConnection.snapshot` ends it; see docs/snapshots.md.

    key     32 bytes, secret: whoever has it can read the session's keys, and make snapshots that are obeyed
    now     seconds, on the machine's scale
    Errors  InvalidArgument for a key of another length, and for a machine that holds what cannot be stored, such as a
            function of the caller's in its configuration
    """
    if not math.isfinite(now):
        raise InvalidArgument(f"now is a moment, not {now}")
    return seal(encode(machine, now), key)


def restore(
    kind: type[M],
    snapshot: bytes,
    key: bytes,
    *,
    entropy: Entropy,
    trace: Trace | None = None,
    key_log: Callable[[str], None] | None = None,
    claim: Callable[[bytes], bool] | None = None,
    now: float | None = None,
) -> M:
    """The machine that was stored, at the very point where it was.

    kind      its class
    snapshot  what `store` returned, by this version of the library
    entropy   for what it draws from now on; functions are not stored, so `trace` and `key_log` are given again as well
    claim     called with `snapshot_id(snapshot)` once the snapshot has been authenticated, before it is restored: notes
              that it is used, and returns False where it was before
    now       the moment of the snapshot on the caller's scale of time, which may be another than that on which it was
              stored; the present, where nobody knows how long ago it was. None: the scale is the same
    Errors    InvalidArgument for what is not a snapshot of a machine of this kind, sealed with this key by this version
              and unchanged; InvalidState where `claim` returns False. Nothing has been made then
    """
    body = unseal(snapshot, key)
    if now is not None and not math.isfinite(now):
        raise InvalidArgument(f"now is a moment, not {now}")
    if claim is not None and not claim(snapshot_id(snapshot)):
        raise InvalidState("this snapshot has been restored before")
    machine, stored_at = decode(body, {"entropy": entropy, "trace": trace, "key_log": key_log})
    if type(machine) is not kind:
        raise InvalidArgument(f"the snapshot holds a {type(machine).__qualname__}, not a {kind.__qualname__}")
    return machine if now is None else rescaled(machine, stored_at - now)
