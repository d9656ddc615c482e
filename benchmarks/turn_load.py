"""The load on a TURN server: many clients with a channel each, and one peer that sends everything back."""

from __future__ import annotations

import os
import selectors
import socket
import time
from typing import Final

from benchmarks.processes import WorkerFailed
from sans_rtc.machine import Address
from sans_rtc.stun import (
    Attribute,
    AttributeType,
    LongTermAuthenticator,
    Message,
    MessageClass,
    Method,
    new_request,
    parse_message,
    serialize_message,
)

A: Final = AttributeType
CHANNEL: Final = 0x4000
REPLY_S_MAX: Final = 1.0
ATTEMPTS_MAX: Final = 6
# A round is over when everything has come back, or after this long without anything more: what is lost is lost.
SILENCE_S: Final = 0.2
SOCKET_BUFFER_BYTES: Final = 4 << 20


class Load:
    """Clients and their peer, in this process; the server is in another."""

    def __init__(self, port: int, username: str, password: str) -> None:
        self._server = ("127.0.0.1", port)
        self._username, self._password = username, password
        self._clients: list[socket.socket] = []
        self._selector = selectors.DefaultSelector()
        self._peer = _socket()
        self._peer.bind(("127.0.0.1", 0))
        self._selector.register(self._peer, selectors.EVENT_READ, None)
        self.to_peer_count = 0
        self.to_clients_count = 0

    def close(self) -> None:
        """Close every socket."""
        for sock in (*self._clients, self._peer):
            sock.close()
        self._selector.close()

    def allocate(self, count: int) -> float:
        """Let so many clients allocate and bind a channel to the peer, one after the other; returns the seconds."""
        start = time.monotonic()
        peer = Address(*self._peer.getsockname())
        for _ in range(count):
            sock = _socket()
            sock.connect(self._server)
            sock.settimeout(REPLY_S_MAX)
            self._clients.append(sock)
            authenticator = LongTermAuthenticator(self._username, self._password)
            _ask(sock, authenticator, Method.ALLOCATE, Attribute(A.REQUESTED_TRANSPORT, 17))
            bind = [Attribute(A.CHANNEL_NUMBER, CHANNEL), Attribute(A.XOR_PEER_ADDRESS, peer)]
            _ask(sock, authenticator, Method.CHANNEL_BIND, *bind)
            sock.setblocking(False)
            self._selector.register(sock, selectors.EVENT_READ, sock)
        return time.monotonic() - start

    def exchange(self, seconds: float, size: int, burst: int) -> float:
        """Send data through every client, burst by burst, and back from the peer; returns the seconds."""
        frame = CHANNEL.to_bytes(2, "big") + size.to_bytes(2, "big") + os.urandom(size)
        start = time.monotonic()
        while time.monotonic() - start < seconds:
            target = self.to_clients_count + len(self._clients) * burst
            for sock in self._clients:
                for _ in range(burst):
                    sock.send(frame)
                self._take(0.0)
            silent_at = time.monotonic() + SILENCE_S
            while self.to_clients_count < target and time.monotonic() < silent_at:
                if self._take(SILENCE_S):
                    silent_at = time.monotonic() + SILENCE_S
        return time.monotonic() - start

    def _take(self, timeout_s: float) -> bool:
        """Take what has come to the peer, which sends it back, and to the clients; False where nothing has."""
        ready = self._selector.select(timeout_s)
        for key, _ in ready:
            if key.data is None:
                self._echo()
            else:
                self._drain(key.data)
        return bool(ready)

    def _echo(self) -> None:
        peer = self._peer
        try:
            while True:
                data, relayed = peer.recvfrom(2048)
                self.to_peer_count += 1
                peer.sendto(data, relayed)
        except BlockingIOError:
            pass

    def _drain(self, sock: socket.socket) -> None:
        try:
            while sock.recv(2048):
                self.to_clients_count += 1
        except BlockingIOError:
            pass


def _socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER_BYTES)
    return sock


def _ask(sock: socket.socket, authenticator: LongTermAuthenticator, method: Method, *attributes: Attribute) -> Message:
    """One request, with the challenges that come of it; WorkerFailed where it is refused."""
    for _ in range(ATTEMPTS_MAX):
        request = new_request(method, os.urandom, [*attributes, *authenticator.attributes()])
        sock.send(serialize_message(request, key=authenticator.key, algorithm=authenticator.algorithm))
        try:
            response = parse_message(sock.recv(2048))
        except TimeoutError:
            continue
        if response.message_class is MessageClass.SUCCESS_RESPONSE:
            return response
        error = response.value(A.ERROR_CODE)
        if error is None or error.code not in (401, 438):
            raise WorkerFailed(f"{method.name}: {error}")
        authenticator.take_challenge(response)
    raise WorkerFailed(f"{method.name}: no answer that helps")
