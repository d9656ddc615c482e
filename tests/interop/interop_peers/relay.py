"""A way between two peers on loopback that loses some of their media: the same packets' numbers with the same seed.

    peer A <--> [socket that stands for B | socket that stands for A] <--> peer B

Each peer is told the relay's address in place of the other's candidate. STUN and DTLS always get through (RFC 7983
tells them apart by their first byte), SRTP and SRTCP are lost with the given probability.
"""

from __future__ import annotations

import asyncio
import random
import socket

RECEIVE_BYTES = 65_535
BURST = 64
BUFFER_BYTES = 1 << 21

SRTP_FIRST, SRTP_LAST = 128, 191
RTCP_FIRST, RTCP_LAST = 192, 223  # second byte of RTCP, where RTP has payload types of 64 to 95 (RFC 5761 section 4)

HOST = "127.0.0.1"


class Side:
    """What one peer sends: the socket where it arrives, and where it goes on to.

    sent      RTP packets that came, lost ones too
    lost      RTP packets that went no further
    by_ssrc   lost RTP packets of each stream
    """

    def __init__(self, loss: float, seed: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        self.socket.bind((HOST, 0))
        self.socket.setblocking(False)
        self.sink: tuple[str, int] | None = None
        self.sent = self.lost = self.rtcp_lost = 0
        self.by_ssrc: dict[int, int] = {}
        self._loss, self._random = loss, random.Random(seed)

    def passes(self, data: bytes) -> bool:
        """Decide on one datagram and count it."""
        if len(data) < 12 or not SRTP_FIRST <= data[0] <= SRTP_LAST:
            return True
        is_lost = self._random.random() < self._loss
        if RTCP_FIRST <= data[1] <= RTCP_LAST:
            self.rtcp_lost += is_lost
            return not is_lost
        self.sent += 1
        if is_lost:
            ssrc = int.from_bytes(data[8:12], "big")
            self.lost += 1
            self.by_ssrc[ssrc] = self.by_ssrc.get(ssrc, 0) + 1
        return not is_lost


class Relay:
    """Forwards between two peers while it is open; `offerer` and `answerer` are what each of them sends."""

    def __init__(self, loss: float, seed: int) -> None:
        self.offerer, self.answerer = Side(loss, seed), Side(loss, seed + 1)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self.offerer.socket, self._forward, self.offerer, self.answerer)
        self._loop.add_reader(self.answerer.socket, self._forward, self.answerer, self.offerer)

    def close(self) -> None:
        """Let go of the sockets."""
        for side in (self.offerer, self.answerer):
            self._loop.remove_reader(side.socket)
            side.socket.close()

    def redirect(self, line: str, *, is_offerers: bool) -> str | None:
        """Put our address in place of that of a candidate line; None: the candidate is of no use here.

        Only the first one is kept: the peers bundle, so one path carries everything.
        """
        other = self.answerer if is_offerers else self.offerer
        words = line.split()
        if words[2].lower() != "udp" or words[4] != HOST or words[7] != "host":
            return None
        address = (words[4], int(words[5]))
        if other.sink not in (None, address):
            return None
        other.sink = address  # what the other side sends arrives here
        words[5] = str(other.socket.getsockname()[1])
        return " ".join(words)

    def _forward(self, source: Side, other: Side) -> None:
        for _ in range(BURST):
            try:
                data = source.socket.recv(RECEIVE_BYTES)
            except BlockingIOError:
                return
            except ConnectionError:
                continue
            if source.sink is not None and source.passes(data):
                try:
                    other.socket.sendto(data, source.sink)
                except OSError:
                    continue  # a peer that has gone
