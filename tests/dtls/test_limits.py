"""Every bound of the configuration is reached once."""

import pytest

from sans_rtc.dtls import ApplicationData, Connected, DtlsConfig, Fingerprint
from sans_rtc.dtls.handshake import HandshakeMessage, HandshakeType
from sans_rtc.dtls.record import SEQUENCE_NUMBER_MAX
from sans_rtc.errors import InvalidArgument, LimitExceeded
from sans_rtc.machine import Terminated

CLIENT, SERVER = 0, 1


@pytest.mark.proves("RFC6347-4.1.1-2-038a")
@pytest.mark.parametrize(("suite", "overhead"), [(0xC02B, 37), (0xC02C, 37), (0xCCA9, 29)])
def test_data_fills_the_mtu_and_no_more(make_pair, suite, overhead):
    pair = make_pair(DtlsConfig(cipher_suites=(suite,))).connect()
    most = 1200 - overhead
    pair.client.send(bytes(most), pair.now)
    assert [len(datagram) for datagram in pair.client.take_datagrams(pair.now)] == [1200]
    with pytest.raises(LimitExceeded):
        pair.client.send(bytes(most + 1), pair.now)
    assert pair.client.take_datagrams(pair.now) == ()


@pytest.mark.proves("RFC6347-4.1.1.1-5-7cb8")
def test_overhead_is_known_from_the_beginning(make_pair):
    client = make_pair().client
    assert (client.record_overhead_bytes, client.overhead_bytes_max) == (37, 37)


@pytest.mark.proves("RFC6347-4.1.1.1-4-2e42", "RFC5246-6.2.1-1-476b")
def test_data_is_no_longer_than_a_record_may_be(make_pair):
    pair = make_pair(DtlsConfig(mtu_bytes=60000)).connect()
    pair.client.send(bytes(1 << 14), pair.now)
    with pytest.raises(LimitExceeded):
        pair.client.send(bytes((1 << 14) + 1), pair.now)
    pair.link.run_for(1.0)
    assert len(pair.events(SERVER, ApplicationData)[0].data) == 1 << 14


def test_empty_data_is_an_invalid_argument(make_pair):
    pair = make_pair().connect()
    with pytest.raises(InvalidArgument):
        pair.client.send(b"", pair.now)


@pytest.mark.proves("RFC5246-6.2.1-3-9d8d")
def test_one_record_a_datagram_in_the_order_of_sending(make_pair):
    pair = make_pair().connect()
    for index in range(50):
        pair.client.send(bytes([index]), pair.now)
    pair.link.run_for(1.0)
    assert [event.data[0] for event in pair.events(SERVER, ApplicationData)] == list(range(50))
    assert {len(datagram) for datagram in pair.link.sent[CLIENT][-50:]} == {38}


def test_queue_of_records_is_bounded(make_pair):
    pair = make_pair(DtlsConfig(send_queue_count_max=3)).connect()
    for _ in range(3):
        pair.client.send(b"data", pair.now)
    with pytest.raises(LimitExceeded):
        pair.client.send(b"data", pair.now)
    assert len(pair.client.take_datagrams(pair.now)) == 3
    pair.client.send(b"data", pair.now)


def test_key_that_has_protected_its_records_ends_the_connection(make_pair):
    pair = make_pair(DtlsConfig(record_count_max=20), DtlsConfig()).connect()
    for index in range(30):
        pair.client.send(bytes([index]), pair.now)  # what comes after the end is ignored
    pair.link.run_for(1.0)
    # number 0 was the Finished; 19 of data make 20; the close_notify comes besides
    assert len(pair.events(SERVER, ApplicationData)) == 19
    assert (pair.reason(CLIENT), pair.reason(SERVER)) == ("limit_reached", "peer_closed")
    assert pair.client.state == "failed"


@pytest.mark.proves("RFC6347-4.1-6-086c")
def test_sequence_numbers_never_wrap(make_pair):
    pair = make_pair(DtlsConfig(cipher_suites=(0xCCA9,), record_count_max=SEQUENCE_NUMBER_MAX - 1)).connect()
    pair.client._records._current.next_number = SEQUENCE_NUMBER_MAX - 3
    for _ in range(10):
        pair.client.send(b"data", pair.now)
    pair.link.run_for(1.0)
    assert len(pair.events(SERVER, ApplicationData)) == 2
    assert pair.reason(CLIENT) == "limit_reached"
    assert pair.reason(SERVER) == "peer_closed"


