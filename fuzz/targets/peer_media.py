"""The peer connection with audio and video; the first byte decides which end it is."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from fuzz.arguments import a_number
from fuzz.call import DELTA, KEYFRAME, OPUS, build, speak_media
from fuzz.insider import speak_as_peer
from fuzz.life import Subject, lives, play
from fuzz.media import Stream
from fuzz.script import Script
from fuzz.targets.peer import VERBS as DATA_VERBS
from sans_rtc.media import EncodingSettings, OutgoingFrame
from sans_rtc.peer import TransceiverOptions
from sans_rtc.rtp.recovery.keyframe import KeyframeRequestKind
from tests.property.scenes.forgeries import forge_any

DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive", "stopped", "")
RIDS = ("", "h", "l", "x y")


def _handle(peer, script: Script) -> int:
    known = [info.handle for info in peer.transceivers()]
    return script.pick(known) if known and script.below(8) else a_number(script)


def _settings(script: Script, count: int) -> tuple[EncodingSettings, ...]:
    return tuple(
        EncodingSettings(script.pick(RIDS), bool(script.below(2)), script.pick((None, 0, 100_000, 10**9)))
        for _ in range(count)
    )


def _add(peer, script, now):
    options = TransceiverOptions(
        direction=script.pick(("sendrecv", "sendonly", "recvonly", "inactive")),
        streams=tuple(script.text(8) for _ in range(script.below(3))),
        encodings=_settings(script, script.below(4)),
        is_from_track=bool(script.below(2)),
    )
    peer.add_transceiver(script.pick(("audio", "video", "video", "text")), options, now)


def _send_frame(peer, script, now):
    data = script.pick((OPUS, KEYFRAME, DELTA, b"")) if script.below(4) else script.blob(40)
    frame = OutgoingFrame(
        data, int(now * 90_000), rid=script.pick(RIDS), payload_type=script.pick((None, None, 96, -1))
    )
    peer.send_frame(_handle(peer, script), frame, now)


def _send_packet(peer, script, now):
    packet = Stream(7, (96, 111, 0)).next_packet(script)
    peer.send_packet(_handle(peer, script), packet, script.pick(RIDS), now)


def _ask(peer, script, now):
    peer.request_keyframe(
        _handle(peer, script), script.pick((None, *RIDS)), script.pick(tuple(KeyframeRequestKind)), now
    )


MEDIA_VERBS = (
    _add,
    _add,
    _send_frame,
    _send_frame,
    _send_packet,
    _ask,
    lambda peer, script, now: peer.set_direction(_handle(peer, script), script.pick(DIRECTIONS), now),
    lambda peer, script, now: peer.set_codec_preferences(
        _handle(peer, script), [script.pick(("VP8", "H264", "opus", "PCMU", "AV1", "x"))] * script.below(3), now
    ),
    lambda peer, script, now: peer.set_streams(_handle(peer, script), [script.text(8)] * script.below(3), now),
    lambda peer, script, now: peer.stop_transceiver(_handle(peer, script), now),
    lambda peer, script, now: peer.set_encodings(_handle(peer, script), _settings(script, script.below(4)), now),
    lambda peer, script, now: peer.set_receiver_output(
        _handle(peer, script), bool(script.below(2)), bool(script.below(2)), now
    ),
    lambda peer, script, now: [peer.can_send_media(info.handle) for info in peer.transceivers()],
    lambda peer, script, now: str(peer.statistics(now)),
)
VERBS = (*MEDIA_VERBS, *DATA_VERBS)


def _speak(scene, script: Script) -> None:
    (speak_media if script.below(4) else speak_as_peer)(scene, script)


SUBJECTS = tuple(
    Subject(
        lambda conditions, end=end: build(conditions, end=end),
        VERBS,
        forge=forge_any,
        insider=_speak,
        items_max=60_000,
        bytes_max=8_000_000,
    )
    for end in (0, 1)
)


def run(data: bytes) -> None:
    """The first byte chooses the end, the rest is a script."""
    if data:
        play(SUBJECTS[data[0] & 1], data[1:])


def seeds() -> Iterator[bytes]:
    """Both lives, meddled with now and then, more with what is of media."""
    for number, life in enumerate(islice(lives(len(VERBS), steps=36), 0, None, 9)):
        yield bytes((number & 1,)) + life
    for far in (10, 14, 18, 24):
        for kind in range(12):
            yield bytes((far & 1, 0)) + bytes((0, 0)) * far + bytes((14, 1, 0, 1, kind, 1, 0, 1, *[1] * 16, 0, 2))
            yield (
                bytes((far & 1, 0))
                + bytes((0, 0)) * far
                + bytes((14, 1, 1, 0, kind, kind * 8, 0, 1, 2, 0x10, 0x90, 0, 2))
            )
