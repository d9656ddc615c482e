"""Reads the text of an RFC or a draft, plain or as Markdown, into paragraphs with the section each stands in.

Headers and footers of pages go, a paragraph that a page breaks is joined again, figures and code are left out.
"""

import re

import attrs

_PAGE_FURNITURE = re.compile(r"^(RFC \d+ {3,}.*\d{4}|Internet-Draft {3,}.*\d{4}|\S.*\[Page \d+\])$")
_FIGURE = re.compile(r"\+-[-+]|\+--|--+>|<--|^\s*\||\s\|\s|^\s*[-=_]{4,}$|\. \. \.|\.{4,}")
_TITLE = r"(?P<number>(?:\d+|[A-Z])(?:\.\d+)*)(?:[.:]|(?= ))(?: -)?\s+(?P<title>[A-Za-z\"].*)"
_PLAIN_HEADING = re.compile(rf"^(?:Appendix )?{_TITLE}$")
_MARKDOWN_HEADING = re.compile(rf"^#+ (?:Appendix )?{_TITLE}$")
_BULLET = re.compile(r"^\s*(?:[o*-]|\d+[.)]|[A-Z]\)|\(?[a-z]\))\s+(?=\S)")


@attrs.frozen(slots=True)
class Paragraph:
    """One paragraph or one item of a list, its lines joined."""

    section: str
    text: str


def read_paragraphs(text, *, is_markdown):
    """All paragraphs in order; what stands before the first numbered heading is left out."""
    lines = _markdown_lines(text) if is_markdown else _plain_lines(text)
    heading = _MARKDOWN_HEADING if is_markdown else _PLAIN_HEADING
    paragraphs, section, collected = [], "", []

    def finish():
        if section and collected:
            paragraphs.append(Paragraph(section, " ".join(" ".join(collected).split())))
        collected.clear()

    for line in lines:
        match = heading.match(line)
        if match:
            finish()
            section = match["number"]
        elif not line.strip() or _FIGURE.search(line):
            finish()
        else:
            if _BULLET.match(line):
                finish()
            collected.append(_BULLET.sub("", line))
    finish()
    return paragraphs


def _markdown_lines(text):
    """The lines outside of code blocks."""
    is_code = False
    for line in text.splitlines():
        if line.startswith("```"):
            is_code = not is_code
        elif not is_code:
            yield line


def _plain_lines(text):
    """The lines without what belongs to pages; a paragraph goes on over the end of its page."""
    lines, is_page_break = [], False
    for line in text.replace("\f", "\n").splitlines():
        if _PAGE_FURNITURE.match(line.rstrip()):
            is_page_break = True
            while lines and not lines[-1].strip():
                lines.pop()
        elif is_page_break and not line.strip():
            continue
        else:
            if is_page_break and not _goes_on(lines, line):
                lines.append("")
            is_page_break = False
            lines.append(line.rstrip())
    return lines


def _goes_on(lines, line):
    """Whether `line`, the first of a page, belongs to the paragraph at the end of the page before."""
    return bool(lines) and not lines[-1].rstrip().endswith((".", ":", ";", ")")) and line.startswith(" ")
