"""A TURN server's counters as OpenMetrics text, for Prometheus and its like."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sans_rtc.machine import TransportProtocol
from sans_rtc.turn.server import AuthFailure, DiscardReason, Server

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

Samples = Iterable[tuple[str, float]]


def open_metrics(server: Server) -> str:
    """Write the counters of a server; every label's value is one of a fixed set."""
    stats = server.stats
    lines: list[str] = []
    now = server.allocation_counts
    _family(lines, "allocations", "gauge", "Allocations now, by transport of the client.", _labelled("transport", now))
    _family(lines, "streams", "gauge", "TCP and TLS connections of clients now.", [("", server.stream_count)])
    made = {transport: stats.allocations_created.get(transport, 0) for transport in now}
    _family(lines, "allocations_created", "counter", "Allocations made so far.", _labelled("transport", made))
    directions = {"to_peers": stats.packets_to_peers, "to_clients": stats.packets_to_clients}
    _family(lines, "relayed_packets", "counter", "Packets relayed.", _labelled("direction", directions))
    directions = {"to_peers": stats.bytes_to_peers, "to_clients": stats.bytes_to_clients}
    _family(lines, "relayed_bytes", "counter", "Payload bytes relayed.", _labelled("direction", directions))
    _family(lines, "bindings", "counter", "Binding requests answered.", [("", stats.bindings_answered)])
    _family(lines, "challenges", "counter", "401 and 438 responses.", [("", stats.challenges_sent)])
    failures = {str(reason): stats.auth_failures.get(reason, 0) for reason in AuthFailure}
    _family(lines, "auth_failures", "counter", "Requests not authenticated.", _labelled("reason", failures))
    errors = {str(code): count for code, count in sorted(stats.errors_sent.items())}
    _family(lines, "errors", "counter", "Error responses, by code.", _labelled("code", errors))
    discards = {str(reason): stats.discards.get(reason, 0) for reason in DiscardReason}
    _family(lines, "discards", "counter", "What was dropped without an answer.", _labelled("reason", discards))
    return "\n".join([*lines, "# EOF", ""])


def _labelled(label: str, counts: Mapping[TransportProtocol, int] | Mapping[str, int]) -> Samples:
    return [(f'{{{label}="{value}"}}', count) for value, count in counts.items()]


def _family(lines: list[str], name: str, kind: str, help_text: str, samples: Samples) -> None:
    full_name = f"sans_rtc_turn_{name}"
    suffix = "_total" if kind == "counter" else ""
    lines += [f"# TYPE {full_name} {kind}", f"# HELP {full_name} {help_text}"]
    lines += [f"{full_name}{suffix}{labels} {count}" for labels, count in samples]
