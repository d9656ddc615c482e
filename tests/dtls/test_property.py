"""Properties: any bytes in any state, damaged handshakes, and any order of calls. Nothing raises, nothing grows."""

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sans_rtc.dtls import ApplicationData, Connected, DtlsConfig
from sans_rtc.dtls.handshake import HandshakeMessage
from sans_rtc.errors import LocalError
from sans_rtc.machine import Terminated

SETTINGS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
STOPS_S = [0.0, 0.005, 0.015, 0.025, 0.035, 0.1]  # before and between the flights, and connected


@st.composite
def handshake_records(draw):
    """Plaintext handshake records, well-formed outside, with any message inside."""
    type_ = draw(st.sampled_from([0, 1, 2, 3, 4, 11, 12, 13, 14, 15, 16, 20, 22, 255]))
    message = HandshakeMessage(type_, draw(st.integers(0, 10) | st.just(65535)), draw(st.binary(max_size=120)))
    size = len(message.body)
    start = draw(st.integers(0, size))
    data = message.serialize_fragment(start, draw(st.integers(0, size - start)))
    numbers = draw(st.sampled_from([0, 0, 0, 1, 2])) << 48 | draw(st.integers(0, (1 << 48) - 1))
    return b"\x16\xfe\xfd" + numbers.to_bytes(8, "big") + len(data).to_bytes(2, "big") + data


@st.composite
def records(draw):
    data = draw(st.binary(max_size=80))
    head = bytes([draw(st.sampled_from([20, 21, 22, 23, 25, 26, 47]))]) + draw(
        st.sampled_from([b"\xfe\xfd", b"\xfe\xff", b"\x03\x03"])
    )
    numbers = draw(st.sampled_from([0, 1, 2, 65535])) << 48 | draw(st.integers(0, (1 << 48) - 1))
    return head + numbers.to_bytes(8, "big") + len(data).to_bytes(2, "big") + data


DATAGRAMS = st.one_of(
    st.binary(max_size=100),
    handshake_records(),
    records(),
    st.lists(st.one_of(handshake_records(), records()), min_size=1, max_size=5).map(b"".join),
)


def sizes(machine):
    """Everything in a connection that could grow."""
    layer = machine._handshake
    return (
        len(machine._records._early),
        len(machine._early_data),
        layer._reassembler.buffered_bytes,
        len(layer._reassembler._partials),
        len(machine._outbox),
    )


@SETTINGS
@given(stop=st.sampled_from(STOPS_S), end=st.integers(0, 1), datagrams=st.lists(DATAGRAMS, max_size=30))
def test_any_datagrams_in_any_state_raise_nothing_and_prove_nobody(make_pair, stop, end, datagrams):
    pair = make_pair(DtlsConfig(early_record_count_max=4)).start()
    pair.link.run_for(stop)
    machine = pair.ends[end]
    was_connected = machine.state == "connected"
    machine.take_datagrams(pair.now)
    machine.take_events()
    for datagram in datagrams:
        machine.receive(datagram, pair.now)
        early, early_data, buffered, partials, queued = sizes(machine)
        assert (early <= 4, early_data <= 4, buffered <= 65536, partials <= 8) == (True,) * 4
        assert queued <= 2
        assert machine.deadline == machine.deadline
    events = machine.take_events()
    assert not any(isinstance(event, Connected | ApplicationData) for event in events)
    if was_connected:
        assert events == ()
        assert machine.state == "connected"
    else:
        assert len(events) <= 1
        assert machine.is_terminated == any(isinstance(event, Terminated) for event in events)


@SETTINGS
@given(which=st.integers(0, 3), bit=st.integers(0, 1 << 13), seed=st.integers(0, 3))
def test_one_flipped_bit_completes_later_or_ends_with_a_reason(make_pair, which, bit, seed):
    """Every bit of a real handshake, flipped once on its way."""
    pair = make_pair(DtlsConfig(handshake_timeout_s=5), seed=seed)
    count = []

    def flip(end, datagram):
        count.append(end)
        if len(count) != which + 1:
            return datagram
        damaged = bytearray(datagram)
        damaged[bit // 8 % len(damaged)] ^= 1 << bit % 8
        return bytes(damaged)

    pair.link.filter = flip
    pair.run_to_the_end(within_s=20)
    check_outcome(pair)


@SETTINGS
@given(st.data())
def test_cut_or_extended_datagrams_complete_later_or_end_with_a_reason(make_pair, data):
    pair = make_pair(DtlsConfig(handshake_timeout_s=5))
    damage = data.draw(st.dictionaries(st.integers(0, 3), st.integers(0, 600) | st.binary(max_size=20), max_size=3))
    count = []

    def change(end, datagram):
        count.append(end)
        what = damage.get(len(count) - 1, b"")
        return datagram + what if isinstance(what, bytes) else datagram[:what]

    pair.link.filter = change
    pair.run_to_the_end(within_s=20)
    check_outcome(pair)


def check_outcome(pair):
    for end in (0, 1):
        assert len(pair.events(end, Terminated)) <= 1
        assert len(pair.connected(end)) <= 1
    if pair.is_connected():
        exports = [end.export_keying_material(b"EXTRACTOR-dtls_srtp", 60) for end in pair.ends]
        assert exports[0] == exports[1]
    for end in pair.ends:
        if end.is_terminated:
            assert end.deadline == math.inf


@pytest.fixture(scope="module")
def connected_pair(make_pair):
    return make_pair().connect()


VERBS = st.sampled_from(["start", "send", "close", "abort", "handle_timer", "receive", "export", "take", "wait"])


@SETTINGS
@given(end=st.integers(0, 1), verbs=st.lists(VERBS, max_size=20), stop=st.sampled_from(STOPS_S))
def test_any_order_of_calls_raises_local_errors_only(make_pair, end, verbs, stop):
    pair = make_pair()
    if stop:
        pair.start()
        pair.link.run_for(stop)
    machine, now = pair.ends[end], pair.now
    terminated = 0
    for verb in verbs:
        try:
            match verb:
                case "send":
                    machine.send(b"data", now)
                case "receive":
                    machine.receive(b"\x16\xfe\xfd" + bytes(10), now)
                case "export":
                    machine.export_keying_material(b"EXPORTER-x", 8)
                case "take":
                    machine.take_datagrams(now)
                case "wait":
                    now += 0.3
                case _:
                    getattr(machine, verb)(now)
        except LocalError:
            pass
        events = machine.take_events()
        assert not terminated or not events
        terminated += sum(isinstance(event, Terminated) for event in events)
    assert terminated <= 1


@SETTINGS
@given(st.binary(min_size=1, max_size=1163))
def test_any_data_arrives_as_it_was(connected_pair, data):
    pair = connected_pair
    pair.client.send(data, pair.now)
    for record in pair.client.take_datagrams(pair.now):
        pair.server.receive(record, pair.now)
    assert pair.server.take_events() == [ApplicationData(data)]


@pytest.mark.parametrize("end", [0, 1])
def test_zero_length_datagram_is_nothing(make_pair, end):
    """Test number one of the contract."""
    pair = make_pair().start()
    for _ in range(50):
        pair.ends[end].receive(b"", pair.now)
        pair.link.run_for(0.001)
    assert pair.is_connected()
    assert pair.ends[end].stats.discards["empty_datagram"] == 50
