"""Captures of browsers become decoded messages; what a capture holds is anybody's and harms nobody."""

import json
import struct
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.errors import WireError
from sans_rtc.machine import Address
from sans_rtc.trace import pcapng
from sans_rtc.trace.capture import Frame, KeyLog, read_capture
from sans_rtc.trace.decode import SessionDecoder, decode_capture
from sans_rtc.trace.key_ring import KeyRing
from sans_rtc.trace.link import udp_of
from sans_rtc_demo.main import main
from tests.trace.sessions import live

CAPTURES = Path(__file__).parents[2] / "rfc-vectors" / "captures"
ENDS = (Address("192.0.2.1", 1000), Address("192.0.2.2", 2000))


def decoded(name, keys=None):
    data = (CAPTURES / f"{name}.pcapng").read_bytes()
    return list(decode_capture(data, (CAPTURES / f"{name}.keys").read_text() if keys is None else keys))


def named(messages, layer, name):
    return [message for message in messages if (message.layer, message.name) == (layer, name)]


@pytest.mark.parametrize("name", ["firefox_dtls12", "firefox_dtls13"])
def test_browsers_session_is_decoded_through_all_layers(name):
    messages = decoded(name)
    counts = Counter((message.layer, message.name) for message in messages)
    for chunk in ("INIT", "INIT ACK", "COOKIE ECHO", "COOKIE ACK"):
        assert counts["sctp", chunk] == 2, chunk  # both ends connect (RFC 9260 5.2.1)
    assert counts["dtls", "Finished"] == 2
    assert [message.fields["label"] for message in named(messages, "dcep", "DATA_CHANNEL_OPEN")] == ["pair"]
    assert counts["dcep", "DATA_CHANNEL_ACK"] == 1
    assert [message.fields["content"] for message in named(messages, "data", "text")] == ["ping", "pong"]
    assert counts["stun", "Binding request"] == counts["stun", "Binding success response"]
    assert [message.fields["alert"] for message in named(messages, "dtls", "Alert")] == ["close_notify"] * 2


@pytest.mark.parametrize("name", ["firefox_dtls12", "firefox_dtls13"])
def test_media_is_opened_with_the_keys_of_dtls(name):
    messages = decoded(name)
    rtp = named(messages, "rtp", "RTP")
    assert len(rtp) > 100 and all(message.fields["is_opened"] for message in rtp)
    assert {message.fields["payload_type"] for message in rtp} >= {109, 124}  # Opus, H.264
    (report,) = named(messages, "rtcp", "SenderReport")
    assert report.fields["ssrc"] in {message.fields["ssrc"] for message in rtp}
    assert len(named(messages, "rtcp", "Goodbye")) == 2


def test_version_and_suite_are_told():
    (hello,) = named(decoded("firefox_dtls12"), "dtls", "ServerHello")
    assert (hello.fields["version"], hello.fields["srtp_profile"]) == ("1.2", [7])
    (hello,) = named(decoded("firefox_dtls13"), "dtls", "ServerHello")
    assert (hello.fields["version"], hello.fields["cipher_suite"]) == ("1.3", "TLS_AES_128_GCM_SHA256")
    (extensions,) = named(decoded("firefox_dtls13"), "dtls", "EncryptedExtensions")
    assert extensions.fields["srtp_profile"] == [7]


@pytest.mark.parametrize("name", ["firefox_dtls12", "firefox_dtls13", "chromium_dtls13_in_stun"])
def test_without_keys_what_is_closed_says_why(name):
    messages = decoded(name, keys="")
    closed = [message for message in messages if message.name.startswith("protected")]
    assert closed and {message.fields["why"] for message in closed} == {"no keys for its session"}
    assert not [message for message in messages if message.layer in ("sctp", "dcep", "data")]
    rtp = named(messages, "rtp", "RTP")
    assert rtp and not any(message.fields["is_opened"] for message in rtp)
    assert len({message.fields["ssrc"] for message in rtp}) == 3  # one for retransmissions


