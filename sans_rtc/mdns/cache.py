"""What is known of names, and until when (RFC 6762 section 10)."""

from __future__ import annotations

import attrs

from sans_rtc.mdns.config import MdnsConfig

# RFC 6762 sections 10.1 and 10.2: a record that is withdrawn or replaced is kept for one more second.
GOODBYE_S = 1.0


@attrs.define(slots=True)
class _Host:
    expires_at: float
    received_at: float


class Cache:
    """Addresses by name, bounded in names, addresses a name, and time. Kept only for names that were asked for."""

    __slots__ = ("_config", "_names")

    def __init__(self, config: MdnsConfig) -> None:
        self._config = config
        self._names: dict[bytes, dict[str, _Host]] = {}

    def hosts(self, key: bytes, now: float) -> tuple[str, ...]:
        """The addresses of a name that have not expired, oldest first."""
        return tuple([host for host, entry in self._names.get(key, {}).items() if entry.expires_at > now])

    def knows(self, key: bytes) -> bool:
        """True where something about the name is kept, expired or not."""
        return key in self._names

    def add(self, key: bytes, host: str, ttl_s: float, now: float) -> bool:
        """Keep an address; False where the name has too many already."""
        self._drop_expired(now)
        expires_at = now + min(ttl_s, self._config.ttl_s_max)
        hosts = self._names.get(key)
        if hosts is None:
            if not self._make_room():
                return True
            hosts = self._names[key] = {}
        if host not in hosts and len(hosts) >= self._config.host_count_max:
            return False
        hosts[host] = _Host(expires_at, now)
        return True

    def withdraw(self, key: bytes, host: str, now: float) -> None:
        """Let an address go, one second from now."""
        entry = self._names.get(key, {}).get(host)
        if entry is not None:
            entry.expires_at = min(entry.expires_at, now + GOODBYE_S)

    def withdraw_older(self, key: bytes, is_ipv6: bool, now: float) -> None:
        """Let all addresses of this family go that were received more than a second ago."""
        for host, entry in self._names.get(key, {}).items():
            if (":" in host) is is_ipv6 and entry.received_at < now - GOODBYE_S:
                self.withdraw(key, host, now)

    def clear(self) -> None:
        """Forget everything."""
        self._names.clear()

    def __len__(self) -> int:
        return len(self._names)

    def _drop_expired(self, now: float) -> None:
        for key in list(self._names):
            hosts = self._names[key]
            for host in [host for host, entry in hosts.items() if entry.expires_at <= now]:
                del hosts[host]
            if not hosts:
                del self._names[key]

    def _make_room(self) -> bool:
        if not self._config.cache_name_count_max:
            return False
        while len(self._names) >= self._config.cache_name_count_max:
            del self._names[min(self._names, key=self._last_expiry)]
        return True

    def _last_expiry(self, key: bytes) -> float:
        return max((entry.expires_at for entry in self._names[key].values()), default=0.0)
