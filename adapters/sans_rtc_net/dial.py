"""Begin a TCP connection without waiting: the local address and port, and each port of a range until one works.

open_connection(path, target, config) -> a non-blocking socket whose connection is under way
"""

from __future__ import annotations

import errno
import os
import socket
from ipaddress import ip_address

from sans_rtc.errors import InvalidArgument
from sans_rtc.machine import Address, Path, TransportProtocol
from sans_rtc_net.addresses import SocketAddress, family_of, local_address, to_socket_address
from sans_rtc_net.options import IS_LINUX, StreamConfig, set_stream_options, try_option

# linux/in.h: choose the local port when connecting, when it needs to be unique only together with the remote address.
IP_BIND_ADDRESS_NO_PORT = 24

_IN_PROGRESS = frozenset({errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EINTR, 10035})  # the last one: Windows
_PORT_TAKEN = frozenset({errno.EADDRINUSE, errno.EADDRNOTAVAIL})

# What went wrong, by errno; {} is whom we wanted to reach.
_SENTENCES = {
    errno.ECONNREFUSED: "connection refused by {}",
    errno.ECONNRESET: "connection reset by {}",
    errno.ECONNABORTED: "connection reset by {}",
    errno.EPIPE: "connection reset by {}",
    errno.ETIMEDOUT: "{} does not answer",
    errno.EHOSTUNREACH: "{} cannot be reached",
    errno.EHOSTDOWN: "{} cannot be reached",
    errno.ENETUNREACH: "the network of {} cannot be reached",
    errno.ENETDOWN: "the network is down, {} cannot be reached",
    errno.EACCES: "this machine does not allow a connection to {}",
    errno.EPERM: "this machine does not allow a connection to {}",
    errno.EADDRINUSE: "no local port is free for a connection to {}",
    errno.EADDRNOTAVAIL: "the local address or port cannot be used for a connection to {}",
}


def sentence_of(error: OSError, target: str) -> str:
    """Say what went wrong with the connection to `target`, for a person."""
    known = _SENTENCES.get(error.errno or 0)
    return known.format(target) if known else f"{target}: {(error.strerror or str(error)).lower()}"


def open_connection(path: Path, target: Address, config: StreamConfig) -> socket.socket:
    """Begin to connect to `target`, from the path's local host.

    target   `path.remote`, or the proxy
    Errors   OSError, with nothing left open; InvalidArgument for an address that is none
    """
    if not _can_bind(path.local.host, target.host, is_direct=target == path.remote):
        return _begin(None, target, config)
    first, last = (path.local.port, path.local.port) if path.local.port else config.ports
    for port in range(first, last):
        try:
            return _begin(Address(path.local.host, port), target, config)
        except OSError as error:
            if error.errno not in _PORT_TAKEN:
                raise
    return _begin(Address(path.local.host, last), target, config)


def is_connected(sock: socket.socket) -> bool:
    """Tell whether the connection that was begun is there by now. Errors: OSError where it has failed."""
    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))
    try:
        sock.getpeername()  # it has one only once it is connected
    except OSError as error:
        if error.errno == errno.ENOTCONN:
            return False
        raise
    return True


def accepted_path(sock: socket.socket, protocol: TransportProtocol) -> Path:
    """The path of a connection that was accepted. Errors: OSError where it is gone already."""
    remote = sock.getpeername()
    return Path(local_address(sock), Address(remote[0].partition("%")[0], remote[1]), protocol)


def _can_bind(local_host: str, target_host: str, *, is_direct: bool) -> bool:
    """Tell whether to bind first. A proxy may be of the other family or on this machine: then the system chooses."""
    is_same_family = family_of(local_host) == family_of(target_host)
    if is_direct:
        if not is_same_family:
            raise InvalidArgument("they are of different versions of IP")
        return True
    return is_same_family and _is_loopback(local_host) == _is_loopback(target_host)


def _is_loopback(host: str) -> bool:
    return ip_address(host.partition("%")[0]).is_loopback


def _begin(local: Address | None, target: Address, config: StreamConfig) -> socket.socket:
    sock = socket.socket(family_of(target.host), socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        set_stream_options(sock, config)
        if local is not None:
            _bind(sock, local)
        code = sock.connect_ex(_scoped(sock, target))
        if code and code not in _IN_PROGRESS:
            raise OSError(code, os.strerror(code))
    except BaseException:
        sock.close()
        raise
    return sock


def _bind(sock: socket.socket, local: Address) -> None:
    if local.port:
        try_option(sock, socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the port may still remember an old connection
        if hasattr(socket, "SO_REUSEPORT"):  # or a listening socket of ours has it (RFC 6062 section 5.2)
            try_option(sock, socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    elif IS_LINUX:
        try_option(sock, socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    sock.bind(to_socket_address(local))


def _scoped(sock: socket.socket, target: Address) -> SocketAddress:
    """The address to connect to; a link-local one is on the link of our own address."""
    scope_id: int = sock.getsockname()[3] if sock.family == socket.AF_INET6 else 0
    return to_socket_address(target, scope_id=scope_id)
