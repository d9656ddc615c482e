"""STUN (RFC 8489): messages, attributes, integrity, transactions, a client for Binding, and URIs.

wire            messages: parse_message, serialize_message, responses to a request
attributes      the one table of attributes of STUN, ICE and TURN
values          what the attributes hold, and how it is laid out
credentials     OpaqueString, keys, USERHASH, the nonce cookie
integrity       MESSAGE-INTEGRITY, MESSAGE-INTEGRITY-SHA256, FINGERPRINT
transaction     the retransmission schedule of a request over UDP
binding_client  a machine that asks a server for the reflexive address
uri             stun:, stuns:, turn: and turns:
"""
