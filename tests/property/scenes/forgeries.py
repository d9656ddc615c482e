"""Bytes that pass the first glance: the header of a real datagram, other contents, lengths and checksums in order."""

import google_crc32c

SCTP_HEADER_BYTES, STUN_HEADER_BYTES, DTLS_HEADER_BYTES, DNS_HEADER_BYTES = 12, 20, 13, 12


def reseal_sctp(data):
    """An SCTP packet with the checksum that its bytes deserve."""
    if len(data) < SCTP_HEADER_BYTES:
        return data
    crc = google_crc32c.value(data[:8] + bytes(4) + data[SCTP_HEADER_BYTES:])
    return data[:8] + crc.to_bytes(4, "little") + data[SCTP_HEADER_BYTES:]


def forge_sctp(real, body):
    """Other chunks in a packet with the right tag; without the checksum nothing would look at them."""
    return reseal_sctp(real[:SCTP_HEADER_BYTES] + body)


def forge_stun(real, body):
    """Other attributes in a message of the same class, method and transaction."""
    body += bytes(-len(body) % 4)
    return real[:2] + len(body).to_bytes(2, "big") + real[4:STUN_HEADER_BYTES] + body


def forge_dtls(real, body):
    """Another fragment in a record of the same type, epoch and number."""
    return real[: DTLS_HEADER_BYTES - 2] + len(body).to_bytes(2, "big") + body


def forge_dns(real, body):
    """Other questions and records under the same counts."""
    return real[:DNS_HEADER_BYTES] + body


def forge_any(real, body):
    """Whatever travels on the port of a peer connection, by its first byte (RFC 7983)."""
    return (forge_stun if real[:1] < b"\x14" else forge_dtls)(real, body)
