"""From a recording to a capture that Wireshark opens decrypted, and to the key log.

interface 0, LINKTYPE_RAW    the datagrams as they were on the wire, IP and UDP headers made anew
interface 1, LINKTYPE_SCTP   the SCTP packets out of DTLS, which Wireshark would not look for there
interface 2, upper PDUs      the RTP and RTCP packets out of SRTP, which Wireshark has no keys for
decryption secrets           the key log, before the packets that it opens
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from sans_rtc.machine import Address, Path
from sans_rtc.rtp.wire import is_rtcp
from sans_rtc.trace import pcapng
from sans_rtc.trace.opening import DtlsOpener
from sans_rtc.trace.packets import Packet, packets_of
from sans_rtc.trace.whole import whole
from sans_rtc.trace.wire import Construction, Record, RecordKind, parse_call, parse_construction

_WIRE, _OPENED, _MEDIA = 0, 1, 2
# RFC 5737: addresses for machines that know none.
_NOWHERE: Final = Path(Address("192.0.2.1", 1), Address("192.0.2.2", 2))


def export_pcapng(records: Iterable[Record]) -> Iterator[bytes]:
    """The blocks of a capture, in order. Pieces of TCP and TLS streams are left out."""
    yield pcapng.section_header()
    yield pcapng.interface(pcapng.LINKTYPE_RAW, "datagrams")
    yield pcapng.interface(pcapng.LINKTYPE_SCTP, "SCTP in DTLS")
    yield pcapng.interface(pcapng.LINKTYPE_UPPER_PDU, "RTP in SRTP")
    opener = DtlsOpener()
    offset_s, is_sctp = 0.0, False
    for record in whole(records):
        if record.kind is RecordKind.CONSTRUCTION:
            construction = parse_construction(record)
            offset_s, is_sctp = wall_clock_offset_of(construction), construction.class_name.startswith("sans_rtc.sctp.")
        elif record.kind is RecordKind.KEY_LOG:
            line = record.body.decode("ascii", "replace")
            opener.add_key(line)
            yield pcapng.secrets(f"{line}\n")
        elif record.kind is RecordKind.CALL:
            for packet in packets_of(parse_call(record)):
                if is_sctp:
                    yield _block(_OPENED, packet, packet.data, packet.size, offset_s)
                elif packet.path is None or packet.path.protocol == "udp":
                    yield from _exported(packet, opener, offset_s)


def key_log_of(records: Iterable[Record]) -> list[str]:
    """The lines of the key log, as SSLKEYLOGFILE has them."""
    return [record.body.decode("ascii", "replace") for record in records if record.kind is RecordKind.KEY_LOG]


def wall_clock_offset_of(construction: Construction) -> float:
    """Seconds to add to the times of a recording for Unix time; 0 where it does not say."""
    for value in (*construction.arguments, *construction.named.values()):
        offset = getattr(value, "wall_clock_offset_s", None)
        if isinstance(offset, float | int):
            return float(offset)
    return 0.0


def _exported(packet: Packet, opener: DtlsOpener, offset_s: float) -> Iterator[bytes]:
    path = packet.path or _NOWHERE
    ends = (path.local, path.remote) if packet.is_outgoing else (path.remote, path.local)
    whole = pcapng.udp_packet(*ends, packet.data, packet.size, packet.ecn)
    yield _block(_WIRE, packet, whole, len(whole) + packet.size - len(packet.data), offset_s)
    for opened in opener.open(packet.data, is_outgoing=packet.is_outgoing):
        yield _block(_OPENED, packet, opened, len(opened), offset_s)
    media = opener.open_media(packet.data, is_outgoing=packet.is_outgoing)
    if media is not None:
        pdu = pcapng.upper_pdu("rtcp" if is_rtcp(media) else "rtp", *ends, media)
        yield _block(_MEDIA, packet, pdu, len(pdu), offset_s)


def _block(interface: int, packet: Packet, data: bytes, size: int, offset_s: float) -> bytes:
    return pcapng.packet(interface, packet.now + offset_s, data, size, is_outgoing=packet.is_outgoing)
