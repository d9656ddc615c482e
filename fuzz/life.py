"""Machines under fuzzing: an input is a script of what happens to a machine in the middle of a scene.

The scenes of the property tests give each machine whom it talks to and a life to lead. The script decides how much of
that life is lived, how much time passes, what else arrives and from where, and which verbs are called out of turn.
What holds is the contract (`ContractMonitor`), whatever happens:

* nothing raises but LocalError, for a wrong call, and then nothing has changed
* what the machine remembers is bounded
* after `close` the end comes, and after the end nothing
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs

from fuzz.script import Script
from sans_rtc.errors import LocalError, WireError
from sans_rtc.machine import Address
from sans_rtc.testing import LinkConditions
from tests.property.objects import footprint, snapshot
from tests.property.scenes.scene import Counterpart

OPERATION_COUNT_MAX = 40
VIRTUAL_S_MAX = 900.0
# After `close`, farewells that nobody answers included.
END_BOUND_S = 120.0
DURATIONS = (0.0, 0.001, 0.01, 0.05, 0.2, 0.5, 1.0, 3.0, 10.0, 30.0, 90.0, 300.0)
LINKS = (
    LinkConditions(delay_s=0.01),
    LinkConditions(delay_s=0.01, jitter_s=0.02, loss=0.15, duplication=0.1, reordering=0.15),
    LinkConditions(delay_s=0.3),
    LinkConditions(delay_s=0.01, corruption=0.1),
)

Verb = Callable[[Any, Script, float], object]
"""A call with arguments from the script: verb(machine, script, now)."""


@attrs.frozen
class Subject:
    """A machine as it is fuzzed.

    build    build(conditions) makes a scene: see tests/property/scenes/scene.py
    verbs    calls that the application, or the driver, could make at any time
    forge    forge(real, body): bytes that begin like a real datagram
    reseal   reseal(scene, data): damaged bytes with checksums and proofs put right, as only the peer itself could
    insider  insider(scene, script): the authenticated peer says something of the script's
    items_max, bytes_max   what it may remember at the most: entries of containers, and bytes
    """

    build: Callable[[LinkConditions], Any]
    verbs: Sequence[Verb] = ()
    forge: Callable[[bytes, bytes], bytes] = lambda real, body: real + body
    reseal: Callable[[Any, bytes], bytes] = lambda scene, data: data
    insider: Callable[[Any, Script], None] = lambda scene, script: None
    items_max: int = 30_000
    bytes_max: int = 4_000_000


def of_kind(kind: Any, verbs: Sequence[Verb] = (), **changes: Any) -> Subject:
    """A row of the property tests' table as a subject."""
    settings = {"forge": kind.forge, "reseal": lambda scene, data: kind.reseal(data), **changes}
    return Subject(lambda conditions: kind.scene(conditions=conditions), verbs, **settings)


def play(subject: Subject, data: bytes) -> None:
    """Let a machine live through the script, then end it."""
    script = Script(data)
    scene = subject.build(script.pick(LINKS))
    scene.link.on_event = _tolerant(scene.link.on_event)
    if isinstance(getattr(scene, "other", None), Counterpart):
        scene.other._answer = _unshaken(scene.other._answer)
    player, last_s = Player(subject, scene, script), scene.now + VIRTUAL_S_MAX
    for _ in range(OPERATION_COUNT_MAX):
        if script.is_over or scene.now > last_s:
            break
        player.step()
    size = footprint(scene.machine)
    assert size.items <= subject.items_max and size.bytes <= subject.bytes_max, f"it remembers too much: {size}"
    scene.machine.close(scene.now)
    scene.link.run_for(END_BOUND_S)
    assert scene.machine.is_terminated, "closed, and still there"
    assert scene.machine.deadline == math.inf
    assert (tuple(scene.machine.take_datagrams(scene.now)), tuple(scene.machine.take_events())) == ((), ())


