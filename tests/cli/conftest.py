"""Scripted peers as processes, and a wire between two of them."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time

import pytest

TIMEOUT_S = 15.0
SIGNALS = ("offer", "answer", "candidate")


class ScriptedPeer:
    """A `sans-rtc peer` process whose lines are read by a thread."""

    def __init__(self, *options, stdin=subprocess.PIPE, is_on_loopback=True, other=None, carries=SIGNALS):
        where = ("--bind", "127.0.0.1") if is_on_loopback else ()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sans_rtc_demo.main", "peer", *where, *options],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.lines = []  # every line taken so far
        self.other = other  # gets what this one says of these kinds; None: of every kind
        self.carries = carries
        self.stderr = ""
        self._incoming = queue.Queue()
        self._threads = [threading.Thread(target=work) for work in (self._read_lines, self._read_errors)]
        for thread in self._threads:
            thread.start()

    def say(self, kind, /, **fields):
        """Send one request."""
        self.say_raw(json.dumps({"type": kind, **fields}).encode())

    def say_raw(self, line):
        """Send one line of any bytes."""
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def hear(self, kind, /, **fields):
        """Wait for a line of this kind with these fields, and return it; what comes before it is kept in `lines`."""
        until = time.monotonic() + TIMEOUT_S
        while True:
            try:
                line = self._incoming.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {kind} {fields}; came: {self.lines}; stderr: {self.stderr}") from None
            if line is None:
                raise AssertionError(f"ended without {kind} {fields}; came: {self.lines}; stderr: {self.stderr}")
            self.lines.append(line)
            if line["type"] == kind and fields.items() <= line.items():
                return line

    def end_input(self):
        """Close its stdin."""
        self.process.stdin.close()

    def wait(self):
        """Wait for its end; return the exit status."""
        status = self.process.wait(TIMEOUT_S)
        for thread in self._threads:
            thread.join(TIMEOUT_S)
        return status

    def kill(self):
        """End it and what it started, whatever it does."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass

    def _read_lines(self):
        for raw in self.process.stdout:
            line = json.loads(raw)
            if self.other is not None and (self.carries is None or line["type"] in self.carries):
                self._carry(raw)
            self._incoming.put(line)
        self._incoming.put(None)

    def _carry(self, raw):
        try:
            self.other.process.stdin.write(raw)
            self.other.process.stdin.flush()
        except (BrokenPipeError, ValueError):  # it has ended, or its input has
            pass

    def _read_errors(self):
        for raw in self.process.stderr:
            self.stderr += raw.decode()


@pytest.fixture
def start():
    """Start a scripted peer; all are ended with the test."""
    peers = []

    def start_peer(*options, **settings):
        peers.append(ScriptedPeer(*options, **settings))
        return peers[-1]

    yield start_peer
    for peer in peers:
        peer.kill()


@pytest.fixture
def connect(start):
    """Start two peers and carry their signalling: (offerer, answerer)."""

    def connect_peers(offerer_options=(), answerer_options=()):
        answerer = start(*answerer_options)
        offerer = start("--offer", *offerer_options, other=answerer)
        answerer.other = offerer  # in time: it says nothing before it has the offer
        return offerer, answerer

    return connect_peers


@pytest.fixture(scope="module")
def patient_peer():
    """One peer for all the bad input, and what it should have written to stderr in the end."""
    peer, complaints = ScriptedPeer("--no-trickle"), []
    yield peer, complaints
    peer.end_input()
    try:
        assert peer.wait() == 0
        assert peer.stderr == "".join(complaints)
    finally:
        peer.kill()


@pytest.fixture(scope="module")
def standing():
    """A connection that several tests use, with the channel "data" open: (offerer, answerer)."""
    answerer = ScriptedPeer()
    offerer = ScriptedPeer("--offer", other=answerer)
    answerer.other = offerer
    try:
        for peer in (offerer, answerer):
            peer.hear("channel", label="data")
        yield offerer, answerer
    finally:
        for peer in (offerer, answerer):
            peer.kill()
