"""A live connection of an adapter goes on in another one. Adapter-neutral: `peers` makes them; threads come last."""

import importlib
import importlib.util
import socket
import threading

import anyio
import anyio.lowlevel
import pytest

from sans_rtc.datachannel.config import ChannelOptions
from sans_rtc.errors import InvalidArgument, InvalidState
from sans_rtc.trace import replay
from sans_rtc.trace.redact import redact
from sans_rtc.trace.wire import read_records
from sans_rtc_net import BindConfig, BlockingPeerConnection
from sans_rtc_net.clock import monotonic
from sans_rtc_net.errors import ChannelClosed, ConnectionLost
from sans_rtc_net.recording import RecordTo, read_recording
from tests.adapters.conftest import signal_blocking

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

KEY = bytes(range(32))
KEYFRAME = b"\x10\x00\x00\x9d\x01\x2a\x80\x02\x68\x01" + bytes(300)


def heir_of(peers, handed, key=KEY, **options):
    heir = peers.peer_type.restore(handed.snapshot, key, sockets=handed.sockets, nursery=peers.nursery, **options)
    peers.made.append(heir)
    return heir


def moved(peers, peer, **options):
    return heir_of(peers, peer.hand_over(KEY), **options)


async def arrived(channel, count):
    """Let messages arrive that nobody reads."""
    with anyio.fail_after(5):
        while len(channel._inbox.messages) < count:  # noqa: ASYNC110  # that is what is to be looked at
            await anyio.sleep(0.002)


def numbered(first, last):
    return [b"%d" % number for number in range(first, last)]


# -- data --------------------------------------------------------------------------------------------------------------


async def test_transfer_both_ways_goes_on_with_nothing_lost_or_doubled(peers):
    """Unread messages, an iterator that has read a part, sends that the machine has and the network has not."""
    first, _, channel, other = await peers.channel_pair()
    for message in numbered(0, 20):
        await other.send(message)
        await channel.send(message + bytes(20_000))
    reading = aiter(channel)
    assert await peers.take(reading, 5) == numbered(0, 5)
    await arrived(channel, 7)
    handed = first.hand_over(KEY)
    assert first.connection_state == "closed" and first.close_report.reason == "handed_over"
    with pytest.raises(ConnectionLost):
        await anext(reading)
    await other.send(b"20")  # it waits in the socket
    heir = heir_of(peers, handed)
    (mine,) = heir.channels()
    assert (mine.label, mine.id, mine.state) == ("first", channel.id or other.id, "open")
    assert await peers.take(aiter(mine), 16) == numbered(5, 21)
    await mine.send(b"20")
    assert [message.rstrip(b"\0") for message in await peers.take(aiter(other), 21)] == numbered(0, 21)
    with anyio.fail_after(5):
        report = await heir.close()
    assert report.is_complete and report.reason == "closed"


@pytest.mark.parametrize("offset", range(3))
async def test_hand_over_at_any_step_loses_and_doubles_nothing(peers, offset):
    """A script of sends and reads; it moves before every third of its steps, now this end, now the other."""
    first, second, channel, other = await peers.channel_pair()
    read, seen, sent = [], [], 0
    for turn in range(12):
        if turn % 6 == offset:
            first = moved(peers, first)
            (channel,) = first.channels()
        if turn % 6 == offset + 3:
            second = moved(peers, second)
            (other,) = second.channels()
        sent += 1
        await channel.send(b"%d" % sent)
        await other.send(b"%d" % sent)
        if turn % 4 == 3:
            read += await peers.take(channel, 1)
        if turn % 5 == 4:
            seen += await peers.take(other, 2)
        if turn % 7 == 6:
            await anyio.sleep(0.001)
    read += await peers.take(channel, sent - len(read))
    seen += await peers.take(other, sent - len(seen))
    assert read == seen == numbered(1, sent + 1)
    await anyio.lowlevel.checkpoint()
    assert not channel._inbox.messages and not other._inbox.messages


async def test_channels_not_given_out_yet_are_given_out_once(peers):
    first, second, _, _ = await peers.channel_pair()
    labels = ["a", "b", "c"]
    theirs = [second.create_data_channel(label) for label in labels]
    for channel in theirs:
        await channel.opened()
        await channel.send(channel.label)
    incoming = first.incoming_channels()
    assert [channel.label for channel in await peers.take(incoming, 1)] == ["a"]
    heir = moved(peers, first)
    assert [channel.label for channel in heir.channels()] == ["first", "a"]
    given = await peers.take(heir.incoming_channels(), 2)
    assert [channel.label for channel in given] == ["b", "c"]
    assert [await channel.receive() for channel in (heir.channels()[1], *given)] == labels
    assert heir.channels()[2:] == given


