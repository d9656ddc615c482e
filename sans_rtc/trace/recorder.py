"""Records what a machine is told and what it says: every call with its time, every draw of entropy, every output.

    peer = make_recorded(PeerConnection, config, certificate=certificate, entropy=entropy, sink=file.write)
    ... used as ever: it is a Machine, with all the verbs and reads of its class ...

    sink(HEADER) sink(ENTROPY)... sink(CONSTRUCTION)  sink(ENTROPY)... sink(CALL)  sink(CALL)  ...

Each call of the sink hands over one whole record. What takes `now` as its last argument is an input and recorded, as is
`take_events`; everything else is a read and passed on.
"""

from __future__ import annotations

import inspect
import struct
import sys
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any, Final, ParamSpec, TypeAlias, TypeVar, cast

import attrs

from sans_rtc.dtls.config import DtlsConfig
from sans_rtc.entropy import Entropy
from sans_rtc.snapshot.rescale import RescaledMachine
from sans_rtc.trace.reading import RESTORE
from sans_rtc.trace.values import INTS, LONG_BYTES, SIZED, Bursts, Encoder
from sans_rtc.trace.wire import FRAME, Outcome, Record, RecordKind, serialize_header
from sans_rtc.trace.withheld import LeftOut, withhold, withhold_payloads

M = TypeVar("M")
P = ParamSpec("P")

Sink: TypeAlias = Callable[[bytes], object]
"""Takes one whole record at each call; must not raise. A file's `write`, a list's `append`, a `Ring`.

Where it has a method `take_pieces(pieces, size)`, calls are handed to that instead: a record in pieces of `size` bytes
together, so that a large one need not be joined.
"""

PiecesSink: TypeAlias = Callable[[list[bytes], int], object]


@attrs.frozen(slots=True, kw_only=True)
class RecordOptions:
    """What a recording is to hold.

    payloads  what the application sends and receives. False: only sizes, and of datagrams only what carries none of it;
              then there is no replay
    secrets   entropy, private keys, passwords, the key log: who has them can open the session's datagrams. False: none,
              and no replay
    checksums long application data that a replay makes again are told by a checksum, which makes a recording cheaper
              and half as large: what was sent is in it once, as the message, and what arrived once, as the datagram.
              False, or no replay: everything whole. For a `Ring`, which ends with no replay, False is wanted
    """

    payloads: bool = True
    secrets: bool = True
    checksums: bool = True

    @property
    def has_checksums(self) -> bool:
        """There are checksums in the recording."""
        return self.checksums and self.payloads and self.secrets

    def header(self) -> bytes:
        """The first record."""
        return serialize_header(has_payloads=self.payloads, has_secrets=self.secrets, has_checksums=self.has_checksums)


ALL: Final = RecordOptions()
# Arguments that open something, whatever verb takes them, and are left out without secrets; so is what such a verb
# returns: it holds what the key opens.
_SECRET_PARAMETERS: Final = frozenset({"key", "password", "credential", "snapshot"})
# What returns a snapshot. It is not kept: a replay makes one of the same state, though not of the same bytes, for which
# objects are shared in it is another matter. Where it is restored and recorded, it is in that recording.
_SEALING_VERBS: Final = frozenset({"snapshot", "hand_over"})
# Functions of the caller's, which a replay does without.
_GIVEN_ANEW: Final = frozenset({"trace", "key_log", "claim"})
# What sends application data: the argument that holds it is the last before `now`, or the one named so.
_SENDING_VERBS: Final = frozenset({"send", "send_whole", "send_to"})


def make_recorded(
    kind: Callable[P, M], *arguments: Any, entropy: Entropy, sink: Sink, options: RecordOptions = ALL, **named: Any
) -> M:
    """Make a machine and record it from its first breath: the way to a recording that `replay` can take by itself.

    kind       the class of the machine; its `restore`, which goes on from a snapshot; or a function that makes one and
               is named where the replay is asked for
    arguments  for it, as `named`; configurations, certificates and plain values are kept, `trace` is not
    """
    sink(options.header())
    if options.secrets:
        arguments = tuple([_with_key_log(argument, sink) for argument in arguments])
        named = {name: _with_key_log(argument, sink) for name, argument in named.items()}
    drawing = recorded_entropy(entropy, sink, options=options, is_begun=True)
    machine = kind(*arguments, entropy=drawing, **named)  # type: ignore[arg-type]  # every machine takes entropy
    encoder = Encoder(are_secrets_kept=options.secrets)
    kept = {name: value for name, value in named.items() if name not in _GIVEN_ANEW}
    names = list(inspect.signature(kind).parameters)
    arguments = tuple(
        [_public(name, value, options) for name, value in zip_longest(names[: len(arguments)], arguments)]
    )
    kept = {name: _public(name, value, options) for name, value in kept.items()}
    body = encoder.encode(_name_of(kind)) + encoder.encode(list(arguments)) + encoder.encode(kept)
    sink(Record(RecordKind.CONSTRUCTION, body).serialize())
    return record(machine, sink, options=options, is_begun=True)


