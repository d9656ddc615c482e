"""What every request of the demo passes first: its host, its origin, its size; and the headers every answer carries.

The server listens on one machine for the person in front of it. The browser of that person also runs the pages of
strangers, and these may try two things: send requests across origins, or point a name of their own at 127.0.0.1 (DNS
rebinding) so that their page counts as the same origin. The first is refused by `Origin` and `Sec-Fetch-Site`, the
second by `Host`: a rebound request carries the stranger's name there, never an address.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    # An isolated page gets the fine clock, so that round trips below a millisecond can be told apart.
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
}

OWN_FETCH_SITES = frozenset({"same-origin", "none"})


class RequestRefused(Exception):
    """A request that gets an answer of 4xx or 5xx; the text is for the person who sent it."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Guard:
    """ASGI middleware: refuses requests of strangers and adds the security headers to every answer.

    names  host names that may stand in `Host` besides IP addresses and `localhost`
    """

    def __init__(self, app: ASGIApp, names: Iterable[str] = ()) -> None:
        self._app = app
        self._names = frozenset({"localhost", *(name.lower() for name in names)})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection; anything but HTTP is closed unanswered."""
        if scope["type"] != "http":
            return
        send = _with_security_headers(send)
        refusal = self._refusal(Headers(scope=scope), scope)
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            await refused(refusal)(scope, receive, send)

    def _refusal(self, headers: Headers, scope: Scope) -> RequestRefused | None:
        host = headers.get("host", "")
        if not is_own_host(host, self._names):
            text = "This demo answers at an IP address or at localhost only. Start it with --host NAME to use a name."
            return RequestRefused(HTTPStatus.MISDIRECTED_REQUEST, text)
        origin = headers.get("origin")
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            return RequestRefused(HTTPStatus.FORBIDDEN, "Requests of other pages are refused.")
        is_visit = scope["method"] == "GET" and headers.get("sec-fetch-mode") == "navigate"
        if not is_visit and headers.get("sec-fetch-site", "none") not in OWN_FETCH_SITES:
            return RequestRefused(HTTPStatus.FORBIDDEN, "Requests of other pages are refused.")
        return None


def is_own_host(host: str, names: frozenset[str]) -> bool:
    """Whether a `Host` header (name or address, with or without a port) can be ours and not a rebound name."""
    name, _, port = host.rpartition(":") if not host.endswith("]") and ":" in host else (host, "", "")
    if port and not (port.isascii() and port.isdigit()):
        return False
    if name.lower() in names:
        return True
    try:
        ipaddress.ip_address(name[1:-1] if name.startswith("[") and name.endswith("]") else name)
    except ValueError:
        return False
    return True


async def read_body(request: Request, bytes_max: int) -> bytes:
    """Read a JSON body of at most `bytes_max` bytes; RequestRefused when it is larger or says it is something else."""
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise RequestRefused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body must be application/json.")
    too_large = RequestRefused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body may have at most {bytes_max} bytes.")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > bytes_max:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > bytes_max:
            raise too_large
    return bytes(body)


def refused(refusal: RequestRefused) -> PlainTextResponse:
    """The answer to a refused request."""
    return PlainTextResponse(f"{refusal.text}\n", status_code=refusal.status)


def _with_security_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(SECURITY_HEADERS)
        await send(message)

    return send_with_headers
