"""Offers and answers between two ends, with descriptions of strangers, altered ones, and any order of steps."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.arguments import altered
from fuzz.codec import VECTORS
from fuzz.script import Script
from sans_rtc.errors import LocalError, WireError
from sans_rtc.peer.negotiation import Description, DescriptionType, Negotiation
from tests.peer.negotiation.conftest import make_negotiation, make_transport
from tests.property.objects import snapshot

TYPES = tuple(DescriptionType)
FOREIGN = tuple(path.read_bytes().decode() for path in sorted((VECTORS / "sdp").glob("*.sdp")))
OPERATIONS_MAX = 30


def run(data: bytes) -> None:
    """The bytes are a script."""
    script = Script(data)
    ends = make_negotiation(1, wants_data=True), make_negotiation(2)
    said: list[Description] = []
    for _ in range(OPERATIONS_MAX):
        if script.is_over:
            return
        side = script.below(2)
        _step(ends[side], "ab"[side], said, script)


def _step(end: Negotiation, name: str, said: list[Description], script: Script) -> None:
    """One call; where it is refused, nothing has changed."""
    operation = script.pick(OPERATIONS)
    before = snapshot(end) if script.below(2) else None
    try:
        operation(end, name, said, script)
    except (LocalError, WireError):
        assert before is None or snapshot(end) == before, "a call was refused, and something has changed"
    for read in (end.local_description, end.remote_description, end.transport, end.is_negotiation_needed):
        repr(read)


def _offer(end, name, said, script):
    said.append(end.create_offer(make_transport(name, script.below(3))))


def _answer(end, name, said, script):
    said.append(end.create_answer(make_transport(name, script.below(3))))


def _some(said, script):
    return said[-1 - script.below(len(said))] if said else Description(script.pick(TYPES), "")


def _apply_local(end, name, said, script):
    end.apply_local(_some(said, script))


def _apply_remote(end, name, said, script):
    end.apply_remote(_some(said, script))


def _apply_altered(end, name, said, script):
    description = _some(said, script)
    kind = script.pick(TYPES) if script.below(2) else description.type
    end.apply_remote(Description(kind, altered(description.sdp, script)))


def _apply_foreign(end, name, said, script):
    end.apply_remote(Description(script.pick(TYPES), altered(script.pick(FOREIGN), script)))


def _roll_back(end, name, said, script):
    (end.apply_local, end.apply_remote)[script.below(2)](Description(DescriptionType.ROLLBACK, ""))


def _trickle(end, name, said, script):
    candidate = script.pick(("", "candidate:1 1 udp 1 10.0.0.9 1 typ host", "candidate:nonsense", script.text(90)))
    ufrag = script.pick((None, "a000", "b000", script.text(8)))
    if script.below(2):
        end.add_remote_candidate(candidate, script.pick((None, "0", "data", "")), script.pick((None, 0, 1, -1)), ufrag)
    elif candidate:
        end.add_local_candidate(candidate, ufrag)
    else:
        end.end_of_local_candidates(ufrag)


def _wish(end, name, said, script):
    (end.request_data, end.request_ice_restart)[script.below(2)]()


def _close(end, name, said, script):
    if script.below(8) == 1:
        end.close()


OPERATIONS = (
    _offer,
    _answer,
    _apply_local,
    _apply_remote,
    _apply_altered,
    _apply_foreign,
    _roll_back,
    _trickle,
    _wish,
    _close,
)


def seeds() -> Iterator[bytes]:
    """An exchange, as far as each of its steps, then something else."""
    exchange = ((0, 0, 1, 0), (0, 2, 1, 0), (1, 3, 1, 0), (1, 1, 1, 0), (1, 2, 1, 0), (0, 3, 1, 0))
    for far in range(len(exchange) + 1):
        head = b"".join(map(bytes, exchange[:far]))
        for end in (0, 1):
            for operation in range(len(OPERATIONS)):
                yield head + bytes((end, operation, 1, 0, 0, 1, 1, 1, 1))
    for number in range(len(FOREIGN)):
        yield bytes((1, 5, 1, 0, number, 0, 1, 1, 1, 0, 1, 2, 1, 0))
