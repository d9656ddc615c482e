"""What a report shows, gathered in one pass: the datagrams of a recording, and the machine that lives through it again.

records --> datagrams --> what they say (`decode`) --> ladder, bitrates
        \\-> replay --> the machine's reads (`samples`) --> windows, pairs, discards, its own words
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import attrs

from sans_rtc.entropy import Entropy
from sans_rtc.errors import WireError
from sans_rtc.machine import Address, Terminated
from sans_rtc.trace.decode import SessionDecoder
from sans_rtc.trace.decoded import Decoded
from sans_rtc.trace.export import key_log_of
from sans_rtc.trace.inspection import event_words
from sans_rtc.trace.packets import Packet, packets_of
from sans_rtc.trace.replay import NotReplayable, Replayer, ReplayMismatch
from sans_rtc.trace.report_streams import Streams
from sans_rtc.trace.samples import Sampler, Samples, Series
from sans_rtc.trace.whole import BUGS, whole
from sans_rtc.trace.wire import (
    Call,
    Construction,
    Outcome,
    Record,
    RecordKind,
    call_now,
    parse_call,
    parse_construction,
)

LADDER_COUNT_MAX: Final = 300
# Checks go on as long as a session does; the first of each pair are what a ladder is for. Errors have their own room.
_CHECKS_SHOWN_MAX: Final = 100
_CHECKS_SHOWN_OF_PAIR: Final = 2
_ERRORS_SHOWN_MAX: Final = 40
STATE_COUNT_MAX: Final = 200
BIN_COUNT: Final = 240
# Narrower ones would show single frames of video.
_BIN_S_MIN: Final = 0.1
_LOSS_BIN_S_MIN: Final = 1.0
_SHOWN_SCTP: Final = frozenset(
    {"INIT", "INIT ACK", "COOKIE ECHO", "COOKIE ACK", "ABORT", "ERROR", "SHUTDOWN", "SHUTDOWN ACK", "SHUTDOWN COMPLETE",
     "RE-CONFIG"}
)  # fmt: skip
# Ends of a machine that knows no addresses.
_SERVER_COUNT_MAX: Final = 64
_HERE, _PEER = Address("here", 0), Address("peer", 0)


@attrs.define(slots=True)
class Step:
    """One arrow of the ladder."""

    at_s: float
    is_outgoing: bool
    layer: str
    text: str


@attrs.define(slots=True)
class Extent:
    """From when to when, and the keys: what has to be known before the rest is read."""

    first_now: float
    last_now: float
    keys: list[str]

    @property
    def duration_s(self) -> float:
        """Seconds from the first call to the last."""
        return max(0.0, self.last_now - self.first_now)


@attrs.define(slots=True)
class ReportData:
    """Everything on the page.

    construction  of the machine; None where the recording does not say
    bin_s         width of the bins of `bytes_in`, `bytes_out` and `streams`
    streams       bytes by "in SSRC" or "out SSRC"
    media         the same streams: packets, loss, codecs
    last_in_s     when the last datagram came; None: none did
    errors        what servers refused, in words
    states        (seconds, event) that marks the session's way
    replay_note   why there was no replay, or where it ended; empty: it was the same to the end
    """

    duration_s: float
    bin_s: float
    construction: Construction | None = None
    datagrams_in: int = 0
    datagrams_out: int = 0
    bytes_in: dict[int, int] = attrs.Factory(dict)
    bytes_out: dict[int, int] = attrs.Factory(dict)
    streams: dict[str, dict[int, int]] = attrs.Factory(dict)
    media: Streams = attrs.Factory(Streams)
    last_in_s: float | None = None
    errors: list[str] = attrs.Factory(list)
    ladder: list[Step] = attrs.Factory(list)
    ladder_left_out: int = 0
    states: list[tuple[float, str]] = attrs.Factory(list)
    terminated: Terminated | None = None
    samples: Samples = attrs.Factory(Samples)
    replay_note: str = ""

    def bitrates(self, bins: dict[int, int]) -> Series:
        """Bits per second over time."""
        return [((number + 0.5) * self.bin_s, bins.get(number, 0) * 8 / self.bin_s) for number in range(self.bin_count)]

    @property
    def bin_count(self) -> int:
        """How many bins there are; what comes at the very end is in the last."""
        return max(1, math.ceil(self.duration_s / self.bin_s))


def survey(records: Iterable[Record]) -> Extent:
    """Read a recording for its extent; WireError for what is none."""
    first, last = math.inf, -math.inf

    def watched() -> Iterator[Record]:
        nonlocal first, last
        for record in records:
            if record.kind is RecordKind.CALL:
                now = call_now(record)
                first, last = min(first, now), max(last, now)
            yield record

    keys = key_log_of(watched())
    return Extent(first, last, keys) if first < math.inf else Extent(0.0, 0.0, keys)


def gather(records: Iterable[Record], extent: Extent, *, make: Callable[[Entropy], Any] | None = None) -> ReportData:
    """Read and replay a recording.

    extent  what `survey` said of the same records
    make    as `replay` takes it
    """
    gatherer = _Gatherer(extent, make)
    for record in whole(records, make):
        gatherer.take(record)
    return gatherer.finish()


class _Gatherer:
    def __init__(self, extent: Extent, make: Callable[[Entropy], Any] | None) -> None:
        self._first_now = extent.first_now
        bin_s = max(_BIN_S_MIN, extent.duration_s / BIN_COUNT)
        self.data = ReportData(extent.duration_s, bin_s)
        self.data.media.bin_s = max(_LOSS_BIN_S_MIN, extent.duration_s / BIN_COUNT)
        self._decoder = SessionDecoder()
        self._decoder.keys.add("\n".join(extent.keys))
        self._sampler = Sampler(extent.duration_s)
        self._replayer: Replayer | None = Replayer(make)
        self._last_machine: Any = None
        self._checks = self._errors = 0
        self._checks_of: Counter[str] = Counter()
        self._begun: set[str] = set()
        self._servers: set[Address] = set()
        self._is_sctp = False
        self._at_s = 0.0

    def take(self, record: Record) -> None:
        if record.kind is RecordKind.CONSTRUCTION:
            self.data.construction = construction = parse_construction(record)
            self._is_sctp = construction.class_name.startswith("sans_rtc.sctp.")
        self._replay(record)
        if record.kind is not RecordKind.CALL:
            return
        call = parse_call(record)
        self._at_s = max(0.0, call.now - self._first_now)
        self.data.media.on_values(call.arguments)
        for packet in packets_of(call):
            self._on_packet(packet)
        if call.name == "take_events" and call.outcome is Outcome.RETURNED:
            self._on_events(call)
        if self._replayer is not None and self._replayer.machine is not None:
            self._last_machine = self._replayer.machine
            self._sampler.read(self._last_machine, self._at_s)

    def finish(self) -> ReportData:
        if self._last_machine is not None:
            self._sampler.read(self._last_machine, self._at_s, is_last=True)
        self.data.samples = self._sampler.samples
        return self.data

    def _replay(self, record: Record) -> None:
        if self._replayer is None:
            return
        try:
            self._replayer.step(record)
        except ReplayMismatch as mismatch:
            said = str(mismatch).partition("\n")[0]  # the bytes are for `trace replay`
            self.data.replay_note = f"{said} was another in the recording"
            self._replayer = None
        except (NotReplayable, WireError) as error:
            self.data.replay_note = str(error)
            self._replayer = None
        except BUGS as bug:
            self.data.replay_note = f"the bug that was recorded: {bug}"
            self._replayer = None

    def _on_packet(self, packet: Packet) -> None:
        data = self.data
        number = min(int(self._at_s / data.bin_s), data.bin_count - 1)
        bins = data.bytes_out if packet.is_outgoing else data.bytes_in
        bins[number] = bins.get(number, 0) + packet.size
        if packet.is_outgoing:
            data.datagrams_out += 1
        else:
            data.datagrams_in += 1
            data.last_in_s = self._at_s
        ends = (_HERE, _PEER) if packet.path is None else (packet.path.local, packet.path.remote)
        source, destination = ends if packet.is_outgoing else ends[::-1]
        decode = self._decoder.decode_sctp if self._is_sctp else self._decoder.decode
        for depth, message in enumerate(decode(source, destination, packet.data, packet.now)):
            if message.layer in ("rtp", "rtcp"):
                self._on_media(message, packet, number)
            is_of_server = not depth and self._is_of_server(message, ends[1], is_outgoing=packet.is_outgoing)
            text = self._shown(message)
            if text:
                text += f", server {ends[1]}" if is_of_server else ""
                self._climb(Step(self._at_s, packet.is_outgoing, message.layer, text))

    def _is_of_server(self, message: Decoded, remote: Address, *, is_outgoing: bool) -> bool:
        """A STUN or TURN server is who is asked for something else than a check, which has a USERNAME of ICE."""
        if message.layer not in ("stun", "turn"):
            return False
        is_asked = message.layer == "turn" or (message.name == "Binding request" and "USERNAME" not in message.fields)
        if is_outgoing and is_asked and len(self._servers) < _SERVER_COUNT_MAX:
            self._servers.add(remote)
        return remote in self._servers

    def _on_media(self, message: Decoded, packet: Packet, number: int) -> None:
        media, is_outgoing = self.data.media, packet.is_outgoing
        if message.layer == "rtcp":
            media.on_rtcp(message, self._at_s, is_outgoing=is_outgoing)
            return
        key = media.on_rtp(message, self._at_s, is_outgoing=is_outgoing, size=packet.size)
        if key:
            bins = self.data.streams.setdefault(key, {})
            bins[number] = bins.get(number, 0) + packet.size

    def _shown(self, message: Decoded) -> str:
        """What the ladder says of a message; empty where it says nothing."""
        fields = message.fields
        match message.layer:
            case "stun" | "turn":
                return self._shown_check(message)
            case "dtls":
                said = [str(fields[name]) for name in ("version", "cipher_suite", "alert") if name in fields]
                return "" if fields.get("is_opened") is False and self._has_begun("protected") else " ".join(
                    [message.name, *said]
                )  # fmt: skip
            case "sctp":
                return message.name if message.name in _SHOWN_SCTP else ""
            case "dcep":
                label = f" {fields['label']!r}" if fields.get("label") else ""
                return f"{message.name}{label} on stream {fields.get('stream')}"
            case "data":
                return "" if self._has_begun(f"data {message.source}") else "first message"
            case "rtp" | "rtcp":
                key = f"{message.layer} {message.source} {fields.get('ssrc', fields.get('sender_ssrc', ''))}"
                name = "RTP" if message.layer == "rtp" else f"RTCP {message.name}"
                return "" if self._has_begun(key) else f"{name} begins {fields.get('ssrc', '')}".rstrip()
        return ""

    def _shown_check(self, message: Decoded) -> str:
        """The first checks between two addresses, of each kind, and what was refused; what repeats is left out."""
        error = message.fields.get("ERROR-CODE")
        marks = " USE-CANDIDATE" if message.fields.get("USE-CANDIDATE") else ""
        if message.name == "ChannelData":
            return ""
        if error:
            self._errors += 1
            return f"{message.name} {_error_words(error)}" if self._errors <= _ERRORS_SHOWN_MAX else ""
        key = f"{message.source} {message.destination} {message.name}{marks}"
        if self._checks >= _CHECKS_SHOWN_MAX or self._checks_of[key] >= _CHECKS_SHOWN_OF_PAIR:
            return ""
        self._checks += 1
        self._checks_of[key] += 1
        return message.name + marks

    def _has_begun(self, what: str) -> bool:
        if what in self._begun or len(self._begun) > LADDER_COUNT_MAX:
            return True
        self._begun.add(what)
        return False

    def _climb(self, step: Step) -> None:
        if len(self.data.ladder) < LADDER_COUNT_MAX:
            self.data.ladder.append(step)
        else:
            self.data.ladder_left_out += 1

    def _on_events(self, call: Call) -> None:
        events = call.value()
        for event in events if isinstance(events, tuple) else ():
            name = type(event).__name__
            if isinstance(event, Terminated):
                self.data.terminated = event
                text = event_words(event)
            elif name == "CandidateError":
                text = f"{getattr(event, 'server', '')} gave no candidate: {event.code} {event.reason}".rstrip()
                if len(self.data.errors) < STATE_COUNT_MAX and text not in self.data.errors:
                    self.data.errors.append(text)
            elif "State" in name or name in ("ChannelOpened", "Connected", "SelectedPathChanged"):
                text = event_words(event)
            else:
                continue
            if len(self.data.states) < STATE_COUNT_MAX:
                self.data.states.append((self._at_s, text))


def _error_words(error: object) -> str:
    """An ERROR-CODE as a person reads it: "401 Unauthorized"."""
    return " ".join([str(value) for value in error.values()]) if isinstance(error, Mapping) else str(error)
