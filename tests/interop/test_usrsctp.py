"""SCTP against usrsctp, the stack of libdatachannel and once of the browsers: handshake each way, messages of 1 byte to
256 KiB, stream reset, shutdown, and all of it over a path that loses packets.

`usrsctp/peer.c` is compiled here and speaks bare SCTP packets over its pipes. Skipped where there is no C compiler or
no usrsctp (Debian: libusrsctp-dev), unless SANS_RTC_REQUIRE_INTEROP=1 says that there has to be.
"""

import os
import selectors
import shutil
import struct
import subprocess
import time
from pathlib import Path

import pytest
from interop_peers.absent import give_up

from sans_rtc.machine import Terminated
from sans_rtc.sctp import (
    RELIABLE,
    Association,
    IncomingStreamsReset,
    Message,
    OutgoingStreamsReset,
    Reliability,
    SctpConfig,
    SendFailed,
    TerminationReason,
)
from sans_rtc.testing import SeededEntropy, drain

pytestmark = pytest.mark.interop

SOURCE = Path(__file__).parent / "usrsctp" / "peer.c"
SIZES = (1, 10, 1000, 1131, 1132, 1133, 5000, 16384, 65536, 262144)
CASE_S_MAX = 30.0
LENGTH = struct.Struct(">I")


