"""One session has one owner: whoever hands it over says nothing more, and no snapshot is restored twice."""

import math

import pytest

from sans_rtc.datachannel import ChannelMessage, ChannelOptions
from sans_rtc.dtls import DtlsConfig
from sans_rtc.errors import InvalidArgument, InvalidState
from sans_rtc.machine import Address, Datagram, Path, Terminated
from sans_rtc.peer import (
    ConnectionState,
    ConnectionStateChanged,
    NegotiationNeeded,
    PeerConfig,
    PeerConnection,
    TerminationReason,
)
from sans_rtc.snapshot import rescaled, snapshot_id, store
from sans_rtc.testing import LinkConditions, SeededEntropy
from sans_rtc.trace import NotReplayable, make_recorded, replay

NO_ENTROPY = SeededEntropy("another")
CLEAN = LinkConditions(delay_s=0.01)


@pytest.fixture
def session(make_session):
    session = make_session(conditions=CLEAN)
    session.connect()
    return session


def records(peer, now):
    """The heads of the DTLS records that a peer sends: epoch and sequence number, and the bytes."""
    return {datagram.data[3:11]: datagram.data for datagram in peer.take_datagrams(now) if datagram.data[0] == 23}


def test_who_has_handed_over_ends_without_a_word(session, key):
    peer, now = session.peers[0], session.now
    peer.send(session.handles[0, "chat"], b"not sent yet", now)
    peer.snapshot(key, now)
    assert peer.take_datagrams(now) == ()
    assert peer.take_events() == [
        ConnectionStateChanged(ConnectionState.CLOSED),
        Terminated(TerminationReason.HANDED_OVER, "the session goes on where its snapshot is restored"),
    ]
    assert peer.is_terminated and peer.deadline == float("inf")
    assert peer.connection_state is ConnectionState.CLOSED


def test_answer_that_was_due_is_given_where_it_is_restored(session, key):
    checks = [entry for entry in session.log if len(entry) == 4 and entry[1] == 1 and entry[2][:2] == b"\0\1"]
    _, _, data, path = checks[-1]
    peer, now = session.peers[0], session.now
    peer.receive(Datagram(data, path.reversed()), now)
    heir = PeerConnection.restore(peer.snapshot(key, now), key, entropy=NO_ENTROPY)
    assert peer.take_datagrams(now) == ()
    assert [datagram.data[:2] for datagram in heir.take_datagrams(now)] == [b"\1\1"]


def test_who_has_handed_over_never_speaks_again(session, key):
    peer, now = session.peers[0], session.now
    session.send(1, "chat", bytes(1000))
    arriving = [entry for entry in session.log if len(entry) == 4 and entry[1] == 1]
    peer.snapshot(key, now)
    for _, _, data, path in arriving:
        peer.receive(Datagram(data, path.reversed()), now)
    for verb in ("close", "abort", "handle_timer"):
        getattr(peer, verb)(now + 100)
    with pytest.raises(InvalidState):
        peer.send(session.handles[0, "chat"], b"x", now + 100)
    with pytest.raises(InvalidState):
        peer.snapshot(key, now + 100)
    assert peer.take_datagrams(now + 100) == ()


def test_what_nobody_has_taken_is_taken_where_it_is_restored(session, key):
    now = session.now
    session.peers[0].send(session.handles[0, "chat"], b"not sent yet", now)
    session.replace(0)
    session.run(0.1)
    assert session.messages[1] == [b"not sent yet"]


def test_two_that_go_on_from_one_state_would_use_a_nonce_twice(session, key):
    """Why `snapshot` ends the connection: this is what `store` allows, and docs/snapshots.md forbids."""
    now, channel = session.now, session.handles[0, "chat"]
    copy = PeerConnection.restore(store(session.peers[0], key, now), key, entropy=NO_ENTROPY)
    session.peers[0].send(channel, b"one", now)
    copy.send(channel, b"two", now)
    ours, theirs = records(session.peers[0], now), records(copy, now)
    assert ours.keys() & theirs.keys()
    assert ours != theirs


def test_snapshot_is_restored_once_where_somebody_keeps_count(session, key):
    sealed = session.peers[0].snapshot(key, session.now)
    used = set()

    def claim(name):
        is_new = name not in used
        used.add(name)
        return is_new

    PeerConnection.restore(sealed, key, entropy=NO_ENTROPY, claim=claim)
    with pytest.raises(InvalidState):
        PeerConnection.restore(sealed, key, entropy=NO_ENTROPY, claim=claim)
    assert used == {snapshot_id(sealed)}


def test_forged_snapshot_claims_nothing(session, key):
    sealed = session.peers[0].snapshot(key, session.now)
    used = []
    with pytest.raises(InvalidArgument):
        PeerConnection.restore(sealed[:-1] + b"\0", key, entropy=NO_ENTROPY, claim=used.append)
    assert used == []


def test_misuse_leaves_the_connection_alive(session, key):
    peer, now = session.peers[0], session.now
    for wrong in (b"", key[:-1], "text"):
        with pytest.raises(InvalidArgument):
            peer.snapshot(wrong, now)
    with pytest.raises(InvalidArgument):
        peer.snapshot(key, float("nan"))
    session.send(0, "chat", "still here")
    session.run(0.1)
    assert session.messages[1] == ["still here"]


