"""Two peers of an adapter over 127.0.0.1, from the offer to the end. Adapter-neutral: `peers` makes them."""

import math
import random

import anyio.lowlevel
import pytest

from sans_rtc.errors import InvalidArgument, InvalidState, LimitExceeded
from sans_rtc.ice import ConnectionState as IceConnectionState
from sans_rtc.ice import GatheringState
from sans_rtc.ice.config import IceConfig
from sans_rtc.machine import Address
from sans_rtc.peer.config import PeerConfig
from sans_rtc.peer.states import ConnectionState
from sans_rtc.stun.transaction import RetransmissionSchedule
from sans_rtc_net.candidates import IceCandidate
from sans_rtc_net.errors import ChannelClosed, ConnectionFailed, ConnectionLost

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]


async def others_run():
    """Let every task that is ready begin; trio runs those of one turn in any order."""
    await anyio.lowlevel.checkpoint()
    await anyio.lowlevel.checkpoint()


# -- connecting --------------------------------------------------------------------------------------------------------


async def test_two_peers_connect_and_exchange_messages(peers):
    first, second, channel, other = await peers.channel_pair()
    await channel.send("text")
    await channel.send(b"bytes")
    assert [await other.receive(), await other.receive()] == ["text", b"bytes"]
    await other.send("back")
    assert await channel.receive() == "back"
    assert first.connection_state == second.connection_state == ConnectionState.CONNECTED


async def test_states_are_told_in_order(peers):
    first, second = peers.make(), peers.make()
    first.create_data_channel("x")
    seen = []

    async def watch():
        async for state in first.connection_states():
            seen.append(str(state))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            await anyio.lowlevel.checkpoint()
            await peers.signal(first, second)
            await first.wait_connected()
            await second.close()
            await first.close()
    assert seen == ["new", "connecting", "connected", "closed"]


@pytest.mark.proves("TRICKLE-5-1-f6f5")
async def test_signalling_without_trickle_connects(peers):
    first, second = peers.make(), peers.make()
    channel = first.create_data_channel("x")
    with anyio.fail_after(5):
        await first.set_local_description()
        await first.gathering_complete()
        assert "a=candidate" in first.local_description.sdp
        await second.set_remote_description({"type": "offer", "sdp": first.local_description.sdp})
        await second.set_local_description()
        await second.gathering_complete()
        await first.set_remote_description({"type": "answer", "sdp": second.local_description.sdp})
        await channel.opened()
    assert first.ice_gathering_state == GatheringState.COMPLETE
    assert first.ice_connection_state in (IceConnectionState.CONNECTED, IceConnectionState.COMPLETED)
    assert first.signaling_state == "stable"


async def test_local_candidates_come_from_the_first_for_every_reader(peers):
    first = peers.make()
    first.create_data_channel("x")
    await first.set_local_description()
    with anyio.fail_after(2):
        read = [[candidate async for candidate in first.local_candidates()] for _ in range(2)]
    assert read[0] == read[1]
    assert [type(candidate) for candidate in read[0]] == [IceCandidate]
    assert " 127.0.0.1 " in read[0][0].candidate
    assert read[0][0].as_dict()["sdpMid"] == read[0][0].sdp_mid


async def test_candidates_as_lines_connect_too(peers):
    first, second = peers.make(), peers.make()
    channel = first.create_data_channel("x")
    await first.set_local_description()
    await second.set_remote_description(first.local_description)
    await second.set_local_description()
    await first.set_remote_description(second.local_description)
    for sender, receiver in ((first, second), (second, first)):
        async for candidate in sender.local_candidates():
            await receiver.add_ice_candidate(candidate.candidate, candidate.sdp_mid)
    with anyio.fail_after(5):
        await channel.opened()


@pytest.mark.parametrize("wrong", [{"candidate": 5}, {"candidate": "", "sdpMid": 0}, 7, "nonsense"])
async def test_candidate_that_is_none_is_refused(peers, wrong):
    first, second, _ = await peers.pair()
    with pytest.raises(InvalidArgument):
        await first.add_ice_candidate(wrong)
    assert first.connection_state == ConnectionState.CONNECTED
    assert second.connection_state == ConnectionState.CONNECTED


async def test_description_that_is_none_is_refused(peers):
    peer = peers.make()
    for wrong in ({}, {"type": "offer"}, {"type": "nonsense", "sdp": ""}, 5):
        with pytest.raises(InvalidArgument):
            await peer.set_remote_description(wrong)


