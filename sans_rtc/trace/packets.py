"""The datagrams of a recording, in order, whichever machine it is of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from sans_rtc.machine import Datagram, Path
from sans_rtc.trace.wire import Call, Outcome
from sans_rtc.trace.withheld import CheckedDatagrams, Withheld

_RECEIVING = frozenset({"receive", "receive_many"})


@attrs.define(slots=True)
class Packet:
    """One datagram that a machine received or sent.

    now          seconds
    is_outgoing  the machine has sent it
    data         its bytes, or the first of them where the rest was kept out of the recording
    size         how many bytes it had
    path         None: of a machine that knows no addresses
    ecn          its ECN field
    """

    now: float
    is_outgoing: bool
    data: bytes
    size: int
    path: Path | None
    ecn: int = 0


def packets_of(call: Call) -> Iterator[Packet]:
    """The datagrams that a call has brought to the machine, or taken from it."""
    if call.name in _RECEIVING and call.arguments:
        yield from _packets(call.arguments[0], call.now, is_outgoing=False)
    elif call.name == "take_datagrams" and call.outcome is Outcome.RETURNED:
        yield from _packets(call.value(), call.now, is_outgoing=True)


def _packets(value: object, now: float, *, is_outgoing: bool) -> Iterator[Packet]:
    if isinstance(value, Datagram):
        yield Packet(now, is_outgoing, value.data, len(value.data), value.path, value.ecn)
    elif isinstance(value, CheckedDatagrams):
        for size in value.sizes:
            yield Packet(now, is_outgoing, b"", size, value.path, value.ecn)
    elif isinstance(value, bytes):
        yield Packet(now, is_outgoing, value, len(value), None)
    elif isinstance(value, Withheld):
        yield Packet(now, is_outgoing, value.head, value.size, None)
    elif isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], Path):
        for packet in _packets(value[1], now, is_outgoing=is_outgoing):
            yield attrs.evolve(packet, path=value[0])
    elif isinstance(value, Iterable):
        for item in value:
            yield from _packets(item, now, is_outgoing=is_outgoing)
