"""What an association tells its user, and why one ends."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import attrs

from sans_rtc.machine import Terminated


class TerminationReason(StrEnum):
    """The `reason` of an association's `Terminated`."""

    CLOSED = "closed"
    """The SHUTDOWN sequence is complete: everything sent has been acknowledged, both ways."""
    LOCAL_ABORT = "local-abort"
    """`abort` was called, or `close` before there was an association."""
    REMOTE_ABORT = "remote-abort"
    """The peer sent ABORT; the detail names its cause."""
    HANDSHAKE_TIMEOUT = "handshake-timeout"
    """The peer did not answer INIT or COOKIE ECHO (Max.Init.Retransmits)."""
    PEER_UNREACHABLE = "peer-unreachable"
    """Too many retransmissions in a row went unanswered (Association.Max.Retrans)."""
    SHUTDOWN_TIMEOUT = "shutdown-timeout"
    """The SHUTDOWN sequence took longer than T5-shutdown-guard allows."""
    PROTOCOL_VIOLATION = "protocol-violation"
    """The peer broke a rule that an authentic peer must keep; an ABORT told it."""
    MESSAGE_TOO_LARGE = "message-too-large"
    """The peer sent a message over `message_bytes_max`; an ABORT told it."""


@attrs.define(slots=True)
class Connected:
    """The association is established.

    streams_inbound   stream identifiers 0 to this, exclusive, may carry messages from the peer
    streams_outbound  and these may be sent on
    """

    streams_inbound: int
    streams_outbound: int


@attrs.define(slots=True)
class Message:
    """A whole message has arrived. Give its bytes back with `consume` once the application has taken it."""

    stream_id: int
    ppid: int
    data: bytes


@attrs.define(slots=True)
class IncomingStreamsReset:
    """The peer has reset these streams: everything sent on them before has been delivered or abandoned."""

    stream_ids: tuple[int, ...]


@attrs.define(slots=True)
class OutgoingStreamsReset:
    """The peer has performed our reset of these streams; they begin anew."""

    stream_ids: tuple[int, ...]


@attrs.define(slots=True)
class OutgoingResetDenied:
    """The peer does not reset these streams; they go on as they were.

    result  the peer's `params.ResetResult`, DENIED also where it does not support RE-CONFIG
    """

    stream_ids: tuple[int, ...]
    result: int


@attrs.define(slots=True)
class BufferLow:
    """There is room: the stream's `buffered_bytes` has fallen to its low threshold or below, or what is queued on all
    streams together to half of the send buffer, or to nothing; then the stream is the one that was sent from."""

    stream_id: int


@attrs.define(slots=True)
class SendFailed:
    """A message was abandoned: its lifetime or its retransmissions are used up (RFC 3758), or the peer has
    fewer streams.

    byte_count   size of the whole message
    was_sent     True where at least one fragment has been on the wire, so that it may have arrived
    """

    stream_id: int
    ppid: int
    byte_count: int
    was_sent: bool


@attrs.define(slots=True)
class Restarted:
    """The peer has started a new association in place of the old one (RFC 9260 5.2.4 action A).

    What was queued or not acknowledged is lost; streams, resets and windows begin anew; `Connected` follows.
    """


SctpEvent: TypeAlias = (
    Connected
    | Message
    | IncomingStreamsReset
    | OutgoingStreamsReset
    | OutgoingResetDenied
    | BufferLow
    | SendFailed
    | Restarted
    | Terminated
)
