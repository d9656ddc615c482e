"""What the receivers of a stream ask it not to exceed (TMMBR, RFC 5104 section 3.5.4), by who asks."""

from __future__ import annotations

from sans_rtc.rtcp.feedback import BitrateLimit

# One peer asks from one SSRC, or from one for each of its kinds of media.
OWNERS_MAX = 16


class BitrateLimits:
    """The requests that are in force for one stream; the newest of each owner counts, the oldest goes first."""

    __slots__ = ("_by_owner",)

    def __init__(self) -> None:
        self._by_owner: dict[int, BitrateLimit] = {}

    def request(self, owner: int, bitrate_bps: int, overhead_bytes: int) -> None:
        """Take a request; it replaces what its owner has asked before."""
        self._by_owner.pop(owner, None)
        self._by_owner[owner] = BitrateLimit(owner, bitrate_bps, overhead_bytes)
        if len(self._by_owner) > OWNERS_MAX:
            del self._by_owner[next(iter(self._by_owner))]

    def left(self, owner: int) -> bool:
        """An owner has left the session; False where it had asked nothing."""
        return self._by_owner.pop(owner, None) is not None

    @property
    def limit_bps(self) -> int | None:
        """The least that anybody asks for; None without a request."""
        return min([limit.bitrate_bps for limit in self._by_owner.values()], default=None)

    @property
    def bounding(self) -> list[BitrateLimit]:
        """The requests that bound the stream at some rate of packets: of less bitrate, or of more overhead than those.

        That is the set of section 3.5.4.2, maybe with more of those between.
        """
        found: list[BitrateLimit] = []
        for limit in sorted(self._by_owner.values(), key=lambda each: (each.bitrate_bps, -each.overhead_bytes)):
            if not found or limit.overhead_bytes > found[-1].overhead_bytes:
                found.append(limit)
        return found
