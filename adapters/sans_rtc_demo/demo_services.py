"""What Python does with the channels that the page opens, by label.

echo, messages   every message goes back as it came
download         {"seconds": s} asks for as much as fits into s seconds, ended by the text "end"
upload           whatever comes is counted, reported now and then, and summed up after the text "end"
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from sans_rtc_asyncio import DataChannel

CHUNK_BYTES: Final = 65_536
DOWNLOAD_S_MAX: Final = 10.0
REPORT_EVERY_S: Final = 0.1
END: Final = "end"

Service = Callable[[DataChannel, Callable[[], None]], Awaitable[None]]
"""Serves one channel until it ends; calls its second argument for every message that came."""


async def serve_echo(channel: DataChannel, note_use: Callable[[], None]) -> None:
    """Send every message back."""
    async for message in channel:
        note_use()
        await channel.send(message)


async def serve_download(channel: DataChannel, note_use: Callable[[], None]) -> None:
    """Send as much as fits into the seconds asked for, then END; again for every request."""
    chunk = os.urandom(CHUNK_BYTES)
    async for message in channel:
        note_use()
        ends_at = time.monotonic() + requested_seconds(message)
        while time.monotonic() < ends_at:
            await channel.send(chunk)
        await channel.send(END)


async def serve_upload(channel: DataChannel, note_use: Callable[[], None]) -> None:
    """Count what comes and report it; the first message starts the clock, so its own bytes do not count."""
    byte_count = 0
    started_at = reported_at = 0.0
    async for message in channel:
        note_use()
        now = time.monotonic()
        if started_at == 0.0:
            started_at = reported_at = now
        elif message != END:
            byte_count += len(message)
        if message == END or now - reported_at >= REPORT_EVERY_S:
            reported_at = now
            await channel.send(_report(byte_count, now - started_at, is_done=message == END))


SERVICES: Final[Mapping[str, Service]] = {
    "echo": serve_echo,
    "messages": serve_echo,
    "download": serve_download,
    "upload": serve_upload,
}


def requested_seconds(message: str | bytes) -> float:
    """The seconds in a download request, within bounds; 0.0 when it is not one."""
    try:
        request = json.loads(message)
    except (ValueError, RecursionError):  # not JSON, or deeper than the parser goes
        return 0.0
    seconds = request.get("seconds") if isinstance(request, dict) else None
    if not isinstance(seconds, int | float) or not 0.0 < seconds <= DOWNLOAD_S_MAX:
        return 0.0
    return float(seconds)


def _report(byte_count: int, seconds: float, *, is_done: bool) -> str:
    return json.dumps({"bytes": byte_count, "seconds": seconds, "done": is_done})
