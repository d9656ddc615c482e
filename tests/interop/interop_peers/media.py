"""Media over one connection: a foreign peer sends audio and video, ours sends back what comes, the peer counts what it
decodes. A `Case` says how, an `Outcome` what came of it.

The peers take these requests beside those of session.py:

    media-add       name, kind, direction, waits, codecs, encodings, width, height, rate
                    waits: the other side offers, so the track waits for the section that comes (W3C addTrack)
    media-enable, media-direct, media-replace, media-remove, media-stop, media-prepare, media-request-keyframe   name
    media-stats     -> the W3C's objects of types inbound-rtp, outbound-rtp, transport, codec, ...
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import attrs

from interop_peers.local_media import LocalMedia
from interop_peers.relay import Relay
from interop_peers.session import Host, Session
from interop_peers.signalling import signalling
from sans_rtc.srtp.profile import SrtpProfile

SECONDS_VARIABLE = "SANS_RTC_MEDIA_SECONDS"
SECONDS_IN_TESTS = 3.0
PATIENCE_S = 3.0

RATE = 15
"""Frames a second that every peer sends."""
AUDIO_RATE = 50

CODECS = ("VP8", "VP9", "AV1", "H264")

# How much of what was sent must come back decoded. The last ones are on their way when the numbers are read.
ON_THE_WAY = 6
SENT_SHARE_MIN = 0.6
DECODED_SHARE_MIN = 0.97
DECODED_SHARE_MIN_WITH_LOSS = 0.9
# A busy machine lets a picture be late; a freeze is three times the usual pause between two.
FROZEN_SHARE_MAX = 0.25
# Without RTX for sound, what is lost of it stays lost.
AUDIO_SHARE_MIN = 0.95


@attrs.frozen
class Case:
    """One connection.

    role     of the foreign peer: "offers" or "answers"
    video    name of the codec; sound is Opus
    profile  the only SRTP profile that ours has; None: all its defaults
    loss     share of the media packets, both ways
    echo     "frames": put together and packetised again; "packets": forwarded as they come
    """

    role: str
    video: str = "VP8"
    profile: SrtpProfile | None = None
    loss: float = 0.0
    echo: str = "frames"

    @property
    def name(self) -> str:
        """The same in every process, for pytest."""
        profile = "" if self.profile is None else f"-{self.profile.name}"
        loss = f"-{self.loss:.0%}-lost" if self.loss else ""
        return f"{self.role}-{self.video}{profile}{loss}-{self.echo}"


class Stats:
    """The W3C's objects that a peer has returned."""

    def __init__(self, objects: Sequence[dict]) -> None:
        self.objects = objects

    def sum(self, kind: str, name: str, type: str = "inbound-rtp") -> float:
        """Add up a member over the streams of one kind, audio or video."""
        return sum(each.get(name) or 0 for each in self.objects if each["type"] == type and each.get("kind") == kind)

    def count(self, kind: str) -> int:
        """How many streams of one kind have been decoded."""
        inbound = (each for each in self.objects if each["type"] == "inbound-rtp" and each["kind"] == kind)
        return sum(1 for each in inbound if each.get("framesDecoded"))

    @property
    def srtp(self) -> str:
        """The SRTP profile, as the peer names it; empty where it does not."""
        names = [each.get("srtpCipher") for each in self.objects if each["type"] == "transport"]
        return next((name for name in names if name), "")

    def codecs(self, kind: str) -> set[str]:
        """Names of the codecs that streams of one kind use."""
        used = {each.get("codecId") for each in self.objects if each.get("kind") == kind}
        return {
            each["mimeType"].split("/")[1] for each in self.objects if each["type"] == "codec" and each["id"] in used
        }


@attrs.define
class Outcome:
    """What the foreign peer and the relay have counted.

    injected    RTP packets that the relay lost on the way to the peer; where packets are forwarded, on both ways
    problems    what was not as it must be; empty: all is well
    """

    case: Case
    srtp: str
    codec: str
    seconds: float
    sent: int
    received: int
    decoded: int
    freezes: int
    frozen_s: float
    lost: int
    injected: int
    repaired: int
    audio_sent: int
    audio_received: int
    audio_lost: int
    problems: list[str] = attrs.Factory(list)


def seconds_of_media(default: float = SECONDS_IN_TESTS) -> float:
    """How long each case sends."""
    return float(os.environ.get(SECONDS_VARIABLE, default))


async def add_both(session: Session, *, waits: bool, video: str = "VP8", **video_options: object) -> None:
    """Add a track of sound and one of pictures, named after their kinds."""
    await session.request("media-add", name="audio", kind="audio", waits=waits)
    options = {"codecs": [video], **video_options}
    await session.request("media-add", name="video", kind="video", waits=waits, rate=RATE, **options)


async def stats_of(session: Session) -> Stats:
    """Ask a peer for its statistics."""
    return Stats(await session.request("media-stats"))


@asynccontextmanager
async def media_between(
    theirs: Session, ours: LocalMedia, case: Case, relay: Relay | None = None, **video_options: object
) -> AsyncIterator[None]:
    """Connect with audio and video of the foreign peer, and run the block while they flow."""
    offerer, answerer = (theirs, ours) if case.role == "offers" else (ours, theirs)
    await add_both(theirs, waits=case.role == "answers", video=case.video, **video_options)
    await add_both(ours, waits=case.role == "offers", video=case.video)
    async with signalling(offerer, answerer, relay=relay):
        await theirs.until_state("connected")
        await ours.until_state("connected")
        yield


