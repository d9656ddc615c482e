"""A redacted recording shows how it went, and neither who it was nor what was said."""

import ipaddress
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.stun import AttributeType, is_fingerprint_valid, parse_message
from sans_rtc.trace import LeftOut, RecordKind, read_records
from sans_rtc.trace.aliases import Aliases
from sans_rtc.trace.inspection import summarize
from sans_rtc.trace.packets import packets_of
from sans_rtc.trace.redact import redact
from sans_rtc.trace.redact_sctp import redact_packet
from sans_rtc.trace.redact_text import redact_candidate, redact_sdp
from sans_rtc.trace.redact_wire import redact_datagram
from sans_rtc.trace.whole import whole
from sans_rtc.trace.wire import parse_call, parse_construction
from sans_rtc_demo.main import main
from tests.trace.sessions import live
from tests.trace.test_replay import association_pair

SEEDS = (3, 5, 8, 11)
# What is drawn shorter than this is found by chance.
DRAWN_BYTES_MIN = 8


@pytest.fixture(scope="module", params=SEEDS)
def session(request):
    """A recording and what it was redacted to, as records."""
    records = list(whole(read_records(live(request.param)[0])))
    return records, list(redact(records))


def calls_of(records):
    return [parse_call(record) for record in records if record.kind is RecordKind.CALL]


def joined(records):
    return b"".join([record.serialize() for record in records])


def originals(records):
    """Everything in a recording that a redacted one must not have: a list of (what, bytes)."""
    found = [("key", record.body) for record in records if record.kind is RecordKind.KEY_LOG]
    found += [
        ("entropy", record.body)
        for record in records
        if record.kind is RecordKind.ENTROPY and len(record.body) >= DRAWN_BYTES_MIN
    ]
    text = joined(records)
    for pattern in (rb"ice-ufrag:(\S+)", rb"ice-pwd:(\S+)", rb"fingerprint:sha-256 (\S+)", rb"ufrag (\S+)"):
        found += [("credential", value) for value in re.findall(pattern, text)]
    for call in calls_of(records):
        for packet in packets_of(call):
            ends = (packet.path.local, packet.path.remote)
            found += [("address", address.host.encode()) for address in ends]
            found += [("address in STUN", masked(address.host)) for address in ends if address.family == 4]
        if call.name == "send":
            data = call.arguments[1]
            found.append(("payload", data.encode() if isinstance(data, str) else data))
        if call.name == "create_channel":
            found.append(("label", call.arguments[0].encode()))
    return [(what, value) for what, value in found if len(value) >= 4]


def masked(host):
    """An IPv4 address as XOR-MAPPED-ADDRESS has it."""
    return (int(ipaddress.IPv4Address(host)) ^ 0x2112A442).to_bytes(4, "big")


def test_nothing_of_the_original_is_left(session):
    records, redacted = session
    text = joined(redacted)
    looked_for = originals(records)
    assert {what for what, _ in looked_for} >= {"key", "entropy", "credential", "address", "address in STUN", "label"}
    assert [(what, value) for what, value in looked_for if value in text] == []


def test_search_for_originals_finds_them_in_the_original(session):
    records, _ = session
    text = joined(records)
    kinds = {what for what, value in originals(records) if value in text}
    assert kinds >= {"key", "entropy", "credential", "address", "address in STUN", "label"}


def test_calls_times_sizes_and_events_are_the_same(session):
    records, redacted = session
    before, after = summarize(records), summarize(redacted)
    for name in ("calls", "raised", "events", "datagrams_in", "datagrams_out", "bytes_in", "bytes_out", "draws"):
        assert getattr(before, name) == getattr(after, name), name
    assert (before.first_now, before.last_now) == (after.first_now, after.last_now)
    for one, other in zip(calls_of(records), calls_of(redacted), strict=True):
        assert (one.name, one.now, one.outcome) == (other.name, other.now, other.outcome)
        sizes = [[packet.size for packet in packets_of(call)] for call in (one, other)]
        assert sizes[0] == sizes[1]


def test_same_address_has_the_same_replacement_everywhere(session):
    records, redacted = session
    replacement = {}
    for one, other in zip(calls_of(records), calls_of(redacted), strict=True):
        for before, after in zip(packets_of(one), packets_of(other), strict=True):
            for name in ("local", "remote"):
                original, alias = getattr(before.path, name), getattr(after.path, name)
                assert replacement.setdefault(original.host, alias.host) == alias.host
                assert (original.family, original.port) == (alias.family, alias.port)
            mapped = [mapped_address(packet.data) for packet in (before, after)]
            if mapped[0]:
                assert replacement.setdefault(mapped[0].host, mapped[1].host) == mapped[1].host
    assert len(set(replacement.values())) == len(replacement)
    assert all(not ipaddress.ip_address(alias).is_global for alias in replacement.values())


def mapped_address(data):
    if data[:1] not in (b"\x00", b"\x01"):
        return None
    return parse_message(data).value(AttributeType.XOR_MAPPED_ADDRESS)


