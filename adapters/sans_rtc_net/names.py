"""What every resolver shares: which names belong to multicast DNS, and what getaddrinfo says in plain text."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Any


def is_local_name(name: str) -> bool:
    """Tell whether a name is looked up by multicast DNS (RFC 6762 section 3)."""
    return name.rstrip(".").lower().endswith(".local")


def unique_hosts(infos: Iterable[tuple[Any, ...]]) -> list[str]:
    """The IP addresses of a getaddrinfo result, each once, in the resolver's order; link-local ones keep no zone."""
    hosts = [info[4][0].partition("%")[0] for info in infos if info[0] in (socket.AF_INET, socket.AF_INET6)]
    return list(dict.fromkeys(hosts))


def resolve_blocking(name: str) -> list[str]:
    """Look a name up with the system's resolver; no hosts where it cannot. May block for seconds."""
    try:
        return unique_hosts(socket.getaddrinfo(name, None, type=socket.SOCK_DGRAM))
    except (OSError, UnicodeError):  # gaierror; and what the idna codec makes of a label that is too long
        return []
