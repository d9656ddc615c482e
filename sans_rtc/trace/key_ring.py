"""The secrets of an NSS key log, found by the random of the ClientHello."""

from __future__ import annotations

from typing import Final

# Sessions whose keys are remembered, and secrets of one: five of DTLS 1.3, a few more of TLS.
SESSION_COUNT_MAX: Final = 4096
_LABEL_COUNT_MAX: Final = 16
_RANDOM_BYTES: Final = 32
_SECRET_BYTES_MAX: Final = 64


class KeyRing:
    """What a key log says: CLIENT_RANDOM of DTLS 1.2, the traffic and exporter secrets of 1.3."""

    def __init__(self) -> None:
        self._sessions: dict[bytes, dict[str, bytes]] = {}

    def add(self, text: str) -> None:
        """Take the lines of a key log; what is none is left out."""
        for line in text.splitlines():
            parts = line.split()
            if len(parts) != 3 or line.startswith("#"):
                continue
            try:
                random, secret = bytes.fromhex(parts[1]), bytes.fromhex(parts[2])
            except ValueError:
                continue
            self._put(random, parts[0], secret)

    def secret(self, client_random: bytes, label: str) -> bytes | None:
        """One secret of a session; None where the key log has none."""
        return self._sessions.get(client_random, {}).get(label)

    def _put(self, random: bytes, label: str, secret: bytes) -> None:
        if len(random) != _RANDOM_BYTES or not 0 < len(secret) <= _SECRET_BYTES_MAX:
            return
        if random not in self._sessions and len(self._sessions) >= SESSION_COUNT_MAX:
            return
        labels = self._sessions.setdefault(random, {})
        if label in labels or len(labels) < _LABEL_COUNT_MAX:
            labels[label] = secret
