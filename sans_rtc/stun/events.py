"""What a Binding client reports."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import attrs

from sans_rtc.machine import Address, Terminated


class TerminationReason(StrEnum):
    """Why a Binding client has ended."""

    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    TIMED_OUT = "timed_out"
    UNUSABLE_RESPONSE = "unusable_response"
    CLOSED = "closed"
    ABORTED = "aborted"


class DiscardReason(StrEnum):
    """Why a datagram was dropped without any effect."""

    WRONG_PATH = "wrong_path"
    NOT_STUN = "not_stun"
    BAD_FINGERPRINT = "bad_fingerprint"
    NOT_A_RESPONSE = "not_a_response"
    UNKNOWN_TRANSACTION = "unknown_transaction"


@attrs.define(slots=True)
class BindingSucceeded:
    """The server has told our address as it sees it.

    mapped         the reflexive transport address
    rtt_s          round-trip time; None where a retransmission makes it uncertain
    software       the server's SOFTWARE, for people; empty where it sent none
    other_address  the server's other address and port (RFC 5780), where it has one
    """

    mapped: Address
    rtt_s: float | None
    software: str = ""
    other_address: Address | None = None


@attrs.define(slots=True)
class BindingFailed:
    """There is no answer, or not a useful one.

    code              the error code of the server, 300 to 699; 0 where no error response came
    reason            the server's phrase, or ours
    alternate_server  where the server of a 300 would have us go instead (RFC 8489 section 10). Not followed by itself:
                      the response is not authenticated, and whoever forges it could send us anywhere
    alternate_domain  the name that a certificate of the alternate server must carry
    """

    code: int
    reason: str
    alternate_server: Address | None = None
    alternate_domain: str = ""


BindingEvent: TypeAlias = BindingSucceeded | BindingFailed | Terminated
