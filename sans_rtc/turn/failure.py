"""Why something did not come about, in the server's words where it said some; and what that means for the relay."""

from __future__ import annotations

from typing import NamedTuple

from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.wire import REASONS, Message
from sans_rtc.turn.events import TerminationReason

TIMEOUT = "Timeout"
UNUSABLE_CHALLENGE = "Unusable Challenge"
UNUSABLE_RESPONSE = "Unusable Response"
EXPIRED = "Expired"
STREAM_CLOSED = "Stream Closed"
STREAM_BROKEN = "Stream Broken"


class Failure(NamedTuple):
    """An error code (0 where no error response came), its name in the RFCs, and a phrase for people."""

    code: int
    name: str
    reason: str

    def __str__(self) -> str:
        start = f"{self.code} {self.name}" if self.code else self.name
        return f"{start}: {self.reason}" if self.reason and self.reason != self.name else start

    @property
    def is_server_error(self) -> bool:
        """True for what may pass by itself: a 5xx (RFC 8489 section 6.3.4), and no answer at all."""
        return 500 <= self.code <= 599 or self.name == TIMEOUT

    @property
    def ends_allocation(self) -> bool:
        """True where any request that gets this error shows that there is no allocation for us (RFC 8656 section 5)."""
        return self.code in (437, 441)

    @property
    def termination(self) -> TerminationReason:
        """The reason with which a client ends that cannot live with this."""
        if self.code:
            return _REASON_OF_CODE.get(self.code, TerminationReason.REFUSED)
        return _REASON_OF_NAME[self.name]


def failure_of_code(code: int, reason: str) -> Failure:
    """The failure that an error code stands for."""
    # coturn ends some of its phrases as C does.
    return Failure(code, REASONS.get(code, "Unknown Error"), reason.rstrip("\0"))


def failure_of(response: Message) -> Failure:
    """The failure that an error response reports."""
    error = response.value(AttributeType.ERROR_CODE)
    if error is None:
        return Failure(0, UNUSABLE_RESPONSE, "an error response without ERROR-CODE")
    return failure_of_code(error.code, error.reason)


_T = TerminationReason
_REASON_OF_CODE = {
    300: _T.TRY_ALTERNATE,
    400: _T.BAD_REQUEST,
    401: _T.UNAUTHENTICATED,
    403: _T.FORBIDDEN,
    420: _T.UNKNOWN_ATTRIBUTE,
    437: _T.ALLOCATION_MISMATCH,
    438: _T.STALE_NONCE,
    440: _T.ADDRESS_FAMILY_NOT_SUPPORTED,
    441: _T.WRONG_CREDENTIALS,
    442: _T.UNSUPPORTED_TRANSPORT_PROTOCOL,
    443: _T.PEER_ADDRESS_FAMILY_MISMATCH,
    486: _T.ALLOCATION_QUOTA_REACHED,
    500: _T.SERVER_ERROR,
    508: _T.INSUFFICIENT_CAPACITY,
}
_REASON_OF_NAME = {
    TIMEOUT: _T.TIMED_OUT,
    UNUSABLE_CHALLENGE: _T.UNUSABLE_CHALLENGE,
    UNUSABLE_RESPONSE: _T.UNUSABLE_RESPONSE,
    EXPIRED: _T.EXPIRED,
    STREAM_CLOSED: _T.STREAM_CLOSED,
    STREAM_BROKEN: _T.STREAM_BROKEN,
}
