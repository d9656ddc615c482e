"""Checks of the peer that came before its parameters: answered at once, kept for what else is due (RFC 8445 7.3)."""

from __future__ import annotations

from sans_rtc.ice.base import Base
from sans_rtc.ice.server_side import CheckRequest
from sans_rtc.machine import Path


class EarlyRequests:
    """One request for each path and generation of the peer, the latest; bounded."""

    __slots__ = ("_count_max", "_requests")

    def __init__(self, count_max: int) -> None:
        self._count_max = count_max
        self._requests: dict[tuple[Path, str], tuple[CheckRequest, Base]] = {}

    def keep(self, request: CheckRequest, base: Base) -> bool:
        """Keep a request; False where there is no room."""
        key = (request.path, request.remote_ufrag)
        if key not in self._requests and len(self._requests) >= self._count_max:
            return False
        known = self._requests.get(key)
        if known is not None and known[0].use_candidate and not request.use_candidate:
            return True  # a nomination stands, whatever check follows it
        self._requests[key] = (request, base)
        return True

    def take(self, remote_ufrag: str) -> list[tuple[CheckRequest, Base]]:
        """The peer's generation is known: hand over its requests, and forget all others."""
        found = [entry for (_, ufrag), entry in self._requests.items() if ufrag == remote_ufrag]
        self._requests.clear()
        return found

    def forget_base(self, base: Base) -> None:
        """A socket is gone."""
        self._requests = {key: entry for key, entry in self._requests.items() if entry[1] is not base}

    def knows(self, path: Path) -> bool:
        """True where a request has come on this path."""
        return any(known == path for known, _ in self._requests)
