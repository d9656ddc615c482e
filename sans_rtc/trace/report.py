"""A recording as one page for a person: what went wrong in words, then the handshakes, pairs, windows, rates, discards.

The page is whole: no script, no font, no picture from elsewhere. It follows the reader's choice of light or dark.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import Final

from sans_rtc.trace.report_data import ReportData
from sans_rtc.trace.report_media import media_section, media_troubles
from sans_rtc.trace.report_svg import Line, bars, chart, figure, ladder

_COLORS_LIGHT: Final = ("#1f6fc4", "#c2410c", "#15803d", "#7e22ce", "#a16207", "#0e7490")
_COLORS_DARK: Final = ("#6cb2ff", "#fb923c", "#4ade80", "#c084fc", "#facc15", "#22d3ee")
_LAYERS: Final = {"stun": 0, "turn": 5, "dtls": 3, "sctp": 2, "dcep": 4, "data": 4, "rtp": 1, "rtcp": 1, "unknown": 5}
_STATES: Final = {"frozen": "var(--faint)", "waiting": "var(--line)", "in_progress": "var(--c4)",
                  "succeeded": "var(--c5)", "nominated": "var(--c0)", "selected": "var(--c2)",
                  "failed": "var(--c1)"}  # fmt: skip
_LAYOUT: Final = """
body{margin:0 auto;max-width:62rem;padding:1rem;font:16px/1.5 system-ui,sans-serif;background:var(--page);
color:var(--ink)}
h1{font-size:1.5rem;margin:.5rem 0}h2{font-size:1.15rem;margin:2rem 0 .5rem}
.summary{border-left:4px solid var(--c0);padding:.25rem 1rem;background:var(--faint)}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.5rem;margin:1rem 0}
.facts div{background:var(--faint);padding:.4rem .8rem;border-radius:4px}.facts b{display:block;font-size:1.1rem}
figure{margin:1.5rem 0}figcaption{font-weight:600}
.drawing,.wide{overflow-x:auto}svg{width:100%;min-width:40rem;height:auto;display:block}
svg.ladder{min-width:30rem;max-width:42rem}.wide td,.wide th{white-space:nowrap}
.legend{font-size:.85rem;min-height:1.2em}.key{margin-right:1rem;white-space:nowrap}
.key i{display:inline-block;width:.8em;height:.8em;margin-right:.35em;background:currentColor;vertical-align:-.05em}
svg text{fill:var(--ink);font-size:12px}svg .time{text-anchor:end;fill:var(--soft)}svg .middle{text-anchor:middle}
svg .end{text-anchor:middle;font-weight:600}
.grid{stroke:var(--faint)}.axis{stroke:var(--line)}.curve,.arrow{fill:none;stroke:currentColor;stroke-width:1.6}
pre{background:var(--faint);padding:.8rem;overflow-x:auto;font-size:.8rem}
table{border-collapse:collapse;font-size:.9rem}td,th{padding:.1rem .8rem .1rem 0;vertical-align:top;text-align:left}
th{font-weight:600}td.number,th.number{text-align:right;font-variant-numeric:tabular-nums}td{overflow-wrap:anywhere}
.bad{color:var(--c1);font-weight:600}
"""


_FAREWELLS: Final = ("close_notify", "user_canceled")
# As long as ICE waits until it says "disconnected".
_SILENCE_S: Final = 3.0


def render_report(data: ReportData, title: str) -> str:
    """The page as one HTML text.

    title  what was recorded, a file's name for example
    """
    heading = html.escape(title)
    return "".join(
        [
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{heading}</title><style>{_style()}</style></head>\n<body>\n<h1>{heading}</h1>\n",
            f'<div class="summary">{"".join([f"<p>{html.escape(said)}</p>" for said in summary_of(data)])}</div>\n',
            _facts(data),
            _section("Handshakes", ladder(data.ladder, data.ladder_left_out)),
            _section("Candidate pairs", _pairs(data)),
            _section("Data transport (SCTP)", _transport(data)),
            _section("Bitrates", _bitrates(data)),
            _section("Audio and video (RTP)", media_section(data)),
            _section("Discards", _discards(data)),
            _section("States", _states(data)),
            _section("In the machine's own words, at the end", _words(data)),
            "</body></html>\n",
        ]
    )


def summary_of(data: ReportData) -> list[str]:
    """What happened and what went wrong, in sentences."""
    return list(_sentences(data))


def _sentences(data: ReportData) -> Iterator[str]:
    connected = next((at_s for at_s, text in data.states if text == "connection state: connected"), None)
    cause = data.samples.likely_cause
    if connected is not None:
        yield f"It was connected {connected:.3f} s after the beginning."
    elif any(text.startswith("connection state") for _, text in data.states):
        yield "It was never connected."
    if data.terminated is not None:
        detail = f": {data.terminated.detail}" if data.terminated.detail else ""
        reason = str(data.terminated.reason).replace("_", " ").replace("-", " ")
        yield f"It ended after {data.duration_s:.3f} s, {reason}{detail}."
    if cause:
        yield f"{'Before that' if data.terminated is not None else 'At the end of the recording'}: {cause}."
    yield from _troubles(data)
    yield from media_troubles(data)
    if data.replay_note:
        yield f"What the machine knew is missing or ends early, since there was no whole replay: {data.replay_note}"


def _troubles(data: ReportData) -> Iterator[str]:
    counters = data.samples.counters
    again, sent = counters.get("chunks_retransmitted", 0), counters.get("chunks_sent", 0)
    if again:
        timeouts = counters["timeouts"]
        yield (
            f"SCTP sent {_count(again, 'chunk', 'chunks')} of data again, and {sent} for the first time, "
            f"after {_count(counters['loss_events'], 'loss', 'losses')} seen by acknowledgements and "
            f"{_count(timeouts, 'timeout', 'timeouts')}."
        )
    hellos = [step for step in data.ladder if step.text.startswith("ClientHello") and "fragment" not in step.text]
    if len(hellos) > 1:
        yield f"The DTLS handshake was begun {len(hellos)} times: its first flight was lost, or answered late."
    if data.datagrams_out and not data.datagrams_in:
        yield "Nothing at all arrived: the peer was not reached, or its answers were not."
    if data.last_in_s is not None and data.duration_s - data.last_in_s > _SILENCE_S:
        yield f"Nothing arrived in the last {data.duration_s - data.last_in_s:.1f} s."
    yield from [f"A server refused: {said}." for said in data.errors[:3]]
    alerts = [step for step in data.ladder if step.text.startswith("Alert") and step.text[6:] not in _FAREWELLS]
    for step in alerts[:3]:
        yield f"DTLS {'sent' if step.is_outgoing else 'received'} an alert after {step.at_s:.3f} s: {step.text[6:]}."
    dropped = sorted(data.samples.discards.items(), key=lambda item: -item[1][-1][1])
    if dropped:
        named = ", ".join([f"{series[-1][1]:.0f} {name}" for name, series in dropped[:5]])
        yield f"Dropped on arrival: {named}."


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _facts(data: ReportData) -> str:
    total_in, total_out = sum(data.bytes_in.values()), sum(data.bytes_out.values())
    counters = data.samples.counters
    facts = [
        ("machine", data.construction.class_name.rpartition(":")[2] if data.construction else "unknown"),
        ("duration", f"{data.duration_s:.3f} s"),
        ("received", f"{data.datagrams_in} datagrams, {figure(total_in, 'B')}"),
        ("sent", f"{data.datagrams_out} datagrams, {figure(total_out, 'B')}"),
    ]
    if counters:
        facts.append(("SCTP data chunks", f"{counters['chunks_sent']}, {counters['chunks_retransmitted']} again"))
    cells = [f"<div>{html.escape(name)}<b>{html.escape(value)}</b></div>" for name, value in facts]
    return f'<div class="facts">{"".join(cells)}</div>\n'


def _section(title: str, content: str) -> str:
    return f"<section><h2>{html.escape(title)}</h2>\n{content}</section>\n" if content else ""


def _pairs(data: ReportData) -> str:
    pairs = list(data.samples.pairs.values())
    rtts = [Line(pair.label, pair.rtt_ms) for pair in pairs if pair.rtt_ms]
    return bars("State of each pair over time", pairs, data.duration_s) + chart(
        "Round trip of checks", "ms", rtts[:6], data.duration_s
    )


def _transport(data: ReportData) -> str:
    curves = data.samples.curves
    if not curves:
        return ""
    windows = [("congestion window", "congestion_window"), ("in flight", "flight"), ("peer's window", "peer_window")]
    times = [("smoothed round trip", "round_trip_ms"), ("retransmission timeout", "timeout_ms")]
    again = [("chunks sent again", "retransmitted")]
    charts = (
        ("Congestion window and bytes in flight", "bytes", windows[:2]),
        ("Room in the peer's window", "bytes", windows[2:]),
        ("Round trip", "ms", times),
        ("Retransmissions since the beginning", "chunks", again),
    )
    return "".join(
        [
            chart(title, unit, [Line(name, curves.get(key, [])) for name, key in lines], data.duration_s)
            for title, unit, lines in charts
        ]
    )


def _bitrates(data: ReportData) -> str:
    directions = [
        Line(name, data.bitrates(bins), is_steps=False)
        for name, bins in (("received", data.bytes_in), ("sent", data.bytes_out))
        if bins
    ]
    return chart("All datagrams", "bit/s", directions, data.duration_s)


def _discards(data: ReportData) -> str:
    items = list(data.samples.discards.items())
    return "".join(
        [
            chart(
                "Dropped on arrival, by layer and reason, since the beginning",
                "datagrams or chunks",
                [Line(name, points) for name, points in items[start : start + 6]],
                data.duration_s,
            )
            for start in range(0, len(items), 6)
        ]
    )


def _states(data: ReportData) -> str:
    rows = [f'<tr><td class="number">{at_s:.4f} s</td><td>{html.escape(text)}</td></tr>' for at_s, text in data.states]
    return f"<table>{''.join(rows)}</table>\n" if rows else ""


def _words(data: ReportData) -> str:
    return f"<pre>{html.escape(data.samples.explanation)}</pre>\n" if data.samples.explanation else ""


def _style() -> str:
    def variables(page: str, ink: str, soft: str, line: str, faint: str, colors: tuple[str, ...]) -> str:
        named = {"page": page, "ink": ink, "soft": soft, "line": line, "faint": faint}
        named |= {f"c{index}": color for index, color in enumerate(colors)}
        return "".join([f"--{name}:{value};" for name, value in named.items()])

    light = variables("#ffffff", "#1b1f24", "#57606a", "#9aa4ae", "#eef1f4", _COLORS_LIGHT)
    dark = variables("#14171a", "#e6e9ec", "#9aa4ae", "#5b646d", "#22272c", _COLORS_DARK)
    colors = [f".c{index}{{color:var(--c{index})}}" for index in range(len(_COLORS_LIGHT))]
    layers = [f".layer-{layer}{{color:var(--c{index})}}" for layer, index in _LAYERS.items()]
    states = [f".state-{state}{{fill:{color};color:{color}}}" for state, color in _STATES.items()]
    modes = f":root{{{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}"
    return modes + _LAYOUT + "".join([*colors, *layers, *states])
