"""What a recording costs: throughput with one end or both recorded to files, beside none; how fast a replay is."""

from __future__ import annotations

import time
from collections.abc import Sequence

from benchmarks import datachannel
from benchmarks.report import Cell, ratio
from sans_rtc.datachannel import ChannelMessage, ChannelOptions, ChannelState
from sans_rtc.machine import Address
from sans_rtc.peer import GatheringNeeded, PeerConnection
from sans_rtc.testing import Link, LinkConditions, SeededEntropy
from sans_rtc.trace import make_recorded, replay

REPLAYED_MESSAGE_BYTES = 16_384
# The link of the session that is replayed: 4 MB/s, which is what the session "took".
_CONDITIONS = LinkConditions(delay_s=0.01, rate_bytes_s=4e6)


def measure(sizes: Sequence[int], options: datachannel.Options) -> list[dict[str, Cell]]:
    """Four rows for each message size and size of packets, 1200 bytes and the largest of loopback; WorkerFailed."""
    return [row for suffix in ("_1200", "") for size in sizes for row in _rows(size, suffix, options)]


def _rows(size: int, suffix: str, options: datachannel.Options) -> list[dict[str, Cell]]:
    plain, recorded = f"sans_rtc{suffix}", f"sans_rtc_recorded{suffix}"
    stacks = [(plain, plain), (recorded, plain), (plain, recorded), (recorded, recorded)]
    done = datachannel.measure_stacks(stacks, size, options)
    packets = "1200 bytes" if suffix else "largest"
    return [
        {"packets": packets, "message_bytes": size, "recorded": which, **_figures(done[0], transferred)}
        for which, transferred in zip(("no end", "sender", "receiver", "both"), done, strict=True)
    ]


def _figures(plain: datachannel.Transferred, transferred: datachannel.Transferred) -> dict[str, Cell]:
    share = ratio(plain.cpu_ns_per_byte, transferred.cpu_ns_per_byte)
    return {
        "mb_s": transferred.mb_s,
        "cost_percent": 100.0 * (1.0 - transferred.mb_s / plain.mb_s),
        "cpu_ns_per_byte": transferred.cpu_ns_per_byte,
        # Of the throughput, where the processor is what limits it: less at the mercy of whatever else runs.
        "cpu_cost_percent": None if share is None else 100.0 * (1.0 - share),
    }


def measure_replay(datagram_count: int) -> dict[str, Cell]:
    """Record a session of so many datagrams in virtual time, replay one end of it, and compare the times."""
    recordings: tuple[list[bytes], list[bytes]] = ([], [])
    ends = [
        make_recorded(PeerConnection, entropy=SeededEntropy(f"end {end}"), sink=recordings[end].append)
        for end in (0, 1)
    ]
    session = _Session(ends)
    session.transfer(datagram_count)
    started, cpu_before_s = time.perf_counter(), time.process_time()
    report = replay(recordings[0])
    replay_s, replay_cpu_s = time.perf_counter() - started, time.process_time() - cpu_before_s
    return {
        "datagrams": report.datagrams_in + report.datagrams_out,
        "recording_mb": sum(map(len, recordings[0])) / 1e6,
        "session_s": report.last_now - report.first_now,
        "replay_s": replay_s,
        "replay_cpu_s": replay_cpu_s,
    }


class _Session:
    """Two peers on a link, their candidates in their descriptions; one sends as much as it may."""

    def __init__(self, ends: list[PeerConnection]) -> None:
        self._ends = ends
        self._link = Link(*ends, conditions=_CONDITIONS)
        self._link.on_event = self._on_event
        self._channel = ends[0].create_channel("data", ChannelOptions(), self._link.now)
        now = self._link.now
        ends[0].set_local_description(None, now)
        self._link.flush()
        self._describe(0, 1)
        ends[1].set_local_description(None, now)
        self._link.flush()
        self._describe(1, 0)
        self._link.run_until(lambda: ends[0].channel_state(self._channel) is ChannelState.OPEN)

    def transfer(self, datagram_count: int) -> None:
        """Send until so many datagrams have travelled both ways."""
        sent = self._link.sent
        message = bytes(REPLAYED_MESSAGE_BYTES)
        while len(sent[0]) + len(sent[1]) < datagram_count:
            while self._ends[0].buffered_amount(self._channel) < 1 << 20:
                self._ends[0].send(self._channel, message, self._link.now)
            self._link.run_for(0.05)

    def _describe(self, end: int, other: int) -> None:
        description = self._ends[end].local_description
        assert description is not None
        self._ends[other].set_remote_description(description, self._link.now)

    def _on_event(self, end: int, event: object) -> None:
        now = self._link.now
        if isinstance(event, GatheringNeeded):
            self._ends[end].add_local_address(Address(f"10.0.0.{end + 1}", 5000), "eth0", now)
            self._ends[end].end_of_local_addresses(now)
        elif isinstance(event, ChannelMessage):
            self._ends[end].consume(event.channel, event.byte_count, now)
