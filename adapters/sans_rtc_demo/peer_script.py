"""One peer connection on a script's strings: requests come in as lines, everything that happens goes out as lines.

    stdin --> LineReader --> parse_request --> a handler of _HANDLERS --> PeerConnection
    stdout <-- LineWriter <-- one task for each thing that can happen <--'

A request that cannot be followed is answered with an `error` line, and the peer goes on. The script ends with its
input, a `close`, a signal, the peer, or a connection that has failed; `closed` is its last line.
"""

from __future__ import annotations

import asyncio
import base64
import sys
from collections.abc import Awaitable, Callable, Coroutine

import attrs

from sans_rtc.errors import LocalError, SansRtcError
from sans_rtc_asyncio import ChannelClosed, ConnectionLost, DataChannel, Description, PeerConnection
from sans_rtc_demo.jsonl import LineReader, LineWriter
from sans_rtc_demo.peer_media import MediaOptions, PeerMedia
from sans_rtc_demo.peer_requests import BadRequest, Request, parse_request
from sans_rtc_net.loop import WaitSignal
from sans_rtc_net.session import CandidateList

DEFAULT_LABEL = "data"
SUMMARY_INTERVAL_S = 1.0
FLUSH_TIMEOUT_S = 1.0
"""How long the last lines may take when nobody reads them."""


@attrs.frozen(slots=True, kw_only=True)
class ScriptOptions:
    """What the command line chose.

    is_offerer     make an offer at once; else wait for one
    labels         channels to create at once
    is_echoing     send every message back
    is_discarding  count messages instead of writing them out
    is_trickling   write candidates as they are found; else wait and put them into the description
    media          what of audio and video
    """

    is_offerer: bool = False
    labels: tuple[str, ...] = ()
    is_echoing: bool = False
    is_discarding: bool = False
    is_trickling: bool = True
    media: MediaOptions = attrs.Factory(MediaOptions)


@attrs.define(slots=True)
class Tally:
    """What has been received so far, and what of it when the last summary was made."""

    message_count: int = 0
    byte_count: int = 0
    summed_message_count: int = 0
    summed_byte_count: int = 0

    def add(self, message: bytes | str) -> None:
        """Count one message."""
        self.message_count += 1
        self.byte_count += len(message) if isinstance(message, bytes) else len(message.encode())

    def summary(self, elapsed_s: float) -> dict[str, object]:
        """Make a summary line for the seconds since the last one."""
        messages, octets = self.message_count - self.summed_message_count, self.byte_count - self.summed_byte_count
        self.summed_message_count, self.summed_byte_count = self.message_count, self.byte_count
        return {
            "type": "summary",
            "messages": self.message_count,
            "bytes": self.byte_count,
            "messages_per_s": round(messages / elapsed_s, 1),
            "bytes_per_s": round(octets / elapsed_s),
        }


