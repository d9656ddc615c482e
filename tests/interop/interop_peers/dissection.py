"""tshark as a second opinion: bare messages of one protocol go into a capture, fields come out."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from interop_peers.processes import Missing

_FILE_HEADER: Final = struct.Struct("<IHHiIII")
_PACKET_HEADER: Final = struct.Struct("<IIII")
_LINKTYPE_USER0: Final = 147
LINKTYPE_SCTP: Final = 248


def write_capture(path: Path, messages: Sequence[bytes], linktype: int = _LINKTYPE_USER0) -> Path:
    """A capture with nothing around the messages."""
    blocks = [_FILE_HEADER.pack(0xA1B2C3D4, 2, 4, 0, 0, 65535, linktype)]
    for number, message in enumerate(messages):
        blocks += [_PACKET_HEADER.pack(number, 0, len(message), len(message)), message]
    path.write_bytes(b"".join(blocks))
    return path


def fields_of(capture: Path, names: Sequence[str], *options: str) -> list[list[list[str]]]:
    """For each packet, for each name, every value of that field that tshark finds."""
    tshark = shutil.which("tshark")
    if tshark is None:
        raise Missing("no tshark")
    asked = [part for name in names for part in ("-e", name)]
    command = [tshark, "-n", "-r", str(capture), "-T", "fields", "-E", "aggregator=;", *options, *asked]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    return [[value.split(";") if value else [] for value in row] for row in rows]


def dissect(
    directory: Path, protocol: str, messages: Sequence[bytes], names: Sequence[str], *options: str
) -> list[list[list[str]]]:
    """The fields of bare messages of a protocol, by tshark's name for it."""
    capture = write_capture(directory / "messages.pcap", messages)
    mapping = f'uat:user_dlts:"User 0 (DLT=147)","{protocol}","0","","0",""'
    return fields_of(capture, names, "-o", mapping, *options)
