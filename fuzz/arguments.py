"""Arguments of verbs, from a script: right, nearly right and wrong."""

from __future__ import annotations

from fuzz.script import Script
from sans_rtc.machine import Address, Path
from sans_rtc.sctp import Reliability

HOSTS = ("10.0.0.1", "10.0.0.2", "192.0.2.2", "fe80::1", "2001:db8::7", "0.0.0.0", "127.0.0.1", "host.local", "", "x y")
NUMBERS = (0, 1, 2, 3, 4, 7, 100, 255, 256, 65_534, 65_535, 65_536, -1, 1 << 31, 1 << 32)
SIZES = (0, 1, 2, 100, 1163, 1200, 2500, 20_000, 70_000, 300_000)


def an_address(script: Script) -> Address:
    """An address, perhaps of no host, or with no port."""
    return Address(script.pick(HOSTS), script.pick((5000, 3478, 9, 1, 0, 65_535)))


def a_number(script: Script) -> int:
    """A number at an edge of something."""
    return script.pick(NUMBERS)


def some_data(script: Script) -> bytes:
    """Data, of any size."""
    return script.blob(64) if script.below(2) else bytes(script.pick(SIZES))


def a_reliability(script: Script) -> Reliability:
    """A promise; InvalidArgument where it is none."""
    return script.pick(
        (
            lambda: Reliability(),
            lambda: Reliability(ordered=False),
            lambda: Reliability(max_retransmits=a_number(script)),
            lambda: Reliability(ordered=False, lifetime_s=a_number(script) / 100),
            lambda: Reliability(max_retransmits=0, lifetime_s=0.1),
        )
    )()


def a_stream(script: Script) -> Path:
    """A path of TCP that somebody may have asked for."""
    return Path(Address(script.pick(HOSTS[:4]), script.below(3)), an_address(script), "tcp", script.below(4))


def altered(sdp: str, script: Script) -> str:
    """A description with a line changed, doubled or left out, or a word of it replaced."""
    lines = sdp.split("\r\n")
    for _ in range(script.below(4)):
        at = script.below(len(lines))
        match script.below(5):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, lines[script.below(len(lines))] if lines else "")
            case 2:
                lines.insert(at, script.text(80))
            case 3:
                head, colon, _ = lines[at].partition(":")
                lines[at] = head + colon + script.text(80)
            case _:
                lines[at] = lines[at].replace(script.text(4) or "0", script.text(8))
        if not lines:
            break
    return "\r\n".join(lines)
