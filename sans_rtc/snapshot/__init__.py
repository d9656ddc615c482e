"""Snapshots: a machine with a live session, as bytes; restored elsewhere, it goes on as if nothing had happened.

    sealed = store(machine, key, now)
    machine = restore(PeerConnection, sealed, key, entropy=entropy)

Versioned, encrypted and authenticated; any machine or transform of this library, by one encoder, since state is plain
data. `PeerConnection.snapshot` and `PeerConnection.restore` are the way to hand a session over; docs/snapshots.md.
"""

from sans_rtc.snapshot.rescale import rescaled
from sans_rtc.snapshot.sealing import FORMAT_VERSION, KEY_BYTES, snapshot_id
from sans_rtc.snapshot.storing import restore, store

__all__ = [
    "FORMAT_VERSION",
    "KEY_BYTES",
    "rescaled",
    "restore",
    "snapshot_id",
    "store",
]
