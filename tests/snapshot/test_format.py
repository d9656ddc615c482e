"""A snapshot is restored whole, by who has its key, by the version that stored it; else a LocalError refuses it."""

import os
import struct
import subprocess
import sys
from array import array
from collections import Counter, OrderedDict, deque
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sans_rtc
from sans_rtc.dtls import Certificate
from sans_rtc.entropy import draw_uint
from sans_rtc.errors import InvalidArgument, LocalError
from sans_rtc.machine import Address
from sans_rtc.machine import Path as NetworkPath
from sans_rtc.outbox import Outbox
from sans_rtc.peer import ConnectionState, PeerConnection
from sans_rtc.snapshot import FORMAT_VERSION, classes, restore, snapshot_id, store
from sans_rtc.snapshot.decode import decode
from sans_rtc.snapshot.encode import encode
from sans_rtc.snapshot.opaque import MADE_FROM
from sans_rtc.snapshot.sealing import seal, unseal
from sans_rtc.testing import SeededEntropy
from sans_rtc.timers import Timers

ROOT = Path(__file__).parents[2]
KEY = bytes(range(32))
ENTROPY = SeededEntropy("format")
HEAD_BYTES = 9


def copied(value, **externals):
    """What comes back of a value."""
    return decode(encode(value, 0.0), externals)[0]


@pytest.fixture(scope="module")
def peer_body():
    peer = PeerConnection(entropy=SeededEntropy("body"))
    peer.add_local_address(Address("10.0.0.1", 5000), "eth0", 1.0)
    return encode(peer, 1.0)


# plain data

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary(),
    st.sampled_from(ConnectionState), st.builds(Address, st.text(max_size=5), st.integers(0, 65535)),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner), st.lists(inner).map(tuple), st.lists(inner).map(deque), st.frozensets(SCALARS),
        st.sets(SCALARS), st.dictionaries(SCALARS, inner), st.dictionaries(st.text(), inner).map(OrderedDict),
    ),
    max_leaves=20,
)  # fmt: skip


def typed(value):
    """A value with the types of all that is in it, so that 1, 1.0 and True differ."""
    if isinstance(value, dict):
        return type(value), [(typed(key), typed(item)) for key, item in value.items()]
    if isinstance(value, set | frozenset):
        return type(value), sorted((typed(item) for item in value), key=repr)
    if isinstance(value, list | tuple | deque):
        return type(value), [typed(item) for item in value]
    return type(value), repr(value)


@settings(max_examples=150, deadline=None)
@given(VALUES)
def test_plain_data_come_back_as_they_were(value):
    assert typed(copied([value])[0]) == typed(value)


def test_sharing_and_cycles_are_kept():
    shared, cycle = [1], []
    cycle += [shared, (shared, cycle), {"self": cycle}, deque([cycle], maxlen=3)]
    found = copied(cycle)
    assert found[0] is found[1][0] and found[1][1] is found and found[2]["self"] is found
    assert found[3][0] is found and found[3].maxlen == 3


def test_special_containers_keep_their_type():
    value = [Counter("abca"), OrderedDict(b=1, a=2), array("q", [-1, 1 << 40]), bytearray(b"x"), range(5, 1, -2)]
    found = copied(value)
    assert found == value
    assert [type(item) for item in found] == [type(item) for item in value]


def test_float_comes_back_to_the_bit():
    values = [0.1, -0.0, float("inf"), 5e-324, struct.unpack(">d", bytes.fromhex("7ff8000000000001"))[0]]
    assert [struct.pack(">d", value) for value in copied(values)] == [struct.pack(">d", value) for value in values]


def test_object_that_is_a_key_is_found_again():
    path = NetworkPath(Address("10.0.0.1", 1), Address("10.0.0.2", 2))
    hash(path)  # attrs keeps it
    found = copied({path: {path}, frozenset([path]): path, (path,): 1})
    again = NetworkPath(Address("10.0.0.1", 1), Address("10.0.0.2", 2))
    assert again in found[again] and found[frozenset([again])] == again and found[again,] == 1


