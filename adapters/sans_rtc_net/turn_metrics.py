"""A TURN server's counters as OpenMetrics text, for Prometheus and its like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from sans_rtc.machine import TransportProtocol
from sans_rtc.turn.server import AuthFailure, DiscardReason, Server
from sans_rtc_net.open_metrics_text import CONTENT_TYPE, Family, render_openmetrics

__all__ = ["CONTENT_TYPE", "open_metrics"]


def open_metrics(server: Server) -> str:
    """Write the counters of a server; every label's value is one of a fixed set."""
    return render_openmetrics(_families(server))


def _families(server: Server) -> Iterator[Family]:
    stats = server.stats
    now = server.allocation_counts
    yield _family("allocations", "gauge", "Allocations now, by transport of the client.", "transport", now)
    yield _family("streams", "gauge", "TCP and TLS connections of clients now.", "", {"": server.stream_count})
    made = {transport: stats.allocations_created.get(transport, 0) for transport in now}
    yield _family("allocations_created", "counter", "Allocations made so far.", "transport", made)
    directions = {"to_peers": stats.packets_to_peers, "to_clients": stats.packets_to_clients}
    yield _family("relayed_packets", "counter", "Packets relayed.", "direction", directions)
    directions = {"to_peers": stats.bytes_to_peers, "to_clients": stats.bytes_to_clients}
    yield _family("relayed_bytes", "counter", "Payload bytes relayed.", "direction", directions)
    yield _family("bindings", "counter", "Binding requests answered.", "", {"": stats.bindings_answered})
    yield _family("challenges", "counter", "401 and 438 responses.", "", {"": stats.challenges_sent})
    failures = {str(reason): stats.auth_failures.get(reason, 0) for reason in AuthFailure}
    yield _family("auth_failures", "counter", "Requests not authenticated.", "reason", failures)
    errors = {str(code): count for code, count in sorted(stats.errors_sent.items())}
    yield _family("errors", "counter", "Error responses, by code.", "code", errors)
    discards = {str(reason): stats.discards.get(reason, 0) for reason in DiscardReason}
    yield _family("discards", "counter", "What was dropped without an answer.", "reason", discards)


def _family(
    name: str,
    kind: Literal["counter", "gauge"],
    text: str,
    label: str,
    counts: Mapping[TransportProtocol, int] | Mapping[str, int],
) -> Family:
    return Family(f"sans_rtc_turn_{name}", kind, text, label, {str(value): count for value, count in counts.items()})
