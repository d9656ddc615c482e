"""What the media tests share: sections, frames of every codec, and two sessions joined by a link in virtual time."""

import attrs
import pytest

from sans_rtc.media import (
    CodecParameters,
    Encoding,
    FrameReceived,
    MediaConfig,
    MediaSection,
    OutgoingFrame,
    ReceiveParameters,
    RemoteSource,
    RtpSession,
    SendParameters,
)
from sans_rtc.rtcp import parse_compound, serialize_compound
from sans_rtc.rtp import Extension, RtpPacket, is_rtcp, parse_rtp, serialize_rtp
from sans_rtc.rtp.payload import Obu, codecs_named, serialize_obus
from sans_rtc.rtp.payload.interface import MediaKind
from sans_rtc.srtp import MasterKey, SrtpProfile, SrtpReceiver, SrtpSender
from sans_rtc.testing import Link, LinkConditions, SeededEntropy

PROFILE = SrtpProfile.AEAD_AES_128_GCM
KEY_A, KEY_B = MasterKey(b"a" * 16, b"s" * 12), MasterKey(b"b" * 16, b"t" * 12)
AUDIO, VIDEO = 1, 2
EXTENSIONS = (
    (1, Extension.SSRC_AUDIO_LEVEL),
    (2, Extension.ABS_SEND_TIME),
    (3, Extension.TRANSPORT_CC),
    (4, Extension.MID),
    (10, Extension.RID),
    (11, Extension.REPAIRED_RID),
    (13, Extension.VIDEO_ORIENTATION),
    (14, Extension.ABS_CAPTURE_TIME),
)
FEEDBACK = frozenset(("nack", "nack pli", "ccm fir", "transport-cc"))


def without(*uris):
    return tuple(pair for pair in EXTENSIONS if pair[1] not in uris)


def video_codec(name="VP8", *, payload_type=96, feedback=FEEDBACK, rtx=97, parameters=None):
    codec = codecs_named(name)[0]
    return CodecParameters(payload_type, codec, codec.parameters if parameters is None else parameters, feedback, rtx)


def audio_codec(name="opus", *, payload_type=111, feedback=frozenset(("transport-cc",)), clock_rate=None):
    codec = codecs_named(name, clock_rate)[0]
    return CodecParameters(payload_type, codec, codec.parameters, feedback)


def section(
    handle, kind, codecs, *, encodings=(), rids=(), extensions=EXTENSIONS, sources=(), send=True, receive=True,
    fec=(), cname="cname", **settings,
):  # fmt: skip
    return MediaSection(
        handle,
        f"m{handle}",
        kind,
        SendParameters(codecs, encodings, extensions, cname) if send else None,
        ReceiveParameters(codecs, extensions, sources, rids, fec) if receive else None,
        **settings,
    )


def audio_section(handle=AUDIO, *, ssrc=0xA0, codec=None, **settings):
    return section(handle, MediaKind.AUDIO, (codec or audio_codec(),), encodings=(Encoding("", ssrc),), **settings)


def video_section(handle=VIDEO, *, ssrc=0xB0, codec=None, **settings):
    encodings = settings.pop("encodings", (Encoding("", ssrc, ssrc + 1),))
    return section(handle, MediaKind.VIDEO, (codec or video_codec(),), encodings=encodings, **settings)


