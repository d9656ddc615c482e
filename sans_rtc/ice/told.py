"""What the owner of an agent has been told of role, path and state: each change once, and no more often."""

from __future__ import annotations

from sans_rtc.ice.context import AgentContext
from sans_rtc.ice.events import (
    ConnectionState,
    ConnectionStateChanged,
    IceEvent,
    RestartNeeded,
    RoleChanged,
    SelectedPathChanged,
)
from sans_rtc.ice.generations import Generations
from sans_rtc.machine import Path
from sans_rtc.outbox import Outbox

_S = ConnectionState
# Who may follow whom (W3C WebRTC section 4.3.4 and its figure). A failed agent can be brought back by a restart, by a
# new candidate, or by a check of the peer that gets through.
STATE_TRANSITIONS: dict[ConnectionState, frozenset[ConnectionState]] = {
    _S.NEW: frozenset({_S.CHECKING, _S.CONNECTED, _S.COMPLETED, _S.FAILED, _S.CLOSED}),
    _S.CHECKING: frozenset({_S.CONNECTED, _S.COMPLETED, _S.DISCONNECTED, _S.FAILED, _S.CLOSED}),
    _S.CONNECTED: frozenset({_S.COMPLETED, _S.CHECKING, _S.DISCONNECTED, _S.FAILED, _S.CLOSED}),
    _S.COMPLETED: frozenset({_S.CONNECTED, _S.CHECKING, _S.DISCONNECTED, _S.FAILED, _S.CLOSED}),
    _S.DISCONNECTED: frozenset({_S.CONNECTED, _S.COMPLETED, _S.CHECKING, _S.FAILED, _S.CLOSED}),
    _S.FAILED: frozenset({_S.CHECKING, _S.CONNECTED, _S.COMPLETED, _S.CLOSED}),
    _S.CLOSED: frozenset(),
}


class Told:
    """Compares what is with what was told, and tells the difference.

    role   as it was told
    state  as it was told
    """

    __slots__ = ("_context", "_events", "_generations", "_path", "_restart_asked_in", "role", "state")

    def __init__(self, context: AgentContext, generations: Generations, events: Outbox[IceEvent]) -> None:
        self.role = context.roles.role
        self.state = ConnectionState.NEW
        self._context = context
        self._generations = generations
        self._events = events
        self._path: tuple[int, Path] | None = None
        self._restart_asked_in = -1

    def follow_role(self) -> None:
        """The role may have changed; sessions learn of it first."""
        role = self._context.roles.role
        if role is not self.role:
            self.role = role
            for session in self._generations.sessions:
                session.on_role_changed()
            self._events.append(RoleChanged(role))

    def follow_path(self, now: float) -> bool:
        """Another pair may have been selected: True where it has."""
        session = self._generations.current
        selected = session.selected
        if selected is None or (session.number, selected.path) == self._path:
            return False
        self._path = (session.number, selected.path)
        assert selected.valid_local is not None
        self._context.record("selected", now, path=selected.path)
        self._events.append(SelectedPathChanged(selected.path, selected.valid_local, selected.remote.candidate))
        return True

    def ask_for_restart(self) -> None:
        """Where only a restart would help: once in a generation."""
        number = self._generations.current.number
        if self._restart_asked_in < number and self._generations.is_stranded:
            self._restart_asked_in = number
            self._events.append(RestartNeeded())

    def enter(self, state: ConnectionState, now: float) -> None:
        """Move to a state; the table says which moves exist."""
        if state is self.state:
            return
        assert state in STATE_TRANSITIONS[self.state], f"the state does not go from {self.state} to {state}"
        self._context.record("state", now, was=self.state, state=state)
        self.state = state
        self._events.append(ConnectionStateChanged(state))
