"""The bounds and times of RTCP's scheduling, each with its default's arithmetic."""

from __future__ import annotations

import attrs

from sans_rtc.validators import count, number

VIDEO_INTERVAL_S = 1.0
"""What browsers take as the interval between regular reports on video."""
AUDIO_INTERVAL_S = 5.0
"""What browsers take as the interval between regular reports on audio: RFC 3550's fixed minimum."""


@attrs.frozen(slots=True)
class SchedulerConfig:
    """When RTCP is sent. Durations in seconds.

    is_feedback_profile       RTP/AVPF (RFC 4585): early feedback; False: RTP/AVP
    is_point_to_point         two members: no dithering, and no wait before the first report (RFC 4585 section 3.5.1)
    minimum_interval_s        AVPF: T_rr_interval, so reports are that far apart on average; AVP: Tmin. 5 s is
                              RFC 3550's; `VIDEO_INTERVAL_S` is what browsers take
    bandwidth_bytes_per_s     of RTCP in the whole session, lower layers included: 5 % of the session's bandwidth; the
                              default is that of 1 Mbit/s
    sender_fraction           S / (S + R): the share of the senders (RFC 3550 section 6.2)
    first_packet_bytes        the probable size of the first compound: IPv4 20 + UDP 8 + SRTCP 14 + SR 28 + block 24 +
                              SDES 34
    overhead_bytes            of lower layers in each datagram, counted into its size: IPv4 20 + UDP 8
    timeout_multiplier        M of RFC 3550 section 6.3.5
    bye_backoff_member_count  with more members than this, BYE waits for its turn (RFC 3550 section 6.3.7)
    member_count_max          members that are kept by SSRC; further ones are not counted. A conference has some dozens
    """

    is_feedback_profile: bool = True
    is_point_to_point: bool = True
    minimum_interval_s: float = number(AUDIO_INTERVAL_S, 0.0, 300.0)
    bandwidth_bytes_per_s: float = number(6250.0, 1.0, 1e9)
    sender_fraction: float = number(0.25, 0.0, 1.0)
    first_packet_bytes: float = number(128.0, 1.0, 65535.0)
    overhead_bytes: int = count(28, 0, 255)
    timeout_multiplier: float = number(5.0, 2.0, 100.0)
    bye_backoff_member_count: int = count(50, 1, 1_000_000)
    member_count_max: int = count(4096, 2, 1_000_000)
