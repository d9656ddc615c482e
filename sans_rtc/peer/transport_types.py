"""What the pile of machines under a peer connection takes, tells and counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import attrs

from sans_rtc import dtls, ice
from sans_rtc.datachannel import ChannelEvent
from sans_rtc.media import MediaEvent
from sans_rtc.peer.data_transport import SctpEnded
from sans_rtc.peer.states import DtlsState


@attrs.define(slots=True)
class DtlsEnded:
    """DTLS has terminated."""

    reason: dtls.TerminationReason
    detail: str


@attrs.define(slots=True)
class DtlsStateChanged:
    """The state of DTLS has changed."""

    state: DtlsState


TransportEvent: TypeAlias = ice.IceEvent | ChannelEvent | MediaEvent | DtlsStateChanged | DtlsEnded | SctpEnded


@attrs.frozen(slots=True)
class SecureParameters:
    """What the descriptions say of DTLS.

    role               which end of it we are
    peer_fingerprints  of the peer's certificate, any of which will do (RFC 8122 section 5)
    """

    role: dtls.Role
    peer_fingerprints: Sequence[dtls.Fingerprint]


@attrs.define(slots=True)
class Traffic:
    """What has passed between ICE and the layers above it, in datagrams and their bytes."""

    packets_sent: int = 0
    bytes_sent: int = 0
    packets_received: int = 0
    bytes_received: int = 0
    path_changes: int = 0