def test_certificate_and_secrets_are_left_out(session):
    _, redacted = session
    construction = next(parse_construction(item) for item in redacted if item.kind is RecordKind.CONSTRUCTION)
    assert construction.named["certificate"] in (None, LeftOut("Certificate"))
    assert not any(item.kind is RecordKind.KEY_LOG for item in redacted)
    assert all(not any(item.body) for item in redacted if item.kind is RecordKind.ENTROPY)


def test_stun_stays_stun(session):
    _, redacted = session
    messages = [packet.data for call in calls_of(redacted) for packet in packets_of(call) if packet.data[0] < 4]
    assert messages
    assert all(is_fingerprint_valid(data) and parse_message(data) for data in messages)


def test_redacting_twice_changes_structure_no_more(session):
    _, redacted = session
    assert summarize(redact(redacted)).events == summarize(redacted).events


def test_command_writes_what_info_diff_and_export_take_and_replay_refuses(tmp_path, capsys):
    path, output = tmp_path / "a.rec", tmp_path / "b.rec"
    path.write_bytes(b"".join(live(3)[0]))
    assert main(["trace", "redact", str(path), str(output)]) == 0
    assert main(["trace", "info", "--json", str(output)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["is_redacted"] and not found["is_replayable"] and not found["key_log_lines"]
    assert main(["trace", "diff", str(output), str(output)]) == 0
    assert main(["trace", "export", str(output), "--pcapng", str(tmp_path / "c.pcapng")]) == 0
    assert main(["trace", "replay", str(output)]) == 2
    assert "redacted" in capsys.readouterr().err
    assert output.stat().st_mode & 0o077 == 0


def test_recording_of_an_association_keeps_chunks_and_no_words():
    records = list(read_records(association_pair()[0]))
    redacted = list(redact(records))
    text = joined(redacted)
    assert b"secret words" in joined(records) and b"secret words" not in text
    drawn = [record.body for record in records if record.kind is RecordKind.ENTROPY and len(record.body) >= 8]
    assert not [value for value in drawn if value in text]
    assert summarize(records).bytes_out == summarize(redacted).bytes_out


def test_description_keeps_what_was_agreed():
    sdp = (
        "v=0\r\no=alice 4611731400430051336 2 IN IP4 192.168.7.7\r\ns=Alice's call\r\nt=0 0\r\na=group:BUNDLE 0\r\n"
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 192.168.7.7\r\na=mid:0\r\n"
        "a=ice-ufrag:AbCd\r\na=ice-pwd:0123456789abcdef0123456789\r\na=setup:actpass\r\na=sctp-port:5000\r\n"
        "a=fingerprint:sha-256 AA:BB:CC:DD\r\na=candidate:1 1 udp 2130706431 192.168.7.7 4000 typ srflx raddr "
        "fe80::7%wlan0 rport 5 ufrag AbCd\r\na=ssrc:123456 cname:alice@home\r\na=something:alice\r\na=recvonly\r\n"
    )
    aliases = Aliases()
    fresh = redact_sdp(sdp, aliases)
    assert len(fresh.splitlines()) == len(sdp.splitlines())
    for gone in ("lice", "192.168.7.7", "AbCd", "0123456789", "AA:BB", "wlan0", "4611731400430051336", "123456"):
        assert gone not in fresh, gone
    for kept in (
        "a=mid:0\r\n",
        "a=setup:actpass\r\n",
        "a=sctp-port:5000\r\n",
        "a=recvonly\r\n",
        "a=group:BUNDLE 0\r\n",
    ):
        assert kept in fresh, kept
    assert aliases.host("192.168.7.7") in fresh
    assert f"ufrag {aliases.text('ufrag', 'AbCd')}" in fresh


def test_sentence_keeps_its_words_and_no_names():
    aliases = Aliases()
    aliases.text("label", "payroll")
    text = aliases.prose("no answer of [2a00:1450::5]:3478 to 10.1.2.3 about 'my file' of payroll at box.local")
    for gone in ("2a00", "10.1.2.3", "my file", "payroll", "box"):
        assert gone not in text
    assert text.startswith("no answer of [2001:db8:")


def test_candidate_too_short_to_be_one_is_replaced_whole():
    assert "10.0.0.7" not in redact_candidate("candidate:1 1 udp 10.0.0.7", Aliases())


def test_pieces_of_streams_are_blank():
    path = Path(Address("10.0.0.1", 1), Address("10.0.0.2", 2), "tcp")
    from sans_rtc.trace.redact import _Redactor

    assert _Redactor()._datagram(Datagram(b"anything", path)).data == bytes(8)


@settings(max_examples=200, deadline=None)
@given(first=st.integers(0, 255), rest=st.binary(max_size=120))
def test_any_datagram_keeps_its_size(first, rest):
    data = bytes([first]) + rest
    for fresh in (redact_datagram(data, Aliases()), redact_packet(data, Aliases())):
        assert len(fresh) == len(data)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_damaged_datagrams_keep_their_size(data):
    recorded = [packet.data for call in calls_of(whole(read_records(DAMAGED))) for packet in packets_of(call)]
    damaged = bytearray(data.draw(st.sampled_from(recorded)))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    assert len(redact_datagram(bytes(damaged), Aliases())) == len(damaged)


DAMAGED = b"".join(live(5)[0])
