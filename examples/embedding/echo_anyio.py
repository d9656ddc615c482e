"""An echo between two peers on whichever loop anyio runs: `python echo_anyio.py trio`, or asyncio."""

import sys
from time import perf_counter

import anyio

from sans_rtc_anyio import PeerConnection


async def connect(alice, bob):
    """Carry the offer there and the answer back: signalling, which is normally a network away."""
    await alice.set_local_description()
    await bob.set_remote_description(alice.local_description)
    await bob.set_local_description()
    await alice.set_remote_description(bob.local_description)


async def echo(bob):
    """Send back whatever comes on the first channel, until it is closed."""
    channel = await anext(bob.incoming_channels())
    async for message in channel:
        await channel.send(message)


async def main():
    async with PeerConnection(bind="127.0.0.1") as alice, PeerConnection(bind="127.0.0.1") as bob:
        chat = alice.create_data_channel("echo")
        await connect(alice, bob)
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(echo, bob)
                await chat.opened()
                began_at = perf_counter()
                await chat.send("hello")
                answer = await chat.receive()
                print(f"{answer!r} came back after {(perf_counter() - began_at) * 1000:.1f} ms")
                await chat.close()


if __name__ == "__main__":
    anyio.run(main, backend=sys.argv[1] if sys.argv[1:] else "asyncio")