def record(machine: M, sink: Sink, *, options: RecordOptions = ALL, is_begun: bool = False) -> M:
    """Stand before a machine: what comes back is used in its place, and is a Machine with all that its class has.

    is_begun  the recording has its header already
    """
    if not is_begun:
        sink(options.header())
    return cast(M, RecordedMachine(machine, sink, options))


def recorded_entropy(entropy: Entropy, sink: Sink, *, options: RecordOptions = ALL, is_begun: bool = False) -> Entropy:
    """Entropy that is recorded as it is drawn: for the constructor of the machine that `record` then stands before."""
    if not is_begun:
        sink(options.header())
    if not options.secrets:
        return entropy

    def draw(length: int) -> bytes:
        drawn = entropy(length)
        sink(FRAME.pack(len(drawn), RecordKind.ENTROPY) + drawn)
        return drawn

    return draw


class RecordedMachine:
    """A machine whose calls are recorded. Made by `record`."""

    def __init__(self, machine: Any, sink: Sink, options: RecordOptions) -> None:
        self._machine = machine
        self._sink = sink
        pieces_sink = getattr(sink, "take_pieces", None)
        self._hand_pieces: PiecesSink = pieces_sink or (lambda pieces, size: sink(b"".join(pieces)))
        self._options = options
        self._has_payloads = options.payloads
        self._has_secrets = options.secrets
        self._encoder = Encoder(are_secrets_kept=options.secrets, bursts=Bursts.JOINED)
        outputs = Bursts.CHECKED if options.has_checksums else Bursts.EACH
        self._outputs = Encoder(are_secrets_kept=options.secrets, bursts=outputs)
        self._now = -float("inf")
        kind = kind_of(machine)
        for name in methods_of(kind):  # reads: bound here, so that they cost what they did
            setattr(self, name, getattr(machine, name))
        for name in inputs_of(kind):
            setattr(self, name, self._recording(name, getattr(machine, name)))
        if hasattr(machine, "take_events"):
            self.take_events = self._recording_events(machine.take_events)

    @property
    def deadline(self) -> float:
        """That of the machine."""
        deadline: float = self._machine.deadline
        return deadline

    @property
    def is_terminated(self) -> bool:
        """That of the machine."""
        is_terminated: bool = self._machine.is_terminated
        return is_terminated

    def __getattr__(self, name: str) -> Any:
        return getattr(self._machine, name)

    # What follows runs at every packet: each step that is saved here shows in the throughput.

    def _recording(self, name: str, method: Callable[..., object]) -> Callable[..., object]:
        """The method of an input, recorded."""
        names = list(inspect.signature(method).parameters)
        if len(names) == 1:
            return self._recording_bare(name, method)
        is_secret = not self._has_secrets and not _SECRET_PARAMETERS.isdisjoint(names)
        head = bytes([len(name)]) + name.encode()
        write, hand_over, failed = self._encoder.write, self._hand_over, self._failed
        sink, numbers, is_plain = self._sink, INTS, self._has_payloads and not is_secret

        def call(*arguments: object, **named: object) -> object:
            if named:
                arguments = inspect.signature(method).bind(*arguments, **named).args
            self._now = now = cast(float, arguments[-1])
            out = [head, _pack_now(now, len(arguments) - 1)]
            given, is_short = arguments[:-1], True
            for argument in given if is_plain else self._public_arguments(name, names, given):
                kind = type(argument)
                if kind is int and argument in numbers:
                    out.append(numbers[argument])
                elif kind is bytes:
                    size = len(argument)  # type: ignore[arg-type]  # bytes
                    is_short = is_short and size <= LONG_BYTES
                    out += (_pack_sized(b"b", size), argument)  # type: ignore[arg-type]
                else:
                    is_short = False
                    write(argument, out)
            is_done = False
            try:
                result = method(*arguments)
                is_done = True
            finally:
                if not is_done:
                    failed(out)
            if is_short and result is None:
                out.append(_RETURNED_NONE)
                body = b"".join(out)
                sink(_pack_frame(len(body), _CALL) + body)
            elif name in _SEALING_VERBS:
                out.append(_NOT_COMPARED)
                self._hand_record(out)
            else:
                hand_over(LeftOut(name) if is_secret and result is not None else result, out)
            return result

        return call

    def _recording_bare(self, name: str, method: Callable[[float], object]) -> Callable[[float], object]:
        """The method of an input that takes nothing but `now`, recorded."""
        head = bytes([len(name)]) + name.encode()
        hand_over, failed, sink = self._hand_over, self._failed, self._sink
        frame = _pack_frame(len(head) + _NOW_BYTES + len(_RETURNED_NONE), _CALL) + head
        frame_of_nothing = _pack_frame(len(head) + _NOW_BYTES + len(_RETURNED_NOTHING), _CALL) + head

        def call(now: float) -> object:
            self._now = now
            is_done = False
            try:
                result = method(now)
                is_done = True
            finally:
                if not is_done:
                    failed([head, _pack_now(now, 0)])
            if result is None:
                sink(frame + _pack_now(now, 0) + _RETURNED_NONE)
            elif not result and isinstance(result, tuple | list):
                sink(frame_of_nothing + _pack_now(now, 0) + _RETURNED_NOTHING)
            else:
                hand_over(result, [head, _pack_now(now, 0)])
            return result

        return call

    def _recording_events(self, method: Callable[[], Sequence[object]]) -> Callable[[], Sequence[object]]:
        """`take_events`, which takes no `now`, recorded."""
        frame = _pack_frame(len(_TAKE_EVENTS) + _NOW_BYTES + len(_RETURNED_NOTHING), _CALL) + _TAKE_EVENTS
        hand_over, failed, sink = self._hand_over, self._failed, self._sink

        def take_events() -> Sequence[object]:
            is_done = False
            try:
                events = method()
                is_done = True
            finally:
                if not is_done:
                    failed([_TAKE_EVENTS, _pack_now(self._now, 0)])
            if events:
                hand_over(events, [_TAKE_EVENTS, _pack_now(self._now, 0)])
            else:
                sink(frame + _pack_now(self._now, 0) + _RETURNED_NOTHING)
            return events

        return take_events

    def _hand_over(self, result: object, out: list[bytes]) -> None:
        """Complete the record of a call that has returned."""
        if result is None:
            out.append(_RETURNED_NONE)
        else:
            out.append(_RETURNED)
            self._outputs.write(result if self._has_payloads else withhold_payloads(result), out)
        self._hand_record(out)

    def _failed(self, out: list[bytes]) -> None:
        """A LocalError, or a bug: it is in the recording, and goes on to the caller."""
        error = sys.exc_info()[1]
        out.append(_RAISED)
        self._outputs.write([type(error).__qualname__, str(error)], out)
        self._hand_record(out)

    def _hand_record(self, out: list[bytes]) -> None:
        size = sum(map(len, out))
        out.insert(0, _pack_frame(size, _CALL))
        self._hand_pieces(out, size + FRAME.size)

    def _public_arguments(self, name: str, names: Sequence[str], given: Sequence[object]) -> Sequence[object]:
        if not self._has_secrets:
            given = [
                _public(parameter, value, self._options) for parameter, value in zip_longest(names[: len(given)], given)
            ]
        if self._has_payloads:
            return given
        if name in _SENDING_VERBS:
            return [withhold(argument) if isinstance(argument, str | bytes) else argument for argument in given]
        return [withhold_payloads(argument) for argument in given]


