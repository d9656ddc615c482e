"""TLS for streams without a socket of its own: ciphertext in and out by memory, failures as sentences for a person.

feed(what arrived) -> plaintext          write(plaintext)
take_output() -> what is to be sent, after either
"""

from __future__ import annotations

import functools
import os
import ssl

from sans_rtc.errors import InvalidArgument

READ_BYTES = 65_536

# X509_V_ERR_..., as `SSLCertVerificationError.verify_code` has them: what is wrong with the certificate.
_CERTIFICATE_FAULTS = {
    2: "is signed by nobody we trust",
    9: "is not valid yet",
    10: "has expired",
    18: "is signed by itself and not trusted",
    19: "is signed by nobody we trust",
    20: "is signed by nobody we trust",
    21: "is signed by nobody we trust",
    23: "has been revoked",
    62: "is for another name",
    64: "is for another address",
}
_OF_ANOTHER = frozenset({62, 64})
# What OpenSSL calls it when the other end does not speak TLS at all.
_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "HTTPS_PROXY_REQUEST"})


class TlsFailure(Exception):
    """The TLS connection has failed; the text is a sentence for a person, without the other end's address."""


def client_context(ca_file: str | os.PathLike[str] | None = None) -> ssl.SSLContext:
    """Make a context that checks servers' certificates, TLS 1.2 and later.

    ca_file  certificates to trust, PEM, in place of the system's
    Errors   InvalidArgument where the file cannot be read or holds none
    """
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else os.fspath(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise InvalidArgument(f"no certificates to trust in {ca_file!r}: {error}") from None
    return _hardened(context)


@functools.cache
def default_client_context() -> ssl.SSLContext:
    """The context with the system's certificates; made once, since loading them takes tens of milliseconds."""
    return client_context()


def server_context(certificate_file: str, key_file: str) -> ssl.SSLContext:
    """Make a context for listening, TLS 1.2 and later. Errors: InvalidArgument where the files do not fit."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate_file, key_file)
    except (OSError, ssl.SSLError) as error:
        raise InvalidArgument(f"no certificate and key in {certificate_file!r}, {key_file!r}: {error}") from None
    return _hardened(context)


def _hardened(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Without renegotiation a write never waits for a read.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    return context


class TlsLayer:
    """One end of a TLS connection."""

    def __init__(self, context: ssl.SSLContext, *, server_name: str | None) -> None:
        """Prepare; `handshake` begins.

        server_name  the name or IP address that the server's certificate must prove; None: this end is the server
        Errors       TlsFailure for a name that cannot be one
        """
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        try:
            self._tls = context.wrap_bio(
                self._incoming, self._outgoing, server_side=server_name is None, server_hostname=server_name
            )
        except (ValueError, TypeError) as error:  # what the idna codec and OpenSSL make of a name that is none
            raise TlsFailure(f"no certificate can be for {server_name!r}: {error}") from None
        self._server_name = server_name or ""
        self.is_established = False
        self.has_ended = False
        """The other end has said that nothing more comes."""

    def handshake(self) -> None:
        """Go on with the handshake as far as what has arrived allows. Errors: TlsFailure."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLError as error:
            raise TlsFailure(_sentence(error, self._server_name)) from None
        self.is_established = True

    def feed(self, data: bytes) -> bytes:
        """Take ciphertext and return all plaintext it completes. Errors: TlsFailure."""
        self._incoming.write(data)
        if not self.is_established:
            self.handshake()
        return self._plaintext() if self.is_established else b""

    def _plaintext(self) -> bytes:
        pieces: list[bytes] = []
        try:
            while piece := self._tls.read(READ_BYTES):
                pieces.append(piece)
            self.has_ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.has_ended = True
        except ssl.SSLError as error:
            raise TlsFailure(_sentence(error)) from None
        return b"".join(pieces)

    def write(self, data: bytes) -> None:
        """Encrypt. Errors: TlsFailure."""
        view = memoryview(data)
        try:
            while view:
                view = view[self._tls.write(view) :]
        except ssl.SSLError as error:
            raise TlsFailure(_sentence(error)) from None

    def end(self) -> None:
        """Say that nothing more comes; the answer to it is not waited for."""
        try:
            self._tls.unwrap()
        except (ssl.SSLError, ValueError):
            pass

    def take_output(self) -> bytes:
        """What is to be sent to the other end; after a failure, the alert that names it."""
        return self._outgoing.read()


def _sentence(error: ssl.SSLError, server_name: str = "") -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        fault = _CERTIFICATE_FAULTS.get(error.verify_code, f"is refused: {error.verify_message}")
        return f"its certificate {fault}{f' than {server_name}' if error.verify_code in _OF_ANOTHER else ''}"
    if error.reason in _NOT_TLS:
        return "what it speaks is not TLS"
    reason = (error.reason or type(error).__name__).replace("_", " ").lower()
    return f"TLS has failed: {reason}"
