"""What INIT, INIT ACK and cookies agree on: extensions, streams, windows, first TSNs (RFC 9260 3.3.2, 3.3.3, 5.1.1)."""

from __future__ import annotations

from enum import IntFlag

import attrs

from sans_rtc.sctp.chunks import ChunkType, Init
from sans_rtc.sctp.params import (
    KNOWN_PARAMETERS,
    REPORT_BIT,
    STOP_BIT_CLEAR,
    CauseCode,
    Parameter,
    ParameterType,
    serialize_parameter,
)

# RFC 9260 3.3.2: an endpoint must not offer less.
WINDOW_BYTES_MIN = 1500
# Reports of parameters that are not known are left out beyond this, so that INIT ACK and COOKIE ECHO fit a packet.
REPORTED_BYTES_MAX = 256
# A peer may ask for this much more life of a cookie (Cookie Preservative); RFC 9260 5.2.6 suggests 1 s beyond the RTT.
PRESERVED_S_MAX = 5.0


class Feature(IntFlag):
    """Extensions of the peer that matter here."""

    FORWARD_TSN = 1
    RE_CONFIG = 2


NO_FEATURES = Feature(0)


@attrs.define(slots=True)
class PeerParameters:
    """What the parameters of an INIT or INIT ACK tell.

    unrecognized  the ones that the peer wants reported, as they came, within REPORTED_BYTES_MAX
    """

    features: Feature = NO_FEATURES
    cookie: bytes | None = None
    preserved_s: float = 0.0
    has_host_name: bool = False
    unrecognized: list[bytes] = attrs.field(factory=list)


@attrs.define(slots=True)
class Opening:
    """An association begins with these values.

    streams_outbound  the lesser of what we want and the peer grants; inbound the other way round
    is_restart        it replaces one (RFC 9260 5.2.4 action A)
    """

    local_initial_tsn: int
    peer_initial_tsn: int
    peer_window_bytes: int
    streams_outbound: int
    streams_inbound: int
    features: Feature
    is_restart: bool = False


def offered_parameters() -> list[Parameter]:
    """What we can do. I-DATA (RFC 8260) and zero checksum (RFC 9653) would be offered here."""
    return [
        Parameter(ParameterType.FORWARD_TSN_SUPPORTED, b""),
        Parameter(ParameterType.SUPPORTED_EXTENSIONS, bytes((ChunkType.FORWARD_TSN, ChunkType.RE_CONFIG))),
    ]


def init_problem(init: Init) -> Parameter | None:
    """The cause where an INIT or INIT ACK says what it must not: no tag, no streams, hardly a window (3.3.2)."""
    if init.initiate_tag and init.streams_outbound and init.streams_inbound and init.window_bytes >= WINDOW_BYTES_MIN:
        return None
    return Parameter(CauseCode.INVALID_MANDATORY_PARAMETER, b"")


def read_parameters(init: Init) -> PeerParameters:
    """Interpret the parameters; those that are not known, by their two high bits (3.2.1)."""
    peer = PeerParameters()
    room = REPORTED_BYTES_MAX
    for parameter in init.parameters:
        if parameter.type in KNOWN_PARAMETERS:
            _read_known(parameter, peer)
            continue
        if parameter.type & REPORT_BIT:
            data = serialize_parameter(parameter)
            room -= len(data) + 4
            if room >= 0:
                peer.unrecognized.append(data)
        if not parameter.type & STOP_BIT_CLEAR:
            break
    return peer


def _read_known(parameter: Parameter, peer: PeerParameters) -> None:
    kind, value = parameter.type, parameter.value
    if kind == ParameterType.STATE_COOKIE:
        peer.cookie = value
    elif kind == ParameterType.FORWARD_TSN_SUPPORTED:
        peer.features |= Feature.FORWARD_TSN
    elif kind == ParameterType.SUPPORTED_EXTENSIONS:
        peer.features |= Feature.FORWARD_TSN if ChunkType.FORWARD_TSN in value else NO_FEATURES
        peer.features |= Feature.RE_CONFIG if ChunkType.RE_CONFIG in value else NO_FEATURES
    elif kind == ParameterType.COOKIE_PRESERVATIVE and len(value) == 4:
        peer.preserved_s = min(int.from_bytes(value, "big") / 1000, PRESERVED_S_MAX)
    elif kind == ParameterType.HOST_NAME_ADDRESS:
        peer.has_host_name = True
