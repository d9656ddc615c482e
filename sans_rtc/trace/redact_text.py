"""Descriptions and candidates with addresses, credentials and names replaced; what is left says what was agreed.

A line or attribute that is not known to be harmless is not kept: of `a=secret:something` stays `a=secret:xxxxxxxxx`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sans_rtc.trace.aliases import Aliases

# Attributes that say how to talk and nothing of who talks.
_KEPT_ATTRIBUTES: Final = frozenset(
    {
        "bundle-only", "end-of-candidates", "extmap", "extmap-allow-mixed", "group", "ice-lite", "ice-options",
        "inactive", "max-message-size", "maxptime", "mid", "msid-semantic", "ptime", "recvonly", "rtcp-fb", "rtcp-mux",
        "rtcp-mux-only", "rtcp-rsize", "rtpmap", "sctp-port", "sctpmap", "sendonly", "sendrecv", "setup", "simulcast",
    }
)  # fmt: skip
_KEPT_LINES: Final = frozenset("vtmbrz")
_KEPT_EXTENSIONS: Final = frozenset({"generation", "network-id", "network-cost", "tcptype", "typ", "rport"})
# A parameter of a codec is a number or a word; what is longer may be a picture's parameter sets.
_PARAMETER_CHARS_MAX: Final = 24
_CANDIDATE_TOKENS_MIN: Final = 6


def redact_sdp(text: str, aliases: Aliases) -> str:
    """A description, line by line."""
    return "".join([_line(line, aliases) for line in text.splitlines(keepends=True)])


def redact_candidate(text: str, aliases: Aliases) -> str:
    """A candidate: "candidate:...", with or without "a=" before it."""
    tokens = text.split(" ")
    if len(tokens) < _CANDIDATE_TOKENS_MIN:
        return aliases.text("candidate", text)
    prefix, colon, foundation = tokens[0].rpartition(":")
    tokens[0] = prefix + colon + aliases.text("foundation", foundation)
    tokens[4] = aliases.host(tokens[4])
    for index in range(6, len(tokens) - 1, 2):
        name, value = tokens[index], tokens[index + 1]
        tokens[index + 1] = redact_extension(name, value, aliases)
    return " ".join(tokens)


def redact_extension(name: str, value: str, aliases: Aliases) -> str:
    """The value of a candidate's attribute by its name."""
    if name == "raddr":
        return aliases.host(value)
    return value if name in _KEPT_EXTENSIONS else aliases.text(name or "value", value)


def _line(line: str, aliases: Aliases) -> str:
    content = line.rstrip("\r\n")
    end, kind = line[len(content) :], content[:1]
    if kind in _KEPT_LINES:
        return line
    if kind == "o":
        return _origin(content, aliases) + end
    if kind == "c":
        return _with_last_host(content, aliases) + end
    if kind == "a":
        return f"a={_attribute(content[2:], aliases)}{end}"
    return content[:2] + _filler(content[2:]) + end


def _origin(content: str, aliases: Aliases) -> str:
    parts = content.split(" ")
    if len(parts) != 6:
        return "o=" + _filler(content[2:])
    parts[0] = parts[0] if parts[0] == "o=-" else "o=" + aliases.text("user", parts[0][2:])
    parts[1] = aliases.text("1", parts[1]).replace("x", "0")  # a number, drawn from entropy
    return _with_last_host(" ".join(parts), aliases)


def _with_last_host(content: str, aliases: Aliases) -> str:
    head, space, host = content.rpartition(" ")
    return head + space + aliases.host(host)


def _attribute(content: str, aliases: Aliases) -> str:
    name, colon, value = content.partition(":")
    if name in _KEPT_ATTRIBUTES or not colon:
        return content
    redact = _ATTRIBUTES.get(name)
    return name + colon + (_filler(value) if redact is None else redact(value, aliases))


def _fingerprint(value: str, aliases: Aliases) -> str:
    algorithm, space, digits = value.partition(" ")
    try:
        number = aliases.number("fingerprint", bytes.fromhex(digits.replace(":", "")))
    except ValueError:
        return algorithm + space + _filler(digits)
    return algorithm + space + number.hex(":").upper()


def _rtcp(value: str, aliases: Aliases) -> str:
    return _with_last_host(value, aliases) if " IN " in value else _filler(value)


def _source(value: str, aliases: Aliases) -> str:
    ssrc, _, rest = value.partition(" ")
    name, colon, text = rest.partition(":")
    return " ".join([_ssrc(ssrc, aliases), *([name + colon + aliases.text(name or "a", text)] if rest else [])])


def _source_group(value: str, aliases: Aliases) -> str:
    semantics, *ssrcs = value.split(" ")
    return " ".join([semantics, *[_ssrc(ssrc, aliases) for ssrc in ssrcs]])


def _ssrc(text: str, aliases: Aliases) -> str:
    if not (text.isascii() and text.isdigit() and int(text) < 1 << 32):
        return _filler(text)
    return str(int.from_bytes(aliases.number("ssrc", int(text).to_bytes(4, "big")), "big"))


def _parameters(value: str, aliases: Aliases) -> str:
    """Of a codec: `96 name=value;name=value`."""
    head, space, rest = value.partition(" ")
    pairs = [pair.partition("=") for pair in rest.split(";")]
    return head + space + ";".join(
        [name + equals + (text if len(text) <= _PARAMETER_CHARS_MAX else _filler(text)) for name, equals, text in pairs]
    )  # fmt: skip


def _words(kind: str) -> Callable[[str, Aliases], str]:
    return lambda value, aliases: " ".join([aliases.text(kind, word) for word in value.split(" ")])


def _filler(text: str) -> str:
    return "".join(["x" if character.isalnum() else character for character in text])


_ATTRIBUTES: Final[dict[str, Callable[[str, Aliases], str]]] = {
    "candidate": lambda value, aliases: redact_candidate(value, aliases),
    "ice-ufrag": lambda value, aliases: aliases.text("ufrag", value),
    "ice-pwd": lambda value, aliases: aliases.text("pwd", value),
    "fingerprint": _fingerprint,
    "fmtp": _parameters,
    "msid": _words("msid"),
    "rtcp": _rtcp,
    "rid": lambda value, aliases: value,
    "ssrc": _source,
    "ssrc-group": _source_group,
}
