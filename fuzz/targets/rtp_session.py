"""The media session between a hostile peer that has the keys, and an application that calls what it likes.

A second session is told the same; it gets what arrives together in one call, the first one by one. Whatever that does
inside, both say the same. All that they send has to be authentic, and no packet index is used twice.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from fuzz.arguments import a_number
from fuzz.codec import allow_misuse
from fuzz.media import Stream, an_rtcp, written
from fuzz.reports import KIND_COUNT, a_report
from fuzz.script import Script
from sans_rtc.errors import LocalError
from sans_rtc.media import (
    Encoding,
    FecParameters,
    MediaConfig,
    MediaSection,
    OutgoingFrame,
    PacketReceived,
    RemoteSource,
    RtpSession,
)
from sans_rtc.media import EncodingSettings as Settings
from sans_rtc.rtp import Extension, RtpPacket, is_rtcp
from sans_rtc.rtp.extensions import ExtensionMap
from sans_rtc.rtp.payload import CODECS
from sans_rtc.rtp.payload.interface import MediaKind
from sans_rtc.rtp.recovery import FlexFecEncoder, RtxSender, row_pattern
from sans_rtc.rtp.recovery.config import SendHistoryConfig
from sans_rtc.rtp.recovery.keyframe import KeyframeRequestKind
from sans_rtc.srtp import MasterKey, SrtpConfig, SrtpReceiver, SrtpSender
from sans_rtc.testing import ContractMonitor, SeededEntropy
from tests.media.conftest import (
    AUDIO,
    EXTENSIONS,
    PROFILE,
    VIDEO,
    VIDEO_FRAMES,
    audio_section,
    h264,
    opus,
    video_codec,
    video_section,
    vp8,
    without,
)
from tests.property.objects import footprint, snapshot

CONFIG = MediaConfig(
    receive_packets_max=64,
    receive_bytes_max=30_000,
    inbound_streams_max=8,
    frames_max=64,
    ended_sources_max=8,
    srtp=SrtpConfig(stream_count_max=12),
    history=SendHistoryConfig(packet_count_max=64, byte_count_max=100_000),
)
OURS = (0xA1, 0xB1, 0xB2, 0xC1, 0xC2)
STREAMS = (
    (5, (96, 96, 96, 98)),
    (6, (97,)),
    (7, (111, 111, 0, 13)),
    (8, (118,)),
    (9, (96, 111)),
    (0xB1, (96, 111)),
    (10, (102, 103)),
)
CCFB = frozenset(("nack", "nack pli", "ack ccfb"))
REMB = frozenset(("nack", "goog-remb", "ccm fir"))
FEC = (FecParameters(118, "flexfec-03"), FecParameters(102, "red"), FecParameters(103, "ulpfec"))
SOURCES = (RemoteSource(5, 6, "them", 8),)
LAYERS = (Encoding("h", 0xB1, 0xB2), Encoding("l", 0xC1, 0xC2))


def _correcting() -> list[MediaSection]:
    """Video that is sent with error correction, as the peer sends its own."""
    fec = FecParameters(118, "flexfec", "repair-window=500000")
    codec = video_codec(feedback=frozenset(("nack pli",)), rtx=None)
    section = video_section(codec=codec, encodings=(Encoding("", 0xB1, fec_ssrc=0xB2),), fec=(fec,), sources=SOURCES)
    return [attrs.evolve(section, send=attrs.evolve(section.send, fec=fec))]


SECTIONS = (
    lambda: [audio_section(ssrc=0xA1), video_section(ssrc=0xB1)],
    lambda: [audio_section(ssrc=0xA1), video_section(ssrc=0xB1, codec=video_codec(feedback=CCFB))],
    lambda: [video_section(ssrc=0xB1, codec=video_codec(feedback=REMB), extensions=without(Extension.TRANSPORT_CC))],
    lambda: [video_section(ssrc=0xB1, fec=FEC, sources=SOURCES, wants_receiver_rtt=True, is_reduced_size=True)],
    lambda: [audio_section(ssrc=0xA1), video_section(encodings=LAYERS, rids=("h", "l"))],
    lambda: [video_section(ssrc=0xB1, codec=video_codec("H264"), sources=SOURCES)],
    lambda: [video_section(ssrc=0xB1, codec=video_codec("VP9", rtx=None), extensions=())],
    lambda: [audio_section(ssrc=0xA1, send=False), video_section(ssrc=0xB1, receive=False)],
    list,
    _correcting,
)
KINDS = (vp8, vp8, h264, *VIDEO_FRAMES.values())
PAUSES_S = (0.0, 0.001, 0.005, 0.02, 0.033, 0.1, 0.5, 2.0, 10.0)
TIMERS_MAX = 3000
OPERATIONS_MAX = 60
ITEMS_MAX, BYTES_MAX = 40_000, 1_500_000


class World:
    """Two sessions that are told the same, the peer's keys, and what the peer has sent."""

    def __init__(self, script: Script) -> None:
        self.sessions = [RtpSession(CONFIG, entropy=SeededEntropy("session")) for _ in range(2)]
        self.fronts = [ContractMonitor(session) for session in self.sessions]
        self.now = 0.0
        self.key_number = 0
        self.burst: list[bytes] = []
        self.recent: list[RtpPacket] = []
        self.streams = {ssrc: Stream(ssrc, types) for ssrc, types in STREAMS}
        self.rtx = RtxSender(6, {96: 97}, entropy=SeededEntropy("rtx"), extension_ids={10: 11})
        self.flexfec = FlexFecEncoder(118, 8, row_pattern(4), entropy=SeededEntropy("fec"))
        self.sizes = [0, 0]
        self.use_keys()
        self.each(lambda session: session.configure(sections, self.now), sections := script.pick(SECTIONS)())

    def use_keys(self) -> None:
        """Keys that were never used before."""
        self.key_number += 1
        draw = SeededEntropy(f"keys {self.key_number}")
        ours, theirs = (MasterKey(draw(16), draw(12)) for _ in range(2))
        self.sealer, self.readers = SrtpSender(PROFILE, theirs), [SrtpReceiver(PROFILE, ours) for _ in self.sessions]
        for session in self.sessions:
            session.set_keys(PROFILE, ours, theirs, self.now)

    def each(self, call, _: object = None, *, compares: bool = False) -> None:
        """A verb, of both; refused by one, it is by the other, and changes nothing."""
        before = snapshot(self.sessions[0]) if compares else None
        refused = []
        for session in self.sessions:
            try:
                call(session)
                refused.append(False)
            except LocalError:
                refused.append(True)
        assert refused[0] == refused[1]
        assert not compares or not refused[0] or snapshot(self.sessions[0]) == before, "refused, and it has changed"

    def drain(self) -> None:
        """What both say is the same, authentic, fits, and is never sent twice."""
        said = []
        for front, reader in zip(self.fronts, self.readers, strict=True):
            datagrams, events = list(front.take_datagrams(self.now)), list(front.take_events())
            for datagram in datagrams:
                unprotect = reader.unprotect_rtcp if is_rtcp(datagram) else reader.unprotect_rtp
                assert unprotect(datagram) is not None, f"not authentic, or sent before: {reader.stats.discards}"
            front.check(self.now)
            said.append((datagrams, [_plain(event) for event in events]))
        assert said[0] == said[1], "one by one and all together are not the same"
        for session in self.sessions:
            for receiver in session._sections.receivers.values():
                for stream in receiver.streams.values():
                    stream._buffer.check()

    def deliver(self) -> None:
        """What has been held back arrives, at once."""
        burst, self.burst = self.burst, []
        for datagram in burst:
            self.fronts[0].receive(datagram, self.now)
        self.sessions[1].receive_many(burst, self.now)

    def arrive(self, datagram: bytes | None) -> None:
        if datagram:
            self.burst.append(datagram)

    def send_rtp(self, packet: RtpPacket) -> None:
        """The peer sends this, if it can be sent."""
        data = written(packet)
        if data:
            self.recent = [packet, *self.recent[:15]]
            self.arrive(allow_misuse(self.sealer.protect_rtp, data))

    def wait(self, duration_s: float) -> None:
        """Time passes, with every timer in its time."""
        end = self.now + duration_s
        for _ in range(TIMERS_MAX):
            deadlines = {session.deadline for session in self.sessions}
            assert len(deadlines) == 1, deadlines
            self.now = max(self.now, min(min(deadlines), end))
            if min(deadlines) > end:
                return
            for front in self.fronts:
                front.handle_timer(self.now)
            self.drain()
        raise AssertionError("timers never cease")


