"""Drawings of a report as SVG texts: curves over time, a ladder of messages, and states as bars. No scripts, no fonts.

Colours are classes (`c0` to `c5`, `layer-...`, `state-...`), which the page's style sheet gives for light and dark.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Final

import attrs

from sans_rtc.trace.report_data import Step
from sans_rtc.trace.samples import PairHistory, Series

_WIDTH, _LEFT, _RIGHT = 800, 64, 16
_TOP, _PLOT_HEIGHT, _BOTTOM = 12, 180, 40
_TICKS: Final = 6
_COLOR_COUNT: Final = 6
_LADDER_ROW, _LADDER_LEFT, _LADDER_RIGHT, _LADDER_WIDTH = 24, 140, 600, 640
# Layers of one colour.
_LAYER_NAMES: Final = {
    "dcep": "data channels", "data": "data channels", "rtp": "RTP and RTCP", "rtcp": "RTP and RTCP",
}  # fmt: skip
_BAR_ROW, _BAR_HEIGHT = 40, 14
_SI: Final = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


@attrs.define(slots=True)
class Line:
    """One curve. is_steps: its value holds until the next point."""

    name: str
    points: Series
    is_steps: bool = True


def chart(title: str, unit: str, lines: Sequence[Line], duration_s: float) -> str:
    """Curves over time, with a legend; empty where no curve has a point."""
    shown = [line for line in lines if line.points]
    if not shown:
        return ""
    top = _nice_top(max(value for line in shown for _, value in line.points))
    x_max = duration_s or 1.0
    height = _TOP + _PLOT_HEIGHT + _BOTTOM
    body = [_grid(top, x_max)]
    for index, line in enumerate(shown):
        body.append(f'<path class="curve c{index % _COLOR_COUNT}" d="{_path(line, x_max, top)}"/>')
    legend = "".join(
        [
            f'<span class="key"><i class="c{index % _COLOR_COUNT}"></i>{html.escape(line.name)}</span>'
            for index, line in enumerate(shown)
        ]
    )
    return _figure(f"{title} ({unit})", height, "".join(body), legend)


def ladder(steps: Sequence[Step], left_out: int) -> str:
    """The messages between both ends, in their order, with their times; empty without any."""
    if not steps:
        return ""
    height = _LADDER_ROW * (len(steps) + 2)
    body = [
        f'<text class="end" x="{_LADDER_LEFT}" y="14">this end</text>',
        f'<text class="end" x="{_LADDER_RIGHT}" y="14">the peer</text>',
        *[f'<line class="axis" x1="{x}" x2="{x}" y1="22" y2="{height - 8}"/>' for x in (_LADDER_LEFT, _LADDER_RIGHT)],
    ]
    before = steps[0].at_s
    for number, step in enumerate(steps):
        body.append(_rung(step, _LADDER_ROW * (number + 2), step.at_s - before))
        before = step.at_s
    note = f"{left_out} later messages are left out." if left_out else ""
    named = {_LAYER_NAMES.get(step.layer, step.layer.upper()): step.layer for step in steps}
    legend = "".join([f'<span class="key"><i class="layer-{layer}"></i>{name}</span>' for name, layer in named.items()])
    return _figure(
        "Handshakes, in order (time in s, and ms since the one before)", height, "".join(body), legend + note, "ladder"
    )


def bars(title: str, pairs: Sequence[PairHistory], duration_s: float) -> str:
    """States over time, a bar for each pair; empty without any."""
    shown = [pair for pair in pairs if pair.states]
    if not shown:
        return ""
    x_max = duration_s or 1.0
    body = [_time_axis(x_max, _BAR_ROW * len(shown) + _TOP)]
    for number, pair in enumerate(shown):
        top = _TOP + _BAR_ROW * number
        body.append(f'<text x="{_LEFT}" y="{top + 12}">{html.escape(pair.label)}: {pair.states[-1][1]}</text>')
        ends = [at_s for at_s, _ in pair.states[1:]] + [x_max]
        for (at_s, state), end_s in zip(pair.states, ends, strict=True):
            x, width = _x(at_s, x_max), max(1.0, _x(end_s, x_max) - _x(at_s, x_max))
            body.append(
                f'<rect class="state-{state}" x="{x:.1f}" y="{top + 17}" width="{width:.1f}" height="{_BAR_HEIGHT}">'
                f"<title>{html.escape(state)} from {at_s:.3f} s to {end_s:.3f} s</title></rect>"
            )
    states = dict.fromkeys(state for pair in shown for _, state in pair.states)
    legend = "".join(
        [f'<span class="key"><i class="state-{state}"></i>{state.replace("_", " ")}</span>' for state in states]
    )
    return _figure(title, _BAR_ROW * len(shown) + _TOP + _BOTTOM, "".join(body), legend)


def _figure(title: str, height: int, body: str, legend: str, kind: str = "chart") -> str:
    escaped = html.escape(title)
    width = _LADDER_WIDTH if kind == "ladder" else _WIDTH
    return (
        f'<figure><figcaption>{escaped}</figcaption><div class="legend">{legend}</div>'
        f'<div class="drawing"><svg class="{kind}" viewBox="0 0 {width} {height}" role="img" aria-label="{escaped}">'
        f"<title>{escaped}</title>{body}</svg></div></figure>\n"
    )


def _rung(step: Step, y: int, after_s: float) -> str:
    ends = (_LADDER_LEFT, _LADDER_RIGHT) if step.is_outgoing else (_LADDER_RIGHT, _LADDER_LEFT)
    head = 7 if step.is_outgoing else -7
    arrow = f"M{ends[0]} {y}H{ends[1]}M{ends[1] - head} {y - 4}L{ends[1]} {y}L{ends[1] - head} {y + 4}"
    middle = (_LADDER_LEFT + _LADDER_RIGHT) // 2
    direction = "sent" if step.is_outgoing else "received"
    return (
        f'<text class="time" x="{_LADDER_LEFT - 76}" y="{y + 4}">{step.at_s:.4f}</text>'
        f'<text class="time" x="{_LADDER_LEFT - 12}" y="{y + 4}">+{after_s * 1000:.1f}</text>'
        f'<path class="arrow layer-{step.layer}" d="{arrow}"><title>{direction} at {step.at_s:.6f} s</title></path>'
        f'<text class="middle" x="{middle}" y="{y - 4}">{html.escape(step.text)}</text>'
    )


def _grid(top: float, x_max: float) -> str:
    parts = [_time_axis(x_max, _TOP + _PLOT_HEIGHT)]
    for number in range(5):
        value = top * number / 4
        y = _y(value, top)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="time" x="{_LEFT - 6}" y="{y + 4:.1f}">{figure(value)}</text>')
    return "".join(parts)


def _time_axis(x_max: float, y: int) -> str:
    parts = [f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>']
    step = _nice_step(x_max / _TICKS)
    for number in range(int(x_max / step + 1e-9) + 1):
        x = _x(number * step, x_max)
        parts.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{y}" y2="{y + 4}"/>')
        parts.append(f'<text class="middle" x="{x:.1f}" y="{y + 17}">{number * step:.6g}</text>')
    parts.append(f'<text class="middle" x="{(_LEFT + _WIDTH - _RIGHT) // 2}" y="{y + 33}">seconds</text>')
    return "".join(parts)


def _path(line: Line, x_max: float, top: float) -> str:
    parts: list[str] = []
    for at_s, value in line.points:
        x, y = f"{_x(at_s, x_max):.1f}", f"{_y(value, top):.1f}"
        if not parts:
            parts.append(f"M{x} {y}")
        else:
            parts.append(f"H{x}V{y}" if line.is_steps else f"L{x} {y}")
    if line.is_steps:
        parts.append(f"H{_x(x_max, x_max):.1f}" if line.points[-1][0] < x_max else "h1")
    return "".join(parts)


def figure(value: float, unit: str = "") -> str:
    """A number with its SI prefix and unit, short."""
    for factor, prefix in _SI:
        if abs(value) >= factor:
            return f"{value / factor:.4g} {prefix}{unit}"
    return f"{value:.4g} {unit}".rstrip()


def _x(at_s: float, x_max: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * min(max(at_s / x_max, 0.0), 1.0)


def _y(value: float, top: float) -> float:
    return _TOP + _PLOT_HEIGHT * (1 - min(max(value / top, 0.0), 1.0))


def _nice_step(value: float, factors: Sequence[float] = (1, 2, 5)) -> float:
    """The next of the factors, or of their multiples by powers of ten, that is not less."""
    magnitude = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next((factor * magnitude for factor in factors if factor * magnitude >= value), 10 * magnitude)


def _nice_top(value: float) -> float:
    """Four steps of a round size, so that little of the drawing's height is left empty."""
    return 4 * _nice_step(value / 4, (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8)) if value > 0 else 1.0
