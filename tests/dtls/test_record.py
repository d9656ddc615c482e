"""The record layer: protection of every suite, replays, epochs, what is malformed, what comes early."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.dtls import CipherSuite, DtlsConfig, DtlsStats
from sans_rtc.dtls.ciphers import SUITES
from sans_rtc.dtls.keys import SessionKeys
from sans_rtc.dtls.record import PLAINTEXT_BYTES_MAX, SEQUENCE_NUMBER_MAX, RecordLayer


def make_layers(suite=CipherSuite.ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, config=None):
    """A writer and a reader of epoch 1."""
    keys = SessionKeys(suite, bytes(48), bytes(32), bytes(32))
    write, _ = keys.protections()
    read, _ = keys.protections()
    config = config or DtlsConfig()
    writer, reader = RecordLayer(config, DtlsStats()), RecordLayer(config, DtlsStats())
    writer.install_write(1, write)
    writer.use_write(1)
    reader.install_read(1, read)
    return writer, reader


def discards(layer):
    return {str(reason): count for reason, count in layer._stats.discards.items()}


@pytest.mark.proves("RFC6347-4.1.2.6-2-4a7a", "SECURITY-4.3-1-83d8")
@pytest.mark.parametrize("suite", CipherSuite)
def test_record_of_each_suite_opens_to_what_was_sealed(suite):
    writer, reader = make_layers(suite)
    record = writer.seal(23, b"data")
    assert reader.open(record) == [(23, 1, 0, b"data")]
    assert len(record) == 4 + SUITES[suite].protection.overhead_bytes
    assert b"data" not in record


@pytest.mark.proves("RFC5246-6.2.3.3-3-4b82")
@pytest.mark.parametrize("suite", CipherSuite)
def test_overhead_is_37_bytes_with_gcm_and_29_with_chacha(suite):
    writer, _ = make_layers(suite)
    assert writer.overhead_bytes == (29 if "CHACHA" in suite.name else 37)


def test_each_direction_has_its_own_key():
    keys = SessionKeys(CipherSuite.ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, bytes(48), bytes(32), bytes(32))
    client, server = keys.protections()
    assert server.open(23, 1 << 48, client.seal(23, 1 << 48, b"data")[13:]) is None


@pytest.mark.proves("SECURITY-4.3-1-83d8")
@pytest.mark.parametrize("suite", CipherSuite)
def test_every_flipped_bit_is_noticed(suite):
    writer, _ = make_layers(suite)
    record = writer.seal(23, b"data")
    for bit in range(len(record) * 8):
        _, reader = make_layers(suite)
        reader.end_handshake()
        damaged = bytearray(record)
        damaged[bit // 8] ^= 1 << bit % 8
        assert reader.open(bytes(damaged)) == []


@pytest.mark.proves("RFC6347-4.1.2.6-6-9bb7", "RFC6347-4.1.2.1-1-cb55")
def test_forged_record_is_discarded_and_counted():
    writer, reader = make_layers()
    record = writer.seal(23, b"data")
    assert reader.open(record[:-1] + b"\x00") == []
    assert discards(reader) == {"bad_mac": 1}
    assert reader.forgery_count == 1


def test_forged_record_does_not_move_the_replay_window():
    writer, reader = make_layers()
    first = writer.seal(23, b"first")
    writer._current.next_number = 10_000
    forged = bytearray(writer.seal(23, b"later"))
    forged[-1] ^= 1
    assert reader.open(bytes(forged)) == []
    assert reader.open(first) == [(23, 1, 0, b"first")]


@pytest.mark.proves("RFC6347-4.1.2.6-3-018e", "RFC6347-4.1.2.6-1-0d59")
def test_replayed_record_is_discarded():
    writer, reader = make_layers()
    record = writer.seal(23, b"data")
    assert len(reader.open(record)) == 1
    assert reader.open(record) == []
    assert discards(reader) == {"replayed": 1}


@pytest.mark.proves("RFC6347-4.1.2.6-5-5316", "RFC6347-4.1.2.6-1-0d59")
def test_record_older_than_the_window_is_discarded():
    writer, reader = make_layers(config=DtlsConfig(replay_window_size=32))
    records = [writer.seal(23, bytes([i])) for i in range(40)]
    reader.open(records[39])
    assert reader.open(records[7]) == []
    assert reader.open(records[8]) == [(23, 1, 8, b"\x08")]


def test_reordered_records_all_open():
    writer, reader = make_layers()
    records = [writer.seal(23, bytes([i])) for i in range(10)]
    assert [reader.open(record)[0][2] for record in reversed(records)] == list(range(9, -1, -1))


def test_several_records_in_a_datagram_all_open():
    writer, reader = make_layers()
    datagram = writer.seal(23, b"one") + writer.seal(21, b"two")
    assert reader.open(datagram) == [(23, 1, 0, b"one"), (21, 1, 1, b"two")]


def test_record_of_a_later_epoch_than_the_next_is_discarded(make_record):
    reader = RecordLayer(DtlsConfig(), DtlsStats())
    assert reader.open(make_record(23, b"data", epoch=2)) == []
    assert discards(reader) == {"unknown_epoch": 1}


@pytest.mark.proves("RFC6347-4.1-4-c693")
def test_record_of_the_next_epoch_waits_for_its_keys():
    writer, keyed = make_layers()
    reader = RecordLayer(DtlsConfig(), DtlsStats())
    for number in range(3):
        assert reader.open(writer.seal(22, bytes([number + 1]))) == []
    assert reader.open_early() == []  # still no keys: kept for longer
    reader.install_read(1, keyed._read[1].protection)
    assert reader.open_early() == [(22, 1, 0, b"\x01"), (22, 1, 1, b"\x02"), (22, 1, 2, b"\x03")]
    assert reader.open_early() == []
    assert discards(reader) == {}


def test_early_records_are_bounded_in_number(make_record):
    reader = RecordLayer(DtlsConfig(early_record_count_max=2), DtlsStats())
    for number in range(5):
        reader.open(make_record(23, b"data", epoch=1, number=number))
    assert discards(reader) == {"early_record_overflow": 3}


def test_early_records_are_bounded_in_bytes(make_record):
    reader = RecordLayer(DtlsConfig(early_bytes_max=1000), DtlsStats())
    for number in range(5):
        reader.open(make_record(23, bytes(400), epoch=1, number=number))
    assert discards(reader) == {"early_record_overflow": 3}


@pytest.mark.proves("RFC6347-4.1-2-2e1a")
def test_after_the_handshake_nothing_unprotected_and_nothing_early_is_taken(make_record):
    _, reader = make_layers()
    reader.end_handshake()
    assert reader.open(make_record(21, b"\x02\x28")) == []
    assert reader.open(make_record(21, b"\x02\x28", epoch=2)) == []
    assert discards(reader) == {"unknown_epoch": 1, "early_record_overflow": 1}


def test_unprotected_records_have_no_replay_window(make_record):
    """One forged record with a high number must not shut out the genuine ones."""
    reader = RecordLayer(DtlsConfig(), DtlsStats())
    assert len(reader.open(make_record(22, b"x", number=SEQUENCE_NUMBER_MAX))) == 1
    assert len(reader.open(make_record(22, b"x", number=0))) == 1
    assert len(reader.open(make_record(22, b"x", number=0))) == 1


@pytest.mark.proves("RFC5246-6.2.3-1-4889", "RFC6347-4.1.2.7-1-7638", "RFC6347-5-3-f06a")
@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (b"", "empty_datagram"),
        (b"\x16", "malformed_record"),
        (b"\x16\xfe\xfd" + bytes(9), "malformed_record"),
        (b"\x16\xfe\xfd" + bytes(8) + b"\x00\x02x", "malformed_record"),
        (b"\x19\xfe\xfd" + bytes(8) + b"\x00\x01x", "malformed_record"),
        (b"\x2f\xfe\xfd" + bytes(8) + b"\x00\x01x", "malformed_record"),
        (b"\x16\x03\x03" + bytes(8) + b"\x00\x01x", "wrong_record_version"),
        (b"\x16\xfe\xfc" + bytes(8) + b"\x00\x01x", "wrong_record_version"),
        (b"\x16\xfe\xfd" + bytes(8) + b"\x00\x00", "empty_record"),
        (b"\x16\xfe\xfd" + bytes(8) + b"\x48\x01" + bytes(0x4801), "malformed_record"),
        (b"\x16\xfe\xfd" + bytes(8) + b"\x40\x01" + bytes(0x4001), "malformed_record"),
    ],
)
def test_malformed_record_is_discarded_by_reason(datagram, reason):
    reader = RecordLayer(DtlsConfig(), DtlsStats())
    assert reader.open(datagram) == []
    assert discards(reader) == {reason: 1}


def test_what_precedes_a_malformed_record_is_taken(make_record):
    reader = RecordLayer(DtlsConfig(), DtlsStats())
    assert reader.open(make_record(22, b"good") + b"\x16\xfe") == [(22, 0, 0, b"good")]


def test_record_version_1_0_is_taken_unprotected_only():
    """Browsers write it around their ClientHello."""
    writer, reader = make_layers()
    assert len(reader.open(b"\x16\xfe\xff" + bytes(8) + b"\x00\x01x")) == 1
    record = bytearray(writer.seal(23, b"data"))
    record[2] = 0xFF
    assert reader.open(bytes(record)) == []
    assert discards(reader) == {"wrong_record_version": 1}


def test_protected_record_without_data_is_discarded():
    writer, reader = make_layers()
    assert reader.open(writer.seal(23, b"")) == []
    assert discards(reader) == {"empty_record": 1}


@pytest.mark.parametrize("suite", [0xC02B, 0xCCA9])
def test_protected_record_too_short_for_its_tag_is_not_authentic(suite, make_record):
    _, reader = make_layers(CipherSuite(suite))
    for size in range(1, 24 if suite == 0xC02B else 16):
        assert reader.open(make_record(23, bytes(size), epoch=1)) == []
    assert reader.open(make_record(23, bytes(30), epoch=1)) == []
    assert set(discards(reader)) == {"bad_mac"}


@pytest.mark.proves("RFC5246-6.2.1-1-476b")
def test_largest_record_opens():
    writer, reader = make_layers()
    assert reader.open(writer.seal(23, bytes(PLAINTEXT_BYTES_MAX)))[0][3] == bytes(PLAINTEXT_BYTES_MAX)
    assert reader.open(writer.seal(23, bytes(PLAINTEXT_BYTES_MAX + 1))) == []


@pytest.mark.proves("RFC6347-4.1-3-46eb", "RFC5246-6.1-1-3fa6", "RFC5246-6.1-2-d733", "RFC5246-6.1-3-8411")
def test_epochs_have_sequence_numbers_of_their_own():
    writer, reader = make_layers()
    numbers = []
    for _ in range(2):
        numbers += [record[1:3] for record in reader.open(writer.seal_in(0, 22, b"x") + writer.seal_in(1, 22, b"y"))]
    assert numbers == [(0, 0), (1, 0), (0, 1), (1, 1)]


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_open_to_nothing_protected(datagram):
    _, reader = make_layers()
    assert all(epoch == 0 for _, epoch, _, _ in reader.open(datagram))


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([20, 21, 22, 23]), st.binary(min_size=1, max_size=50)), max_size=8))
def test_datagram_of_any_records_is_taken_apart_again(contents):
    writer, reader = make_layers()
    datagram = b"".join([writer.seal(content_type, data) for content_type, data in contents])
    assert [(record[0], record[3]) for record in reader.open(datagram)] == contents
