"""ALTERNATE-SERVER: where a 300 may send us (RFC 8489 section 10).

The response need not be authenticated, so it is followed only to where a server can be: the same transport and version
of IP, never to this machine or a group of machines, never twice to one address, and not for ever.
"""

from __future__ import annotations

import ipaddress

from sans_rtc.entropy import Entropy, draw_uint
from sans_rtc.machine import Address, Path
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.wire import Message

STREAM_BITS = 32


class Redirector:
    """Remembers where we have been, and says where we may go.

    path       to the first server
    count_max  redirections that are followed
    """

    def __init__(self, path: Path, count_max: int, entropy: Entropy) -> None:
        self.visited = [path.remote]
        self._count_max = count_max
        self._entropy = entropy

    def follow(self, response: Message, path: Path) -> Path | str:
        """The path to the alternate server, or why it is not followed."""
        server = response.value(AttributeType.ALTERNATE_SERVER)
        if server is None:
            return "it does not say where to go"
        refusal = self._refusal(server, path.remote)
        if refusal:
            return f"{refusal}: {server}"
        self.visited.append(server)
        if path.protocol == "udp":
            return Path(path.local, server)
        return further_stream(path, server, self._entropy)

    def _refusal(self, server: Address, current: Address) -> str:
        if server in self.visited:
            # "If the client has been redirected to a server to which it has already sent this request within the last
            # five minutes, it MUST ignore the redirection": a client that redirects at all is done long before.
            return "it sends us in a circle"
        if len(self.visited) > self._count_max:
            return f"more than {self._count_max} redirections"
        if server.family != current.family:
            return "it is of another IP version"
        host, here = ipaddress.ip_address(server.host), ipaddress.ip_address(current.host.partition("%")[0])
        if server.port == 0 or host.is_unspecified or host.is_multicast or (host.version == 4 and host.is_reserved):
            return "no server can be there"
        if host.is_loopback and not here.is_loopback:
            return "it would have us talk to our own machine"
        return ""


def further_stream(path: Path, remote: Address, entropy: Entropy) -> Path:
    """A name for one more stream of the same kind; the number keeps it apart from those of other machines."""
    return Path(Address(path.local.host, 0), remote, path.protocol, draw_uint(entropy, STREAM_BITS))