async def test_answer_without_an_offer_is_refused(peers):
    with pytest.raises(InvalidState):
        await peers.make().create_answer()


async def test_port_range_is_kept(peers):
    first, _, _ = await peers.pair(port=(42000, 42100))
    ports = [int(candidate.candidate.split()[5]) for candidate in [c async for c in first.local_candidates()]]
    assert all(42000 <= port <= 42100 for port in ports)


async def test_address_that_cannot_be_bound_is_an_error_of_the_description(peers):
    peer = peers.make(bind="203.0.113.9")
    peer.create_data_channel("x")
    with pytest.raises(OSError, match="assign"):
        await peer.set_local_description()


async def test_own_sockets_are_used_and_closed(peers, open_descriptors):
    import socket

    before = open_descriptors()
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    peer = peers.make(sockets=[sock])
    peer.create_data_channel("x")
    await peer.set_local_description()
    assert [int(c.candidate.split()[5]) async for c in peer.local_candidates()] == [port]
    peer.abort()
    assert open_descriptors() == before


async def test_own_sockets_that_were_never_used_are_closed(peers):
    import socket

    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    peers.make(sockets=[sock]).abort()
    assert sock.fileno() == -1


async def test_waiting_for_a_peer_that_never_answers_says_why(peers):
    peer = peers.make()
    peer.create_data_channel("x")
    await peer.set_local_description()
    with pytest.raises(ConnectionFailed, match="not connected after") as caught:
        await peer.wait_connected(timeout=0.02)
    assert caught.value.reason == "timeout"
    assert isinstance(caught.value, ConnectionError)
    assert str(peer.explain()) in str(caught.value)


async def test_failed_ice_fails_those_who_wait(peers):
    schedule = RetransmissionSchedule(rto_s=0.05, request_count_max=2, last_wait_factor=2.0)
    config = PeerConfig(ice=IceConfig(patience_s=0.1, check_schedule=schedule))
    first, second = peers.make(config), peers.make(config)
    channel = first.create_data_channel("x")
    offer = await first.create_offer()
    await first.set_local_description(offer)
    await second.set_remote_description(offer)
    answer = await second.create_answer()
    await first.set_remote_description(answer)
    await first.add_ice_candidate("candidate:1 1 udp 2130706431 127.0.0.1 9 typ host", "0")
    await first.add_ice_candidate(None)
    with anyio.fail_after(20):
        with pytest.raises(ConnectionFailed):
            await first.wait_connected()
        with pytest.raises(ConnectionLost):
            await channel.receive()


# -- channels ----------------------------------------------------------------------------------------------------------


async def test_every_kind_of_message_arrives_unchanged(peers):
    _, _, channel, other = await peers.channel_pair()
    messages = ["", b"", "x", b"\0", "grüße 🎉", bytes(range(256)), "y" * 100_000, b"z" * 200_000]
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:

            async def send():
                for message in messages:
                    await channel.send(message)

            tasks.start_soon(send)
            assert [await other.receive() for _ in messages] == messages


async def test_channel_keeps_what_it_was_created_with(peers):
    first, second, _, _ = await peers.channel_pair()
    channel = first.create_data_channel("second", ordered=False, max_retransmits=3, protocol="chat")
    with anyio.fail_after(2):
        other = await anext(second.incoming_channels())
    assert (other.label, other.protocol, other.id) == ("second", "chat", channel.id)
    assert other.state == channel.state == "open"


async def test_negotiated_channel_needs_no_announcement(peers):
    first, second, _, _ = await peers.channel_pair()
    channels = [peer.create_data_channel("n", negotiated_id=40) for peer in (first, second)]
    await channels[0].send("hello")
    with anyio.fail_after(2):
        assert await channels[1].receive() == "hello"
    assert [channel.id for channel in channels] == [40, 40]


async def test_channel_options_that_cannot_be_are_refused(peers):
    peer = peers.make()
    with pytest.raises(InvalidArgument):
        peer.create_data_channel("x", max_retransmits=1, max_packet_life_time_s=1.0)


async def test_sending_before_the_channel_is_open_waits(peers):
    first, second = peers.make(), peers.make()
    channel = first.create_data_channel("x")
    with pytest.raises(InvalidState):
        channel.send_nowait("too early")
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(channel.send, "early")
            await peers.signal(first, second)
            other = await anext(second.incoming_channels())
            assert await other.receive() == "early"


