"""ClientHello, ServerHello and EncryptedExtensions of DTLS 1.2 and 1.3, as far as a bystander needs them.

Unlike the parsers of `sans_rtc.dtls`, which refuse what they would not negotiate, these take whatever can be read.
"""

from __future__ import annotations

from typing import Final

import attrs

from sans_rtc.dtls.ciphers import CipherSuite
from sans_rtc.dtls.wire import take_bytes, take_uint, take_vector
from sans_rtc.errors import WireError
from sans_rtc.trace.decoded import Plain
from sans_rtc.trace.records13 import SUITES_13

DTLS_13: Final = 0xFEFC
_VERSIONS: Final = {0xFEFF: "1.0", 0xFEFD: "1.2", DTLS_13: "1.3"}
_SUPPORTED_GROUPS, _USE_SRTP, _SUPPORTED_VERSIONS, _KEY_SHARE = 10, 14, 43, 51
_RANDOM_BYTES: Final = 32
_EXTENSION_COUNT_MAX: Final = 64
# SHA-256 of "HelloRetryRequest": a ServerHello with this random asks for another ClientHello (RFC 8446 section 4.1.3).
_RETRY_RANDOM: Final = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


@attrs.define(slots=True)
class Hello:
    """What a hello says.

    random        32 bytes
    cipher_suite  chosen by a server; 0 of a client
    version       chosen by a server: DTLS_13 or what the legacy field says
    srtp_profile  chosen by a server; None where there is none
    fields        for people
    """

    random: bytes
    cipher_suite: int = 0
    version: int = 0
    srtp_profile: int | None = None
    fields: dict[str, Plain] = attrs.Factory(dict)

    @property
    def is_retry(self) -> bool:
        """The server asks for another ClientHello."""
        return self.random == _RETRY_RANDOM


def parse_client_hello(body: bytes) -> Hello:
    """Read a ClientHello; WireError where it ends too soon."""
    _, offset = take_uint(body, 0, 2, "version")
    random, offset = take_bytes(body, offset, _RANDOM_BYTES, "random")
    _, offset = take_vector(body, offset, 1, "session id")
    cookie, offset = take_vector(body, offset, 1, "cookie")
    suites, offset = take_vector(body, offset, 2, "cipher suites")
    _, offset = take_vector(body, offset, 1, "compression methods")
    hello = Hello(random, fields={"random": random.hex()})
    if cookie:
        hello.fields["cookie_bytes"] = len(cookie)
    hello.fields["cipher_suites"] = [suite_name(number) for number in _numbers(suites)]
    _read_extensions(body, offset, hello, is_client=True)
    return hello


def parse_server_hello(body: bytes) -> Hello:
    """Read a ServerHello or HelloRetryRequest; WireError where it ends too soon."""
    version, offset = take_uint(body, 0, 2, "version")
    random, offset = take_bytes(body, offset, _RANDOM_BYTES, "random")
    _, offset = take_vector(body, offset, 1, "session id")
    suite, offset = take_uint(body, offset, 2, "cipher suite")
    hello = Hello(random, suite, version, fields={"random": random.hex(), "cipher_suite": suite_name(suite)})
    _read_extensions(body, offset + 1, hello, is_client=False)
    hello.fields["version"] = _VERSIONS.get(hello.version, f"{hello.version:04x}")
    return hello


def parse_encrypted_extensions(body: bytes) -> Hello:
    """Read what a server of DTLS 1.3 says under encryption: the SRTP profile among it."""
    hello = Hello(b"")
    _read_extensions(body, 0, hello, is_client=False)
    return hello


def suite_name(number: int) -> str:
    """The name of a cipher suite, or its number."""
    if number in SUITES_13:
        return SUITES_13[number].name
    return CipherSuite(number).name if number in tuple(CipherSuite) else f"{number:#06x}"


def _numbers(data: bytes) -> list[int]:
    return [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data) - 1, 2)]


def _read_extensions(body: bytes, offset: int, hello: Hello, *, is_client: bool) -> None:
    if offset >= len(body):
        return
    extensions, _ = take_vector(body, offset, 2, "extensions")
    kinds: list[Plain] = []
    at = 0
    while (
        at < len(extensions) and len(kinds) < _EXTENSION_COUNT_MAX
    ):  # each round takes an extension's 4 bytes at least
        kind, at = take_uint(extensions, at, 2, "extension type")
        value, at = take_vector(extensions, at, 2, "extension")
        kinds.append(kind)
        try:
            _read_extension(kind, value, hello, is_client=is_client)
        except WireError as error:
            hello.fields[f"extension_{kind}"] = f"malformed: {error}"
    hello.fields["extensions"] = kinds


def _read_extension(kind: int, value: bytes, hello: Hello, *, is_client: bool) -> None:
    if kind == _USE_SRTP:
        profiles = _numbers(take_vector(value, 0, 2, "profiles")[0])
        hello.fields["srtp_profiles" if is_client else "srtp_profile"] = list[Plain](profiles)
        if not is_client and profiles:
            hello.srtp_profile = profiles[0]
    elif kind == _SUPPORTED_VERSIONS and is_client:
        versions = _numbers(take_vector(value, 0, 1, "versions")[0])
        hello.fields["versions"] = [_VERSIONS.get(version, f"{version:04x}") for version in versions]
    elif kind == _SUPPORTED_VERSIONS:
        hello.version = take_uint(value, 0, 2, "version")[0]
    elif kind == _SUPPORTED_GROUPS:
        hello.fields["groups"] = list[Plain](_numbers(take_vector(value, 0, 2, "groups")[0]))
    elif kind == _KEY_SHARE and not is_client:
        hello.fields["key_share"] = take_uint(value, 0, 2, "group")[0]
