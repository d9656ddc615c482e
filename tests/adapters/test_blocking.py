"""The blocking driver and the peer for threads, over 127.0.0.1."""

import threading

import pytest

from sans_rtc.datachannel.config import ChannelOptions
from sans_rtc.errors import InvalidArgument, InvalidState
from sans_rtc.machine import Path
from sans_rtc.peer.config import PeerConfig
from sans_rtc_net.binding import BindConfig
from sans_rtc_net.blocking import BlockingPeerConnection
from sans_rtc_net.clock import monotonic
from sans_rtc_net.driver import Driver, drive
from sans_rtc_net.errors import ChannelClosed, ConnectionFailed, ConnectionLost

pytestmark = pytest.mark.usefixtures("no_leaks")

LOOPBACK = BindConfig(hosts=("127.0.0.1",))


def test_drive_runs_a_machine_until_the_condition_holds(pinger, udp_pair):
    first, second, path = udp_pair
    machine, events = pinger(), []
    answering = threading.Thread(target=answer_three, args=(second,))
    answering.start()
    machine.start(path, 3, monotonic())
    assert drive(machine, [first], on_events=events.extend, until=lambda: len(events) == 3, timeout_s=2.0)
    answering.join()
    assert [event.data for event in events] == [b">ping 2", b">ping 1", b">ping 0"]
    assert first.fileno() >= 0


def answer_three(sock):
    import select

    from sans_rtc.machine import Datagram

    answered = 0
    while answered < 3 and select.select([sock], [], [], 2.0)[0]:
        for datagram in sock.receive_batch(9):
            sock.send_batch([Datagram(b">" + datagram.data, datagram.path)])
            answered += 1


def test_drive_gives_up_at_its_timeout(pinger, udp_pair):
    assert not drive(pinger(), [udp_pair[0]], on_events=lambda events: None, until=lambda: False, timeout_s=0.02)


def test_drive_sends_what_waited_for_the_socket(pinger, udp_pair, faulty):
    first, second, path = udp_pair
    machine = pinger()
    faulty(first).faults["sendto"] = [BlockingIOError(11, "full")]
    machine.say(path, b"x", 0.0)
    assert drive(machine, [first], on_events=lambda e: None, until=lambda: not first.has_backlog, timeout_s=2.0)
    assert [datagram.data for datagram in second.receive_batch(9)] == [b"x"]


def test_deadline_that_comes_nearer_wakes_the_sleeping_thread(pinger, udp_pair):
    first, second, path = udp_pair
    machine, lock = pinger(), threading.Lock()
    driver = Driver(machine, on_events=lambda events: None)
    driver.add_socket(first)
    driver.process([])
    sleep_s = driver.prepare()
    assert sleep_s > 1000
    sleeping = threading.Thread(target=lambda: (driver.wait(sleep_s), lock.acquire(), driver.process([])))
    sleeping.start()
    with lock:
        machine.start(path, 1, monotonic())
        driver.flush()
    sleeping.join(2.0)
    assert not sleeping.is_alive()
    assert [datagram.data for datagram in second.receive_batch(9)] == [b"ping 0"]
    driver.detach()


@pytest.fixture
def make():
    made = []

    def make_peer(config=None, **options):
        made.append(BlockingPeerConnection(config, network=LOOPBACK, **options))
        return made[-1]

    yield make_peer
    for peer in made:
        peer.abort()


def connect(first, second):
    first.set_local_description(first.create_offer())
    second.set_remote_description(first.local_description)
    second.set_local_description(second.create_answer())
    first.set_remote_description(second.local_description)
    for sender, receiver in ((first, second), (second, first)):
        for candidate in sender.local_candidates():
            receiver.add_ice_candidate(candidate.as_dict())
        receiver.add_ice_candidate(None)
    first.wait_connected(5)
    second.wait_connected(5)


@pytest.fixture
def channel_pair(make):
    first, second = make(), make()
    channel = first.create_data_channel("x")
    connect(first, second)
    channel.opened(5)
    return first, second, channel, second.accept_channel(5)


def test_script_connects_and_talks(make):
    with make() as first, make() as second:
        channel = first.create_data_channel("chat", ChannelOptions(protocol="p"))
        connect(first, second)
        channel.send("hello")
        other = second.accept_channel(5)
        assert (other.label, other.protocol, other.receive(5)) == ("chat", "p", "hello")
        other.send(b"back")
        assert channel.receive(5) == b"back"
        assert channel.id == other.id
        assert channel.state == "open"


def test_messages_flow_both_ways_from_several_threads(channel_pair):
    _, _, channel, other = channel_pair
    received = []
    reading = threading.Thread(target=lambda: received.extend(other))
    reading.start()
    writing = [threading.Thread(target=send_many, args=(channel, index)) for index in range(3)]
    for thread in writing:
        thread.start()
    for thread in writing:
        thread.join()
    channel.drain(5)
    channel.close(5)
    reading.join()
    assert sorted(received) == sorted(f"{index}-{count}" for index in range(3) for count in range(50))


def send_many(channel, index):
    for count in range(50):
        channel.send(f"{index}-{count}")


def test_send_waits_for_room(channel_pair):
    _, _, channel, other = channel_pair
    channel.high_water_bytes, channel.low_water_bytes = 100_000, 20_000
    total = []
    reading = threading.Thread(target=lambda: total.extend(len(message) for message in other))
    reading.start()
    for _ in range(200):
        channel.send(bytes(20_000), timeout_s=5)
        assert channel.buffered_amount <= 120_000
    channel.close(5)
    reading.join()
    assert total == [20_000] * 200


def test_receive_without_a_message_times_out(channel_pair):
    with pytest.raises(TimeoutError):
        channel_pair[2].receive(0.02)


def test_send_without_room_times_out(channel_pair):
    channel = channel_pair[2]
    channel.high_water_bytes = channel.low_water_bytes = 50_000
    with pytest.raises(TimeoutError):
        send_for_ever(channel)


def send_for_ever(channel):
    for _ in range(10_000):
        channel.send(bytes(50_000), timeout_s=0.05)


def test_closing_one_end_ends_the_iteration_of_the_other(channel_pair):
    first, second, channel, other = channel_pair
    channel.send("last")
    report = first.close()
    assert list(other) == ["last"]
    assert report.is_complete
    with pytest.raises(ChannelClosed):
        other.receive()
    assert list(second.incoming_channels()) == []


def test_abort_of_the_peer_is_a_lost_connection(channel_pair):
    first, _, _, other = channel_pair
    first.abort()
    with pytest.raises(ConnectionLost):
        other.receive(5)


def test_error_in_the_block_aborts(make):
    with pytest.raises(ZeroDivisionError), make() as peer:
        raise ZeroDivisionError
    assert peer.connection_state == "closed"


def test_waiting_for_nobody_says_why(make):
    peer = make()
    peer.create_data_channel("x")
    peer.set_local_description()
    peer.gathering_complete(2)
    with pytest.raises(ConnectionFailed, match="not connected"):
        peer.wait_connected(0.02)


def test_address_that_cannot_be_bound_is_an_error():
    with BlockingPeerConnection(network=BindConfig(hosts=("203.0.113.9",))) as peer:
        peer.create_data_channel("x")
        with pytest.raises(OSError, match="assign"):
            peer.set_local_description()


def test_close_is_idempotent_and_final(make):
    peer = make(PeerConfig(close_timeout_s=0.1))
    assert peer.close() == peer.close()
    with pytest.raises(InvalidState):
        peer.create_offer()
    with pytest.raises(InvalidArgument):
        peer.set_remote_description({"type": "?"})
    assert isinstance(Path, type)
