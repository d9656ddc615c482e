"""STUN (RFC 8489): messages, attributes, integrity, transactions, a client for Binding, and URIs.

wire            messages: parse_message, serialize_message, responses to a request
attributes      the one table of attributes of STUN, ICE and TURN
values          what the attributes hold, and how it is laid out
credentials     OpaqueString, keys, USERHASH
integrity       MESSAGE-INTEGRITY, MESSAGE-INTEGRITY-SHA256, FINGERPRINT
long_term       the client's side of the long-term credential mechanism
transaction     the retransmission schedule of a request over UDP
binding_client  a machine that asks a server for the reflexive address
behavior_discovery  a machine that finds out what kind of NAT there is (RFC 5780)
uri             stun:, stuns:, turn: and turns:
"""

from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.behavior_discovery import BehaviorDiscovery
from sans_rtc.stun.binding_client import BindingClient, BindingStats
from sans_rtc.stun.config import BindingConfig
from sans_rtc.stun.credentials import PasswordAlgorithm, long_term_key, opaque_string, short_term_key, userhash
from sans_rtc.stun.events import BindingEvent, BindingFailed, BindingSucceeded, DiscardReason, TerminationReason
from sans_rtc.stun.integrity import IntegrityAlgorithm, has_integrity, is_fingerprint_valid, is_integrity_valid
from sans_rtc.stun.long_term import ChallengeOutcome, LongTermAuthenticator, SecurityFeatures, security_features
from sans_rtc.stun.nat_behavior import BehaviorDiscovered, BehaviorEvent, Dependence, DiscoveryFailed, NatBehavior
from sans_rtc.stun.transaction import RELIABLE_TRANSPORT, RetransmissionSchedule, Transaction
from sans_rtc.stun.uri import Scheme, StunUri, parse_stun_uri
from sans_rtc.stun.values import AddressErrorCode, ErrorCode, Icmp, PasswordAlgorithmEntry
from sans_rtc.stun.wire import (
    Attribute,
    Message,
    MessageClass,
    Method,
    error_response,
    new_request,
    parse_message,
    serialize_message,
    success_response,
    unknown_attributes_response,
)

__all__ = [
    "RELIABLE_TRANSPORT",
    "AddressErrorCode",
    "Attribute",
    "AttributeType",
    "BehaviorDiscovered",
    "BehaviorDiscovery",
    "BehaviorEvent",
    "BindingClient",
    "BindingConfig",
    "BindingEvent",
    "BindingFailed",
    "BindingStats",
    "BindingSucceeded",
    "ChallengeOutcome",
    "Dependence",
    "DiscardReason",
    "DiscoveryFailed",
    "ErrorCode",
    "Icmp",
    "IntegrityAlgorithm",
    "LongTermAuthenticator",
    "Message",
    "MessageClass",
    "Method",
    "NatBehavior",
    "PasswordAlgorithm",
    "PasswordAlgorithmEntry",
    "RetransmissionSchedule",
    "Scheme",
    "SecurityFeatures",
    "StunUri",
    "TerminationReason",
    "Transaction",
    "error_response",
    "has_integrity",
    "is_fingerprint_valid",
    "is_integrity_valid",
    "long_term_key",
    "new_request",
    "opaque_string",
    "parse_message",
    "parse_stun_uri",
    "security_features",
    "serialize_message",
    "short_term_key",
    "success_response",
    "unknown_attributes_response",
    "userhash",
]
