"""What stands for what in a redacted recording: the same original has the same replacement, wherever it is.

host addresses    198.18.0.0/15 and 2001:db8::/32, which lead nowhere (RFC 2544, RFC 3849); families are kept
names             name1.local, name2.example
other texts       a letter that says what they were, a number, and `x` up to the length of the original
numbers           numbered in the order in which they are met
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from sans_rtc.machine import Address, Path

# RFC 2544 appendix C.2.2: 198.18.0.0/15 for tests. Its lower half stands for addresses of local networks, the upper for
# public ones, so that one can still tell them; beyond 65,000 hosts the reserved 240.0.0.0/4 (RFC 1112) goes on.
_V4_LOCAL: Final = 0xC6120000
_V4_PUBLIC: Final = 0xC6130000
_V4_MORE: Final = 0xF0000000
_V4_COUNT_MAX: Final = 65_000
# RFC 3849: 2001:db8::/32 for documentation; the third group says whether it was link-local, local or public.
_V6: Final = 0x20010DB8 << 96
_V6_KIND_BITS: Final = 80
_LOCAL_SUFFIX: Final = ".local"
# Shorter ones are found in the midst of words.
_KNOWN_TEXT_CHARS_MIN: Final = 4
_ADDRESS_LIKE: Final = re.compile(r"\d+\.\d+\.\d+\.\d+|[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*")
_NAME_LIKE: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.local\b")
_QUOTED: Final = re.compile(r"'[^']*'|\"[^\"]*\"")


class Aliases:
    """Replaces addresses, names, texts and numbers, each always alike."""

    def __init__(self) -> None:
        self._hosts: dict[str, str] = {}
        self._texts: dict[tuple[str, str], str] = {}
        self._numbers: dict[tuple[str, bytes], bytes] = {}
        self._counts: dict[str, int] = {}

    def host(self, host: str) -> str:
        """What stands for an IP address, its zone included, or a name."""
        bare, percent, zone = host.partition("%")
        try:
            parsed = ipaddress.ip_address(bare)
        except ValueError:
            return self._name(host)
        return self._address(parsed) + (percent and percent + self.text("network", zone))

    def packed_host(self, packed: bytes) -> bytes:
        """The same for an address of 4 or 16 bytes."""
        return ipaddress.ip_address(self._address(ipaddress.ip_address(packed))).packed

    def address(self, address: Address) -> Address:
        """The same for an address with its port, which stays."""
        return Address(self.host(address.host), address.port)

    def path(self, path: Path) -> Path:
        """The same for both ends of a path."""
        return Path(self.address(path.local), self.address(path.remote), path.protocol, path.stream)

    def text(self, kind: str, text: str) -> str:
        """What stands for a text of some kind: as long as it was, where the number fits."""
        if not text:
            return text
        alias = self._texts.get((kind, text))
        if alias is None:
            number = f"{kind[0]}{self._count(kind)}"
            alias = self._texts[kind, text] = number.ljust(len(text), "x")
        return alias

    def number(self, kind: str, value: bytes) -> bytes:
        """What stands for an identifier: as many bytes; zero stays zero."""
        if not any(value):
            return value
        alias = self._numbers.get((kind, value))
        if alias is None:
            count = self._count(kind) % (1 << 8 * len(value))
            alias = self._numbers[kind, value] = count.to_bytes(len(value), "big")
        return alias

    def prose(self, text: str) -> str:
        """A sentence with all addresses, quotations and everything that has a replacement already replaced."""
        text = _QUOTED.sub(lambda found: f"'{self.text('quotation', found.group()[1:-1])}'", text)
        text = _NAME_LIKE.sub(lambda found: self.host(found.group()), text)
        text = _ADDRESS_LIKE.sub(self._address_like, text)
        known = [(original, alias) for (_, original), alias in self._texts.items()]
        known += [item for item in self._hosts.items() if not _is_address(item[0])]
        for original, alias in sorted(known, key=lambda item: -len(item[0])):
            if len(original) >= _KNOWN_TEXT_CHARS_MIN:
                text = text.replace(original, alias)
        return text

    def _address_like(self, found: re.Match[str]) -> str:
        return self.host(found.group()) if _is_address(found.group()) else found.group()

    def _address(self, parsed: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
        if parsed.is_unspecified:
            return parsed.compressed
        alias = self._hosts.get(parsed.compressed)
        if alias is None:
            made = self._new_v4(parsed) if parsed.version == 4 else self._new_v6(parsed)
            alias = self._hosts[parsed.compressed] = made.compressed
        return alias

    def _new_v4(self, parsed: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address:
        is_local = parsed.is_private or parsed.is_loopback or parsed.is_link_local
        number = self._count("local host" if is_local else "public host")
        if number > _V4_COUNT_MAX:
            return ipaddress.IPv4Address(_V4_MORE + self._count("further host") % (1 << 28))
        return ipaddress.IPv4Address((_V4_LOCAL if is_local else _V4_PUBLIC) + number)

    def _new_v6(self, parsed: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv6Address:
        kind = 1 if parsed.is_link_local else 2 if parsed.is_private or parsed.is_loopback else 3
        return ipaddress.IPv6Address(_V6 | kind << _V6_KIND_BITS | self._count("IPv6 host"))

    def _name(self, name: str) -> str:
        if not name:
            return name
        alias = self._hosts.get(name)
        if alias is None:
            suffix = _LOCAL_SUFFIX if name.lower().rstrip(".").endswith(_LOCAL_SUFFIX) else ".example"
            alias = self._hosts[name] = f"name{self._count('name')}{suffix}"
        return alias

    def _count(self, kind: str) -> int:
        count = self._counts[kind] = self._counts.get(kind, 0) + 1
        return count


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