def _plain(event: object) -> object:
    """An event as what can be compared: maps of extensions are compared by what they say."""
    if isinstance(event, PacketReceived):
        return event.handle, event.packet, event.rid, event.codec, event.extensions.entries
    return event


def run(data: bytes) -> None:
    """The first byte chooses what is negotiated, the rest is a script."""
    script = Script(data)
    world = World(script)
    for _ in range(OPERATIONS_MAX):
        if script.is_over:
            break
        script.pick(OPERATIONS)(world, script)
        if script.below(4):
            world.deliver()
            world.drain()
    world.deliver()
    world.drain()
    world.wait(0.5)
    assert world.sessions[0].stats == world.sessions[1].stats
    figures = [str(session.statistics(world.now)) for session in world.sessions]
    assert figures[0] == figures[1], "their statistics differ"
    size = footprint(world.sessions[0])
    assert size.items <= ITEMS_MAX and size.bytes <= BYTES_MAX, size
    for front in world.fronts:
        front.close(world.now)
    world.drain()
    assert all(session.is_terminated for session in world.sessions)


# --- the peer ---------------------------------------------------------------------------------------------------------


def _elements(script: Script, ssrc: int) -> list[tuple[int, bytes]]:
    """Extensions that mean something, with values right and wrong."""
    found = []
    for element_id, _ in EXTENSIONS:
        if script.below(4) == 1:
            mid = {7: b"m1"}.get(ssrc, b"m2")
            usual = {4: mid, 10: b"h", 11: b"l", 3: script.take(2).ljust(2, b"\0"), 2: script.take(3).ljust(3, b"\0")}
            found.append((element_id, usual.get(element_id, b"\0") if script.below(4) else script.blob(16)))
    return found


