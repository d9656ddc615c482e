"""What was sent, so that it can be sent again: bounded in packets, bytes, age, and in how much is sent again."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Generic, Protocol, TypeVar

from sans_rtc.errors import InvalidArgument
from sans_rtc.rtp.recovery.config import SendHistoryConfig
from sans_rtc.rtp.recovery.stats import DiscardReason, SendHistoryStats


class Sendable(Protocol):
    """What can be kept: an `RtpPacket`, or whatever else has its number and payload."""

    @property
    def sequence_number(self) -> int:
        """0 to 65535."""

    @property
    def payload(self) -> bytes:
        """What counts as its size."""


Kept = TypeVar("Kept", bound=Sendable)


class SendHistory(Generic[Kept]):
    """Keeps the last packets of one stream and answers requests for them; a transform.

    Bytes sent earn the right to send `ratio_max` of them again, saved up to `burst_bytes_max`: a peer that asks for
    everything again and again costs no more than that.
    """

    __slots__ = ("_by_number", "_byte_count", "_config", "_credit_bytes", "_order", "_resent_at", "_rtt_s", "stats")

    def __init__(self, config: SendHistoryConfig, *, rtt_s: float = 0.1) -> None:
        self._config = config
        # Each packet and when it was sent first; and of those sent again, when that was last.
        self._by_number: dict[int, tuple[Kept, float]] = {}
        self._order: deque[tuple[Kept, float]] = deque()
        self._resent_at: dict[int, float] = {}
        self._byte_count = 0
        self._credit_bytes = float(config.burst_bytes_max)
        self.stats = SendHistoryStats()
        self.set_rtt(rtt_s)

    def set_rtt(self, rtt_s: float) -> None:
        """Tell the round-trip time. Errors: InvalidArgument where it is negative or not finite."""
        if not 0.0 <= rtt_s < math.inf:
            raise InvalidArgument(f"a round-trip time is finite and not negative: {rtt_s}")
        self._rtt_s = rtt_s

    def add(self, packet: Kept, now: float) -> None:
        """Keep a packet that is sent now. It must not be changed afterwards."""
        size, number = len(packet.payload), packet.sequence_number
        config, order, stats = self._config, self._order, self.stats
        sent = (packet, now)
        self._by_number[number] = sent
        order.append(sent)
        self._byte_count += size
        stats.packets_sent += 1
        stats.bytes_sent += size
        if self._credit_bytes < config.burst_bytes_max:
            self._credit_bytes = min(config.burst_bytes_max, self._credit_bytes + config.ratio_max * size)
        if len(order) > config.packet_count_max or self._byte_count > config.byte_count_max:
            self._forget()

    def add_run(self, packets: Sequence[Kept], byte_count: int, now: float) -> None:
        """As `add` of each, for packets that are sent together; `byte_count` is that of their payloads."""
        config, order, by_number, stats = self._config, self._order, self._by_number, self.stats
        sent = [(packet, now) for packet in packets]
        order.extend(sent)
        by_number.update(zip([packet.sequence_number for packet in packets], sent, strict=True))
        self._byte_count += byte_count
        stats.packets_sent += len(packets)
        stats.bytes_sent += byte_count
        if self._credit_bytes < config.burst_bytes_max:
            self._credit_bytes = min(config.burst_bytes_max, self._credit_bytes + config.ratio_max * byte_count)
        self._forget()

    def _forget(self) -> None:
        """Forget the oldest while there is too much."""
        order, by_number, resent_at = self._order, self._by_number, self._resent_at
        bytes_max, byte_count = self._config.byte_count_max, self._byte_count
        excess = len(order) - self._config.packet_count_max
        while excess > 0 or byte_count > bytes_max:
            oldest = order.popleft()
            packet = oldest[0]
            byte_count -= len(packet.payload)
            excess -= 1
            number = packet.sequence_number
            if by_number.get(number) is oldest:
                del by_number[number]
                if resent_at:
                    resent_at.pop(number, None)
        self._byte_count = byte_count

    def answer(self, sequence_numbers: Iterable[int], now: float) -> list[Kept]:
        """The packets to send again for the numbers of a NACK, in its order; what is not sent again is counted.

        A number may be asked for twice in one round trip, for the answer was on the way: it is answered once.
        """
        stats = self.stats
        config = self._config
        repeat_after_s = config.repeat_rtt_factor * self._rtt_s
        packets = []
        for number in sequence_numbers:
            stats.numbers_requested += 1
            sent = self._by_number.get(number)
            if sent is None:
                stats.discard(DiscardReason.NOT_HELD)
                continue
            packet, first_at = sent
            last_at = self._resent_at.get(number, first_at)
            if now - first_at > config.age_s_max:
                stats.discard(DiscardReason.TOO_OLD)
            elif (now - last_at < repeat_after_s and last_at > first_at) or last_at == now:
                stats.discard(DiscardReason.JUST_SENT)
            elif len(packet.payload) > self._credit_bytes:
                stats.discard(DiscardReason.OVER_RATIO)
            else:
                self._resent_at[number] = now
                self._credit_bytes -= len(packet.payload)
                stats.packets_resent += 1
                stats.bytes_resent += len(packet.payload)
                packets.append(packet)
        return packets

    @property
    def newest(self) -> Kept | None:
        """The packet that was sent last, for the first time; None before any."""
        return self._order[-1][0] if self._order else None

    @property
    def packet_count(self) -> int:
        """Packets kept."""
        return len(self._order)

    @property
    def byte_count(self) -> int:
        """Payload bytes kept."""
        return self._byte_count
