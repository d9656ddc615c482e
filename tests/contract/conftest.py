"""Toy machines: one that keeps the contract, to be broken in one place at a time."""

import math

import pytest

from sans_rtc.machine import Datagram, Terminated


class Ticker:
    """Sends `count` datagrams, one at each tick, and reports what it receives. Keeps the contract."""

    def __init__(self, count=0, interval_s=0.01, path=None, size=10):
        self.count, self.interval_s, self.path, self.size = count, interval_s, path, size
        self.next_at = 0.0 if count else math.inf
        self.sent = 0
        self.datagrams, self.events = [], []
        self.is_terminated = False

    def receive(self, datagram, now):
        if not self.is_terminated:
            self.events.append((now, datagram))

    def handle_timer(self, now):
        if now < self.next_at or self.is_terminated:
            return
        data = self.sent.to_bytes(4, "big") + bytes(self.size - 4)
        self.datagrams.append(Datagram(data, self.path, 2) if self.path else data)
        self.sent += 1
        self.next_at = now + self.interval_s if self.sent < self.count else math.inf

    def close(self, now):
        if not self.is_terminated:
            self.is_terminated = True
            self.next_at = math.inf
            self.events.append(Terminated("closed"))

    def take_datagrams(self, now):
        taken, self.datagrams = self.datagrams, []
        return taken

    def take_events(self):
        taken, self.events = self.events, []
        return taken

    @property
    def deadline(self):
        return self.next_at


@pytest.fixture
def ticker():
    """ticker(count, ...): a machine that sends so many numbered datagrams."""
    return Ticker


@pytest.fixture
def broken():
    """broken(**members): a Ticker of which some members are replaced."""

    def make(**members):
        return type("Broken", (Ticker,), members)()

    return make
