"""The demo's page in a real browser: it connects by itself, and everything on it works."""

import json
import signal

import pytest

pytestmark = pytest.mark.interop

WIDTHS = [(1280, 900), (400, 860)]
CONNECTED = "document.body.dataset.state === 'connected'"

# Every visible text against the nearest background behind it (WCAG 2.2, 1.4.3).
LOW_CONTRAST = """(() => {
  const channels = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const luminance = ([r, g, b]) => {
    const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const [x, y, z] = [r, g, b].map((v) => linear(v / 255));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const over = ([r, g, b, a = 1], below) => [r, g, b].map((v, i) => v * a + below[i] * (1 - a));
  const background = (element) => {
    if (element === null) return [255, 255, 255];
    const own = channels(getComputedStyle(element).backgroundColor);
    return own.length === 4 && own[3] === 0 ? background(element.parentElement)
      : own.length === 4 ? over(own, background(element.parentElement)) : own;
  };
  const low = [];
  for (const element of document.querySelectorAll("body *")) {
    const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== "");
    if (!hasText || !element.checkVisibility() || element.closest(":disabled, noscript, script")) continue;
    const [text, behind] = [channels(getComputedStyle(element).color), background(element)];
    const [dark, light] = [luminance(text), luminance(behind)].sort((a, b) => a - b);
    const ratio = (light + 0.05) / (dark + 0.05);
    if (ratio < 4.5) low.push(`${element.tagName} ${element.id} ${element.textContent.slice(0, 20)} ${ratio}`);
  }
  return low;
})()"""


@pytest.fixture
def page(chromium, demo):
    return connected(chromium, demo)


def connected(browser, demo):
    """The browser on the demo's page, connected."""
    browser.size(*WIDTHS[0])
    browser.open(demo.url)
    browser.wait_for(CONNECTED)
    return browser


def text(page, name):
    """What an element shows."""
    return page.js(f"document.getElementById({json.dumps(name)}).textContent")


def test_page_connects_by_itself_and_echoes_keep_coming(page):
    assert text(page, "state") == "Connected"
    assert text(page, "fact-connect").endswith(" ms")
    page.wait_for("Number(document.body.dataset.echoes) >= 5")
    seen = int(page.js("document.body.dataset.echoes"))
    page.wait_for(f"Number(document.body.dataset.echoes) > {seen}")
    assert float(text(page, "rtt-typical")) > 0


def test_page_shows_what_python_sees(page):
    page.wait_for("document.getElementById('explain').textContent.includes('connected')")


def test_message_comes_back(page):
    page.js("document.getElementById('message').focus()")
    message = "Grüße, 世界 <b>not bold</b>"
    page.type(message)
    page.press("Enter", "\r")
    page.wait_for("document.querySelectorAll('#log .theirs').length === 1")
    lines = page.js("[...document.querySelectorAll('#log li')].map((line) => line.lastChild.data)")
    assert lines == [message, message]
    assert page.js("document.activeElement.id") == "message"


def test_empty_message_is_not_sent(page):
    page.js("document.getElementById('message').focus()")
    page.type("   ")
    page.press("Enter", "\r")
    assert page.js("document.querySelectorAll('#log li').length") == 0


@pytest.mark.parametrize(
    ("choice", "shown"), [("upload", [True, False]), ("download", [False, True]), ("both", [True] * 2)]
)
def test_speed_is_measured_in_the_chosen_direction(page, choice, shown):
    page.js("document.getElementById('speed-form').dataset.seconds = '0.3'")
    page.js(f"document.querySelector('input[value={choice}]').click()")
    page.js("document.getElementById('speed-start').click()")
    assert page.js("document.getElementById('speed-start').disabled")
    page.wait_for("document.getElementById('speed-status').textContent === 'Done'")
    assert page.js("document.getElementById('speed-progress').value") == 100
    figures = [text(page, "speed-upload"), text(page, "speed-download")]
    assert [figure != "–" and float(figure) > 0 for figure in figures] == shown
    page.wait_for("!document.getElementById('speed-start').disabled")


@pytest.mark.parametrize(("width", "height"), WIDTHS)
def test_nothing_is_wider_than_the_window(page, width, height):
    page.js("document.getElementById('message').value = 'x'.repeat(500)")
    page.js("document.getElementById('message-form').requestSubmit()")
    page.wait_for("document.querySelectorAll('#log .theirs').length === 1")
    page.size(width, height)
    assert page.js("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.mark.parametrize("is_dark", [False, True])
def test_all_text_has_contrast(page, is_dark):
    page.size(*WIDTHS[0], is_dark=is_dark)
    page.js("document.getElementById('message').value = 'hello'")
    page.js("document.getElementById('message-form').requestSubmit()")
    page.wait_for("document.querySelectorAll('#log .theirs').length === 1")
    assert page.js(LOW_CONTRAST) == []


def test_every_control_has_a_name_for_screen_readers(page):
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "textbox", "radio", "progressbar", "img", "image", "log", "link"}
    controls = [node for node in nodes if node.get("role", {}).get("value") in roles]
    assert len(controls) >= 8
    assert [node for node in controls if not node.get("name", {}).get("value")] == []


def test_keyboard_reaches_every_control(page):
    page.js("document.activeElement.blur()")
    reached = set()
    for _ in range(12):
        page.press("Tab")
        reached.add(
            page.js("document.activeElement.id || document.activeElement.name || document.activeElement.className")
        )
    assert {"skip", "direction", "speed-start", "message", "message-send", "explain"} <= reached


