"""What a replay makes again is told by a checksum: smaller, cheaper, and as good."""

import os
import struct

import pytest

from sans_rtc.datachannel import ChannelBufferLow, ChannelMessage
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.trace import (
    Record,
    RecordKind,
    RecordOptions,
    Replayer,
    ReplayMismatch,
    make_recorded,
    read_records,
    replay,
)
from sans_rtc.trace.export import export_pcapng
from sans_rtc.trace.inspection import summarize
from sans_rtc.trace.reading import Decoder
from sans_rtc.trace.values import CHECKED_BYTES_MIN, Bursts, Encoder
from sans_rtc.trace.whole import whole
from sans_rtc.trace.wire import parse_call, parse_header, serialize_call
from sans_rtc.trace.withheld import CheckedDatagrams, Checksum
from sans_rtc_net import file_space
from sans_rtc_net.recording import RecordingFile, read_recording
from tests.trace.sessions import live

SEED = 3
PATH = Path(Address("10.0.0.1", 1), Address("10.0.0.2", 2))
BURST = [Datagram(b"\x17" + bytes([number]) * 400, PATH) for number in range(3)]


@pytest.fixture(scope="module")
def checked():
    return list(read_records(live(SEED)[0]))


@pytest.fixture(scope="module")
def complete():
    """The same session, recorded without checksums."""
    return list(read_records(live(SEED, options=RecordOptions(checksums=False))[0]))


def size_of(records):
    return sum(len(record.body) for record in records)


def joined(records):
    return b"".join([record.serialize() for record in records])


def test_recording_with_checksums_is_smaller_and_replays(checked, complete):
    assert size_of(checked) < 0.75 * size_of(complete)
    assert replay(joined(checked)).datagrams_out == replay(joined(complete)).datagrams_out
    assert parse_header(checked[0]).has_checksums and not parse_header(complete[0]).has_checksums


def test_whole_recording_is_the_one_without_checksums(checked, complete):
    assert list(whole(checked)) == complete
    assert list(whole(complete)) == complete
    replay(joined(whole(checked)))


def test_summary_and_capture_are_the_same(checked, complete):
    one, other = summarize(checked), summarize(complete)
    for name in ("calls", "events", "datagrams_in", "datagrams_out", "bytes_in", "bytes_out", "states"):
        assert getattr(one, name) == getattr(other, name), name
    assert list(export_pcapng(checked)) == list(export_pcapng(complete))


def test_wrong_checksum_is_a_mismatch_at_its_call(checked):
    index = next(index for index, item in enumerate(checked) if item.kind is RecordKind.CALL and is_checked(item))
    body = checked[index].body
    changed = [*checked]
    changed[index] = Record(RecordKind.CALL, body[:-1] + bytes([body[-1] ^ 1]))  # the last bytes are the checksum
    with pytest.raises(ReplayMismatch) as caught:
        replay(joined(changed))
    assert caught.value.index == sum(item.kind is RecordKind.CALL for item in checked[:index])
    assert len(list(whole(changed))) == len(checked)  # and what follows comes as it is


def is_checked(record):
    return isinstance(parse_call(record).value(), CheckedDatagrams)


def test_version_1_is_read_and_replayed(complete):
    def written_then(record):
        if record.kind is not RecordKind.CALL:
            return record
        return serialize_call(parse_call(record), Encoder())

    header = complete[0].body[:8] + struct.pack(">HB", 1, 3)
    old = [Record(RecordKind.HEADER, header), *map(written_then, complete[1:])]
    assert replay(joined(old)).calls == replay(joined(complete)).calls
    assert list(whole(old)) == old


@pytest.mark.parametrize("left_out", ["payloads", "secrets"])
def test_recording_that_cannot_be_replayed_has_no_checksums(left_out):
    options = RecordOptions(**{left_out: False})
    records = list(read_records(live(SEED, options=options)[0]))
    assert not parse_header(records[0]).has_checksums
    assert not any(is_checked(record) for record in records if record.kind is RecordKind.CALL)


# -- values ------------------------------------------------------------------------------------------------------------


