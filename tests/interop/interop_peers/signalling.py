"""Carries descriptions and candidates from one session to another, loopback candidates only."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from interop_peers.relay import Relay
from interop_peers.session import Session

Change = Callable[[str], str | None]
"""What becomes of a candidate's line on its way; None: it is dropped."""


def _only_loopback(line: str) -> str | None:
    """candidate:FOUNDATION COMPONENT PROTOCOL PRIORITY ADDRESS PORT typ TYPE ..."""
    try:
        return line if ipaddress.ip_address(line.split()[4]).is_loopback else None
    except (IndexError, ValueError):
        return None


def _changed(sdp: str, change: Change) -> str:
    """Change every candidate of a description."""
    kept = []
    for line in sdp.splitlines():
        if line.startswith("a=candidate:"):
            changed = change(line.removeprefix("a="))
            if changed is not None:
                kept.append("a=" + changed)
        else:
            kept.append(line)
    return "\r\n".join(kept) + "\r\n"


def only_loopback(sdp: str) -> str:
    """Drop every candidate of a description that is not on loopback."""
    return _changed(sdp, _only_loopback)


async def _carry(source: Session, sink: Session, change: Change) -> None:
    candidate: dict | None = {}
    while candidate is not None:
        candidate = await source.candidates.get()
        if sink.is_closing:
            return
        if candidate is None:
            await sink.add_candidate(None)
        elif (line := change(candidate["candidate"])) is not None:
            await sink.add_candidate({**candidate, "candidate": line})


@asynccontextmanager
async def signalling(
    offerer: Session,
    answerer: Session,
    *,
    trickle: bool = True,
    restart: bool = False,
    delay_s: float = 0.0,
    relay: Relay | None = None,
) -> AsyncIterator[None]:
    """Exchange descriptions, and candidates for as long as the block runs.

    The offerer must have a channel or media already.

    delay_s  how long each description takes
    relay    what the peers send each other goes through it
    """
    of_offerer = of_answerer = _only_loopback
    if relay is not None:
        of_offerer = lambda line: relay.redirect(line, is_offerers=True)  # noqa: E731
        of_answerer = lambda line: relay.redirect(line, is_offerers=False)  # noqa: E731
    offer = _changed(await offerer.offer(trickle=trickle, restart=restart), of_offerer)
    await asyncio.sleep(delay_s)
    answer = _changed(await answerer.answer(offer, trickle=trickle), of_answerer)
    await asyncio.sleep(delay_s)
    await offerer.accept(answer)
    carriers = []
    if trickle:
        ends = ((offerer, answerer, of_offerer), (answerer, offerer, of_answerer))
        carriers = [asyncio.create_task(_carry(*each)) for each in ends]
    try:
        yield
        for carrier in carriers:
            if carrier.done():
                carrier.result()
    finally:
        for carrier in carriers:
            carrier.cancel()
        if carriers:
            await asyncio.wait(carriers)