def kind_of(machine: object) -> type:
    """The class of a machine, also of one that was moved to another scale of time."""
    return type(machine.machine if isinstance(machine, RescaledMachine) else machine)


def inputs_of(kind: type) -> list[str]:
    """The methods of a machine that change it: those whose last parameter is `now`."""
    return [name for name in methods_of(kind) if _last_parameter(getattr(kind, name)) == "now"]


def methods_of(kind: type) -> list[str]:
    """The public methods of a machine."""
    return [name for name in dir(kind) if not name.startswith("_") and inspect.isfunction(getattr(kind, name))]


def _last_parameter(method: Callable[..., object]) -> str:
    return list(inspect.signature(method).parameters)[-1]


def _name_of(kind: object) -> str:
    """How a replay finds what makes the machine: a class, or its `restore`; empty for what it cannot find."""
    if isinstance(kind, type):
        return f"{kind.__module__}:{kind.__qualname__}"
    owner = getattr(kind, "__self__", None)
    if isinstance(owner, type) and getattr(kind, "__name__", "") == RESTORE:
        return f"{owner.__module__}:{owner.__qualname__}.{RESTORE}"
    return ""


def _public(parameter: str | None, value: object, options: RecordOptions) -> object:
    """An argument as it may be in a recording: a snapshot holds secrets, and messages that nobody has read yet."""
    is_secret = parameter in _SECRET_PARAMETERS and not options.secrets
    is_payload = parameter == "snapshot" and not options.payloads
    return LeftOut(str(parameter)) if value is not None and (is_secret or is_payload) else value


def _with_key_log(value: object, sink: Sink) -> object:
    """The configuration of DTLS, wherever it is, with a key log that goes into the recording as well."""
    if isinstance(value, DtlsConfig):
        own = value.key_log

        def log(line: str) -> None:
            sink(Record(RecordKind.KEY_LOG, line.encode()).serialize())
            if own is not None:
                own(line)

        return attrs.evolve(value, key_log=log)
    inner = getattr(value, "dtls", None)
    if isinstance(inner, DtlsConfig) and attrs.has(type(value)):
        return attrs.evolve(cast(Any, value), dtls=_with_key_log(inner, sink))
    return value


_pack_now: Final = struct.Struct(">dB").pack
_NOW_BYTES: Final = 9
_pack_frame: Final = FRAME.pack
_pack_sized: Final = SIZED.pack
_CALL: Final = int(RecordKind.CALL)
_TAKE_EVENTS: Final = b"\x0btake_events"
_RETURNED: Final = bytes([Outcome.RETURNED])
_RETURNED_NONE: Final = _RETURNED + b"N"
_RETURNED_NOTHING: Final = _RETURNED + SIZED.pack(b"(", 0)
_RAISED: Final = bytes([Outcome.RAISED])
_NOT_COMPARED: Final = bytes([Outcome.NOT_COMPARED])
