"""Calls in a simulated network keep what they promise, and oracles see what does not."""

import pytest

from sans_rtc.datachannel import ChannelMessage, ChannelOptions
from sans_rtc.dtls.record import RecordLayer
from sans_rtc.machine import Datagram, Path
from sans_rtc.media import OutgoingFrame
from sans_rtc.peer import PeerConfig, PeerConnection
from sans_rtc.sctp import SctpConfig
from sans_rtc.snapshot import restore, store
from sans_rtc.testing import Call, LinkConditions, Promise, SeededEntropy
from sans_rtc.testing.nonces import NonceWatch

BAD = LinkConditions(delay_s=0.02, loss=0.1, duplication=0.05, reordering=0.1)


def flow_of(association):
    return association._outbound.flow


def indication(data):
    """A Send indication with one attribute, DATA (RFC 8656 section 11.1)."""
    attribute = b"\x00\x13" + len(data).to_bytes(2, "big") + data + bytes(-len(data) % 4)
    return b"\x00\x16" + len(attribute).to_bytes(2, "big") + bytes(16) + attribute


def test_call_delivers_on_a_bad_network():
    call = Call.on_two_hosts(seed=1, conditions=BAD)
    chat = call.connect("chat")
    for number in range(30):
        chat.send(number % 2, f"message {number}")
    call.settle()
    assert call.parties[1].messages == [("chat", f"message {number}") for number in range(0, 30, 2)]
    assert len(call.parties[0].messages) == 15
    assert call.oracles.steps > 40


def test_call_carries_frames():
    call = Call.on_two_hosts(seed=2)
    call.connect()
    name = call.add_track(1, "audio")
    call.network.run_for(1.0)
    for number in range(10):
        assert call.send_frame(1, name, OutgoingFrame(b"\xf8frame %d" % number, 960 * number))
        call.network.run_for(0.02)
    call.network.run_for(0.5)
    assert call.parties[0].frames == [(name, b"\xf8frame %d" % number) for number in range(10)]


def test_call_outlives_a_crash_and_a_clock_that_jumps():
    call = Call.on_two_hosts(seed=3, conditions=BAD)
    chat = call.connect("chat")
    for number in range(10):
        chat.send(0, f"message {number}")
    call.network.run_for(0.02)
    call.parties[0].crash(1.0)
    call.network.run_for(2.0)
    call.parties[1].host.jump_clock(100.0)
    chat.send(1, "after")
    call.settle()
    assert len(call.parties[1].messages) == 10
    assert call.parties[0].messages == [("chat", "after")]


def test_what_there_is_no_room_for_waits():
    config = PeerConfig(sctp=SctpConfig(send_buffer_bytes_max=30_000))
    call = Call.on_two_hosts(seed=4, configs=(config, None))
    chat = call.connect("chat")
    for number in range(3):
        chat.send_when_possible(0, bytes([number]) * 10_000)
    assert call.parties[0].backlog == []
    for number in range(3, 10):
        chat.send_when_possible(0, bytes([number]) * 10_000)
    assert call.parties[0].backlog
    call.settle()
    assert [payload[0] for _, payload in call.parties[1].messages] == list(range(10))


def test_progress_that_does_not_come_is_explained():
    call = Call.on_two_hosts(seed=5)
    chat = call.connect("chat")
    call.network.part(*[party.host for party in call.parties])
    chat.send(0, "into the void")
    with pytest.raises(AssertionError, match=r"1 sent, 0 received") as failure:
        call.settle(within_s=5.0)
    assert "ICE" in str(failure.value)


def test_channels_of_every_kind_open_and_close():
    call = Call.on_two_hosts(seed=6)
    call.connect()
    kinds = [{}, {"ordered": False}, {"max_retransmits": 0}, {"lifetime_s": 0.1}, {"negotiated_id": 700}]
    for number, options in enumerate(kinds):
        channel = call.create_channel(number % 2, str(number), ChannelOptions(**options))
        call.network.run_until(lambda channel=channel: channel.is_open)
        channel.send(0, "text")
        channel.close(0)
        call.network.run_until(lambda number=number: all(str(number) not in p.channels for p in call.parties))
        assert (str(number), "text") in call.parties[1].messages


# -- each oracle sees what it is there for -----------------------------------------------------------------------------


def test_message_that_is_delivered_twice_is_seen(monkeypatch):
    take_events = PeerConnection.take_events

    def take_messages_twice(self):
        return [event for event in take_events(self) for _ in range(1 + isinstance(event, ChannelMessage))]

    call = Call.on_two_hosts(seed=7)
    chat = call.connect("chat")
    monkeypatch.setattr(PeerConnection, "take_events", take_messages_twice)
    chat.send(0, "once")
    with pytest.raises(AssertionError, match="arrived twice"):
        call.settle()


def test_record_number_that_is_used_twice_is_seen(monkeypatch):
    seal = RecordLayer.seal

    def seal_with_the_last_number(self, content_type, fragment):
        record = seal(self, content_type, fragment)
        self._current.next_number -= 1
        return record

    call = Call.on_two_hosts(seed=8)
    chat = call.connect("chat")
    monkeypatch.setattr(RecordLayer, "seal", seal_with_the_last_number)
    for number in range(5):
        chat.send(0, f"message {number}")
    with pytest.raises(AssertionError, match="two different DTLS records have one nonce"):
        call.settle()


