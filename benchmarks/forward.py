"""Forwarding one video stream to N subscribers without decoding it: how many one core bears.

    publisher -- UDP --> session, packets --> N sessions -- UDP --> N subscribers
                         '--------- measured ---------'

All ends are whole media sessions with congestion control and feedback, in one process and in virtual time: 5 ms at a
step, as long as it may take. What the forwarder does, with its system calls, is measured in processor time; what
publisher and subscribers do is not. N is reached where a second of the stream costs a second.

deviation: sessions below a whole peer, and one look at each of them in a step instead of an event loop.
"""

from __future__ import annotations

import time

import attrs

from benchmarks.media_session import (
    HANDLE,
    SessionOverPath,
    make_session,
    new_keys,
    receiving_section,
    sending_section,
)
from benchmarks.report import Cell
from sans_rtc.machine import Path
from sans_rtc.media import FrameReceived, MediaSection, OutgoingFrame, PacketReceived, RtpSession
from sans_rtc.srtp import MasterKey
from sans_rtc_net.udp import UdpSocket

STEP_S = 0.005
FRAMES_PER_S = 25  # every eighth step
_STEPS_PER_FRAME = round(1 / FRAMES_PER_S / STEP_S)
_VP8_KEYFRAME = bytes.fromhex("9001009d012a8002e001")  # 640 by 480 (RFC 6386 section 9.1)
_VP8_INTER_FRAME = bytes.fromhex("910100")
_DATAGRAMS_MAX = 1 << 16


@attrs.frozen(slots=True)
class Options:
    """How much is measured.

    mbit_s       of the stream
    subscribers  at first; then as many as that lets expect
    seconds      of the stream, after `warm_up_s`
    most         more are not tried
    """

    mbit_s: float = 2.5
    subscribers: int = 10
    seconds: float = 4.0
    warm_up_s: float = 1.0
    most: int = 400


def measure(options: Options) -> list[dict[str, Cell]]:
    """One row for the number to begin with, one for the number that is reached."""
    first = _row(options.subscribers, options)
    reached = first["reached"]
    assert isinstance(reached, int)
    return [first, _row(max(1, min(reached, options.most)), options)]


def _row(count: int, options: Options) -> dict[str, Cell]:
    hall = Hall(count, options.mbit_s)
    hall.run(options.warm_up_s)
    cpu_before_ns, packets_before, frames_before, sent_before = hall.cpu_ns, hall.packets, hall.frames, hall.frames_sent
    hall.run(options.seconds)
    cpu_s = (hall.cpu_ns - cpu_before_ns) / 1e9
    packets = hall.packets - packets_before
    hall.close()
    return {
        "subscribers": count,
        "cpu_share_of_a_core": cpu_s / options.seconds,
        "packets_per_s": packets / options.seconds,
        "us_per_packet": cpu_s / packets * 1e6 if packets else None,
        "frames_received_share": (hall.frames - frames_before) / max(1, hall.frames_sent - sent_before) / count,
        "reached": int(count / (cpu_s / options.seconds)),
    }


class _End:
    """A session with a socket of its own, joined with another one."""

    def __init__(self) -> None:
        self.socket = UdpSocket.bind("127.0.0.1")
        self.machine: SessionOverPath

    def join(self, other: _End, section: MediaSection, send: MasterKey, receive: MasterKey, bitrate_bps: float) -> None:
        """Make the session towards the other end."""
        path = Path(self.socket.local, other.socket.local, "udp")
        self.machine = SessionOverPath(make_session(section, send, receive, bitrate_bps, 0.0), path)

    @property
    def session(self) -> RtpSession:
        """The session itself."""
        return self.machine.session

    def read(self, now: float) -> None:
        """Feed what has arrived."""
        datagrams = self.socket.receive_batch(_DATAGRAMS_MAX)
        if datagrams:
            self.machine.receive_many(datagrams, now)

    def write(self, now: float) -> None:
        """Do what is due, and send."""
        if self.machine.deadline <= now:
            self.machine.handle_timer(now)
        datagrams = self.machine.take_datagrams(now)
        if datagrams:
            self.socket.send_batch(datagrams)


class Hall:
    """A publisher, a forwarder and so many subscribers.

    cpu_ns       processor time of the forwarder
    packets      that it has sent on
    frames       that the subscribers have got
    frames_sent  by the publisher
    """

    def __init__(self, count: int, mbit_s: float) -> None:
        self.cpu_ns = self.frames = self.frames_sent = self.packets = self.steps = 0
        self._data = _VP8_INTER_FRAME + bytes(round(mbit_s * 1e6 / 8 / FRAMES_PER_S) - len(_VP8_INTER_FRAME))
        bitrate_bps = mbit_s * 1e6
        self._publisher, self._inlet = _joined(bitrate_bps)
        self._inlet.session.set_output(HANDLE, frames=False, packets=True)
        pairs = [_joined(bitrate_bps) for _ in range(count)]
        self._outlets = [outlet for outlet, _ in pairs]
        self._subscribers = [subscriber for _, subscriber in pairs]

    def run(self, seconds: float) -> None:
        """Let so much of the stream go through."""
        for _ in range(round(seconds / STEP_S)):
            now = self.steps * STEP_S
            self._publish(now)
            begun = time.thread_time_ns()
            self._forward(now)
            self.cpu_ns += time.thread_time_ns() - begun
            self._subscribe(now)
            self.steps += 1

    def close(self) -> None:
        """Close the sockets."""
        for end in (self._publisher, self._inlet, *self._outlets, *self._subscribers):
            end.socket.close()

    def _publish(self, now: float) -> None:
        if self.steps % _STEPS_PER_FRAME == 0:
            head = b"" if self.frames_sent else _VP8_KEYFRAME
            frame = OutgoingFrame(head + self._data, self.frames_sent * 90_000 // FRAMES_PER_S)
            self._publisher.session.send_frame(HANDLE, frame, now)
            self.frames_sent += 1
        self._publisher.read(now)
        self._publisher.write(now)

    def _forward(self, now: float) -> None:
        inlet, outlets = self._inlet, self._outlets
        inlet.read(now)
        sessions = [outlet.session for outlet in outlets]
        for event in inlet.session.take_events():
            if isinstance(event, PacketReceived):
                self.packets += len(outlets)
                for session in sessions:
                    session.send_packet(HANDLE, event.packet, now, source=event.extensions, codec=event.codec)
        inlet.write(now)
        for outlet in outlets:
            outlet.read(now)
            outlet.session.take_events()
            outlet.write(now)

    def _subscribe(self, now: float) -> None:
        for subscriber in self._subscribers:
            subscriber.read(now)
            self.frames += sum(isinstance(event, FrameReceived) for event in subscriber.session.take_events())
            subscriber.write(now)


def _joined(bitrate_bps: float) -> tuple[_End, _End]:
    """An end that sends, and one that receives."""
    sender, receiver = _End(), _End()
    there, back = new_keys()
    sender.join(receiver, sending_section(), there, back, bitrate_bps)
    receiver.join(sender, receiving_section(), back, there, bitrate_bps)
    return sender, receiver