def test_bound_methods_belong_to_the_new_object():
    outbox = Outbox()
    outbox.append("one")
    found = copied(outbox)
    found.append("two")
    assert found.take() == ["one", "two"]
    assert outbox.take() == ["one"]
    timers = Timers()
    arm, found_timers = copied([timers.arm, timers])
    arm("x", 5.0)
    assert found_timers.deadline == 5.0 and timers.deadline == float("inf")


def test_functions_and_constants_of_the_library_are_the_same_ones():
    from sans_rtc.dtls.ciphers import SUITES, GcmProtection

    row = next(iter(SUITES.values()))
    found = copied([draw_uint, row, GcmProtection, ConnectionState.NEW])
    assert found[0] is draw_uint and found[1] is row and found[2] is GcmProtection and found[3] is ConnectionState.NEW


def test_keys_of_cryptography_come_back():
    certificate = Certificate.generate(SeededEntropy("certificate"), 1_790_000_000)
    found = copied([certificate, certificate.key.public_key(), ip_network("10.0.0.0/8")])
    assert found[0].to_pem() == certificate.to_pem()
    assert found[1] == certificate.key.public_key() and found[2] == ip_network("10.0.0.0/8")


@pytest.mark.parametrize("name", MADE_FROM)
def test_classes_that_are_made_anew_have_the_attributes_named(name):
    kind = classes.find_class(name)
    assert set(MADE_FROM[name]) <= set(classes.slots_of(kind))


class Strange:
    """Not of the library."""


STRANGERS = [Strange(), lambda: None, iter([]), (x for x in ()), Strange, open, sans_rtc, object()]


@pytest.mark.parametrize("strange", STRANGERS, ids=range(len(STRANGERS)))
def test_what_is_not_plain_is_refused_when_it_is_stored(strange):
    with pytest.raises(InvalidArgument):
        store([strange], KEY, 0.0)


def test_refusal_says_where():
    peer = PeerConnection(entropy=ENTROPY)
    peer._close_deadline = Strange()
    with pytest.raises(InvalidArgument, match="Strange, found in PeerConnection"):
        peer.snapshot(KEY, 0.0)


# the seal


def test_equal_states_give_equal_snapshots_and_others_do_not():
    one, same, other = ([1, 2], [1, 2], [1, 3])
    assert store(one, KEY, 0.0) == store(same, KEY, 0.0)
    assert store(one, KEY, 0.0) != store(other, KEY, 0.0)
    assert snapshot_id(store(one, KEY, 0.0)) != snapshot_id(store(one, KEY, 1.0))


def test_order_in_which_a_set_was_filled_does_not_show():
    names = [f"name {number}" for number in range(200)]
    backwards = names[::-1]
    assert store([set(names)], KEY, 0.0) == store([set(backwards)], KEY, 0.0)
    assert list(set(names)) != list(set(backwards))


def test_snapshot_shows_nothing_of_what_it_holds():
    sealed = store([b"secret " * 20], KEY, 0.0)
    assert b"secret" not in sealed and sans_rtc.__version__.encode() not in sealed


def test_snapshot_with_any_byte_changed_is_refused():
    sealed = store([b"state"], KEY, 0.0)
    for index in range(len(sealed)):
        with pytest.raises(LocalError):
            restore(list, sealed[:index] + bytes([sealed[index] ^ 1]) + sealed[index + 1 :], KEY, entropy=ENTROPY)


def test_snapshot_cut_anywhere_or_lengthened_is_refused():
    sealed = store([b"state"], KEY, 0.0)
    for size in range(len(sealed)):
        with pytest.raises(LocalError):
            restore(list, sealed[:size], KEY, entropy=ENTROPY)
    with pytest.raises(LocalError):
        restore(list, sealed + b"\0", KEY, entropy=ENTROPY)


def test_another_key_is_refused():
    with pytest.raises(InvalidArgument, match="another key"):
        restore(list, store([1], KEY, 0.0), bytes(32), entropy=ENTROPY)


def test_another_format_version_is_named():
    sealed = bytearray(store([1], KEY, 0.0))
    sealed[HEAD_BYTES - 1] = FORMAT_VERSION + 1
    with pytest.raises(InvalidArgument, match=f"format {FORMAT_VERSION + 1}"):
        restore(list, bytes(sealed), KEY, entropy=ENTROPY)


def test_another_kind_of_machine_is_refused():
    with pytest.raises(InvalidArgument, match="a list, not a PeerConnection"):
        PeerConnection.restore(store([1], KEY, 0.0), KEY, entropy=ENTROPY)