async def test_send_waits_while_too_much_is_buffered(peers):
    _, _, channel, other = await peers.channel_pair()
    channel.high_water_bytes, channel.low_water_bytes = 100_000, 20_000
    sent = []
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:

            async def send():
                for index in range(400):
                    await channel.send(b"%06d" % index + bytes(19_994))
                    sent.append(index)
                    assert channel.buffered_amount <= 120_000

            tasks.start_soon(send)
            received = [int((await other.receive())[:6]) for _ in range(400)]
    assert received == list(range(400))


async def test_unread_messages_stop_the_sender(peers):
    _, _, channel, other = await peers.channel_pair()
    channel.high_water_bytes = channel.low_water_bytes = 50_000
    sent = 0
    with anyio.move_on_after(0.5):
        for _ in range(10_000):
            await channel.send(bytes(20_000))
            sent += 1
    assert 0 < sent < 2_000
    with anyio.fail_after(10):
        for _ in range(sent):
            assert len(await other.receive()) == 20_000
        await channel.send("on")
        assert await other.receive() == "on"


async def test_send_nowait_refuses_above_the_high_water_mark(peers):
    _, _, channel, other = await peers.channel_pair()
    channel.high_water_bytes = 50_000
    while channel.buffered_amount <= 50_000:
        channel.send_nowait(bytes(20_000))
    with pytest.raises(LimitExceeded):
        channel.send_nowait(b"one more")
    with anyio.fail_after(5):
        await channel.drain()
    channel.send_nowait("again")
    assert other.state == "open"


async def test_messages_of_concurrent_senders_keep_the_order_of_their_calls(peers):
    _, _, channel, other = await peers.channel_pair()
    channel.high_water_bytes, channel.low_water_bytes = 30_000, 10_000
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            for index in range(50):
                tasks.start_soon(channel.send, b"%03d" % index + bytes(5_000))
                await others_run()
            assert [int((await other.receive())[:3]) for _ in range(50)] == list(range(50))


async def test_drain_waits_until_nothing_is_buffered(peers):
    _, _, channel, other = await peers.channel_pair()
    for _ in range(30):
        channel.send_nowait(bytes(20_000))
    assert channel.buffered_amount > 0
    with anyio.fail_after(5):
        await channel.drain()
        assert channel.buffered_amount == 0
        for _ in range(30):
            await other.receive()


async def test_message_over_the_peers_limit_is_refused(peers):
    _, _, channel, _ = await peers.channel_pair()
    with pytest.raises(InvalidArgument, match="max-message-size"):
        await channel.send(bytes(10_000_000))
    await channel.send("still open")


async def test_many_channels_at_once(peers):
    first, second, _, _ = await peers.channel_pair()
    channels = [first.create_data_channel(f"c{index}") for index in range(50)]
    with anyio.fail_after(5):
        for channel in channels:
            await channel.send(channel.label)
        seen = {}
        async for other in second.incoming_channels():
            seen[other.label] = await other.receive()
            if len(seen) == 50:
                break
    assert seen == {f"c{index}": f"c{index}" for index in range(50)}


async def test_closed_channel_ends_the_iteration_of_both(peers):
    _, _, channel, other = await peers.channel_pair()
    await channel.send("last")
    received = []
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(channel.close)
            async for message in other:
                received.append(message)
        assert received == ["last"]
        assert [message async for message in channel] == []
        await other.close()
    assert channel.state == other.state == "closed"
    for end in (channel, other):
        with pytest.raises(ChannelClosed):
            await end.send("no")
        with pytest.raises(ChannelClosed):
            end.send_nowait("no")
        with pytest.raises(ChannelClosed):
            await end.receive()
        assert end.buffered_amount == 0


async def test_what_arrived_before_the_end_can_be_read_after_it(peers):
    _, second, channel, other = await peers.channel_pair()
    for index in range(5):
        await channel.send(str(index))
    with anyio.fail_after(5):
        await channel.close()
        await second.close()
        assert [message async for message in other] == ["0", "1", "2", "3", "4"]


async def test_channel_as_a_context_manager_closes(peers):
    _, _, channel, other = await peers.channel_pair()
    with anyio.fail_after(5):
        async with channel:
            await channel.send("one")
        assert [message async for message in other] == ["one"]