def _packet(world: World, script: Script) -> None:
    ssrc, _ = script.pick(STREAMS)
    packet = world.streams[ssrc].next_packet(script)
    if script.below(2):
        packet.extensions = _elements(script, ssrc)
    world.send_rtp(packet)


def _frame(world: World, script: Script) -> None:
    """A whole frame of several packets with equal headers, of which some are lost, damaged or out of order."""
    stream = world.streams[5]
    stream.timestamp = (stream.timestamp + 3000) & 0xFFFFFFFF
    is_key, elements = script.below(4) == 0, [(4, b"m2")] if script.below(2) else []
    count, trouble, codec = 1 + script.below(8), script.below(8), script.pick(CODECS)
    data = script.pick(KINDS)(is_key, 100 * count, script.below(128))
    payloads = [b"\x10" + data[at : at + 100] for at in range(0, len(data), 100)]
    if script.below(2) and codec.kind is MediaKind.VIDEO and codec.new_packetizer is not None:
        made = codec.new_packetizer("", SeededEntropy(1))
        payloads = allow_misuse(lambda: made.packetize(data, payload_bytes_max=120)) or payloads
    first = len(world.burst)
    for index, payload in enumerate(payloads[:16]):
        stream.number = (stream.number + 1) & 0xFFFF
        packet = RtpPacket(96, stream.number, stream.timestamp, 5, payload, index == len(payloads) - 1)
        numbered = [*elements, (3, stream.number.to_bytes(2, "big"))] if script.below(8) else elements
        packet.extensions = numbered
        world.send_rtp(packet)
        for repair in world.flexfec.protect(written(packet)):
            if script.below(4) == 1:
                world.arrive(allow_misuse(world.sealer.protect_rtp, written(repair)))
    _disturb(world.burst, first, trouble, script)


def _disturb(burst: list[bytes], first: int, trouble: int, script: Script) -> None:
    if len(burst) <= first:
        return
    at = first + script.below(len(burst) - first)
    match trouble:
        case 1:
            del burst[at]
        case 2:
            burst.append(burst.pop(at))
        case 3:
            burst.insert(at, burst[at])
        case 4:
            damaged = bytearray(burst[at])
            damaged[script.below(len(damaged))] ^= 1 << script.below(8)
            burst[at] = bytes(damaged)
        case 5:
            burst.insert(at, script.blob(40))


def _again(world: World, script: Script) -> None:
    """A retransmission, as RTX or in any other form."""
    if world.recent:
        packet = allow_misuse(world.rtx.wrap, script.pick(world.recent))
        if packet is not None:
            packet.payload = packet.payload[: script.below(256)] if script.below(4) == 1 else packet.payload
            world.send_rtp(packet)


def _rtcp(world: World, script: Script) -> None:
    theirs = [ssrc for ssrc, _ in STREAMS]
    plain = an_rtcp(script, (*OURS, *theirs)) if script.below(3) == 0 else a_report(script, OURS, theirs)
    world.arrive(allow_misuse(world.sealer.protect_rtcp, plain))


def _stranger(world: World, script: Script) -> None:
    world.arrive(script.blob(100))


def _bare(world: World, script: Script) -> None:
    """Authentic, and hardly RTP."""
    ssrc, types = script.pick(STREAMS)
    stream = world.streams[ssrc]
    stream.number = (stream.number + 1) & 0xFFFF
    head = bytes((0x80 | script.below(64), types[0])) + stream.number.to_bytes(2, "big") + bytes(4)
    data = head + ssrc.to_bytes(4, "big") + script.blob(60)
    world.arrive(allow_misuse(world.sealer.protect_rtp, data))


# --- the application --------------------------------------------------------------------------------------------------