async def test_messages_of_a_closed_channel_are_still_read(peers):
    first, _, channel, other = await peers.channel_pair()
    await other.send("last words")
    with anyio.fail_after(5):
        await other.close()
        while channel.state != "closed":  # noqa: ASYNC110  # nothing else says so without reading
            await anyio.sleep(0.002)
    heir = moved(peers, first)
    (mine,) = heir.channels()
    assert await mine.receive() == "last words"
    with pytest.raises(ChannelClosed):
        await mine.receive()
    assert heir.channels() == []


async def test_channel_has_one_object(peers):
    first, _, channel, _ = await peers.channel_pair()
    assert first.channels() == [channel]
    heir = moved(peers, first)
    (mine,) = heir.channels()
    assert heir.channels() == [mine]


async def test_candidates_are_told_from_the_first(peers):
    first, _, _, _ = await peers.channel_pair()
    candidates = [candidate async for candidate in first.local_candidates()]
    heir = moved(peers, first)
    assert [candidate async for candidate in heir.local_candidates()] == candidates != []


async def test_heir_drains_whatever_the_old_end_has_waited_for(peers):
    """The machine was asked to tell of another threshold than that of `drain`; another channel has more to send."""
    first, _, channel, _ = await peers.channel_pair()
    more = first.create_data_channel("more")
    await more.opened()
    await channel.send(bytes(100_000))
    for _ in range(3):
        more.send_nowait(bytes(200_000))
    channel._inbox.ask_for_buffer_low(50_000)  # as `send` does past the high-water mark
    mine, other = moved(peers, first).channels()
    assert mine.buffered_amount > 50_000
    with anyio.fail_after(5):
        await mine.drain()
    assert other.buffered_amount


async def test_it_moves_before_it_is_connected(peers):
    first, second = peers.make(), peers.make()
    channel = first.create_data_channel("x")
    await first.set_local_description()
    heir = moved(peers, first)
    await second.set_remote_description(heir.local_description)
    await second.set_local_description()
    await heir.set_remote_description(second.local_description)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(peers.trickle, heir, second)
        tasks.start_soon(peers.trickle, second, heir)
    (channel,) = heir.channels()
    assert channel.state == "connecting"
    with anyio.fail_after(5):
        await channel.opened()


async def test_it_moves_before_it_has_sockets(peers):
    """An offer was set and nothing gathered: the heir binds what it is told to."""
    first, second = peers.make(), peers.make()
    second.create_data_channel("x")
    await second.set_local_description()
    await first.set_remote_description(second.local_description)
    handed = first.hand_over(KEY)
    assert handed.sockets == ()
    heir = heir_of(peers, handed, network=BindConfig(hosts=("127.0.0.1",)))
    await heir.set_local_description()
    await heir.gathering_complete()
    assert "127.0.0.1" in heir.local_description.sdp
    await second.set_remote_description(heir.local_description)
    with anyio.fail_after(5):
        await peers.trickle(second, heir)
        await heir.wait_connected()


# -- who waits at the old end ------------------------------------------------------------------------------------------


async def test_whoever_waits_at_the_old_end_is_told(peers):
    first, _, channel, _ = await peers.channel_pair()
    channel.high_water_bytes = 0
    outcomes = {}

    async def wait(name, call):
        try:
            await call()
        except (ConnectionLost, StopAsyncIteration) as error:
            outcomes[name] = getattr(error, "reason", "end")

    async def change_state():
        states = first.connection_states()
        while True:
            await anext(states)

    async with anyio.create_task_group() as tasks:
        await channel.send(bytes(200_000))
        handed = None
        for name, call in {
            "send": lambda: channel.send(b"not accepted"),
            "drain": channel.drain,
            "receive": channel.receive,
            "channels": lambda: anext(first.incoming_channels()),
            "transceivers": lambda: anext(first.incoming_transceivers()),
            "states": change_state,
        }.items():
            tasks.start_soon(wait, name, call)
        await anyio.lowlevel.checkpoint()
        handed = first.hand_over(KEY)
    assert outcomes.pop("states") == "end"
    assert outcomes == dict.fromkeys(["send", "drain", "receive", "channels", "transceivers"], "handed_over")
    heir = heir_of(peers, handed)
    (mine,) = heir.channels()
    assert mine.state == "open"
    with pytest.raises(ConnectionLost):
        await channel.send(b"x")
    with pytest.raises(InvalidState):
        first.create_data_channel("x")


