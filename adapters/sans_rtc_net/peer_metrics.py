"""Counters of the peers of a process: what failed and why, out of their trace records; as OpenMetrics text.

metrics = PeerMetrics()
PeerConnection(trace=metrics.trace_peer())      ... for each peer
render_openmetrics(metrics.families())
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import Final

from sans_rtc.dtls import TerminationReason as DtlsReason
from sans_rtc.machine import Trace, TraceRecord
from sans_rtc_net.open_metrics_text import Family, render_openmetrics

# Values of one label: a server's own error codes can be many. Beyond, they are counted together.
LABEL_COUNT_MAX: Final = 64
OTHER: Final = "other"

_NAMES: Final = {
    "peers": ("", "Peers made."),
    "peer_ends": ("reason", "Peers that have ended, by reason."),
    "ice_states": ("state", "States of ICE entered."),
    "ice_checks": ("outcome", "Connectivity checks ended, by outcome."),
    "ice_failures": ("reason", "Times that ICE failed: no pair answered, or consent expired."),
    "dtls_handshakes": ("", "DTLS handshakes completed."),
    "dtls_failures": ("reason", "DTLS connections that failed, by reason."),
    "dtls_flights_retransmitted": ("", "Flights of DTLS handshakes sent again."),
    "sctp_losses": ("", "Losses that SCTP saw by acknowledgements."),
    "sctp_timeouts": ("", "Retransmission timeouts of SCTP."),
    "sctp_failures": ("reason", "SCTP associations that ended, by reason."),
    "turn_failures": ("reason", "Requests to TURN servers that failed, by error code and name."),
}
_DTLS_CLOSED: Final = frozenset({DtlsReason.CLOSED, DtlsReason.PEER_CLOSED})


class PeerMetrics:
    """Counts over all peers of a process; they only grow. May be shared by threads."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {name: Counter() for name in _NAMES}
        self._lock = threading.Lock()

    def trace_peer(self) -> Trace:
        """Make the trace of one more peer: what a peer takes as `trace`; see `fan_out` for more than one."""
        self._count("peers")
        return _PeerTrace(self)

    def families(self) -> list[Family]:
        """The counters as they stand, for `render_openmetrics`."""
        with self._lock:
            counts = {name: dict(counter) for name, counter in self._counts.items()}
        return [
            Family(f"sans_rtc_{name}", "counter", text, label, counts[name] or ({} if label else {"": 0}))
            for name, (label, text) in _NAMES.items()
        ]

    def render(self) -> str:
        """The counters as OpenMetrics text."""
        return render_openmetrics(self.families())

    def _count(self, name: str, value: str = "") -> None:
        counter = self._counts[name]
        with self._lock:
            counter[value if value in counter or len(counter) < LABEL_COUNT_MAX else OTHER] += 1


class _PeerTrace:
    """Counts what one peer tells."""

    def __init__(self, metrics: PeerMetrics) -> None:
        self._count = metrics._count
        self._is_consent_expired = False

    def __call__(self, record: TraceRecord) -> None:
        match record.layer, record.name:
            case "ice", "state":
                self._on_ice_state(str(record.fields.get("state")))
            case "ice", "consent_expired":
                self._is_consent_expired = True
            case "ice", "check_ended":
                self._count("ice_checks", str(record.fields.get("outcome")))
            case "dtls", "state" if record.fields.get("state") == "connected":
                self._count("dtls_handshakes")
            case "dtls", "flight_retransmitted":
                self._count("dtls_flights_retransmitted")
            case "dtls", "terminated" if record.fields.get("reason") not in _DTLS_CLOSED:
                self._count("dtls_failures", str(record.fields.get("reason")))
            case "sctp", "loss":
                self._count("sctp_losses")
            case "sctp", "timeout":
                self._count("sctp_timeouts")
            case "sctp", "terminated":
                self._count("sctp_failures", str(record.fields.get("reason")))
            case "turn", "answered" if record.fields.get("failure"):
                # The server's own phrase, behind the colon, is anybody's text.
                self._count("turn_failures", str(record.fields["failure"]).partition(":")[0])
            case "peer", "terminated":
                self._count("peer_ends", str(record.fields.get("reason")))

    def _on_ice_state(self, state: str) -> None:
        self._count("ice_states", state)
        if state == "failed":
            self._count("ice_failures", "consent_expired" if self._is_consent_expired else "no_pair_answered")
        elif state in ("connected", "completed"):
            self._is_consent_expired = False