def test_gcm_limit_applies_whatever_the_configuration_says(make_pair):
    """RFC 8446 section 5.5: 2**24.5 records of 2**14 bytes, here counted in the blocks that they are."""
    pair = make_pair(DtlsConfig(record_count_max=SEQUENCE_NUMBER_MAX - 1)).connect()
    assert 2**34.4 < pair.client._blocks_left <= 2**34.5
    pair.client._blocks_left = 3 * (64 + 2)
    for _ in range(5):
        pair.client.send(bytes(1024), pair.now)
    pair.link.run_for(1.0)
    assert len(pair.events(SERVER, ApplicationData)) == 3
    assert pair.reason(CLIENT) == "limit_reached"


def test_chacha_has_no_limit_but_the_sequence_numbers(make_pair):
    config = DtlsConfig(record_count_max=SEQUENCE_NUMBER_MAX - 1, cipher_suites=(0xCCA9,))
    assert make_pair(config).connect().client._blocks_left > SEQUENCE_NUMBER_MAX * 2**11


@pytest.mark.proves("RFC8261-5-3-eb33", "RFC6347-4.1.1.1-7-306a")
def test_data_may_be_larger_than_the_handshake_where_their_sender_looks_for_the_mtu(make_pair):
    pair = make_pair(DtlsConfig(data_mtu_bytes=9000)).connect()
    pair.client.send(bytes(9000 - pair.client.record_overhead_bytes), pair.now)
    with pytest.raises(LimitExceeded):
        pair.client.send(bytes(9001 - pair.client.record_overhead_bytes), pair.now)
    assert len(pair.client.take_datagrams(pair.now)[0]) == 9000


def test_too_many_forgeries_end_the_connection(make_pair, make_record):
    pair = make_pair(DtlsConfig(forgery_count_max=5), DtlsConfig()).connect()
    for number in range(5):
        assert not pair.client.is_terminated
        pair.client.receive(make_record(23, bytes(40), epoch=1, number=100 + number), pair.now)
    pair.link.run_for(1.0)
    assert (pair.reason(CLIENT), pair.reason(SERVER)) == ("limit_reached", "peer_alert")


def test_early_data_is_bounded(make_pair):
    pair = make_pair(DtlsConfig(early_record_count_max=3), DtlsConfig())
    pair.start()
    pair.link.filter = lambda end, datagram: None if pair.server.state == "connected" else datagram
    pair.link.run_until(lambda: pair.server.state == "connected")
    finished = pair.link.sent[SERVER][-1]
    ccs_bytes = 14
    pair.client.receive(finished[:ccs_bytes], pair.now)
    for index in range(5):
        pair.server.send(bytes([index]), pair.now)
    for datagram in pair.server.take_datagrams(pair.now):
        pair.client.receive(datagram, pair.now)
    assert pair.client.take_events() == ()
    pair.client.receive(finished[ccs_bytes:], pair.now)
    events = pair.client.take_events()
    assert [type(event) for event in events] == [Connected] + [ApplicationData] * 3
    assert [event.data for event in events[1:]] == [b"\x00", b"\x01", b"\x02"]
    assert pair.client.stats.discards["early_data_overflow"] == 2


@pytest.mark.proves("RFC6347-4.2.7-2-e258")
def test_handshake_messages_that_make_no_sense_end_it_at_the_fourth(make_pair, make_record):
    pair = make_pair()
    pair.server.start(pair.now)
    message = HandshakeMessage(HandshakeType.CLIENT_HELLO, 0, b"nonsense").serialize()
    for number in range(3):
        pair.server.receive(make_record(22, message, number=number), pair.now)
        assert pair.server.take_events() == ()
    pair.server.receive(make_record(22, message, number=3), pair.now)
    (event,) = pair.server.take_events()
    assert (event.reason, "client_hello" in event.detail) == ("protocol_violation", True)
    assert pair.server.take_datagrams(pair.now)[-1][-2:] == b"\x02\x32"


