"""What a codec costs: `python -m benchmarks.codecs` prints processor time for each frame, encoded and decoded.

One thread of Python and one of each codec; pictures of PictureSource (little detail, a bar and digits that move) at
30 a second and 1 Mbit/s, tones of 20 ms. The figures are processor time of the whole process, of the best round.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import av

from benchmarks.report import Cell, machine_facts, print_table
from sans_rtc_av import (
    EncodedFrame,
    EncoderSettings,
    PictureSource,
    ToneSource,
    available_encoders,
    new_decoder,
    new_encoder,
)

VIDEO = ("VP8", "VP9", "H264", "AV1")
AUDIO = ("opus", "G722", "PCMU", "PCMA")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every codec that is built in and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.codecs", description=__doc__)
    parser.add_argument("--frames", type=int, default=150, help="in a round (default: 150)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the best counts (default: 3)")
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=360)
    args = parser.parse_args(arguments)
    built = available_encoders()
    source = PictureSource(args.width, args.height)
    pictures = [source.frame(number) for number in range(args.frames)]
    tones = [ToneSource().frame(number) for number in range(args.frames)]
    rows = [_row(name, pictures if name in VIDEO else tones, args.rounds) for name in VIDEO + AUDIO if name in built]
    facts = {**machine_facts(["sans_rtc"]), "av": av.__version__, "picture": f"{args.width} x {args.height}"}
    print_table(rows, facts)
    return 0


def _row(codec_name: str, frames: Sequence[av.VideoFrame | av.AudioFrame], rounds: int) -> dict[str, Cell]:
    """Milliseconds for each frame of one codec."""
    encode_s = decode_s = float("inf")
    encoded: list[EncodedFrame] = []
    for _ in range(rounds):
        encoder, decoder = new_encoder(codec_name, EncoderSettings()), new_decoder(codec_name)
        begin = time.process_time()
        encoded = [result for frame in frames for result in encoder.encode(frame)]
        between = time.process_time()
        for result in encoded:
            decoder.decode(result.data, result.timestamp)
        encode_s = min(encode_s, (between - begin) / len(frames))
        decode_s = min(decode_s, (time.process_time() - between) / len(frames))
    seconds = len(frames) / 30 if codec_name in VIDEO else len(frames) / 50
    return {
        "codec": codec_name,
        "encoder": available_encoders()[codec_name][0],
        "encode_ms": encode_s * 1000,
        "decode_ms": decode_s * 1000,
        "kbit_per_s": sum(len(e.data) for e in encoded) * 8 / seconds / 1000,
    }


if __name__ == "__main__":
    raise SystemExit(main())
