"""The demo's web server without a browser: the page's files, the signalling, and what is refused."""

import asyncio
import json
from pathlib import Path

import pytest

import sans_rtc_demo
from sans_rtc.errors import InvalidArgument
from sans_rtc_demo.demo_server import BODY_BYTES_MAX, PAGE_FILES, make_app
from sans_rtc_demo.demo_sessions import SessionLimits, Sessions
from sans_rtc_net.candidates import IceCandidate

pytestmark = pytest.mark.anyio

LINE = "candidate:1 1 udp 2130706431 127.0.0.1 50000 typ host"


class FakePeer:
    """What a session asks of its peer, without a network."""

    def __init__(self):
        self.taken = []
        self.is_closed = False
        self.found = asyncio.Queue()
        self.ended = asyncio.Event()
        self.local_description = None

    async def set_remote_description(self, description):
        if not description["sdp"].startswith("v=0"):
            raise InvalidArgument("not SDP")

    async def set_local_description(self):
        self.local_description = type("Description", (), {"type": "answer", "sdp": "v=0 answer"})

    async def add_ice_candidate(self, candidate):
        if candidate.get("candidate") == "nonsense":
            raise InvalidArgument("not a candidate")
        self.taken.append(candidate)

    async def local_candidates(self):
        while (candidate := await self.found.get()) is not None:
            yield candidate

    async def incoming_channels(self):
        await self.ended.wait()
        for channel in ():
            yield channel

    async def incoming_transceivers(self):
        await self.ended.wait()
        for transceiver in ():
            yield transceiver

    transceivers = ()

    def get_stats(self):
        return {"T": {"type": "transport", "id": "T"}}

    def explain(self):
        return type("Explanation", (), {"likely_cause": "a fake", "__str__": lambda self: "all of it"})()

    async def close(self):
        self.abort()

    def abort(self):
        self.is_closed = True
        self.ended.set()


class Server:
    """The application and the peers it has made."""

    def __init__(self, **limits):
        self.peers = []
        self.sessions = Sessions(self._make_peer, SessionLimits(**limits))
        self.app = make_app(self.sessions)

    def _make_peer(self):
        self.peers.append(FakePeer())
        return self.peers[-1]


@pytest.fixture
async def server():
    server = Server()
    yield server
    await server.sessions.close_all()


@pytest.fixture
def offered(ask):
    async def offer(server):
        answer = await ask(server.app, "POST", "/offer", json_body={"type": "offer", "sdp": "v=0"})
        assert answer.status == 201, answer.text
        return answer.json()

    return offer


@pytest.mark.parametrize("path", PAGE_FILES)
async def test_page_files_are_served_with_their_type(ask, server, path):
    answer = await ask(server.app, "GET", path)
    assert answer.status == 200
    assert answer.headers["content-type"] == PAGE_FILES[path][1]
    assert int(answer.headers["content-length"]) == len(answer.text.encode()) > 0


def test_every_file_of_the_page_is_served():
    folder = Path(sans_rtc_demo.__file__).parent / "page"
    assert {path.name for path in folder.iterdir()} == {name for name, _ in PAGE_FILES.values()}


def test_page_needs_nothing_from_elsewhere():
    folder = Path(sans_rtc_demo.__file__).parent / "page"
    for path in folder.iterdir():
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text and "https://" not in text, path.name


@pytest.mark.parametrize("path", ["/nothing", "/page/index.html", "/../demo_server.py", "/%2e%2e/demo_server.py"])
async def test_other_paths_are_not_found(ask, server, path):
    assert (await ask(server.app, "GET", path)).status == 404


async def test_wrong_method_is_405(ask, server):
    assert (await ask(server.app, "GET", "/offer")).status == 405


async def test_offer_is_answered_with_a_session(offered, server):
    answer = await offered(server)
    assert (answer["type"], answer["sdp"]) == ("answer", "v=0 answer")
    assert len(answer["session"]) >= 20


