"""The web server of the demo: the page, and the signalling between the page and its Python peer.

    GET     /                                 the page; its other files by name
    POST    /offer                            {type, sdp} -> {session, type, sdp}
    POST    /sessions/ID/offer                {type, sdp} -> {type, sdp}: more is wanted of a session
    POST    /sessions/ID/candidates           {candidates: [...]}, each an RTCIceCandidateInit
    GET     /sessions/ID/candidates?after=N   -> {candidates, next, complete}, waiting for one to come
    GET     /sessions/ID/explanation          -> {text, likely_cause}
    GET     /sessions/ID/statistics           -> {source, sources, stats}, as the W3C's getStats
    POST    /sessions/ID/source               {source}: where the picture that Python sends comes from
    DELETE  /sessions/ID                      end it
    GET     /metrics                          counters of all sessions, OpenMetrics text

An error is answered with plain text for a person. Nothing here is for the open internet: see `demo_guard`.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus
from importlib.resources import files
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sans_rtc_demo.demo_guard import Guard, RequestRefused, read_body, refused
from sans_rtc_demo.demo_sessions import Sessions
from sans_rtc_net.open_metrics_text import CONTENT_TYPE
from sans_rtc_net.peer_metrics import PeerMetrics

BODY_BYTES_MAX: Final = 65_536

PAGE_FILES: Final[Mapping[str, tuple[str, str]]] = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/demo.css": ("demo.css", "text/css; charset=utf-8"),
    "/demo.js": ("demo.js", "text/javascript; charset=utf-8"),
    "/connection.js": ("connection.js", "text/javascript; charset=utf-8"),
    "/chart.js": ("chart.js", "text/javascript; charset=utf-8"),
    "/panels.js": ("panels.js", "text/javascript; charset=utf-8"),
    "/media.js": ("media.js", "text/javascript; charset=utf-8"),
    "/picture.js": ("picture.js", "text/javascript; charset=utf-8"),
    "/trend.js": ("trend.js", "text/javascript; charset=utf-8"),
    "/favicon.svg": ("favicon.svg", "image/svg+xml"),
}


def make_app(sessions: Sessions, names: Iterable[str] = (), metrics: PeerMetrics | None = None) -> ASGIApp:
    """The demo as an ASGI application.

    sessions  what POST /offer opens its sessions in
    names     host names that the server may be called by, besides addresses and `localhost`
    metrics   what GET /metrics tells; None: there is no such page
    """
    signalling = Signalling(sessions)
    routes = [
        *(Route(path, _page_file(name, media_type)) for path, (name, media_type) in PAGE_FILES.items()),
        Route("/offer", signalling.offer, methods=["POST"]),
        Route("/sessions/{id}/offer", signalling.offer_again, methods=["POST"]),
        Route("/sessions/{id}/candidates", signalling.add_candidates, methods=["POST"]),
        Route("/sessions/{id}/candidates", signalling.candidates, methods=["GET"]),
        Route("/sessions/{id}/explanation", signalling.explanation, methods=["GET"]),
        Route("/sessions/{id}/statistics", signalling.statistics, methods=["GET"]),
        Route("/sessions/{id}/source", signalling.choose_source, methods=["POST"]),
        Route("/sessions/{id}", signalling.end, methods=["DELETE"]),
    ]
    if metrics is not None:
        routes.append(Route("/metrics", _metrics_page(metrics)))
    handlers = {RequestRefused: _on_refused, HTTPException: _on_http_error}
    return Guard(Starlette(routes=routes, exception_handlers=handlers), names)


class Signalling:
    """The requests of the page that concern its connection."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def offer(self, request: Request) -> Response:
        """Answer the page's offer with a session of its own."""
        session, answer = await self._sessions.open(_offer(await _json_object(request)))
        return JSONResponse({"session": session.id, "type": "answer", "sdp": answer}, HTTPStatus.CREATED)

    async def offer_again(self, request: Request) -> Response:
        """Answer another offer of a page: it adds audio and video once it is connected."""
        session = self._sessions.find(request.path_params["id"])
        answer = await session.answer(_offer(await _json_object(request)))
        return JSONResponse({"type": "answer", "sdp": answer})

    async def add_candidates(self, request: Request) -> Response:
        """Take candidates of the page."""
        session = self._sessions.find(request.path_params["id"])
        await session.add_candidates(_candidates(await _json_object(request)))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def candidates(self, request: Request) -> Response:
        """Give our candidates that the page does not have yet."""
        session = self._sessions.find(request.path_params["id"])
        after = request.query_params.get("after", "0")
        if not (after.isascii() and after.isdigit() and len(after) < 6):
            raise RequestRefused(HTTPStatus.BAD_REQUEST, "after must be a number.")
        rows, is_complete = await session.local_candidates(int(after))
        candidates = [row.as_dict() for row in rows]
        return JSONResponse({"candidates": candidates, "next": int(after) + len(rows), "complete": is_complete})

    async def explanation(self, request: Request) -> Response:
        """Give what the Python peer says about itself."""
        return JSONResponse(self._sessions.explain(request.path_params["id"]))

    async def statistics(self, request: Request) -> Response:
        """Give what the Python peer counts."""
        return JSONResponse(self._sessions.find(request.path_params["id"]).statistics())

    async def choose_source(self, request: Request) -> Response:
        """Let Python send a picture from another source."""
        session = self._sessions.find(request.path_params["id"])
        session.choose_source((await _json_object(request)).get("source"))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def end(self, request: Request) -> Response:
        """End the session of a page that is left."""
        await self._sessions.close(request.path_params["id"])
        return Response(status_code=HTTPStatus.NO_CONTENT)


def _page_file(name: str, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    content = (files("sans_rtc_demo") / "page" / name).read_bytes()

    async def page_file(request: Request) -> Response:
        return Response(content, media_type=media_type)

    return page_file


def _metrics_page(metrics: PeerMetrics) -> Callable[[Request], Awaitable[Response]]:
    async def metrics_page(request: Request) -> Response:
        return Response(metrics.render(), media_type=CONTENT_TYPE)

    return metrics_page


async def _json_object(request: Request) -> dict[str, object]:
    body = await read_body(request, BODY_BYTES_MAX)
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestRefused(HTTPStatus.BAD_REQUEST, "The body is not JSON.") from error
    if not isinstance(value, dict):
        raise RequestRefused(HTTPStatus.BAD_REQUEST, "The body must be a JSON object.")
    return value


def _offer(body: Mapping[str, object]) -> str:
    sdp = body.get("sdp")
    if body.get("type") != "offer" or not isinstance(sdp, str):
        raise RequestRefused(HTTPStatus.BAD_REQUEST, 'The body must be {"type": "offer", "sdp": "..."}.')
    return sdp


def _candidates(body: Mapping[str, object]) -> list[dict[str, object]]:
    rows = body.get("candidates")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise RequestRefused(HTTPStatus.BAD_REQUEST, 'The body must be {"candidates": [{...}, ...]}.')
    return rows


async def _on_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestRefused)
    return refused(error)


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return PlainTextResponse(f"{error.detail}\n", status_code=error.status_code, headers=error.headers)