def size_of(index):
    """The same rule as in peer.c."""
    return SIZES[index % 10] - (index // 10 % 7 if index % 10 > 1 else 0)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The compiled peer."""
    compiler = shutil.which("cc")
    if compiler is None:
        give_up("there is no C compiler")
    target = tmp_path_factory.mktemp("usrsctp") / "peer"
    command = [compiler, "-O1", "-o", target, SOURCE, "-lusrsctp", "-lpthread"]
    built = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if built.returncode:
        give_up(f"usrsctp is not there to compile against: {built.stderr[:300]}")
    return target


class Conversation:
    """Drives one association against one process, in real time."""

    def __init__(self, program, *arguments, loss=0.0, seed=1, **changes):
        self.process = subprocess.Popen(
            [program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
        )
        os.set_blocking(self.process.stdin.fileno(), False)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.association = Association(SctpConfig(**changes), entropy=SeededEntropy(seed))
        self.events = []
        self._chance = SeededEntropy(f"loss {seed}")
        self._loss = loss
        self._outgoing = bytearray()
        self._incoming = bytearray()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self.process.stdout, selectors.EVENT_READ)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self._selector.close()

    def run_until(self, condition):
        """Drive until the condition holds; what was delivered is consumed at once."""
        deadline = time.monotonic() + CASE_S_MAX
        while not condition():
            now = time.monotonic()
            assert now < deadline, f"not after {CASE_S_MAX} s; {self.association.state}, {self.association.statistics}"
            wait_s = min(max(self.association.deadline - now, 0.0), 0.1)
            for key, _ in self._selector.select(0.0 if self._outgoing else wait_s):
                self._read(key.fileobj)
            now = time.monotonic()
            if self.association.deadline <= now:
                self.association.handle_timer(now)
            self._flush(now)

    def _read(self, stream):
        data = stream.read(1 << 20)
        if not data:
            self._selector.unregister(stream)
            return
        self._incoming += data
        now = time.monotonic()
        while len(self._incoming) >= LENGTH.size:
            end = LENGTH.size + LENGTH.unpack_from(self._incoming)[0]
            if len(self._incoming) < end:
                return
            packet = bytes(self._incoming[LENGTH.size : end])
            del self._incoming[:end]
            if not self._is_lost():
                self.association.receive(packet, now)

    def _flush(self, now):
        datagrams, events = drain(self.association, now)
        self.events += events
        for event in events:
            if isinstance(event, Message):
                self.association.consume(len(event.data), now)
        for datagram in datagrams:
            if not self._is_lost():
                self._outgoing += LENGTH.pack(len(datagram)) + datagram
        if self._outgoing:
            try:
                written = self.process.stdin.write(self._outgoing)
            except BrokenPipeError:
                written = len(self._outgoing)  # the peer is done and gone
            del self._outgoing[: written or 0]

    def _is_lost(self):
        return self._loss > 0.0 and self._chance.fraction() < self._loss

    def send(self, stream_id, data, reliability=RELIABLE):
        self.run_until(lambda: self.association.statistics.queued_bytes < 1 << 20)
        self.association.send(stream_id, 51, data, reliability, time.monotonic())

    def of_type(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    def close(self):
        self.association.close(time.monotonic())
        self.run_until(lambda: self.association.is_terminated)
        return self.events[-1]


def connect(conversation, how):
    """how  what usrsctp does: it listens to us, or connects to us"""
    if how == "listen":
        time.sleep(0.05)  # a packet to a socket that does not listen yet is answered with ABORT
        conversation.association.connect(time.monotonic())
    elif how == "both":
        conversation.association.connect(time.monotonic())
    conversation.run_until(lambda: conversation.association.state == "established")


HOW = {"listen": "listen", "connect": "connect", "both": "connect"}


@pytest.mark.parametrize("how", HOW)
def test_two_hundred_messages_are_echoed_streams_are_reset_and_both_shut_down(program, how):
    with Conversation(program, HOW[how], "echo") as conversation:
        connect(conversation, how)
        sent = {}
        for index in range(200):
            data = bytes([index]) * size_of(index)
            sent.setdefault(index % 4, []).append(data)
            conversation.send(index % 4, data)
        conversation.run_until(lambda: len(conversation.of_type(Message)) == 200)
        for stream_id, messages in sent.items():
            echoed = [event.data for event in conversation.of_type(Message) if event.stream_id == stream_id]
            assert echoed == messages
        assert {event.ppid for event in conversation.of_type(Message)} == {51}

        conversation.association.reset_streams([1, 2], time.monotonic())
        conversation.run_until(lambda: conversation.of_type(IncomingStreamsReset))
        assert conversation.of_type(OutgoingStreamsReset) == [OutgoingStreamsReset((1, 2))]
        assert conversation.of_type(IncomingStreamsReset) == [IncomingStreamsReset((1, 2))]
        conversation.send(1, b"on a stream that begins anew")
        conversation.run_until(lambda: len(conversation.of_type(Message)) == 201)

        assert conversation.close().reason == TerminationReason.CLOSED
        assert conversation.process.wait(10) == 0


@pytest.mark.parametrize("how", HOW)
def test_usrsctp_sends_resets_and_shuts_down(program, how):
    with Conversation(program, HOW[how], "send", "200") as conversation:
        connect(conversation, how)
        conversation.run_until(lambda: conversation.association.is_terminated)
        messages = [event.data for event in conversation.of_type(Message)]
        assert messages == [bytes([index]) * size_of(index) for index in range(200)]
        assert conversation.of_type(IncomingStreamsReset) == [IncomingStreamsReset((1,))]
        assert conversation.of_type(Terminated)[-1].reason == TerminationReason.CLOSED
        assert conversation.process.wait(10) == 0


@pytest.mark.parametrize("seed", range(3))
def test_everything_arrives_over_a_path_that_loses_packets(program, seed):
    with Conversation(program, "connect", "echo", loss=0.03, seed=seed) as conversation:
        connect(conversation, "both")
        sent = [bytes([index]) * size_of(index % 9) for index in range(40)]
        for data in sent:
            conversation.send(1, data)
        conversation.run_until(lambda: len(conversation.of_type(Message)) == 40)
        assert [event.data for event in conversation.of_type(Message)] == sent
        assert conversation.association.stats.loss_events > 0


@pytest.mark.parametrize("ordered", [True, False])
def test_abandoned_messages_do_not_stop_the_others(program, ordered):
    """usrsctp understands our FORWARD-TSN: what follows an abandoned message still comes."""
    with Conversation(program, "connect", "echo", loss=0.05, seed=7) as conversation:
        connect(conversation, "both")
        once = Reliability(ordered=ordered, max_retransmits=0)
        for index in range(30):
            conversation.send(1, bytes([index]) * 3000, once)
            if index % 5 == 0:
                conversation.run_until(lambda: conversation.association.unacknowledged_bytes == 0)
        conversation.send(2, b"reliable")
        conversation.run_until(lambda: any(event.data == b"reliable" for event in conversation.of_type(Message)))
        # Each is echoed or failed; one that failed may have arrived all the same.
        conversation.run_until(
            lambda: len(conversation.of_type(Message)) - 1 + len(conversation.of_type(SendFailed)) >= 30
        )
        echoed = [event.data[0] for event in conversation.of_type(Message) if event.stream_id == 1]
        assert len(set(echoed)) == len(echoed)
        assert not ordered or echoed == sorted(echoed)
        assert len(conversation.of_type(SendFailed)) > 0


@pytest.mark.parametrize("seed", range(3))
def test_messages_that_usrsctp_abandons_do_not_stop_the_others(program, seed):
    with Conversation(program, "connect", "partial", "60", loss=0.05, seed=seed) as conversation:
        connect(conversation, "both")
        conversation.run_until(lambda: any(event.data == b"reliable" for event in conversation.of_type(Message)))
        conversation.run_until(lambda: conversation.of_type(IncomingStreamsReset))
        got = [event.data[0] for event in conversation.of_type(Message) if event.stream_id == 1]
        assert got == sorted(set(got))
        assert 20 < len(got) < 60
        assert not conversation.association.is_terminated or conversation.events[-1].reason == TerminationReason.CLOSED


def test_abort_is_heard(program):
    with Conversation(program, "connect", "echo") as conversation:
        connect(conversation, "both")
        conversation.association.abort(time.monotonic())
        conversation.run_until(lambda: conversation.of_type(Terminated))
        assert conversation.process.wait(10) == 0