def test_heir_of_an_old_snapshot_is_seen():
    """It uses numbers again that were used after the snapshot was made."""
    call = Call.on_two_hosts(seed=9)
    chat = call.connect("chat")
    party = call.parties[0]
    sealed = store(party.peer, bytes(32), party.now)
    chat.send(0, "before the crash")
    call.settle()
    party.program.machine.machine = restore(PeerConnection, sealed, bytes(32), entropy=SeededEntropy("heir"))
    chat.send(0, "after it")
    with pytest.raises(AssertionError, match="one nonce"):
        call.settle()


@pytest.mark.parametrize("second", [b"\x80\x60\x00\x01" + bytes(4) + b"SSRCother", b"\x80\xc8\0\1SSRCxxxx\x80\0\0\7"])
def test_srtp_index_that_is_used_twice_is_seen(second):
    first = second[:12] + b"first" if second[1] == 0x60 else second[:8] + b"yyyy" + second[12:]
    watch = NonceWatch()
    watch.see(first)
    watch.see(first)
    with pytest.raises(AssertionError, match=r"SRTC?P packets have one nonce"):
        watch.see(second)


def test_srtp_numbers_that_come_around_are_other_indices():
    watch = NonceWatch()
    for number in range(0, 3 << 16, 1 << 14):
        watch.see(b"\x80\x60" + (number & 0xFFFF).to_bytes(2, "big") + bytes(4) + b"SSRC%d" % number)


@pytest.mark.parametrize("wrap", [lambda data: b"\x40\0" + len(data).to_bytes(2, "big") + data, indication])
def test_nonces_are_seen_within_the_framing_of_turn(wrap):
    watch = NonceWatch()
    watch.see(wrap(b"\x17\xfe\xfd\0\1\0\0\0\0\0\7\0\3one"))
    with pytest.raises(AssertionError, match="DTLS record"):
        watch.see(wrap(b"\x17\xfe\xfd\0\1\0\0\0\0\0\7\0\3two"))


def test_secret_in_the_clear_is_seen():
    call = Call.on_two_hosts(seed=10)
    call.oracles.keep_secret(b"ice-ufrag")
    party = call.parties[0]
    path = Path(("a", 1), ("b", 2))
    call.oracles.on_datagram(party.program, Datagram(b"harmless", path))
    with pytest.raises(AssertionError, match="in the clear"):
        call.oracles.on_datagram(party.program, Datagram(b"an ice-ufrag goes out", path))


def test_message_before_the_peer_is_authenticated_is_seen():
    call = Call.on_two_hosts(seed=11)
    with pytest.raises(AssertionError, match="before the peer is proved"):
        call.oracles.on_event(call.parties[0].program, ChannelMessage(1, "too early", 9))


@pytest.mark.parametrize(
    ("breach", "message"),
    [
        (lambda association: setattr(flow_of(association).outstanding, "flight_bytes", 1), "the flight is what is in"),
        (lambda association: setattr(flow_of(association).scheduler, "queued_bytes", 7), "send buffer"),
        (lambda association: setattr(association._inbound.reassembly, "held_bytes", 9), "held bytes"),
        (lambda association: setattr(association._inbound, "_advertised_bytes", 1 << 30), "advertised"),
        (lambda association: setattr(flow_of(association).congestion, "cwnd", 1), "less than a packet"),
        (lambda association: association._tcb.control.extend([b"x"] * 100), "more answers"),
    ],
)
def test_books_that_are_wrong_are_seen(breach, message):
    call = Call.on_two_hosts(seed=12)
    call.connect()
    breach(call.parties[0].peer._transport.data.association)
    with pytest.raises(AssertionError, match=message):
        call.oracles.on_step(call.parties[0].program)


def test_unreliable_message_that_is_sent_again_is_seen():
    call = Call.on_two_hosts(seed=13)
    call.connect()
    once = call.create_channel(0, "once", ChannelOptions(max_retransmits=0))
    call.network.run_until(lambda: once.is_open)
    call.network.part(*[party.host for party in call.parties])
    once.send(0, "only once")
    call.network.run_for(0.001)
    outstanding = flow_of(call.parties[0].peer._transport.data.association).outstanding
    outstanding.resend(outstanding.chunks[-1], 1000, call.network.now)
    with pytest.raises(AssertionError, match="sent again more often"):
        call.network.run_for(1.0)


def test_promise_of_an_ordered_unreliable_channel_allows_gaps_only():
    promise = Promise.of_channel("x", ChannelOptions(max_retransmits=0))
    for payload in "abcd":
        promise.send(payload)
    promise.receive("b")
    promise.receive("d")
    assert promise.is_kept
    with pytest.raises(AssertionError):
        promise.receive("c")


def test_promise_of_an_unordered_channel_is_once_each():
    promise = Promise.of_channel("x", ChannelOptions(ordered=False))
    for payload in "aab":
        promise.send(payload)
    for payload in "baa":
        promise.receive(payload)
    assert promise.is_kept
    with pytest.raises(AssertionError):
        promise.receive("a")
