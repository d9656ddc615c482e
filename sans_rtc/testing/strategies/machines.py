"""A rule-based state machine that drives any machine by its inputs, and the base of those that drive pairs.

    class TestMine(...): ...
    MyRules = machine_rules(lambda entropy: Mine(entropy=entropy), st.binary())
    TestMine = MyRules.TestCase

What holds after each step is the contract, which `ContractMonitor` asserts: nothing that arrives raises, time and
deadlines agree, `Terminated` comes once and last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from hypothesis.strategies import DataObject, SearchStrategy

from sans_rtc.entropy import Entropy
from sans_rtc.errors import LocalError
from sans_rtc.machine import Machine
from sans_rtc.testing.cable import LinkConditions
from sans_rtc.testing.contract import ContractMonitor, drain
from sans_rtc.testing.entropy import SeededEntropy
from sans_rtc.testing.link import Link

Verb: TypeAlias = Callable[[Any, DataObject, float], object]
"""A call of a machine's own, with arguments that it draws: verb(machine, data, now)."""

DURATIONS = (0.0, 0.001, 0.02, 0.1, 0.5, 1.0, 5.0, 40.0, 300.0)
"""What time passes at a step, seconds."""

END_BOUND_S = 120.0
"""After `close` a machine has ended within this, whatever its peer does."""

QUIET = LinkConditions(delay_s=0.01)
ROUGH = LinkConditions(delay_s=0.01, jitter_s=0.02, loss=0.2, duplication=0.1, reordering=0.2)
CUT = LinkConditions(loss=1.0)
"""Three states of a link: nothing goes wrong, much does, nothing passes."""


def allow_misuse(call: Callable[..., object], *arguments: object) -> bool:
    """Call it; a LocalError says that the call was wrong, which a machine may always say. True where it was right."""
    try:
        call(*arguments)
    except LocalError:
        return False
    return True


class MachineRules(RuleBasedStateMachine):
    """Drives one machine alone: any datagram, any verb, any time, in any order; several inputs before one drain.

    Class attributes, set by `machine_rules`: `build`, `datagrams`, `verbs`.
    """

    build: Callable[[Entropy], Machine[Any, Any, Any]]
    datagrams: SearchStrategy[Any] = st.binary()
    verbs: Mapping[str, Verb] = {}

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    @initialize(seed=st.integers(0, 1 << 16))
    def begin(self, seed: int) -> None:
        """A new machine, of seeded entropy."""
        self.machine = type(self).build(SeededEntropy(seed))
        self.front: ContractMonitor[Any, Any, Any] = ContractMonitor(self.machine)

    @rule(data=st.data())
    def receive(self, data: DataObject) -> None:
        """A datagram arrives, of any bytes."""
        self.front.receive(data.draw(self.datagrams), self.now)

    @rule(duration_s=st.sampled_from(DURATIONS))
    def wait(self, duration_s: float) -> None:
        """Time passes; what is due is done at its time."""
        end = self.now + duration_s
        for _ in range(10_000):
            if self.front.deadline > end:
                break
            self.now = max(self.now, self.front.deadline)
            self.front.handle_timer(self.now)
            self._drain()
        else:
            raise AssertionError("ten thousand timers within a step")
        self.now = end

    @rule(late_s=st.sampled_from(DURATIONS))
    def wake_up_late(self, late_s: float) -> None:
        """The driver was busy: a timer is handled long after it was due, or before."""
        self.now += late_s
        self.front.handle_timer(self.now)
        self._drain()

    @rule(data=st.data())
    def call(self, data: DataObject) -> None:
        """One of the machine's verbs, right or wrong."""
        if self.verbs:
            verb = self.verbs[data.draw(st.sampled_from(sorted(self.verbs)))]
            allow_misuse(verb, self.machine, data, self.now)

    @rule()
    def drain(self) -> None:
        """The driver takes what there is."""
        self._drain()

    @rule()
    def close(self) -> None:
        """A graceful end, perhaps once more."""
        self.front.close(self.now)

    def teardown(self) -> None:
        """After `close` the end comes, and nothing after it."""
        if not hasattr(self, "front"):
            return
        self.front.close(self.now)
        self._drain()
        self.wait(END_BOUND_S)
        self._drain()
        assert self.front.is_terminated, "closed, and still there"

    def _drain(self) -> None:
        drain(self.front, self.now)
        self.front.check(self.now)


def machine_rules(
    build: Callable[[Entropy], Machine[Any, Any, Any]],
    datagrams: SearchStrategy[Any],
    verbs: Mapping[str, Verb] | None = None,
) -> type[MachineRules]:
    """The rules that drive one kind of machine.

    build      build(entropy) makes a new one
    datagrams  what it may receive: `bytes` or `Datagram`, best from a `nearly_...` strategy
    verbs      the machine's own calls by name; LocalError is allowed to them
    Returns    a class whose `TestCase` unittest and pytest run
    """
    attributes = {"build": staticmethod(build), "datagrams": datagrams, "verbs": dict(verbs or {})}
    return type("Rules", (MachineRules,), attributes)


class PairRules(RuleBasedStateMachine):
    """Drives two machines over a link that goes wrong; in the end the link is quiet, and `check_peace` is asked.

    A subclass makes `self.link` in an `initialize` rule by `join`, adds its verbs as rules, and calls `self.link.flush`
    after each.
    """

    link: Link

    def join(self, first: Machine[Any, Any, Any], second: Machine[Any, Any, Any], seed: int) -> None:
        """Lay the link between both ends; `self.ends` are the machines themselves."""
        self.ends = (first, second)
        self.link = Link(ContractMonitor(first), ContractMonitor(second), seed=seed, conditions=QUIET)
        self.link.on_event = self.on_event

    @property
    def now(self) -> float:
        """The virtual time, seconds."""
        return self.link.now

    def on_event(self, end: int, event: object) -> None:
        """An end has told something; at once, so that it can be answered."""

    @rule(duration_s=st.sampled_from(DURATIONS[:7]))
    def wait(self, duration_s: float) -> None:
        """Time passes."""
        self.link.run_for(duration_s)

    @rule(conditions=st.sampled_from((QUIET, ROUGH, CUT)))
    def change_link(self, conditions: LinkConditions) -> None:
        """The link becomes better or worse."""
        self.link.conditions = conditions

    def peace_s(self) -> float:
        """How long the link is quiet before `check_peace`, seconds."""
        return 60.0

    def check_peace(self) -> None:
        """Assert what must hold after the link has been quiet for long."""

    def teardown(self) -> None:
        """Faults stop; what is open goes on; then both ends close."""
        if not hasattr(self, "link"):
            return
        self.link.conditions = QUIET
        self.link.run_for(self.peace_s())
        self.check_peace()
        for end in self.ends:
            end.close(self.now)
        self.link.run_for(END_BOUND_S)
        assert all(end.is_terminated for end in self.ends), "closed, and still there"
