"""Runs the scenes, each with a peer of its own, and prints what came of the rules."""

import concurrent.futures
import time

from tests.conformance.black_box import channel_rules, dtls_rules, sctp_rules, stun_rules
from tests.conformance.black_box.rules import RULES, Outcome, judge
from tests.conformance.black_box.session import Session

# In this order: the rules of a scene build on one another, from the lowest layer up.
MODULES = [module.__name__ for module in (stun_rules, dtls_rules, sctp_rules, channel_rules)]
SCENES = {
    "main": {"setup": "passive", "use_cookies": True},
    "hostile": {"setup": "passive"},
    "server": {"setup": "active"},
    "old": {"setup": "active"},
    "wrong-server": {"setup": "passive", "is_fingerprint_wrong": True},
    "wrong-client": {"setup": "active", "is_fingerprint_wrong": True},
    "init": {"setup": "active"},
    "consent": {"setup": "passive"},
}


def run(command, *, is_slow=False, only=(), jobs=2):
    """Try all rules, or those whose names are given; outcomes in the order of the table."""
    table = sorted(RULES, key=lambda each: MODULES.index(each.check.__module__))
    chosen = [each for each in table if not only or each.name in only]
    scenes = {name: [each for each in chosen if each.scene == name] for name in SCENES}
    found = {}
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for outcomes in pool.map(lambda name: run_scene(command, name, scenes[name], is_slow=is_slow), SCENES):
            found |= {outcome.rule.name: outcome for outcome in outcomes}
    return [found[each.name] for each in chosen]


def run_scene(command, name, rules, *, is_slow):
    """The rules of one scene in one session; a peer is not started for none."""
    skipped = [Outcome(each, "not-run", "with --slow only") for each in rules if each.is_slow and not is_slow]
    tried = [each for each in rules if is_slow or not each.is_slow]
    if not tried:
        return skipped
    session = Session(command, **SCENES[name])
    try:
        return [*skipped, *(judge(each, session) for each in tried)]
    finally:
        session.end()


def render(command, outcomes, took_s):
    """The table as Markdown."""
    counts = {verdict: sum(each.verdict == verdict for each in outcomes) for verdict in ("pass", "fail", "not-run")}
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    rows = [f"`{command}`: {len(outcomes)} rules, {told}, {took_s:.0f} s", ""]
    rows += ["| rule | requirements | the peer | verdict | detail |", "|---|---|---|---|---|"]
    for each in outcomes:
        detail = each.detail.replace("|", "\\|").replace("\n", " ")
        cells = (each.rule.name, ", ".join(each.rule.requirements), each.rule.sentence, each.verdict, detail)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def main(command, *, is_slow, only, jobs):
    """Run, print, and return the exit status: 1 where a rule failed."""
    start = time.monotonic()
    outcomes = run(command, is_slow=is_slow, only=only, jobs=jobs)
    print(render(command, outcomes, time.monotonic() - start))
    return int(any(each.verdict == "fail" for each in outcomes))
