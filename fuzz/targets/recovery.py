"""Loss recovery of what is received: RTX, FlexFEC, ULPFEC and RED, and the losses that they are for."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.codec import allow_misuse, refuse
from fuzz.media import Stream, written
from fuzz.script import Script
from sans_rtc.rtp import RtpPacket, parse_rtp
from sans_rtc.rtp.recovery import (
    FecReceiverConfig,
    FlexFecEncoder,
    FlexFecReceiver,
    RedUlpFecReceiver,
    RtxReceiver,
    RtxSender,
    UlpFecReceiver,
    column_pattern,
    mask_pattern,
    parse_red,
    row_and_column_pattern,
    row_pattern,
    serialize_red,
)
from sans_rtc.testing import SeededEntropy
from tests.property.objects import footprint

CONFIG = FecReceiverConfig(packet_count_max=32, stream_count_max=2, equation_count_max=8, unknown_count_max=16)
PATTERNS = (
    row_pattern(4),
    column_pattern(3, 3),
    row_and_column_pattern(3, 3),
    mask_pattern(8, [(0, 1, 2), (3, 4, 7)]),
    mask_pattern(60, [(0, 20, 59)]),
)
OPERATIONS_MAX = 100
ITEMS_MAX, BYTES_MAX = 5_000, 300_000


class World:
    """Streams that are protected, and everything that may restore them."""

    def __init__(self, script: Script) -> None:
        self.streams = [Stream(1, (96, 97)), Stream(2, (96, 97)), Stream(3, (96,))]
        self.encoder = FlexFecEncoder(100, 9, script.pick(PATTERNS), entropy=SeededEntropy(1))
        self.flexfec = FlexFecReceiver(CONFIG, ssrcs=(1, 2)[: script.below(3)])
        self.ulpfec = UlpFecReceiver(CONFIG, ssrc=1)
        self.red = RedUlpFecReceiver(CONFIG, ssrc=1, ulpfec_payload_type=101)
        self.rtx_sender = RtxSender(7, {96: 98}, entropy=SeededEntropy(2), extension_ids={3: 4})
        self.rtx = RtxReceiver(1, {98: 96}, extension_ids={4: 3})
        self.sent: set[bytes] = set()
        self.is_honest = True
        self.repairs: list[RtpPacket] = []

    def check(self, found: list[bytes]) -> None:
        """What honest packets restore is what was sent, byte for byte."""
        for packet in found:
            if self.is_honest:
                assert packet in self.sent, f"{packet.hex()} was never sent"
            refuse(parse_rtp, packet)


def run(data: bytes) -> None:
    """The bytes are a script."""
    script = Script(data)
    world = World(script)
    for _ in range(OPERATIONS_MAX):
        if script.is_over:
            break
        script.pick(OPERATIONS)(world, script)
    for receiver in (world.flexfec, world.ulpfec, world.red):
        size = footprint(receiver)
        assert size.items <= ITEMS_MAX and size.bytes <= BYTES_MAX, (receiver, size)
    assert world.flexfec.equation_count <= CONFIG.equation_count_max


def _send(world: World, script: Script) -> None:
    """A media packet goes out and arrives, or does not."""
    packet = script.pick(world.streams).next_packet(script)
    data = written(packet)
    if not data:
        return
    if any(sent[2:4] == data[2:4] and sent[8:12] == data[8:12] and sent != data for sent in world.sent):
        world.is_honest = False  # a number used twice with different contents
    world.sent.add(data)
    world.repairs += world.encoder.protect(data)
    if script.below(3):
        world.check(world.flexfec.receive_media(data))
        world.check(world.ulpfec.receive_media(data))
        world.check(world.red.receive_media(data))


def _repair(world: World, script: Script) -> None:
    if world.repairs:
        world.check(world.flexfec.receive_repair(script.pick(world.repairs)))


def _flush(world: World, script: Script) -> None:
    world.repairs += world.encoder.set_pattern(script.pick(PATTERNS)) if script.below(2) else world.encoder.flush()


def _hostile_flexfec(world: World, script: Script) -> None:
    world.is_honest = False
    csrcs = tuple(1 + script.below(4) for _ in range(script.below(16)))
    world.check(world.flexfec.receive_repair(RtpPacket(100, 1, 1, 9, script.blob(300), csrcs=csrcs)))


def _damaged_flexfec(world: World, script: Script) -> None:
    if world.repairs:
        world.is_honest = False
        repair = script.pick(world.repairs)
        start = script.below(len(repair.payload))
        payload = repair.payload[:start] + script.blob(16) + repair.payload[start + script.below(16) :]
        world.check(world.flexfec.receive_repair(RtpPacket(100, 1, 1, 9, payload, csrcs=repair.csrcs)))


def _hostile_ulpfec(world: World, script: Script) -> None:
    world.is_honest = False
    payload = script.blob(300)
    world.check(world.ulpfec.receive_repair(payload))
    number = world.streams[0].number
    near = payload[:2] + ((number + script.below(32) - 16) & 0xFFFF).to_bytes(2, "big") + payload[4:]
    world.check(world.ulpfec.receive_repair(bytes((near[0] & 0x7F,)) + near[1:]))
    for red in (b"\x65" + near, near):
        found = world.red.receive(written(RtpPacket(99, number, 1, 1, red)))
        world.check(found.recovered)


def _hostile_red(world: World, script: Script) -> None:
    world.is_honest = False
    packet = world.streams[0].next_packet(script)
    world.check(world.red.receive(written(packet)).recovered)
    blocks = refuse(parse_red, packet.payload)
    if blocks is not None:
        allow_misuse(serialize_red, blocks)
    world.red.receive(script.blob(100))


def _retransmit(world: World, script: Script) -> None:
    packet = script.pick(world.streams).next_packet(script)
    wrapped = allow_misuse(world.rtx_sender.wrap, packet)
    if wrapped is not None:
        again = world.rtx.unwrap(wrapped)
        assert again is not None and again.payload == packet.payload
        assert again.sequence_number == packet.sequence_number and again.timestamp == packet.timestamp
    world.rtx.unwrap(packet)
    world.rtx.unwrap(RtpPacket(98, 1, 1, 7, script.blob(8), extensions=packet.extensions))


OPERATIONS = (
    _send,
    _send,
    _repair,
    _flush,
    _hostile_flexfec,
    _damaged_flexfec,
    _hostile_ulpfec,
    _hostile_red,
    _retransmit,
)


def seeds() -> Iterator[bytes]:
    """Packets of which one is lost, with every pattern; then everything hostile once."""
    for pattern in range(len(PATTERNS)):
        for which in range(3):
            sent = b"".join(bytes((0, 0, 9, 0, 2, 4, 1, 2, 3, number, number != 1)) for number in range(9))
            yield bytes((pattern, which)) + sent + bytes((2, 0, 2, 1, 2, 2, 3, 1, 2, 0))
            for operation in range(4, len(OPERATIONS)):
                hostile = bytes(
                    (operation, 0, 24, 0x10, 96, 0xFF, 0xF0, 0, 0, 0, 0, 0, 9, 0, 4, 0xFF, 0xFE, *range(16))
                )
                yield bytes((pattern, which)) + sent[:44] + bytes((3, 1)) + hostile
