"""One seeded session from its first datagram to its last, with every oracle asserted on the way."""

import attrs

from sans_rtc.peer import TerminationReason
from tests.sim.plan import draw_plan
from tests.sim.world import World

# Once faults have stopped, whatever is open delivers everything within this virtual time. The slowest legitimate cause:
# an ICE generation that began while nothing got through gives its checks up after 17.5 s, the session fails and is
# restarted, which takes four signalled things of up to 0.3 s; then SCTP sends again what waits.
PROGRESS_BOUND_S = 22.0
# A peer whose address is gone is sent to there until its silence shows it, disconnected_after_s = 3.0.
NOTICE_S = 4.0
# close_timeout_s, and the way of the last word to the other end.
CLOSE_BOUND_S = 3.5
# A peer whose last word is lost: ICE gives up after 30 s of silence.
SILENCE_BOUND_S = 35.0

R = TerminationReason
REASONS = {
    "close": ({R.CLOSED}, {R.CLOSED_BY_PEER}),
    "late close": ({R.CLOSED}, {R.CLOSED_BY_PEER}),
    "abort": ({R.ABORTED}, {R.ABORTED_BY_PEER, R.CLOSED_BY_PEER}),
    "both close": ({R.CLOSED, R.CLOSED_BY_PEER}, {R.CLOSED, R.CLOSED_BY_PEER}),
}


@attrs.frozen
class Outcome:
    """What a session has done: for people, and to compare two runs of a seed."""

    seed: int
    messages: int
    datagrams: int
    progress_s: float
    virtual_s: float


class SimulationError(AssertionError):
    """An oracle says no; the message holds the plan and where everything stands."""


def simulate(seed, *, plan=None):
    """Live through the session of a seed; SimulationError where an oracle is not content."""
    plan = plan or draw_plan(seed)
    world = World(plan)
    try:
        return Session(world).live()
    except AssertionError as error:
        where = "\n".join([*world.ledger.describe(), *[str(peer.explain()) for peer in world.peers]])
        raise SimulationError(f"{error}\nat {world.now - 1000.0:.4f}\n{plan}\n{where}") from error


