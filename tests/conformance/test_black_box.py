"""Our own peer under the black-box rules; a peer with faults, which they find; and aiortc, for which they were made."""

import importlib.util
import shlex
import sys

import pytest

from tests.conformance.black_box.rules import RULES
from tests.conformance.black_box.table import render, run
from tests.conformance.requirements import documents, read_requirements

PYTHON = shlex.quote(sys.executable)
FOUND_IN_BROKEN_PEER = (
    "stun-unknown-required",
    "dtls-server-wrong-fingerprint",
    "sctp-wrong-checksum",
    "sctp-zero-checksum",
    "channel-string",
)
# aiortc 1.16.0; each is told in docs/conformance-table.md.
FAILED_BY_AIORTC = {
    "stun-unknown-required",
    "port-empty",
    "sctp-init-zero-tag",
    "sctp-unknown-parameter",
    "sctp-unknown-report",
    "sctp-unknown-stop",
}


def test_our_peer_fails_no_rule():
    outcomes = run(f"{PYTHON} -m sans_rtc_demo.main peer --echo --bind 127.0.0.1")
    wrong = [each for each in outcomes if each.verdict != "pass" and not each.rule.is_slow]
    assert wrong == [], render("ours", wrong, 0)
    assert len(outcomes) == len(RULES) >= 60


def test_rules_find_the_faults_of_a_broken_peer():
    outcomes = run(f"{PYTHON} -m tests.conformance.broken_peer", only=(*FOUND_IN_BROKEN_PEER, "sctp-heartbeat"))
    verdicts = {each.rule.name: each.verdict for each in outcomes}
    assert verdicts == {**dict.fromkeys(FOUND_IN_BROKEN_PEER, "fail"), "sctp-heartbeat": "pass"}


def test_rules_are_not_run_against_what_is_no_peer():
    outcomes = run(f"{PYTHON} -c pass", only=("stun-success", "sctp-heartbeat"))
    assert [each.verdict for each in outcomes] == ["not-run", "not-run"]


def test_requirements_that_rules_name_exist():
    known = {each.id for document in documents() for each in read_requirements(document)}
    named = {each for rule in RULES for each in rule.requirements if not each.startswith("RFC ")}
    assert named <= known, named - known


def test_rules_have_names_of_their_own():
    assert len({rule.name for rule in RULES}) == len(RULES)


@pytest.mark.interop
def test_aiortc_fails_the_known_rules_only():
    if importlib.util.find_spec("aiortc") is None:
        pytest.skip("aiortc is not installed (pip install aiortc==1.16.0)")
    outcomes = run(f"{PYTHON} -m tests.conformance.aiortc_bridge")
    assert {each.rule.name for each in outcomes if each.verdict == "fail"} <= FAILED_BY_AIORTC, render(
        "aiortc", outcomes, 0
    )
    assert sum(each.verdict == "pass" for each in outcomes) >= 55