# -- the end -----------------------------------------------------------------------------------------------------------


async def test_close_delivers_what_was_sent(peers):
    first, second, channel, other = await peers.channel_pair()
    for index in range(20):
        await channel.send(b"%02d" % index + bytes(30_000))
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            received = []

            async def read():
                async for message in other:
                    received.append(int(message[:2]))

            tasks.start_soon(read)
            report = await first.close()
    assert received == list(range(20))
    assert (report.unacknowledged_bytes, report.is_complete, report.reason) == (0, True, "closed")
    assert second.close_report is not None or (await second.close()).reason == "closed_by_peer"


async def test_peer_that_closes_ends_everything_cleanly(peers):
    first, second, _, other = await peers.channel_pair()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first.close)
            assert [message async for message in other] == []
            assert [incoming async for incoming in second.incoming_channels()] == []
    assert second.connection_state == ConnectionState.CLOSED
    assert (await second.close()).reason == "closed_by_peer"


@pytest.mark.proves("DATA-CHANNEL-6.2-2-87b9")
async def test_peer_that_aborts_is_a_lost_connection(peers):
    first, second, _, other = await peers.channel_pair()
    first.abort()
    with anyio.fail_after(5):
        with pytest.raises(ConnectionLost) as caught:
            await other.receive()
        with pytest.raises(ConnectionLost):
            await other.send("no")
        with pytest.raises(ConnectionLost):
            await anext(second.incoming_channels())
    assert caught.value.reason == "aborted_by_peer"


async def test_close_is_bounded_where_the_peer_is_gone(peers):
    config = PeerConfig(close_timeout_s=0.1)
    first, second, channel, _ = await peers.channel_pair(config)
    second._driver.close()
    await channel.send("into the void")
    with anyio.fail_after(2):
        report = await first.close()
    assert report.reason == "close_timeout"
    assert report.unacknowledged_bytes > 0
    assert not report.is_complete


async def test_close_is_idempotent_and_frees_at_once(peers, open_descriptors):
    first, second, _, _ = await peers.channel_pair()
    reports = [await first.close(), await first.close(), first.abort()]
    assert reports[0] == reports[1] == reports[2]
    await second.close()


async def test_close_of_a_new_connection_is_at_once(peers):
    assert (await peers.make().close()).reason == "closed"


async def test_nothing_can_be_done_after_close(peers):
    peer = peers.make()
    await peer.close()
    for call in (peer.create_offer, peer.set_local_description):
        with pytest.raises(InvalidState):
            await call()
    with pytest.raises(InvalidState):
        peer.create_data_channel("x")
    assert [channel async for channel in peer.incoming_channels()] == []
    assert [state async for state in peer.connection_states()] == [ConnectionState.CLOSED]


async def test_leaving_the_context_closes(peers):
    first, _, _, other = await peers.channel_pair()
    with anyio.fail_after(5):
        async with first:
            pass
        assert [message async for message in other] == []
    assert first.connection_state == ConnectionState.CLOSED


async def test_error_of_the_user_propagates_and_ends_the_connection(peers):
    first, _, _, other = await peers.channel_pair()
    with anyio.fail_after(5):
        with pytest.raises(ZeroDivisionError):
            async with first:
                raise ZeroDivisionError
        assert first.connection_state == ConnectionState.CLOSED
        with pytest.raises(ConnectionLost):
            await other.receive()


async def test_cancelled_close_aborts(peers):
    first, second, channel, _ = await peers.channel_pair()
    second._driver.close()
    await channel.send("x")
    with anyio.move_on_after(0.02):
        await first.close()
    assert first.connection_state == ConnectionState.CLOSED
    assert first.close_report is not None or first.abort()


async def test_ice_restart_keeps_the_data_flowing(peers):
    first, second, channel, other = await peers.channel_pair()
    before = first.local_description.sdp
    first.restart_ice()
    await channel.send("during")
    with anyio.fail_after(5):
        await peers.signal(first, second)
        assert await other.receive() == "during"
        await channel.send("after")
        assert await other.receive() == "after"
    ufrags = [sdp.split("a=ice-ufrag:")[1].split()[0] for sdp in (before, first.local_description.sdp)]
    assert ufrags[0] != ufrags[1]


