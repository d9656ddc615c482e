"""NAL units out of RTP payloads, as RFC 6184 section 5 and RFC 7798 section 4.4 have it alike.

    single        header, rest of the unit
    aggregation   header, size (16), unit, size (16), unit ...
    fragment      header, |S|E| type |, piece of the unit without its header

The two differ in how a header looks and in the numbers of the types: a `PacketLayout`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from sans_rtc.errors import Malformed, Truncated, Unsupported
from sans_rtc.rtp.payload.interface import require_payloads
from sans_rtc.rtp.payload.nal import NAL_UNIT_COUNT_MAX

START, END = 0x80, 0x40


@attrs.frozen(slots=True)
class PacketLayout:
    """How one format lays units out in payloads.

    header_bytes   of every unit and every payload
    header_field   what errors call it
    size_field     what errors call the size of an aggregated unit
    unit_types     types of units; others are those of packets
    ignored_types  types that a receiver leaves out, as if they had not come
    aggregation, fragment  the types of such packets
    type_of        the type in the header of a unit or payload
    fragment_mask  the bits of the fragment's own header that are the unit's type
    unit_header    the header of a fragmented unit: from the payload's header and the unit's type
    """

    header_bytes: int
    header_field: str
    size_field: str
    unit_types: range
    aggregation: int
    fragment: int
    type_of: Callable[[bytes], int]
    fragment_mask: int
    unit_header: Callable[[bytes, int], bytes]
    ignored_types: frozenset[int] = frozenset()

    def depacketize(self, payloads: Sequence[bytes]) -> list[bytes]:
        """The NAL units in the payloads of one access unit. Errors: Truncated, Malformed, Unsupported."""
        require_payloads(payloads)
        units: list[bytes] = []
        pieces: list[bytes] = []  # of the unit whose fragments are coming; its header first
        for payload in payloads:
            if len(payload) < self.header_bytes:
                raise Truncated("a payload without its header", field=self.header_field, offset=0)
            kind = self.type_of(payload)
            if kind in self.ignored_types:
                continue
            if kind == self.fragment:
                if self._add_fragment(payload, pieces):
                    if self.type_of(pieces[0]) not in self.ignored_types:
                        units.append(b"".join(pieces))
                    pieces = []
            elif pieces:
                raise Malformed("the last fragment of a NAL unit is missing", field="FU header")
            elif kind in self.unit_types:
                units.append(payload)
            elif kind == self.aggregation:
                units += self.split_aggregation(payload)
            else:
                raise Unsupported(f"packet type {kind}", field=self.header_field, offset=0)
            if len(units) > NAL_UNIT_COUNT_MAX:
                raise Malformed(f"more than {NAL_UNIT_COUNT_MAX} NAL units", field="NAL unit")
        if pieces:
            raise Malformed("the last fragment of a NAL unit is missing", field="FU header")
        if not units:
            raise Unsupported("nothing but NAL units of reserved types", field=self.header_field, offset=0)
        return units

    def split_aggregation(self, payload: bytes) -> list[bytes]:
        """The NAL units of an aggregation packet, which holds neither fragments nor aggregation packets."""
        units: list[bytes] = []
        offset, end = self.header_bytes, len(payload)
        while offset < end:
            start = offset + 2
            size = int.from_bytes(payload[offset:start], "big")
            offset = start + size
            if start > end or offset > end:
                raise Truncated(f"an aggregated NAL unit of {size} bytes", field=self.size_field, offset=start - 2)
            if size < self.header_bytes:
                raise Malformed("no NAL unit in an aggregation packet", field="NAL unit", offset=start)
            kind = self.type_of(payload[start:])
            if kind in self.unit_types:
                units.append(payload[start:offset])
            elif kind not in self.ignored_types:
                raise Malformed("no NAL unit in an aggregation packet", field="NAL unit", offset=start)
        if end == self.header_bytes:
            raise Truncated("an aggregation packet without NAL units", field="NAL unit", offset=self.header_bytes)
        return units

    def _add_fragment(self, payload: bytes, pieces: list[bytes]) -> bool:
        """Add the fragment, tell whether the unit is complete."""
        at = self.header_bytes
        if len(payload) <= at:
            raise Truncated("a fragment without its header", field="FU header", offset=at)
        flags = payload[at]
        kind = flags & self.fragment_mask
        header = self.unit_header(payload, kind)
        if flags & START:
            if pieces or flags & END:
                raise Malformed("a fragment that starts where none may", field="FU header", offset=at)
            if kind not in self.unit_types and kind not in self.ignored_types:
                raise Malformed(f"a fragmented NAL unit of type {kind}", field="FU header", offset=at)
            pieces.append(header)
        elif not pieces:
            raise Malformed("the first fragment of a NAL unit is missing", field="FU header", offset=at)
        elif pieces[0] != header:
            raise Malformed("fragments of different NAL units", field="FU header", offset=at)
        pieces.append(payload[at + 1 :])
        return bool(flags & END)


def fragment_flags(number: int, last: int) -> int:
    """S of the first piece, E of the last; a unit that is cut has two pieces at least, so never both."""
    return START if number == 0 else END if number == last else 0
