"""Trace records as structured logs and as counters: what a program reads of a running system."""

import asyncio
import json
import logging
import re

import pytest

from benchmarks.record import _Session
from sans_rtc.machine import Address, Path, TraceRecord
from sans_rtc.peer import PeerConnection
from sans_rtc.testing import SeededEntropy
from sans_rtc_demo.demo_server import make_app
from sans_rtc_demo.demo_sessions import SessionLimits, Sessions
from sans_rtc_net import Family, JsonFormatter, PeerMetrics, fan_out, render_openmetrics, trace_to_logging
from sans_rtc_net.peer_metrics import LABEL_COUNT_MAX, OTHER

PATH = Path(Address("192.168.7.7", 1), Address("203.0.113.9", 2))


def connect(*traces):
    """Connect two peers and end them; each tells its trace."""
    ends = [PeerConnection(entropy=SeededEntropy(f"end {number}"), trace=trace) for number, trace in enumerate(traces)]
    session = _Session(ends)
    ends[0].close(session._link.now)
    session._link.run_for(2.0)
    return ends


@pytest.fixture
def lines():
    """What is logged under the library's logger, as JSON."""
    logger = logging.getLogger("sans_rtc")
    logged = []

    class Handler(logging.Handler):
        def emit(self, record):
            logged.append(self.format(record))

    handler = Handler()
    handler.setFormatter(JsonFormatter())
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.DEBUG)
    yield logged
    logger.removeHandler(handler)
    logger.setLevel(level)


# -- logs --------------------------------------------------------------------------------------------------------------


def test_every_line_of_a_peer_is_json_and_carries_its_id(lines):
    connect(trace_to_logging("call 1"), trace_to_logging("call 2"))
    parsed = [json.loads(line) for line in lines]
    assert {line["peer"] for line in parsed} == {"call 1", "call 2"}
    assert {line["layer"] for line in parsed} >= {"ice", "dtls", "sctp"}
    assert all(set(line) == {"time", "level", "logger", "peer", "layer", "event", "at", "fields"} for line in parsed)
    times = [line["at"] for line in parsed if line["peer"] == "call 1"]
    assert times == sorted(times)


def test_addresses_are_redacted_alike_where_asked(lines):
    connect(trace_to_logging("a", redact_addresses=True), trace_to_logging("b", redact_addresses=True))
    text = "\n".join(lines)
    assert "198.18.0." in text
    assert not re.search(r"\b10\.0\.0\.\d", text)
    trace = trace_to_logging("c", redact_addresses=True)
    del lines[:]
    fields = {"path": PATH, "note": "no answer from 203.0.113.9", "address": PATH.remote, "count": 3, "more": (PATH,)}
    trace(TraceRecord("ice", "x", 1.0, fields))
    assert "192.168" not in lines[0] and "203.0.113.9" not in lines[0]
    said = json.loads(lines[0])["fields"]
    assert said["count"] == 3
    assert said["address"].rpartition(":")[0] in said["note"]


def test_addresses_stay_where_not(lines):
    trace_to_logging("a")(TraceRecord("ice", "x", 1.0, {"path": PATH}))
    assert "192.168.7.7" in json.loads(lines[0])["fields"]["path"]


def test_nothing_is_made_of_records_that_nobody_wants():
    class Loud:
        def __str__(self):
            raise AssertionError("formatted")

    logger = logging.getLogger("sans_rtc.unwanted")
    logger.setLevel(logging.WARNING)
    trace_to_logging("a", logger=logger, redact_addresses=True)(TraceRecord("ice", "x", 1.0, {"path": Loud()}))


def test_other_records_are_json_as_well(lines):
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("sans_rtc.other").exception("it %s", "failed")
    line = json.loads(lines[0])
    assert (line["message"], line["level"]) == ("it failed", "error")
    assert "ValueError: broken" in line["exception"]


def test_fields_that_json_has_not_are_texts(lines):
    fields = {"inf": float("inf"), "nan": float("nan"), "bytes": b"x", "none": None, "flag": True}
    trace_to_logging("a")(TraceRecord("ice", "x", 1.0, fields))
    said = json.loads(lines[0], parse_constant=lambda name: pytest.fail(name))["fields"]
    assert said == {"inf": "inf", "nan": "nan", "bytes": "b'x'", "none": None, "flag": True}


def test_fan_out_tells_all():
    first, second = [], []
    record = TraceRecord("ice", "x", 1.0, {})
    fan_out(first.append, second.append)(record)
    assert first == second == [record]


# -- metrics -----------------------------------------------------------------------------------------------------------


def samples(text):
    """The samples of an OpenMetrics text, which ends as it must."""
    assert text.endswith("# EOF\n")
    found = {}
    for line in text.splitlines()[:-1]:
        if not line.startswith("#"):
            name, value = re.fullmatch(r'(sans_rtc_\w+(?:\{\w+="(?:[^"\\]|\\.)*"\})?) ([-+\d.e]+)', line).groups()
            found[name] = float(value)
    return found


