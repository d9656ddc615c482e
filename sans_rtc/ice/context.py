"""What the parts of one agent share: configuration, entropy, role, and where they put what is to go out."""

from __future__ import annotations

import attrs

from sans_rtc.entropy import Entropy
from sans_rtc.ice.config import IceConfig
from sans_rtc.ice.role import Role, RoleKeeper
from sans_rtc.ice.stats import IceStatistics
from sans_rtc.machine import Datagram, Trace, TraceRecord
from sans_rtc.outbox import Outbox


@attrs.define(slots=True, eq=False)
class AgentContext:
    """Made by the agent, given to its parts; nobody here knows the agent.

    datagrams  in sending order
    """

    config: IceConfig
    entropy: Entropy
    roles: RoleKeeper
    trace: Trace | None = None
    stats: IceStatistics = attrs.field(factory=IceStatistics)
    datagrams: Outbox[Datagram] = attrs.field(factory=Outbox)

    def record(self, name: str, now: float, **fields: object) -> None:
        """Trace one step. Callers on the way of every packet ask first whether there is a trace at all."""
        if self.trace is not None:
            self.trace(TraceRecord("ice", name, now, fields))

    def settle_role(self, *, is_remote_lite: bool) -> None:
        """RFC 8445 section 6.1.1: of a full and a lite agent the full one takes the controlling role."""
        if is_remote_lite is not self.config.is_lite:
            wanted = Role.CONTROLLING if is_remote_lite else Role.CONTROLLED
            if self.roles.role is not wanted:
                self.roles.switch()

    def take_other_role(self, asserted: Role) -> bool:
        """A check that asserted this role got 487 (RFC 8445 section 7.2.5.1).

        False where the two ends have changed roles too often, and the check has simply failed.
        """
        self.stats.role_conflicts += 1
        if self.roles.switch_count >= self.config.role_switch_count_max:
            return False
        self.roles.refused(asserted)
        return True
