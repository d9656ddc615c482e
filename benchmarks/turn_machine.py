"""What the TURN server's machine alone costs for each datagram, without a socket: `python -m benchmarks.turn_machine`.

The cost must not depend on how many allocations there are.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Final

from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.stun import (
    Attribute,
    AttributeType,
    LongTermAuthenticator,
    Message,
    Method,
    new_request,
    parse_message,
    serialize_message,
)
from sans_rtc.turn.server import Credentials, RelayNeeded, Server, ServerConfig, User

A: Final = AttributeType
LISTENER: Final = Address("192.0.2.1", 3478)
PEER: Final = Address("203.0.113.9", 5000)
BURST: Final = 64
ROUNDS: Final = 5


class Scene:
    """A server with allocations, each with a channel to one peer."""

    def __init__(self, allocation_count: int) -> None:
        config = ServerConfig(
            relay_hosts=("192.0.2.2",),
            allocation_count_max=64_000,
            user_allocation_count_max=64_000,
            source_allocation_count_max=64_000,
            unauthenticated_burst=1e6,
        )
        self.now = 1000.0
        self.server = Server(config, credentials=Credentials(users=(User("u", "p"),)), entropy=os.urandom)
        self.authenticator = LongTermAuthenticator("u", "p")
        self.routes = [self._allocate(number) for number in range(allocation_count)]

    def ask(self, path: Path, method: Method, *attributes: Attribute) -> Message:
        """One request, the sockets that it needs, and the response."""
        for _ in range(3):
            request = new_request(method, os.urandom, [*attributes, *self.authenticator.attributes()])
            data = serialize_message(request, key=self.authenticator.key, algorithm=self.authenticator.algorithm)
            self.server.receive(Datagram(data, path), self.now)
            for event in self.server.take_events():
                if isinstance(event, RelayNeeded):
                    self.server.relay_opened(event.relay_id, event.address, self.now)
            response = parse_message(self.server.take_datagrams(self.now)[0].data)
            if response.value(A.ERROR_CODE) is None:
                return response
            self.authenticator.take_challenge(response)
        raise AssertionError("refused")

    def cost_ns(self, datagrams: list[Datagram]) -> float:
        """Nanoseconds for each datagram, taken and handed over in bursts; the best of a few rounds."""
        bursts = [datagrams[start : start + BURST] for start in range(0, len(datagrams), BURST)]
        best = float("inf")
        for _ in range(ROUNDS):
            start = time.process_time_ns()
            count = 0
            for burst in bursts:
                self.server.receive_many(burst, self.now)
                count += len(self.server.take_datagrams(self.now))
            best = min(best, (time.process_time_ns() - start) / len(datagrams))
            assert count == len(datagrams)
        return best

    def _allocate(self, number: int) -> tuple[Path, Path]:
        path = Path(LISTENER, Address(f"198.51.100.{number >> 14}", 1024 + (number & 0x3FFF)))
        if number % 1000 == 0:
            self.authenticator = LongTermAuthenticator("u", "p")
        relayed = self.ask(path, Method.ALLOCATE, Attribute(A.REQUESTED_TRANSPORT, 17)).value(A.XOR_RELAYED_ADDRESS)
        assert relayed is not None
        bind = (Attribute(A.CHANNEL_NUMBER, 0x4000), Attribute(A.XOR_PEER_ADDRESS, PEER))
        self.ask(path, Method.CHANNEL_BIND, *bind)
        return path, Path(relayed, PEER)


def main() -> None:
    """Print one line for each number of allocations."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.turn_machine", description=__doc__)
    parser.add_argument("--size", type=int, default=1000, help="payload bytes of a datagram (1000)")
    size = parser.parse_args().size
    data = os.urandom(size)
    frame = b"\x40\x00" + size.to_bytes(2, "big") + data
    for allocation_count in (1, 500, 10_000):
        scene = Scene(allocation_count)
        turns = -(-20_000 // allocation_count)
        to_peers = scene.cost_ns([Datagram(frame, client) for client, _ in scene.routes] * turns)
        to_clients = scene.cost_ns([Datagram(data, peer) for _, peer in scene.routes] * turns)
        print(f"{allocation_count:6} allocations: {to_peers:5.0f} ns to a peer, {to_clients:5.0f} ns to a client")


if __name__ == "__main__":
    main()
