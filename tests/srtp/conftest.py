"""What the SRTP tests share: master keys, pairs of sender and receiver, packets, vectors, the state of a receiver."""

import json
from pathlib import Path

import pytest

from sans_rtc.srtp import DiscardReason, MasterKey, SrtpConfig, SrtpProfile, SrtpReceiver, SrtpSender
from sans_rtc.srtp.profile import profile_row
from sans_rtc.testing import SeededEntropy

VECTORS = Path(__file__).parents[2] / "rfc-vectors" / "srtp"
SSRC = 0xCAFEBABE
PROFILES = list(SrtpProfile)


def load(name):
    return json.loads((VECTORS / name).read_text())


def master_of(profile, name="a", mki=b""):
    """A master key, the same for the same name."""
    row = profile_row(profile)
    draw = SeededEntropy(f"srtp {name}")
    return MasterKey(draw(row.key_bytes), draw(row.salt_bytes), mki)


def rtp(sequence_number=0, *, ssrc=SSRC, payload=b"payload", csrcs=(), extension=None, marker=False):
    """An RTP packet; `extension` is "defined by profile" and the words."""
    first = 0x80 | len(csrcs) | (0x10 if extension is not None else 0)
    packet = bytes((first, 96 | marker << 7)) + sequence_number.to_bytes(2, "big") + b"\0\0\x12\x34"
    packet += ssrc.to_bytes(4, "big") + b"".join(csrc.to_bytes(4, "big") for csrc in csrcs)
    if extension is not None:
        profile, body = extension
        assert len(body) % 4 == 0
        packet += profile.to_bytes(2, "big") + (len(body) // 4).to_bytes(2, "big") + body
    return packet + payload


def rtcp(ssrc=SSRC, rest=b"\x11" * 20):
    """A receiver report, roughly."""
    size = (4 + len(rest)) // 4
    return b"\x81\xc9" + size.to_bytes(2, "big") + ssrc.to_bytes(4, "big") + rest


class Pair:
    """A sender and the receiver that has its key."""

    def __init__(self, profile=SrtpProfile.AEAD_AES_128_GCM, *, mki=b"", receiver_config=None, **settings):
        self.profile = profile
        self.config = SrtpConfig(**settings)
        self.master = master_of(profile, mki=mki)
        self.sender = SrtpSender(profile, self.master, self.config)
        self.receiver = SrtpReceiver(profile, self.master, receiver_config or self.config)

    def send(self, sequence_number, **fields):
        return self.sender.protect_rtp(rtp(sequence_number, **fields))

    def receive(self, data):
        """The reason of the discard, or the packet."""
        return outcome(self.receiver, self.receiver.unprotect_rtp, data)

    def receive_rtcp(self, data):
        return outcome(self.receiver, self.receiver.unprotect_rtcp, data)


def outcome(receiver, unprotect, data):
    before = dict(receiver.stats.discards)
    packet = unprotect(data)
    after = receiver.stats.discards
    grown = [reason for reason in DiscardReason if after[reason] != before.get(reason, 0)]
    if packet is not None:
        assert grown == []
        return packet
    assert len(grown) == 1 and after[grown[0]] == before.get(grown[0], 0) + 1
    return grown[0]


def state_of(end):
    """All that a sender or receiver remembers about streams, as plain data."""

    def streams(table):
        return {ssrc: (stream.packet_count, stream.highest, stream.seen.tolist()) for ssrc, stream in table.items()}

    return streams(end._streams), streams(end._rtcp_streams), dict(end._initial_rocs)


@pytest.fixture(scope="session", params=PROFILES, ids=lambda profile: profile.name)
def profile(request):
    return request.param


@pytest.fixture(
    scope="session", params=[SrtpProfile.AES128_CM_SHA1_80, SrtpProfile.AEAD_AES_128_GCM], ids=["cm", "gcm"]
)
def kind(request):
    """One profile of each kind."""
    return request.param


@pytest.fixture(scope="session")
def make_pair():
    return Pair


@pytest.fixture(scope="session")
def tools():
    """The functions of this file, for tests cannot import it."""

    class Tools:
        pass

    for function in (load, master_of, rtp, rtcp, outcome, state_of):
        setattr(Tools, function.__name__, staticmethod(function))
    Tools.SSRC = SSRC
    return Tools
