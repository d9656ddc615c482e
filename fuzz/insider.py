"""The authenticated peer that says whatever it likes: bytes under the session's own keys, tags and checksums."""

from __future__ import annotations

from typing import Any

from fuzz.script import Script
from sans_rtc import dtls
from sans_rtc.machine import Datagram
from tests.property.scenes.forgeries import reseal_sctp

CONTENT_TYPES = (22, 23, 21, 20, 24, 0, 255)
HANDSHAKE_TYPES = (0, 1, 2, 3, 11, 12, 13, 14, 15, 16, 20, 255)
CHUNK_TYPES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 63, 130, 132, 192, 255)


def records_of(connection: dtls.Connection) -> Any:
    """Where a connection makes its records: no machine would let anybody else do so."""
    return connection._records


def a_record(connection: dtls.Connection, script: Script) -> bytes:
    """A record of any type in the epoch that the connection writes in, handshake messages with a whole header."""
    kind, body = script.pick(CONTENT_TYPES), script.blob(255)
    if kind == 22 and script.below(4):
        size = len(body).to_bytes(3, "big")
        number = script.below(12).to_bytes(2, "big")
        body = bytes((script.pick(HANDSHAKE_TYPES),)) + size + number + bytes(3) + size + body
    sealed: bytes = records_of(connection).seal(kind, body)
    return sealed


def speak_dtls(scene: Any, script: Script) -> None:
    """The other end of a DTLS connection sends a record that no handshake asks for."""
    if not scene.other.is_terminated:
        scene.front.receive(a_record(scene.other, script), scene.now)


def speak_as_peer(scene: Any, script: Script) -> None:
    """The other peer sends chunks that no association would, on a data stream of any kind, or any DTLS record."""
    transport = scene.other._transport
    connection, association = transport.connection, transport.data.association
    if connection is None or connection.is_terminated:
        return
    if association is None or association._tcb is None or not script.below(4):
        record = a_record(connection, script)
    else:
        record = records_of(connection).seal(23, _packet(association._tcb.sealer.prefix, script))
    scene.front.receive(Datagram(record, scene.usual_path), scene.now)


def _packet(prefix: bytes, script: Script) -> bytes:
    """One to three chunks under the association's own tag."""
    chunks = b""
    for _ in range(1 + script.below(3)):
        kind, flags, value = script.pick(CHUNK_TYPES), script.below(256), script.blob(255)
        chunks += bytes((kind, flags)) + (4 + len(value)).to_bytes(2, "big") + value + bytes(-len(value) % 4)
    return reseal_sctp(prefix + bytes(4) + chunks)