def test_burst_is_written_with_sizes_first():
    encoded = Encoder(bursts=Bursts.JOINED).encode(BURST)
    assert Decoder(encoded).value() == tuple(BURST)
    assert encoded.endswith(b"".join([datagram.data for datagram in BURST]))


def test_checked_burst_keeps_sizes_and_path():
    value = Decoder(Encoder(bursts=Bursts.CHECKED).encode(BURST)).value()
    assert isinstance(value, CheckedDatagrams)
    assert (value.path, value.sizes, value.ecn) == (PATH, (401, 401, 401), 0)
    other = [*BURST[:2], Datagram(BURST[2].data[:-1] + b"x", PATH)]
    assert Decoder(Encoder(bursts=Bursts.CHECKED).encode(other)).value().crc != value.crc


OTHER_PATH = Path(Address("10.0.0.1", 1), Address("10.0.0.3", 2))


@pytest.mark.parametrize(
    "datagrams",
    [
        [*BURST, Datagram(BURST[0].data, OTHER_PATH)],
        [*BURST, Datagram(BURST[0].data, PATH, 1)],
        [*BURST, Datagram(BURST[0].data, PATH, 0, True)],
        [Datagram(b"\x16" + bytes(500), PATH), *BURST],
        [Datagram(b"\x17" + bytes(CHECKED_BYTES_MIN - 2), PATH)],
        [Datagram(b"", PATH)],
    ],
    ids=["path", "mark", "probe", "handshake", "short", "empty"],
)
def test_what_people_look_for_stays_whole(datagrams):
    assert Decoder(Encoder(bursts=Bursts.CHECKED).encode(datagrams)).value() == tuple(datagrams)


@pytest.mark.parametrize("data", ["x" * 300, b"x" * 300, "\u00e9" * 200], ids=["text", "bytes", "wide"])
def test_long_message_is_a_checksum(data):
    encoded = Encoder(bursts=Bursts.CHECKED).encode([ChannelMessage(1, data, 300)])
    (event,) = Decoder(encoded).value()
    size = len(data.encode()) if isinstance(data, str) else len(data)
    assert (event.data.size, event.data.is_text) == (size, isinstance(data, str))
    assert isinstance(event.data, Checksum)


LONG = [ChannelMessage(7, bytes([number]) * 300, 300) for number in range(3)]


def test_long_messages_are_written_together_and_read_as_ever():
    together, singly = (Encoder(bursts=bursts).encode(LONG) for bursts in (Bursts.CHECKED, Bursts.SINGLY))
    assert Decoder(together).value() == Decoder(singly).value()
    assert len(together) < len(singly) / 4


@pytest.mark.parametrize(
    "other",
    [ChannelMessage(7, b"short", 5), ChannelBufferLow(7), ChannelMessage(1 << 32, bytes(300), 300)],
    ids=["short", "other", "wide"],
)
def test_messages_among_others_are_written_one_by_one(other):
    events = [*LONG, other]
    assert Encoder(bursts=Bursts.CHECKED).encode(events) == Encoder(bursts=Bursts.SINGLY).encode(events)


def test_version_2_is_read_and_replayed(checked, complete):
    """There each message is an object of its own."""
    replayer, encoder = Replayer(), Encoder(bursts=Bursts.SINGLY)
    old = [Record(RecordKind.HEADER, checked[0].body[:8] + struct.pack(">HB", 2, 11))]
    for record in checked:
        replayer.step(record)
        if record.kind is RecordKind.CALL and parse_call(record).name == "take_events":
            call = parse_call(record)
            head = record.body[: len(record.body) - len(call.result)]
            record = Record(RecordKind.CALL, head + encoder.encode(replayer.last_result))
        old.append(record) if record.kind is not RecordKind.HEADER else None
    assert size_of(old) > size_of(checked)
    assert replay(joined(old)).calls == replay(joined(checked)).calls
    made = Record(RecordKind.HEADER, complete[0].body[:11] + b"\0")  # it does not say by which version of the library
    assert list(whole(old)) == [made, *complete[1:]]


def test_short_message_stays_whole():
    event = ChannelMessage(1, "x" * (CHECKED_BYTES_MIN - 1), 10)
    assert Decoder(Encoder(bursts=Bursts.CHECKED).encode([event])).value() == (event,)


