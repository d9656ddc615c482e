"""Format parameters, the text behind the payload type in `a=fmtp` (RFC 8866 section 6.15).

Most formats write `name=value;name=value`. Names are compared without regard to case (RFC 4855 section 3), white space
around them is ignored. A format states its numeric parameters as rows of a table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from sans_rtc.errors import InvalidArgument, Malformed

# An H.264 line of a browser has 3 parameters, the registration of H.265 about 40. sprop-parameter-sets may be long.
PARAMETER_COUNT_MAX = 64
PARAMETERS_CHARACTERS_MAX = 8192


def parse_parameters(text: str) -> dict[str, str]:
    """Names in lower case to values, in the order of the text; a bare name has ""; of repeated names the first counts.

    Errors   Malformed: too long, too many
    """
    if len(text) > PARAMETERS_CHARACTERS_MAX:
        raise Malformed(f"format parameters of {len(text)} characters", field="fmtp")
    parts = text.split(";")
    if len(parts) > PARAMETER_COUNT_MAX:
        raise Malformed(f"{len(parts)} format parameters", field="fmtp")
    parameters: dict[str, str] = {}
    for part in parts:
        name, _, value = part.partition("=")
        name = name.strip().lower()
        if name:
            parameters.setdefault(name, value.strip())
    return parameters


def serialize_parameters(parameters: Mapping[str, str]) -> str:
    """`name=value;name=value`, without the space behind the semicolon, as browsers write it."""
    return ";".join(f"{name}={value}" if value else name for name, value in parameters.items())


@attrs.frozen(slots=True)
class IntegerParameter:
    """One numeric parameter of a format: name in the text, range, and the value that its absence means."""

    name: str
    least: int
    most: int
    default: int | None = None

    @property
    def attribute(self) -> str:
        """The name of the field that holds it."""
        return self.name.replace("-", "_")


def parse_integers(parameters: Mapping[str, str], rows: Sequence[IntegerParameter]) -> dict[str, int | None]:
    """The numbers of these rows by attribute name; Malformed for one that is no number or out of its range."""
    return {row.attribute: _parse_integer(parameters, row) for row in rows}


def serialize_integers(values: object, rows: Sequence[IntegerParameter]) -> dict[str, str]:
    """The parameters that differ from their defaults, read from the attributes of `values`."""
    texts: dict[str, str] = {}
    for row in rows:
        value = getattr(values, row.attribute)
        if value != row.default:
            texts[row.name] = str(value)
    return texts


def check_integers(values: object, rows: Sequence[IntegerParameter]) -> None:
    """Refuse numbers out of the range of their rows, InvalidArgument."""
    for row in rows:
        value = getattr(values, row.attribute)
        if value is not None and not row.least <= value <= row.most:
            raise InvalidArgument(f"{row.name} is {row.least} to {row.most}, not {value}")


def _parse_integer(parameters: Mapping[str, str], row: IntegerParameter) -> int | None:
    text = parameters.get(row.name)
    if text is None:
        return row.default
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise Malformed(f"{row.name} is not a number: {text[:40]!r}", field=row.name)
    value = int(text)
    if not row.least <= value <= row.most:
        raise Malformed(f"{row.name} is {row.least} to {row.most}, not {value}", field=row.name)
    return value


def keep_ours(ours: str, theirs: str) -> str | None:
    """Negotiate a format whose parameters each end declares for itself: the answer says ours, whatever theirs are."""
    parse_parameters(theirs)
    return ours