def test_session_of_two_peers_is_counted():
    metrics = PeerMetrics()
    connect(metrics.trace_peer(), metrics.trace_peer())
    found = samples(metrics.render())
    assert found["sans_rtc_peers_total"] == 2
    assert found["sans_rtc_dtls_handshakes_total"] == 2
    assert found['sans_rtc_peer_ends_total{reason="closed"}'] == 1
    assert found['sans_rtc_peer_ends_total{reason="closed_by_peer"}'] == 1
    assert found['sans_rtc_ice_checks_total{outcome="succeeded"}'] >= 2
    assert not [name for name in found if name.startswith(("sans_rtc_dtls_failures", "sans_rtc_ice_failures"))]


@pytest.mark.parametrize(
    ("records", "sample"),
    [
        ([("ice", "state", {"state": "failed"})], 'sans_rtc_ice_failures_total{reason="no_pair_answered"}'),
        (
            [("ice", "consent_expired", {}), ("ice", "state", {"state": "failed"})],
            'sans_rtc_ice_failures_total{reason="consent_expired"}',
        ),
        (
            [("dtls", "terminated", {"reason": "fingerprint_mismatch"})],
            'sans_rtc_dtls_failures_total{reason="fingerprint_mismatch"}',
        ),
        (
            [("turn", "answered", {"purpose": "allocate", "failure": "401 Unauthenticated: go away, 10.0.0.1"})],
            'sans_rtc_turn_failures_total{reason="401 Unauthenticated"}',
        ),
        ([("dtls", "flight_retransmitted", {})], "sans_rtc_dtls_flights_retransmitted_total"),
        ([("sctp", "timeout", {})], "sans_rtc_sctp_timeouts_total"),
        ([("sctp", "loss", {})], "sans_rtc_sctp_losses_total"),
        (
            [("sctp", "terminated", {"reason": "peer_unreachable"})],
            'sans_rtc_sctp_failures_total{reason="peer_unreachable"}',
        ),
    ],
    ids=["ice", "consent", "dtls", "turn", "flight", "timeout", "loss", "sctp"],
)
def test_failure_is_counted_by_its_reason(records, sample):
    metrics = PeerMetrics()
    trace = metrics.trace_peer()
    for layer, name, fields in records:
        trace(TraceRecord(layer, name, 1.0, fields))
    assert samples(metrics.render())[sample] == 1


@pytest.mark.parametrize("reason", ["closed", "peer_closed"])
def test_end_as_it_should_be_is_no_failure_of_dtls(reason):
    metrics = PeerMetrics()
    metrics.trace_peer()(TraceRecord("dtls", "terminated", 1.0, {"reason": reason}))
    assert not [name for name in samples(metrics.render()) if "dtls_failures" in name]


def test_consent_of_one_peer_says_nothing_of_another():
    metrics = PeerMetrics()
    first, second = metrics.trace_peer(), metrics.trace_peer()
    first(TraceRecord("ice", "consent_expired", 1.0, {}))
    second(TraceRecord("ice", "state", 1.0, {"state": "failed"}))
    assert samples(metrics.render())['sans_rtc_ice_failures_total{reason="no_pair_answered"}'] == 1


def test_values_of_a_label_are_bounded():
    metrics = PeerMetrics()
    trace = metrics.trace_peer()
    for number in range(LABEL_COUNT_MAX + 50):
        trace(TraceRecord("turn", "answered", 1.0, {"failure": f"{number} Strange"}))
    found = {name: count for name, count in samples(metrics.render()).items() if "turn_failures" in name}
    assert len(found) == LABEL_COUNT_MAX + 1
    assert found[f'sans_rtc_turn_failures_total{{reason="{OTHER}"}}'] == 50


def test_text_of_openmetrics_is_escaped():
    text = render_openmetrics([Family("sans_rtc_x", "gauge", "a\nb", "why", {'say "no"\\\n': 1})])
    assert text == '# TYPE sans_rtc_x gauge\n# HELP sans_rtc_x a\\nb\nsans_rtc_x{why="say \\"no\\"\\\\\\n"} 1\n# EOF\n'


async def answer(app, path):
    """One GET request to an ASGI application: status, headers, body."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    headers = [(b"host", b"127.0.0.1")]
    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"",
             "headers": headers, "scheme": "http", "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1),
             "http_version": "1.1", "asgi": {"version": "3.0"}, "root_path": ""}  # fmt: skip
    await app(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join([message.get("body", b"") for message in sent[1:]])


@pytest.mark.parametrize("has_metrics", [True, False], ids=["with", "without"])
def test_demo_serves_its_counters(has_metrics):
    metrics = PeerMetrics() if has_metrics else None

    async def ask():
        sessions = Sessions(lambda: pytest.fail("no peer is needed"), SessionLimits())
        return await answer(make_app(sessions, metrics=metrics), "/metrics")

    status, headers, body = asyncio.run(ask())
    assert status == (200 if has_metrics else 404)
    if has_metrics:
        assert headers[b"content-type"].startswith(b"application/openmetrics-text; version=1.0.0")
        assert samples(body.decode())["sans_rtc_peers_total"] == 0
