"""What a handshake, of whatever version, tells the connection that runs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import attrs

from sans_rtc.dtls.ciphers import Protection
from sans_rtc.dtls.events import Connected
from sans_rtc.dtls.flight import FlightItem
from sans_rtc.dtls.handshake import HandshakeMessage


class Exporter(Protocol):
    """Makes keying material for others (RFC 5705)."""

    def export(self, label: bytes, length: int, context: bytes | None) -> bytes:
        """Return `length` bytes for this label and context."""


@attrs.define(slots=True)
class Outcome:
    """What a completed handshake has agreed, with a peer whose identity is proven.

    connected  what the application is told
    exporter   made of the handshake's secrets
    """

    connected: Connected
    exporter: Exporter = attrs.field(repr=False)


@attrs.define(slots=True)
class NextEpoch:
    """The protections of the epoch that ChangeCipherSpec begins."""

    write: Protection
    read: Protection


@attrs.define(slots=True)
class Progress:
    """What came of one handshake message.

    flight           the next flight to send; None where it is not our turn
    is_flight_timed  whether the peer owes an answer to it
    mirrors_record   the flight goes on with the record number of the message (RFC 6347 section 4.2.1)
    next_epoch       the keys, once they are known
    outcome          the handshake is complete
    """

    flight: Sequence[FlightItem] | None = None
    is_flight_timed: bool = True
    mirrors_record: bool = False
    next_epoch: NextEpoch | None = None
    outcome: Outcome | None = None


NOTHING_YET = Progress()


class Handshake(Protocol):
    """A handshake as a transform: whole messages in their order in, `Progress` out."""

    def start(self) -> Progress:
        """Begin; a client makes its first flight."""

    def receive(self, message: HandshakeMessage) -> Progress:
        """Take the peer's next message.

        Errors  WireError: it cannot be parsed, and nothing has changed; Refusal: the handshake is over
        """

    def takes_repeated(self, type_: int) -> bool:
        """Whether a message with a number that was there before is to be looked at, by `receive`, all the same."""

    def epoch_of(self, type_: int) -> int:
        """In which epoch a message of this type belongs."""
