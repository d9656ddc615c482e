"""Plays a file to browsers, or a picture and a tone that Python draws where no file is given. Needs the extra `av`.

python examples/play_file.py [FILE]          then open the page that it names; each page sees it from the beginning
python examples/play_file.py --self [FILE]   without a browser: to a second peer, which counts frames

Frames of the file are sent as they are where the other side takes their format; otherwise they are transcoded.
"""

from __future__ import annotations

import argparse
import asyncio
from collections import Counter
from pathlib import Path

import web
from av_parts import play
from parts import connect

from sans_rtc_asyncio import PeerConnection, Receiver, Sender
from sans_rtc_av import PictureSource, Player, SourcePlayer, ToneSource

SELF_SECONDS = 5.0


def open_player(path: Path | None, seconds: float | None = None) -> Player | SourcePlayer:
    """A player of the file, or of the drawn picture for so long."""
    if path is None:
        return SourcePlayer(PictureSource(640, 360), ToneSource(440), duration_s=seconds)
    return Player(path)


def codecs_of(player: Player | SourcePlayer) -> dict[str, list[str]]:
    """What there is to play, and what to negotiate for it: the codec that it has, else the one that everybody has."""
    codecs = {"audio": (player.audio_codec, "opus"), "video": (player.video_codec, "VP8")}
    return {kind: list(dict.fromkeys(names)) for kind, names in codecs.items() if names[0] is not None}


async def play_self(path: Path | None, seconds: float | None) -> None:
    """Play to a peer of this process, and say what came. seconds: no longer than that; None: to the end."""
    counts: Counter[str] = Counter()

    async def count(kind: str, receiver: Receiver) -> None:
        async for _ in receiver.frames():
            counts[kind] += 1

    async with PeerConnection(bind="127.0.0.1") as caller, PeerConnection(bind="127.0.0.1") as callee:
        with open_player(path, seconds) as player:
            senders = {
                kind: caller.add_transceiver(kind, direction="sendonly", codecs=codecs).sender
                for kind, codecs in codecs_of(player).items()
            }
            await connect(caller, callee)
            counting = [asyncio.create_task(count(each.kind, each.receiver)) for each in callee.transceivers]
            playing = asyncio.create_task(play(player, senders))
            await asyncio.wait([playing], timeout=seconds)
            if not playing.cancel():
                playing.result()
        await asyncio.sleep(0.3)  # what is under way
        await caller.close()
        await asyncio.gather(*counting)
    print(", ".join(f"{counts[kind]} {kind} frames of {sender.codec.codec.name}" for kind, sender in senders.items()))


async def play_browsers(arguments: argparse.Namespace) -> None:
    """Play to every page."""

    def prepare(peer: PeerConnection) -> None:
        with open_player(arguments.file) as player:
            codecs = codecs_of(player)
        for transceiver in peer.transceivers:
            if transceiver.kind in codecs:
                transceiver.direction = "sendonly"
                transceiver.set_codec_preferences(codecs[transceiver.kind])

    async def serve(peer: PeerConnection) -> None:
        senders: dict[str, Sender] = {each.kind: each.sender for each in peer.transceivers if each.sender.codec}
        with open_player(arguments.file) as player:
            await play(player, senders)
        print("played to the end", flush=True)

    await web.run("watch", web.Visitors(prepare, serve), arguments)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, help="mp4, webm, mkv, ogg, wav, ...")
    parser.add_argument("--self", dest="is_self", action="store_true", help="play to a second peer of this process")
    web.add_arguments(parser)
    arguments = parser.parse_args()
    if arguments.is_self:
        seconds = arguments.seconds if arguments.file or arguments.seconds else SELF_SECONDS
        asyncio.run(play_self(arguments.file, seconds))
    else:
        asyncio.run(play_browsers(arguments))
