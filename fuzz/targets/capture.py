"""Captures of anybody: pcapng and pcap, and every message of every layer that their datagrams seem to hold."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.codec import VECTORS, refuse
from fuzz.script import Script
from sans_rtc.machine import Address
from sans_rtc.trace import pcapng
from sans_rtc.trace.capture import Frame, read_capture
from sans_rtc.trace.decode import SessionDecoder, decode_capture
from sans_rtc.trace.link import udp_of
from tests.property.objects import footprint

ENDS = (Address("192.0.2.1", 1000), Address("192.0.2.2", 2000))
NAMES = ("firefox_dtls12", "firefox_dtls13", "chromium_dtls13_in_stun")
DATAGRAMS_MAX = 60
ITEMS_MAX, BYTES_MAX = 60_000, 2_000_000


def _load(name: str) -> tuple[list[tuple[Address, Address, bytes]], str]:
    keys = VECTORS / "captures" / f"{name}.keys"
    frames = list(read_capture((VECTORS / "captures" / f"{name}.pcapng").read_bytes()))
    found = [udp_of(item) for item in frames if isinstance(item, Frame)]
    datagrams = [(each.source, each.destination, each.data) for each in found if each is not None]
    return datagrams, keys.read_text() if keys.exists() else ""


SESSIONS = [_load(name) for name in NAMES]


def run(data: bytes) -> None:
    """The first byte: a file, one with its head put right, or a real session with other datagrams in between."""
    if data:
        (_file, _framed, _session, _session)[data[0] & 3](data[1:])


def _file(data: bytes) -> None:
    refuse(lambda: list(decode_capture(data)))


def _framed(data: bytes) -> None:
    """Blocks of any kind, whole."""
    script = Script(data)
    blocks = [pcapng.section_header()]
    for _ in range(DATAGRAMS_MAX):
        if script.is_over:
            break
        kind, body = script.pick((1, 6, 6, 3, 10, 0x0A0D0D0A, 5)), script.blob(300)
        if kind == 6 and script.below(2):
            blocks.append(pcapng.packet(script.below(2), 1.0, body, len(body), is_outgoing=False))
            continue
        body += bytes(-len(body) % 4)
        size = (12 + len(body)).to_bytes(4, "little")
        blocks.append(kind.to_bytes(4, "little") + size + body + size)
    for item in refuse(lambda: list(read_capture(b"".join(blocks)))) or []:
        if isinstance(item, Frame):
            udp_of(item)
    refuse(lambda: list(decode_capture(b"".join(blocks))))


def _session(data: bytes) -> None:
    """What a bystander makes of a session, with its keys and without, that somebody meddles with."""
    script = Script(data)
    datagrams, keys = SESSIONS[script.below(len(SESSIONS))]
    decoder = SessionDecoder()
    decoder.keys.add(keys if script.below(4) else keys[: script.below(len(keys) + 1)] + script.text(40))
    at = 0
    for number in range(DATAGRAMS_MAX):
        if script.is_over:
            break
        at += script.below(16)
        source, destination, body = datagrams[at % len(datagrams)]
        match script.below(6):
            case 1:
                body = script.blob(300)
            case 2:
                damaged = bytearray(body)
                bit = script.below(8 * len(body))
                damaged[bit // 8] ^= 1 << bit % 8
                body = bytes(damaged)
            case 3:
                start = script.below(len(body))
                body = body[:start] + script.blob(40) + body[start + script.below(40) :]
            case 4:
                source, destination = destination, source
            case 5:
                source, destination = ENDS
        for message in decoder.decode(source, destination, body, number / 10):
            str(message.fields)
        decoder.decode_sctp(source, destination, body, number / 10)
        at += 1
    size = footprint(decoder)
    assert size.items <= ITEMS_MAX and size.bytes <= BYTES_MAX, size


def seeds() -> Iterator[bytes]:
    """Sessions as far as each datagram, then damage; the beginnings of the files; blocks of each kind."""
    for session, (datagrams, _) in enumerate(SESSIONS):
        for far in range(0, min(len(datagrams), 48), 3):
            for trouble in ((0,), (2, 60), (3, 20, 4, 0xFF, 0, 0xFF, 0xFF, 2), (1, 0, 4, 22, 254, 253, 0), (4,), (5,)):
                yield bytes((2, session, 1)) + b"\0\0" * far + bytes((0, *trouble)) + b"\0\0" * 8
        yield b"\0" + (VECTORS / "captures" / f"{NAMES[session]}.pcapng").read_bytes()[:2000]
    ethernet = (
        bytes(12) + b"\x08\x00" + b"\x45\0\0\x24" + bytes(4) + b"\x40\x11" + bytes(10) + b"\x03\xe8\x07\xd0\0\x10\0\0"
    )
    for link_type in (1, 0, 12, 101, 113, 228, 229, 276, 248):
        interface = bytes((0, 0, 8, link_type & 0xFF, link_type >> 8, 0, 0, 0, 0, 0, 0))
        for body in (ethernet, ethernet[14:], bytes(16) + ethernet[14:]):
            yield b"\x01" + interface + bytes((1, 0, len(body) + 8)) + body + bytes(8) + b"\x01\x00"
