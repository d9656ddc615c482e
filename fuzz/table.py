"""Which targets there are, and where their inputs lie."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
FINDS = HERE / "finds"  # of searches; not part of the repository


class Target(Protocol):
    """A module below `targets`."""

    def run(self, data: bytes) -> None:
        """Return, or the bytes are a finding."""

    def seeds(self) -> Iterator[bytes]:
        """Valid inputs to begin with."""
        ...


def names() -> list[str]:
    """The targets by name."""
    return sorted(path.stem for path in (HERE / "targets").glob("*.py") if path.stem != "__init__")


def load(name: str) -> Target:
    """The target of this name."""
    return importlib.import_module(f"fuzz.targets.{name}")  # type: ignore[return-value]  # a module is the protocol
