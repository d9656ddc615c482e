"""Who may speak to the demo's server: the person at this machine, not the pages of strangers."""

import pytest
from starlette.responses import PlainTextResponse

from sans_rtc_demo.demo_guard import Guard, is_own_host

pytestmark = pytest.mark.anyio

OWN_HOSTS = [
    "127.0.0.1",
    "127.0.0.1:8080",
    "localhost",
    "LocalHost:8080",
    "[::1]",
    "[::1]:8080",
    "192.0.2.7:80",
    "box:1",
]
FOREIGN_HOSTS = [
    "",
    "evil.example",
    "evil.example:8080",
    "127.0.0.1.evil.example:8080",
    "localhost.evil.example",
    "127.0.0.1:8080@evil.example",
    "evil.example#127.0.0.1",
    "[::1].evil.example:8080",
    "2130706433",
    "localhost:80:80",
]


@pytest.fixture
def guarded():
    return Guard(PlainTextResponse("inside"), names=["box"])


@pytest.mark.parametrize("host", OWN_HOSTS)
async def test_own_host_is_let_in(ask, guarded, host):
    answer = await ask(guarded, "GET", "/", headers={"host": host})
    assert (answer.status, answer.text) == (200, "inside")


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
async def test_rebound_host_name_is_refused(ask, guarded, host):
    answer = await ask(guarded, "GET", "/", headers={"host": host})
    assert answer.status == 421
    assert "inside" not in answer.text
    assert "--host NAME" in answer.text


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "http://127.0.0.1:8080.evil"]
)
async def test_foreign_origin_is_refused(ask, guarded, origin):
    answer = await ask(guarded, "POST", "/offer", headers={"origin": origin})
    assert answer.status == 403


@pytest.mark.parametrize("origin", [None, "http://127.0.0.1:8080", "https://127.0.0.1:8080"])
async def test_own_origin_is_let_in(ask, guarded, origin):
    assert (await ask(guarded, "POST", "/offer", headers={"origin": origin})).status == 200


@pytest.mark.parametrize(
    ("site", "status"), [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)]
)
async def test_fetch_of_another_site_is_refused(ask, guarded, site, status):
    assert (await ask(guarded, "GET", "/demo.js", headers={"sec-fetch-site": site})).status == status


async def test_link_of_another_site_may_lead_here(ask, guarded):
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert (await ask(guarded, "GET", "/", headers=headers)).status == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "evil.example"])
async def test_every_answer_forbids_foreign_content(ask, guarded, host):
    answer = await ask(guarded, "GET", "/", headers={"host": host})
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_port_of_a_host_must_be_a_number():
    assert not is_own_host("localhost:eight", frozenset({"localhost"}))
