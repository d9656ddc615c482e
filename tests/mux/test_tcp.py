"""Many peers on one TCP port: the first frame of a connection says whose it is, within bounds."""

import pytest

from sans_rtc.ice import IceConfig, StunServer
from sans_rtc.ice.config import TcpPolicy, TurnServer
from sans_rtc.ice.framing import serialize_frame
from sans_rtc.machine import Address, Datagram, Path, Terminated
from sans_rtc.peer import ConnectionState, Mux, MuxConfig, PeerConfig
from sans_rtc.peer.mux_events import UnknownUfrag
from sans_rtc.peer.mux_visitors import VISITOR_BYTES_MAX
from sans_rtc.streams import StreamNeeded, StreamUnneeded
from sans_rtc.testing import SeededEntropy

LISTENER = Address("10.0.0.1", 443)


def tcp_config(**policy):
    return PeerConfig(ice=IceConfig(tcp=TcpPolicy(**policy), stun_servers=()))


@pytest.fixture
def tcp_plaza(make_plaza):
    """A mux on one TCP port, where nothing gets through by UDP."""
    plaza = make_plaza(peer_config=tcp_config(passive=True), client_config=tcp_config(active=True))
    plaza.mux.add_tcp_listener(LISTENER, "eth0", plaza.now)
    plaza.has_udp = False
    return plaza


def visitor(number, host="10.1.0.1"):
    return Path(LISTENER, Address(host, 40_000 + number), "tcp")


def closed(mux):
    return [event.path for event in mux.take_events() if isinstance(event, StreamUnneeded)]


def test_peers_share_a_tcp_port(tcp_plaza):
    tcp_plaza.connect(5, within_s=20.0)
    tcp_plaza.assert_all_talk(range(5))
    assert {path.local for path in tcp_plaza.streams} == {LISTENER}
    assert tcp_plaza.mux.router.sizes["streams"] >= 5
    assert tcp_plaza.mux.router.sizes["visitors"] == 0
    tcp_plaza.check()


def test_end_of_a_stream_is_told_to_its_peer_alone(tcp_plaza):
    tcp_plaza.connect(2, within_s=20.0)
    tcp_plaza.link.run_for(1.0)  # data pass before ICE has made sure that there is no way over UDP
    first = next(path for path in tcp_plaza.streams if path.remote.host == tcp_plaza.path(0).remote.host)
    tcp_plaza.mux.stream_closed(first, "reset", tcp_plaza.now)
    tcp_plaza.link.flush()
    assert tcp_plaza.mux.router.streams.owner_of(first) is None
    states = [tcp_plaza.mux.peer(tcp_plaza.keys[number]).connection_state for number in (0, 1)]
    assert states[1] is ConnectionState.CONNECTED
    assert states[0] is not ConnectionState.CONNECTED
    tcp_plaza.assert_all_talk([1])


def test_peer_that_ends_has_its_streams_closed(tcp_plaza):
    tcp_plaza.connect(2, within_s=20.0)
    key = tcp_plaza.keys[0]
    mine = [path for path in tcp_plaza.streams if tcp_plaza.mux.router.streams.owner_of(path) == key]
    tcp_plaza.mux.peer(key).abort(tcp_plaza.now)
    tcp_plaza.mux.touch(key, tcp_plaza.now)
    tcp_plaza.link.flush()
    assert set(mine) <= set(tcp_plaza.closed)
    assert [path for path in tcp_plaza.streams if tcp_plaza.mux.router.streams.owner_of(path) == key] == []
    tcp_plaza.assert_all_talk([1])


@pytest.mark.parametrize("size", [1, 2, 3, 20, 1000])
def test_check_may_come_in_pieces(tcp_plaza, make_request, size):
    tcp_plaza.offer(0)
    mux, path = tcp_plaza.mux, visitor(0)
    ufrag = mux.peer(tcp_plaza.keys[0]).routing.local_ufrags[0]
    data = serialize_frame(make_request(ufrag, "someone").data)
    mux.stream_opened(path, tcp_plaza.now)
    for start in range(0, len(data), size):
        assert mux.router.streams.owner_of(path) is None
        mux.receive(Datagram(data[start : start + size], path), tcp_plaza.now)
    assert mux.router.streams.owner_of(path) == tcp_plaza.keys[0]


def test_connection_with_a_forged_check_reaches_nobody_else(tcp_plaza, make_request):
    """It names a peer without its password: that peer closes it, and no other hears of it."""
    tcp_plaza.connect(2, within_s=20.0)
    mux, path = tcp_plaza.mux, visitor(0)
    ufrag = mux.peer(tcp_plaza.keys[0]).routing.local_ufrags[0]
    mux.stream_opened(path, tcp_plaza.now)
    mux.receive(Datagram(serialize_frame(make_request(ufrag, "someone", pwd="x" * 24).data), path), tcp_plaza.now)
    tcp_plaza.link.flush()
    assert path in tcp_plaza.closed
    tcp_plaza.assert_all_talk([0, 1])


@pytest.mark.parametrize("data", [b"\xff\xff" + bytes(100), b"GET / HTTP/1.1\r\n\r\n", serialize_frame(b"\x16" * 40)])
def test_connection_that_brings_no_check_is_closed(make_mux, data):
    mux = make_mux()
    mux.stream_opened(visitor(0), 0.0)
    mux.receive(Datagram(data, visitor(0)), 0.0)
    assert closed(mux) == [visitor(0)]
    assert mux.router.sizes["visitors"] == 0
    mux.receive(Datagram(data, visitor(0)), 0.0)
    assert closed(mux) == []


