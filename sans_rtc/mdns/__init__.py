"""Multicast DNS (RFC 6762), as much of it as the `.local` candidates of browsers need.

    wire     DNS messages: names with compression, questions, records
    config   schedule and limits
    events   what a querier reports
    querier  a machine that resolves names

The codec serves both directions. A responder that publishes names of our own (draft-ietf-rtcweb-mdns-ice-candidates)
is one more machine beside the querier: the driver hands every datagram of the shared port to both; the querier takes
responses and discards queries, the responder the other way round.
"""

from sans_rtc.mdns.config import MdnsConfig
from sans_rtc.mdns.events import (
    DiscardReason,
    MdnsEvent,
    NameResolved,
    NameUnresolved,
    TerminationReason,
    UnresolvedReason,
)
from sans_rtc.mdns.querier import Querier, QuerierStats

__all__ = [
    "DiscardReason",
    "MdnsConfig",
    "MdnsEvent",
    "NameResolved",
    "NameUnresolved",
    "Querier",
    "QuerierStats",
    "TerminationReason",
    "UnresolvedReason",
]
