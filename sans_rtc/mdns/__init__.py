"""Multicast DNS (RFC 6762), as much of it as `.local` candidates need: names resolved, and names published.

    wire       DNS messages: names with compression, questions, records
    config     schedules and limits
    events     what the machines report
    querier    a machine that resolves names
    responder  a machine that publishes names of our own (draft-ietf-rtcweb-mdns-ice-candidates)

A driver hands every datagram of the shared port to both: the querier takes responses, the responder queries, and each
discards the rest.
"""

from sans_rtc.mdns.config import MdnsConfig, ResponderConfig
from sans_rtc.mdns.events import (
    DiscardReason,
    MdnsEvent,
    NameResolved,
    NameUnresolved,
    ResponderDiscardReason,
    TerminationReason,
    UnresolvedReason,
)
from sans_rtc.mdns.querier import Querier, QuerierStats
from sans_rtc.mdns.responder import Responder
from sans_rtc.mdns.responses import ResponderStats

__all__ = [
    "DiscardReason",
    "MdnsConfig",
    "MdnsEvent",
    "NameResolved",
    "NameUnresolved",
    "Querier",
    "QuerierStats",
    "Responder",
    "ResponderConfig",
    "ResponderDiscardReason",
    "ResponderStats",
    "TerminationReason",
    "UnresolvedReason",
]