# -- files -------------------------------------------------------------------------------------------------------------


class Echo:
    def __init__(self, *, entropy):
        pass

    def receive(self, datagram, now):
        pass


def record_sizes(path, sizes, **options):
    file = RecordingFile(path, **options)
    records = []
    machine = make_recorded(Echo, entropy=os.urandom, sink=file)
    expected = make_recorded(Echo, entropy=os.urandom, sink=records.append)
    for number, size in enumerate(sizes):
        for each in (machine, expected):
            each.receive(bytes([number & 0xFF]) * size, float(number))
    return file, b"".join(records)


SIZES = [10, 20_000, 3, 300_000, 100_000, 700_000, 1, 9_000, 262_144, 40_000, 500_000, 5]


def test_large_records_are_written_from_where_they_lie(tmp_path):
    file, expected = record_sizes(tmp_path / "a.rec", SIZES)
    assert b"".join(read_recording(tmp_path / "a.rec")) == expected  # before it is closed, as after a crash
    file.close()
    assert (tmp_path / "a.rec").read_bytes() == expected
    assert not list(tmp_path.glob("*.tail"))


def test_process_killed_while_the_tail_is_written_out_loses_nothing(tmp_path):
    """Part of the tail is in the file already, and the tail has it still."""
    file, expected = record_sizes(tmp_path / "a.rec", [700_000, 20_000, 3, 9_000])
    tail = (tmp_path / "a.rec.tail").read_bytes()
    start, size = struct.unpack_from(">QI", tail)
    assert start + size == len(expected) and size > 29_000
    for part in (0, 1, 5_000, size, size + 10):
        (tmp_path / "b.rec").write_bytes((expected + b"\0\0\0\1\4?????")[: start + part])
        (tmp_path / "b.rec.tail").write_bytes(tail)
        assert b"".join(read_recording(tmp_path / "b.rec"))[: len(expected)] == expected
    file.close()


def test_tail_of_another_place_is_left_out(tmp_path):
    (tmp_path / "a.rec").write_bytes(b"abc")
    (tmp_path / "a.rec.tail").write_bytes(struct.pack(">QI", 4, 2) + b"xy")
    assert b"".join(read_recording(tmp_path / "a.rec")) == b"abc"


def test_file_of_many_steps_has_all_and_no_room_left_over(tmp_path):
    size = 300_000
    with_room = RecordingFile(tmp_path / "a.rec")
    for number in range(60):  # 18 MB: memory is given back, and room is reserved, more than once
        with_room.take_pieces([bytes([number]) * size], size)
    with_room.close()
    assert (tmp_path / "a.rec").read_bytes() == b"".join([bytes([number]) * size for number in range(60)])
    assert (tmp_path / "a.rec").stat().st_blocks * 512 < 60 * size + (1 << 20)


def test_system_without_hints_gets_all(tmp_path, monkeypatch):
    monkeypatch.setattr(file_space, "_find_fallocate", lambda: None)
    monkeypatch.delattr(os, "posix_fadvise", raising=False)
    file, expected = record_sizes(tmp_path / "a.rec", [400_000] * 12)
    file.close()
    assert (tmp_path / "a.rec").read_bytes() == expected


def test_file_that_takes_less_at_once_gets_all(tmp_path, monkeypatch):
    writev = os.writev
    monkeypatch.setattr(os, "writev", lambda fd, pieces: writev(fd, [b"".join(pieces)[:5000]]))
    file, expected = record_sizes(tmp_path / "a.rec", SIZES)
    file.close()
    assert (tmp_path / "a.rec").read_bytes() == expected


def test_system_without_writev_gets_all(tmp_path, monkeypatch):
    monkeypatch.setattr("sans_rtc_net.recording._HAS_WRITEV", False)
    file, expected = record_sizes(tmp_path / "a.rec", SIZES)
    file.close()
    assert (tmp_path / "a.rec").read_bytes() == expected


def test_disk_that_is_full_ends_the_recording_and_not_the_session(tmp_path, monkeypatch):
    def full(fd, pieces):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "writev", full)
    file, _ = record_sizes(tmp_path / "a.rec", SIZES)
    assert file.failure is not None and file.failure.errno == 28
