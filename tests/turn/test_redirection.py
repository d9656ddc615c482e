"""ALTERNATE-SERVER: followed to where a server can be, a few times, never in a circle (RFC 8489 section 10)."""

import pytest

from sans_rtc.machine import Address, Path, Terminated
from sans_rtc.streams import StreamNeeded, StreamUnneeded
from sans_rtc.stun import Attribute, AttributeType, Method, error_response, parse_message, serialize_message
from sans_rtc.turn import Allocated, AllocationFailed, Redirected

A = AttributeType
FIRST, SECOND, THIRD = (Address(f"198.51.100.{index}", 3478) for index in (1, 2, 3))


@pytest.fixture
def redirected(make_scene, make_server):
    """redirected(*servers, ...): a scene whose servers each send the client on; the last one allocates."""

    def make(*servers, protocol="udp", is_signed=False, more=(), **changes):
        scene = make_scene(protocol, **changes)
        targets = list(servers)
        respond, challenge = scene.server.respond, scene.server.challenge

        def redirect(request):
            response = error_response(request, 300, "over there")
            response.attributes += [Attribute(A.ALTERNATE_SERVER, targets.pop(0)), *more]
            return response

        def challenging(request, data):
            if targets and not is_signed and request.method == Method.ALLOCATE:
                return redirect(request)
            return challenge(request, data)

        scene.server.challenge = challenging
        scene.server.respond = lambda request, now: redirect(request) if targets else respond(request, now)
        scene.client.allocate(scene.now)
        scene.pump()
        return scene

    return make


@pytest.mark.proves("RFC8656-7.4-1-0c2e", "RFC5389-11-2-c0e4")
@pytest.mark.parametrize("is_signed", [False, True])
def test_redirection_over_udp_moves_the_path(redirected, is_signed):
    scene = redirected(SECOND, is_signed=is_signed)
    path = Path(scene.path.local, SECOND)
    assert [type(event) for event in scene.events] == [Redirected, Allocated]
    assert scene.events[0] == Redirected(path) and scene.client.path == path
    assert [d.path.remote for d in scene.sent] == [FIRST, *([FIRST] if is_signed else []), SECOND, SECOND]
    # To the new server the first request is without credentials again.
    assert parse_message(scene.sent[-2].data).value(A.USERNAME) is None
    assert scene.client.explain().servers == (FIRST, SECOND)
    scene.deliver(b"\x40\x00\x00\x00", scene.path)
    assert scene.discards == {"wrong_path": 1}


@pytest.mark.parametrize("protocol", ["tcp", "tls"])
def test_redirection_over_a_stream_asks_for_another(redirected, protocol):
    scene = redirected(SECOND, protocol=protocol, server_name="turn.example")
    moved, unneeded, needed, allocated = scene.events
    assert moved == Redirected(needed.path) and unneeded == StreamUnneeded(scene.path)
    assert isinstance(needed, StreamNeeded) and needed.server_name == "turn.example"
    assert (needed.path.remote, needed.path.protocol, needed.path.local) == (SECOND, protocol, scene.path.local)
    assert needed.path.stream not in (0, scene.path.stream)
    assert isinstance(allocated, Allocated) and scene.open_streams == {needed.path}


def test_alternate_domain_is_what_the_certificate_must_prove(redirected):
    more = [Attribute(A.ALTERNATE_DOMAIN, "other.example")]
    scene = redirected(SECOND, protocol="tls", server_name="turn.example", more=more)
    (needed,) = scene.take(StreamNeeded)
    assert needed.server_name == "other.example"


def test_several_redirections_are_followed_and_no_more(redirected):
    servers = [Address(f"198.51.100.{index}", 3478) for index in range(2, 6)]
    scene = redirected(*servers[:3])
    assert scene.client.path.remote == servers[2] and scene.take(Allocated)
    scene = redirected(*servers)
    assert scene.terminated.reason == "try_alternate" and "more than 3 redirections" in scene.terminated.detail


@pytest.mark.proves("RFC5389-11-3-3384")
@pytest.mark.parametrize("servers", [(FIRST,), (SECOND, FIRST), (SECOND, THIRD, SECOND)])
def test_circle_is_not_gone_round(redirected, servers):
    scene = redirected(*servers)
    assert "in a circle" in scene.terminated.detail and scene.terminated.reason == "try_alternate"
    (event,) = scene.take(AllocationFailed)
    assert (event.code, event.name) == (300, "Try Alternate")


@pytest.mark.parametrize(
    "server",
    [
        Address("127.0.0.1", 3478),
        Address("0.0.0.0", 3478),
        Address("224.0.0.1", 3478),
        Address("255.255.255.255", 3478),
        Address("198.51.100.2", 0),
        Address("2001:db8::1", 3478),
    ],
)
def test_server_that_cannot_be_one_is_not_followed(redirected, server):
    scene = redirected(server)
    assert scene.terminated.reason == "try_alternate" and {d.path.remote for d in scene.sent} == {FIRST}


def test_redirection_is_not_followed_where_it_is_not_wanted(redirected):
    scene = redirected(SECOND, redirect_count_max=0)
    assert scene.terminated.reason == "try_alternate"


def test_redirection_without_a_server_is_an_end(scene):
    scene.server.errors[Method.ALLOCATE] = [(300, "go away")]
    scene.client.allocate(scene.now)
    scene.pump()
    assert scene.terminated == Terminated(
        "try_alternate", "300 Try Alternate: go away; not followed, it does not say where to go"
    )


def test_forged_redirection_of_a_signed_request_is_not_followed(scene):
    scene.client.allocate(scene.now)
    (first,) = scene.client.take_datagrams(scene.now)
    for answer in scene.server.receive(first, scene.now):
        scene.client.receive(answer, scene.now)
    (signed,) = scene.client.take_datagrams(scene.now)
    response = error_response(parse_message(signed.data), 300)
    response.attributes.append(Attribute(A.ALTERNATE_SERVER, SECOND))
    assert scene.deliver(serialize_message(response)) == []
    assert scene.discards == {"not_authentic": 1} and scene.client.path.remote == FIRST


def test_stream_of_the_alternate_server_that_cannot_be_opened_is_named(make_scene, redirected):
    scene = redirected(SECOND, protocol="tcp", opens_streams=False)
    assert scene.events == []  # the first stream is not open yet
    scene.open(scene.path)
    scene.pump()
    scene.client.stream_closed(scene.client.path, "refused", scene.now)
    scene.pump()
    assert scene.terminated.reason == "stream_closed"