def test_handshake_inside_stun_is_found():
    messages = decoded("chromium_dtls13_in_stun", keys="")
    (client,), (server,) = named(messages, "dtls", "ClientHello"), named(messages, "dtls", "ServerHello")
    assert "1.3" in client.fields["versions"]
    assert server.fields["version"] == "1.3"


@pytest.mark.parametrize("name", ["firefox_dtls12", "firefox_dtls13"])
def test_wrong_keys_open_nothing(name):
    keys = (CAPTURES / f"{name}.keys").read_text().splitlines()
    wrong = "\n".join([line[:-1] + ("0" if line[-1] != "0" else "1") for line in keys])
    messages = decoded(name, keys=wrong)
    assert not [message for message in messages if message.layer in ("sctp", "data")]
    assert [message for message in messages if message.name.startswith("protected")]


def test_handshake_that_was_not_captured_is_said_to_be_missing():
    data = bytes.fromhex("17fefd0001000000000001001c") + bytes(28)
    (message,) = SessionDecoder().decode(*ENDS, data, 0.0)
    assert message.fields["why"] == "its handshake is not in the capture"


def test_secrets_in_the_capture_are_used_wherever_they_stand():
    capture = (CAPTURES / "firefox_dtls12.pcapng").read_bytes()
    block = pcapng.secrets((CAPTURES / "firefox_dtls12.keys").read_text())
    assert len(named(list(decode_capture(capture + block)), "data", "text")) == 2


def test_exported_recording_is_imported_decrypted(tmp_path, capsys):
    (tmp_path / "a.rec").write_bytes(b"".join(live(5)[0]))
    assert main(["trace", "export", str(tmp_path / "a.rec"), "--pcapng", str(tmp_path / "a.pcapng")]) == 0
    assert main(["trace", "import", str(tmp_path / "a.pcapng"), "--json"]) == 0
    captured = capsys.readouterr()
    messages = [json.loads(line) for line in captured.out.splitlines()]
    assert {message["layer"] for message in messages} >= {"stun", "dtls", "sctp", "dcep", "data"}
    assert "not opened" not in captured.err


def test_command_writes_text_and_json(tmp_path, capsys):
    name = str(CAPTURES / "firefox_dtls12")
    assert main(["trace", "import", f"{name}.pcapng", "--keys", f"{name}.keys"]) == 0
    captured = capsys.readouterr()
    assert " data  text stream=1 content=ping\n" in captured.out
    assert "6 datagrams of other traffic" in captured.err
    output = tmp_path / "out.jsonl"
    assert main(["trace", "import", f"{name}.pcapng", "--keys", f"{name}.keys", "--json", "-o", str(output)]) == 0
    lines = output.read_text().splitlines()
    assert len(lines) == len(captured.out.splitlines())
    assert json.loads(lines[0])["layer"] == "stun" and json.loads(lines[0])["at_s"] == 0.0
    assert output.stat().st_mode & 0o077 == 0  # what is in it was secret


def test_command_refuses_what_is_no_capture(tmp_path, capsys):
    (tmp_path / "x").write_bytes(b"something else altogether")
    assert main(["trace", "import", str(tmp_path / "x")]) == 2
    assert main(["trace", "import", str(tmp_path / "nothing there")]) == 2
    assert "no capture" in capsys.readouterr().err


# -- captures ----------------------------------------------------------------------------------------------------------


def classic(order, magic, frames, link_type=101):
    head = magic + struct.pack(f"{order}HHiIII", 2, 4, 0, 0, 65535, link_type)
    return head + b"".join([struct.pack(f"{order}IIII", 7, 5, len(data), len(data)) + data for data in frames])


