"""Whether anything that DTLS and SCTP send can arrive, as ICE says, and telling them so.

ICE sends on the path that has fallen silent for as long as there is consent, half a minute; by then a handshake that
counts its unanswered attempts has given up, and no restart of ICE could save the session. So the silence is told to the
layers above: they go on sending, in case it is the answers only that are lost, and count nothing until the path lives.

Security: what ends with the silence is bounded as ever. ICE itself gives the path up, and then nothing is sent at all.
"""

from __future__ import annotations

from sans_rtc import dtls, ice, sctp

_SILENT = (ice.ConnectionState.DISCONNECTED, ice.ConnectionState.FAILED)
_ALIVE = (ice.ConnectionState.CONNECTED, ice.ConnectionState.COMPLETED)


class Liveness:
    """What is known of the path. A restart of what is silent (CHECKING) leaves it silent until a pair is selected.

    is_silent  the peer was there, and answers no more
    """

    def __init__(self) -> None:
        self.is_silent = False

    def hears(self, state: ice.ConnectionState) -> bool:
        """Take what ICE says; True where that changes something."""
        was_silent = self.is_silent
        self.is_silent = state in _SILENT or (was_silent and state not in _ALIVE)
        return self.is_silent is not was_silent

    def tell(self, layer: dtls.Connection | sctp.Association | None, now: float) -> None:
        """Let a layer know how the path is; a new one takes it for alive."""
        if layer is not None and self.is_silent:
            layer.path_silent(now)
        elif layer is not None:
            layer.path_alive(now)
