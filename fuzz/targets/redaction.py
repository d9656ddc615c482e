"""Redaction: of any datagram, any text, any record, something of the same length or kind comes out."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.arguments import altered
from fuzz.codec import VECTORS, refuse, text_of, vector_bytes
from fuzz.script import Script
from fuzz.targets.capture import SESSIONS
from sans_rtc.datachannel import ChannelOptions
from sans_rtc.machine import Address
from sans_rtc.peer import PeerConnection
from sans_rtc.sctp import RELIABLE, Association, SctpConfig
from sans_rtc.sdp import parse_description
from sans_rtc.testing import SeededEntropy
from sans_rtc.trace import make_recorded
from sans_rtc.trace.aliases import Aliases
from sans_rtc.trace.redact import redact
from sans_rtc.trace.redact_sctp import redact_packet
from sans_rtc.trace.redact_text import redact_candidate, redact_extension, redact_sdp
from sans_rtc.trace.redact_wire import redact_datagram
from sans_rtc.trace.wire import read_records

FOREIGN = tuple(path.read_bytes().decode() for path in sorted((VECTORS / "sdp").glob("*.sdp")))


def _association() -> bytes:
    written: list[bytes] = []
    machine = make_recorded(Association, SctpConfig(), entropy=SeededEntropy(1), sink=written.append)
    machine.connect(1.0)
    machine.send(1, 51, b"x", RELIABLE, 1.0)
    machine.take_datagrams(1.0)
    machine.abort(2.0)
    machine.take_events()
    return b"".join(written)


def _peer() -> bytes:
    written: list[bytes] = []
    peer = make_recorded(PeerConnection, entropy=SeededEntropy(2), sink=written.append)
    peer.create_channel("chat", ChannelOptions(), 1.0)
    peer.set_local_description(None, 1.0)
    peer.take_events()
    peer.add_local_address(Address("10.0.0.1", 5000), "eth0", 1.0)
    peer.abort(1.0)
    peer.take_events()
    return b"".join(written)


RECORDINGS = (_association(), _peer())
DATAGRAMS = [data for datagrams, _ in SESSIONS for _, _, data in datagrams[:200]]


def run(data: bytes) -> None:
    """The first byte says of what."""
    if data:
        script = Script(data[1:])
        (_datagram, _real_datagram, _sctp, _sdp, _words, _recording)[data[0] % 6](script)


def _datagram(script: Script) -> None:
    _check(script.rest())


def _check(data: bytes) -> None:
    redacted = redact_datagram(data, Aliases())
    assert len(redacted) == len(data)
    assert redact_datagram(data, Aliases()) == redacted, "not the same twice"


def _real_datagram(script: Script) -> None:
    """With a part replaced."""
    real = DATAGRAMS[script.below(len(DATAGRAMS))]
    start = script.below(len(real) + 1)
    _check(real[:start] + script.blob(40) + real[start + script.below(40) :])


def _sctp(script: Script) -> None:
    data = script.rest()
    assert len(redact_packet(data, Aliases())) == len(data)


def _sdp(script: Script) -> None:
    """What was a description remains one."""
    text = altered(script.pick(FOREIGN), script)
    is_one = refuse(parse_description, text) is not None
    redacted = redact_sdp(text, Aliases())
    assert not is_one or refuse(parse_description, redacted) is not None, f"no longer a description: {redacted}"


def _words(script: Script) -> None:
    aliases, name = Aliases(), script.text(20)
    text = text_of(script.rest())
    for redacted in (
        redact_candidate(text, aliases),
        redact_candidate(f"candidate:1 1 udp 1 {text}", aliases),
        redact_extension(name, text, aliases),
        redact_sdp("v=0\r\n" + text, aliases),
        aliases.prose(text),
        aliases.host(text),
        aliases.text("text", text),
    ):
        assert isinstance(redacted, str)


def _recording(script: Script) -> None:
    """A file of anybody; what can be read can be redacted, and read again."""
    whole = script.pick(RECORDINGS)
    start = script.below(len(whole) + 1)
    data = whole[:start] + script.blob(60) + whole[start + script.below(60) :]
    records = refuse(lambda: list(read_records(data)))
    redacted = None if records is None else refuse(lambda: list(redact(records)))
    if redacted is not None:
        assert len(list(read_records(b"".join(record.serialize() for record in redacted)))) == len(redacted)


def seeds() -> Iterator[bytes]:
    """Real datagrams, whole and with secrets; descriptions of browsers; recordings, damaged here and there."""
    for data in [*vector_bytes("stun", "message", "bytes"), *vector_bytes("rtcp", "bytes"), *DATAGRAMS[::7]]:
        if len(data) < 1200:
            yield b"\0" + data
            yield b"\x02" + data
    for number in range(0, len(DATAGRAMS), 9):
        yield b"\x01" + number.to_bytes(2, "big") + b"\x14\x0c" + bytes(range(12)) + b"\x0c"
    for number in range(len(FOREIGN)):
        yield bytes((3, number, 2, 10, 3, 8)) + b"10.0.0.1" + bytes((20, 0, 1))
    yield b"\x04\x05ufrag10.0.0.1 5000 typ host raddr host.local rport 9"
    for number, recording in enumerate(RECORDINGS):
        for start in range(0, len(recording), len(recording) // 40):
            yield bytes((5, number)) + start.to_bytes(2, "big") + bytes((2, 1, 2, 3))