def _handle(script: Script) -> int:
    return script.pick((AUDIO, VIDEO, VIDEO, 9))


def _send_frame(world: World, script: Script) -> None:
    handle = _handle(script)
    size = script.pick((10, 100, 1200, 5000, 20_000))
    data = opus(1) if handle == AUDIO else script.pick(KINDS)(script.below(2) == 0, size, 1)
    frame = OutgoingFrame(
        data if script.below(8) else script.blob(40),
        int(world.now * 90_000),
        rid=script.pick(("", "", "h", "l", "x")),
        payload_type=script.pick((None, None, 96, 97, 300)),
        audio_level_dbov=script.pick((None, 30, 128)),
        rotation=script.pick((None, 90, 45)),
        capture_time_s=script.pick((None, 0.0, -1.0, 1e18)),
        extensions=((Extension.PLAYOUT_DELAY, script.blob(5)),) if script.below(4) == 1 else (),
    )
    world.each(lambda session: session.send_frame(handle, frame, world.now), compares=script.below(4) == 1)


def _forward(world: World, script: Script) -> None:
    packet = world.streams[9].next_packet(script)
    handle, source = _handle(script), ExtensionMap(EXTENSIONS) if script.below(2) else None
    rid = script.pick(("", "", "h"))
    world.each(lambda session: session.send_packet(handle, packet, world.now, rid=rid, source=source))


def _configure(world: World, script: Script) -> None:
    sections = script.pick(SECTIONS)()
    world.each(lambda session: session.configure(sections, world.now))


def _keys(world: World, script: Script) -> None:
    """Of a DTLS restart, or void; what is on the way is lost."""
    world.drain()
    world.burst.clear()
    if script.below(4) == 1:
        world.each(lambda session: session.clear_keys(world.now))
    else:
        world.use_keys()


def _ask(world: World, script: Script) -> None:
    handle, rid, kind = _handle(script), script.pick((None, "", "h")), script.pick(tuple(KeyframeRequestKind))
    world.each(lambda session: session.request_keyframe(handle, world.now, rid=rid, kind=kind))


def _settings(world: World, script: Script) -> None:
    handle, rid, most = _handle(script), script.pick(("", "h", "l")), script.pick((None, 0, 1, 100_000, 10**9))
    settings = allow_misuse(lambda: Settings(rid, bool(script.below(2)), most, 1.0 + script.below(4)))
    if settings is not None:
        world.each(lambda session: session.set_encodings(handle, [settings], world.now), compares=True)


def _output(world: World, script: Script) -> None:
    handle, frames, packets = _handle(script), bool(script.below(2)), bool(script.below(2))
    world.each(lambda session: session.set_output(handle, frames=frames, packets=packets))


def _path(world: World, script: Script) -> None:
    overhead = a_number(script)
    world.each(lambda session: session.set_path_overhead(overhead), compares=True)
    world.each(lambda session: session.path_changed(world.now))


def _read(world: World, script: Script) -> None:
    before = snapshot(world.sessions[0])
    str(world.sessions[0].statistics(world.now))
    assert snapshot(world.sessions[0]) == before, "reading statistics changes something"


def _wait(world: World, script: Script) -> None:
    world.deliver()
    world.drain()
    world.wait(script.pick(PAUSES_S))


def _close(world: World, script: Script) -> None:
    if script.below(8) == 1:
        for front in world.fronts:
            front.close(world.now)


OPERATIONS = (
    _packet,
    _frame,
    _frame,
    _again,
    _rtcp,
    _rtcp,
    _stranger,
    _bare,
    _send_frame,
    _send_frame,
    _forward,
    _configure,
    _keys,
    _ask,
    _settings,
    _output,
    _path,
    _read,
    _wait,
    _wait,
    _close,
)


def seeds() -> Iterator[bytes]:
    """Frames both ways for a while under everything that can be negotiated, then each operation."""
    both = b"".join(
        bytes((1, key, 1, 3, 0, 0, 0, 7, 0, 1, 1, 1, 1, 1, 8, 1, 2, 0, 1, 0, 0, 0, 0, 1, 18, 4)) for key in (0, 1)
    )
    for sections in range(len(SECTIONS)):
        for trouble in range(6):
            yield (
                bytes((sections,)) + both + bytes((1, 1, 1, 4, trouble, 0, 0, 7, 0, 1, 1, 1, 1, 1, 1, 18, 6, 1)) + both
            )
        for operation in range(len(OPERATIONS)):
            yield bytes((sections,)) + both + bytes((operation, *[1] * 24)) + both
        for kind in range(KIND_COUNT):
            yield bytes((sections,)) + both + bytes((4, 1, kind, 1, 0, 1, *[0, 0, 1, 1] * 6)) + both
