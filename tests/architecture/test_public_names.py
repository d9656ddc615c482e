"""The public names are listed in one file, so that a change to them is seen in a review.

To accept a change on purpose:  python tests/architecture/test_public_names.py
"""

import importlib
import pkgutil
from pathlib import Path

import sans_rtc

LIST = Path(__file__).with_name("public_names.txt")
ADAPTERS = ["sans_rtc_net", "sans_rtc_asyncio"]


def public_names():
    """`package: name` for every name in `__all__` of every package."""
    packages = [m.name for m in pkgutil.walk_packages(sans_rtc.__path__, "sans_rtc.") if m.ispkg]
    lines = []
    for package in [*packages, *ADAPTERS]:
        module = importlib.import_module(package)
        lines += [f"{package}: {name}" for name in sorted(module.__all__)]
    return sorted(lines)


def test_public_names_are_the_listed_ones():
    assert public_names() == LIST.read_text().splitlines()


def test_every_public_name_exists_and_says_what_it_is():
    bare = []
    for line in LIST.read_text().splitlines():
        package, name = line.split(": ")
        member = getattr(importlib.import_module(package), name)
        if (isinstance(member, type) or callable(member)) and not (member.__doc__ or "").strip():
            bare.append(line)
    assert bare == []


if __name__ == "__main__":
    LIST.write_text("".join(f"{line}\n" for line in public_names()))
