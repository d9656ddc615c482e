"""What strangers and malicious clients can send to a shared port, and what it must not do."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.peer import ConnectionState
from sans_rtc.peer.mux_config import MuxConfig
from tests.mux.conftest import SERVER, Plaza, client_address, request

ATTACKER = Path(SERVER, Address("203.0.113.9", 666))


@pytest.fixture(scope="module")
def plaza():
    """Three clients in the middle of a session; the tests leave them so."""
    plaza = Plaza()
    plaza.connect(3)
    plaza.link.run_for(1.0)
    return plaza


def ufrag(plaza, number):
    return plaza.mux.peer(plaza.keys[number]).routing.local_ufrags[0]


def wire(plaza):
    """Real datagrams of the session, as the mux has received them, each with its path."""
    return [Datagram(datagram.data, datagram.path.reversed()) for datagram in plaza.link.sent[1]]


def sizes(plaza):
    """The tables, without what only remembers for a while."""
    return {name: size for name, size in plaza.mux.router.sizes.items() if name not in ("strangers", "transactions")}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_random_truncated_and_flipped_datagrams_change_no_route(data):
    plaza = STATE["plaza"]
    before, owners = sizes(plaza), [plaza.mux.router.owner_of(plaza.path(number)) for number in range(3)]
    original = data.draw(st.sampled_from(STATE["wire"]))
    mutated = bytearray(original.data if data.draw(st.booleans()) else data.draw(st.binary(max_size=200)))
    for _ in range(data.draw(st.integers(0, 4))):
        if mutated:
            mutated[data.draw(st.integers(0, len(mutated) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    cut = bytes(mutated[: data.draw(st.integers(0, len(mutated)))])
    path = data.draw(st.sampled_from([original.path, ATTACKER, Path(SERVER, client_address(2))]))
    plaza.mux.receive(Datagram(cut, path), plaza.now)
    plaza.link.flush()
    assert sizes(plaza) == before
    assert [plaza.mux.router.owner_of(plaza.path(number)) for number in range(3)] == owners


STATE = {}


@pytest.fixture(autouse=True)
def _state(plaza):
    STATE["plaza"], STATE["wire"] = plaza, wire(plaza)[:400]


def test_session_lives_on_through_all_of_it(plaza):
    plaza.assert_all_talk(range(3))
    states = {plaza.mux.peer(key).connection_state for key in plaza.mux.keys}
    assert states == {ConnectionState.CONNECTED}
    plaza.check()


def test_zero_length_datagram_from_an_unrelated_address(plaza):
    plaza.mux.receive(Datagram(b"", ATTACKER), plaza.now)
    assert plaza.mux.take_datagrams(plaza.now) == ()


def test_stranger_who_knows_a_fragment_steals_no_path(plaza):
    """Without the password a check is refused by the peer, and neither path nor client is any other for it."""
    forged = request(ufrag(plaza, 0), "attacker", pwd="x" * 24, path=plaza.path(1))
    plaza.mux.receive(forged, plaza.now)
    assert plaza.mux.router.owner_of(plaza.path(1)) == plaza.keys[1]
    plaza.mux.receive(request(ufrag(plaza, 0), "attacker", pwd="x" * 24, path=ATTACKER), plaza.now)
    assert plaza.mux.router.owner_of(ATTACKER) is None
    plaza.mux.receive(Datagram(b"\x17\xfe\xfd" + bytes(60), ATTACKER), plaza.now)
    plaza.link.run_for(2.0)
    plaza.assert_all_talk(range(3))


def test_client_with_credentials_of_its_own_takes_no_path_of_another(plaza):
    """It signals the victim's address as its own candidate, and sends an authentic check with that source forged."""
    victim, attacker = 1, 2
    peer = plaza.mux.peer(plaza.keys[attacker])
    address = client_address(victim)
    peer.add_remote_candidate(f"candidate:9 1 udp 1 {address.host} {address.port} typ host", None, plaza.now)
    plaza.mux.touch(plaza.keys[attacker], plaza.now)
    local = peer.routing.local_parameters
    remote = plaza.clients[attacker].routing.local_parameters
    forged = request(local.ufrag, remote.ufrag, pwd=local.pwd, path=plaza.path(victim))
    plaza.mux.receive(forged, plaza.now)
    plaza.link.flush()
    assert plaza.path(victim) in peer.routing.proven_paths, "its own ICE takes it for proven"
    assert plaza.mux.router.owner_of(plaza.path(victim)) == plaza.keys[victim]
    plaza.link.run_for(5.0)
    assert plaza.mux.router.owner_of(plaza.path(victim)) == plaza.keys[victim]
    plaza.assert_all_talk([victim, attacker])


def test_replayed_datagrams_of_one_client_from_everywhere_change_nothing(plaza):
    """Whoever overhears them can send them again from any address."""
    seen, before = wire(plaza), sizes(plaza)
    for index, datagram in enumerate(seen[-300:]):
        plaza.mux.receive(Datagram(datagram.data, Path(SERVER, Address("203.0.113.7", 1000 + index))), plaza.now)
    plaza.link.run_for(3.0)
    after = sizes(plaza)
    assert {name: after[name] for name in ("peers", "paths", "ufrags", "rivals")} == {
        name: before[name] for name in ("peers", "paths", "ufrags", "rivals")
    }
    plaza.assert_all_talk(range(3))


def test_ten_thousand_unknown_fragments_are_bounded(make_plaza):
    plaza = make_plaza()
    plaza.connect(1)
    config = MuxConfig()
    for number in range(10_000):
        source = Path(SERVER, Address(f"198.51.{number >> 8 & 255}.{number & 255}", 1 + number % 60_000))
        plaza.mux.receive(request(f"nobody{number}", "someone", path=source), plaza.now)
    assert plaza.mux.take_datagrams(plaza.now) == (), "nobody is answered"
    plaza.link.flush()
    assert len(plaza.strangers) == config.stranger_burst_max
    assert plaza.mux.router.sizes["strangers"] == config.stranger_burst_max
    assert plaza.mux.stats.discards["stranger_rate"] == 10_000 - config.stranger_burst_max
    plaza.link.run_for(1.0)
    for number in range(1000):
        plaza.mux.receive(request(f"others{number}", "someone", path=ATTACKER), plaza.now)
    plaza.link.flush()
    assert len(plaza.strangers) <= config.stranger_burst_max + config.strangers_per_s_max
    plaza.assert_all_talk([0])


def test_flood_from_many_addresses_fills_no_table(make_plaza):
    plaza = make_plaza()
    plaza.connect(2)
    before, chance = sizes(plaza), random.Random(1)
    fragments = [ufrag(plaza, 0), ufrag(plaza, 1)]
    for number in range(3000):
        source = Path(SERVER, Address(f"198.18.{number >> 8}.{number & 255}", 5000))
        for data in (
            b"\x16\xfe\xfd" + chance.randbytes(30),
            request(chance.choice(fragments), "someone", pwd="x" * 24).data,
            b"\x01\x01\x00\x00\x21\x12\xa4\x42" + chance.randbytes(12),
            b"\x00\x11\x00\x00\x21\x12\xa4\x42" + chance.randbytes(12),
        ):
            plaza.mux.receive(Datagram(data, source), plaza.now)
    plaza.link.flush()
    assert sizes(plaza) == before
    plaza.assert_all_talk([0, 1])