def test_connection_that_says_nothing_is_closed_in_time(make_mux):
    mux = make_mux(visitor_wait_s=3.0)
    mux.stream_opened(visitor(0), 1.0)
    mux.stream_opened(visitor(1), 2.0)
    assert mux.deadline == 4.0
    mux.receive(Datagram(b"\x00", visitor(0)), 3.9)
    mux.handle_timer(4.0)
    assert closed(mux) == [visitor(0)]
    assert mux.deadline == 5.0
    mux.stream_closed(visitor(1), "gone", 4.5)
    assert mux.deadline == float("inf")
    assert closed(mux) == []


def test_connections_are_bounded_in_all_and_of_one_host(make_mux):
    mux = make_mux(visitor_count_max=10, visitors_per_host_max=4)
    for number in range(6):
        mux.stream_opened(visitor(number), 0.0)
    assert closed(mux) == [visitor(4), visitor(5)]
    for number in range(20):
        mux.stream_opened(visitor(0, f"10.2.0.{number}"), 0.0)
    assert mux.router.sizes["visitors"] == 10
    assert len(closed(mux)) == 14
    assert mux.stats.discards == {"visitor_limit": 16}


def test_bytes_of_a_visitor_are_bounded(make_mux, make_request):
    mux = make_mux()
    mux.stream_opened(visitor(0), 0.0)
    mux.receive(Datagram(serialize_frame(make_request("nobody", "someone").data), visitor(0)), 0.0)
    assert closed(mux) == []
    for _ in range(VISITOR_BYTES_MAX // 1000 + 1):
        mux.receive(Datagram(bytes(1000), visitor(0)), 0.0)
    assert closed(mux) == [visitor(0)]


def test_stranger_on_a_stream_waits_for_the_application(make_mux, make_request, stranger_config):
    mux = make_mux()
    mux.stream_opened(visitor(0), 0.0)
    check = make_request("token1234", "someone")
    mux.receive(Datagram(serialize_frame(check.data), visitor(0)), 0.0)
    (stranger,) = mux.take_events()
    assert isinstance(stranger, UnknownUfrag)
    assert (stranger.local_ufrag, stranger.path, stranger.datagram.data) == ("token1234", visitor(0), check.data)
    key = mux.create(stranger_config("token1234", "p" * 22, tcp=TcpPolicy(passive=True)), None, 1.0)
    mux.receive(stranger.datagram, 1.0)
    assert mux.router.streams.owner_of(visitor(0)) == key


def test_datagram_of_a_stream_that_never_was_is_dropped(make_mux):
    mux = make_mux()
    mux.receive(Datagram(b"\x00\x14" + bytes(20), visitor(0)), 0.0)
    mux.stream_closed(visitor(0), "gone", 0.0)
    assert mux.take_events() == ()


def relayed(mux, count):
    """Peers that ask a TURN server over TCP, each on a connection of its own."""
    server = TurnServer("192.0.2.9", 3478, "user", "password", transport="tcp")
    config = PeerConfig(ice=IceConfig(turn_servers=(server,)))
    mux.add_local_address(Address("10.0.0.1", 3478), "eth0", 0.0)
    keys = [mux.create(config, None, 0.0) for _ in range(count)]
    from sans_rtc.datachannel import ChannelOptions

    for key in keys:
        mux.peer(key).create_channel("x", ChannelOptions(), 0.0)
        mux.peer(key).set_local_description(None, 0.0)
        mux.touch(key, 0.0)
    return keys


def test_peers_streams_have_names_of_their_own_outside(make_mux):
    """Each peer numbers its streams from 1; outside, no two are the same, and each answer finds back."""
    mux = make_mux()
    keys = relayed(mux, 3)
    needed = [event.path for event in mux.take_events() if isinstance(event, StreamNeeded)]
    assert len(set(needed)) == 3
    assert [mux.router.streams.owner_of(path) for path in needed] == keys
    for path in needed:
        mux.stream_opened(path, 0.1)
    sent = mux.take_datagrams(0.1)
    assert [datagram.path for datagram in sent if datagram.path.protocol == "tcp"] == needed
    mux.stream_closed(needed[1], "refused", 0.2)
    assert mux.router.streams.owner_of(needed[1]) is None
    mux.peer(keys[0]).abort(0.3)
    mux.touch(keys[0], 0.3)
    mux.take_datagrams(0.3)
    assert closed(mux) == [needed[0]]
    assert mux.router.sizes["streams"] == 1


def test_configuration_bounds_that_cannot_be():
    for field in ("visitor_count_max", "visitors_per_host_max", "visitor_wait_s"):
        with pytest.raises(ValueError, match=field):
            MuxConfig(**{field: 0})
    assert Mux(entropy=SeededEntropy(1)).deadline == float("inf")
    assert StunServer("192.0.2.1").port == 3478


@pytest.mark.parametrize("verb", ["close", "abort"])
def test_connections_that_are_nobodys_are_closed_before_the_end(make_mux, verb):
    mux = make_mux(visitor_wait_s=3.0)
    mux.stream_opened(visitor(0), 1.0)
    getattr(mux, verb)(2.0)
    last = mux.take_events()[-1]
    assert isinstance(last, Terminated)
    assert mux.deadline == float("inf")
    mux.handle_timer(9.0)
    assert mux.take_events() == ()


def test_connection_that_is_nobodys_is_said_to_be_unneeded_at_the_end(make_mux):
    mux = make_mux()
    mux.stream_opened(visitor(0), 1.0)
    mux.close(2.0)
    assert closed(mux) == [visitor(0)]
