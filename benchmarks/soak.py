"""Data channels for minutes over a bad link and a relay: no message may be wrong, and the memory must stay flat.

    process -- bad link (loss, jitter) -- relay -- process

Both ends send without end on three channels (ordered, unordered, not repeated); each message is checked for what it
holds, for its order and that it comes once. At the end everything reliable that was sent must have come. The memory of
both processes is read each second.
"""

from __future__ import annotations

import re
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Final

import attrs

from benchmarks.processes import Line, Worker, WorkerFailed
from benchmarks.report import Cell
from benchmarks.soak_link import HOST, Address, BadLink, Weather
from benchmarks.turn_servers import PASSWORD, USER, TurnProcess

RELAYS: Final = {"ours": "sans_rtc", "coturn": "coturn"}
COMMAND: Final = (sys.executable, "-m", "benchmarks.soak_worker")
SAMPLE_S: Final = 1.0
DRAIN_S_MAX: Final = 120.0
# Caches fill, arenas of the allocator are taken: the first part says nothing about leaks.
WARM_UP_SHARE: Final = 0.25
# Flat: what the process has grown by, from the first third after that to the last, in both measures at once.
GROWTH_BYTES_MAX: Final = 3 << 20
GROWTH_SHARE_MAX: Final = 0.05

Servers = tuple[list[dict[str, str]], list[dict[str, str]]]

_CANDIDATE = re.compile(rf"(a=candidate:\S+ 1 udp \d+ {re.escape(HOST)} )(\d+)( typ host)", re.IGNORECASE)


@attrs.frozen(slots=True)
class Options:
    """How long, and over what.

    minutes  of traffic
    weather  of the link
    relay    "ours", "coturn", or "none": the link lies between the ends themselves
    """

    minutes: float = 10.0
    weather: Weather = attrs.Factory(Weather)
    relay: str = "ours"