def body(size, seed):
    """Bytes that no two frames share."""
    block = bytes((0x80 | seed & 0x7F, 0x80 | seed >> 7 & 0x7F, 0xA5, 0x5A, 0x77))
    return (block * (size // len(block) + 1))[:size]


def vp8(is_key, size, seed):
    tag = (0 if is_key else 1) | 1 << 4 | max(size - 10, 0) << 5
    return tag.to_bytes(3, "little") + (b"\x9d\x01\x2a\x40\x01\xf0\x00" if is_key else b"") + body(size, seed)


def vp9(is_key, size, seed):
    return (b"\x82\x49\x83\x42\x20\x13\xf0\x0e\xf0" if is_key else b"\x86\x00\x40\x92") + body(size, seed)


def h264(is_key, size, seed):
    units = [b"\x67\x42\xe0\x1f" + b"\x11" * 8, b"\x68\xce\x3c\x80"] if is_key else []
    units.append((b"\x65\x88" if is_key else b"\x41\x9a") + body(size, seed))
    return b"".join(b"\0\0\0\1" + unit for unit in units)


def h265(is_key, size, seed):
    units = [b"\x40\x01\x0c", b"\x42\x01\x01", b"\x44\x01\xc1"] if is_key else []
    units.append((b"\x26\x01" if is_key else b"\x02\x01") + b"\x80" + body(size, seed))
    return b"".join(b"\0\0\0\1" + unit for unit in units)


def av1(is_key, size, seed):
    obus = [Obu(b"\x08", b"\x00\x00\x00\x02\xaf\xff\xbf\xff\x30\x08")] if is_key else []
    obus.append(Obu(b"\x30", (b"\x10" if is_key else b"\x30") + body(size, seed)))
    return serialize_obus(obus)


VIDEO_FRAMES = {"VP8": vp8, "VP9": vp9, "H264": h264, "H265": h265, "AV1": av1}


def opus(seed, size=60):
    return b"\xfc" + body(size, seed)


AUDIO_FRAMES = {
    "opus": opus,
    "PCMU": lambda seed: body(160, seed),
    "PCMA": lambda seed: body(160, seed),
    "G722": lambda seed: body(160, seed),
    "L16": lambda seed: body(400, seed),
    "CN": lambda seed: bytes((40 + seed % 20,)),
    "telephone-event": lambda seed: bytes((seed % 12, 10, 0, 160)),
}


class Pair:
    """Two sessions, each with an audio and a video section, and a link between them."""

    def __init__(
        self, *, config=None, sections=None, other_sections=None, conditions=None, seed=1, keys=(KEY_A, KEY_B),
        profile=PROFILE,
    ):  # fmt: skip
        config = config or MediaConfig()
        mine = [audio_section(ssrc=0xA1), video_section(ssrc=0xB1)] if sections is None else sections
        theirs = [audio_section(ssrc=0xA5), video_section(ssrc=0xB5)] if other_sections is None else other_sections
        self.a = RtpSession(config, entropy=SeededEntropy(f"a {seed}"))
        self.b = RtpSession(config, entropy=SeededEntropy(f"b {seed}"))
        self.link = Link(self.a, self.b, seed=seed, conditions=conditions or LinkConditions())
        if keys:
            self.a.set_keys(profile, keys[0], keys[1], self.now)
            self.b.set_keys(profile, keys[1], keys[0], self.now)
        self.a.configure(mine, self.now)
        self.b.configure(theirs, self.now)
        self.began_at = self.now
        self.link.flush()

    @property
    def now(self):
        return self.link.now

    @property
    def elapsed_s(self):
        return self.now - self.began_at

    def events(self, end, kind):
        return [event for event in self.link.events[end] if isinstance(event, kind)]

    def frames(self, end, handle=None):
        return [e.frame for e in self.events(end, FrameReceived) if handle in (None, e.handle)]

    def send(self, end, handle, data, timestamp, **fields):
        self.link.ends[end].send_frame(handle, OutgoingFrame(data, timestamp, **fields), self.now)
        self.link.flush()

    def play_video(
        self, count, *, end=0, handle=VIDEO, size=3000, key_every=30, make=vp8, interval_s=1 / 30, first=0, **fields
    ):  # fmt: skip
        """Send frames in time; returns their bytes."""
        sent = []
        for index in range(first, first + count):
            data = make(key_every and index % key_every == 0, size, index)
            sent.append(data)
            self.send(end, handle, data, int(index * 90000 * interval_s), **fields)
            self.link.run_for(interval_s)
        return sent

    def play_audio(self, count, *, end=0, handle=AUDIO, make=opus, clock_rate=48000, interval_s=0.02, first=0):
        sent = []
        for index in range(first, first + count):
            data = make(index)
            sent.append(data)
            self.send(end, handle, data, int(index * clock_rate * interval_s))
            self.link.run_for(interval_s)
        return sent


class Tap:
    """Opens what an end sends; keys are known here."""

    def __init__(self, pair, media, end):
        self.srtp = SrtpReceiver(media.PROFILE, (media.KEY_A, media.KEY_B)[end])
        self.sealer = SrtpSender(media.PROFILE, (media.KEY_B, media.KEY_A)[end])
        self.rtcp, self.sizes = [], []
        self.pair, self.end = pair, end
        pair.link.filter = self

    def __call__(self, end, datagram):
        if end == self.end and is_rtcp(datagram):
            plain = self.srtp.unprotect_rtcp(datagram)
            self.rtcp.append((self.pair.now, parse_compound(plain, allow_reduced_size=True)))
            self.sizes.append(len(datagram))
        return datagram

    def of(self, kind):
        return [packet for _, packets in self.rtcp for packet in packets if isinstance(packet, kind)]

    def answer(self, *packets):
        """Say this to the end that is tapped, as its peer would."""
        machine = self.pair.link.ends[self.end]
        machine.receive(self.sealer.protect_rtcp(serialize_compound(packets)), self.pair.now)
        self.pair.link.flush()


class Peer:
    """Speaks RTP to the second end of a pair, with the keys of the first."""

    def __init__(self, pair, media):
        self.pair = pair
        self.srtp = SrtpSender(media.PROFILE, media.KEY_A)

    def say(self, ssrc, number, *, payload_type=111, payload=b"\xfc123", extensions=(), timestamp=None, marker=False):
        at = number * 960 if timestamp is None else timestamp
        packet = RtpPacket(payload_type, number, at, ssrc, payload, marker, (), list(extensions))
        self.pair.b.receive(self.srtp.protect_rtp(serialize_rtp(packet)), self.pair.now)
        self.pair.link.flush()


def plain_of(pair, media, end):
    """The RTP that an end has sent, opened."""
    srtp = SrtpReceiver(media.PROFILE, (media.KEY_A, media.KEY_B)[end])
    return [parse_rtp(srtp.unprotect_rtp(datagram)) for datagram in pair.link.sent[end] if not is_rtcp(datagram)]


@pytest.fixture
def pair():
    """pair(**settings): two sessions with keys, configured."""
    return Pair


@pytest.fixture
def media():
    """The builders above, for tests in files of their own."""
    import types

    names = (
        "AUDIO AUDIO_FRAMES EXTENSIONS FEEDBACK KEY_A KEY_B PROFILE VIDEO VIDEO_FRAMES audio_codec audio_section av1 "
        "Peer Tap plain_of body h264 h265 opus section video_codec video_section vp8 vp9 without"
    )
    space = types.SimpleNamespace(**{name: globals()[name] for name in names.split()})
    space.evolve = attrs.evolve
    space.RemoteSource = RemoteSource
    space.OutgoingFrame = OutgoingFrame
    return space


@pytest.fixture
def joined(pair, media):
    """joined(**settings): a pair, and a peer that speaks to its second end."""

    def make(**settings):
        made = pair(**settings)
        return made, Peer(made, media)

    return make
