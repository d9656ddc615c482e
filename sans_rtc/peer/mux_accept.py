"""Accepting a stranger: what signalling would have said, made of what both ends know from elsewhere.

In libp2p's WebRTC-Direct a browser dials a server that it knows by address and certificate hash alone. It makes both
descriptions itself, with credentials of its own choice as its own and as the server's; the server learns them from the
first check. `stranger_config` and `stranger_offer` are the server's two halves of that.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from sans_rtc import dtls
from sans_rtc.errors import InvalidArgument
from sans_rtc.ice import Parameters
from sans_rtc.peer.config import PeerConfig
from sans_rtc.peer.negotiation import Description, DescriptionType

SCTP_PORT = 5000
MESSAGE_BYTES_MAX = 262_144


def stranger_config(config: PeerConfig | None, local: Parameters) -> PeerConfig:
    """The configuration of the peer for a stranger: the credentials that it addresses, and the passive end of DTLS."""
    config = config or PeerConfig()
    ice = attrs.evolve(config.ice, local_ufrag=local.ufrag, local_pwd=local.pwd)
    return attrs.evolve(config, ice=ice, is_dtls_client_preferred=False)


def stranger_offer(
    remote: Parameters,
    fingerprints: Sequence[dtls.Fingerprint],
    *,
    sctp_port: int = SCTP_PORT,
    message_bytes_max: int = MESSAGE_BYTES_MAX,
) -> Description:
    """The offer that the stranger would have made: one data section, no candidates.

    remote        the stranger's fragment, as its check says, and its password
    fingerprints  of its certificate, any of which will do
    Errors        InvalidArgument without a fingerprint: nobody could be told from somebody else
    """
    if not fingerprints:
        raise InvalidArgument("a stranger is known by the fingerprint of its certificate")
    lines = [
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        "a=mid:0",
        f"a=ice-ufrag:{remote.ufrag}",
        f"a=ice-pwd:{remote.pwd}",
        *(["a=ice-lite"] if remote.is_lite else []),
        *(f"a=fingerprint:{fingerprint}" for fingerprint in fingerprints),
        "a=setup:actpass",
        f"a=sctp-port:{sctp_port}",
        f"a=max-message-size:{message_bytes_max}",
    ]
    return Description(DescriptionType.OFFER, "\r\n".join(lines) + "\r\n")
