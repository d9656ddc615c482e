"""Controlling or controlled, and what happens when both ends think the same (RFC 8445 sections 6.1.1, 7.3.1.1)."""

from __future__ import annotations

from enum import StrEnum

from sans_rtc.entropy import Entropy, draw_uint


class Role(StrEnum):
    """Who nominates."""

    CONTROLLING = "controlling"
    CONTROLLED = "controlled"

    @property
    def other(self) -> Role:
        """The role of the other end, where the two agree."""
        return Role.CONTROLLED if self is Role.CONTROLLING else Role.CONTROLLING


class Verdict(StrEnum):
    """What to do about the role that a request claims."""

    NO_CONFLICT = "no_conflict"
    REFUSE = "refuse"  # answer 487, keep the role
    SWITCH = "switch"  # take the other role, answer as usual


class RoleKeeper:
    """The role of this agent and its tie-breaker; they outlive a restart.

    switch_count  how often the role has changed
    """

    __slots__ = ("_entropy", "role", "switch_count", "tie_breaker")

    def __init__(self, role: Role, entropy: Entropy) -> None:
        self._entropy = entropy
        self.role = role
        self.tie_breaker = draw_uint(entropy, 64)
        self.switch_count = 0

    def judge(self, claimed: Role, tie_breaker: int) -> Verdict:
        """Settle a request in which the peer claims a role (RFC 8445 section 7.3.1.1).

        The end with the larger tie-breaker becomes, or stays, controlling; the request's receiver wins a draw.
        """
        if claimed is not self.role:
            return Verdict.NO_CONFLICT
        is_controlling_here = self.tie_breaker >= tie_breaker
        if (self.role is Role.CONTROLLING) is is_controlling_here:
            return Verdict.REFUSE
        return Verdict.SWITCH

    def switch(self) -> None:
        """Take the other role."""
        self.role = self.role.other
        self.switch_count += 1

    def refused(self, asserted: Role) -> bool:
        """A check of ours, in which we asserted this role, got 487. True where the role has changed now.

        RFC 8445 section 7.2.5.1: the agent takes the other role and "MUST change the tiebreaker value". Where the role
        has changed since that check, it has been settled already.
        """
        if asserted is not self.role:
            return False
        self.switch()
        self.tie_breaker = draw_uint(self._entropy, 64)
        return True
