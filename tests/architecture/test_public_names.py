"""The public names are listed in one file, so that a change to them is seen in a review.

To accept a change on purpose:  python tests/architecture/test_public_names.py
"""

import importlib
import pkgutil
from pathlib import Path

import sans_rtc

LIST = Path(__file__).with_name("public_names.txt")
ADAPTERS = ["sans_rtc_asyncio", "sans_rtc_trio", "sans_rtc_anyio"]
# What an application imports beside the packages of the core.
MODULES = [
    "sans_rtc.demux", "sans_rtc.entropy", "sans_rtc.errors", "sans_rtc.machine", "sans_rtc.outbox", "sans_rtc.timers",
    "sans_rtc.replay_window", "sans_rtc.serial",
    "sans_rtc_net.binding", "sans_rtc_net.blocking", "sans_rtc_net.blocking_channel", "sans_rtc_net.driver",
    "sans_rtc_net.entropy", "sans_rtc_net.errors", "sans_rtc_net.interfaces", "sans_rtc_net.options",
    "sans_rtc_net.pump", "sans_rtc_net.udp",
]  # fmt: skip


def public_names():
    """`package: name` for every name in `__all__` of every package, and every public name that a module defines."""
    packages = [m.name for m in pkgutil.walk_packages(sans_rtc.__path__, "sans_rtc.") if m.ispkg]
    lines = []
    for package in [*packages, *ADAPTERS]:
        module = importlib.import_module(package)
        lines += [f"{package}: {name}" for name in module.__all__]
    for name in MODULES:
        members = vars(importlib.import_module(name))
        lines += [f"{name}: {member}" for member in members if is_defined_in(name, member, members[member])]
    return sorted(lines)


def is_defined_in(module, name, member):
    is_own = getattr(member, "__module__", None) == module
    return not name.startswith("_") and is_own and (isinstance(member, type) or callable(member))


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
