"""An echo server for any number of peers on one UDP port (and TCP, for networks that let no UDP through).

python examples/many_peers.py                        visitors in the same program, once
python examples/many_peers.py --port 3478 --stdin    an offer a line on stdin, as browsers have it; an answer a line

A real server carries descriptions over its own web server; this one reads lines, so that any program can be that.
"""

import argparse
import asyncio
import json
import sys

from sans_rtc_asyncio import ConnectionLost, DataChannel, PeerConnection
from sans_rtc_asyncio.mux import UdpMux

VISITORS = 10

serving: set[asyncio.Task[None]] = set()


async def answer(mux: UdpMux, offer: dict[str, str]) -> dict[str, str]:
    """Make a peer for one visitor; it echoes until the visitor leaves."""
    connection = PeerConnection(mux=mux, tcp="passive")
    await connection.set_remote_description(offer)
    await connection.set_local_description()
    await connection.gathering_complete()
    task = asyncio.create_task(echo(connection))
    serving.add(task)
    task.add_done_callback(serving.discard)
    description = connection.local_description
    return {"type": str(description.type), "sdp": description.sdp}


async def echo(connection: PeerConnection) -> None:
    """Send everything back, on every channel that the visitor opens."""
    async with connection, asyncio.TaskGroup() as tasks:
        try:
            async for channel in connection.incoming_channels():
                tasks.create_task(echo_channel(channel))
        except ConnectionLost as lost:
            print(f"{connection.name}: {lost.reason}", file=sys.stderr)


async def echo_channel(channel: DataChannel) -> None:
    """Send back what comes on one channel; reading waits while sending does."""
    try:
        async for message in channel:
            await channel.send(message)
    except ConnectionLost:
        pass  # told where the channels come from


async def visit(mux: UdpMux, number: int) -> None:
    """Be a visitor."""
    async with PeerConnection(bind="127.0.0.1") as connection:
        channel = connection.create_data_channel("echo")
        await connection.set_local_description()
        await connection.gathering_complete()
        offer = {"type": "offer", "sdp": connection.local_description.sdp}
        await connection.set_remote_description(await answer(mux, offer))
        await channel.send(f"visitor {number}")
        print(await channel.receive(), "on", mux.local_addresses[0])


async def main() -> None:
    """Serve, or show it once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bind", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--stdin", action="store_true", help="take offers from stdin")
    arguments = parser.parse_args()
    async with UdpMux(bind=arguments.bind, port=arguments.port, tcp=True) as mux:
        if not arguments.stdin:
            await asyncio.gather(*(visit(mux, number) for number in range(VISITORS)))
            return
        reader = asyncio.StreamReader(limit=1 << 20)
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            print(json.dumps(await answer(mux, json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
