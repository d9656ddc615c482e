"""Carries descriptions and candidates from one session to another, loopback candidates only."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from interop_peers.session import Session


def _is_loopback(candidate_line: str) -> bool:
    """candidate:FOUNDATION COMPONENT PROTOCOL PRIORITY ADDRESS PORT typ TYPE ..."""
    try:
        return ipaddress.ip_address(candidate_line.split()[4]).is_loopback
    except (IndexError, ValueError):
        return False


def only_loopback(sdp: str) -> str:
    """Drop every candidate of a description that is not on loopback."""
    lines = sdp.splitlines()
    kept = [line for line in lines if not line.startswith("a=candidate:") or _is_loopback(line)]
    return "\r\n".join(kept) + "\r\n"


async def _carry(source: Session, sink: Session) -> None:
    candidate: dict | None = {}
    while candidate is not None:
        candidate = await source.candidates.get()
        if sink.is_closing:
            return
        if candidate is None or _is_loopback(candidate["candidate"]):
            await sink.add_candidate(candidate)


@asynccontextmanager
async def signalling(
    offerer: Session, answerer: Session, *, trickle: bool = True, restart: bool = False, delay_s: float = 0.0
) -> AsyncIterator[None]:
    """Exchange descriptions, and candidates for as long as the block runs.

    The offerer must have a channel already.

    delay_s  how long each description takes
    """
    offer = only_loopback(await offerer.offer(trickle=trickle, restart=restart))
    await asyncio.sleep(delay_s)
    answer = only_loopback(await answerer.answer(offer, trickle=trickle))
    await asyncio.sleep(delay_s)
    await offerer.accept(answer)
    carriers = []
    if trickle:
        carriers = [asyncio.create_task(_carry(*ends)) for ends in ((offerer, answerer), (answerer, offerer))]
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
