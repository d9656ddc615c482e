"""The report's page: whole by itself, well formed, and it says what the recording and its replay say."""

import re
from html.parser import HTMLParser

import pytest

from sans_rtc.errors import WireError
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.peer.events import CandidateError
from sans_rtc.rtp import RtpPacket, serialize_rtp
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.wire import Attribute, Message, MessageClass, Method, error_response, serialize_message
from sans_rtc.testing import SeededEntropy
from sans_rtc.trace import RecordKind, Replayer, make_recorded, read_records, record
from sans_rtc.trace.inspection import summarize
from sans_rtc.trace.redact import redact
from sans_rtc.trace.report import render_report, summary_of
from sans_rtc.trace.report_data import LADDER_COUNT_MAX, gather, survey
from sans_rtc.trace.report_svg import Line, chart, figure
from sans_rtc.trace.samples import SAMPLE_COUNT_MAX, append_change
from sans_rtc_demo.main import main
from tests.trace.sessions import live
from tests.trace.test_replay import association_pair

# A session of the simulator with loss, a restart of ICE, and an abort at its end.
SEED = 3
VOID = {"meta", "line", "path", "rect"}


class Page(HTMLParser):
    """The page's elements, checked to be closed in order, and its texts."""

    def __init__(self, page):
        super().__init__()
        self.stack, self.texts, self.figures, self.attributes = [], [], [], []
        self.feed(page)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag, attributes):
        self.attributes += [(tag, name, value) for name, value in attributes]
        if tag not in VOID or tag == "path" or tag == "rect":
            self.stack.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.attributes += [(tag, name, value) for name, value in attributes]

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if self.stack and self.stack[-1] == "figcaption":
            self.figures.append(data)
        self.texts.append(data)


@pytest.fixture(scope="module")
def records():
    return list(read_records(live(SEED)[0]))


@pytest.fixture(scope="module")
def data(records):
    return gather(records, survey(records))


@pytest.fixture(scope="module")
def page(data):
    return render_report(data, "a session <of mine>")


@pytest.fixture(scope="module")
def machine(records):
    """The machine as a replay leaves it."""
    replayer = Replayer()
    replayer.run(records)
    return replayer.machine


def test_page_is_well_formed_and_whole(page):
    parsed = Page(page)
    assert "a session <of mine>" in parsed.texts
    assert not re.search(r"<script|https?:|url\(|@import|<link|<img|<iframe", page)
    assert not [entry for entry in parsed.attributes if entry[1] in ("src", "href", "onclick")]
    assert "prefers-color-scheme:dark" in page


def test_every_drawing_has_a_title_and_a_unit(page):
    parsed = Page(page)
    assert len(parsed.figures) == page.count("<svg") >= 8
    units = r"\((ms|bytes|bit/s|%|chunks|datagrams or chunks)\)|time in s|over time"
    assert all(re.search(units, title) for title in parsed.figures), parsed.figures
    assert page.count("seconds</text>") == len(parsed.figures) - 1  # the ladder has its times at each message


def test_retransmissions_are_those_of_the_replayed_machine(data, page, machine):
    stats = machine._transport.data.association.stats
    assert stats.chunks_retransmitted > 0
    assert data.samples.counters["chunks_retransmitted"] == stats.chunks_retransmitted
    assert data.samples.curves["retransmitted"][-1][1] == stats.chunks_retransmitted
    said = f"SCTP sent {stats.chunks_retransmitted} chunks of data again, and {stats.chunks_sent} for the first time"
    assert said in page


def test_discards_are_those_of_the_replayed_machine(data, machine):
    expected = {
        f"{layer} {reason}".replace("_", " ").replace("-", " "): count
        for layer, discards in machine.explain().discards.items()
        for reason, count in discards.items()
        if count
    }
    assert {name: series[-1][1] for name, series in data.samples.discards.items()} == expected
    assert expected


def test_datagrams_are_those_of_the_recording(data, records):
    summary = summarize(records)
    assert (data.datagrams_in, data.datagrams_out) == (summary.datagrams_in, summary.datagrams_out)
    assert (sum(data.bytes_in.values()), sum(data.bytes_out.values())) == (summary.bytes_in, summary.bytes_out)
    assert data.duration_s == summary.duration_s


def test_summary_says_how_it_ended(data, page, machine):
    sentences = summary_of(data)
    detail = machine.explain().terminated.detail
    assert f"It ended after {data.duration_s:.3f} s, aborted by peer: {detail}." in sentences
    assert any(re.match(r"Before that: (?!the connection has ended)", sentence) for sentence in sentences)
    assert re.fullmatch(r"It was connected 0\.\d+ s after the beginning\.", sentences[0])


