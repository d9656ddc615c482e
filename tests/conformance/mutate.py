"""Tries the proofs:  python -m tests.conformance.mutate [--draw COUNT --seed SEED] [--only ID ...]

Each row of rfc-vectors/requirements/mutations.toml breaks the code in the way its sentence forbids. This applies them
one by one in a clone of the last commit, runs the tests that are marked as proof of the sentence, and writes what came
of it to mutations.json beside, for docs/compliance.md:

red    a test fails, as it must
green  none does: the mark is wrong, or the test too weak
stale  the code is not as the row says, or the tests are red without it

With --draw it only prints requirements drawn at random among those proven of the documents in `DRAWN_FROM`, or of those
after --of.
"""

import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import tomllib

from tests.conformance.requirements import DATA, ROOT, read_marks, read_requirements

MUTATIONS = DATA / "mutations.toml"
OUTCOMES = DATA / "mutations.json"
DRAWN_FROM = ("RFC3711", "RFC4960", "RFC5764", "RFC6347", "RFC6525", "RFC8445", "RFC8656")


def draw(count, seed, documents=DRAWN_FROM):
    """Proven strict requirements, the same for the same seed and marks."""
    proven = [
        each
        for document in documents
        for each in read_requirements(document)
        if each.is_strict and each.status == "proven"
    ]
    return random.Random(seed).sample(proven, count)


def run_tests(clone, tests):
    """True where all of these pass in the clone."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(command, cwd=clone, capture_output=True, text=True, timeout=180, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def try_one(clone, row, tests):
    """Break the code of the clone as a row says, run the tests, and mend it again."""
    path = clone / row["file"]
    text = path.read_text(encoding="utf-8")
    if text.count(row["old"]) != 1 or not run_tests(clone, tests):
        return "stale"
    path.write_text(text.replace(row["old"], row["new"]), encoding="utf-8")
    try:
        return "green" if run_tests(clone, tests) else "red"
    finally:
        path.write_text(text, encoding="utf-8")


def try_all(only):
    """Try the rows, or those named; returns the outcomes in the order of the rows."""
    rows = tomllib.loads(MUTATIONS.read_text(encoding="utf-8"))["mutation"]
    marks, outcomes = read_marks(), []
    with tempfile.TemporaryDirectory(prefix="mutate") as folder:
        clone = pathlib.Path(folder) / "clone"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        for row in rows:
            if only and row["id"] not in only:
                continue
            tests = marks.get(row["id"], ())
            outcome = try_one(clone, row, tests) if tests else "stale"
            told = {"id": row["id"], "breaks": row["breaks"], "test": ", ".join(tests), "outcome": outcome}
            outcomes.append(told | ({"first": row["first"]} if "first" in row else {}))
            print(f"{outcome:6} {row['id']}  {row['breaks']}", flush=True)
    return outcomes


def main():
    """Draw, or try and write the outcomes; the status is 1 where one is not red."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.mutate", description="Try the proofs.")
    parser.add_argument("--draw", type=int, metavar="COUNT", help="print so many requirements, drawn at random")
    parser.add_argument("--of", nargs="+", default=DRAWN_FROM, metavar="DOCUMENT", help="draw from these")
    parser.add_argument("--seed", type=int, default=1, help="of the drawing")
    parser.add_argument(
        "--only", nargs="*", default=[], metavar="ID", help="try these, and keep what is known of others"
    )
    arguments = parser.parse_args()
    if arguments.draw:
        for each in draw(arguments.draw, arguments.seed, arguments.of):
            print(f"{each.id}  {each.sentence}\n    {', '.join(each.tests)}")
        return 0
    outcomes = try_all(set(arguments.only))
    known = json.loads(OUTCOMES.read_text(encoding="utf-8")) if arguments.only and OUTCOMES.exists() else []
    merged = {each["id"]: each for each in (*known, *outcomes)}
    rows = ",\n".join(json.dumps(outcome, ensure_ascii=False) for outcome in merged.values())
    OUTCOMES.write_text(f"[\n{rows}\n]\n", encoding="utf-8")
    return int(any(outcome["outcome"] != "red" for outcome in outcomes))


if __name__ == "__main__":
    raise SystemExit(main())
