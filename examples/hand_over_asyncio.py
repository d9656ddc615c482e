"""A live session changes processes, on asyncio: `hand_over` and `restore` of the adapter do it all.

python examples/hand_over_asyncio.py

Bob sends numbered messages to Alice. When Alice has read a part of them, her connection goes to a child process, with
what has arrived and what is on its way. The child reads on; Bob notices nothing.
"""

import argparse
import asyncio
import os
import socket
import subprocess
import sys

from sans_rtc_asyncio import PeerConnection

MESSAGE_COUNT, HANDED_OVER_AT = 200, 60


async def begin():
    """Alice and Bob, until Alice is handed over; then Bob alone."""
    async with PeerConnection(bind="127.0.0.1") as bob, PeerConnection(bind="127.0.0.1") as alice:
        channel = bob.create_data_channel("numbers")
        for offerer, answerer in ((bob, alice), (alice, bob)):  # signalling, which is normally a network away
            await offerer.set_local_description()
            await offerer.gathering_complete()
            await answerer.set_remote_description(offerer.local_description)
        numbers = await anext(alice.incoming_channels())
        sending = asyncio.create_task(send_all(channel))
        for expected in range(HANDED_OVER_AT):
            assert int(await numbers.receive()) == expected

        key = os.urandom(32)
        handed = alice.hand_over(key)  # from here on, she does not exist here
        heir = start(key + handed.snapshot, handed.sockets)
        print(await channel.receive())
        await sending
    await asyncio.to_thread(heir.wait, 10)


async def send_all(channel):
    for number in range(MESSAGE_COUNT):
        await channel.send(str(number))


def start(secret, sockets):
    """The child gets the sockets as descriptors, and key and snapshot by a pipe that nobody else sees."""
    descriptors = [sock.fileno() for sock in sockets]
    command = [sys.executable, __file__, "--descriptors", *map(str, descriptors)]
    heir = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=descriptors)
    for sock in sockets:
        sock.close()
    heir.stdin.write(secret)
    heir.stdin.close()
    return heir


async def take_over(descriptors):
    """Go on where Alice was: this is all that an heir has to do."""
    given = sys.stdin.buffer.read()
    sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
    async with PeerConnection.restore(given[32:], given[:32], sockets=sockets) as alice:
        (numbers,) = alice.channels()
        received = [int(await numbers.receive()) for _ in range(MESSAGE_COUNT - HANDED_OVER_AT)]
        is_whole = received == list(range(HANDED_OVER_AT, MESSAGE_COUNT))
        await numbers.send(
            f"the other process has read the last {len(received)}, {'all' if is_whole else 'not'} in order"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--descriptors", type=int, nargs="*", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    asyncio.run(begin() if arguments.descriptors is None else take_over(arguments.descriptors))
