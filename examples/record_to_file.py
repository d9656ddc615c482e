"""Records what a browser sends into a file, as it comes: nothing is transcoded. Needs the extra `av`.

python examples/record_to_file.py call.webm          then open the page that it names; call-2.webm for the next page
python examples/record_to_file.py --self call.webm   without a browser: a second peer plays a picture and a tone

The end of the name says which kind of file: .webm .mkv .mp4 .ogg .wav .ivf.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
from pathlib import Path

import web
from av_parts import CODECS, play, record
from parts import connect

from sans_rtc_asyncio import PeerConnection
from sans_rtc_av import PictureSource, SourcePlayer, ToneSource

SELF_SECONDS = 5.0


def prepare(peer: PeerConnection, suffix: str) -> None:
    """Of what is offered, take what the file takes."""
    for transceiver in peer.transceivers:
        codecs = CODECS[suffix].get(transceiver.kind)
        if codecs is None:
            transceiver.direction = "inactive"
        else:
            transceiver.set_codec_preferences(codecs)


async def record_self(path: Path, seconds: float) -> None:
    """Record a peer of this process."""
    async with PeerConnection(bind="127.0.0.1") as caller, PeerConnection(bind="127.0.0.1") as callee:
        kinds = CODECS[path.suffix]
        senders = {
            kind: caller.add_transceiver(kind, direction="sendonly", codecs=codecs).sender
            for kind, codecs in kinds.items()
        }
        await connect(caller, callee)
        recording = asyncio.create_task(record(str(path), callee.transceivers))
        picture = PictureSource(640, 360) if "video" in kinds else None
        tone = ToneSource(440) if "audio" in kinds else None
        await play(SourcePlayer(picture, tone, duration_s=seconds), senders)
        await asyncio.sleep(0.3)  # what is under way
        await caller.close()
        await recording


async def record_browsers(arguments: argparse.Namespace) -> None:
    """Record every page that sends something."""
    path, numbers = arguments.file, itertools.count(2)

    async def serve(peer: PeerConnection) -> None:
        own = path if not path.exists() else path.with_stem(f"{path.stem}-{next(numbers)}")
        await record(str(own), peer.transceivers)

    await web.run("send", web.Visitors(lambda peer: prepare(peer, path.suffix), serve), arguments)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help=f"ends in one of {', '.join(CODECS)}")
    parser.add_argument("--self", dest="is_self", action="store_true", help="record a second peer of this process")
    web.add_arguments(parser)
    arguments = parser.parse_args()
    if arguments.file.suffix not in CODECS:
        parser.error(f"a file ends in one of {', '.join(CODECS)}")
    if arguments.is_self:
        asyncio.run(record_self(arguments.file, arguments.seconds or SELF_SECONDS))
    else:
        asyncio.run(record_browsers(arguments))
