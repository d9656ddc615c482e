"""Counters of a DTLS connection: what was discarded and why, and how much went through."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum

import attrs


class DiscardReason(StrEnum):
    """Why something that arrived had no effect."""

    EMPTY_DATAGRAM = "empty_datagram"
    NOT_STARTED = "not_started"
    MALFORMED_RECORD = "malformed_record"
    WRONG_RECORD_VERSION = "wrong_record_version"
    UNKNOWN_EPOCH = "unknown_epoch"
    EARLY_RECORD_OVERFLOW = "early_record_overflow"
    REPLAYED = "replayed"
    BAD_MAC = "bad_mac"
    EMPTY_RECORD = "empty_record"
    MALFORMED_FRAGMENT = "malformed_fragment"
    REASSEMBLY_FULL = "reassembly_full"
    MESSAGE_TOO_LONG = "message_too_long"
    MESSAGE_TOO_FAR_AHEAD = "message_too_far_ahead"
    DUPLICATE_MESSAGE = "duplicate_message"
    MALFORMED_MESSAGE = "malformed_message"
    WRONG_EPOCH = "wrong_epoch"
    MALFORMED_CHANGE_CIPHER_SPEC = "malformed_change_cipher_spec"
    MALFORMED_ALERT = "malformed_alert"
    WARNING_ALERT = "warning_alert"
    UNAUTHENTICATED_ALERT = "unauthenticated_alert"
    UNPROTECTED_DATA = "unprotected_data"
    EARLY_DATA_OVERFLOW = "early_data_overflow"
    HELLO_REQUEST = "hello_request"
    RENEGOTIATION = "renegotiation"
    UNEXPECTED_HANDSHAKE = "unexpected_handshake"


@attrs.define(slots=True)
class DtlsStats:
    """Counters, all from zero.

    discards                   how often each `DiscardReason` applied; a reason that never did reads as 0
    flights_sent               flights handed over, the first time of each
    flights_retransmitted      flights handed over again: because the timer fired
    flights_repeated           flights handed over again: because the peer repeated itself
    records_sealed             protected application records made
    records_opened             protected application records delivered
    """

    discards: dict[str, int] = attrs.Factory(Counter)
    flights_sent: int = 0
    flights_retransmitted: int = 0
    flights_repeated: int = 0
    records_sealed: int = 0
    records_opened: int = 0

    def discard(self, reason: DiscardReason) -> None:
        """Count one discard."""
        self.discards[reason] += 1
