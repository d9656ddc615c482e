"""Recording and then replaying gives no difference; a recording that was changed does."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sans_rtc
from sans_rtc import dtls, sctp
from sans_rtc.errors import InvalidState, WireError
from sans_rtc.machine import Datagram
from sans_rtc.peer import PeerConnection
from sans_rtc.testing import Link, LinkConditions, SeededEntropy
from sans_rtc.trace import (
    NotReplayable,
    Record,
    RecordKind,
    ReplayMismatch,
    make_recorded,
    read_records,
    record,
    recorded_entropy,
    replay,
)
from sans_rtc.trace.wire import Outcome, parse_call, parse_header, serialize_header, without_result
from tests.trace.sessions import live

SEEDS = 20


@pytest.mark.parametrize("first", range(0, SEEDS, 5))
def test_simulated_session_replays_byte_for_byte(first):
    for seed in range(first, first + 5):
        for recording in live(seed):
            report = replay(recording)
            assert report.calls == sum(record_[4] == RecordKind.CALL for record_ in recording)
            assert report.datagrams_out > 0


@pytest.fixture(scope="module")
def short_recording():
    """One association's life, as records."""
    return list(read_records(association_pair()[0]))


def association_pair(**options):
    recordings = ([], [])
    ends = [
        make_recorded(
            sctp.Association, sctp.SctpConfig(), entropy=SeededEntropy(end), sink=recordings[end].append, **options
        )
        for end in (0, 1)
    ]
    link = Link(*ends, seed=1, conditions=LinkConditions(loss=0.1, delay_s=0.01))
    ends[0].connect(link.now)
    link.run_for(1.0)
    ends[0].send(1, 51, b"secret words" * 500, sctp.Reliability(), link.now)
    link.run_for(1.0)
    ends[0].close(link.now)
    link.run_for(5.0)
    assert ends[0].is_terminated
    return recordings


def joined(records):
    return b"".join(item.serialize() for item in records)


def calls_with_bytes(records):
    """Indexes of the calls whose result holds anything."""
    return [
        index for index, item in enumerate(records) if item.kind is RecordKind.CALL and len(parse_call(item).result) > 5
    ]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_changed_output_is_a_mismatch_at_its_call(short_recording, data):
    index = data.draw(st.sampled_from(calls_with_bytes(short_recording)))
    call = parse_call(short_recording[index])
    body = bytearray(short_recording[index].body)
    body[-1 - data.draw(st.integers(0, len(call.result) - 1))] ^= data.draw(st.integers(1, 255))
    changed = [*short_recording]
    changed[index] = Record(RecordKind.CALL, bytes(body))
    with pytest.raises((ReplayMismatch, WireError)) as caught:
        replay(joined(changed))
    if isinstance(caught.value, ReplayMismatch):
        assert caught.value.index == sum(item.kind is RecordKind.CALL for item in short_recording[:index])
        assert call.name in caught.value.call


@pytest.mark.parametrize("name", ["connect", "receive", "send", "close"])
def test_missing_input_is_a_mismatch(short_recording, name):
    calls = [index for index, item in enumerate(short_recording) if item.kind is RecordKind.CALL]
    index = next(index for index in calls if parse_call(short_recording[index]).name == name)
    with pytest.raises(ReplayMismatch):
        replay(joined([*short_recording[:index], *short_recording[index + 1 :]]))


def test_changed_entropy_is_a_mismatch(short_recording):
    index = next(index for index, item in enumerate(short_recording) if item.kind is RecordKind.ENTROPY)
    changed = [*short_recording]
    body = short_recording[index].body
    changed[index] = Record(RecordKind.ENTROPY, bytes([body[0] ^ 1]) + body[1:])
    with pytest.raises(ReplayMismatch):
        replay(joined(changed))


def test_draw_that_is_missing_or_too_many_is_a_mismatch(short_recording):
    index = next(index for index, item in enumerate(short_recording) if item.kind is RecordKind.ENTROPY)
    draw = short_recording[index]
    for changed in ([], [draw, draw]):
        with pytest.raises(ReplayMismatch, match=r"call -1: the construction(.|\n)*draw"):
            replay(joined([*short_recording[:index], *changed, *short_recording[index + 1 :]]))


def test_crash_loses_the_last_record_only(short_recording):
    whole = joined(short_recording)
    last = len(short_recording[-1].serialize())
    for cut in (1, last - 1, last):
        assert len(list(read_records(whole[:-cut]))) == len(short_recording) - 1
    replay(whole[:-1])


def test_recording_is_read_in_pieces_of_any_size(short_recording):
    whole = joined(short_recording)
    for size in (1, 7, 4096):
        pieces = (whole[start : start + size] for start in range(0, len(whole), size))
        assert list(read_records(pieces)) == short_recording


def test_result_cut_away_is_not_compared(short_recording):
    calls = calls_with_bytes(short_recording)
    cut = [without_result(item) if index in calls else item for index, item in enumerate(short_recording)]
    assert replay(joined(cut)).compared_bytes < replay(joined(short_recording)).compared_bytes
    assert all(parse_call(cut[index]).outcome is Outcome.NOT_COMPARED for index in calls)