class Player:
    """Does what a script says, one operation at a time."""

    def __init__(self, subject: Subject, scene: Any, script: Script) -> None:
        self._subject, self._scene, self._script = subject, scene, script
        self._lived = 0
        self._is_held = False

    def step(self) -> None:
        """Do the next operation; then drain, unless the script wants several inputs before it."""
        operation = self._script.pick(OPERATIONS)
        operation(self)
        if self._is_held:
            return
        self._scene.link.flush()
        self._scene.front.check(self._scene.now)

    def live(self) -> None:
        """The next steps of its regular life."""
        count = 1 + self._script.below(16)
        scene = self._scene
        for step in scene.steps[self._lived : self._lived + count]:
            scene.link.run_for(step.pause_s)
            _attempt(step.call)
            scene.link.flush()
        self._lived += count

    def wait(self) -> None:
        self._scene.link.run_for(self._script.pick(DURATIONS))

    def hold(self) -> None:
        """Begin or end a burst: several inputs before one drain."""
        self._is_held = not self._is_held

    def receive_bytes(self) -> None:
        self._receive(self._script.blob(1500))

    def receive_copy(self) -> None:
        self._receive(self._real())

    def receive_cut(self) -> None:
        real = self._real()
        self._receive(self._sealed(real[: self._script.below(len(real) + 1)]))

    def receive_flipped(self) -> None:
        """A few bits changed."""
        damaged = bytearray(self._real())
        for _ in range(1 + self._script.below(3) if damaged else 0):
            bit = self._script.below(8 * len(damaged))
            damaged[bit // 8] ^= 0x80 >> bit % 8
        self._receive(self._sealed(bytes(damaged)))

    def receive_spliced(self) -> None:
        """A part replaced by other bytes, of the same length or not."""
        real = self._real()
        start = self._script.below(len(real) + 1)
        body = self._script.blob(255)
        end = start + (len(body) if self._script.below(2) else self._script.below(64))
        self._receive(self._sealed(real[:start] + body + real[end:]))

    def receive_forged(self) -> None:
        self._receive(self._sealed(self._subject.forge(self._real(), self._script.blob(255))))

    def receive_own(self) -> None:
        """What it has sent itself."""
        sent = self._scene.link.sent[self._scene.end]
        if sent:
            item = sent[self._script.below(len(sent))]
            self._receive(getattr(item, "data", item))

    def receive_from_within(self) -> None:
        self._subject.insider(self._scene, self._script)

    def call(self) -> None:
        """A verb at a moment of the script's choosing."""
        if self._subject.verbs:
            verb = self._script.pick(self._subject.verbs)
            _attempt(lambda: verb(self._scene.machine, self._script, self._scene.now))

    def call_and_compare(self) -> None:
        """The same, and where it is refused nothing may have changed."""
        if not self._subject.verbs:
            return
        verb, machine = self._script.pick(self._subject.verbs), self._scene.machine
        before = snapshot(machine)
        if not _attempt(lambda: verb(machine, self._script, self._scene.now)):
            assert snapshot(machine) == before, "a call was refused, and something has changed"

    def come_early(self) -> None:
        """handle_timer unasked."""
        self._scene.front.handle_timer(self._scene.now)

    def end(self) -> None:
        """Close or abort, seldom: little is left to see afterwards."""
        match self._script.below(8):
            case 1:
                self._scene.machine.close(self._scene.now)
            case 2:
                self._scene.machine.abort(self._scene.now)

    def _real(self) -> bytes:
        wire = self._scene.wire
        return wire[-1 - self._script.below(min(len(wire), 256))] if wire else b""

    def _sealed(self, data: bytes) -> bytes:
        return self._subject.reseal(self._scene, data) if self._script.below(4) else data

    def _receive(self, data: bytes) -> None:
        path = _source(self._scene.usual_path, self._script.below(8))
        self._scene.front.receive(self._scene.as_input(data, path), self._scene.now)


OPERATIONS: Sequence[Callable[[Player], None]] = (
    Player.live,
    Player.wait,
    Player.receive_bytes,
    Player.receive_copy,
    Player.receive_cut,
    Player.receive_flipped,
    Player.receive_spliced,
    Player.receive_forged,
    Player.receive_own,
    Player.call,
    Player.call_and_compare,
    Player.come_early,
    Player.hold,
    Player.end,
    Player.receive_from_within,
)
_LIVE, _WAIT, _COPY, _FLIP, _SPLICE, _FORGE, _CALL, _WITHIN = 0, 1, 3, 5, 6, 7, 10, 14


def lives(verb_count: int, *, steps: int = 20) -> Iterator[bytes]:
    """Scripts to begin with: each life as far as each of its steps, then every verb or some hostile datagrams."""
    for far in range(0, steps, 2):
        head = bytes((0,)) + bytes((_LIVE, 0)) * far
        yield head + bytes((_COPY, 0, 0, _FLIP, 0, 0, 0, 50, 1, 0, _SPLICE, 1, 8, 2, 0xFF, 0xFF, 1, 1, 0, _WAIT, 4))
        yield head + bytes((_FORGE, 0, 8, 0, 1, 0, 4, 0, 0, 0, 0, 1, 0, _LIVE, 15))
        yield head + bytes((_WITHIN, 0, 4, 1, 2, 3, 4, 1, 0, _LIVE, 3))
        yield head + bytes((_WITHIN, 1, 0, far % 18, 3, 16, *range(16), _LIVE, 3))
        for verb in range(verb_count):
            yield head + bytes((_CALL, verb, 1, 1, 1, 1, 1, 1, _LIVE, 3))


def _attempt(call: Callable[[], object]) -> bool:
    """False where the call is refused as wrong."""
    try:
        call()
    except LocalError:
        return False
    return True


def _tolerant(handler: Callable[[int, object], None]) -> Callable[[int, object], None]:
    """The scene's own application may be wrong, too, once others have meddled."""

    def handle(end: int, event: object) -> None:
        _attempt(lambda: handler(end, event))

    return handle


def _unshaken(answer: Callable[[Any, float], list[Any]]) -> Callable[[Any, float], list[Any]]:
    """A scripted counterpart leaves unanswered what the link has damaged."""

    def answer_what_is_whole(datagram: Any, now: float) -> list[Any]:
        try:
            return answer(datagram, now)
        except WireError:
            return []

    return answer_what_is_whole


def _source(path: Any, choice: int) -> Any:
    """From whom: as a rule the peer; a stranger's host or port, or another socket of ours."""
    if path is None:
        return None
    match choice:
        case 5:
            return attrs.evolve(path, remote=Address("198.51.100.7", path.remote.port))
        case 6:
            return attrs.evolve(path, remote=Address(path.remote.host, 666))
        case 7:
            return attrs.evolve(path, local=Address(path.local.host, 777))
    return path
