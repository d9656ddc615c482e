"""What machines and drivers say to each other of TCP and TLS streams; the driver owns the connection and its TLS.

    machine  -- StreamNeeded(path) -->  driver       open it
    machine  <-- stream_opened(path) -- driver       it is open; or somebody has connected to a listening socket of ours
    machine  <-- receive(Datagram) ---- driver       a piece of the stream, cut anywhere
    machine  -- Datagram(frame, path) -> driver      a whole frame: written whole, or where too much waits, dropped
    machine  -- StreamUnneeded(path) -> driver       write what waits, then close
    machine  <-- stream_closed(path) -- driver       it has ended, or could not be opened; said once, unless unneeded

A stream's name is its `Path`. Machines that use streams have the verbs `stream_opened(path, now)` and
`stream_closed(path, reason, now)`, where `reason` is a sentence for a person.
"""

from __future__ import annotations

import attrs

from sans_rtc.machine import Path


@attrs.define(slots=True)
class StreamNeeded:
    """Open a connection from `path.local.host` (any port where its port is 0) to `path.remote`.

    path         `protocol` "tcp" or "tls"
    server_name  with "tls": the name that the certificate must prove (RFC 9525); empty: that of the address
    """

    path: Path
    server_name: str = ""


@attrs.define(slots=True)
class StreamUnneeded:
    """Write out what was taken and close the connection; nothing more of it is taken or told."""

    path: Path
