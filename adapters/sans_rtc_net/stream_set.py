"""The streams and listening sockets of one machine, for any loop: who is told what, and what is to be watched.

    events of the machine --> on_events --> StreamNeeded: a Stream is made; StreamUnneeded: it is written out and closed
    descriptor is ready   --> on_readable, on_writable --> machine.stream_opened, receive, machine.stream_closed
    deadline              --> handle_timer

The loop's part: `watch(item)` is called when a stream or listener is new, and whenever it wants to be watched
otherwise: for reading always, for writing while `item.wants_write` (`False` of a listener). `unwatch(item)` is called
right before its descriptor is closed. The loop flushes the machine after all of this, and again while `has_news`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_address
from typing import Protocol, TypeAlias, TypeGuard, TypeVar

from sans_rtc.machine import Datagram, Path
from sans_rtc.streams import StreamNeeded, StreamUnneeded
from sans_rtc_net.addresses import family_of
from sans_rtc_net.clock import monotonic
from sans_rtc_net.listener import Listener
from sans_rtc_net.options import StreamConfig
from sans_rtc_net.stream import Stream
from sans_rtc_net.stream_types import StreamClosed, StreamOpened, StreamReport

Event = TypeVar("Event")
Watched: TypeAlias = Stream | Listener

# Reads of one stream, each of up to 64 KiB, and connections of one listener, before others have their turn.
READS_PER_TURN_MAX = 4
ACCEPTS_PER_TURN_MAX = 32


class StreamMachine(Protocol):
    """What a machine that uses streams has beside the verbs of every machine."""

    def stream_opened(self, path: Path, now: float) -> None:
        """It is open; or somebody has connected to a listening socket of ours."""

    def stream_closed(self, path: Path, reason: str, now: float) -> None:
        """It has ended, or could not be opened; `reason` is a sentence for a person."""


def uses_streams(machine: object) -> TypeGuard[StreamMachine]:
    """Tell whether a machine has the verbs of streams."""
    return hasattr(machine, "stream_opened") and hasattr(machine, "stream_closed")


class StreamSet:
    """Streams by path, and listeners."""

    def __init__(
        self,
        machine: StreamMachine,
        config: StreamConfig,
        *,
        receive: Callable[[Sequence[Datagram], float], None],
        watch: Callable[[Watched], None],
        unwatch: Callable[[Watched], None],
        resolve: Callable[[str], None] | None = None,
        refusal: str = "",
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Keep the streams of a machine.

        receive         feeds a burst to the machine
        watch, unwatch  the loop's, see above
        resolve         looks up the name of a proxy; answered by `name_resolved`
        refusal         why there can be no streams here; then every one is closed with this reason
        """
        self.discards = 0
        """Frames for streams that are not there (any more)."""
        self.has_news = False
        """Set where the machine was told something, so that it is to be flushed; cleared by whoever flushes."""
        self._machine = machine
        self._config = config
        self._receive = receive
        self._watch = watch
        self._unwatch = unwatch
        self._resolve = resolve
        self._refusal = refusal
        self._clock = clock
        self._streams: dict[Path, Stream] = {}
        self._closing: set[Stream] = set()
        self._accepted: set[Stream] = set()
        self._writing: set[Stream] = set()
        self._timed: set[Stream] = set()
        self._listeners: list[Listener] = []
        self._waiting: dict[Path, str] = {}  # for the address of the proxy: path and server name

    # -- the machine's side --------------------------------------------------------------------------------------------

    def on_events(self, events: Sequence[Event], now: float) -> Sequence[Event]:
        """Do what is asked of streams; return the other events."""
        others: list[Event] = []
        for event in events:
            if isinstance(event, StreamNeeded):
                self._open(event.path, event.server_name, now)
            elif isinstance(event, StreamUnneeded):
                self._release(event.path)
            else:
                others.append(event)
        return others

    def send(self, path: Path, frames: Sequence[Datagram]) -> None:
        """Send frames of one path, in order."""
        stream = self._streams.get(path)
        if stream is None:
            self.discards += len(frames)
            return
        stream.send_batch(frames)
        self._look_at(stream, self._clock())

    def add_listener(self, listener: Listener) -> None:
        """Take over a listening socket: what it accepts is told to the machine, and it is closed in the end."""
        self._listeners.append(listener)
        self._watch(listener)

    def remove_listener(self, listener: Listener) -> None:
        """Close a listening socket and forget it; what it has accepted lives on."""
        if listener in self._listeners:
            self._listeners.remove(listener)
            self._unwatch(listener)
            listener.close()

    def name_resolved(self, name: str, hosts: Sequence[str], now: float) -> None:
        """Take the answer to `resolve`; other names are ignored."""
        proxy = self._config.proxy
        if proxy is None or name != proxy.host:
            return
        waiting, self._waiting = self._waiting, {}
        for path, server_name in waiting.items():
            if hosts:
                of_family = [host for host in hosts if family_of(host) == family_of(path.local.host)]
                self._connect(path, server_name, (of_family or hosts)[0], now)
            else:
                self._refuse(path, f"{proxy} cannot be found by its name", now)

    # -- the loop's side -----------------------------------------------------------------------------------------------

    def on_readable(self, item: Watched, now: float) -> None:
        """Feed the machine what has come."""
        if item.fileno() < 0:  # closed by what was ready before it
            return
        if isinstance(item, Stream):
            self._look_at(item, now, item.receive_batch(READS_PER_TURN_MAX))
            return
        room = max(0, self._config.accepted_count_max - len(self._accepted))
        for stream in item.accept_batch(ACCEPTS_PER_TURN_MAX, room, clock=self._clock):
            self._add_accepted(stream, now)

    def on_writable(self, item: Watched, now: float) -> None:
        """Go on with connecting or writing."""
        if isinstance(item, Stream) and item.fileno() >= 0:
            item.on_writable()
            self._look_at(item, now)

    def handle_timer(self, now: float) -> None:
        """Give up what takes too long."""
        for stream in [stream for stream in self._timed if stream.deadline <= now]:
            stream.handle_timer(now)
            self._look_at(stream, now)

    def close(self) -> None:
        """Close everything at once and tell nobody; idempotent."""
        items: list[Watched] = [*self._streams.values(), *self._closing, *self._listeners]
        for item in items:
            if item.fileno() >= 0:
                self._unwatch(item)
            item.close()
        for kept in (self._closing, self._accepted, self._writing, self._timed):
            kept.clear()
        self._streams.clear()
        self._listeners.clear()
        self._waiting.clear()

    @property
    def deadline(self) -> float:
        """When `handle_timer` wants to run."""
        return min([stream.deadline for stream in self._timed], default=math.inf)

    @property
    def listeners(self) -> Sequence[Listener]:
        """The listening sockets."""
        return tuple(self._listeners)

    def __contains__(self, path: object) -> bool:
        """True where there is a stream of this path, or will be one."""
        return path in self._streams or path in self._waiting

    def __iter__(self) -> Iterator[Stream]:
        return iter([*self._streams.values(), *self._closing])

    def __len__(self) -> int:
        return len(self._streams) + len(self._closing)

    # -- private -------------------------------------------------------------------------------------------------------

    def _open(self, path: Path, server_name: str, now: float) -> None:
        assert path not in self._streams and path not in self._waiting, f"two streams of one name: {path}"
        proxy = self._config.proxy
        if self._refusal:
            self._refuse(path, self._refusal, now)
        elif proxy is None or is_address(proxy.host) or not proxy.carries(path.remote, server_name):
            self._connect(path, server_name, "", now)
        elif self._resolve is None:
            self._refuse(path, f"{proxy} must be given by its address, names are not looked up here", now)
        else:
            self._waiting[path] = server_name
            self._resolve(proxy.host)

    def _connect(self, path: Path, server_name: str, proxy_host: str, now: float) -> None:
        stream = Stream.connect(path, server_name, self._config, proxy_host=proxy_host, clock=self._clock)
        self._add(stream, now)

    def _refuse(self, path: Path, reason: str, now: float) -> None:
        self.has_news = True
        self._machine.stream_closed(path, reason, now)

    def _add_accepted(self, stream: Stream, now: float) -> None:
        earlier = self._streams.get(stream.path)
        if earlier is not None:  # the other end has begun anew, from the same port, before we saw the end
            self._retire(earlier)
            self._refuse(stream.path, f"{stream.path.remote} has begun a new connection", now)
        self._accepted.add(stream)
        self._add(stream, now)

    def _add(self, stream: Stream, now: float) -> None:
        self._streams[stream.path] = stream
        if not stream.is_closed:
            self._watch(stream)
            if stream.wants_write:
                self._writing.add(stream)
        self._look_at(stream, now)

    def _release(self, path: Path) -> None:
        self._waiting.pop(path, None)
        stream = self._streams.pop(path, None)
        if stream is None:  # it has closed itself, and the machine did not know yet
            return
        stream.close_when_written()
        self._closing.add(stream)
        self._look_at(stream, self._clock())

    def _look_at(self, stream: Stream, now: float, pieces: Sequence[Datagram] = ()) -> None:
        """After anything was done with a stream: tell the machine, watch it otherwise, let it go."""
        reports = stream.take_reports()
        if reports or pieces:
            self._tell(reports, pieces, now)
        if stream.is_closed:
            self._retire(stream)
            return
        if stream.wants_write != (stream in self._writing):
            (self._writing.add if stream.wants_write else self._writing.discard)(stream)
            self._watch(stream)
        (self._timed.discard if stream.deadline == math.inf else self._timed.add)(stream)

    def _tell(self, reports: Sequence[StreamReport], pieces: Sequence[Datagram], now: float) -> None:
        self.has_news = True
        for report in reports:
            if isinstance(report, StreamOpened):
                self._machine.stream_opened(report.path, now)
        if pieces:
            self._receive(pieces, now)
        for report in reports:
            if isinstance(report, StreamClosed):
                self._machine.stream_closed(report.path, report.reason, now)

    def _retire(self, stream: Stream) -> None:
        if stream.fileno() >= 0:
            self._unwatch(stream)
        stream.close()
        if self._streams.get(stream.path) is stream:
            del self._streams[stream.path]
        for kept in (self._closing, self._accepted, self._writing, self._timed):
            kept.discard(stream)


def is_address(host: str) -> bool:
    """Tell an IP address from a name."""
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