def test_ladder_has_the_handshakes_in_their_order(data):
    texts = [step.text for step in data.ladder]
    order = ["Binding request", "ClientHello", "Finished", "INIT", "INIT ACK", "COOKIE ECHO", "COOKIE ACK"]
    positions = [texts.index(text) for text in order]
    assert positions == sorted(positions)
    assert [step.at_s for step in data.ladder] == sorted(step.at_s for step in data.ladder)
    assert any(text.startswith("ServerHello 1.2 ECDHE_") for text in texts)


def test_pairs_are_drawn_with_their_states(data, page, machine):
    pairs = machine.explain().ice.pairs
    assert len(data.samples.pairs) >= len(pairs)
    selected = [history for history in data.samples.pairs.values() if history.states[-1][1] == "selected"]
    assert selected and all(history.rtt_ms for history in selected)
    for history in data.samples.pairs.values():
        assert history.label.replace(">", "&gt;") in page


def test_dcep_and_first_messages_are_on_the_ladder():
    records = list(read_records(live(5)[0]))
    texts = [step.text for step in gather(records, survey(records)).ladder]
    assert any(text.startswith("DATA_CHANNEL_OPEN ") for text in texts)
    assert "first message" in texts


def test_redacted_recording_has_a_report_without_the_machine(records):
    redacted = list(redact(records))
    data = gather(redacted, survey(redacted))
    page = render_report(data, "redacted")
    Page(page)
    assert "it was redacted" in data.replay_note
    assert any("no whole replay" in sentence for sentence in summary_of(data))
    assert not data.samples.curves and data.datagrams_in
    assert "Bitrates" in page and "ClientHello" in page


def test_replay_that_differs_is_told_and_the_rest_shown(records):
    index = next(index for index, item in enumerate(records) if item.kind is RecordKind.ENTROPY and index > 20)
    changed = [
        *records[:index],
        type(records[0])(RecordKind.ENTROPY, bytes(len(records[index].body))),
        *records[index + 1 :],
    ]
    data = gather(changed, survey(changed))
    assert data.replay_note.startswith("call ")
    assert data.datagrams_in == summarize(records).datagrams_in
    Page(render_report(data, "changed"))


def test_association_alone_has_its_windows():
    records = list(read_records(association_pair()[0]))
    data = gather(records, survey(records))
    page = render_report(data, "an association")
    assert data.samples.counters["chunks_retransmitted"] == data.samples.curves["retransmitted"][-1][1]
    assert [step.text for step in data.ladder][:4] == ["INIT", "INIT ACK", "COOKIE ECHO", "COOKIE ACK"]
    assert "Congestion window" in page


class Camera:
    """A machine that sends RTP."""

    def __init__(self, *, entropy):
        self.path = Path(Address("10.0.0.1", 1), Address("10.0.0.2", 2))

    def receive(self, datagram, now):
        pass

    def take_datagrams(self, now):
        packets = [RtpPacket(96, int(now * 100) & 0xFFFF, 0, ssrc, bytes(100 * ssrc)) for ssrc in (1, 2)]
        return [Datagram(serialize_rtp(packet), self.path) for packet in packets]


def test_rtp_has_a_bitrate_for_each_source():
    records = []
    camera = record(Camera(entropy=SeededEntropy(1)), records.append)
    camera.receive(Datagram(bytes.fromhex("000100002112a442") + bytes(12), camera.path), 0.0)
    for number in range(101):
        camera.take_datagrams(number / 100)
    parsed = list(read_records(records))
    data = gather(parsed, survey(parsed), make=lambda entropy: Camera(entropy=entropy))
    assert {key: sum(bins.values()) for key, bins in data.streams.items()} == {
        "out 1": 101 * 112,
        "out 2": 101 * 212,
    }
    rates = dict(data.bitrates(data.streams["out 1"]))
    assert sum(rates.values()) * data.bin_s == pytest.approx(101 * 112 * 8)
    assert [step.text for step in data.ladder if step.layer == "rtp"] == ["RTP begins 1", "RTP begins 2"]
    assert "out 2" in render_report(data, "a camera")


class Refused:
    """A machine that a server refuses, and that hears nothing any more."""

    def __init__(self, *, entropy):
        pass

    def receive(self, datagram, now):
        pass

    def take_events(self):
        return [CandidateError("turn:10.0.0.9:3478", "10.0.0.1", 401, "Unauthorized")]


class Asking(Refused):
    """A machine that asks two servers and its peer; strangers ask it."""

    def take_datagrams(self, now):
        here = Address("10.0.0.1", 1)
        questions = [
            (Method.ALLOCATE, [], Address("10.0.0.9", 3478)),
            (Method.BINDING, [], Address("10.0.0.8", 3478)),
            (Method.BINDING, [Attribute(AttributeType.USERNAME, "a:b")], Address("10.0.0.2", 2)),
        ]
        return [
            Datagram(serialize_message(Message(MessageClass.REQUEST, method, bytes(12), attributes)), Path(here, there))
            for method, attributes, there in questions
        ]


