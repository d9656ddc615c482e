"""The payload formats of RTP: whatever arrives as payloads, as frames, or as format parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fuzz.codec import allow_misuse, check_codec, refuse, text_of, vector_bytes
from fuzz.script import Script
from sans_rtc.rtp.payload import (
    CODECS,
    Codec,
    MediaKind,
    parse_av1_payload,
    parse_av1_sequence_header,
    parse_comfort_noise,
    parse_event_payload,
    parse_h264_sps,
    parse_obus,
    parse_opus_packet,
    parse_red_payload,
    parse_sprop_parameter_sets,
    parse_vp8_frame_header,
    parse_vp8_payload,
    parse_vp9_frame_header,
    parse_vp9_payload,
    serialize_av1_payload,
    serialize_comfort_noise,
    serialize_event_payload,
    serialize_red_payload,
    serialize_vp8_descriptor,
    serialize_vp9_descriptor,
)
from sans_rtc.testing import SeededEntropy

_PAIRS: tuple[tuple[Callable, Callable], ...] = (
    (parse_av1_payload, serialize_av1_payload),
    (parse_comfort_noise, serialize_comfort_noise),
    (parse_event_payload, serialize_event_payload),
    (parse_red_payload, serialize_red_payload),
    (parse_vp8_payload, lambda parsed: serialize_vp8_descriptor(parsed[0]) + parsed[1]),
    (parse_vp9_payload, lambda parsed: serialize_vp9_descriptor(parsed[0]) + parsed[1]),
)
_PARSERS = (
    parse_av1_sequence_header,
    parse_h264_sps,
    parse_obus,
    parse_opus_packet,
    parse_vp8_frame_header,
    parse_vp9_frame_header,
)


def run(data: bytes) -> None:
    """The first byte says what to do, the second for which codec; the rest is cut into payloads, or is one thing."""
    script = Script(data)
    action, codec = script.below(5), CODECS[script.below(len(CODECS))]
    (_depacketize, _packetize, _negotiate, _write_again, _parse)[action](codec, script)


def _depacketize(codec: Codec, script: Script) -> None:
    if codec.new_depacketizer is None:
        return
    depacketizer = codec.new_depacketizer("")
    for _ in range(script.below(3) + 1):
        payloads = [script.blob() for _ in range(script.below(6))]
        refuse(depacketizer.depacketize, payloads)
    for payload in payloads:
        codec.is_keyframe_payload(payload)
        codec.is_frame_start(payload)


def _packetize(codec: Codec, script: Script) -> None:
    """What is packetised fits; of video, which is looked at on the way, it comes out as a frame again."""
    if codec.new_packetizer is None or codec.new_depacketizer is None:
        return
    budget, frame = 1 + script.below(100), script.rest()
    codec.is_keyframe(frame)
    packetizer = codec.new_packetizer("", SeededEntropy(1))
    payloads = allow_misuse(lambda: packetizer.packetize(frame, payload_bytes_max=budget))
    if payloads:
        assert max(map(len, payloads)) <= budget and min(map(len, payloads)) > 0
        depacketize = codec.new_depacketizer("").depacketize
        refuse(depacketize, payloads) if codec.kind is MediaKind.AUDIO else depacketize(payloads)


def _negotiate(codec: Codec, script: Script) -> None:
    theirs = text_of(script.rest())
    answer = refuse(codec.negotiate, codec.parameters, theirs)
    if answer is not None:
        codec.negotiate(codec.parameters, answer)
    refuse(parse_sprop_parameter_sets, theirs)


def _write_again(_: Codec, script: Script) -> None:
    parse, serialize = _PAIRS[script.below(len(_PAIRS))]
    check_codec(parse, serialize, script.rest())


def _parse(codec: Codec, script: Script) -> None:
    parse, data = _PARSERS[script.below(len(_PARSERS))], script.rest()
    refuse(parse, data)
    if codec.duration is not None:
        refuse(codec.duration, data)


def seeds() -> Iterator[bytes]:
    """The payloads of the vectors, given to whatever takes payloads; parameters for whatever negotiates."""
    payloads = list(vector_bytes("rtp-payload", "payload", "payloads", "packet", "frame"))
    for index in range(len(CODECS)):
        yield bytes((2, index)) + (CODECS[index].parameters or "a=1;b").encode()
    for number, payload in enumerate(payloads):
        if len(payload) < 200:
            yield bytes((0, number % len(CODECS), 0, 1, 0, len(payload))) + payload
            yield bytes((1, number % len(CODECS), 40)) + payload
            yield bytes((3, 0, number % len(_PAIRS))) + payload
            yield bytes((4, 0, number % len(_PARSERS))) + payload
