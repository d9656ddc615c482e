"""Looking at recordings: info, diff, cut, key log, captures; the ring; what bytes from anywhere do to a reader."""

import ipaddress
import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.errors import InvalidArgument, WireError
from sans_rtc.machine import Address
from sans_rtc.media.events import FrameReceived, MediaFrame, OutgoingFrame, PacketReceived
from sans_rtc.rtp import ExtensionMap, RtpPacket
from sans_rtc.testing import SeededEntropy
from sans_rtc.trace import (
    LeftOut,
    NotReplayable,
    RecordKind,
    RecordOptions,
    ReplayMismatch,
    Ring,
    make_recorded,
    pcapng,
    read_records,
    replay,
)
from sans_rtc.trace.export import export_pcapng, key_log_of
from sans_rtc.trace.inspection import cut, first_difference, summarize
from sans_rtc.trace.reading import Decoder
from sans_rtc.trace.wire import Outcome, parse_call
from sans_rtc_demo.main import main
from tests.trace.sessions import live

SEED = 3


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Files with both ends of a simulated session."""
    folder = tmp_path_factory.mktemp("recordings")
    paths = [folder / f"{end}.rec" for end in (0, 1)]
    for path, recording in zip(paths, live(SEED), strict=True):
        path.write_bytes(b"".join(recording))
    return paths


def records_of(path):
    return list(read_records(path.read_bytes()))


# -- the command -------------------------------------------------------------------------------------------------------


def test_replay_of_the_command_says_whether_every_byte_is_the_same(recordings, tmp_path, capsys):
    assert main(["trace", "replay", str(recordings[0])]) == 0
    assert capsys.readouterr().out.startswith("the same: ")
    records = records_of(recordings[0])
    # Another draw of entropy is another session from there on.
    index = next(index for index, record in enumerate(records) if record.kind is RecordKind.ENTROPY)
    changed = tmp_path / "changed.rec"
    draw = records[index].serialize()
    changed.write_bytes(recordings[0].read_bytes().replace(draw, draw[:-1] + bytes([draw[-1] ^ 1]), 1))
    assert main(["trace", "replay", str(changed)]) == 1
    assert capsys.readouterr().out.startswith("different at call ")


@pytest.mark.parametrize("action", ["info", "replay", "keylog"])
def test_command_refuses_what_is_no_recording(tmp_path, capsys, action):
    (tmp_path / "x").write_bytes(b"something else altogether")
    assert main(["trace", action, str(tmp_path / "x")]) == 2
    assert main(["trace", action, str(tmp_path / "nothing there")]) == 2
    assert "not a recording" in capsys.readouterr().err


def test_info_tells_what_is_in_it(recordings, capsys):
    assert main(["trace", "info", "--json", str(recordings[0])]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["class"] == "sans_rtc.peer.connection:PeerConnection"
    assert found["is_replayable"] and found["has_payloads"] and found["key_log_lines"] == 1
    report = replay(recordings[0].read_bytes())
    assert (found["datagrams_in"], found["datagrams_out"]) == (report.datagrams_in, report.datagrams_out)
    assert sum(found["calls"].values()) == report.calls
    assert main(["trace", "info", str(recordings[0])]) == 0
    assert "replayable  yes" in capsys.readouterr().out


def test_diff_finds_the_first_difference(recordings, tmp_path, capsys):
    assert main(["trace", "diff", str(recordings[0]), str(recordings[0])]) == 0
    shorter = tmp_path / "shorter.rec"
    records = records_of(recordings[0])
    shorter.write_bytes(b"".join([record.serialize() for record in records[:-1]]))
    assert main(["trace", "diff", str(recordings[0]), str(shorter)]) == 1
    assert f"record {len(records) - 1}, at " in capsys.readouterr().out
    assert first_difference(records, records) is None
    assert first_difference(records, [*records[:5], *records[6:]]).index == 5


def test_difference_does_not_show_keys(recordings):
    first, second = map(records_of, recordings)
    difference = first_difference(first, second)
    assert difference.first == "entropy: 8 bytes"


# -- cutting -----------------------------------------------------------------------------------------------------------


def test_cut_replays_and_compares_its_part_only(recordings, tmp_path, capsys):
    output = tmp_path / "cut.rec"
    assert main(["trace", "cut", str(recordings[0]), "--from", "1", "--to", "2", "-o", str(output)]) == 0
    assert main(["trace", "replay", str(output)]) == 0
    whole, part = replay(recordings[0].read_bytes()), replay(output.read_bytes())
    assert part.last_now <= whole.first_now + 2.0 < whole.last_now
    assert 0 < part.compared_bytes < whole.compared_bytes
    outcomes = [
        (parse_call(record).now - whole.first_now, parse_call(record).outcome)
        for record in records_of(output)
        if record.kind is RecordKind.CALL
    ]
    assert all((outcome is Outcome.NOT_COMPARED) is (at_s < 1.0) for at_s, outcome in outcomes)


def test_cut_of_everything_is_the_recording(recordings):
    records = records_of(recordings[0])
    assert list(cut(records)) == records


# -- the ring ----------------------------------------------------------------------------------------------------------


def test_ring_keeps_the_newest_and_what_explains_them(recordings):
    records = records_of(recordings[0])
    ring = Ring(20_000)
    for record in records:
        ring(record.serialize())
    kept = list(read_records(ring.contents()))
    assert kept[-20:] == records[-20:]
    pinned = sum(len(record.body) for record in records if record.kind is RecordKind.CONSTRUCTION)
    assert len(ring.contents()) < 20_000 + pinned + 1_000
    assert [record.kind for record in kept[:3]] == [RecordKind.HEADER, RecordKind.DROPPED, RecordKind.CONSTRUCTION]
    assert summarize(kept).dropped == ring.dropped_count == len(records) - len(kept) + 1
    assert not summarize(kept).is_replayable and key_log_of(kept) == key_log_of(records)
    with pytest.raises(NotReplayable):
        replay(ring.contents())


def test_ring_that_is_large_enough_keeps_all(recordings):
    ring = Ring(1 << 30)
    for record in records_of(recordings[0]):
        ring(record.serialize())
    assert ring.contents() == recordings[0].read_bytes()
    with pytest.raises(InvalidArgument):
        Ring(0)


# -- what stays out ----------------------------------------------------------------------------------------------------


class Vault:
    """Takes keys as a peer does."""

    def __init__(self, key=b"", *, entropy):
        pass

    @classmethod
    def restore(cls, snapshot, key, *, entropy):
        return cls(entropy=entropy)

    def snapshot(self, key, now):
        return b"sealed by it " * 20

    def refuse(self, key, now):
        raise InvalidArgument("no")


SECRET = b"32 secret bytes " * 2


@pytest.mark.parametrize("options", [RecordOptions(secrets=False), RecordOptions(secrets=False, payloads=False)])
@pytest.mark.parametrize(
    "make",
    [
        lambda **named: make_recorded(Vault, SECRET, **named),
        lambda **named: make_recorded(Vault, key=SECRET, **named),
        lambda **named: make_recorded(Vault.restore, b"sealed by it " * 20, SECRET, **named),
    ],
    ids=["positional", "named", "restored"],
)
def test_without_secrets_no_call_tells_a_key(make, options):
    records = []
    vault = make(entropy=SeededEntropy(1), sink=records.append, options=options)
    vault.snapshot(SECRET, 1.0)
    vault.snapshot(key=SECRET, now=1.0)
    with pytest.raises(InvalidArgument):
        vault.refuse(SECRET, 1.0)
    data = b"".join(records)
    assert SECRET not in data and b"sealed by it" not in data
    calls = [parse_call(record) for record in read_records(data) if record.kind is RecordKind.CALL]
    assert [call.arguments for call in calls] == [(LeftOut("key"),)] * 3


def test_with_secrets_the_key_is_there_for_the_replay():
    records = []
    make_recorded(Vault, entropy=SeededEntropy(1), sink=records.append).snapshot(SECRET, 1.0)
    assert replay(records, make=lambda entropy: Vault(entropy=entropy)).calls == 1


def test_without_secrets_there_is_no_key_in_it():
    records = list(read_records(live(SEED, options=RecordOptions(secrets=False))[0]))
    assert not any(record.kind in (RecordKind.ENTROPY, RecordKind.KEY_LOG) for record in records)
    assert b"PRIVATE KEY" not in b"".join([record.body for record in records])


def test_without_payloads_no_datagram_has_any():
    """With the keys of the same session, kept aside, nothing can be opened."""
    open_records = list(read_records(live(SEED)[0]))
    records = list(read_records(live(SEED, options=RecordOptions(payloads=False))[0]))
    assert len(blocks(export_pcapng(open_records), 6, 1)) > 20
    assert blocks(export_pcapng(records), 6, 1) == []
    assert summarize(records).bytes_in == summarize(open_records).bytes_in


# -- captures ----------------------------------------------------------------------------------------------------------


def blocks(pieces, kind, interface=None):
    """The bodies of the blocks of one kind; of packets, those of an interface."""
    data = b"".join(pieces)
    found, start = [], 0
    while start < len(data):
        number, length = struct.unpack_from("<II", data, start)
        assert length % 4 == 0 and struct.unpack_from("<I", data, start + length - 4)[0] == length
        body = data[start + 8 : start + length - 4]
        if number == kind and (interface is None or struct.unpack_from("<I", body)[0] == interface):
            found.append(body)
        start += length
    return found


def test_capture_has_interfaces_secrets_and_every_packet(recordings):
    records = records_of(recordings[0])
    capture = list(export_pcapng(records))
    assert [struct.unpack_from("<H", body)[0] for body in blocks(capture, 1)] == [101, 248, 252]
    assert blocks(capture, 10)[0][8:].rstrip(b"\0").decode() == key_log_of(records)[0] + "\n"
    summary = summarize(records)
    assert len(blocks(capture, 6, 0)) == summary.datagrams_in + summary.datagrams_out


@pytest.mark.parametrize(("source", "destination"), [("10.0.0.1", "10.0.0.2"), ("fe80::1%eth0", "::1")])
@pytest.mark.parametrize("payload", [b"", b"x", b"payload"])
def test_udp_packet_has_right_checksums(source, destination, payload):
    data = pcapng.udp_packet(Address(source, 1), Address(destination, 65535), payload, len(payload), 3)
    hosts = b"".join([ipaddress.ip_address(host.partition("%")[0]).packed for host in (source, destination)])
    udp = data[-8 - len(payload) :]
    assert pcapng._checksum(hosts + struct.pack(">HH", 17, len(udp)) + udp) == 0
    if ":" not in source:
        assert pcapng._checksum(data[:20]) == 0
        assert data[1] == 3 and struct.unpack_from(">H", data, 2)[0] == len(data)


@pytest.mark.parametrize("at_s", [float("inf"), float("-inf"), -1.0, 1e300])
def test_packet_of_any_time_is_written(at_s):
    assert len(blocks([pcapng.packet(0, at_s, b"abc", 2, is_outgoing=True)], 6)) == 1


def test_datagram_of_no_address_is_refused():
    with pytest.raises(WireError, match="no IP address"):
        pcapng.udp_packet(Address("nowhere", 1), Address("::1", 1), b"", 0)


# -- bytes from anywhere -----------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=200))
def test_decoder_raises_nothing_but_wire_errors(data):
    try:
        Decoder(data).value()
    except WireError:
        pass


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_recording_is_read_or_refused(recordings, data):
    damaged = bytearray(recordings[0].read_bytes()[:20_000])
    for _ in range(data.draw(st.integers(1, 5))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        summarize(read_records(bytes(damaged)))
        list(export_pcapng(read_records(bytes(damaged))))
    except WireError:
        pass


def test_class_outside_the_library_is_not_looked_up():
    name = b"subprocess:Popen"
    with pytest.raises(WireError, match="not a class of sans_rtc"):
        Decoder(b"o" + struct.pack(">H", len(name)) + name + b"\x00").value()


def test_mismatch_says_what_was_expected(recordings):
    records = records_of(recordings[0])
    index = next(
        index
        for index, record in enumerate(records)
        if record.kind is RecordKind.CALL and parse_call(record).name == "take_datagrams" and len(record.body) > 100
    )
    body = records[index].body
    whole = b"".join([record.serialize() for record in records[:index]])
    changed = type(records[0])(RecordKind.CALL, body[:-1] + bytes([body[-1] ^ 1])).serialize()
    with pytest.raises(ReplayMismatch) as caught:
        replay(whole + changed)
    assert caught.value.expected != caught.value.actual
    assert caught.value.call.startswith("take_datagrams() at 1000.")


class Camera:
    """A machine that takes and hands over media as the peer connection does."""

    def __init__(self, *, entropy):
        pass

    def send_frame(self, transceiver, frame, now):
        pass

    def send_packet(self, transceiver, packet, rid, now):
        pass

    def take_events(self):
        return [FrameReceived(1, FRAME), PacketReceived(1, PACKET, "", None, ExtensionMap())]


SECRET = b"what the camera sees" * 40
PACKET = RtpPacket(96, 1, 2, 3, SECRET)
FRAME = MediaFrame(SECRET, 1, 2, "", None, True, True, 0, 1.0)


@pytest.mark.parametrize("has_payloads", [True, False], ids=["with", "without"])
def test_without_payloads_no_media_are_in_it(has_payloads):
    records = []
    options = RecordOptions(payloads=has_payloads, checksums=False)
    camera = make_recorded(Camera, entropy=SeededEntropy(1), sink=records.append, options=options)
    camera.send_frame(1, OutgoingFrame(SECRET, 5), 1.0)
    camera.send_packet(1, PACKET, "", 1.0)
    camera.take_events()
    assert b"".join(records).count(SECRET) == (4 if has_payloads else 0)
    calls = [parse_call(record) for record in read_records(records) if record.kind is RecordKind.CALL]
    if not has_payloads:
        assert calls[0].arguments[1].data.size == len(SECRET)
        assert calls[2].value()[0].frame.data.size == len(SECRET)


def test_received_media_are_checksums_where_a_replay_makes_them():
    records = []
    camera = make_recorded(Camera, entropy=SeededEntropy(1), sink=records.append)
    camera.send_frame(1, OutgoingFrame(SECRET, 5), 1.0)
    camera.take_events()
    assert b"".join(records).count(SECRET) == 1
    replay(records, make=lambda entropy: Camera(entropy=entropy))