async def test_the_old_end_closes_and_aborts_without_a_word(peers):
    first, second, _, other = await peers.channel_pair()
    handed = first.hand_over(KEY)
    await first.close()
    assert first.abort().reason == "handed_over"
    heir = heir_of(peers, handed)
    (mine,) = heir.channels()
    await mine.send("here")
    with anyio.fail_after(5):
        assert await other.receive() == "here"
    assert second.connection_state == "connected"


# -- sockets -----------------------------------------------------------------------------------------------------------


async def test_sockets_of_the_application_come_back_open(peers):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    address, descriptor = sock.getsockname(), sock.fileno()
    first, second = peers.make(sockets=[sock]), peers.make()
    channel = first.create_data_channel("x")
    await peers.signal(first, second)
    with anyio.fail_after(5):
        await channel.opened()
    (handed,) = first.hand_over(KEY).sockets
    with handed:
        assert (handed.getsockname(), handed.fileno()) == (address, descriptor)


async def test_socket_that_does_not_come_along_is_given_up(peers):
    first, _, _, _ = await peers.channel_pair()
    handed = first.hand_over(KEY)
    for sock in handed.sockets:
        sock.close()
    heir = peers.peer_type.restore(handed.snapshot, KEY, nursery=peers.nursery)
    peers.made.append(heir)
    assert heir._machine.sockets.local_addresses == ()


async def test_socket_that_is_of_no_use_is_refused_and_stays_the_callers(peers):
    first, _, _, _ = await peers.channel_pair()
    handed = first.hand_over(KEY)
    claimed = []
    with socket.socket() as stream, pytest.raises(InvalidArgument):
        peers.peer_type.restore(handed.snapshot, KEY, sockets=[*handed.sockets, stream], claim=claimed.append)
    with pytest.raises(InvalidArgument, match="one address"):
        peers.peer_type.restore(handed.snapshot, KEY, sockets=handed.sockets * 2, claim=claimed.append)
    assert claimed == []
    heir_of(peers, handed)


async def test_tcp_streams_stay_and_udp_goes_on(peers):
    first, _, _, other = await peers.channel_pair(tcp=True)
    assert first._machine.sockets.listeners
    heir = moved(peers, first)
    in_use = heir._machine.sockets
    assert (in_use.listeners, in_use.streams, len(in_use.local_addresses)) == ((), (), 1)
    (mine,) = heir.channels()
    await mine.send("over UDP")
    with anyio.fail_after(5):
        assert await other.receive() == "over UDP"


async def test_names_that_are_answered_for_and_asked_for_are_the_heirs(peers):
    first = peers.make(hide_host_addresses=True)
    first.create_data_channel("x")
    await first.set_local_description()
    await peers.take(first.local_candidates(), 1)
    published = first._resolver.standing
    assert [type(event).__name__ for event in published] == ["PublishName"]
    first._resolver.local._pending.add("somebody.local")
    heir = moved(peers, first)
    assert heir._resolver.standing[1:] == published
    assert heir._resolver.standing[0].name == "somebody.local"


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [b"", KEY[:-1], "text"])
async def test_with_a_wrong_key_nothing_has_changed(peers, key):
    first, _, channel, other = await peers.channel_pair()
    await other.send("unread")
    await arrived(channel, 1)
    with pytest.raises(InvalidArgument):
        first.hand_over(key)
    await channel.send("still here")
    with anyio.fail_after(5):
        assert await other.receive() == "still here"
        assert await channel.receive() == "unread"
    assert not channel._inbox.messages and first.close_report is None


async def test_nothing_to_hand_over_before_a_description_or_after_the_end(peers):
    first = peers.make()
    first.create_data_channel("x")
    with pytest.raises(InvalidState, match="before a description"):
        first.hand_over(KEY)
    await first.set_local_description()
    first.abort()
    with pytest.raises(InvalidState, match="ended"):
        first.hand_over(KEY)