async def test_sessions_cannot_be_guessed_from_each_other(offered, server):
    names = {(await offered(server))["session"] for _ in range(8)}
    assert len(names) == 8


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "application/json"),
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 5000, "not JSON"),
        (b"[]", "JSON object"),
        (b"{}", '"type": "offer"'),
        (b'{"type": "answer", "sdp": "v=0"}', '"type": "offer"'),
        (b'{"type": "offer", "sdp": 7}', '"type": "offer"'),
        (b'{"type": "offer", "sdp": "nonsense"}', "cannot be answered: not SDP"),
    ],
)
async def test_bad_offer_is_refused_with_a_reason(ask, server, body, text):
    answer = await ask(server.app, "POST", "/offer", body=body)
    assert 400 <= answer.status < 500
    assert text in answer.text


async def test_refused_offer_leaves_no_peer_open(ask, server):
    await ask(server.app, "POST", "/offer", json_body={"type": "offer", "sdp": "nonsense"})
    assert [peer.is_closed for peer in server.peers] == [True]


@pytest.mark.parametrize("headers", [{}, {"content-length": str(BODY_BYTES_MAX + 1)}])
async def test_large_body_is_refused(ask, server, headers):
    body = json.dumps({"type": "offer", "sdp": "v" * BODY_BYTES_MAX}).encode()
    assert (await ask(server.app, "POST", "/offer", body=body, headers=headers)).status == 413


async def test_form_of_another_page_is_refused_by_its_content_type(ask, server):
    headers = {"content-type": "text/plain"}
    answer = await ask(server.app, "POST", "/offer", body=b'{"type": "offer", "sdp": "v=0"}', headers=headers)
    assert answer.status == 415


async def test_connections_are_limited(ask, offered):
    server = Server(session_count_max=2)
    await offered(server)
    await offered(server)
    answer = await ask(server.app, "POST", "/offer", json_body={"type": "offer", "sdp": "v=0"})
    assert answer.status == 503
    assert "Too many pages" in answer.text
    await server.sessions.close_all()
    assert len(server.peers) == 2


async def test_end_of_a_session_makes_room(ask, offered):
    server = Server(session_count_max=1)
    first = await offered(server)
    assert (await ask(server.app, "DELETE", f"/sessions/{first['session']}")).status == 204
    await offered(server)
    await server.sessions.close_all()
    assert [peer.is_closed for peer in server.peers] == [True, True]


async def test_idle_session_is_closed(offered):
    server = Server(idle_s=0.02)
    await offered(server)
    await asyncio.wait_for(server.peers[0].ended.wait(), 5)


async def test_session_ends_with_its_connection(ask, offered, server):
    path = f"/sessions/{(await offered(server))['session']}"
    server.peers[0].abort()
    for _ in range(20):
        await asyncio.sleep(0)
    assert (await ask(server.app, "POST", f"{path}/candidates", json_body={"candidates": []})).status == 404


async def test_ended_session_can_still_be_explained(ask, offered, server):
    path = f"/sessions/{(await offered(server))['session']}"
    await ask(server.app, "DELETE", path)
    answer = await ask(server.app, "GET", f"{path}/explanation")
    assert answer.json() == {"text": "all of it", "likely_cause": "a fake"}


async def test_candidates_of_the_page_reach_the_peer(ask, offered, server):
    path = f"/sessions/{(await offered(server))['session']}/candidates"
    candidates = [{"candidate": LINE, "sdpMid": "0", "sdpMLineIndex": 0}, {"candidate": ""}]
    assert (await ask(server.app, "POST", path, json_body={"candidates": candidates})).status == 204
    assert server.peers[0].taken == candidates


@pytest.mark.parametrize(
    "body", [{}, {"candidates": "x"}, {"candidates": [7]}, {"candidates": [{"candidate": "nonsense"}]}]
)
async def test_bad_candidates_are_refused(ask, offered, server, body):
    path = f"/sessions/{(await offered(server))['session']}/candidates"
    assert (await ask(server.app, "POST", path, json_body=body)).status == 400