def test_servers_are_named_in_the_ladder():
    records = []
    machine = record(Asking(entropy=SeededEntropy(1)), records.append)
    question = Message(MessageClass.REQUEST, Method.BINDING, bytes(12), [])
    answer = Message(MessageClass.SUCCESS_RESPONSE, Method.BINDING, bytes(12), [])
    sent = machine.take_datagrams(0.0)
    for datagram in sent:
        machine.receive(Datagram(serialize_message(answer), datagram.path), 0.1)
    stranger = Path(Address("10.0.0.1", 1), Address("10.0.0.7", 7))
    machine.receive(Datagram(serialize_message(question), stranger), 0.2)
    parsed = list(read_records(records))
    data = gather(parsed, survey(parsed), make=lambda entropy: Asking(entropy=entropy))
    turn, stun = ", server 10.0.0.9:3478", ", server 10.0.0.8:3478"
    assert [step.text for step in data.ladder] == [
        f"Allocate request{turn}", f"Binding request{stun}", "Binding request", f"Binding success response{turn}",
        f"Binding success response{stun}", "Binding success response", "Binding request",
    ]  # fmt: skip


def test_refusals_and_silence_are_told_and_repeated_checks_are_not_drawn():
    records = []
    machine = record(Refused(entropy=SeededEntropy(1)), records.append)
    path = Path(Address("10.0.0.1", 1), Address("10.0.0.9", 3478))
    refusal = error_response(Message(MessageClass.REQUEST, Method.ALLOCATE, bytes(12), []), 401, "Unauthorized")
    check = Message(MessageClass.REQUEST, Method.BINDING, bytes(12), [])
    for number in range(50):
        machine.receive(Datagram(serialize_message(check), path), number / 50)
    machine.receive(Datagram(serialize_message(refusal), path), 1.0)
    machine.take_events()
    machine.receive(Datagram(serialize_message(check), path), 2.0)
    parsed = list(read_records(records))
    data = gather(parsed, survey(parsed), make=lambda entropy: Refused(entropy=entropy))
    assert [step.text for step in data.ladder] == ["Binding request"] * 2 + ["Allocate error response 401 Unauthorized"]
    data.duration_s = 8.0
    sentences = summary_of(data)
    assert "A server refused: turn:10.0.0.9:3478 gave no candidate: 401 Unauthorized." in sentences
    assert "Nothing arrived in the last 6.0 s." in sentences
    assert any("401 Unauthorized" in text for _, text in data.states)


class Buggy:
    def __init__(self, *, entropy):
        pass

    def receive(self, datagram, now):
        assert datagram != b"bang", "a bug"


def test_bug_that_was_recorded_is_in_the_words():
    records = []
    machine = make_recorded(Buggy, entropy=SeededEntropy(1), sink=records.append)
    with pytest.raises(AssertionError):
        machine.receive(b"bang", 2.0)
    parsed = list(read_records(records))
    data = gather(parsed, survey(parsed), make=lambda entropy: Buggy(entropy=entropy))
    assert data.replay_note.startswith("the bug that was recorded: a bug")


def test_what_is_no_recording_has_no_report(tmp_path, capsys):
    (tmp_path / "x").write_bytes(b"something else altogether")
    assert main(["trace", "report", str(tmp_path / "x"), "-o", str(tmp_path / "x.html")]) == 2
    with pytest.raises(WireError):
        survey(read_records(b""))


def test_recording_of_nothing_has_a_page():
    records = list(read_records(live(SEED)[0][:1]))
    Page(render_report(gather(records, survey(records)), "nothing"))


def test_command_writes_the_page_and_says_the_summary(tmp_path, capsys):
    (tmp_path / "a.rec").write_bytes(b"".join(live(SEED)[0]))
    output = tmp_path / "page.html"
    assert main(["trace", "report", str(tmp_path / "a.rec"), "-o", str(output)]) == 0
    assert capsys.readouterr().out.startswith("It was connected 0.")
    assert output.read_text().startswith("<!DOCTYPE html>")
    assert output.stat().st_mode & 0o077 == 0


def test_curves_keep_the_ends_of_what_does_not_change():
    series = []
    for at_s in range(10):
        append_change(series, at_s, 5 if at_s < 8 else 6)
    assert series == [(0, 5), (7, 5), (8, 6), (9, 6)]


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (999, "999"), (1500, "1.5 k"), (2.5e6, "2.5 M"), (3e9, "3 G"), (0.125, "0.125")]
)
def test_figures_are_short(value, text):
    assert figure(value) == text


def test_chart_of_nothing_is_nothing():
    assert chart("x", "y", [Line("a", [])], 1.0) == ""
    assert "NaN" not in chart("x", "y", [Line("a", [(0.0, 0.0)])], 0.0)


def test_page_is_bounded():
    records = list(read_records(live(8)[0]))
    data = gather(records, survey(records))
    assert len(data.ladder) <= LADDER_COUNT_MAX
    assert all(len(series) <= 2 * SAMPLE_COUNT_MAX for series in data.samples.curves.values())
