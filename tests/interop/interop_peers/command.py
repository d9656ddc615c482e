"""`sans-rtc peer`, this project's command, behind the interface of the others: as any script would use it."""

from __future__ import annotations

import asyncio
import base64
import json
import sys

from interop_peers.messages import Message, content, digest
from interop_peers.processes import Process
from interop_peers.session import REQUEST_TIMEOUT_S, PeerError, Session

COMMAND = (sys.executable, "-m", "sans_rtc_demo.main", "peer", "--bind", "127.0.0.1")


class CommandSession(Session):
    """One process, started once it is known whether it offers and with which channels."""

    name = "sans-rtc peer"

    def __init__(self) -> None:
        super().__init__()
        self._labels: list[str] = []
        self._process: Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._descriptions: asyncio.Queue[str] = asyncio.Queue()
        self._explanations: asyncio.Queue[str] = asyncio.Queue()
        self._errors: list[str] = []

    async def request(self, do: str, **arguments: object) -> object:
        return await getattr(self, "_on_" + do.replace("-", "_"))(**arguments)

    async def kill(self) -> None:
        assert self._process is not None and self._reader is not None
        await self._process.kill()
        await self._reader

    async def end(self) -> None:
        if self._process is not None:
            await self.kill()

    async def _on_create_channel(self, label: str, **options: object) -> None:
        if self._process is not None:
            self._say("create-channel", label=label)
        else:
            self._labels.append(label)

    async def _on_offer(self, trickle: bool, restart: bool) -> dict[str, str]:
        labels = [word for label in self._labels for word in ("--channel", label)]
        await self._start("--offer", *labels, *([] if trickle else ["--no-trickle"]))
        return await self._description()

    async def _on_answer(self, sdp: str, trickle: bool) -> dict[str, str]:
        await self._start(*([] if trickle else ["--no-trickle"]))
        self._say("offer", sdp=sdp)
        return await self._description()

    async def _on_accept(self, sdp: str) -> None:
        self._say("answer", sdp=sdp)

    async def _on_candidate(self, candidate: dict | None) -> None:
        self._say("candidate", **(candidate or {"candidate": None}))

    async def _on_send_all(self, label: str, messages: list[list]) -> None:
        for message in messages:
            data = content(Message(*message))
            encoded = {"text": data} if isinstance(data, str) else {"base64": base64.b64encode(data).decode()}
            self._say("send", label=label, **encoded)
            await self._stdin.drain()

    async def _on_close_channel(self, label: str) -> None:
        self._say("close-channel", label=label)

    async def _on_close(self) -> None:
        self._say("close")

    async def _on_describe(self) -> str:
        assert self._process is not None
        if not self._process.is_running:
            return f"has ended\n{self._process.last_words}"
        self._say("explain")
        return f"{await self._explanations.get()}\nerrors: {self._errors}"

    async def _start(self, *options: str) -> None:
        self._process = await Process.start(self.name, [*COMMAND, *options])
        self._stdin = self._process.stdin
        self._reader = asyncio.create_task(self._read(self._process))

    def _say(self, kind: str, **fields: object) -> None:
        if self._process is None or not self._process.is_running:
            raise PeerError("sans-rtc peer does not run")
        self._stdin.write(json.dumps({"type": kind, **fields}).encode() + b"\n")

    async def _description(self) -> dict[str, str]:
        async with asyncio.timeout(REQUEST_TIMEOUT_S):
            return {"sdp": await self._descriptions.get()}

    async def _read(self, process: Process) -> None:
        while raw := await process.stdout.readline():
            line = json.loads(raw)
            self._take(line.pop("type"), line)

    def _take(self, kind: str, line: dict) -> None:
        match kind:
            case "offer" | "answer":
                self._descriptions.put_nowait(line["sdp"])
            case "explain":
                self._explanations.put_nowait(line["text"])
            case "error":
                self._errors.append(line["message"])
            case "candidate":
                self.on_event({"event": "candidate", "candidate": line if line["candidate"] is not None else None})
            case "state":
                self.on_event({"event": "state", **line})
            case "channel":
                self.on_event({"event": "open", **line})
            case "channel-closed":
                self.on_event({"event": "closed", **line})
            case "message":
                data = line["text"] if "text" in line else base64.b64decode(line["base64"])
                self.on_event({"event": "received", "label": line["label"], "messages": [digest(data)]})