async def test_snapshot_is_restored_once_and_with_its_key(peers):
    first, _, _, _ = await peers.channel_pair()
    handed = first.hand_over(KEY)
    used = set()

    def claim(name):
        is_new = name not in used
        used.add(name)
        return is_new

    with pytest.raises(InvalidArgument):
        peers.peer_type.restore(handed.snapshot, bytes(32), sockets=handed.sockets, claim=claim)
    assert used == set()
    heir_of(peers, handed, claim=claim)
    with pytest.raises(InvalidState):
        peers.peer_type.restore(handed.snapshot, KEY, claim=claim)
    with pytest.raises(InvalidState):
        first.hand_over(KEY)


async def test_peer_on_a_mux_is_refused_and_goes_on(peers, adapter_package):
    name = f"{adapter_package.__name__}.mux"
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{adapter_package.__name__} has no mux")
    async with importlib.import_module(name).UdpMux(bind="127.0.0.1") as mux:
        served, client = peers.make(mux=mux), peers.make()
        channel = client.create_data_channel("x")
        await peers.signal(client, served)
        with anyio.fail_after(5):
            other = await anext(served.incoming_channels())
            with pytest.raises(InvalidState, match="mux"):
                served.hand_over(KEY)
            await other.send("still here")
            assert await channel.receive() == "still here"
        served.abort()


# -- media -------------------------------------------------------------------------------------------------------------


async def test_media_flow_on_both_ways(peers):
    _, second, (video,), (other,) = await peers.media_pair("video")
    video.sender.send_frame(KEYFRAME, 0)
    await peers.take(other.receiver.frames(), 1)
    heir = moved(peers, second)
    (mine,) = heir.transceivers
    assert not mine.receiver.is_muted and mine.sender.target_bitrate_bps == other.sender.target_bitrate_bps
    video.sender.send_frame(KEYFRAME + b"1", 3000)
    (frame,) = await peers.take(mine.receiver.frames(), 1)
    assert (frame.data, frame.is_contiguous) == (KEYFRAME + b"1", True)
    mine.sender.send_frame(KEYFRAME + b"2", 0)
    (frame,) = await peers.take(video.receiver.frames(), 1)
    assert frame.data == KEYFRAME + b"2"
    with pytest.raises(ConnectionLost):
        await anext(other.receiver.frames())


async def test_frames_and_transceivers_that_nobody_has_taken_are_taken_there(peers):
    _, second, (video,), (other,) = await peers.media_pair("video")
    video.sender.send_frame(KEYFRAME, 0)
    with anyio.fail_after(5):
        while not other._inbox.frames:  # noqa: ASYNC110  # they are to stay untaken
            await anyio.sleep(0.002)
    heir = moved(peers, second)
    assert not other._inbox.frames
    (mine,) = await peers.take(heir.incoming_transceivers(), 1)
    assert heir.transceivers == [mine]
    (frame,) = await peers.take(mine.receiver.frames(), 1)
    assert frame.data == KEYFRAME


async def test_who_took_packets_and_takes_frames_there_gets_frames(peers):
    _, second, (video,), (other,) = await peers.media_pair("video")
    packets = other.receiver.packets()
    video.sender.send_frame(KEYFRAME, 0)
    await peers.take(packets, 1)
    (mine,) = moved(peers, second).transceivers
    frames = mine.receiver.frames()
    video.sender.send_frame(KEYFRAME + b"1", 3000)
    assert (await peers.take(frames, 1))[0].data == KEYFRAME + b"1"


# -- recordings --------------------------------------------------------------------------------------------------------


async def recorded(peers, record):
    """A peer that is recorded, and both ends of a channel."""
    first, second = peers.make(record=record), peers.make()
    channel = first.create_data_channel("x")
    await peers.signal(first, second)
    with anyio.fail_after(5):
        await channel.opened()
        return first, channel, await anext(second.incoming_channels())


async def test_recordings_of_both_ends_replay(peers, tmp_path):
    """The heir's begins with the snapshot, from which a replay begins as well; under trio on another scale of time.

    What is shown around holds neither that nor its key.
    """
    first, channel, other = await recorded(peers, tmp_path / "old")
    await other.send("unread")
    await arrived(channel, 1)
    heir = moved(peers, first, record=tmp_path / "heir")
    (mine,) = heir.channels()
    await mine.send("more")
    with anyio.fail_after(5):
        assert await other.receive() == "more"
        await heir.close()
    assert not list(tmp_path.glob("*.tail"))
    assert replay(read_recording(tmp_path / "old")).calls > 10
    whole = b"".join(read_recording(tmp_path / "heir"))
    assert replay(whole).calls > 10
    redacted = b"".join(record.serialize() for record in redact(read_records([whole])))
    assert KEY in whole and b"SRTCSNAP" in whole
    assert KEY not in redacted and b"SRTCSNAP" not in redacted


