"""What may be chosen about pacing, feedback and estimation, each with its default's arithmetic."""

from __future__ import annotations

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc.validators import count, number


@attrs.frozen(slots=True)
class PacerConfig:
    """How packets are spread in time.

    start_bitrate_bps    target before the first `Pacer.set_target`
    pacing_factor        packets go out at this times the target, so that a frame larger than its share does not wait
                         for its successors: 2.5 sends an average frame of 1/30 s in 13 ms
    burst_s              one `take` may send this much time's worth of packets, and one packet: it bounds wake-ups to
                         200 a second; the estimator sees what is sent within 5 ms as one group anyway
    queue_time_max_s     nothing waits longer: the rate is raised so far that the oldest packet goes in time. Nothing
                         is dropped for its age; an encoder that keeps to its target never comes near
    queue_bytes_max      what may be queued; beyond: LimitExceeded. 8 MiB is 2 s at 32 Mbit/s
    queue_packets_max    the same, counted in packets
    paces_audio          False: audio goes out at once, and what it takes is taken from the others
    padding_bytes_max    size of one padding packet; 0: this session cannot make any, so nothing is padded
    padding_request_bytes_max  what `request_padding` may add up to; more is cut off
    probes_max           probe clusters waiting; beyond: `probe` returns False
    probe_wait_max_s     a cluster that could not begin in this time, for want of packets, is given up
    """

    start_bitrate_bps: int = count(300_000, 1, 10**10)
    pacing_factor: float = number(2.5, 1.0, 100.0)
    burst_s: float = number(0.005, 0.0, 1.0)
    queue_time_max_s: float = number(2.0, 0.05, 60.0)
    queue_bytes_max: int = count(8 << 20, 1, 1 << 30)
    queue_packets_max: int = count(10_000, 1, 1_000_000)
    paces_audio: bool = False
    padding_bytes_max: int = count(1200, 0, 65_535)
    padding_request_bytes_max: int = count(1 << 20, 0, 1 << 30)
    probes_max: int = count(4, 0, 100)
    probe_wait_max_s: float = number(5.0, 0.0, 60.0)


@attrs.frozen(slots=True)
class FeedbackConfig:
    """How long sent packets are remembered for feedback on them.

    history_s            a packet older than this is forgotten: feedback comes several times a second
    history_packets_max  the oldest are forgotten beyond this; under half the space of 16-bit sequence numbers
    """

    history_s: float = number(10.0, 0.1, 60.0)
    history_packets_max: int = count(32_767, 1, 32_767)


@attrs.frozen(slots=True)
class EstimatorConfig:
    """Limits and constants of the send-side estimator. Sections are of draft-ietf-rmcat-gcc-02.

    Bitrates
    start_bitrate_bps, min_bitrate_bps, max_bitrate_bps   the target begins at the first and stays between the others
    event_interval_s         events are at least this far apart, but for a cut by `event_cut` or more
    event_change, event_cut  a change smaller than this fraction is not worth an event

    Delay (5.2 to 5.4)
    burst_s                  packets sent in this time are one group (5.2)
    trend_groups             groups that the line is fitted to
    threshold_ms             the adaptive threshold at the beginning, and its gains per ms (5.6)
    gain_up, gain_down
    drain_queue_s            a queue that stands at this is drained; the path's jitter must be well below

    Rate control (5.5)
    beta                     a cut goes to this fraction of what arrives
    increase_per_s           growth in a second where the capacity is not known, and of the loss bound

    Loss (6)
    loss_low, loss_high      below the first the bound grows, above the second it is cut
    loss_window_s, loss_packets_min   one measurement takes both

    Probing
    initial_probe_factors    of the start bitrate, sent when the first packet was
    further_probe_factor     of a probe's result, where that was `further_probe_threshold` of its rate or more
    alr_fraction             sending less than this of the target is application-limited
    alr_probe_interval_s, alr_probe_factor   probes while application-limited
    drop_fraction            a fall to less than this of the target before is a drop, probed once it is over
    probe_cluster_s, probe_packets_min       length of a cluster
    probe_beside_s           length of a cluster after a drop or a growth: longer than another flow's time of a frame,
                             so that it shows the share, not the whole path

    feedback_timeout_s       silence while sending after which the target is cut by `timeout_cut`, and again after each
                             second (in the spirit of RFC 8083 section 4)
    """

    start_bitrate_bps: int = count(300_000, 1_000, 10**10)
    min_bitrate_bps: int = count(30_000, 1_000, 10**10)
    max_bitrate_bps: int = count(30_000_000, 1_000, 10**10)
    event_interval_s: float = number(0.1, 0.0, 10.0)
    event_change: float = number(0.01, 0.0, 1.0)
    event_cut: float = number(0.05, 0.0, 1.0)
    burst_s: float = number(0.005, 0.0, 0.1)
    trend_groups: int = count(20, 2, 200)
    threshold_ms: float = number(12.5, 6.0, 600.0)
    gain_up: float = number(0.0087, 0.0, 1.0)
    gain_down: float = number(0.039, 0.0, 1.0)
    drain_queue_s: float = number(0.1, 0.01, 60.0)
    beta: float = number(0.85, 0.5, 0.99)
    increase_per_s: float = number(1.08, 1.0, 2.0)
    loss_low: float = number(0.02, 0.0, 1.0)
    loss_high: float = number(0.10, 0.0, 1.0)
    loss_window_s: float = number(0.25, 0.0, 10.0)
    loss_packets_min: int = count(20, 1, 10_000)
    initial_probe_factors: tuple[float, ...] = (3.0, 6.0)
    further_probe_factor: float = number(2.0, 1.0, 10.0)
    further_probe_threshold: float = number(0.7, 0.0, 1.0)
    alr_fraction: float = number(0.65, 0.1, 1.0)
    alr_probe_interval_s: float = number(5.0, 0.5, 600.0)
    alr_probe_factor: float = number(2.0, 1.0, 10.0)
    drop_fraction: float = number(0.66, 0.1, 0.99)
    probe_cluster_s: float = number(0.015, 0.001, 1.0)
    probe_beside_s: float = number(0.05, 0.001, 1.0)
    probe_packets_min: int = count(5, 2, 100)
    feedback_timeout_s: float = number(2.0, 0.1, 60.0)
    timeout_cut: float = number(0.8, 0.1, 1.0)

    def __attrs_post_init__(self) -> None:
        if not self.min_bitrate_bps <= self.start_bitrate_bps <= self.max_bitrate_bps:
            raise InvalidArgument("min_bitrate_bps <= start_bitrate_bps <= max_bitrate_bps does not hold")
        if self.loss_low > self.loss_high:
            raise InvalidArgument(f"loss_low {self.loss_low} is above loss_high {self.loss_high}")
        if len(self.initial_probe_factors) > 4 or any(not 1.0 <= f <= 100.0 for f in self.initial_probe_factors):
            raise InvalidArgument("initial_probe_factors are at most four numbers of 1 to 100")