class PeerScript:
    """The life of one scripted peer."""

    def __init__(
        self, connection: PeerConnection, options: ScriptOptions, reader: LineReader, writer: LineWriter
    ) -> None:
        self._connection = connection
        self._options = options
        self._reader = reader
        self._writer = writer
        self._channels: dict[str, DataChannel] = {}
        self._tally = Tally()
        self._tasks: set[asyncio.Task[None]] = set()
        self._endless_tasks: list[asyncio.Task[None]] = []
        self._bug: BaseException | None = None
        self._ending = asyncio.Event()
        self._reporting: tuple[object, asyncio.Task[None]] | None = None  # the candidates being told, and who tells
        self._has_failed = False
        self._media = PeerMedia(connection, options.media, say=self._say, complain=self._complain, start=self._start)

    async def run(self) -> bool:
        """Live; return whether it ended in good order."""
        self._start(self._report_states())
        self._start(self._accept_channels())
        self._start(self._media.report_tracks())
        endless = [self._follow_requests(), self._notice_broken_output(), self._media.report()]
        if self._options.is_discarding:
            endless.append(self._summarize())
        self._endless_tasks = [self._start(work) for work in endless]
        await self._ending.wait()
        await self._end()
        if self._bug is not None:
            raise self._bug
        return not self._has_failed

    def stop(self) -> None:
        """Begin to end in good order; the second time, at once."""
        if self._ending.is_set():
            self._connection.abort()
        self._ending.set()

    # -- requests ------------------------------------------------------------------------------------------------------

    async def _follow_requests(self) -> None:
        await self._begin()
        async for line in self._reader.lines():
            try:
                request = parse_request(line)
                if request is not None:
                    await _HANDLERS[request.kind](self, request)
            except (BadRequest, SansRtcError, OSError) as error:
                await self._complain(str(error))
            if self._ending.is_set():
                return
        self._ending.set()

    async def _begin(self) -> None:
        labels = self._options.labels or ((DEFAULT_LABEL,) if self._options.is_offerer else ())
        try:
            for label in labels:
                self._watch(self._connection.create_data_channel(label))
            if self._options.is_offerer:
                self._media.offer()
                await self._describe(await self._connection.create_offer())
        except (SansRtcError, OSError) as error:
            await self._complain(str(error))
            self._has_failed = True
            self._ending.set()

    async def _on_description(self, request: Request) -> None:
        await self._connection.set_remote_description({"type": request.kind, "sdp": request.text("sdp")})
        if request.kind == "offer":
            self._media.prepare_answer()
            await self._describe(await self._connection.create_answer())
        self._media.negotiated()

    async def _describe(self, description: Description) -> None:
        """Apply a description of ours and write it out."""
        connection = self._connection
        await connection.set_local_description(description)
        if not self._options.is_trickling:
            await connection.gathering_complete()
            description = connection.local_description or description
        await self._say(str(description.type), sdp=description.sdp)
        if self._options.is_trickling:
            self._tell_candidates()

    def _tell_candidates(self) -> None:
        """Tell the candidates of the present generation, where they are not being told yet."""
        candidates = self._connection.session.candidates
        if self._reporting is not None:
            told, task = self._reporting
            if told is candidates:
                return
            task.cancel()  # a new generation begins when the one before is complete, and so told
        self._reporting = candidates, self._start(self._report_candidates(candidates))

    async def _on_candidate(self, request: Request) -> None:
        await self._connection.add_ice_candidate(None if request.fields["candidate"] is None else request.fields)

    async def _on_create_channel(self, request: Request) -> None:
        ordered = request.optional("ordered", bool)
        channel = self._connection.create_data_channel(
            request.text("label"),
            ordered=ordered is not False,
            max_retransmits=request.optional("max_retransmits", int),
            max_packet_life_time_s=request.number("lifetime_s"),
            protocol=request.optional("protocol", str) or "",
            negotiated_id=request.optional("negotiated_id", int),
        )
        self._watch(channel)

    async def _on_send(self, request: Request) -> None:
        payload = request.payload()
        # Waits while too much is buffered, and the script's own pipe fills up: it goes as fast as the network.
        await self._open_channel(request).send(payload)

    async def _on_close_channel(self, request: Request) -> None:
        self._start(self._open_channel(request).close())

    async def _on_restart_ice(self, request: Request) -> None:
        if self._connection.local_description is None:
            raise BadRequest(f"{request.kind}: there is nothing to restart yet")
        self._connection.restart_ice()
        await self._describe(await self._connection.create_offer())

    async def _on_network_changed(self, request: Request) -> None:
        self._connection.network_changed()

    async def _on_explain(self, request: Request) -> None:
        explanation = self._connection.explain()
        await self._say("explain", text=str(explanation), likely_cause=explanation.likely_cause)

    async def _on_request_keyframe(self, request: Request) -> None:
        if not self._media.request_keyframe(request.text("mid")):
            raise BadRequest(f"{request.kind}: no media section {request.text('mid')!r}")

    async def _on_stats(self, request: Request) -> None:
        await self._say("stats", stats=list(self._connection.get_stats().values()))

    async def _on_close(self, request: Request) -> None:
        self._ending.set()

    def _open_channel(self, request: Request) -> DataChannel:
        label = request.text("label")
        channel = self._channels.get(label)
        if channel is None:
            raise BadRequest(f"{request.kind}: no channel {label!r} is open")
        return channel

    # -- what happens --------------------------------------------------------------------------------------------------

    async def _report_states(self) -> None:
        connection = self._connection
        async for state in connection.connection_states():
            await self._say("state", connection=str(state), ice=str(connection.ice_connection_state))
            if state == "failed":
                self._has_failed = True
                break
        self._ending.set()

    async def _report_candidates(self, candidates: CandidateList[WaitSignal]) -> None:
        """Tell them as they are found, and their end; and again what comes later, as after `network-changed`."""
        count, is_end_told = 0, False
        while True:
            while count < len(candidates.items):
                count, is_end_told = count + 1, False
                await self._say("candidate", **candidates.items[count - 1].as_dict())
            if candidates.is_complete and not is_end_told:
                is_end_told = True
                await self._say("candidate", candidate=None)
            elif self._connection.session.terminated is not None:
                return
            else:
                await candidates.changed.wait()

    async def _accept_channels(self) -> None:
        async for channel in self._connection.incoming_channels():
            self._watch(channel)

    def _watch(self, channel: DataChannel) -> None:
        self._start(self._report_channel(channel))

    async def _report_channel(self, channel: DataChannel) -> None:
        label = channel.label
        await channel.opened()
        self._channels[label] = channel
        await self._say("channel", label=label, id=channel.id)
        try:
            async for message in channel:
                await self._take(channel, message)
        finally:
            if self._channels.get(label) is channel:  # not a later one of the same name
                del self._channels[label]
        await self._say("channel-closed", label=label)

    async def _take(self, channel: DataChannel, message: bytes | str) -> None:
        if self._options.is_discarding:
            self._tally.add(message)
        elif isinstance(message, str):
            await self._say("message", label=channel.label, text=message)
        else:
            await self._say("message", label=channel.label, base64=base64.b64encode(message).decode())
        if self._options.is_echoing:
            try:
                await channel.send(message)
            except LocalError as error:  # the peer takes no message of this size
                await self._complain(f"echo: {error}")

    async def _summarize(self) -> None:
        loop = asyncio.get_running_loop()
        summed_at = loop.time()
        try:
            while True:
                await asyncio.sleep(SUMMARY_INTERVAL_S)
                now = loop.time()
                await self._writer.write(self._tally.summary(now - summed_at))
                summed_at = now
        finally:
            await self._writer.write(self._tally.summary(max(loop.time() - summed_at, 0.001)))

    async def _notice_broken_output(self) -> None:
        await self._writer.broken.wait()
        self._ending.set()

    # -- the end -------------------------------------------------------------------------------------------------------

    async def _end(self) -> None:
        """Close, let what is still on its way be written, and say how it ended."""
        for task in self._endless_tasks:
            task.cancel()
        cause = self._connection.explain().likely_cause if self._has_failed else ""
        report = self._connection.abort() if self._has_failed else await self._connection.close()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=FLUSH_TIMEOUT_S)
        for task in self._tasks:
            task.cancel()
        await self._media.close()
        reason = "failed" if self._has_failed and report.reason == "aborted" else str(report.reason)
        unacknowledged = report.unacknowledged_bytes
        try:
            async with asyncio.timeout(FLUSH_TIMEOUT_S):
                await self._say(
                    "closed", reason=reason, detail=cause or report.detail, unacknowledged_bytes=unacknowledged
                )
                await self._writer.flush()
        except TimeoutError:
            pass  # nobody reads what we say

    # -- helpers -------------------------------------------------------------------------------------------------------

    def _start(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)
        return task

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        # The end of a channel or of the connection under a task is reported by lines of their own; the rest are bugs.
        if error is not None and not isinstance(error, ChannelClosed | ConnectionLost):
            self._bug = error
            self._ending.set()

    async def _say(self, kind: str, /, **fields: object) -> None:
        await self._writer.write({"type": kind, **fields})

    async def _complain(self, text: str) -> None:
        sentence = " ".join(text.split())
        print(f"sans-rtc peer: {sentence}", file=sys.stderr, flush=True)
        await self._say("error", message=sentence)


_HANDLERS: dict[str, Callable[[PeerScript, Request], Awaitable[None]]] = {
    "offer": PeerScript._on_description,
    "answer": PeerScript._on_description,
    "candidate": PeerScript._on_candidate,
    "create-channel": PeerScript._on_create_channel,
    "send": PeerScript._on_send,
    "close-channel": PeerScript._on_close_channel,
    "restart-ice": PeerScript._on_restart_ice,
    "network-changed": PeerScript._on_network_changed,
    "request-keyframe": PeerScript._on_request_keyframe,
    "stats": PeerScript._on_stats,
    "explain": PeerScript._on_explain,
    "close": PeerScript._on_close,
}
