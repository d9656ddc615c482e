"""What may be chosen about a media session: the configurations of its parts, and bounds of its own."""

from __future__ import annotations

import attrs

from sans_rtc.congestion.config import EstimatorConfig, FeedbackConfig, PacerConfig
from sans_rtc.errors import InvalidArgument
from sans_rtc.media.arrivals import ArrivalsConfig
from sans_rtc.rtcp.config import VIDEO_INTERVAL_S, SchedulerConfig
from sans_rtc.rtp.ntp import WallClock
from sans_rtc.rtp.recovery.config import FecReceiverConfig, KeyframeConfig, NackConfig, SendHistoryConfig
from sans_rtc.srtp.config import SrtpConfig
from sans_rtc.validators import count, number, seconds

# RFC 4585 lets feedback go early once, then again after an interval, which follows from the bandwidth: 128 bytes of two
# members at 125,000 bytes/s make 2 ms. So losses are asked for at once; reports are bound by the minimum interval.
_RTCP_BYTES_PER_S = 125_000.0


def _rtcp() -> SchedulerConfig:
    return SchedulerConfig(minimum_interval_s=VIDEO_INTERVAL_S, bandwidth_bytes_per_s=_RTCP_BYTES_PER_S)


@attrs.frozen(slots=True, kw_only=True)
class MediaConfig:
    """Settings of an `RtpSession`.

    mtu_bytes               of a UDP payload, SRTP and what the path adds (`set_path_overhead`) included. 1200 pass
                            everywhere (IPv6's least MTU of 1280, less headers, rounded down)
    wall_clock              Unix time as an offset to `now`: for sender reports and capture times
    srtp, rtcp              of SRTP; of when RTCP is sent
    history, nack, keyframe, fec   of loss recovery
    pacer, estimator, feedback     of congestion control of what is sent
    arrivals                of the feedback on what is received
    unpaced_bitrate_bps     what the pacer takes as the target where the peer gives no feedback to estimate one by:
                            bursts are then bounded by 5 ms of 2.5 times this, 62 KiB
    fec_ratio_max           the most of FlexFEC that is sent where it was negotiated, as a part of the bytes of video it
                            protects; how much of it goes by the loss reported. 0: none
    fec_delay_s_max         at the end of a frame, packets that are older are protected at once, where that part allows
                            it: repair is of use while it is waited for
    audio_bitrate_bps       what an encoding of audio without a maximum is given; Opus needs no more
    layer_bitrate_bps_min   a layer of a simulcast, but the lowest, that would get less is off

    receive_delay_s_max     the playout delay that frames may be held back to even out jitter; 0: every frame as soon as
                            it is whole and its turn, for applications that do their own playout
    repair_wait_s           how long a missing packet is waited for where NACK may bring it
    reorder_wait_s          how long where nothing brings it but its own late arrival
    receive_packets_max, receive_bytes_max   of each stream, waiting for what is missing; the oldest frames go first

    inbound_streams_max     SSRCs received, RTX and FEC among them. Beyond, the one that ended first goes; else the new
                            one is not taken. 64 streams of video with their RTX, and as many of audio
    sections_max            m= sections
    encodings_max           layers of one simulcast
    ended_sources_max       SSRCs remembered as ended, so that late packets do not begin them again
    ended_wait_s            for how long
    frames_max              frames and packets that wait for `take_events`; the oldest go first, with FramesDropped
    keyframe_interval_s_min between two KeyframeRequested for one encoding; requests in between are told afterwards
    reference_sources_max   receivers whose XR reference times are answered
    has_circuit_breaker     sending ends for a while where the peer's reports say that it does no good (RFC 8083)
    collisions_max          SSRC collisions that are resolved by a new SSRC; more are only counted
    """

    mtu_bytes: int = count(1200, 256, 65_507)
    wall_clock: WallClock = attrs.Factory(WallClock)
    srtp: SrtpConfig = attrs.Factory(SrtpConfig)
    rtcp: SchedulerConfig = attrs.Factory(_rtcp)
    history: SendHistoryConfig = attrs.Factory(SendHistoryConfig)
    nack: NackConfig = attrs.Factory(NackConfig)
    keyframe: KeyframeConfig = attrs.Factory(KeyframeConfig)
    fec: FecReceiverConfig = attrs.Factory(FecReceiverConfig)
    pacer: PacerConfig = attrs.Factory(PacerConfig)
    estimator: EstimatorConfig = attrs.Factory(EstimatorConfig)
    feedback: FeedbackConfig = attrs.Factory(FeedbackConfig)
    arrivals: ArrivalsConfig = attrs.Factory(ArrivalsConfig)
    unpaced_bitrate_bps: int = count(40_000_000, 1_000, 10**10)
    fec_ratio_max: float = number(0.25, 0.0, 1.0)
    fec_delay_s_max: float = seconds(0.1, 0.0, 10.0)
    audio_bitrate_bps: int = count(64_000, 1_000, 10_000_000)
    layer_bitrate_bps_min: int = count(50_000, 1_000, 10**9)
    receive_delay_s_max: float = seconds(0.0, 0.0, 10.0)
    repair_wait_s: float = seconds(0.5, 0.0, 10.0)
    reorder_wait_s: float = seconds(0.04, 0.0, 10.0)
    receive_packets_max: int = count(2048, 1, 0x7FFF)
    receive_bytes_max: int = count(4 << 20, 1, 1 << 30)
    inbound_streams_max: int = count(192, 1, 65_536)
    sections_max: int = count(256, 1, 65_536)
    encodings_max: int = count(16, 1, 1024)
    ended_sources_max: int = count(256, 1, 65_536)
    ended_wait_s: float = seconds(2.0, 0.0, 3600.0)
    frames_max: int = count(4096, 1, 1_000_000)
    keyframe_interval_s_min: float = seconds(0.3, 0.0, 60.0)
    reference_sources_max: int = count(16, 0, 1024)
    has_circuit_breaker: bool = True
    collisions_max: int = count(16, 0, 1024)

    def __attrs_post_init__(self) -> None:
        if not self.rtcp.is_feedback_profile:
            raise InvalidArgument("a session of WebRTC uses the feedback profile (RFC 8834 section 4.2)")
