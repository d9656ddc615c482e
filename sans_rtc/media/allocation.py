"""The target bitrate shared out among encodings: audio first, then video by priority, layers from the lowest up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sans_rtc.media.config import MediaConfig
from sans_rtc.media.encoding import EncodingSender
from sans_rtc.media.sender import SectionSender
from sans_rtc.rtp.payload.interface import MediaKind


class _Layers(NamedTuple):
    """The encodings of one section of video."""

    priority: float
    encodings: list[EncodingSender]
    bandwidth_bps: int | None


def allocate(target_bps: int, senders: Sequence[SectionSender], config: MediaConfig) -> dict[EncodingSender, int]:
    """What each encoding may send; 0 for one that is inactive, or a layer that there is too little for."""
    shares: dict[EncodingSender, int] = {}
    left = target_bps
    video: list[_Layers] = []
    for sender in senders:
        active = [encoding for encoding in sender.encodings.values() if encoding.settings.is_active]
        shares |= dict.fromkeys(sender.encodings.values(), 0)
        if not sender.is_sending or not active:
            continue
        if sender.kind is MediaKind.AUDIO:
            share = _bounded(left, sender.bandwidth_bps)
            for encoding in active:
                shares[encoding] = min(share, _maximum(encoding) or config.audio_bitrate_bps)
                share -= shares[encoding]
                left -= shares[encoding]
        else:
            # W3C: the layer that is scaled down the most is the lowest
            active.sort(key=lambda encoding: (-encoding.settings.scale_down_by, encoding.settings.max_bitrate_bps or 0))
            priority = max(encoding.settings.priority for encoding in active)
            video.append(_Layers(priority, active, sender.bandwidth_bps))
    for (_, layers, _), share in zip(video, _divide(left, video), strict=True):
        shares |= _fill(layers, share, config.layer_bitrate_bps_min)
    # error correction comes out of the share of what it protects
    return {encoding: int(share / (1.0 + encoding.correction_ratio)) for encoding, share in shares.items()}


def bitrate_max(senders: Sequence[SectionSender], config: MediaConfig) -> int | None:
    """What all encodings together can make use of; None where one has no maximum."""
    total = 0
    for sender in senders:
        if sender.is_sending:
            active = [encoding for encoding in sender.encodings.values() if encoding.settings.is_active]
            default = config.audio_bitrate_bps if sender.kind is MediaKind.AUDIO else None
            bound = _sum_of_maxima(active, sender.bandwidth_bps, default)
            if bound is None:
                return None
            total += bound
    return total or None


def _maximum(encoding: EncodingSender) -> int | None:
    bounds = [bound for bound in (encoding.settings.max_bitrate_bps, encoding.media.limit_bps) if bound is not None]
    return min(bounds) if bounds else None


def _divide(total: int, video: list[_Layers]) -> list[int]:
    """By priority; what one cannot use goes to the others."""
    bounds = [_sum_of_maxima(each.encodings, each.bandwidth_bps) for each in video]
    shares = [0] * len(video)
    open_indices = list(range(len(video)))
    left = total
    while open_indices and left > 0:
        weight = sum(video[index].priority for index in open_indices) or 1.0
        full = [
            index
            for index in open_indices
            if (bound := bounds[index]) is not None and left * (video[index].priority / weight) >= bound
        ]
        if not full:
            for index in open_indices:
                shares[index] = int(left * (video[index].priority / weight))
            break
        for index in full:
            shares[index] = bounds[index] or 0
            left -= shares[index]
            open_indices.remove(index)
    return shares


def _sum_of_maxima(
    encodings: Sequence[EncodingSender], bandwidth_bps: int | None, default: int | None = None
) -> int | None:
    """What encodings of one section can make use of; default: of one without a maximum. None: without a bound."""
    total = 0
    for encoding in encodings:
        maximum = _maximum(encoding)
        maximum = default if maximum is None else maximum
        if maximum is None:
            return bandwidth_bps
        total += maximum
    return _bounded(total, bandwidth_bps)


def _bounded(bitrate_bps: int, bandwidth_bps: int | None) -> int:
    return bitrate_bps if bandwidth_bps is None else min(bitrate_bps, bandwidth_bps)


def _fill(layers: list[EncodingSender], share: int, least: int) -> dict[EncodingSender, int]:
    """Layers from the lowest: each up to its maximum, the next with what is left, if that is worth it.

    Without maxima a layer gets a part that grows with its number of pixels.
    """
    given: dict[EncodingSender, int] = {}
    pixels = {encoding: 1.0 / max(encoding.settings.scale_down_by, 1.0) ** 2 for encoding in layers}
    left = share
    for index, encoding in enumerate(layers):
        maximum = _maximum(encoding)
        if maximum is None:
            rest = sum(pixels[other] for other in layers[index:])
            maximum = max(int(left * pixels[encoding] / rest), min(left, least))
        amount = min(left, maximum)
        if index and amount < min(least, maximum):
            amount = 0
        given[encoding] = amount
        left -= amount
    return given