# versions


def test_another_version_of_the_library_is_named(monkeypatch):
    body = encode([1], 0.0)
    monkeypatch.setattr(sans_rtc, "__version__", "99.0")
    with pytest.raises(InvalidArgument, match=r"99\.0"):
        decode(body, {})


def test_class_with_another_layout_is_named(monkeypatch, peer_body):
    def digest(kind):
        return b"changed!" if kind is Outbox else layout_digest(kind)

    layout_digest = classes.layout_digest
    monkeypatch.setattr(classes, "layout_digest", digest)
    with pytest.raises(InvalidArgument, match="Outbox has other attributes"):
        decode(peer_body, {"entropy": ENTROPY})


def test_layout_is_told_by_slots_by_what_a_constructor_sets_and_by_members():
    def made(slots=(), names=()):
        lines = [f"self.{name} = None" for name in names] or ["pass"]
        space = {}
        exec("def __init__(self):\n    " + "\n    ".join(lines), space)
        return type("Made", (), {"__slots__": slots, "__init__": space["__init__"]})

    digests = [
        classes.layout_digest(made(*layout))
        for layout in [((),), (("a",),), (("a", "b"),), (("a", "__dict__"), ("b",)), (("a", "__dict__"), ("c",))]
    ]
    assert len(set(digests)) == len(digests)
    assert classes.layout_digest(made(("a", "__dict__"), ("b",))) == digests[3]


# bytes that were sealed with the right key, and are none of ours


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_body_is_restored_or_refused_and_nothing_else(peer_body, data):
    body = bytearray(peer_body)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(body)))
        body[start : start + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=6))
    try:
        restore(PeerConnection, seal(bytes(body), KEY), KEY, entropy=ENTROPY)
    except LocalError:
        pass


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data):
    for sealed in (data, seal(data, KEY)):
        with pytest.raises(LocalError):
            restore(PeerConnection, sealed, KEY, entropy=ENTROPY)


@pytest.mark.parametrize(
    "name",
    [
        "os:system", "builtins:eval", "sans_rtc.testing.entropy:SeededEntropy", "sans_rtc.errors:InvalidState.nothing",
        "sans_rtc.peer.connection:PeerConnection.restore", "sans_rtc.outbox:annotations", "sans_rtc..os:system",
        "sans_rtc.snapshot.sealing:AESGCM", "sans_rtc.dtls.ciphers:AESGCM", "sans_rtc.trace.wire:struct.Struct", "",
    ],
)  # fmt: skip
def test_only_classes_of_the_library_are_found(name):
    with pytest.raises(InvalidArgument):
        classes.find_class(name)


def test_body_nests_no_deeper_than_a_bound():
    nested = ()
    for _ in range(5000):
        nested = (nested,)
    with pytest.raises(InvalidArgument):
        copied([nested])


# another process


def test_another_process_with_other_hashes_says_the_same(make_session):
    """Connect here, go on there: the sum of what it says is what it would be here."""
    session = make_session("process")
    session.connect()
    peer = session.peers[0]
    sealed = store(peer, KEY, session.now)
    here = said_by(PeerConnection.restore(sealed, KEY, entropy=SeededEntropy("go on")), session.now)
    code = (
        "import sys; from tests.snapshot.test_format import *\n"
        "sealed = bytes.fromhex(sys.stdin.read())\n"
        f"print(said_by(PeerConnection.restore(sealed, KEY, entropy=SeededEntropy('go on')), {session.now!r}))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, input=sealed.hex(), capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stdout.strip() == repr(here)
    assert len(here) > 5


def said_by(peer, now):
    """What a peer says of itself when nobody answers it for some seconds."""
    channel = peer.channels()[0].channel
    peer.send(channel, b"to be sent again and again", now)
    said = []
    for step in range(200):
        said += [(datagram.data.hex(), datagram.path) for datagram in peer.take_datagrams(now + step / 20)]
        said += [repr(event) for event in peer.take_events()]
        if peer.deadline <= now + step / 20:
            peer.handle_timer(now + step / 20)
    return said


def test_seal_and_unseal_are_inverse():
    assert unseal(seal(b"body", KEY), KEY) == b"body"
