"""The table of black-box rules, and what can come of one."""

import attrs

RULES = []


class Failed(Exception):
    """The peer broke the rule; the text says how."""


class NotRun(Exception):
    """The rule could not be tried; the text says why."""


@attrs.frozen
class Rule:
    """A row.

    scene         which session it is tried in; rules of one scene share it, in the order of the table
    requirements  ids of rfc-vectors/requirements, or an RFC's section where its text is not there
    check         check(session) returns a detail, or raises Failed or NotRun
    is_slow       only with --slow
    """

    name: str
    scene: str
    sentence: str
    requirements: tuple
    check: object
    is_slow: bool = False


@attrs.frozen
class Outcome:
    """A rule and its verdict: pass, fail or not-run."""

    rule: Rule
    verdict: str
    detail: str = ""


def rule(name, scene, sentence, *requirements, is_slow=False):
    """Enter the function below into the table."""

    def enter(check):
        RULES.append(Rule(name, scene, sentence, requirements, check, is_slow))
        return check

    return enter


def expect(condition, otherwise):
    """Fail the rule where the condition does not hold."""
    if not condition:
        raise Failed(otherwise)


def judge(each, session):
    """Try one rule."""
    try:
        return Outcome(each, "pass", each.check(session) or "")
    except Failed as failure:
        return Outcome(each, "fail", str(failure))
    except NotRun as reason:
        return Outcome(each, "not-run", str(reason))
