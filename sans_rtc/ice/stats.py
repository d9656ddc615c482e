"""What an agent counts: for people, for `explain`, and so that nothing is lost without a trace."""

from __future__ import annotations

from enum import StrEnum

import attrs


class DiscardReason(StrEnum):
    """Why something that came from outside was left out."""

    EMPTY = "empty"
    UNKNOWN_LOCAL_ADDRESS = "unknown_local_address"
    UNKNOWN_SOURCE = "unknown_source"  # payload from nobody we know
    EARLY_BUFFER_FULL = "early_buffer_full"
    MALFORMED_STUN = "malformed_stun"
    UNEXPECTED_STUN = "unexpected_stun"  # a method or a class that ICE has no use for
    BAD_FINGERPRINT = "bad_fingerprint"
    NOT_AUTHENTICATED = "not_authenticated"  # a request with a wrong user name or password, or without one
    UNKNOWN_TRANSACTION = "unknown_transaction"  # a response to nothing: late, replayed or invented
    RESPONSE_NOT_AUTHENTICATED = "response_not_authenticated"
    RESPONSE_WRONG_SOURCE = "response_wrong_source"  # from or to another address than asked
    EARLY_REQUESTS_FULL = "early_requests_full"
    FOREIGN_GENERATION = "foreign_generation"  # of a generation that is not known, or no longer
    PEER_REFLEXIVE_LIMIT = "peer_reflexive_limit"
    REMOTE_CANDIDATE_LIMIT = "remote_candidate_limit"
    REMOTE_CANDIDATE_UNUSABLE = "remote_candidate_unusable"  # an address, protocol or component of no use here
    REMOTE_CANDIDATE_REPEATED = "remote_candidate_repeated"
    REMOTE_CANDIDATE_AFTER_END = "remote_candidate_after_end"
    REMOTE_NAME_UNRESOLVED = "remote_name_unresolved"
    REMOTE_NAME_AMBIGUOUS = "remote_name_ambiguous"
    PAIR_LIMIT = "pair_limit"
    TRANSACTION_LIMIT = "transaction_limit"
    NOT_RELAYED = "not_relayed"  # to an address of ours that the peer is not to know of
    RELAY_LIMIT = "relay_limit"  # ours, to more peers than a TURN client keeps
    TCP_STREAM_LIMIT = "tcp_stream_limit"
    TCP_STREAM_NOT_PROVEN = "tcp_stream_not_proven"  # a connection that did not begin with a check of the peer
    TCP_STREAM_BROKEN = "tcp_stream_broken"  # what came on it is not framed
    TCP_STREAM_GONE = "tcp_stream_gone"  # ours, for a connection that has ended
    FRAME_TOO_LONG = "frame_too_long"  # ours


@attrs.define(slots=True)
class IceStatistics:
    """Counters of one agent, over all generations.

    requests_received     authenticated checks of the peer, repeated ones included
    responses_received    authenticated responses to our checks
    requests_sent         Binding requests of checks, repeated ones included
    role_conflicts        conflicts seen by either end
    indications_received  keepalives of the peer
    restarts              generations after the first
    """

    discards: dict[str, int] = attrs.field(factory=dict)
    requests_received: int = 0
    responses_received: int = 0
    requests_sent: int = 0
    role_conflicts: int = 0
    indications_received: int = 0
    restarts: int = 0

    def discard(self, reason: DiscardReason) -> None:
        """Count one more discard."""
        self.discards[reason] = self.discards.get(reason, 0) + 1
