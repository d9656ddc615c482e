"""The text of OpenMetrics, which Prometheus and its like read: families of samples, one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import attrs

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@attrs.frozen(slots=True)
class Family:
    """One metric.

    name       without the suffix that its kind asks for
    help_text  one sentence
    label      the name of its one label; empty: it has none
    samples    the value under each value of the label; without a label under ""
    """

    name: str
    kind: Literal["counter", "gauge"]
    help_text: str
    label: str
    samples: Mapping[str, float]


def render_openmetrics(families: Iterable[Family]) -> str:
    """Write families as the text of an OpenMetrics endpoint, its end mark included."""
    lines: list[str] = []
    for family in families:
        lines += [f"# TYPE {family.name} {family.kind}", f"# HELP {family.name} {_escaped(family.help_text)}"]
        suffix = "_total" if family.kind == "counter" else ""
        for value, count in family.samples.items():
            labels = f'{{{family.label}="{_escaped(value)}"}}' if family.label else ""
            lines.append(f"{family.name}{suffix}{labels} {count}")
    return "\n".join([*lines, "# EOF", ""])


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
