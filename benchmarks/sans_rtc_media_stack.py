"""sans_rtc as a stack of the media benchmark: a media session over UDP, on the asyncio driver.

deviation: below a whole peer. ICE and DTLS are not in it, and what stands for an offer carries an address and keys. It
becomes `PeerConnection.add_transceiver`, `sender.send_frame` and `receiver.frames()` once the adapters have them.
"""

from __future__ import annotations

import asyncio
import json

from benchmarks.media_session import HANDLE, SessionOverPath, make_session, new_keys, receiving_section, sending_section
from benchmarks.media_stack import Counts, Frames
from sans_rtc.machine import Address, Path
from sans_rtc.media import FrameReceived, MediaEvent, MediaSection, OutgoingFrame, RtpSession
from sans_rtc.srtp import MasterKey
from sans_rtc_asyncio import Driver
from sans_rtc_net.clock import monotonic
from sans_rtc_net.udp import UdpSocket


class SansRtcMediaEndpoint:
    """One end: frames go into the session, frames come as events."""

    def __init__(self, mbit_s: float) -> None:
        self._bitrate_bps = mbit_s * 1e6
        self._socket = UdpSocket.bind("127.0.0.1")
        self._keys = new_keys()
        self._session: RtpSession | None = None
        self._driver: Driver[MediaEvent] | None = None
        self._frames = 0

    async def offer(self) -> str:
        """Address and keys of an end that sends."""
        keys = [[key.key.hex(), key.salt.hex()] for key in self._keys]
        return json.dumps({"port": self._socket.local.port, "keys": keys})

    async def answer(self, offer: str) -> str:
        """The address of an end that receives."""
        theirs = json.loads(offer)
        send, receive = (MasterKey(bytes.fromhex(key), bytes.fromhex(salt)) for key, salt in theirs["keys"])
        self._begin(receiving_section(), receive, send, theirs["port"])
        return json.dumps({"port": self._socket.local.port})

    async def accept(self, answer: str) -> None:
        """Take the answer."""
        self._begin(sending_section(), *self._keys, json.loads(answer)["port"])

    async def connected(self) -> None:
        """Nothing to wait for."""

    async def send(self, frames: Frames) -> None:
        """Send these frames until cancelled."""
        assert self._session is not None and self._driver is not None
        while True:
            data, timestamp = await frames.next()
            self._session.send_frame(HANDLE, OutgoingFrame(data, timestamp), monotonic())
            self._driver.request_flush()

    async def counts(self) -> Counts:
        """What has arrived."""
        packets = self._session.stats.packets_received if self._session is not None else 0
        return Counts(packets, self._frames)

    async def close(self) -> None:
        """End the session."""
        assert self._session is not None and self._driver is not None
        self._session.close(monotonic())
        self._driver.flush()
        self._driver.close()

    def _begin(self, section: MediaSection, send: MasterKey, receive: MasterKey, port: int) -> None:
        self._session = make_session(section, send, receive, self._bitrate_bps, monotonic())
        path = Path(self._socket.local, Address("127.0.0.1", port), "udp")
        failed = asyncio.get_running_loop().call_exception_handler
        self._driver = Driver(
            SessionOverPath(self._session, path),
            on_events=self._on_events,
            on_failure=lambda error: failed({"message": "the session failed", "exception": error}),
        )
        self._driver.add_socket(self._socket)

    def _on_events(self, events: object) -> None:
        assert isinstance(events, list | tuple)
        self._frames += sum(isinstance(event, FrameReceived) for event in events)


def make_media_endpoint(mbit_s: float) -> SansRtcMediaEndpoint:
    """Make one end of a connection."""
    return SansRtcMediaEndpoint(mbit_s)