def test_key_log_is_given_anew(make_session, key):
    before, after = [], []
    session = make_session(configs=(PeerConfig(dtls=DtlsConfig(key_log=before.append)), None))
    session.do(0, "create_channel", "chat", ChannelOptions())
    session.describe(0)
    peer = session.peers[0]
    restored = PeerConnection.restore(
        peer.snapshot(key, session.now), key, entropy=session.entropies[0], key_log=after.append
    )
    session.adopt(0, restored)
    session.tell(0)
    session.describe(1)
    session.tell(1)
    session.run(10.0)
    assert before == []
    assert len(after) == 1


def test_trace_is_given_anew(session, key):
    told = []
    sealed = session.peers[0].snapshot(key, session.now)
    PeerConnection.restore(sealed, key, entropy=NO_ENTROPY, trace=told.append).abort(session.now)
    assert [(record.layer, record.name) for record in told][-1] == ("peer", "terminated")


def test_strangers_datagram_is_discarded_after_as_before(session, key):
    session.replace(0)
    peer = session.peers[0]
    stranger = Path(Address("10.0.0.1", 5000), Address("192.0.2.9", 9))
    peer.receive(Datagram(b"", stranger), session.now)
    session.send(0, "chat", "still here")
    session.run(0.1)
    assert session.messages[1] == ["still here"]


@pytest.mark.parametrize("offset_s", [-1e6, 12345.5, 1e9])
def test_session_goes_on_on_another_scale_of_time(session, key, offset_s):
    """Half of the session runs on one scale, half on another."""
    peer = session.peers[0]
    sealed = peer.snapshot(key, session.now)
    moved = PeerConnection.restore(sealed, key, entropy=session.entropies[0], now=session.now + offset_s)
    assert isinstance(moved.deadline, float)
    session.adopt(0, _Elsewhere(moved, offset_s))
    for number in range(10):
        session.send(0, "chat", bytes([number]) * 30_000)
        session.run(0.2)
    session.run(20.0)
    assert session.messages[1] == [bytes([number]) * 30_000 for number in range(10)]
    assert session.peers[0].connection_state is ConnectionState.CONNECTED
    moved_again = PeerConnection.restore(
        session.peers[0].snapshot(key, session.now), key, entropy=session.entropies[0], now=session.now
    )
    session.adopt(0, moved_again)
    session.send(0, "chat", "back")
    session.run(1.0)
    assert session.messages[1][-1] == "back"


class _Elsewhere:
    """A machine whose clock is ahead of ours by a constant, driven by ours."""

    def __init__(self, machine, offset_s):
        self._machine, self._offset_s = machine, offset_s

    @property
    def deadline(self):
        moment = self._machine.deadline - self._offset_s
        while moment + self._offset_s < self._machine.deadline:
            moment = math.nextafter(moment, math.inf)
        return moment

    def __getattr__(self, name):
        member = getattr(self._machine, name)
        if not callable(member) or name in ("take_events", "channel_state"):
            return member
        return lambda *arguments: member(*arguments[:-1], arguments[-1] + self._offset_s)


def test_moving_twice_is_moving_once():
    machine = object()
    assert rescaled(rescaled(machine, 5.0), -5.0) is machine


def test_what_was_taken_and_not_dealt_with_is_told_first(session, key):
    peer, now = session.peers[0], session.now
    peer.create_channel("later", ChannelOptions(), now)
    taken, waiting = [NegotiationNeeded()], ChannelMessage(1, b"unread", 6)
    heir = PeerConnection.restore(peer.hand_over(key, [*taken, waiting], now), key, entropy=NO_ENTROPY)
    assert list(heir.take_events())[:2] == [*taken, waiting]


def test_refused_hand_over_tells_nothing_again(session, key):
    peer, now = session.peers[0], session.now
    peer.take_events()
    with pytest.raises(InvalidArgument):
        peer.hand_over(key[:-1], [NegotiationNeeded()], now)
    with pytest.raises(InvalidArgument):
        peer.hand_over(key, [NegotiationNeeded(), object()], now)
    assert peer.take_events() == () and not peer.is_terminated


def test_heir_tells_which_sockets_it_needs(session, key):
    peer, now = session.peers[0], session.now
    in_use = peer.sockets
    heir = PeerConnection.restore(peer.snapshot(key, now), key, entropy=NO_ENTROPY)
    assert heir.sockets == in_use and heir.config == peer.config
    assert len(in_use.local_addresses) == 1 and in_use.listeners == in_use.streams == ()


@pytest.mark.parametrize("offset_s", [0.0, 1000.0])
def test_recording_that_begins_with_a_snapshot_replays(session, key, offset_s):
    now, records = session.now, []
    sealed = session.peers[0].snapshot(key, now)
    heir = make_recorded(
        PeerConnection.restore, sealed, key, entropy=SeededEntropy("heir"), sink=records.append, now=now + offset_s
    )
    heir.send(session.handles[0, "chat"], b"recorded", now + offset_s)
    assert heir.take_datagrams(now + offset_s)
    heir.handle_timer(heir.deadline)
    assert replay(records).calls == 3
    damaged = [record.replace(sealed, sealed[:-1] + b"?") for record in records]
    with pytest.raises(NotReplayable):
        replay(damaged)


def test_recording_of_who_hands_over_replays(session, key):
    """What it was made of is in it; the snapshot is not, for its bytes depend on which objects are shared."""
    records = []
    peer = make_recorded(PeerConnection, PeerConfig(), entropy=SeededEntropy("old"), sink=records.append)
    peer.create_channel("chat", ChannelOptions(), 0.0)
    sealed = peer.hand_over(key, peer.take_events(), 0.0)
    peer.take_events()
    assert replay(records).calls == 4
    assert sealed[:64] not in b"".join(records)
