"""The configuration of a peer connection: those of its layers, and the few values they share."""

from __future__ import annotations

import attrs

from sans_rtc.datachannel.config import ChannelConfig
from sans_rtc.dtls.config import DtlsConfig
from sans_rtc.errors import InvalidArgument
from sans_rtc.ice.config import IceConfig
from sans_rtc.media import MediaConfig
from sans_rtc.peer.media_config import MediaNegotiationConfig
from sans_rtc.sctp.config import SctpConfig

# RFC 8831 section 5: without path MTU discovery a sender assumes 1200 bytes of IP payload; we say it of UDP payload,
# as browsers do.
MTU_BYTES_DEFAULT = 1200
MTU_BYTES_MIN = 576
MTU_BYTES_MAX = 65_507

# Sizes of UDP payload that are worth a probe (RFC 8899 section 5.3.2): common tunnels, Ethernet over IPv6 and IPv4,
# jumbo frames over IPv6, and the largest DTLS record, which loopback takes.
PROBE_BYTES = (1392, 1452, 1472, 8952, 16_421)
# The largest of them that every stack is known to read whole; more only with a peer that searches itself.
PROBE_UNASKED_BYTES = 1472


@attrs.frozen(slots=True, kw_only=True)
class PeerConfig:
    """Everything that can be chosen about a peer connection.

    ice, dtls, sctp, channels, media  the configurations of the layers
    mtu_bytes                  largest UDP payload sent; the layers' own sizes are derived from it
    mtu_discovery              look for larger sizes (RFC 8899). The driver must send a `Datagram` with
                               `dont_fragment` whole or not at all, and others whatever their size. None: the driver's
                               choice; without one, off
    wall_clock_offset_s        Unix time minus the monotonic `now`, seconds; used once, to date a certificate that is
                               made here
    certificate_lifetime_s     how long such a certificate is valid
    close_timeout_s            how long `close` waits for the peer to acknowledge what was sent
    early_datagrams_max        DTLS datagrams kept while the peer's description is not known yet, and as many of SRTP
                               while there are no keys
    accepts_media              audio and video that the peer offers are taken (W3C); else only where a transceiver that
                               was added as of a track waits for them
    media_negotiation          formats and the rest of audio and video in descriptions
    is_dtls_client_preferred   an answer to an `actpass` offer chooses `active`, as RFC 8842 section 5.3 recommends
    """

    ice: IceConfig = attrs.Factory(IceConfig)
    dtls: DtlsConfig = attrs.Factory(DtlsConfig)
    sctp: SctpConfig = attrs.Factory(SctpConfig)
    channels: ChannelConfig = attrs.Factory(ChannelConfig)
    media: MediaConfig = attrs.Factory(MediaConfig)
    mtu_bytes: int = MTU_BYTES_DEFAULT
    mtu_discovery: bool | None = None
    wall_clock_offset_s: float = 0.0
    certificate_lifetime_s: int = 30 * 86_400
    close_timeout_s: float = 3.0
    early_datagrams_max: int = 16
    is_dtls_client_preferred: bool = True
    accepts_media: bool = True
    media_negotiation: MediaNegotiationConfig = attrs.Factory(MediaNegotiationConfig)

    def __attrs_post_init__(self) -> None:
        if not MTU_BYTES_MIN <= self.mtu_bytes <= MTU_BYTES_MAX:
            raise InvalidArgument(f"mtu_bytes is {MTU_BYTES_MIN} to {MTU_BYTES_MAX}, not {self.mtu_bytes}")
        if self.certificate_lifetime_s < 3600:
            raise InvalidArgument("a certificate lives for an hour at least")
        if not 0.0 <= self.close_timeout_s <= 3600.0:
            raise InvalidArgument(f"close_timeout_s is 0 to 3600, not {self.close_timeout_s}")
        if self.early_datagrams_max < 0:
            raise InvalidArgument("early_datagrams_max must not be negative")