@pytest.mark.parametrize("options", [{"secrets": False}, {"payloads": False}], ids=["no-secrets", "no-payloads"])
async def test_recording_that_is_to_hold_less_holds_no_snapshot(peers, tmp_path, options):
    first, channel, other = await recorded(peers, RecordTo(path=tmp_path / "old", **options))
    await other.send("unread")
    await arrived(channel, 1)
    handed = first.hand_over(KEY)
    heir_of(peers, handed, record=RecordTo(path=tmp_path / "heir", **options)).abort()
    for name in ("old", "heir"):
        data = b"".join(read_recording(tmp_path / name))
        assert handed.snapshot[:100] not in data and (KEY in data) is ("payloads" in options)
        assert b"unread" not in data or "secrets" in options


# -- threads -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def threads():
    """Two blocking peers, and both ends of a channel."""
    first, second = BlockingPeerConnection(bind="127.0.0.1"), BlockingPeerConnection(bind="127.0.0.1")
    channel = first.create_data_channel("x")
    signal_blocking(first, second)
    channel.opened(5)
    yield first, channel, second.accept_channel(5)
    first.abort()
    second.abort()


def test_threads_transfer_goes_on_with_nothing_lost_or_doubled(threads):
    first, channel, other = threads
    for message in numbered(0, 20):
        other.send(message)
        channel.send(message)
    assert [channel.receive(5) for _ in range(5)] == numbered(0, 5)
    handed = first.hand_over(KEY)
    assert not first._thread.is_alive() and first.close().reason == "handed_over"
    other.send(b"20")
    with BlockingPeerConnection.restore(handed.snapshot, KEY, sockets=handed.sockets) as heir:
        (mine,) = heir.channels()
        assert [mine.receive(5) for _ in range(16)] == numbered(5, 21)
        mine.send(b"20")
        assert [other.receive(5) for _ in range(21)] == numbered(0, 21)


def test_threads_that_wait_at_the_old_end_are_told(threads):
    first, channel, _ = threads
    channel.high_water_bytes = 0
    channel.send(bytes(200_000))
    reasons = []

    def wait(call):
        try:
            call()
        except ConnectionLost as error:
            reasons.append(error.reason)

    calls = (channel.receive, channel.drain, lambda: channel.send(b"x"), lambda: list(first.incoming_channels()))
    with first.lock:  # so that none of them is done before
        waiting = [threading.Thread(target=wait, args=(call,)) for call in calls]
        for thread in waiting:
            thread.start()
        snapshot, sockets = first._machine.hand_over(KEY, (), monotonic()), first._driver.detach_sockets()
        first._on_events(first._machine.take_events())
    for thread in waiting:
        thread.join(5)
    first.abort()
    assert reasons == ["handed_over"] * 4
    BlockingPeerConnection.restore(snapshot, KEY, sockets=sockets).abort()


def test_threads_go_on_after_a_refusal(threads):
    first, channel, other = threads
    with pytest.raises(InvalidArgument):
        first.hand_over(b"")
    channel.send("still here")
    assert other.receive(5) == "still here"
    new = BlockingPeerConnection()
    with pytest.raises(InvalidState):
        new.hand_over(KEY)
    new.abort()
    with pytest.raises(InvalidState):
        new.hand_over(KEY)


def test_threads_are_given_channels_that_were_not_accepted(threads):
    first, _, other = threads
    second = other._owner
    second.create_data_channel("later", ChannelOptions()).opened(5)
    handed = first.hand_over(KEY)
    with BlockingPeerConnection.restore(handed.snapshot, KEY, sockets=handed.sockets) as heir:
        assert [channel.label for channel in heir.channels()] == ["x"]
        assert heir.accept_channel(5).label == "later"
        second.create_data_channel("latest", ChannelOptions())
        assert heir.accept_channel(5).label == "latest"
        assert [channel.label for channel in heir.channels()] == ["x", "later", "latest"]
