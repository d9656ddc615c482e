"""A scene: one machine under test, whom it talks to, and the life that it leads between them in virtual time.

The same properties are asserted of every machine over the table of scenes in `table`. A scene is made anew for each
run, of nothing but a seed, so that any two runs can be compared byte by byte.
"""

from collections.abc import Callable

import attrs

from sans_rtc.machine import Datagram
from sans_rtc.testing import ContractMonitor, Link, LinkConditions

# Enough disorder that every machine's timers, repetitions and discards have work to do.
BAD_LINK = LinkConditions(delay_s=0.01, jitter_s=0.005, loss=0.08, duplication=0.08, reordering=0.1)


@attrs.frozen
class Step:
    """One call of a machine's life: what, and how much time passes before it."""

    pause_s: float
    call: Callable[[], None]


@attrs.frozen
class Misuse:
    """A wrong call: it raises LocalError, and nothing has changed.

    at       the number of steps of the life before it
    call     called as call(machine, now)
    prepare  called before it in the same way, for what is needed to make the call wrong
    """

    at: int
    call: Callable
    prepare: Callable = lambda machine, now: None


@attrs.frozen
class Kind:
    """A row of the table.

    build     build(wrap, seed, conditions) makes a scene; `wrap` stands between the machine and the link
    reads     everything that can be read and has no property of its own, as functions of the machine
    misuses   by name; for one of a machine's roles
    forge     forge(real, body): bytes that begin like a real datagram, with other contents
    reseal    reseal(data): damaged bytes with the checksum put right, where the protocol has one
    cost      how many runs may be afforded where a property tries many: 1 few, 3 many
    """

    name: str
    build: Callable
    reads: tuple = ()
    misuses: dict = attrs.Factory(dict)
    forge: Callable = lambda real, body: real + body
    reseal: Callable = lambda data: data
    cost: int = 3

    def scene(self, *, wrap=ContractMonitor, seed=0, conditions=BAD_LINK):
        """A new scene, at the beginning of its machine's life."""
        return self.build(wrap, seed, conditions)


class Scene:
    """A machine on a link with its counterpart.

    machine  the one under test
    front    what stands before it on the link: what `wrap` has made
    other    the counterpart
    steps    the machine's life
    log      what both ends have sent and told, with the time of each
    handlers functions of (end, event), called at each event: the signalling of the scene
    """

    def __init__(self, machine, other, *, end, wrap, seed, conditions):
        self.machine, self.other, self.end = machine, other, end
        self.front = wrap(machine)
        fronts = [self.front, ContractMonitor(other)]
        self.link = Link(*(fronts if end == 0 else reversed(fronts)), seed=seed, conditions=conditions)
        self.link.filter, self.link.on_event = self._on_datagram, self._on_event
        self.steps, self.log, self.handlers, self.wire = [], [], [], []

    @property
    def now(self):
        return self.link.now

    def then(self, pause_s, call, *arguments):
        """Add a step: after a pause, call(*arguments, now)."""
        self.steps.append(Step(pause_s, lambda: call(*arguments, self.now)))

    def live(self, start=0, until=None, on_step=None):
        """Take steps of the life, all of them by default; on_step is called after each."""
        for step in self.steps[start:until]:
            self.link.run_for(step.pause_s)
            step.call()
            self.link.flush()
            if on_step is not None:
                on_step()

    def end_it(self):
        """Close the machine, and run until the end has come or is no longer to be expected."""
        self.machine.close(self.now)
        self.link.run_for(60.0)

    def events(self, end=None):
        """What an end has told, that of the machine under test by default."""
        return self.link.events[self.end if end is None else end]

    def as_input(self, data, source=None):
        """Bytes as what the machine receives; for machines that know addresses, from the counterpart or a stranger.

        source  a Path as the machine sees it, None: that on which it last received something or may
        """
        path = source or self.usual_path
        return data if path is None else Datagram(data, path)

    usual_path = None

    def _on_datagram(self, end, datagram):
        is_plain = not isinstance(datagram, Datagram)
        self.log.append((self.now, end, datagram if is_plain else (datagram.data, datagram.path)))
        if end != self.end:
            self.wire.append(datagram if is_plain else datagram.data)
        return datagram

    def _on_event(self, end, event):
        self.log.append((self.now, end, repr(event)))
        for handler in self.handlers:
            handler(end, event)


class Counterpart:
    """A server that answers datagrams with datagrams at once: just enough of a machine to stand on a link."""

    deadline = float("inf")
    is_terminated = False

    def __init__(self, answer):
        self._answer = answer
        self._datagrams = []

    def receive(self, datagram, now):
        self._datagrams += self._answer(datagram, now)

    def handle_timer(self, now):
        """Nothing is ever due."""

    def close(self, now):
        """There is nothing to end."""

    def take_datagrams(self, now):
        taken, self._datagrams = self._datagrams, []
        return taken

    def take_events(self):
        return ()
