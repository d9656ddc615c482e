"""Rules of RFC 8656 for clients that no other test is about."""

import pytest

from sans_rtc.stun import AddressErrorCode, Method


@pytest.mark.proves("RFC8656-7.3-3-0670", "RFC8656-7.3-4-6583")
def test_family_that_was_refused_is_not_asked_for_again(make_scene):
    scene = make_scene(families=(4, 6))
    scene.server.address_error = AddressErrorCode(2, 440, "none left")
    scene.allocated()
    scene.advance(7200)
    methods = [request.method for request in scene.server.requests]
    assert methods.count(Method.REFRESH) > 5 and Method.ALLOCATE not in methods
