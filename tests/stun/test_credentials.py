"""OpaqueString, keys and USERHASH."""

import hashlib

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.stun import PasswordAlgorithm, long_term_key, opaque_string, short_term_key, userhash
from sans_rtc.stun.credentials import TEXT_CHARACTERS_MAX


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        ("correct horse battery staple", "correct horse battery staple"),
        ("Correct Horse", "Correct Horse"),
        ("πßå", "πßå"),
        ("Jack of ♦s", "Jack of ♦s"),
        ("foo\u1680bar", "foo bar"),
        ("foo\u00a0bar", "foo bar"),
        ("e\u0301", "é"),
        ("\u212b", "\u00c5"),
        ("\uff21", "\uff21"),
    ],
)
def test_opaque_string_maps_spaces_and_composes_and_keeps_case_and_width(text, prepared):
    assert opaque_string(text) == prepared
    assert opaque_string(prepared) == prepared


@pytest.mark.parametrize(
    "text",
    ["", "my cat is a \tby", "nul\0", "\x7f", "\x85x", "soft\u00adhyphen", "bidi\u202e", "\u200d", "\ue000", "\u0378",
     "line\u2028", "\u034f", "\u115f", "\ufe0f", "x" * (TEXT_CHARACTERS_MAX - 1) + "éé"],
)  # fmt: skip
def test_opaque_string_refuses_what_has_no_place_in_a_credential(text):
    with pytest.raises(InvalidArgument):
        opaque_string(text)


def test_lone_surrogate_is_refused():
    with pytest.raises(InvalidArgument):
        opaque_string("\ud800")


def test_short_term_key_is_the_prepared_password():
    assert short_term_key("VOkJxbRl1RmTxUk/WvJxBt") == b"VOkJxbRl1RmTxUk/WvJxBt"
    assert short_term_key("e\u0301") == "é".encode()


def test_long_term_key_is_md5_of_user_realm_and_password():
    # RFC 5389 section 15.4: user 'user', realm 'realm', password 'pass' give 0x8493fbc53ba582fb4c044c456bdc40eb.
    assert long_term_key("user", "realm", "pass").hex() == "8493fbc53ba582fb4c044c456bdc40eb"


def test_long_term_key_is_sha256_where_that_was_agreed():
    key = long_term_key("user", "realm", "pass", PasswordAlgorithm.SHA256)
    assert key == hashlib.sha256(b"user:realm:pass").digest()


def test_long_term_key_prepares_each_part():
    assert long_term_key("us\u00a0er", "re\u0301alm", "pa\u0301ss") == long_term_key("us er", "réalm", "páss")


def test_userhash_hides_the_user_name():
    assert userhash("user", "realm") == hashlib.sha256(b"user:realm").digest()
