"""STUN and TURN servers that are configured by name: which names are asked for, and what they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from sans_rtc.ice.addresses import is_ip
from sans_rtc.ice.config import StunServer, TurnServer
from sans_rtc.outbox import Outbox

Server = TypeVar("Server", StunServer, TurnServer)


class ServerNames(Generic[Server]):
    """The servers of one kind, in the order of the configuration."""

    __slots__ = ("_hosts", "_names", "_servers")

    def __init__(self, servers: Sequence[Server]) -> None:
        self._servers: Sequence[Server] = servers
        self._hosts: dict[str, tuple[str, ...] | None] = {}  # by name; None: asked for
        self._names: Outbox[str] = Outbox()

    def known(self) -> list[tuple[int, Server, tuple[str, ...]]]:
        """Index, server and IP addresses of those that have some; the names of the others are asked for, once."""
        known: list[tuple[int, Server, tuple[str, ...]]] = []
        for index, server in enumerate(self._servers):
            if is_ip(server.host):
                known.append((index, server, (server.host,)))
            elif server.host not in self._hosts:
                self._hosts[server.host] = None
                self._names.append(server.host)
            else:
                known.append((index, server, self._hosts[server.host] or ()))
        return known

    def answer(self, name: str, hosts: tuple[str, ...]) -> list[tuple[int, Server]]:
        """A name stands for these hosts: index and server of those that have it; of none where it was not asked for,
        or is answered already."""
        if self._hosts.get(name, ()) is not None:
            return []
        self._hosts[name] = hosts
        return [(index, server) for index, server in enumerate(self._servers) if server.host == name]

    def forget(self) -> None:
        """Ask for every name again: the network may have changed."""
        self._hosts = {}

    def take(self) -> Sequence[str]:
        """Hand over the names to be resolved."""
        return self._names.take()

    @property
    def is_waiting(self) -> bool:
        """True while a name is being resolved."""
        return None in self._hosts.values()

    @property
    def unresolved(self) -> list[Server]:
        """Servers whose name has no address, or not yet."""
        return [server for server in self._servers if self._hosts.get(server.host, "-") in (None, ())]