def test_genuine_message_may_come_after_one_that_makes_no_sense(make_pair, make_record):
    pair = make_pair().start()
    message = HandshakeMessage(HandshakeType.CLIENT_HELLO, 0, b"nonsense").serialize()
    pair.server.receive(make_record(22, message), pair.now)
    pair.link.run_until(pair.is_connected)
    assert pair.server.stats.discards["malformed_message"] == 1


@pytest.mark.proves("RFC6347-4.2.1-17-078d")
def test_hello_verify_requests_are_answered_eight_times_at_most(make_pair, make_record):
    client = make_pair().client
    client.start(0.0)
    client.take_datagrams(0.0)
    for index in range(20):
        body = b"\xfe\xff\x01" + bytes([index])
        seq = 0 if index % 2 else client._handshake._reassembler.next_seq
        message = HandshakeMessage(HandshakeType.HELLO_VERIFY_REQUEST, seq, body).serialize()
        client.receive(make_record(22, message, number=index), 0.0)
        client.take_datagrams(0.0)
    assert client.stats.flights_sent == 9


def test_repeated_hello_verify_request_changes_nothing(make_pair, make_record):
    client = make_pair().client
    client.start(0.0)
    message = HandshakeMessage(HandshakeType.HELLO_VERIFY_REQUEST, 0, b"\xfe\xff\x01c").serialize()
    for number in range(5):
        client.receive(make_record(22, message, number=number), 0.0)
    assert client.stats.flights_sent == 2
    client.receive(make_record(22, HandshakeMessage(3, 0, b"\xfe\xff\x05c").serialize()), 0.0)
    assert client.stats.discards["malformed_message"] == 1


def test_flood_of_tiny_records_in_one_datagram_is_survived(make_pair, make_record):
    pair = make_pair().start()
    flood = make_record(22, b"\x01") * 4600
    pair.server.receive(flood, pair.now)
    pair.link.run_until(pair.is_connected)
    assert pair.server.stats.discards["malformed_fragment"] == 4600


@pytest.mark.proves("RFC6347-4.1.2.6-5-5316")
@pytest.mark.parametrize(
    "settings",
    [
        {"cipher_suites": ()},
        {"cipher_suites": (0x1301,)},
        {"cipher_suites": (0xC02B, 0xC02B)},
        {"groups": ()},
        {"groups": (25,)},
        {"signature_schemes": (0x0203,)},
        {"srtp_profiles": (7, 7)},
        {"srtp_profiles": (70000,)},
        {"mtu_bytes": 255},
        {"mtu_bytes": 65508},
        {"flight_timeout_s": 0.0},
        {"flight_timeout_s": 2.0, "flight_timeout_s_max": 1.0},
        {"handshake_timeout_s": 0.0},
        {"alert_grace_s": -1.0},
        {"handshake_message_bytes_max": 100},
        {"reassembly_bytes_max": 4096},
        {"message_ahead_count_max": 4},
        {"malformed_message_count_max": 0},
        {"early_record_count_max": -1},
        {"send_queue_count_max": 0},
        {"replay_window_size": 31},
        {"record_count_max": 1 << 48},
        {"forgery_count_max": 0},
    ],
)
def test_setting_out_of_range_is_an_invalid_argument(settings):
    with pytest.raises(InvalidArgument):
        DtlsConfig(**settings)


def test_key_log_is_not_shown_in_the_configuration():
    assert "key_log" not in repr(DtlsConfig(key_log=print))


def test_exports_have_limits_of_their_own(make_pair):
    client = make_pair().connect().client
    for label, length, context in [
        (b"client finished", 12, None),
        (b"extended master secret", 48, None),
        (b"key expansion", 40, None),
        (b"EXPORTER-a", 0, None),
        (b"EXPORTER-a", 10, bytes(65536)),
    ]:
        with pytest.raises(InvalidArgument):
            client.export_keying_material(label, length, context)


def test_events_are_terminated_once_however_it_ends(make_pair):
    pair = make_pair(client_expects=[Fingerprint("sha-256", bytes(32))]).run_to_the_end()
    for end in (CLIENT, SERVER):
        assert len(pair.events(end, Terminated)) == 1
