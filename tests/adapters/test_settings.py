"""What people write about servers, proxies and trust, and what the machines get of it."""

import ssl

import attrs
import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.ice.config import IceConfig, StunServer, TcpPolicy, TransportPolicy, TurnServer
from sans_rtc.peer.config import PeerConfig
from sans_rtc_net.ice_servers import IceServer, servers_from
from sans_rtc_net.proxy import Proxy, parse_proxy
from sans_rtc_net.settings import peer_config_from, stream_config_from

ALICE = {"username": "alice", "credential": "secret"}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("turn:turn.example.org", TurnServer("turn.example.org", 3478, "alice", "secret", "udp")),
        ("turn:192.0.2.1:80?transport=udp", TurnServer("192.0.2.1", 80, "alice", "secret", "udp")),
        ("turn:[2001:db8::1]?transport=tcp", TurnServer("2001:db8::1", 3478, "alice", "secret", "tcp")),
        ("turns:turn.example.org", TurnServer("turn.example.org", 5349, "alice", "secret", "tls")),
        ("TURNS:turn.example.org:443?transport=tcp", TurnServer("turn.example.org", 443, "alice", "secret", "tls")),
    ],
)
def test_turn_urls(url, expected):
    assert servers_from([{"urls": url, **ALICE}]) == ((), (expected,))


def test_several_urls_of_one_server_and_several_servers():
    servers = [
        {"urls": ["stun:stun.example.org", "turn:turn.example.org"], **ALICE},
        {"urls": ("stun:192.0.2.1:19302",)},
        {"url": "stun:old.example.org"},
        IceServer(["turns:turn.example.org"], "bob", "hidden"),
        "stun:stun.example.org",
    ]
    stun, turn = servers_from(servers)
    assert stun == (
        StunServer("stun.example.org"),
        StunServer("192.0.2.1", 19302),
        StunServer("old.example.org"),
    )
    assert [(str(server), server.username) for server in turn] == [
        ("turn:turn.example.org:3478?transport=udp", "alice"),
        ("turns:turn.example.org:5349?transport=tcp", "bob"),
    ]


@pytest.mark.proves("RFC7064-3.2-1-d8c8")
def test_stun_over_tls_is_taken_and_not_asked():
    assert servers_from(["stuns:stun.example.org"]) == ((), ())


def test_the_same_server_twice_is_one():
    config = PeerConfig(ice=IceConfig(stun_servers=(StunServer("192.0.2.1"),)))
    made = peer_config_from(config, ["stun:192.0.2.1"], ice_servers=["stun:192.0.2.1", "stun:192.0.2.2"])
    assert made.ice.stun_servers == (StunServer("192.0.2.1"), StunServer("192.0.2.2"))


@pytest.mark.parametrize(
    ("server", "complaint"),
    [
        ({"urls": "turn:host"}, "needs a username and a credential"),
        ({"urls": "turn:host", "username": "alice"}, "needs a username and a credential"),
        ({"urls": "turn:host", "username": "a" * 509, "credential": "x"}, "longer than 508 bytes"),
        ({"urls": "turn:host", "username": 5, "credential": "x"}, "username of an ICE server is text, not int"),
        ({"urls": "turns:host?transport=udp", **ALICE}, "TURN over DTLS is not supported"),
        ({"urls": "turn:host?transport=sctp", **ALICE}, "not the URL"),
        ({"urls": "http://host"}, "not the URL of a STUN or TURN server"),
        ({"urls": "stun:"}, "not the URL"),
        ({"urls": "stun:host?transport=tcp"}, "not the URL"),
        ({"urls": []}, "a URL or a list of them"),
        ({"urls": [5]}, "a URL or a list of them"),
        ({"urls": None}, "a URL or a list of them"),
        ({}, "a URL or a list of them"),
        ({"urls": "stun:host", "password": "x"}, "has no password"),
        ({"urls": "turn:host", "credentialType": "oauth", **ALICE}, "not 'oauth'"),
        (7, "a mapping with urls"),
    ],
)
def test_server_that_cannot_be_used_is_refused_with_what_is_wrong(server, complaint):
    with pytest.raises(InvalidArgument, match=complaint):
        servers_from([server])


def test_servers_come_in_a_list():
    for wrong in ("stun:host", {"urls": "stun:host"}, IceServer("stun:host")):
        with pytest.raises(InvalidArgument, match="is a list"):
            servers_from(wrong)


def test_credentials_stay_out_of_reprs():
    assert "secret" not in repr(IceServer("turn:host", "alice", "secret"))
    assert "secret" not in repr(servers_from([{"urls": "turn:host", **ALICE}]))
    assert "secret" not in repr(parse_proxy("http://al:secret@host"))


