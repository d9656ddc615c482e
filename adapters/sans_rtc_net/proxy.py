"""HTTP CONNECT (RFC 9110 section 9.3.6): the few lines that make a proxy carry a TCP connection to a server behind it.

    CONNECT 192.0.2.1:443 HTTP/1.1  -->
    <--  HTTP/1.1 200 whatever      then the connection is the server's

What the proxy answers is untrusted: bounded in length, and only its status line is looked at.
"""

from __future__ import annotations

import base64
import re
from ipaddress import ip_address, ip_network
from urllib.parse import unquote, urlsplit

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc.machine import Address

DEFAULT_PROXY_PORT = 8080
# A proxy may show a page with its refusal, but that is no part of the header.
HEADER_BYTES_MAX = 8192
# Of the proxy's own words, what is repeated to a person.
PHRASE_CHARACTERS_MAX = 80

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: ([^\r\n]*))?\r?\n")


@attrs.frozen(slots=True)
class Proxy:
    """An HTTP proxy that carries TCP and TLS streams by CONNECT; the connection to the proxy itself is not encrypted.

    host, port          an IP address or a name
    username, password  Basic credentials (RFC 7617), sent where `username` is not empty
    exempt              names and addresses that are reached without it, as NO_PROXY has them
    """

    host: str
    port: int = DEFAULT_PROXY_PORT
    username: str = ""
    password: str = attrs.field(default="", repr=False)
    exempt: tuple[str, ...] = ()

    def __attrs_post_init__(self) -> None:
        if not self.host or not 1 <= self.port <= 0xFFFF:
            raise InvalidArgument(f"a proxy has a host and a port, not {self.host!r} and {self.port}")
        if ":" in self.username:
            raise InvalidArgument("the user name of a proxy has no colon (RFC 7617 section 2)")

    def __str__(self) -> str:
        return f"the proxy {Address(self.host, self.port)}"

    def carries(self, remote: Address, server_name: str = "") -> bool:
        """Tell whether connections to this address, known by this name, go through the proxy."""
        return not any(_is_exempt(rule, remote.host.partition("%")[0], server_name) for rule in self.exempt)


def _is_exempt(rule: str, host: str, server_name: str) -> bool:
    if rule == "*":
        return True
    try:
        return ip_address(host) in ip_network(rule, strict=False)
    except ValueError:  # a name: itself and what is below it
        suffix, name = rule.lower().lstrip("."), server_name.lower()
        return bool(suffix) and (name == suffix or name.endswith(f".{suffix}"))


def parse_proxy(url: str) -> Proxy:
    """Take a proxy from a URL, "http://user:password@host:port", where http:// may be left out.

    Errors  InvalidArgument
    """
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidArgument(f"not the URL of a proxy: {error}") from None
    if parts.scheme != "http":
        raise InvalidArgument(f"only http:// proxies (CONNECT) are supported, not {parts.scheme}://")
    if not host or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise InvalidArgument(
            "the URL of a proxy is http://host:port, with user:password@ before the host where needed"
        )
    return Proxy(host, port or DEFAULT_PROXY_PORT, unquote(parts.username or ""), unquote(parts.password or ""))


def connect_request(proxy: Proxy, remote: Address) -> bytes:
    """Make the request for a connection to `remote`."""
    target = str(Address(remote.host.partition("%")[0], remote.port))
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.username:
        credentials = base64.b64encode(f"{proxy.username}:{proxy.password}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {credentials}")
    return "".join([f"{line}\r\n" for line in (*lines, "")]).encode()


class ProxyRefusal(Exception):
    """The proxy does not connect us; the text is a sentence for a person."""


class ConnectResponse:
    """What the proxy answers, collected until its header is whole."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._data = b""

    def feed(self, data: bytes) -> bytes | None:
        """Take what has arrived; return what follows the header once the proxy has agreed, None before.

        Errors  ProxyRefusal
        """
        self._data += data
        end = _header_end(self._data)
        if end < 0 and len(self._data) <= HEADER_BYTES_MAX and b"HTTP/1."[: len(self._data)] == self._data[:7]:
            return None
        match = _STATUS_LINE.match(self._data)
        if match is None or not 0 <= end <= HEADER_BYTES_MAX:
            raise ProxyRefusal(f"{self._proxy} does not answer as an HTTP proxy does")
        status = int(match[1])
        if not 200 <= status <= 299:
            raise ProxyRefusal(self._refusal(status, match[2] or b""))
        return self._data[end:]

    def _refusal(self, status: int, phrase: bytes) -> str:
        if status == 407:
            return (
                f"{self._proxy} refuses the user name or password (407)"
                if self._proxy.username
                else f"{self._proxy} asks for a user name and password (407)"
            )
        text = "".join(char for char in phrase.decode("ascii", "replace") if char.isprintable())
        return f"{self._proxy} refuses to connect: {status} {text[:PHRASE_CHARACTERS_MAX]}".rstrip()


def _header_end(data: bytes) -> int:
    end = data.find(b"\r\n\r\n")
    return end + 4 if end >= 0 else -1


def proxy_from_environment() -> Proxy | None:
    """The proxy that the environment names in HTTPS_PROXY or ALL_PROXY (either case), None where it names none.

    Errors  InvalidArgument for a value that cannot be used
    """
    from urllib.request import getproxies_environment  # costs a tenth of a second to import, and few need it

    proxies = getproxies_environment()
    url = proxies.get("https") or proxies.get("all")
    if not url:
        return None
    exempt = tuple(name.strip() for name in proxies.get("no", "").split(",") if name.strip())
    return attrs.evolve(parse_proxy(url), exempt=exempt)