@attrs.define(slots=True)
class Samples:
    """What was read each second of one process."""

    resident_bytes: list[int] = attrs.Factory(list)

    def growth(self) -> tuple[float, float]:
        """Memory after the warm-up, and how much more it is in the end; bytes, medians of thirds."""
        settled = self.resident_bytes[int(len(self.resident_bytes) * WARM_UP_SHARE) :] or self.resident_bytes
        third = max(1, len(settled) // 3)
        before, after = statistics.median(settled[:third]), statistics.median(settled[-third:])
        return before, after - before

    @property
    def is_flat(self) -> bool:
        """True where the growth is within the bounds of noise."""
        before, growth = self.growth()
        return growth <= GROWTH_BYTES_MAX and growth <= max(GROWTH_SHARE_MAX * before, 1 << 20)


def measure(options: Options) -> list[dict[str, Cell]]:
    """One row; `errors` and `unfinished` are 0 and `is_flat` is 1 where all is well. WorkerFailed where one fails."""
    with ExitStack() as stack:
        link = stack.enter_context(BadLink(options.weather))
        servers = _servers(options, link, stack)
        first, second = (stack.enter_context(Worker(f"soak {end}", command=COMMAND)) for end in "ab")
        _connect(first, second, servers, link)
        samples = _soak(first, second, options.minutes * 60.0)
        unfinished = _drain(first, second)
        marks = [worker.ask("mark") for worker in (first, second)]
        for worker in (first, second):
            worker.ask("close")
        return [_row(options, samples, marks, unfinished, link)]


def problems(row: Mapping[str, Cell]) -> list[str]:
    """What is not as it must be, in words; nothing where all is well."""
    found = []
    if row["errors"]:
        found.append(f"{row['errors']} errors: {row['first_error']}")
    if row["unfinished"]:
        found.append("not everything reliable has arrived")
    if not row["is_flat"]:
        found.append("the memory grows")
    return found


def _servers(options: Options, link: BadLink, stack: ExitStack) -> Servers:
    """The TURN servers of both ends, the first end's by way of the link; none without a relay."""
    if options.relay == "none":
        return [], []
    server = stack.enter_context(TurnProcess(RELAYS[options.relay], 10))
    _, port = link.to_server((HOST, server.port))
    return [_server(port)], [_server(server.port)]


def _server(port: int) -> dict[str, str]:
    return {"urls": f"turn:{HOST}:{port}", "username": USER, "credential": PASSWORD}


def _connect(first: Worker, second: Worker, servers: Servers, link: BadLink) -> None:
    """Connect both; without a relay each is told an address of the link in place of the other's."""
    offer = str(first.ask("offer", ice_servers=servers[0])["sdp"])
    if servers[0]:
        first.ask("accept", sdp=second.ask("answer", sdp=offer, ice_servers=servers[1])["sdp"])
    else:
        for_first, for_second, join = link.between()
        answer = str(second.ask("answer", sdp=_with_port(offer, for_first), ice_servers=[])["sdp"])
        join(_address_in(offer), _address_in(answer))
        first.ask("accept", sdp=_with_port(answer, for_second))
    for worker in (first, second):
        worker.begin("opened")
    for worker in (first, second):
        worker.answer("opened")


def _with_port(sdp: str, address: Address) -> str:
    return _CANDIDATE.sub(rf"\g<1>{address[1]}\g<3>", sdp)


def _address_in(sdp: str) -> Address:
    match = _CANDIDATE.search(sdp)
    if match is None:
        raise WorkerFailed("no host candidate on loopback")
    return HOST, int(match[2])


def _soak(first: Worker, second: Worker, duration_s: float) -> tuple[Samples, Samples]:
    """Let both send; read the memory of both each second."""
    samples = Samples(), Samples()
    for worker in (first, second):
        worker.ask("start")
    ends_at = time.monotonic() + duration_s
    while (left_s := ends_at - time.monotonic()) > 0.0:
        time.sleep(min(SAMPLE_S, left_s))
        for worker, sample in zip((first, second), samples, strict=True):
            mark = worker.ask("mark")
            assert isinstance(mark["resident_bytes"], int)
            sample.resident_bytes.append(mark["resident_bytes"])
            if mark["errors"]:
                return samples  # what is broken need not be soaked on
    return samples


def _drain(first: Worker, second: Worker) -> int:
    """Stop both, and wait until everything reliable has arrived; how many ends still miss something."""
    sent = [worker.ask("stop")["sent"] for worker in (first, second)]
    deadline = time.monotonic() + DRAIN_S_MAX
    while True:
        missing = [not worker.ask("complete", sent=sent[1 - end])["is_complete"]
                   for end, worker in enumerate((first, second))]  # fmt: skip
        if not any(missing) or time.monotonic() > deadline:
            return sum(missing)
        time.sleep(0.2)


def _row(
    options: Options, samples: Sequence[Samples], marks: Sequence[Line], unfinished: int, link: BadLink
) -> dict[str, Cell]:
    errors = [str(text) for mark in marks for text in _listed(mark["errors"])]
    breaks = sum(state in ("disconnected", "failed") for mark in marks for state in _listed(mark["states"]))
    messages, octets = sum(_total(mark["received"]) for mark in marks), sum(_number(mark["bytes"]) for mark in marks)
    growths = [sample.growth() for sample in samples]
    return {
        "minutes": options.minutes,
        "loss_percent": options.weather.loss_percent,
        "jitter_ms": options.weather.jitter_ms,
        "relay": options.relay,
        "path": "-".join(str(kind) for kind in _listed(marks[0]["path"])),
        "messages": messages,
        "mb": octets / 1e6,
        "datagrams_lost": link.lost,
        "datagrams_carried": link.carried,
        "errors": len(errors),
        "first_error": errors[0] if errors else "",
        "unfinished": unfinished,
        "interruptions": breaks,
        "first_mib": growths[0][0] / (1 << 20),
        "first_growth_kib": growths[0][1] / 1024,
        "second_mib": growths[1][0] / (1 << 20),
        "second_growth_kib": growths[1][1] / 1024,
        "is_flat": int(all(sample.is_flat for sample in samples)),
    }


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _total(value: object) -> int:
    return sum(value.values()) if isinstance(value, dict) else 0


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