def test_page_causes_no_errors(page):
    page.wait_for("Number(document.body.dataset.echoes) >= 3")
    wrong = [event for event in page.events if event["method"] in ("Log.entryAdded", "Runtime.exceptionThrown")]
    assert wrong == []


def test_end_of_the_server_is_told_and_its_return_reconnects(chromium, own_demo, start_demo):
    page, demo = connected(chromium, own_demo), own_demo
    duration_s, status, errors = demo.stop()
    assert (status, errors) == (0, "")
    assert duration_s < 2.0  # other tests may have the processor
    page.wait_for("document.body.dataset.state === 'gone'")
    assert text(page, "notice-title") == "The server has gone"
    assert page.js("document.getElementById('message').disabled && document.getElementById('speed-start').disabled")
    page.js("document.getElementById('reconnect').click()")
    page.wait_for("document.body.dataset.state === 'gone'")
    start_demo(demo.port)
    page.js("document.getElementById('reconnect').click()")
    page.wait_for(CONNECTED)
    assert page.js("document.getElementById('notice').hidden")


def test_closed_connection_is_told_and_can_be_opened_again(page):
    page.js(
        "window.wasClosed = performance.getEntriesByType('resource').map((entry) => entry.name)"
        ".find((name) => name.includes('/sessions/')).split('/sessions/')[1].split('/')[0]"
    )
    page.js("fetch(`/sessions/${window.wasClosed}`, { method: 'DELETE' })")
    page.wait_for("document.body.dataset.state === 'lost'")
    page.js("document.getElementById('reconnect').click()")
    page.wait_for(CONNECTED)


def test_refusal_of_the_server_is_shown_in_its_words(page):
    page.js("window.fetch = async () => new Response('Too many pages.\\n', { status: 503 })")
    page.js("document.getElementById('reconnect').click()")
    page.wait_for("document.body.dataset.state === 'failed'")
    assert text(page, "notice-text") == "Too many pages."


def test_silence_of_python_is_told_and_its_return_goes_on(page, demo):
    demo.process.send_signal(signal.SIGSTOP)
    page.wait_for("document.body.dataset.state === 'interrupted'")
    demo.process.send_signal(signal.SIGCONT)
    page.wait_for(CONNECTED)
    seen = int(page.js("document.body.dataset.echoes"))
    page.wait_for(f"Number(document.body.dataset.echoes) > {seen}")


def test_page_works_in_firefox(firefox, demo):
    firefox.open(demo.url)
    firefox.wait_for(CONNECTED)
    firefox.wait_for("Number(document.body.dataset.echoes) >= 5")
    firefox.js("document.getElementById('message').value = 'hello'")
    firefox.js("document.getElementById('message-form').requestSubmit()")
    firefox.wait_for("document.querySelectorAll('#log .theirs').length === 1")
    firefox.js("document.getElementById('speed-form').dataset.seconds = '0.3'")
    firefox.js("document.getElementById('speed-start').click()")
    firefox.wait_for("document.getElementById('speed-status').textContent === 'Done'")


# -- picture and sound -------------------------------------------------------------------------------------------------

PICTURE_IS_BACK = "Number(document.body.dataset.videoFrames) > 10 && Number(document.body.dataset.audioPackets) > 10"
FIGURES = ("media-age", "media-sent", "media-received", "media-loss", "media-target")


def until_figures(page):
    for name in FIGURES:
        page.wait_for(f"/[0-9]/.test(document.getElementById('{name}').textContent)")


def test_picture_and_sound_come_back_and_are_measured(page):
    page.wait_for(PICTURE_IS_BACK)
    until_figures(page)
    assert 0 < float(text(page, "media-age").split()[0]) < 2000
    assert page.js("document.getElementById('video-back').videoWidth") > 0


def test_picture_and_sound_come_back_in_firefox(firefox, demo):
    firefox.open(demo.url)
    firefox.wait_for(CONNECTED)
    firefox.wait_for(PICTURE_IS_BACK)
    until_figures(firefox)


def test_python_sends_a_picture_of_its_own(page):
    pytest.importorskip("av")
    page.wait_for(PICTURE_IS_BACK)
    page.js("import('/picture.js').then(({ ageOf }) => { window.ageOf = ageOf; })")
    age = "ageOf(document.getElementById('video-back'))"
    page.wait_for(f"{age} !== null && {age} < 5000")  # the page's own picture carries its time
    page.wait_for("!document.getElementById('returns-choice').hidden")
    page.js("document.getElementById('returns-python').click()")
    page.wait_for(f"{age} === null")
    seen = int(page.js("document.body.dataset.videoFrames"))
    page.wait_for(f"Number(document.body.dataset.videoFrames) > {seen + 10}")
    page.js("document.getElementById('returns-echo').click()")
    page.wait_for(f"{age} !== null && {age} < 5000")


def test_camera_takes_the_place_of_the_picture(page):
    page.wait_for(PICTURE_IS_BACK)
    page.js("document.querySelector('input[value=camera]').click()")
    page.wait_for(
        "document.getElementById('media-status').textContent !== ''"
        " || !document.getElementById('sends-picture').checked"
    )
    seen = int(page.js("document.body.dataset.videoFrames"))
    page.wait_for(f"Number(document.body.dataset.videoFrames) > {seen + 10}")
