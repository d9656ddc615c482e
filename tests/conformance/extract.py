"""Extracts the requirements of the RFCs in scope:  python -m tests.conformance.extract --texts FOLDER

FOLDER has the texts, rfc8445.txt or rfc5764.md and so on; they are not in this repository, the extracted sentences
are: rfc-vectors/requirements/sentences, one file each. Nobody edits these by hand.

A requirement is a sentence with a word of RFC 2119 in capitals. Its id is the document, the section, its number within
the section and the start of the hash of the sentence: a reader finds it, and a mark cannot slip to another sentence.
"""

import argparse
import hashlib
import json
import pathlib
import re

from tests.conformance.texts import read_paragraphs

SENTENCES = pathlib.Path(__file__).parents[2] / "rfc-vectors" / "requirements" / "sentences"
DOCUMENTS = {
    "RFC3264": "rfc3264.md",
    "RFC3389": "rfc3389.txt",
    "RFC3550": "rfc3550.txt",
    "RFC3551": "rfc3551.txt",
    "RFC3711": "rfc3711.txt",
    "RFC4566": "rfc4566.txt",
    "RFC4585": "rfc4585.txt",
    "RFC4733": "rfc4733.txt",
    "RFC4960": "rfc4960.txt",
    "RFC5104": "rfc5104.txt",
    "RFC5246": "rfc5246.txt",
    "RFC5389": "rfc5389.md",
    "RFC5506": "rfc5506.md",
    "RFC5576": "rfc5576.md",
    "RFC5761": "rfc5761.md",
    "RFC5763": "rfc5763.md",
    "RFC5764": "rfc5764.md",
    "RFC5888": "rfc5888.md",
    "RFC6184": "rfc6184.txt",
    "RFC6263": "rfc6263.txt",
    "RFC6347": "rfc6347.txt",
    "RFC6525": "rfc6525.txt",
    "RFC7064": "rfc7064.md",
    "RFC7587": "rfc7587.txt",
    "RFC7675": "rfc7675.md",
    "RFC7742": "rfc7742.md",
    "RFC7874": "rfc7874.md",
    "RFC7983": "rfc7983.md",
    "RFC8083": "rfc8083.txt",
    "RFC8108": "rfc8108.txt",
    "RFC8122": "rfc8122.md",
    "RFC8261": "rfc8261.txt",
    "RFC8421": "rfc8421.md",
    "RFC8445": "rfc8445.txt",
    "RFC8656": "rfc8656.txt",
    "RFC8899": "rfc8899.txt",
    "BUNDLE": "draft-ietf-mmusic-sdp-bundle-negotiation-54.md",
    "DATA-CHANNEL": "draft-ietf-rtcweb-data-channel-13.txt",
    "DATA-PROTOCOL": "draft-ietf-rtcweb-data-protocol-09.txt",
    "ICE-PAC": "draft-ietf-ice-pac-03.md",
    "ICE-SDP": "draft-ietf-mmusic-ice-sip-sdp-39.md",
    "IP-HANDLING": "draft-ietf-rtcweb-ip-handling-12.md",
    "JSEP": "draft-ietf-rtcweb-jsep-26.md",
    "MDNS-ICE": "draft-ietf-rtcweb-mdns-ice-candidates-04.md",
    "MSID": "draft-ietf-mmusic-msid-17.md",
    "RENOMINATION": "draft-thatcher-ice-renomination-01.md",
    "RTP-USAGE": "draft-ietf-rtcweb-rtp-usage-26.md",
    "SECURITY": "draft-ietf-rtcweb-security-12.md",
    "TRICKLE": "draft-ietf-ice-trickle-21.md",
    "TURN-REST": "draft-uberti-rtcweb-turn-rest-00.md",
}
# The order is that of strength: a sentence counts as the strongest it says, the first in the text of equals.
STRICT = ("MUST NOT", "SHALL NOT", "MUST", "SHALL", "REQUIRED")
ADVISED = ("NOT RECOMMENDED", "SHOULD NOT", "SHOULD", "RECOMMENDED")
_KEYWORD = re.compile(r"\b(" + "|".join((*STRICT[:2], *ADVISED[:2], *STRICT[2:], *ADVISED[2:])) + r")\b")
_BOILERPLATE = re.compile(r"\"(MUST|SHALL)\"|\"REQUIRED\"|\bkey words?\b.*\b2119\b")
_END = re.compile(
    r"(?<![ (.]e\.g\.)(?<![ (.]i\.e\.)(?<! vs\.)(?<! al\.)(?<! etc\.)(?<! Sec\.)(?<=[.!?])[\")\]]?\s+(?=[A-Z\"(\[])"
)


def split_sentences(paragraph):
    """The sentences of one paragraph."""
    return [sentence.strip() for sentence in _END.split(paragraph) if sentence.strip()]


def find_level(sentence):
    """The strongest word of RFC 2119 in a sentence, or None."""
    words = _KEYWORD.findall(sentence)
    strict = [word for word in words if word in STRICT]
    return (strict or words or [None])[0]


def hash_sentence(sentence):
    """Eight hexadecimal digits of the sentence in small letters with single spaces."""
    return hashlib.sha256(" ".join(sentence.lower().split()).encode()).hexdigest()[:8]


def extract(document, text, *, is_markdown):
    """The requirements of one document, in order, as dictionaries ready for JSON."""
    found, counts = [], {}
    for paragraph in read_paragraphs(text, is_markdown=is_markdown):
        for sentence in split_sentences(paragraph.text):
            level = find_level(sentence)
            if level is None or _BOILERPLATE.search(sentence):
                continue
            counts[paragraph.section] = number = counts.get(paragraph.section, 0) + 1
            digest = hash_sentence(sentence)
            found.append(
                {
                    "id": make_id(document, paragraph.section, number, digest),
                    "section": paragraph.section,
                    "level": level,
                    "sentence": sentence,
                    "hash": digest,
                }
            )
    return found


def make_id(document, section, number, digest):
    """For example RFC8445-7.2.2-3-1f3a."""
    return f"{document}-{section}-{number}-{digest[:4]}"


def main():
    """Write one file for each document; the status is 1 where a text is missing."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.extract", description="Extract requirements.")
    parser.add_argument("--texts", type=pathlib.Path, required=True, help="the folder with the texts")
    folder = parser.parse_args().texts
    for document, name in DOCUMENTS.items():
        text = (folder / name).read_text(encoding="utf-8", errors="replace")
        requirements = extract(document, text, is_markdown=name.endswith(".md"))
        write(SENTENCES / f"{document}.json", requirements)
        print(f"{document:14} {len(requirements):4} requirements")
    return 0


def write(path, requirements):
    """One requirement a line, so that a difference is easy to read."""
    rows = ",\n".join(json.dumps(requirement, ensure_ascii=False) for requirement in requirements)
    path.write_text(f"[\n{rows}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