def test_hiding_of_addresses():
    assert not peer_config_from(None).ice.hide_host_addresses
    config = peer_config_from(None, hide_host_addresses=True)
    assert config.ice.hide_host_addresses
    assert peer_config_from(config).ice.hide_host_addresses
    assert not peer_config_from(config, hide_host_addresses=False).ice.hide_host_addresses


def test_policies():
    config = peer_config_from(None, ice_transport_policy="relay", tcp="active")
    assert config.ice.transport_policy is TransportPolicy.RELAY
    assert (config.ice.tcp.active, config.ice.tcp.passive) == (True, False)
    assert peer_config_from(config).ice == config.ice
    assert peer_config_from(config, tcp=True).ice.tcp == TcpPolicy(active=True, passive=True)
    assert peer_config_from(config, tcp=False, ice_transport_policy="all").ice.tcp == TcpPolicy()
    own = TcpPolicy(passive=True, stream_count_max=3)
    assert peer_config_from(None, tcp=own).ice.tcp is own
    for wrong in ("none", "RELAY", ""):
        with pytest.raises(InvalidArgument, match='"all" or "relay"'):
            peer_config_from(None, ice_transport_policy=wrong)
    for wrong in ("both", 3):
        with pytest.raises(InvalidArgument, match="tcp is True, False"):
            peer_config_from(None, tcp=wrong)


def test_stun_servers_take_only_those():
    with pytest.raises(InvalidArgument, match="ice_servers takes others"):
        peer_config_from(None, ["turn:host"])


# -- streams -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://proxy.example.org:3128", Proxy("proxy.example.org", 3128)),
        ("proxy.example.org", Proxy("proxy.example.org", 8080)),
        ("http://192.0.2.1/", Proxy("192.0.2.1", 8080)),
        ("http://al%40x:p%3Aw@[2001:db8::1]:80", Proxy("2001:db8::1", 80, "al@x", "p:w")),
    ],
)
def test_proxy_urls(url, expected):
    assert stream_config_from(proxy=url).proxy == expected


@pytest.mark.parametrize(
    "url",
    ["https://proxy", "socks5://proxy", "http://", "http://host:0x50", "http://host:70000", "http://h/path", "", 5],
)
def test_proxy_that_cannot_be_is_refused(url):
    with pytest.raises(InvalidArgument):
        stream_config_from(proxy=url)


def test_user_name_with_a_colon_cannot_be_told_to_a_proxy():
    with pytest.raises(InvalidArgument, match="no colon"):
        Proxy("host", username="a:b")


@pytest.fixture
def environment(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch.setenv


def test_proxy_of_the_environment_counts_only_where_asked_for(environment):
    environment("HTTPS_PROXY", "http://al:pw@proxy.example.org:3128")
    environment("NO_PROXY", "localhost, .corp.example,192.0.2.0/24 ")
    assert stream_config_from().proxy is None
    proxy = stream_config_from(proxy="environment").proxy
    assert proxy == Proxy("proxy.example.org", 3128, "al", "pw", ("localhost", ".corp.example", "192.0.2.0/24"))


def test_environment_without_a_proxy_means_none(environment):
    assert stream_config_from(proxy="environment").proxy is None


def test_all_proxy_is_the_second_choice(environment):
    environment("ALL_PROXY", "http://other:1")
    assert stream_config_from(proxy="environment").proxy == Proxy("other", 1)


def test_what_is_exempt_from_the_proxy():
    from sans_rtc.machine import Address

    proxy = Proxy("proxy", exempt=("192.0.2.0/24", ".corp.example", "2001:db8::1"))
    assert not proxy.carries(Address("192.0.2.77", 1))
    assert not proxy.carries(Address("2001:db8::1", 1))
    assert not proxy.carries(Address("203.0.113.1", 1), "turn.CORP.example")
    assert not proxy.carries(Address("203.0.113.1", 1), "corp.example")
    assert proxy.carries(Address("203.0.113.1", 1), "notcorp.example")
    assert proxy.carries(Address("2001:db8::2", 1))
    assert not Proxy("proxy", exempt=("*",)).carries(Address("203.0.113.1", 1))


def test_authority_is_a_file_or_a_context(tls_files, tmp_path):
    made = stream_config_from(tls_ca=tls_files.authority).tls_context
    assert made.verify_mode is ssl.CERT_REQUIRED
    assert len(made.get_ca_certs()) == 1
    context = ssl.create_default_context()
    assert stream_config_from(tls_ca=context).tls_context is context
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    for wrong in (empty, tmp_path / "missing.pem"):
        with pytest.raises(InvalidArgument, match="no certificates to trust"):
            stream_config_from(tls_ca=wrong)


def test_configuration_of_streams_is_completed_not_replaced():
    config = stream_config_from(None, proxy="http://host")
    assert stream_config_from(config) == config
    assert stream_config_from(attrs.evolve(config, keepalive_s=1), proxy="http://b").proxy == Proxy("b")
