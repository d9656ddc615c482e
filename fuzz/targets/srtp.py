"""SRTP and SRTCP as they arrive: of strangers, damaged, again, and whatever the authenticated peer puts into them."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.codec import allow_misuse, refuse, vector_bytes
from fuzz.media import Stream, an_rtcp, written
from fuzz.script import Script
from sans_rtc.rtp import parse_rtp
from sans_rtc.srtp import CryptexPolicy, MasterKey, SrtpConfig, SrtpProfile, SrtpReceiver, SrtpSender
from sans_rtc.srtp.profile import profile_row
from tests.property.objects import footprint, snapshot

PROFILES = tuple(SrtpProfile)
SSRCS = (1, 2, 3, 0xFFFFFFFF)
CONFIGS = tuple(
    SrtpConfig(
        stream_count_max=3,
        replay_window_size=64,
        cryptex=cryptex,
        encrypted_extension_ids=ids,
        accepts_unencrypted_rtcp=takes_plain,
    )
    for cryptex in CryptexPolicy
    for ids, takes_plain in ((frozenset(), False), (frozenset({1, 3, 200}), True))
    if not (ids and cryptex is CryptexPolicy.REQUIRED)
)
OPERATIONS_MAX = 60
ITEMS_MAX, BYTES_MAX = 5_000, 200_000


class Ends:
    """A sender, a receiver, and what was sent."""

    def __init__(self, script: Script) -> None:
        profile, config, mki = script.pick(PROFILES), script.pick(CONFIGS), script.pick((b"", b"", b"k", b"key1"))
        row = profile_row(profile)
        self.row, self.mki = row, mki
        self.master = MasterKey(bytes(range(row.key_bytes)), bytes(row.salt_bytes), mki)
        self.sender = SrtpSender(profile, self.master, config)
        self.receiver = SrtpReceiver(profile, self.master, config)
        self.streams = [Stream(ssrc, (96, 97, 72, 127)) for ssrc in SSRCS]
        self.sent: list[tuple[bytes, bytes | None]] = []

    @property
    def _streams(self) -> tuple[object, object]:
        return self.receiver._streams, self.receiver._rtcp_streams

    def arrive(self, data: bytes, *, is_authentic: bytes | None = None) -> None:
        """Both ways to read it; what is not authentic changes nothing."""
        before = snapshot(self._streams)
        for unprotect in (self.receiver.unprotect_rtp, self.receiver.unprotect_rtcp):
            plain = unprotect(data)
            if plain is None:
                continue
            assert is_authentic is None or _are_same(plain, is_authentic), f"{is_authentic!r} came out as {plain!r}"
            return
        if is_authentic is None:
            assert snapshot(self._streams) == before, "a forgery moved something"


def _are_same(plain: bytes, sent: bytes) -> bool:
    """Cryptex gives CSRCs an empty extension to be hidden behind (RFC 9335)."""
    return plain == sent or refuse(parse_rtp, plain) == refuse(parse_rtp, sent)


def run(data: bytes) -> None:
    """The bytes are a script."""
    script = Script(data)
    ends = Ends(script)
    for _ in range(OPERATIONS_MAX):
        if script.is_over:
            break
        script.pick(OPERATIONS)(ends, script)
    size = footprint(ends.receiver)
    assert size.items <= ITEMS_MAX and size.bytes <= BYTES_MAX, size
    str(ends.receiver.explain())


def _send(ends: Ends, plain: bytes, protect) -> None:
    sealed = allow_misuse(protect, plain)
    if sealed is not None:
        ends.sent.append((sealed, plain))
        ends.arrive(sealed, is_authentic=plain if len(ends.sent) == 1 else None)


def _send_packet(ends: Ends, script: Script) -> None:
    _send(ends, written(script.pick(ends.streams).next_packet(script)), ends.sender.protect_rtp)


def _send_bytes(ends: Ends, script: Script) -> None:
    """With a head that says RTP, whatever follows it."""
    data = script.blob(255)
    head = b"\x80\x60" + script.take(6) + script.pick(SSRCS).to_bytes(4, "big")
    flags = script.below(256)
    _send(ends, bytes((head[0] | flags & 0x3F,)) + head[1:] + data, ends.sender.protect_rtp)


def _send_rtcp(ends: Ends, script: Script) -> None:
    plain = an_rtcp(script, SSRCS)
    _send(ends, plain, ends.sender.protect_rtcp)


def _keep_back(ends: Ends, script: Script) -> None:
    """Sent, and not arrived yet."""
    sealed = allow_misuse(ends.sender.protect_rtp, written(script.pick(ends.streams).next_packet(script)))
    if sealed is not None:
        ends.sent.append((sealed, None))


def _again(ends: Ends, script: Script) -> None:
    if ends.sent:
        ends.receiver.unprotect_rtp(script.pick(ends.sent)[0])


def _damage(ends: Ends, script: Script) -> None:
    if not ends.sent:
        return
    sealed = bytearray(script.pick(ends.sent)[0])
    for _ in range(1 + script.below(3)):
        bit = script.below(8 * len(sealed))
        sealed[bit // 8] ^= 0x80 >> bit % 8
    ends.receiver.unprotect_rtp(bytes(sealed))
    ends.receiver.unprotect_rtcp(bytes(sealed))


def _cut(ends: Ends, script: Script) -> None:
    if ends.sent:
        sealed = script.pick(ends.sent)[0]
        piece = sealed[: script.below(len(sealed))] + script.blob(8)
        ends.receiver.unprotect_rtp(piece)
        ends.receiver.unprotect_rtcp(piece)


def _any(ends: Ends, script: Script) -> None:
    ends.arrive(script.blob(1500))


def _new_key(ends: Ends, script: Script) -> None:
    master = MasterKey(script.take(ends.row.key_bytes), script.take(ends.row.salt_bytes), script.blob(8))
    allow_misuse(ends.receiver.add_master_key, master)


def _drop_key(ends: Ends, script: Script) -> None:
    allow_misuse(ends.receiver.remove_master_key, ends.mki if script.below(2) else script.blob(8))


def _roll(ends: Ends, script: Script) -> None:
    ssrc, counter = script.pick(SSRCS), script.pick((0, 1, 2, 0xFFFFFFFE, 0xFFFFFFFF, 1 << 32))
    for end in (ends.sender, ends.receiver):
        if script.below(4):
            allow_misuse(end.set_rollover_counter, ssrc, counter)


def _forget(ends: Ends, script: Script) -> None:
    ends.receiver.forget_stream(script.pick(SSRCS))


OPERATIONS = (
    _send_packet,
    _send_bytes,
    _send_rtcp,
    _keep_back,
    _again,
    _damage,
    _cut,
    _any,
    _new_key,
    _drop_key,
    _roll,
    _forget,
)


def seeds() -> Iterator[bytes]:
    """Packets of every shape under every profile; the vectors as a stranger's."""
    for profile in range(len(PROFILES)):
        for config in range(len(CONFIGS)):
            head = bytes((profile, config, profile % 4))
            for shape in (1, 9, 0x11, 0x21, 0x41, 0x61):
                yield head + bytes((0, 0, shape, 0, 2, 4, 3, 1, 3, 1, 2, 3, 4, 5, 6, 7)) + bytes((2, 1, 0, 1, 8)) * 2
            yield head + bytes((2, 1, 0, 1, 1, 8)) + bytes(12) + bytes((4, 0, 5, 0, 0, 0, 40, 6, 0, 20, 1, 1))
    for packet in vector_bytes("srtp", "packet", "protected", "ciphertext", "plain"):
        yield bytes((0, 0, 0, 7)) + len(packet).to_bytes(2, "big") + packet
