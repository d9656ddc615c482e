"""What a querier and a responder report."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import attrs

from sans_rtc.machine import Terminated


class UnresolvedReason(StrEnum):
    """Why a name has no address."""

    TIMED_OUT = "timed_out"
    NO_NETWORK = "no_network"
    CLOSED = "closed"


class TerminationReason(StrEnum):
    """Why a querier or a responder has ended."""

    CLOSED = "closed"
    ABORTED = "aborted"


class DiscardReason(StrEnum):
    """Why a datagram, or a record in it, had no effect."""

    UNKNOWN_LOCAL_ADDRESS = "unknown_local_address"
    OFF_LINK = "off_link"
    WRONG_PORT = "wrong_port"
    MALFORMED = "malformed"
    QUERY = "query"
    ERROR_RESPONSE = "error_response"
    WRONG_ID = "wrong_id"
    NOT_ASKED = "not_asked"
    UNUSABLE_ADDRESS = "unusable_address"
    TOO_MANY_HOSTS = "too_many_hosts"


class ResponderDiscardReason(StrEnum):
    """Why a datagram got no answer, or one of its questions did not."""

    UNKNOWN_LOCAL_ADDRESS = "unknown_local_address"
    OFF_LINK = "off_link"
    MALFORMED = "malformed"
    NOT_A_QUERY = "not_a_query"
    NOT_OURS = "not_ours"
    TOO_MANY_QUESTIONS = "too_many_questions"
    KNOWN_ANSWER = "known_answer"
    TOO_SOON = "too_soon"
    RATE_LIMITED = "rate_limited"


@attrs.define(slots=True)
class NameResolved:
    """A name has an address.

    name   as it was asked for
    hosts  its IP addresses, one or more, in the order in which they came
    """

    name: str
    hosts: tuple[str, ...]


@attrs.define(slots=True)
class NameUnresolved:
    """A name has no address that anybody told."""

    name: str
    reason: UnresolvedReason


MdnsEvent: TypeAlias = NameResolved | NameUnresolved | Terminated