class Session:
    """Plays the script of a plan, then asserts what must hold."""

    def __init__(self, world):
        self.world, self.plan, self.ledger = world, world.plan, world.ledger

    def live(self):
        """Faults, then quiet, then the end."""
        world, plan = self.world, self.plan
        for moment, what, *arguments in plan.script:
            world.at(moment, lambda what=what, arguments=arguments: self._play(what, *arguments))
        world.link.run_for(plan.faults_end_s)
        self.ledger.assert_promises()
        progress_s = 0.0
        if plan.ending != "faulty close":
            progress_s = self._settle()
        self._end()
        datagrams = sum(map(len, world.link.sent))
        return Outcome(plan.seed, self.ledger.messages_received, datagrams, progress_s, world.now - 1000.0)

    def _settle(self):
        world = self.world
        world.heal()
        took_s = world.link.run_until(self._is_settled, within_s=PROGRESS_BOUND_S)
        self._assert_promises_of_a_quiet_session()
        if any(what in ("lose address", "rebind") for _, what, *_ in self.plan.script):
            world.link.run_for(NOTICE_S)
        if self.plan.ending == "late close":
            world.link.run_for(40.0)
            assert world.is_connected(), "an idle session does not stay connected"
        for record in self.ledger.open_records():
            for end in (0, 1):
                self.ledger.send(record, end, 100, False, world.now)
        world.link.run_until(self._is_settled, within_s=2.0)
        return took_s

    def _is_settled(self):
        world = self.world
        return world.is_connected() and self.ledger.is_settled() and not any(map(_owes, world.peers))

    def _assert_promises_of_a_quiet_session(self):
        self.ledger.assert_promises()
        for peer, front in zip(self.world.peers, self.world.fronts, strict=True):
            assert peer.unacknowledged_bytes == 0
            front.check(self.world.now)

    # -- the end -----------------------------------------------------------------------------------------------------

    def _end(self):
        world, ending, closer = self.world, self.plan.ending, self.plan.seed % 2
        if ending == "both close":
            for end in (0, 1):
                self._close(end)
        elif ending == "abort":
            self.plan.ended[closer] = True
            world.peers[closer].abort(world.now)
        else:
            self._close(closer)
        world.link.run_for(CLOSE_BOUND_S)
        assert world.peers[closer].is_terminated, "closing takes too long"
        if ending == "faulty close":
            self._end_the_other(1 - closer)
        self._assert_over(closer)

    def _close(self, end):
        """Close right after one last message on each channel; both at once where both close."""
        for record in self.ledger.open_records() if self.plan.ending == "close" else ():
            self.ledger.send(record, end, 2000, False, self.world.now)
        self.plan.ended[end] = True
        self.world.peers[end].close(self.world.now)

    def _end_the_other(self, end):
        """The closing end's last word may be lost: then the other notices the silence, and closes too."""
        world = self.world
        world.heal()
        if not world.peers[end].is_terminated:
            world.link.run_for(SILENCE_BOUND_S)
            state = world.peers[end].connection_state
            assert world.peers[end].is_terminated or state != "connected", "a peer that has gone is not missed"
            self._close(end)
            world.link.run_for(CLOSE_BOUND_S)

    def _assert_over(self, closer):
        world, plan = self.world, self.plan
        for end in (0, 1):
            assert len(world.terminations(end)) == 1, f"{len(world.terminations(end))} times Terminated at {end}"
            terminated = world.terminations(end)[0]
            assert world.link.events[end][-1] is terminated
            world.fronts[end].check(world.now)
            if plan.ending in REASONS:
                assert terminated.reason in REASONS[plan.ending][end != closer], f"{terminated} at {end}"
        for record in self.ledger.records.values():
            assert record.closed == set(record.handles), f"{record.label} was not closed at its end"
        self.ledger.assert_promises()
        if plan.ending in ("close", "late close"):
            assert all(record.flows[closer].is_complete for record in self._open_at_the_end())

    def _open_at_the_end(self):
        """The channels that only the session's end has closed."""
        return [record for record in self.ledger.records.values() if not record.closers]

    # -- the script --------------------------------------------------------------------------------------------------

    def _play(self, what, *arguments):
        getattr(self, "_play_" + what.replace(" ", "_"))(*arguments)

    def _play_create(self, end, label, options):
        if not self._is_over():
            self.ledger.create(end, label, options, self.world.now)

    def _play_send(self, end, label, sizes, is_text):
        record = self.ledger.records.get(label)
        if record is None or not record.is_open_at(end) or self._is_over():
            return
        for size in sizes:
            self.ledger.send(record, end, size, is_text, self.world.now)

    def _play_close_channel(self, end, label):
        record = self.ledger.records.get(label)
        if record is not None and record.is_open_at(end) and not self._is_over():
            self.ledger.close(record, end, self.world.now)

    def _play_restart(self, end):
        if not self._is_over():
            self.world.peers[end].restart_ice(self.world.now)

    def _play_cut(self, ends):
        for end in ends:
            self.world.is_cut[end] = True

    def _play_cut_connected(self, ends):
        if any(record.opened == {0, 1} for record in self.ledger.records.values()):
            self._play_cut(ends)

    def _play_mend(self, ends):
        for end in ends:
            self.world.is_cut[end] = False

    def _play_kill_way(self):
        self.world.kill_selected_way()

    def _play_lose_address(self, end):
        self.world.lose_address(end)

    def _play_rebind(self):
        self.world.rebind()

    def _play_corrupt(self, corruption):
        self.world.corrupt(corruption)

    def _play_stop_reading(self, end):
        self.world.stop_reading(end)

    def _play_read(self, end):
        self.world.read(end)

    def _play_weather(self, conditions):
        self.world.note_conditions(conditions)

    def _is_over(self):
        return any(self.world.is_over(end) for end in (0, 1))


def _owes(peer):
    return peer.unacknowledged_bytes > 0