def test_machine_of_ones_own_is_recorded_and_replayed_by_its_maker():
    records = []
    entropy = recorded_entropy(SeededEntropy(1), records.append)
    machine = record(sctp.Association(sctp.SctpConfig(local_port=7), entropy=entropy), records.append)
    machine.connect(1.0)
    assert machine.take_datagrams(1.0)
    report = replay(records, make=lambda entropy: sctp.Association(sctp.SctpConfig(local_port=7), entropy=entropy))
    assert report.calls == 2
    with pytest.raises(ReplayMismatch):
        replay(records, make=lambda entropy: sctp.Association(sctp.SctpConfig(local_port=8), entropy=entropy))
    with pytest.raises(NotReplayable, match="how the machine was made"):
        replay(records)


def test_local_error_is_recorded_and_comes_again():
    records = []
    peer = make_recorded(PeerConnection, entropy=SeededEntropy(1), sink=records.append)
    with pytest.raises(InvalidState):
        peer.create_answer(now=1.0)
    call = parse_call(list(read_records(records))[-1])
    assert (call.outcome, call.value()[0]) == (Outcome.RAISED, "InvalidState")
    replay(records)


def test_bug_is_recorded_and_comes_again():
    class Buggy:
        def __init__(self, *, entropy):
            self.entropy = entropy

        def receive(self, datagram, now):
            assert datagram != b"bang", "a bug"

    records = []
    machine = make_recorded(Buggy, entropy=SeededEntropy(1), sink=records.append)
    machine.receive(b"fine", 1.0)
    with pytest.raises(AssertionError, match="a bug"):
        machine.receive(b"bang", 2.0)
    with pytest.raises(AssertionError, match="a bug") as caught:
        replay(records, make=lambda entropy: Buggy(entropy=entropy))
    assert "receive(b'bang') at 2.0" in caught.value.__notes__[0]


def test_recorded_machine_has_the_reads_of_its_class():
    peer = make_recorded(PeerConnection, entropy=SeededEntropy(1), sink=lambda record: None)
    assert peer.signaling_state == "stable"
    assert peer.deadline == float("inf") and not peer.is_terminated
    assert not hasattr(peer, "no_such_thing")
    assert "new" in str(peer.explain())


def test_own_key_log_is_called_as_well():
    lines, records = [], []
    certificates = [dtls.Certificate.generate(SeededEntropy(end), 0) for end in (0, 1)]
    configs = (dtls.DtlsConfig(key_log=lines.append), dtls.DtlsConfig())
    ends = [
        make_recorded(
            dtls.Connection,
            configs[end],
            role=(dtls.Role.CLIENT, dtls.Role.SERVER)[end],
            certificate=certificates[end],
            peer_fingerprints=[certificates[1 - end].fingerprint()],
            entropy=SeededEntropy(f"end {end}"),
            sink=records.append if end == 0 else lambda record: None,
        )
        for end in (0, 1)
    ]
    link = Link(*ends)
    for end in ends:
        end.start(link.now)
    link.run_for(1.0)
    assert [item.body.decode() for item in read_records(records) if item.kind is RecordKind.KEY_LOG] == lines
    assert len(lines) == 1
    replay(records)


@pytest.mark.parametrize("left_out", ["payloads", "secrets"])
def test_recording_without_all_says_why_it_cannot_be_replayed(left_out):
    from sans_rtc.trace import RecordOptions

    recording = live(3, options=RecordOptions(**{left_out: False}))[0]
    with pytest.raises(NotReplayable, match=f"without {left_out}"):
        replay(recording)


def test_what_is_no_recording_is_a_wire_error():
    for data in (b"", b"\x00", b"not a recording at all", bytes(100)):
        with pytest.raises(WireError):
            replay(data)


def test_recording_of_another_version_is_refused(short_recording):
    header = bytearray(short_recording[0].serialize())
    header[14] = 99
    with pytest.raises(WireError, match="version 99"):
        replay(bytes(header) + joined(short_recording[1:]))


def test_recording_says_by_which_version_of_the_library(short_recording):
    assert parse_header(short_recording[0]).library == sans_rtc.__version__
    told = serialize_header(has_payloads=True, has_secrets=True, library="0.9.7")
    assert parse_header(Record(RecordKind.HEADER, told[5:])).library == "0.9.7"


@pytest.mark.parametrize("rest", [b"", b"\0", b"\x09abc", b"\x02\xff\xff", bytes(900)])
def test_header_with_anything_behind_it_is_read(short_recording, rest):
    header = Record(RecordKind.HEADER, short_recording[0].body[:11] + rest)
    assert len(parse_header(header).library) <= 255
    assert replay(header.serialize() + joined(short_recording[1:])).calls > 0


def test_datagram_lists_keep_path_and_marks():
    from sans_rtc.machine import Address, Path
    from sans_rtc.trace.reading import Decoder
    from sans_rtc.trace.values import Encoder

    one = Path(Address("fe80::1%eth0", 1), Address("10.0.0.1", 65535))
    other = Path(Address("127.0.0.1", 0), Address("10.0.0.1", 3478), "tls", 7)
    datagrams = (
        Datagram(b"a", one, 3, True), Datagram(b"", one), Datagram(b"bc", other, 1), Datagram(b"d", one),
    )  # fmt: skip
    assert Decoder(Encoder().encode(list(datagrams))).value() == datagrams
    assert Decoder(Encoder().encode(datagrams[0])).value() == datagrams[0]
