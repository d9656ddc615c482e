"""What Python does on the channels of the page."""

import json

import pytest

from sans_rtc_demo.demo_services import DOWNLOAD_S_MAX, SERVICES, requested_seconds

pytestmark = pytest.mark.anyio


class FakeChannel:
    """A channel that brings given messages and keeps what is sent."""

    def __init__(self, *messages):
        self.messages = list(messages)
        self.sent = []

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.messages:
            raise StopAsyncIteration
        return self.messages.pop(0)

    async def send(self, data):
        self.sent.append(data)


@pytest.mark.parametrize("label", ["echo", "messages"])
async def test_echo_gives_back_what_came(label):
    messages = ["text ✓", b"\x00\xff", "", b""]
    channel, uses = FakeChannel(*messages), []
    await SERVICES[label](channel, lambda: uses.append(1))
    assert channel.sent == messages
    assert len(uses) == 4


async def test_upload_counts_from_the_first_message_to_the_end():
    channel = FakeChannel(b"x" * 1000, b"x" * 1000, b"x" * 500, "end")
    await SERVICES["upload"](channel, lambda: None)
    report = json.loads(channel.sent[-1])
    assert (report["bytes"], report["done"]) == (1500, True)


async def test_upload_of_nothing_is_a_report_of_nothing():
    channel = FakeChannel("end")
    await SERVICES["upload"](channel, lambda: None)
    assert json.loads(channel.sent[0]) == {"bytes": 0, "seconds": 0.0, "done": True}


async def test_download_ends_with_the_end():
    channel = FakeChannel('{"seconds": 0.01}')
    await SERVICES["download"](channel, lambda: None)
    *chunks, end = channel.sent
    assert end == "end"
    assert len(chunks) > 0
    assert all(type(chunk) is bytes for chunk in chunks)


@pytest.mark.parametrize(
    "request_text",
    [
        "",
        "x",
        "[]",
        "7",
        "{}",
        '{"seconds": "1"}',
        '{"seconds": -1}',
        '{"seconds": 1e9}',
        '{"seconds": NaN}',
        b"\xff",
        "[" * 9999,
    ],
)
async def test_download_of_nonsense_sends_nothing_but_the_end(request_text):
    channel = FakeChannel(request_text)
    await SERVICES["download"](channel, lambda: None)
    assert channel.sent == ["end"]


def test_download_is_limited():
    assert requested_seconds(json.dumps({"seconds": DOWNLOAD_S_MAX})) == DOWNLOAD_S_MAX
    assert requested_seconds(json.dumps({"seconds": DOWNLOAD_S_MAX + 0.1})) == 0.0
