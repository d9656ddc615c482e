"""What repairs losses, and what it costs: `python -m benchmarks.recovery`.

Two media sessions in virtual time, 30 frames of 3,000 bytes a second for 20 s after the loss was reported, 100 ms each
way, losses at random; means of five seeds. The same figures on every machine.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from statistics import mean

import attrs

from sans_rtc.media import (
    CodecParameters,
    Encoding,
    FecParameters,
    FrameReceived,
    MediaConfig,
    MediaSection,
    OutgoingFrame,
    ReceiveParameters,
    RtpSession,
    SendParameters,
)
from sans_rtc.rtp import Extension
from sans_rtc.rtp.payload import MediaKind, codecs_named
from sans_rtc.srtp import MasterKey, SrtpProfile
from sans_rtc.testing import Link, LinkConditions, SeededEntropy

HANDLE, DELAY_S, FRAME_RATE, FRAME_BYTES, WARM_UP = 1, 0.1, 30, 3000, 90
LOSSES = (0.01, 0.02, 0.05, 0.1)
WAYS = {"nothing": (False, False), "FlexFEC": (True, False), "NACK": (False, True), "both": (True, True)}
_FEC = FecParameters(118, "flexfec", "repair-window=500000")
_EXTENSIONS = ((2, Extension.ABS_SEND_TIME), (3, Extension.TRANSPORT_CC), (4, Extension.MID))
_KEYS = MasterKey(b"a" * 16, b"s" * 12), MasterKey(b"b" * 16, b"t" * 12)


@attrs.frozen
class Outcome:
    """Of one call.

    frames     the part of them that were given out
    delay_ms   from sending to giving out, behind the path's own, of those
    repair     bytes of FlexFEC for each of media
    resent     those of RTX, with which probes are filled up too
    """

    frames: float
    delay_ms: float
    repair: float
    resent: float


def call(loss: float, *, has_fec: bool, has_nack: bool, seed: int, seconds: float) -> Outcome:
    """Play video one way over a path that loses this part of the packets."""
    sender, link = _join(has_fec, has_nack, seed)
    sent: dict[bytes, float] = {}
    for index in range(WARM_UP + int(seconds * FRAME_RATE)):
        link.conditions = LinkConditions(loss=loss if index else 0.0, delay_s=DELAY_S)
        frame = (b"\x11\x00\x00" if index else b"\x10\x00\x00\x9d\x01\x2a\x80\x02\x68\x01") + index.to_bytes(4, "big")
        frame = frame.ljust(FRAME_BYTES, b"\x55")
        if index >= WARM_UP:
            sent[frame] = link.now
        sender.send_frame(HANDLE, OutgoingFrame(frame, index * 90_000 // FRAME_RATE), link.now)
        link.run_for(1 / FRAME_RATE)
    link.conditions = LinkConditions(delay_s=DELAY_S)
    link.run_for(2.0)
    came = [event.frame for event in link.events[1] if isinstance(event, FrameReceived) and event.frame.data in sent]
    assert len({frame.data for frame in came}) == len(came), "a frame came twice"
    streams = {stream.ssrc: stream.statistics.bytes_sent for stream in sender._sections.streams.values()}
    media = streams[0xB1]
    return Outcome(
        len(came) / len(sent),
        1000 * (mean([frame.received_at - sent[frame.data] for frame in came]) - DELAY_S),
        streams.get(0xB3, 0) / media,
        streams.get(0xB2, 0) / media,
    )


def _join(has_fec: bool, has_nack: bool, seed: int) -> tuple[RtpSession, Link]:
    """A session that sends, and the link to the one that receives."""
    feedback = frozenset(("nack pli", "transport-cc", "nack") if has_nack else ("nack pli", "transport-cc"))
    codecs = (CodecParameters(96, codecs_named("VP8")[0], "", feedback, 97 if has_nack else None),)
    encoding = Encoding("", 0xB1, 0xB2, fec_ssrc=0xB3)
    send = SendParameters(codecs, (encoding,), _EXTENSIONS, "sender", _FEC if has_fec else None)
    receive = ReceiveParameters(codecs, _EXTENSIONS, fec=(_FEC,) if has_fec else ())
    sections = [
        MediaSection(HANDLE, "0", MediaKind.VIDEO, send=send, is_reduced_size=True),
        MediaSection(HANDLE, "0", MediaKind.VIDEO, receive=receive, is_reduced_size=True),
    ]
    sessions = [RtpSession(MediaConfig(), entropy=SeededEntropy(f"{end} {seed}")) for end in (0, 1)]
    link = Link(*sessions, seed=seed, conditions=LinkConditions(delay_s=DELAY_S))
    for end, session in enumerate(sessions):
        session.set_keys(SrtpProfile.AEAD_AES_128_GCM, _KEYS[end], _KEYS[1 - end], link.now)
        session.configure([sections[end]], link.now)
    return sessions[0], link


def rows(losses: Sequence[float], seeds: int, seconds: float) -> list[str]:
    """The table, line by line."""
    lines = [
        "| lost | repaired by | frames given out | delay added | FlexFEC | RTX |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for loss in losses:
        for name, (has_fec, has_nack) in WAYS.items():
            found = [
                call(loss, has_fec=has_fec, has_nack=has_nack, seed=seed, seconds=seconds) for seed in range(seeds)
            ]
            frames, delay, repair, resent = (mean(column) for column in zip(*map(attrs.astuple, found), strict=True))
            lines.append(f"| {loss:.0%} | {name} | {frames:.1%} | {delay:.0f} ms | {repair:.1%} | {resent:.1%} |")
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20.0)
    args = parser.parse_args(arguments)
    print("\n".join(rows(LOSSES, args.seeds, args.seconds)))


if __name__ == "__main__":
    main()
