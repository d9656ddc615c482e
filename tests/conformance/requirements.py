"""What the RFCs require and where each requirement stands: read from the data and from the marks of the tests.

proven          a test carries  @pytest.mark.proves("RFC8445-7.2.2-3-1f3a")  and turns red where the code violates it
implemented     rfc-vectors/requirements/status says where, and no test proves it
not-applicable  rfc-vectors/requirements/status says why
open            all others; rfc-vectors/requirements/status says what is known of some
"""

import ast
import functools
import json
import pathlib
import tomllib

import attrs

ROOT = pathlib.Path(__file__).parents[2]
DATA = ROOT / "rfc-vectors" / "requirements"
STATED = ("implemented", "not-applicable", "open")
STATUSES = ("proven", "implemented", "not-applicable", "open")


@attrs.frozen(slots=True)
class Requirement:
    """One sentence and its status; `tests` are those that prove it, `note` is what the status file says."""

    id: str
    section: str
    level: str
    sentence: str
    hash: str
    status: str
    note: str
    tests: tuple[str, ...]

    @property
    def is_strict(self):
        """MUST and its like, not SHOULD and its like."""
        return self.level in {"MUST", "MUST NOT", "SHALL", "SHALL NOT", "REQUIRED"}

    @property
    def is_applicable(self):
        """Whether it is asked of this implementation at all."""
        return self.status != "not-applicable"


def documents():
    """The names of all documents, in order."""
    return sorted(path.stem for path in (DATA / "sentences").glob("*.json"))


def read_sentences(document):
    """The extracted requirements of one document."""
    return json.loads((DATA / "sentences" / f"{document}.json").read_text(encoding="utf-8"))


def read_stated(document):
    """What people say of the requirements: {"implemented": {id: where}, "not-applicable": {id: why}, ...}."""
    path = DATA / "status" / f"{document}.toml"
    stated = tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {status: stated.get(status, {}) for status in STATED} | stated


@functools.cache
def read_marks():
    """The tests that prove each requirement: {id: (file::test, ...)}."""
    marks = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        source = path.read_text(encoding="utf-8")
        if "mark.proves" not in source:
            continue
        for test, names in _find_marks(ast.parse(source)):
            for name in names:
                marks.setdefault(name, []).append(f"{path.relative_to(ROOT).as_posix()}::{test}")
    return {name: tuple(tests) for name, tests in marks.items()}


def _find_marks(tree):
    """Each test function of a module that has marks, with the ids."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for decorator in function.decorator_list:
            if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.proves":
                yield function.name, [ast.literal_eval(argument) for argument in decorator.args]


def read_requirements(document):
    """All requirements of a document with their status."""
    marks, stated = read_marks(), read_stated(document)
    return [_judge(sentence, marks.get(sentence["id"], ()), stated) for sentence in read_sentences(document)]


def _judge(sentence, tests, stated):
    status, note = ("proven", "") if tests else ("open", "")
    for name in STATED:
        if sentence["id"] in stated[name] and not tests:
            status, note = name, stated[name][sentence["id"]]
    return Requirement(**sentence, status=status, note=note, tests=tests)
