"""A media session of sans_rtc on a path of its own: what the benchmarks of media use below a whole peer.

ICE and DTLS are left out, the keys are agreed in the open: after the set-up, neither has much to do with a packet.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import attrs

from sans_rtc.congestion.config import EstimatorConfig, PacerConfig
from sans_rtc.machine import Datagram, Path
from sans_rtc.media import (
    CodecParameters,
    Encoding,
    MediaConfig,
    MediaEvent,
    MediaSection,
    ReceiveParameters,
    RtpSession,
    SendParameters,
)
from sans_rtc.rtp import Extension
from sans_rtc.rtp.payload import MediaKind, codecs_named
from sans_rtc.srtp import MasterKey, SrtpProfile
from sans_rtc.srtp.profile import profile_row

HANDLE = 1
PROFILE = SrtpProfile.AEAD_AES_256_GCM
"""What aiortc prefers."""

_FEEDBACK = frozenset(("nack", "nack pli", "ccm fir", "transport-cc"))
_EXTENSIONS = ((2, Extension.ABS_SEND_TIME), (3, Extension.TRANSPORT_CC), (4, Extension.MID))
_CODECS = (CodecParameters(96, codecs_named("VP8")[0], "", _FEEDBACK, 97),)


def new_keys() -> tuple[MasterKey, MasterKey]:
    """A key for each direction."""
    row = profile_row(PROFILE)
    first, second = (MasterKey(os.urandom(row.key_bytes), os.urandom(row.salt_bytes)) for _ in range(2))
    return first, second


def sending_section(ssrc: int = 0x1001) -> MediaSection:
    """One stream of VP8 that is sent."""
    send = SendParameters(_CODECS, (Encoding("", ssrc, ssrc + 1),), _EXTENSIONS, "sender")
    return MediaSection(HANDLE, "0", MediaKind.VIDEO, send=send, is_reduced_size=True)


def receiving_section() -> MediaSection:
    """One stream of VP8 that is received."""
    receive = ReceiveParameters(_CODECS, _EXTENSIONS)
    return MediaSection(HANDLE, "0", MediaKind.VIDEO, receive=receive, is_reduced_size=True)


def media_config(bitrate_bps: float) -> MediaConfig:
    """Everything by default, but that congestion control begins at twice this bitrate and goes no higher.

    What is measured is not the search for it, whose probes and padding are packets, too.
    """
    start_bps = max(300_000, round(2 * bitrate_bps))
    estimator = EstimatorConfig(start_bitrate_bps=start_bps, max_bitrate_bps=start_bps)
    pacer = PacerConfig(start_bitrate_bps=start_bps, queue_bytes_max=1 << 26, queue_packets_max=100_000)
    return MediaConfig(estimator=estimator, pacer=pacer)


def make_session(
    section: MediaSection, send: MasterKey, receive: MasterKey, bitrate_bps: float, now: float
) -> RtpSession:
    """A session that is ready to send or to receive."""
    session = RtpSession(media_config(bitrate_bps), entropy=os.urandom)
    session.configure([section], now)
    session.set_keys(PROFILE, send, receive, now)
    return session


@attrs.define(slots=True)
class SessionOverPath:
    """A session as a machine of datagrams."""

    session: RtpSession
    path: Path

    def receive(self, datagram: Datagram, now: float) -> None:
        """Take one datagram."""
        self.session.receive(datagram.data, now)

    def receive_many(self, datagrams: Sequence[Datagram], now: float) -> None:
        """Take datagrams that have arrived together."""
        self.session.receive_many([datagram.data for datagram in datagrams], now)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        self.session.handle_timer(now)

    def close(self, now: float) -> None:
        """End the session."""
        self.session.close(now)

    def take_datagrams(self, now: float) -> Sequence[Datagram]:
        """Hand over what is to be sent."""
        path = self.path
        return [Datagram(data, path) for data in self.session.take_datagrams(now)]

    def take_events(self) -> Sequence[MediaEvent]:
        """Hand over what has happened."""
        return self.session.take_events()

    @property
    def deadline(self) -> float:
        """When handle_timer wants to run."""
        return self.session.deadline

    @property
    def is_terminated(self) -> bool:
        """True once the session has ended."""
        return self.session.is_terminated