async def run_case(host: Host, case: Case, seconds: float) -> Outcome:
    """Run one case and say what came of it."""
    theirs = await host.open_session({"bundlePolicy": "max-bundle"} if case.loss else None)
    ours = await LocalMedia.open(profile=case.profile, echo=case.echo)
    relay = Relay(case.loss, seed=4) if case.loss else None
    try:
        async with media_between(theirs, ours, case, relay):
            await asyncio.sleep(seconds)
            return await settled(theirs, ours, case, seconds, relay, 2 if host.asks_once else 0)
    finally:
        await theirs.end()
        await ours.end()
        if relay is not None:
            relay.close()


async def settled(
    theirs: Session, ours: LocalMedia, case: Case, seconds: float, relay: Relay | None, waits_for_losses: int
) -> Outcome:
    """Ask for the numbers, and again for a moment where something is amiss: on a busy machine it may just be late."""
    until = asyncio.get_running_loop().time() + PATIENCE_S
    while True:
        stats = await stats_of(theirs)
        outcome = judge(outcome_of(case, stats, ours, seconds, lost_by(relay, case)), waits_for_losses)
        if stats.srtp and _bare(stats.srtp) != _bare(outcome.srtp):
            outcome.problems.append(f"the peer says that the SRTP profile is {stats.srtp}")
        if not outcome.problems or asyncio.get_running_loop().time() > until:
            return outcome
        await asyncio.sleep(PATIENCE_S / 10)


def _bare(profile: str) -> str:
    """A profile's name without what some leave out: SRTP_AES128_CM_HMAC_SHA1_80, AES128_CM_SHA1_80."""
    return profile.removeprefix("SRTP_").replace("_HMAC", "")


def lost_by(relay: Relay | None, case: Case) -> int:
    """How many packets the relay has lost that the peer must miss."""
    if relay is None:
        return 0
    to_peer, to_us = (relay.answerer, relay.offerer)[:: 1 if case.role == "offers" else -1]
    # What never came is missing where packets are forwarded, too.
    return to_peer.lost + (to_us.lost if case.echo == "packets" else 0)


async def run_cases(host: Host, cases: Sequence[Case], seconds: float, at_once: int) -> dict[Case, Outcome | Exception]:
    """Run several cases, some of them at the same time; what fails has its error in place of an outcome."""
    turns = asyncio.Semaphore(at_once)

    async def run(case: Case) -> Outcome | Exception:
        async with turns:
            try:
                return await run_case(host, case, seconds)
            except Exception as error:
                return error

    await (await host.open_session()).end()  # start the program once, before many ask for it
    return dict(zip(cases, await asyncio.gather(*map(run, cases)), strict=True))


def outcome_of(case: Case, stats: Stats, ours: LocalMedia, seconds: float, injected: int) -> Outcome:
    """Gather what was counted."""
    outbound = "outbound-rtp"
    return Outcome(
        case,
        srtp=ours.srtp,
        codec="/".join(sorted(stats.codecs("video"))) or case.video,
        seconds=seconds,
        sent=int(stats.sum("video", "framesSent", outbound)),
        received=int(stats.sum("video", "framesReceived")),
        decoded=int(stats.sum("video", "framesDecoded")),
        freezes=int(stats.sum("video", "freezeCount")),
        frozen_s=stats.sum("video", "totalFreezesDuration"),
        lost=int(stats.sum("video", "packetsLost")),
        injected=injected,
        repaired=int(stats.sum("video", "retransmittedPacketsReceived")),
        audio_sent=int(stats.sum("audio", "packetsSent", outbound) or stats.sum("audio", "framesSent", outbound)),
        audio_received=int(stats.sum("audio", "packetsReceived")),
        audio_lost=int(stats.sum("audio", "packetsLost")),
    )


def judge(outcome: Outcome, waits_for_losses: int) -> Outcome:
    """Say what was not as it must be.

    waits_for_losses  how many further losses may come before the peer shows what it has received
    """
    case, problems = outcome.case, outcome.problems
    waiting = ON_THE_WAY + (waits_for_losses / case.loss if case.loss else 0)
    share = DECODED_SHARE_MIN_WITH_LOSS if case.loss else DECODED_SHARE_MIN
    if outcome.sent < outcome.seconds * RATE * SENT_SHARE_MIN:
        problems.append(f"the peer has sent only {outcome.sent} frames in {outcome.seconds:g} s")
    if outcome.decoded < outcome.sent * share - waiting:
        problems.append(f"of {outcome.sent} frames only {outcome.decoded} were decoded when they came back")
    if outcome.lost + outcome.audio_lost > outcome.injected:
        problems.append(f"{outcome.lost} + {outcome.audio_lost} packets lost, of which {outcome.injected} by the relay")
    if not case.loss and outcome.frozen_s > outcome.seconds * FROZEN_SHARE_MAX:
        problems.append(f"{outcome.freezes} freezes, {outcome.frozen_s:.1f} s in all")
    if outcome.audio_sent < outcome.seconds * AUDIO_RATE * SENT_SHARE_MIN:
        problems.append(f"the peer has sent only {outcome.audio_sent} packets of audio")
    if outcome.audio_received < outcome.audio_sent * (AUDIO_SHARE_MIN - 2 * case.loss) - ON_THE_WAY:
        problems.append(f"of {outcome.audio_sent} packets of audio only {outcome.audio_received} came back")
    if case.profile is not None and _bare(outcome.srtp) != case.profile.name:
        problems.append(f"the SRTP profile is {outcome.srtp}")
    if outcome.codec.upper() != case.video.upper():
        problems.append(f"the codec is {outcome.codec}, not {case.video}")
    return outcome
