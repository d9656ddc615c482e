"""What a server counts: for metrics, and so that nothing is dropped without a trace."""

from __future__ import annotations

from enum import StrEnum

import attrs


class DiscardReason(StrEnum):
    """Why something that came from outside was dropped without an answer."""

    NOT_STUN = "not_stun"  # neither a STUN message nor ChannelData
    BAD_FINGERPRINT = "bad_fingerprint"
    UNEXPECTED_STUN = "unexpected_stun"  # a method or a class that a server has no use for
    THROTTLED = "throttled"  # the source asks too often without proving who it is
    NO_ALLOCATION = "no_allocation"  # an indication or ChannelData of nobody's
    INVALID_INDICATION = "invalid_indication"
    TRUNCATED_CHANNEL_DATA = "truncated_channel_data"
    UNBOUND_CHANNEL = "unbound_channel"
    NO_PERMISSION = "no_permission"  # from a client to a peer that it has not permitted
    FORBIDDEN_PEER = "forbidden_peer"  # from a client to a port of this host that is no relay
    PEER_NOT_PERMITTED = "peer_not_permitted"  # from a peer that the client has not permitted
    NOT_OPEN_YET = "not_open_yet"  # a request whose first copy still waits for its relay
    RATE_LIMITED = "rate_limited"  # beyond what one allocation may relay
    TOO_LARGE = "too_large"
    UNKNOWN_RELAY = "unknown_relay"
    UNKNOWN_STREAM = "unknown_stream"
    BROKEN_STREAM = "broken_stream"
    STREAM_LIMIT = "stream_limit"
    STREAM_IDLE = "stream_idle"  # a connection that has nothing allocated for long
    EARLY_DATA_FULL = "early_data_full"  # of a TCP peer that no client has taken yet


class AuthFailure(StrEnum):
    """Why a request was not taken for its user's."""

    NO_CREDENTIALS = "no_credentials"
    INCOMPLETE = "incomplete"
    WRONG_REALM = "wrong_realm"
    BAD_ALGORITHMS = "bad_algorithms"  # what smells of a bid-down
    UNKNOWN_USER = "unknown_user"
    WRONG_PASSWORD = "wrong_password"
    EXPIRED = "expired"  # credentials of the REST API after their time
    STALE_NONCE = "stale_nonce"
    OTHER_USER = "other_user"  # than the one the allocation belongs to


@attrs.define(slots=True)
class ServerStats:
    """Counters of one server; the dicts have as many keys as their enumerations, or as there are error codes.

    discards               by DiscardReason
    auth_failures          by AuthFailure
    errors_sent            by error code
    allocations_created    by transport between client and server
    challenges_sent        401 and 438 responses
    throttled              requests without credentials that got no answer
    packets_to_peers, bytes_to_peers       relayed, payload only
    packets_to_clients, bytes_to_clients   relayed, payload only
    """

    discards: dict[str, int] = attrs.field(factory=dict)
    auth_failures: dict[str, int] = attrs.field(factory=dict)
    errors_sent: dict[int, int] = attrs.field(factory=dict)
    allocations_created: dict[str, int] = attrs.field(factory=dict)
    bindings_answered: int = 0
    challenges_sent: int = 0
    throttled: int = 0
    packets_to_peers: int = 0
    bytes_to_peers: int = 0
    packets_to_clients: int = 0
    bytes_to_clients: int = 0

    def discard(self, reason: DiscardReason) -> None:
        """Count one more discard."""
        self.discards[reason] = self.discards.get(reason, 0) + 1

    def fail_auth(self, failure: AuthFailure) -> None:
        """Count one more request that was not authenticated."""
        self.auth_failures[failure] = self.auth_failures.get(failure, 0) + 1
