"""Sentences are taken out of texts as they stand there, over lines and pages."""

from tests.conformance.extract import extract, find_level, hash_sentence, split_sentences

PLAIN = """
Network Working Group                                       A. Author
Request for Comments: 1                                 November 2000

Table of Contents

   1.  Introduction . . . . . . . . . . . . . . . . . . . . . . . .   2

1.  Introduction

   The key words "MUST" and "SHOULD" are as described in RFC 2119 [1].

2.1.  Sending

   An agent MUST send e.g. one packet, and it is a long one that goes on



Author                      Standards Track                     [Page 1]

RFC 1                          Packets                     November 2000


   over the page.  It may do more.

   o  A second one SHOULD NOT follow.
   o  A third one is NOT RECOMMENDED.

      +--------------+
      | MUST be zero |
      +--------------+

Appendix A.  More

   It SHALL NOT be empty.
"""

MARKDOWN = """# Title

### 4.1. Receiving

A packet SHOULD be read and MUST be
counted.

```
MUST not be found
```
* An item that is REQUIRED.
"""


def test_plain_text_gives_its_sentences():
    found = extract("RFC1", PLAIN, is_markdown=False)
    assert [(each["section"], each["level"]) for each in found] == [
        ("2.1", "MUST"),
        ("2.1", "SHOULD NOT"),
        ("2.1", "NOT RECOMMENDED"),
        ("A", "SHALL NOT"),
    ]
    assert (
        found[0]["sentence"] == "An agent MUST send e.g. one packet, and it is a long one that goes on over the page."
    )
    assert [each["id"].rsplit("-", 1)[0] for each in found] == ["RFC1-2.1-1", "RFC1-2.1-2", "RFC1-2.1-3", "RFC1-A-1"]


def test_markdown_gives_its_sentences_without_code():
    found = extract("RFC2", MARKDOWN, is_markdown=True)
    assert [each["sentence"] for each in found] == [
        "A packet SHOULD be read and MUST be counted.",
        "An item that is REQUIRED.",
    ]


def test_sentence_counts_as_the_strictest_it_says():
    assert find_level("It SHOULD be so and MUST NOT be otherwise.") == "MUST NOT"
    assert find_level("It MAY be so, as it must.") is None


def test_hash_is_of_the_words():
    assert hash_sentence("An agent  MUST\nsend.") == hash_sentence("an agent must send.")
    assert hash_sentence("An agent MUST send.") != hash_sentence("An agent MUST NOT send.")


def test_abbreviations_end_no_sentence():
    assert split_sentences("Some (i.e. A) do. Others, e.g. B, don't.") == [
        "Some (i.e. A) do.",
        "Others, e.g. B, don't.",
    ]
