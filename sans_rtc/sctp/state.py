"""The states of an association and the moves between them (RFC 9260 section 4, figure 3).

               CLOSED --connect--> COOKIE_WAIT --INIT ACK--> COOKIE_ECHOED
                  |                     |                         |
             COOKIE ECHO           COOKIE ECHO               COOKIE ACK, COOKIE ECHO
                  +----------------> ESTABLISHED <----------------+
                                     |         |
                                   close    SHUTDOWN
                                     |         |
                        SHUTDOWN_PENDING --> SHUTDOWN_RECEIVED
                                     |         |
                        SHUTDOWN_SENT -----> SHUTDOWN_ACK_SENT --> CLOSED

An association that has ended is CLOSED too; `Association.is_terminated` tells it from one that has not begun.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """The states of RFC 9260 section 4."""

    CLOSED = "closed"
    COOKIE_WAIT = "cookie-wait"
    COOKIE_ECHOED = "cookie-echoed"
    ESTABLISHED = "established"
    SHUTDOWN_PENDING = "shutdown-pending"
    SHUTDOWN_SENT = "shutdown-sent"
    SHUTDOWN_RECEIVED = "shutdown-received"
    SHUTDOWN_ACK_SENT = "shutdown-ack-sent"


_S = State

TRANSITIONS: Mapping[State, frozenset[State]] = {
    _S.CLOSED: frozenset({_S.COOKIE_WAIT, _S.ESTABLISHED}),
    # 5.2.4 action B leads from COOKIE_WAIT straight to ESTABLISHED.
    _S.COOKIE_WAIT: frozenset({_S.COOKIE_ECHOED, _S.ESTABLISHED, _S.CLOSED}),
    # 5.2.6: a stale cookie sends the association back to COOKIE_WAIT.
    _S.COOKIE_ECHOED: frozenset({_S.ESTABLISHED, _S.COOKIE_WAIT, _S.CLOSED}),
    # 5.2.4 action A, the peer's restart, leads from any state that has data back to ESTABLISHED.
    _S.ESTABLISHED: frozenset({_S.SHUTDOWN_PENDING, _S.SHUTDOWN_RECEIVED, _S.ESTABLISHED, _S.CLOSED}),
    _S.SHUTDOWN_PENDING: frozenset({_S.SHUTDOWN_SENT, _S.SHUTDOWN_RECEIVED, _S.ESTABLISHED, _S.CLOSED}),
    _S.SHUTDOWN_SENT: frozenset({_S.SHUTDOWN_ACK_SENT, _S.ESTABLISHED, _S.CLOSED}),
    _S.SHUTDOWN_RECEIVED: frozenset({_S.SHUTDOWN_ACK_SENT, _S.ESTABLISHED, _S.CLOSED}),
    _S.SHUTDOWN_ACK_SENT: frozenset({_S.CLOSED}),
}

OPENING = frozenset({_S.COOKIE_WAIT, _S.COOKIE_ECHOED})
"""The handshake is under way."""

SENDS_DATA = frozenset({_S.ESTABLISHED, _S.SHUTDOWN_PENDING, _S.SHUTDOWN_RECEIVED})
"""DATA may be sent and a SACK means something (9.2)."""

TAKES_DATA = frozenset({_S.ESTABLISHED, _S.SHUTDOWN_PENDING, _S.SHUTDOWN_SENT, _S.SHUTDOWN_RECEIVED})
"""DATA that arrives is processed; in SHUTDOWN_ACK_SENT everything has arrived."""

ACCEPTS_MESSAGES = frozenset({_S.CLOSED, _S.COOKIE_WAIT, _S.COOKIE_ECHOED, _S.ESTABLISHED})
"""The application may queue messages (9.2: not once a shutdown has begun)."""
