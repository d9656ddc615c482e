"""Snapshots whose seal is right and whose content is anybody's: restored as the machine asked for, or refused.

Whoever has the key may make any state; that it is a sound one is not promised. But nothing else is made than objects of
the library, in bounded time, and nothing is raised but LocalError.
"""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.codec import allow_misuse
from fuzz.script import Script
from sans_rtc.machine import Address
from sans_rtc.media import MediaConfig, OutgoingFrame, RtpSession
from sans_rtc.peer import PeerConnection
from sans_rtc.rtp import RtpPacket, serialize_rtp
from sans_rtc.sctp import RELIABLE, Association, SctpConfig
from sans_rtc.snapshot import restore, snapshot_id, store
from sans_rtc.snapshot.encode import encode
from sans_rtc.snapshot.sealing import seal
from sans_rtc.srtp import MasterKey, SrtpSender
from sans_rtc.testing import SeededEntropy
from tests.media.conftest import PROFILE, VIDEO, audio_section, video_section, vp8
from tests.property.objects import footprint

KEY = bytes(range(32))
ENTROPY = SeededEntropy("snapshot")
ITEMS_MAX, BYTES_MAX = 200_000, 4_000_000


def _peer() -> PeerConnection:
    peer = PeerConnection(entropy=SeededEntropy("peer"))
    peer.add_local_address(Address("10.0.0.1", 5000), "eth0", 1.0)
    return peer


def _association() -> Association:
    association = Association(SctpConfig(), entropy=SeededEntropy("association"))
    association.connect(1.0)
    association.send(1, 51, b"hello", RELIABLE, 1.0)
    return association


def _media() -> RtpSession:
    key = MasterKey(bytes(16), bytes(12))
    session = RtpSession(MediaConfig(), entropy=SeededEntropy("media"))
    session.set_keys(PROFILE, key, key, 1.0)
    session.configure([audio_section(), video_section()], 1.0)
    sealer = SrtpSender(PROFILE, key)
    for number in (1, 2, 4):
        packet = RtpPacket(96, number, 3000 * number, 5, b"\x10" + vp8(number == 1, 60, number), True)
        session.receive(sealer.protect_rtp(serialize_rtp(packet)), 1.0)
    session.send_frame(VIDEO, OutgoingFrame(vp8(True, 200, 1), 0), 1.0)
    return session


MACHINES = (_peer(), _association(), _media(), [1, "two", (3.0, b"four"), {"five": {6}}])
BODIES = tuple(encode(machine, 1.0) for machine in MACHINES)
EDITS_MAX = 8


def run(data: bytes) -> None:
    """The first byte chooses a machine, or bytes that are the body, or the whole file; then come changes."""
    script = Script(data)
    number = script.below(len(MACHINES) + 2)
    if number < len(MACHINES):
        body = bytearray(BODIES[number])
        for _ in range(EDITS_MAX):
            if script.is_over:
                break
            start, size = script.below(len(body) + 1), script.below(8)
            body[start : start + size] = script.blob(12)
        _restore(type(MACHINES[number]), seal(bytes(body), KEY))
    elif number == len(MACHINES):
        _restore(list, seal(script.rest(), KEY))
    else:
        sealed = script.rest()
        allow_misuse(snapshot_id, sealed)
        _restore(list, sealed)


def _restore(kind: type, sealed: bytes) -> None:
    machine = allow_misuse(lambda: restore(kind, sealed, KEY, entropy=ENTROPY))
    if machine is None:
        return
    assert type(machine) is kind
    size = footprint(machine)
    assert size.items <= ITEMS_MAX and size.bytes <= BYTES_MAX, size
    again = allow_misuse(lambda: store(machine, KEY, 1.0))
    if again is not None:
        restored = allow_misuse(lambda: restore(kind, again, KEY, entropy=ENTROPY))
        assert restored is None or store(restored, KEY, 1.0) == again, "stored again, it is another"


def seeds() -> Iterator[bytes]:
    """Every machine, changed at many places; small bodies of plain data; a whole file."""
    for number, body in enumerate(BODIES):
        yield bytes((number,))
        size = max(1, (len(body).bit_length() + 7) // 8)
        for start in range(0, len(body), max(1, len(body) // 150)):
            yield bytes((number,)) + start.to_bytes(size, "big") + bytes((1, 1, start & 0xFF))
            yield bytes((number,)) + start.to_bytes(size, "big") + bytes((4, 6, 1, 2, 3, 4, 5, 6))
    for value in (
        [],
        [1, -1, 1 << 70],
        [0.5, None, True],
        ["x", b"y"],
        [(1, (2, (3,)))],
        [{1: [2]}, {3}, frozenset({4})],
    ):
        yield bytes((len(MACHINES),)) + encode(value, 0.0)
        yield bytes((len(MACHINES) + 1,)) + store(value, KEY, 0.0)
