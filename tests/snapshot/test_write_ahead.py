"""A copy stored before anything leaves may be restored after a crash: what is lost, the network might have lost."""

import pytest

from sans_rtc.peer import ConnectionState
from sans_rtc.snapshot import restore, store
from sans_rtc.testing import LinkConditions, SeededEntropy

KEY = bytes(32)
MESSAGES = [bytes([number]) * 4000 for number in range(20)]


class WriteAhead:
    """Stores its machine before it lets anything out, and crashes now and then when something has come in."""

    def __init__(self, machine, seed, now, *, stores_first=True):
        self._machine, self._dice, self._now = machine, SeededEntropy(f"write ahead {seed}"), now
        self._stores_first, self.crashes = stores_first, 0
        self._save()

    def receive(self, datagram, now):
        self._machine.receive(datagram, now)
        self._may_crash(now)

    def handle_timer(self, now):
        self._machine.handle_timer(now)
        self._may_crash(now)

    def take_datagrams(self, now):
        datagrams, self._now = self._machine.take_datagrams(now), now
        if datagrams:
            self._save_before()
        return datagrams

    def take_events(self):
        events = self._machine.take_events()
        if events:
            self._save_before()
        return events

    def __getattr__(self, name):
        """Verbs, too, count as done once they are stored."""
        member = getattr(self._machine, name)
        if not callable(member):
            return member

        def call(*arguments):
            result = member(*arguments)
            self._save_before()
            return result

        return call

    def _save_before(self):
        if self._stores_first:
            self._save()

    def _save(self):
        self._saved = store(self._machine, KEY, self._now)

    def _may_crash(self, now):
        if self._dice.below(6) == 0:
            self.crash()

    def crash(self):
        self.crashes += 1
        self._machine = restore(type(self._machine), self._saved, KEY, entropy=self._dice)


def numbers_used_twice(session):
    """Epoch and sequence number of the records that the first end has sent with different contents."""
    records = {}
    for entry in session.log:
        if entry[1] == 0 and len(entry) == 4 and entry[2][:1] == b"\x17":
            records.setdefault(entry[2][3:11], set()).add(entry[2])
    return [number for number, texts in records.items() if len(texts) > 1]


@pytest.mark.parametrize("seed", range(2))
def test_end_that_stores_before_it_sends_survives_crashes(seed, make_session):
    session = make_session(seed, conditions=LinkConditions(delay_s=0.01, loss=0.02))
    session.connect()
    front = WriteAhead(session.peers[0], seed, session.now)
    session.adopt(0, front)
    for message in MESSAGES:
        session.send(0, "chat", message)
        session.run(0.01)
    session.run(5.0)
    assert front.crashes > 5
    assert numbers_used_twice(session) == []
    assert session.messages[1] == MESSAGES
    assert front.connection_state is ConnectionState.CONNECTED


def test_end_that_sends_before_it_stores_uses_a_nonce_twice(make_session):
    """Why the order matters; this is what the check above looks for."""
    session = make_session(0, conditions=LinkConditions(delay_s=0.01))
    session.connect()
    front = WriteAhead(session.peers[0], 0, session.now, stores_first=False)
    session.adopt(0, front)
    session.send(0, "chat", "sent, and forgotten")
    front.crash()
    session.send(0, "chat", "sent under the same number")
    assert numbers_used_twice(session) != []