@pytest.mark.parametrize(
    ("order", "magic", "at"),
    [
        ("<", b"\xd4\xc3\xb2\xa1", 7.000005),
        (">", b"\xa1\xb2\xc3\xd4", 7.000005),
        ("<", b"\x4d\x3c\xb2\xa1", 7.000000005),
    ],
    ids=["little", "big", "nanoseconds"],
)
def test_classic_pcap_is_read(order, magic, at):
    (frame,) = read_capture(classic(order, magic, [b"abc"]))
    assert (frame.link_type, frame.data, frame.at) == (101, b"abc", pytest.approx(at, abs=1e-10))


def test_pcapng_of_the_other_byte_order_is_read():
    section = struct.pack(">IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    interface = struct.pack(">IIHHII", 1, 20, 1, 0, 0, 20)
    packet = struct.pack(">IIIIIII4sI", 6, 36, 0, 0, 1_500_000, 3, 3, b"abc\0", 36)
    assert list(read_capture(section + interface + packet)) == [Frame(1, 1.5, b"abc", 3)]


@pytest.mark.parametrize(
    ("block", "field"),
    [
        (struct.pack("<III", 6, 8, 8), "block length"),
        (struct.pack("<III", 6, 13, 13), "block length"),
        (struct.pack("<III", 6, 1 << 30, 0), "block length"),
        (struct.pack("<III", 6, 12, 12), "packet"),
        (struct.pack("<II20sI", 6, 32, bytes(20), 32), "interface id"),
        (struct.pack("<III", 1, 12, 12), "interface"),
    ],
    ids=["short", "odd", "long", "empty", "interface", "description"],
)
def test_malformed_block_is_a_wire_error(block, field):
    with pytest.raises(WireError) as caught:
        list(read_capture(pcapng.section_header() + block))
    assert caught.value.field == field


def test_captured_length_beyond_the_block_is_a_wire_error():
    packet = struct.pack("<IIIIIIII", 6, 32, 0, 0, 0, 5, 5, 32)
    with pytest.raises(WireError, match="5 bytes captured"):
        list(read_capture(pcapng.section_header() + pcapng.interface(1, "x") + packet))


def test_capture_that_is_cut_off_gives_what_is_whole():
    data = (CAPTURES / "firefox_dtls12.pcapng").read_bytes()
    whole = list(read_capture(data))
    assert list(read_capture(data[:-1])) == whole[:-1] or len(list(read_capture(data[:-1]))) == len(whole)
    assert len(list(read_capture(data[: len(data) // 2]))) < len(whole)


def test_key_log_in_a_capture_is_text():
    data = pcapng.section_header() + pcapng.secrets("CLIENT_RANDOM 00 11\n")
    assert list(read_capture(data)) == [KeyLog("CLIENT_RANDOM 00 11\n")]


# -- links -------------------------------------------------------------------------------------------------------------

PACKETS = {
    4: pcapng.udp_packet(*ENDS, b"payload", 7),
    6: pcapng.udp_packet(Address("2001:db8::1", 1000), Address("2001:db8::2", 2000), b"payload", 7),
}
LINKS = {
    "raw": (101, {4: b"", 6: b""}),
    "ethernet": (1, {4: bytes(12) + b"\x08\x00", 6: bytes(12) + b"\x86\xdd"}),
    "vlan": (1, {4: bytes(12) + b"\x81\x00\x00\x05\x08\x00", 6: bytes(12) + b"\x81\x00\x00\x05\x86\xdd"}),
    "loopback": (0, {4: b"\x02\0\0\0", 6: b"\x1e\0\0\0"}),
    "cooked": (113, {4: bytes(14) + b"\x08\x00", 6: bytes(14) + b"\x86\xdd"}),
    "cooked2": (276, {4: b"\x08\x00" + bytes(18), 6: b"\x86\xdd" + bytes(18)}),
}


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("link", sorted(LINKS))
def test_udp_is_found_behind_every_link(link, version):
    link_type, heads = LINKS[link]
    data = heads[version] + PACKETS[version]
    found = udp_of(Frame(link_type, 0.0, data + b"padding of the link", len(data)))
    assert found is not None and found.data == b"payload"
    assert (found.source.port, found.destination.port, found.source.family) == (1000, 2000, version)


def test_ipv6_options_are_skipped():
    packet = PACKETS[6]
    data = packet[:4] + struct.pack(">HB", len(packet) - 40 + 8, 0) + packet[7:40] + b"\x11\0\0\0\0\0\0\0" + packet[40:]
    assert udp_of(Frame(101, 0.0, data, len(data))).data == b"payload"


def test_what_is_no_whole_udp_datagram_is_none():
    tcp = PACKETS[4][:9] + b"\x06" + PACKETS[4][10:]
    fragment = PACKETS[4][:6] + b"\x20\x00" + PACKETS[4][8:]
    for data in (b"", b"\x45", tcp, fragment, PACKETS[4][:-1], PACKETS[6][:-1], b"\x99" * 60):
        assert udp_of(Frame(101, 0.0, data, len(data))) is None
    assert udp_of(Frame(9999, 0.0, PACKETS[4], 35)) is None


# -- hostile input -----------------------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_damaged_capture_is_decoded_or_refused(data):
    name = data.draw(st.sampled_from(["firefox_dtls12", "firefox_dtls13", "chromium_dtls13_in_stun"]))
    start = 200 + data.draw(st.integers(0, 12_000))
    damaged = bytearray((CAPTURES / f"{name}.pcapng").read_bytes()[: start + 6000])
    for _ in range(data.draw(st.integers(1, 12))):
        damaged[data.draw(st.integers(start, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    keys = CAPTURES / f"{name}.keys"
    try:
        for message in decode_capture(bytes(damaged), keys.read_text() if keys.exists() else ""):
            json.dumps(message.as_json())
            message.as_text()
    except WireError:
        pass


@settings(max_examples=200, deadline=None)
@given(link_type=st.sampled_from([0, 1, 12, 101, 113, 276]), data=st.binary(max_size=200))
def test_any_frame_is_harmless(link_type, data):
    found = udp_of(Frame(link_type, 0.0, data, len(data)))
    if found is not None:
        SessionDecoder().decode(*found, 0.0)


@settings(max_examples=200, deadline=None)
@given(datagrams=st.lists(st.tuples(st.sampled_from([0, 1, 20, 22, 23, 26, 44, 47, 64, 128]), st.binary(max_size=90))))
def test_any_datagrams_are_harmless(datagrams):
    decoder = SessionDecoder()
    check = bytes.fromhex("000100002112a442") + bytes(12)  # from here on this is a pair of ICE's
    assert decoder.decode(*ENDS, check, 0.0)
    for first, rest in datagrams:
        for message in decoder.decode(*ENDS, bytes([first]) + rest, 0.0):
            json.dumps(message.as_json())


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=300))
def test_any_key_log_is_harmless(text):
    KeyRing().add(text)


def test_key_ring_is_bounded():
    from sans_rtc.trace import key_ring

    ring = KeyRing()
    ring.add("".join([f"CLIENT_RANDOM {n:064x} 00\n" for n in range(key_ring.SESSION_COUNT_MAX + 10)]))
    assert ring.secret((key_ring.SESSION_COUNT_MAX - 1).to_bytes(32, "big"), "CLIENT_RANDOM") == b"\0"
    assert ring.secret(key_ring.SESSION_COUNT_MAX.to_bytes(32, "big"), "CLIENT_RANDOM") is None


def test_flows_are_bounded():
    from sans_rtc.trace import decode

    decoder = SessionDecoder()
    check = bytes.fromhex("000100002112a442") + bytes(12)
    for port in range(decode.FLOW_COUNT_MAX + 10):
        assert decoder.decode(Address("192.0.2.9", port), ENDS[1], check, 0.0)
    assert len(decoder._flows) == decode.FLOW_COUNT_MAX
