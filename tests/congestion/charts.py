"""Draws each scenario as an SVG, and prints its figures:  python -m tests.congestion.charts

Above: capacity (grey), target and what arrived of each flow. Below: the queue of the bottleneck.
"""

from __future__ import annotations

import math
from pathlib import Path

from tests.congestion.scenarios import SCENARIOS, TITLES
from tests.congestion.simulation import (
    Simulation,
    converged_after,
    fairness,
    mean,
    queueing,
    utilisation,
    window,
)

FOLDER = Path(__file__).parents[2] / "docs" / "congestion"
PAGE = FOLDER.parent / "congestion.md"
WIDTH, HEIGHT = 760, 340
LEFT, RIGHT = 62, 744
RATE_TOP, RATE_BOTTOM = 44, 214
QUEUE_TOP, QUEUE_BOTTOM = 240, 310
COLOURS = (("#0b62a4", "#8fc1e8"), ("#b8500c", "#f0b98f"))
BEGIN_MARK, END_MARK = "<!-- figures -->", "<!-- end of figures -->"


def polyline(points, colour, width, dash=""):
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<polyline fill="none" stroke="{colour}" stroke-width="{width}"{dashed} points="{path}"/>'


def text(x, y, content, anchor="start", size=12, colour="#333"):
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}">{content}</text>'


class Panel:
    """Maps seconds and a quantity to a part of the picture."""

    def __init__(self, top, bottom, duration_s, maximum):
        self.top, self.bottom, self.duration_s = top, bottom, duration_s
        step = 10 ** math.floor(math.log10(maximum))
        self.step = next(step * factor for factor in (0.5, 1, 2, 5) if maximum / (step * factor) <= 4)
        self.maximum = math.ceil(maximum / self.step) * self.step

    def point(self, at, value):
        x = LEFT + (RIGHT - LEFT) * at / self.duration_s
        return x, self.bottom - (self.bottom - self.top) * min(value / self.maximum, 1.0)

    def line(self, samples, value, colour, width, dash=""):
        return polyline([self.point(sample.at, value(sample)) for sample in samples], colour, width, dash)

    def grid(self, unit):
        parts = []
        for index in range(round(self.maximum / self.step) + 1):
            _, y = self.point(0, index * self.step)
            parts.append(polyline([(LEFT, y), (RIGHT, y)], "#ddd", 1))
            parts.append(text(LEFT - 6, y + 4, f"{index * self.step:g}", "end", 11))
        parts.append(text(4, self.top - 9, unit, size=11))
        return parts


def smoothed(samples, value, count=5):
    """The mean of the last half second, so that frames do not hide the line."""
    for index, sample in enumerate(samples):
        yield sample.at, mean(value(each) for each in samples[max(index - count + 1, 0) : index + 1])


def draw(simulation):
    """The SVG of a simulation that has run."""
    scenario, flows = simulation.scenario, simulation.flows
    samples = flows[0].samples
    top = max(max(sample.capacity_kbps, sample.target_kbps) for flow in flows for sample in flow.samples) / 1000
    rates = Panel(RATE_TOP, RATE_BOTTOM, scenario.duration_s, top)
    queue = Panel(QUEUE_TOP, QUEUE_BOTTOM, scenario.duration_s, max(s.queue_s for s in samples) * 1000)
    parts = [text(LEFT, 18, f"{scenario.name}: {TITLES[scenario.name]}", size=13)]
    parts += rates.grid("Mbit/s") + queue.grid("queue, ms")
    for second in range(0, int(scenario.duration_s) + 1, 10):
        x, _ = queue.point(second, 0)
        parts.append(polyline([(x, RATE_TOP), (x, RATE_BOTTOM), (x, QUEUE_TOP), (x, QUEUE_BOTTOM)], "#eee", 1))
        parts.append(text(x, HEIGHT - 12, f"{second} s", "middle", 11))
    parts.append(rates.line(samples, lambda s: s.capacity_kbps / 1000, "#888", 2, "6 3"))
    for flow, (dark, light) in zip(flows, COLOURS, strict=False):
        shown = [sample for sample in flow.samples if sample.at > flow.begins_at]
        arrived = [rates.point(at, kbps / 1000) for at, kbps in smoothed(shown, lambda s: s.received_kbps)]
        parts.append(polyline(arrived, light, 1.5))
        parts.append(rates.line(shown, lambda s: s.target_kbps / 1000, dark, 1.5))
    parts.append(queue.line(samples, lambda s: s.queue_s * 1000, "#555", 1))
    for index, (name, colour) in enumerate((("capacity", "#888"), ("target", "#0b62a4"), ("arrived", "#8fc1e8"))):
        parts.append(text(RIGHT - 190 + 65 * index, 34, name, colour=colour))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">'
    return "\n".join([head, f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>', *parts, "</svg>", ""])


FIGURES = [
    # scenario, what happens, from, until
    ("steady", "", 5, 40), ("step-down", "before", 5, 20), ("step-down", "after", 20, 40),
    ("step-up", "before", 5, 15), ("step-up", "after", 15, 50), ("ramp", "", 5, 50),
    ("cross-traffic", "beside it", 15, 30), ("cross-traffic", "after it", 30, 50), ("bursty-loss", "", 5, 40),
    ("heavy-loss", "", 5, 60), ("bufferbloat", "", 5, 40), ("short-queue", "", 5, 40), ("two-flows", "", 15, 90),
    ("application-limited", "after", 20, 40),
]  # fmt: skip


def figures(simulations):
    """The table of `docs/congestion.md`."""
    lines = [
        "| scenario | from, until | utilisation | queueing, median | 95 of 100 | lost | target within 0.75 to 1.1 |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, part, begin, end in FIGURES:
        flows = simulations[name].flows
        flow = flows[0]
        median_ms, most_ms = (1000 * queueing(flow, begin, end, fraction) for fraction in (0.5, 0.95))
        lost = mean(sample.loss for sample in window(flow, begin, end))
        after_s = converged_after(flow, 0 if begin == 5 else begin, 0.75, 1.1)
        converged = f"after {after_s:.1f} s" if len(flows) == 1 else f"fairness {fairness(flows, begin, end):.2f}"
        label = f"{name} {part}".strip()
        lines.append(
            f"| {label} | {begin} s, {end} s | {utilisation(flows, begin, end):.0%} | {median_ms:.0f} ms | "
            f"{most_ms:.0f} ms | {lost:.1%} | {converged} |"
        )
    return "\n".join(lines)


def main():
    simulations = {name: Simulation(scenario).run() for name, scenario in SCENARIOS.items()}
    FOLDER.mkdir(exist_ok=True)
    for name, simulation in simulations.items():
        (FOLDER / f"{name}.svg").write_text(draw(simulation))
    table = figures(simulations)
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN_MARK)
    _, _, after = rest.partition(END_MARK)
    PAGE.write_text(f"{before}{BEGIN_MARK}\n{table}\n{END_MARK}{after}")
    print(table)


if __name__ == "__main__":
    main()