async def test_candidates_of_one_page_are_limited(ask, offered):
    server = Server(candidate_count_max=3)
    path = f"/sessions/{(await offered(server))['session']}/candidates"
    answer = await ask(server.app, "POST", path, json_body={"candidates": [{"candidate": LINE}] * 4})
    assert (answer.status, server.peers[0].taken) == (400, [])
    await server.sessions.close_all()


async def test_our_candidates_are_handed_out_as_they_come(ask, offered, server):
    path = f"/sessions/{(await offered(server))['session']}/candidates"
    waiting = asyncio.create_task(ask(server.app, "GET", f"{path}?after=0"))
    await asyncio.sleep(0)
    await server.peers[0].found.put(IceCandidate(LINE, "0", 0))
    first = (await waiting).json()
    row = {"candidate": LINE, "sdpMid": "0", "sdpMLineIndex": 0}
    assert first == {"candidates": [row], "next": 1, "complete": False}
    await server.peers[0].found.put(None)
    last = (await ask(server.app, "GET", f"{path}?after=1")).json()
    assert last == {"candidates": [], "next": 1, "complete": True}


async def test_question_for_candidates_ends_by_itself(ask, offered):
    server = Server(long_poll_s=0.02)
    path = f"/sessions/{(await offered(server))['session']}/candidates"
    assert (await ask(server.app, "GET", path)).json() == {"candidates": [], "next": 0, "complete": False}
    await server.sessions.close_all()


async def test_question_for_candidates_ends_with_the_session(ask, offered, server):
    path = f"/sessions/{(await offered(server))['session']}/candidates"
    waiting = asyncio.create_task(ask(server.app, "GET", path))
    await asyncio.sleep(0)
    await server.sessions.close_all()
    assert (await asyncio.wait_for(waiting, 5)).json()["complete"]


@pytest.mark.parametrize("after", ["-1", "x", "", "1e3", "9" * 30, "²"])
async def test_number_of_the_first_candidate_must_be_a_number(ask, offered, server, after):
    path = f"/sessions/{(await offered(server))['session']}/candidates?after={after}"
    assert (await ask(server.app, "GET", path)).status == 400


@pytest.mark.parametrize("rest", ["/candidates", "/explanation"])
async def test_unknown_session_is_404(ask, server, rest):
    answer = await ask(server.app, "GET", f"/sessions/nobody{rest}")
    assert (answer.status, answer.text) == (404, "This connection has ended.\n")


async def test_ending_server_says_so(ask, offered, server):
    path = f"/sessions/{(await offered(server))['session']}/explanation"
    await server.sessions.close_all()
    answer = await ask(server.app, "GET", path)
    assert (answer.status, answer.text) == (503, "The demo is ending.\n")
    offer = {"type": "offer", "sdp": "v=0"}
    assert (await ask(server.app, "POST", "/offer", json_body=offer)).status == 503


async def test_end_of_an_unknown_session_changes_nothing(ask, server):
    assert (await ask(server.app, "DELETE", "/sessions/nobody")).status == 204


async def test_another_offer_of_a_session_is_answered(ask, offered, server):
    web = server
    session = (await offered(web))["session"]
    answer = await ask(web.app, "POST", f"/sessions/{session}/offer", json_body={"type": "offer", "sdp": "v=0 more"})
    assert (answer.status, answer.json()) == (200, {"type": "answer", "sdp": "v=0 answer"})
    refused = await ask(web.app, "POST", f"/sessions/{session}/offer", json_body={"type": "offer", "sdp": "nonsense"})
    assert refused.status == 400 and len(web.peers) == 1


async def test_statistics_and_the_source_of_the_picture(ask, offered, server):
    web = server
    session = (await offered(web))["session"]
    told = (await ask(web.app, "GET", f"/sessions/{session}/statistics")).json()
    assert told["source"] == "echo" and told["stats"] == [{"type": "transport", "id": "T"}]
    chosen = await ask(web.app, "POST", f"/sessions/{session}/source", json_body={"source": "echo"})
    assert chosen.status == 204
    for nonsense in ("nowhere", 7, None):
        refused = await ask(web.app, "POST", f"/sessions/{session}/source", json_body={"source": nonsense})
        assert refused.status == 400
