"""The association of a recorded peer can be shown to others and is replayed to the byte: its messages are blank."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.machine import Address, Path
from sans_rtc.peer import PeerConnection
from sans_rtc.sctp.wire import is_checksum_valid, parse_packet
from sans_rtc.stun.binding_client import BindingClient, BindingConfig
from sans_rtc.testing import SeededEntropy
from sans_rtc.trace import NotReplayable, RecordKind, RecordOptions, make_recorded, read_records, replay
from sans_rtc.trace.layers import redact_association
from sans_rtc.trace.redact_sctp import blank_packet
from sans_rtc.trace.whole import whole
from sans_rtc.trace.wire import parse_call
from sans_rtc_demo.main import main
from tests.trace.sessions import live
from tests.trace.test_replay import association_pair

SEEDS = (3, 8)
PATH = Path(Address("192.0.2.2", 5000), Address("192.0.2.1", 3478))
EVERYTHING = RecordOptions(checksums=False)


def calls_of(records):
    """What was called when, and how long what came of it was."""
    calls = [parse_call(record) for record in records if record.kind is RecordKind.CALL]
    return [(call.name, call.now, call.outcome, shape_of(call.arguments), shape_of(call.value())) for call in calls]


def shape_of(value):
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, tuple | list):
        return [shape_of(item) for item in value]
    return type(value).__name__


@pytest.mark.parametrize("seed", SEEDS)
def test_association_of_a_peer_is_replayed_to_the_byte(seed):
    blank = b"".join(redact_association(read_records(b"".join(live(seed)[0]))))
    report = replay(blank)
    assert report.datagrams_in > 20 and report.datagrams_out > 20 and report.compared_bytes > 1000


@pytest.mark.parametrize("end", [0, 1])
def test_association_does_the_same_at_the_same_times_and_in_the_same_sizes(end):
    records = b"".join(association_pair()[end])
    blank = b"".join(redact_association(read_records(records)))
    assert replay(blank).calls == replay(records).calls
    everything = b"".join(association_pair(options=EVERYTHING)[end])
    assert calls_of(whole(read_records(blank))) == calls_of(read_records(everything))


def test_nothing_that_was_sent_is_left():
    for recording in association_pair():
        assert b"secret words" in b"".join(recording)
        blank = b"".join(redact_association(read_records(b"".join(recording))))
        assert b"secret words" not in b"".join(record.serialize() for record in whole(read_records(blank)))


def test_recording_of_a_machine_without_an_association_is_refused():
    records = []
    make_recorded(BindingClient, BindingConfig(), path=PATH, entropy=SeededEntropy(1), sink=records.append)
    with pytest.raises(NotReplayable, match="has no SCTP association"):
        list(redact_association(read_records(b"".join(records))))
    records = []
    make_recorded(PeerConnection, entropy=SeededEntropy(1), sink=records.append)
    with pytest.raises(NotReplayable, match="0 SCTP associations"):
        list(redact_association(read_records(b"".join(records))))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_blank_packets_are_as_long_as_they_were_whatever_they_are(data):
    assert len(blank_packet(data)) == len(data)


def test_blank_packets_keep_what_an_association_needs():
    recordings = association_pair(options=EVERYTHING)
    packets = [
        call.arguments[0]
        for call in (parse_call(r) for r in read_records(b"".join(recordings[1])) if r.kind is RecordKind.CALL)
        if call.name == "receive"
    ]
    assert packets
    for packet in packets:
        before, after = parse_packet(packet), parse_packet(blank_packet(packet))
        assert [(kind, flags, len(value)) for kind, flags, value in before.chunks] == [
            (kind, flags, len(value)) for kind, flags, value in after.chunks
        ]
        wrong = packet[:8] + bytes(byte ^ 0xFF for byte in packet[8:12]) + packet[12:]
        assert not is_checksum_valid(blank_packet(wrong))


def test_command_writes_the_association_alone(tmp_path, capsys):
    peer, blank = tmp_path / "peer.rec", tmp_path / "blank.rec"
    peer.write_bytes(b"".join(live(SEEDS[0])[0]))
    assert main(["trace", "redact", "--sctp", str(peer), str(blank)]) == 0
    assert main(["trace", "replay", str(blank)]) == 0
    assert "the same: " in capsys.readouterr().out
    assert main(["trace", "redact", "--sctp", "--number", "7", str(peer), str(blank)]) == 2
    assert "none with number 7" in capsys.readouterr().err
