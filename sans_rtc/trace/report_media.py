"""The part of a report on audio and video: a table of the streams, their bitrates and their losses over time."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import Final

from sans_rtc.trace.report_data import ReportData
from sans_rtc.trace.report_streams import Stream
from sans_rtc.trace.report_svg import Line, chart, figure

_LINES_OF_CHART: Final = 6
# Less is nothing that a person hears or sees.
_LOSS_PERCENT_TOLD_MIN: Final = 1.0
_HEADINGS: Final = (
    ("stream (direction, SSRC)", False),
    ("codec", False),
    ("from", True),
    ("to", True),
    ("packets", True),
    ("bytes", True),
    ("bit/s", True),
    ("lost", True),
)


def media_section(data: ReportData) -> str:
    """The streams as a table and as curves; empty without any."""
    if not data.media.by_key:
        return ""
    bin_s = data.media.bin_s
    rates: dict[str, list[Line]] = {}
    losses: dict[str, list[Line]] = {}
    for key, stream in data.media.by_key.items():
        name = data.media.name(key)
        rate = Line(name, data.bitrates(data.streams[key]), is_steps=False)
        rates.setdefault(_rate_title(data, stream), []).append(rate)
        title = "what was sent, as the peer reports" if stream.is_outgoing else f"what came, in each {bin_s:.3g} s"
        losses.setdefault(title, []).append(Line(name, stream.losses(bin_s)))
    return (
        _table(data)
        + "".join([_charts(f"Bitrate of {title}", "bit/s", lines, data.duration_s) for title, lines in rates.items()])
        + "".join([_charts(f"Loss of {title}", "%", lines, data.duration_s) for title, lines in losses.items()])
    )


def _rate_title(data: ReportData, stream: Stream) -> str:
    """RTX apart: a sender that looks for the path's limit fills it with padding, far above the media."""
    what = "what was sent, by stream" if stream.is_outgoing else "what came, by stream"
    return f"{what}: retransmissions" if data.media.codecs.get(stream.payload_type) == "rtx" else what


def media_troubles(data: ReportData) -> Iterator[str]:
    """What was lost, in sentences."""
    for key, stream in data.media.by_key.items():
        if stream.lost and stream.lost_percent >= _LOSS_PERCENT_TOLD_MIN:
            who = "The peer says that it missed" if stream.is_outgoing else "Of what it sent, missing here:"
            codec = data.media.codecs.get(stream.payload_type, "RTP")
            yield f"{who} {stream.lost} packets of {codec}, {stream.lost_percent:.1f} % ({key})."


def _table(data: ReportData) -> str:
    headings = "".join([f"<th{_NUMBER * is_number}>{name}</th>" for name, is_number in _HEADINGS])
    rows = [f"<tr>{_cells(data, key, stream)}</tr>" for key, stream in data.media.by_key.items()]
    return f'<div class="wide"><table><tr>{headings}</tr>{"".join(rows)}</table></div>\n'


_NUMBER: Final = ' class="number"'


def _cells(data: ReportData, key: str, stream: Stream) -> str:
    codec = data.media.codecs.get(stream.payload_type, f"type {stream.payload_type}")
    lasted_s = stream.last_s - stream.first_s
    rate = figure(stream.bytes * 8 / lasted_s) if lasted_s > 0 else "-"
    numbers = [
        f"{stream.first_s:.3f} s", f"{stream.last_s:.3f} s", str(stream.packets), figure(stream.bytes, "B"), rate,
    ]  # fmt: skip
    is_bad = bool(stream.lost) and stream.lost_percent >= _LOSS_PERCENT_TOLD_MIN
    lost = "not told" if stream.lost is None else f"{stream.lost} ({stream.lost_percent:.1f} %)"
    return (
        f"<td>{html.escape(key)}</td><td>{html.escape(codec)}</td>"
        + "".join([f"<td{_NUMBER}>{text}</td>" for text in numbers])
        + f'<td class="number{" bad" * is_bad}">{lost}</td>'
    )


def _charts(title: str, unit: str, lines: list[Line], duration_s: float) -> str:
    starts = range(0, len(lines), _LINES_OF_CHART)
    return "".join([chart(title, unit, lines[start : start + _LINES_OF_CHART], duration_s) for start in starts])
