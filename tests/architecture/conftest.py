"""What the architecture tests share: the modules of the core, found on disk and read as syntax trees."""

import ast
import importlib
import pkgutil
from pathlib import Path

import pytest

import sans_rtc

CORE = Path(sans_rtc.__file__).parent


@pytest.fixture(scope="session")
def core_trees():
    """Every file of the core as (path relative to the core, syntax tree)."""
    return [(path.relative_to(CORE), ast.parse(path.read_text())) for path in sorted(CORE.rglob("*.py"))]


@pytest.fixture(scope="session")
def core_packages():
    """Every package and module of the core, imported, by name."""
    names = [module.name for module in pkgutil.walk_packages(sans_rtc.__path__, "sans_rtc.")]
    return {name: importlib.import_module(name) for name in ["sans_rtc", *names]}
