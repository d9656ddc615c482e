"""An echo between two peers in plain threads: every call waits until it is done."""

import threading
from time import perf_counter

from sans_rtc_net import BindConfig, BlockingPeerConnection

LOOPBACK = BindConfig(hosts=("127.0.0.1",))


def connect(alice, bob):
    """Carry the offer there and the answer back: signalling, which is normally a network away."""
    alice.set_local_description()
    bob.set_remote_description(alice.local_description)
    bob.set_local_description()
    alice.set_remote_description(bob.local_description)


def echo(bob):
    """Send back whatever comes on the first channel, until it is closed."""
    channel = bob.accept_channel()
    for message in channel:
        channel.send(message)


def main():
    with BlockingPeerConnection(network=LOOPBACK) as alice, BlockingPeerConnection(network=LOOPBACK) as bob:
        chat = alice.create_data_channel("echo")
        connect(alice, bob)
        echoing = threading.Thread(target=echo, args=(bob,))
        echoing.start()
        chat.opened(timeout_s=10)
        began_at = perf_counter()
        chat.send("hello")
        answer = chat.receive(timeout_s=10)
        print(f"{answer!r} came back after {(perf_counter() - began_at) * 1000:.1f} ms")
        chat.close()
        echoing.join()


if __name__ == "__main__":
    main()
