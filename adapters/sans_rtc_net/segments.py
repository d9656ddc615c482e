"""Which datagrams can leave in one system call, and how a coalesced one comes apart (UDP GSO and GRO, Linux).

send      [1200][1200][1200][700] of one path -> one sendmsg with UDP_SEGMENT 1200; the kernel cuts
receive   one recvmsg of 4300 bytes with UDP_GRO 1200 -> [1200][1200][1200][700]
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Sequence

from sans_rtc.machine import Datagram
from sans_rtc_net.options import SOL_UDP, UDP_GRO, UDP_SEGMENT

# linux/udp.h UDP_MAX_SEGMENTS was 64 before 6.9; and one call carries one IP datagram's worth: 65,535 less headers.
SEGMENT_COUNT_MAX = 64
RUN_BYTES_MAX = 65_000

_SEGMENT_SIZE = struct.Struct("=H")


def run_end(datagrams: Sequence[Datagram], start: int) -> int:
    """Return where the run that starts here ends: datagrams of one path, equal in size, the last one maybe smaller.

    datagrams  in sending order
    start      index of the run's first datagram
    """
    head = datagrams[start]
    size = len(head.data)
    end = start + 1
    # No other datagram is as large as one that asks for the path's MTU, so none follows another as an equal.
    if not size or head.dont_fragment:
        return end
    limit = min(len(datagrams), start + min(SEGMENT_COUNT_MAX, RUN_BYTES_MAX // size))
    path, ecn = head.path, head.ecn
    while end < limit:
        datagram = datagrams[end]
        if (datagram.path is not path and datagram.path != path) or datagram.ecn != ecn:
            return end
        length = len(datagram.data)
        if length != size:
            return end + 1 if 0 < length < size else end
        end += 1
    return end


def segment_control(size: int) -> tuple[int, int, bytes]:
    """The ancillary item that makes the kernel cut a buffer every `size` bytes."""
    return SOL_UDP, UDP_SEGMENT, _SEGMENT_SIZE.pack(size)


def coalesced_size(data: bytes) -> int:
    """Read the segment size from the data of a UDP_GRO ancillary item, an int of the machine's order."""
    return int.from_bytes(data[:4], sys.byteorder)


def split(data: bytes, size: int) -> list[bytes]:
    """Cut what the kernel coalesced; the last piece may be smaller."""
    return [data[start : start + size] for start in range(0, len(data), size)]


__all__ = ["UDP_GRO", "coalesced_size", "run_end", "segment_control", "split"]