async def test_random_datagrams_of_strangers_change_nothing(peers):
    from sans_rtc.machine import Datagram, Path
    from sans_rtc_net.udp import UdpSocket

    first, _, channel, other = await peers.channel_pair()
    chance = random.Random(7)
    stranger = UdpSocket.bind("127.0.0.1")
    targets = [sock.local for sock in first._driver.sockets]
    for _ in range(300):
        data = chance.randbytes(chance.choice([0, 1, 20, 100, 1200]))
        stranger.send_batch([Datagram(data, Path(stranger.local, chance.choice(targets)))])
    stranger.close()
    await channel.send("still here")
    with anyio.fail_after(5):
        assert await other.receive() == "still here"
    assert first.connection_state == ConnectionState.CONNECTED
    assert first._driver.clock() < math.inf


# -- names and servers -------------------------------------------------------------------------------------------------


async def test_stun_server_named_by_dns_gives_a_server_reflexive_candidate(peers, monkeypatch):
    import socket
    import threading

    from sans_rtc.stun import (
        Attribute,
        AttributeType,
        Message,
        MessageClass,
        parse_message,
        serialize_message,
    )

    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    server.settimeout(5.0)

    def answer_once():
        data, sender = server.recvfrom(2000)
        request = parse_message(data)
        mapped = Attribute(AttributeType.XOR_MAPPED_ADDRESS, Address("203.0.113.5", 5555))
        answer = Message(MessageClass.SUCCESS_RESPONSE, request.method, request.transaction_id, [mapped])
        server.sendto(serialize_message(answer), sender)

    answering = threading.Thread(target=answer_once)
    answering.start()
    info = [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("127.0.0.1", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda name, *_, **__: info if name == "stun.example.org" else [])
    peer = peers.make(stun_servers=[f"stun:stun.example.org:{server.getsockname()[1]}"])
    peer.create_data_channel("x")
    await peer.set_local_description()
    with anyio.fail_after(5):
        lines = [candidate.candidate async for candidate in peer.local_candidates()]
    answering.join()
    server.close()
    assert [line.split()[7] for line in lines] == ["host", "srflx"]
    assert " 203.0.113.5 5555 " in lines[1]


@pytest.mark.parametrize("uri", ["turn:example.org", "stun:", "http://x", "stun:a b", 5])
async def test_server_that_is_no_stun_server_is_refused(peers, uri):
    with pytest.raises((InvalidArgument, TypeError)):
        peers.make(stun_servers=[uri])


async def test_candidate_hidden_behind_a_local_name_is_resolved(peers, monkeypatch):
    monkeypatch.setattr(
        "sans_rtc_net.local_names.LocalNames.resolve",
        lambda self, name: self._call_soon(self._on_resolved, name, ["127.0.0.1"]),
    )
    first, second = peers.make(), peers.make()
    channel = first.create_data_channel("x")
    offer = await first.create_offer()
    await first.set_local_description(offer)
    await second.set_remote_description(offer)
    answer = await second.create_answer()
    await second.set_local_description(answer)
    await first.set_remote_description(answer)
    async for candidate in second.local_candidates():
        hidden = candidate.candidate.replace("127.0.0.1", "0f1e2d3c-1111-4222-8333-444455556666.local")
        await first.add_ice_candidate(hidden, candidate.sdp_mid)
    with anyio.fail_after(5):
        await channel.opened()


async def test_channel_closed_before_there_is_a_connection_is_closed_at_once(peers):
    channel = peers.make().create_data_channel("x")
    with anyio.fail_after(1):
        await channel.close()
    assert channel.state == "closed"
    with pytest.raises(ChannelClosed):
        await channel.opened()


async def test_own_socket_for_all_addresses_is_refused_and_left_alone(peers):
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("0.0.0.0", 0))
        with pytest.raises(InvalidArgument, match="particular"):
            peers.make(sockets=[sock])
        assert sock.fileno() >= 0


async def test_sending_while_the_connection_closes_is_refused(peers):
    first, _, channel, _ = await peers.channel_pair()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(first.close)
        await others_run()
        with pytest.raises(ChannelClosed):
            channel.send_nowait("too late")


@pytest.mark.parametrize("bind", ["::1", (), ("127.0.0.1", "::1")])
async def test_peers_connect_wherever_they_are_bound(peers, bind):
    _, _, channel, other = await peers.channel_pair(bind=bind)
    await channel.send("here")
    with anyio.fail_after(5):
        assert await other.receive() == "here"
