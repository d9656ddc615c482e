"""Messages on streams that nobody has opened yet, kept in order until their DATA_CHANNEL_OPEN arrives.

A well-behaved opener sends everything in order behind its OPEN until the ACK (RFC 8832 section 6), but a message of a
pre-negotiated channel may arrive before our application has created its end, and those of a stream's next channel
before we know that the last one is closed. The store is bounded in count and bytes; what does not fit is refused.
"""

from __future__ import annotations

from sans_rtc.datachannel.config import ChannelConfig


class EarlyMessages:
    """Bounded store of (ppid, data) by stream id."""

    def __init__(self, config: ChannelConfig) -> None:
        self._config = config
        self._by_stream: dict[int, list[tuple[int, bytes]]] = {}
        self._count = 0
        self._bytes = 0

    def keep(self, stream_id: int, ppid: int, data: bytes) -> bool:
        """Keep a message; False where the bounds do not allow it."""
        if self._count >= self._config.early_messages_max:
            return False
        if self._bytes + len(data) > self._config.early_bytes_max:
            return False
        self._by_stream.setdefault(stream_id, []).append((ppid, data))
        self._count += 1
        self._bytes += len(data)
        return True

    def take(self, stream_id: int) -> list[tuple[int, bytes]]:
        """Hand over what came for a stream, in order."""
        messages = self._by_stream.pop(stream_id, [])
        self._count -= len(messages)
        self._bytes -= sum(len(data) for _, data in messages)
        return messages

    def __len__(self) -> int:
        return self._count
