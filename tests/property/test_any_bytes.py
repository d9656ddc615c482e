"""Nothing that arrives raises, hangs or breaks the contract: any bytes, at any time, from anybody, in any order."""

import math

import attrs
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sans_rtc.errors import LocalError
from sans_rtc.machine import Address
from sans_rtc.testing import LinkConditions

LINK = LinkConditions(delay_s=0.01, loss=0.02, reordering=0.05)
# A machine that ends for what it was sent is done in this time, graceful farewells and all.
END_BOUND_S = 120.0

SOURCES = st.sampled_from(["usual", "other host", "other port", "other socket"])
INDICES = st.integers(0, 60)
OPERATIONS = st.one_of(
    st.tuples(st.just("live"), st.integers(1, 6)),
    st.tuples(st.just("wait"), st.floats(0.0, 3.0)),
    st.tuples(st.just("bytes"), SOURCES, st.binary(max_size=60)),
    st.tuples(st.just("copy"), SOURCES, INDICES),
    st.tuples(st.just("cut"), SOURCES, INDICES, st.integers(0, 1200)),
    st.tuples(st.just("flip"), SOURCES, INDICES, st.integers(0, 9600)),
    st.tuples(st.just("forge"), SOURCES, INDICES, st.binary(max_size=60)),
    st.tuples(st.just("verb"), st.sampled_from(["handle_timer", "close", "abort"])),
)


def source_of(scene, name):
    """The path of a hostile datagram as the machine sees it; None for machines that know no addresses."""
    path = scene.usual_path
    match name:
        case "other host":
            return path and attrs.evolve(path, remote=Address("198.51.100.7", path.remote.port))
        case "other port":
            return path and attrs.evolve(path, remote=Address(path.remote.host, 666))
        case "other socket":
            return path and attrs.evolve(path, local=Address(path.local.host, 777))
    return path


def hostile_bytes(kind, scene, operation):
    """What a datagram operation sends; None where there is no real datagram yet to make it of."""
    name, _, index, *detail = operation
    if name == "bytes":
        return index
    if not scene.wire:
        return None
    real = scene.wire[index % len(scene.wire)]
    match name:
        case "copy":
            return real
        case "cut":
            return kind.reseal(real[: detail[0] % (len(real) + 1)])
        case "forge":
            return kind.forge(real, detail[0])
    damaged = bytearray(real)
    bit = detail[0] % (8 * len(real))
    damaged[bit // 8] ^= 1 << bit % 8
    return kind.reseal(bytes(damaged))


def perform(kind, scene, operation, steps_taken):
    """Do one operation; returns how many steps of the life have been taken."""
    match operation:
        case ("live", count):
            for step in scene.steps[steps_taken : steps_taken + count]:
                scene.link.run_for(step.pause_s)
                try:
                    step.call()
                except LocalError:
                    pass  # the machine has ended, or is not where its life would have it
                scene.link.flush()
            steps_taken += count
        case ("wait", duration_s):
            scene.link.run_for(duration_s)
        case ("verb", "handle_timer"):
            scene.front.handle_timer(scene.now)
        case ("verb", verb):
            getattr(scene.machine, verb)(scene.now)
        case _:
            data = hostile_bytes(kind, scene, operation)
            if data is not None:
                scene.front.receive(scene.as_input(data, source_of(scene, operation[1])), scene.now)
    return steps_taken


def run(kind, operations):
    """Let a machine live through these operations, then end it; the contract is asserted all along."""
    scene = kind.scene(conditions=LINK)
    steps_taken = 0
    for operation in operations:
        steps_taken = perform(kind, scene, operation, steps_taken)
        scene.link.flush()
        scene.front.check(scene.now)
    scene.machine.close(scene.now)
    scene.link.run_for(END_BOUND_S)
    assert scene.machine.is_terminated
    assert scene.machine.deadline == math.inf
    assert (tuple(scene.machine.take_datagrams(scene.now)), tuple(scene.machine.take_events())) == ((), ())


def test_machine_keeps_the_contract_whatever_arrives(kind):
    @settings(
        max_examples={1: 40, 2: 80, 3: 150}[kind.cost],
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(st.lists(OPERATIONS, max_size=15))
    @example([("bytes", "other host", b""), ("live", 99), ("bytes", "other host", b""), ("bytes", "usual", b"")])
    @example([("live", 3), ("verb", "close"), ("bytes", "usual", b""), ("copy", "usual", 0), ("verb", "abort")])
    def prove(operations):
        run(kind, operations)

    prove()


def test_every_real_datagram_can_come_again_cut_or_damaged_at_any_step(kind):
    """The same without chance: after each step, whatever has been received so far, in every form."""
    steps = len(kind.scene().steps)
    operations = []
    for step in range(steps):
        operations.append(("live", 1))
        for number, source in enumerate(["usual", "other host", "other port", "other socket"]):
            index = 7 * step + number
            operations.append(("copy", source, index))
            operations.append(("cut", source, index, 13 * step + 5 * number))
            operations.append(("flip", source, index, 97 * step + 31 * number))
            operations.append(("forge", source, index, bytes(4 * number)))
    run(kind, operations)
