"""A live session changes processes in the midst of a transfer: a child takes over socket and snapshot, and goes on.

python examples/hand_over.py

Alice sends numbered messages to Bob. When a part of them has arrived, Alice's connection becomes bytes, and a new
process gets those bytes and the socket. Bob notices nothing: every message arrives once and in order, and no handshake
is repeated.
"""

import argparse
import os
import select
import socket
import subprocess
import sys
import time

from sans_rtc.datachannel import ChannelMessage, ChannelOpened, ChannelOptions
from sans_rtc.ice import AddressFilter, IceConfig
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.peer import GatheringNeeded, PeerConfig, PeerConnection

MESSAGE_COUNT, MESSAGE_BYTES, HANDED_OVER_AT = 200, 5_000, 60
BUFFERED_BYTES_MAX = 100_000
SILENCE_S_MAX = 10.0
CONFIG = PeerConfig(ice=IceConfig(address_filter=AddressFilter(allow_loopback=True)))


class End:
    """A peer connection on one UDP socket."""

    def __init__(self, machine, sock):
        self.machine, self.sock = machine, sock
        self.local = Address(*sock.getsockname())
        self.channel, self.received = None, []

    def step(self, timeout_s=0.0):
        """Wait for datagrams until the next deadline, or less, and do all there is to do."""
        wait_s = min(timeout_s, max(0.0, self.machine.deadline - time.monotonic()))
        if select.select([self.sock], [], [], wait_s)[0]:
            data, sender = self.sock.recvfrom(65535)
            self.machine.receive(Datagram(data, Path(self.local, Address(*sender))), time.monotonic())
        now = time.monotonic()
        if self.machine.deadline <= now:
            self.machine.handle_timer(now)
        self.flush(now)

    def flush(self, now):
        """Datagrams, then events, until there are none."""
        while True:
            for datagram in self.machine.take_datagrams(now):
                self.sock.sendto(datagram.data, datagram.path.remote)
            events = self.machine.take_events()
            if not events:
                return
            for event in events:
                self.on_event(event, now)

    def on_event(self, event, now):
        if isinstance(event, GatheringNeeded):
            self.machine.add_local_address(self.local, "lo", now)
            self.machine.end_of_local_addresses(now)
        elif isinstance(event, ChannelOpened):
            self.channel = event.channel
        elif isinstance(event, ChannelMessage):
            self.received.append(int.from_bytes(event.data[:4], "big"))
            self.machine.consume(event.channel, event.byte_count, now)

    def send_from(self, number):
        """Send messages while there is room; returns the number of the next."""
        while number < MESSAGE_COUNT and self.machine.buffered_amount(self.channel) < BUFFERED_BYTES_MAX:
            self.machine.send(self.channel, number.to_bytes(4, "big") + bytes(MESSAGE_BYTES - 4), time.monotonic())
            number += 1
        return number


def bound():
    """A socket on loopback."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    return sock


def connected():
    """Alice and Bob, with a channel open."""
    alice, bob = (End(PeerConnection(CONFIG, entropy=os.urandom), bound()) for _ in range(2))
    alice.machine.create_channel("numbers", ChannelOptions(), time.monotonic())
    for end, other in ((alice, bob), (bob, alice)):  # signalling, which is normally a network away
        end.machine.set_local_description(None, time.monotonic())
        end.flush(time.monotonic())
        other.machine.set_remote_description(end.machine.local_description, time.monotonic())
    while alice.channel is None or bob.channel is None:
        alice.step(0.001)
        bob.step(0.001)
    return alice, bob


def begin():
    """Alice and Bob, until Alice is handed over; then Bob alone."""
    alice, bob = connected()
    number, key = 0, os.urandom(32)
    while len(bob.received) < HANDED_OVER_AT:
        number = alice.send_from(number)
        alice.step()
        bob.step()
    snapshot = alice.machine.snapshot(key, time.monotonic())  # from here on, she does not exist here
    fd = alice.sock.fileno()
    command = [sys.executable, __file__, "--fd", str(fd), "--number", str(number), "--channel", str(alice.channel)]
    heir = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[fd])
    alice.sock.close()
    heir.stdin.write(key + snapshot)  # a pipe between the two: nobody else sees the key
    heir.stdin.close()
    end = time.monotonic() + SILENCE_S_MAX
    while not bob.machine.is_terminated and time.monotonic() < end:
        bob.step(0.1)
    heir.wait(SILENCE_S_MAX)
    bob.sock.close()
    is_whole = bob.received == list(range(MESSAGE_COUNT))
    print(f"{len(bob.received)} of {MESSAGE_COUNT} messages, {'each once, in order' if is_whole else 'not as sent'};")
    print(f"a snapshot of {len(snapshot)} bytes, taken after {HANDED_OVER_AT}: process {os.getpid()} to {heir.pid}")
    return 0 if is_whole else 1


def take_over(fd, number, channel):
    """Go on where Alice was; this is all that an heir has to do."""
    given = sys.stdin.buffer.read()
    machine = PeerConnection.restore(given[32:], given[:32], entropy=os.urandom)  # the same host: the same clock
    alice = End(machine, socket.socket(fileno=fd))
    alice.channel = channel
    while number < MESSAGE_COUNT:
        number = alice.send_from(number)
        alice.step(0.1)
    machine.close(time.monotonic())  # what was sent is delivered first
    while not machine.is_terminated:
        alice.step(0.1)
    alice.sock.close()
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fd", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--number", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--channel", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sys.exit(begin() if arguments.fd is None else take_over(arguments.fd, arguments.number, arguments.channel))
