"""Who takes part in an RTP session, and who of them sends (RFC 3550 sections 6.2.1, 6.3.3 to 6.3.5)."""

from __future__ import annotations

from collections.abc import Iterable


class Members:
    """The member and sender tables: SSRC to when it was last heard. Bounded; oneself never times out as a member."""

    __slots__ = ("_count_max", "_heard_at", "_sent_at", "local_ssrc", "refused_count")

    def __init__(self, local_ssrc: int, count_max: int) -> None:
        self.local_ssrc = local_ssrc
        self.refused_count = 0
        self._count_max = count_max
        self._heard_at: dict[int, float] = {}
        self._sent_at: dict[int, float] = {}

    def heard(self, ssrc: int, now: float) -> None:
        """A packet came from this source; one more than fits is not kept, and counted."""
        if ssrc == self.local_ssrc:
            return
        if ssrc in self._heard_at or len(self._heard_at) + 1 < self._count_max:
            self._heard_at[ssrc] = now
        else:
            self.refused_count += 1

    def sent(self, ssrc: int, now: float) -> None:
        """RTP came from this source, or went out from oneself."""
        if ssrc == self.local_ssrc or ssrc in self._heard_at:
            self._sent_at[ssrc] = now

    def left(self, ssrcs: Iterable[int]) -> None:
        """Sources said goodbye; oneself stays."""
        for ssrc in ssrcs:
            self._heard_at.pop(ssrc, None)
            if ssrc != self.local_ssrc:
                self._sent_at.pop(ssrc, None)

    def time_out(self, member_before: float, sender_before: float) -> list[int]:
        """Remove members not heard, and senders that have not sent, since these times; the members that went."""
        gone = [ssrc for ssrc, at in self._heard_at.items() if at < member_before]
        self.left(gone)
        for ssrc in [ssrc for ssrc, at in self._sent_at.items() if at < sender_before]:
            del self._sent_at[ssrc]
        return gone

    @property
    def count(self) -> int:
        """Members, oneself included."""
        return len(self._heard_at) + 1

    @property
    def sender_count(self) -> int:
        """Members that have sent RTP of late, maybe oneself."""
        return len(self._sent_at)

    @property
    def is_sender(self) -> bool:
        """we_sent: oneself has sent RTP of late."""
        return self.local_ssrc in self._sent_at
