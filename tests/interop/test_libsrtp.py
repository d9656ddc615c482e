"""SRTP against libsrtp2, the library of libwebrtc, Firefox and most others: every profile, each way, RTP and RTCP.

`libsrtp/session.c` is compiled here and talks packets in hex. Skipped where there is no C compiler or no libsrtp2
(Debian: libsrtp2-dev), unless SANS_RTC_REQUIRE_INTEROP=1 says that there has to be. Also pylibsrtp, as aiortc has it.
"""

import shutil
import subprocess
from pathlib import Path

import pytest
from interop_peers.absent import give_up

from sans_rtc.srtp import MasterKey, SrtpConfig, SrtpProfile, SrtpReceiver, SrtpSender
from sans_rtc.srtp.profile import profile_row
from sans_rtc.testing import SeededEntropy

pytestmark = pytest.mark.interop

SOURCE = Path(__file__).parent / "libsrtp" / "session.c"
SSRC = 0xCAFEBABE
AUTHENTICATION_FAILED = "!7"  # srtp_err_status_auth_fail
MKIS = [b"", b"\x01", b"\xe1\xf9\x7a\x0d"]
EXTENSION_IDS = frozenset({1, 3, 4})
IN_DTLS = [
    SrtpProfile.AES128_CM_SHA1_80,
    SrtpProfile.AES128_CM_SHA1_32,
    SrtpProfile.AEAD_AES_128_GCM,
    SrtpProfile.AEAD_AES_256_GCM,
]


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The compiled peer."""
    compiler = shutil.which("cc")
    if compiler is None:
        give_up("there is no C compiler")
    target = tmp_path_factory.mktemp("libsrtp") / "session"
    command = [compiler, "-O1", "-o", target, SOURCE, "-lsrtp2"]
    built = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if built.returncode:
        give_up(f"libsrtp2 is not there to compile against: {built.stderr[:300]}")
    return target


@pytest.fixture(params=list(SrtpProfile), ids=lambda profile: profile.name)
def profile(request):
    return request.param


def master_of(profile, mki=b""):
    row = profile_row(profile)
    draw = SeededEntropy("libsrtp")
    return MasterKey(draw(row.key_bytes), draw(row.salt_bytes), mki)


@pytest.fixture
def ask(program):
    """Give libsrtp packets to protect or unprotect, all with one session; what it answers, or its error."""

    def run(profile, master, letter, packets, ids=frozenset()):
        arguments = [str(int(profile)), (master.key + master.salt).hex(), master.mki.hex() or "-"]
        arguments.append(",".join(map(str, sorted(ids))) or "-")
        lines = "".join(f"{letter}{packet.hex()}\n" for packet in packets)
        done = subprocess.run(
            [program, *arguments], input=lines, capture_output=True, text=True, timeout=60, check=True
        )
        answers = done.stdout.split()
        assert len(answers) == len(packets)
        return [answer if answer.startswith("!") else bytes.fromhex(answer) for answer in answers]

    return run


def header(sequence_number, *, csrc_count=0, extension=b"", marker=0):
    first = 0x80 | csrc_count | (0x10 if extension else 0)
    packet = bytes((first, 96 | marker << 7)) + (sequence_number & 0xFFFF).to_bytes(2, "big") + bytes(4)
    packet += SSRC.to_bytes(4, "big") + bytes(range(4 * csrc_count))
    return packet + (extension and (len(extension) // 4 - 1).to_bytes(2, "big").join((extension[:2], extension[4:])))


ONE_BYTE = bytes.fromhex("bede000017414273a475262748220000c8308e4655996386b395fb00")
TWO_BYTES = bytes.fromhex("1000000001034142430300040455667788" + "00" * 3)
OTHER = bytes.fromhex("abcd00000102030405060708")


def rtp_packets(begin=65530):
    """RTP of every shape over a wrap of the sequence numbers: empty, long, with CSRCs, with extensions of each form."""
    packets = [header(begin + number) + bytes((number,)) * size for number, size in enumerate((0, 1, 15, 16, 17, 1300))]
    begin += len(packets)
    for number, extension in enumerate((b"", ONE_BYTE, TWO_BYTES, OTHER) * 2):
        packets.append(header(begin + number, csrc_count=number, extension=extension, marker=number & 1) + b"payload")
    return packets


def rtcp_packets():
    """RTCP with nothing behind its first header, and compounds."""
    report = b"\x80\xc9\x00\x01" + SSRC.to_bytes(4, "big")
    return [report, report + b"\x81\xca\x00\x02" + bytes(8), b"\x81\xc9\x00\x07" + SSRC.to_bytes(4, "big") + bytes(24)]


@pytest.mark.proves(
    "RFC3711-3.2.1-6-eab6",
    "RFC3711-4.3.2-1-355e",
    "RFC3711-3.4-10-2e0c",
    "RFC3711-3.4-11-a2b0",
    "RFC3711-4.1.1-4-ae7f",
    "RFC3711-4.3.2-2-f321",
)
@pytest.mark.parametrize("mki", MKIS, ids=["no mki", "mki of 1", "mki of 4"])
def test_libsrtp_takes_what_we_protect(ask, profile, mki):
    master = master_of(profile, mki)
    sender = SrtpSender(profile, master)
    packets = rtp_packets()
    assert ask(profile, master, "U", [sender.protect_rtp(packet) for packet in packets]) == packets
    if mki and profile_row(profile).rtp_tag_bytes == 4:
        return  # libsrtp 2.5 looks for RTCP's MKI where the length of RTP's tag has it; its pull request 733 mends that
    packets = rtcp_packets()
    assert ask(profile, master, "u", [sender.protect_rtcp(packet) for packet in packets]) == packets


@pytest.mark.proves(
    "RFC3711-3.2.1-6-eab6", "RFC3711-4.3.2-1-355e", "RFC3711-3.4-10-2e0c", "RFC3711-3.4-11-a2b0", "RFC3711-3.3-2-0938"
)
@pytest.mark.parametrize("mki", MKIS, ids=["no mki", "mki of 1", "mki of 4"])
def test_we_take_what_libsrtp_protects(ask, profile, mki):
    master = master_of(profile, mki)
    receiver = SrtpReceiver(profile, master)
    packets = rtp_packets()
    assert [receiver.unprotect_rtp(data) for data in ask(profile, master, "P", packets)] == packets
    packets = rtcp_packets()
    assert [receiver.unprotect_rtcp(data) for data in ask(profile, master, "p", packets)] == packets
    assert receiver.stats.discards == {}


@pytest.mark.proves("RFC3711-3.1-6-aa63", "RFC3711-3.3-1-c184")
def test_both_protect_rtp_to_the_same_bytes(ask, profile):
    master = master_of(profile)
    sender = SrtpSender(profile, master)
    packets = rtp_packets()
    assert [sender.protect_rtp(packet) for packet in packets] == ask(profile, master, "P", packets)


def test_both_refuse_what_the_other_did_not_protect(ask, profile):
    master = master_of(profile)
    sender, receiver = SrtpSender(profile, master), SrtpReceiver(profile, master)

    def flip(data):
        return data[:-1] + bytes((data[-1] ^ 1,))

    assert ask(profile, master, "U", [flip(sender.protect_rtp(rtp_packets()[1]))]) == [AUTHENTICATION_FAILED]
    assert receiver.unprotect_rtp(flip(ask(profile, master, "P", rtp_packets()[1:2])[0])) is None
    assert receiver.stats.discards == {"authentication_failed": 1}


def test_both_encrypt_header_extensions_one_by_one_to_the_same_bytes(ask, profile):
    """RFC 6904; libsrtp 2.5 does not know Cryptex."""
    master = master_of(profile)
    config = SrtpConfig(encrypted_extension_ids=EXTENSION_IDS)
    sender, receiver = SrtpSender(profile, master, config), SrtpReceiver(profile, master, config)
    packets = [header(number, extension=extension) + b"data" for number, extension in enumerate((ONE_BYTE, TWO_BYTES))]
    packets.append(header(2, csrc_count=2, extension=ONE_BYTE) + b"data")
    protected = ask(profile, master, "P", packets, EXTENSION_IDS)
    assert [sender.protect_rtp(packet) for packet in packets] == protected
    assert [receiver.unprotect_rtp(data) for data in protected] == packets
    assert ask(profile, master, "U", protected, EXTENSION_IDS) == packets


def test_both_follow_a_stream_through_loss_and_wraps(ask, profile):
    """Steps of up to 2**15 - 1 sequence numbers, four times round."""
    master = master_of(profile)
    sender, receiver = SrtpSender(profile, master), SrtpReceiver(profile, master)
    packets = [header(number) + b"x" for number in range(100, 1 << 18, 32767)]
    ours = [sender.protect_rtp(packet) for packet in packets]
    assert ours == ask(profile, master, "P", packets)
    assert ask(profile, master, "U", ours) == packets
    assert [receiver.unprotect_rtp(data) for data in ours] == packets
    assert receiver.explain().rtp[0].rollover_counter == 3


@pytest.mark.parametrize("seed", range(3))
def test_both_take_and_refuse_the_same_of_a_stream_that_is_shuffled_repeated_and_damaged(ask, profile, seed):
    """Of the same protected packets each accepts those that the other does, to the same bytes; RTP, over a wrap."""
    master, chance = master_of(profile), SeededEntropy(f"stream {seed}")
    sender, receiver = SrtpSender(profile, master), SrtpReceiver(profile, master)
    begin = 65536 - chance.below(100)
    sent = [
        header(begin + number, csrc_count=chance.below(4), extension=(b"", ONE_BYTE, TWO_BYTES, OTHER)[chance.below(4)])
        + chance(chance.below(200))
        for number in range(150)
    ]
    arriving = []
    for number, packet in enumerate(map(sender.protect_rtp, sent)):
        for _ in range((0, 1, 1, 1, 1, 2)[chance.below(6)]):
            arriving.append((number + 20 * chance.fraction(), packet))
        at = chance.below(len(packet))
        if chance.fraction() < 0.2:
            damaged = packet[:at] + bytes([packet[at] ^ 1 << chance.below(8)]) + packet[at + 1 :]
            arriving.append((number + 20 * chance.fraction(), damaged))
    stream = [packet for _, packet in sorted(arriving)]
    theirs = [None if isinstance(answer, str) else answer for answer in ask(profile, master, "U", stream)]
    ours = [receiver.unprotect_rtp(packet) for packet in stream]
    assert ours == theirs
    assert 50 < len([packet for packet in ours if packet is not None]) < len(stream) - 20


@pytest.mark.parametrize("profile", IN_DTLS, ids=lambda profile: profile.name)
def test_pylibsrtp_and_we_take_each_other_s_packets(profile):
    try:
        import pylibsrtp
    except ImportError:
        give_up("pylibsrtp is not installed (aiortc brings it)")
    policies = {
        SrtpProfile.AES128_CM_SHA1_80: pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
        SrtpProfile.AES128_CM_SHA1_32: pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
        SrtpProfile.AEAD_AES_128_GCM: pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
        SrtpProfile.AEAD_AES_256_GCM: pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    }
    master = master_of(profile)
    sender, receiver = SrtpSender(profile, master), SrtpReceiver(profile, master)

    def session(direction):
        policy = pylibsrtp.Policy(key=master.key + master.salt, ssrc_type=direction, srtp_profile=policies[profile])
        return pylibsrtp.Session(policy)

    outbound = session(pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
    inbound = session(pylibsrtp.Policy.SSRC_ANY_INBOUND)
    for packet in rtp_packets():
        ours = sender.protect_rtp(packet)
        assert ours == outbound.protect(packet)
        assert inbound.unprotect(ours) == packet
        assert receiver.unprotect_rtp(ours) == packet
    for packet in rtcp_packets():
        assert inbound.unprotect_rtcp(sender.protect_rtcp(packet)) == packet
        assert receiver.unprotect_rtcp(outbound.protect_rtcp(packet)) == packet
