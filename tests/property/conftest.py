"""The generic properties run over the table of scenes; `kind` is a row of it, `seed` a few seeds."""

from tests.property.scenes.table import KINDS


def pytest_generate_tests(metafunc):
    if "kind" in metafunc.fixturenames:
        metafunc.parametrize("kind", KINDS.values(), ids=KINDS)
    if "misuse" in metafunc.fixturenames:
        cases = [(kind, misuse) for kind in KINDS.values() for misuse in kind.misuses.values()]
        names = [f"{kind.name}: {name}" for kind in KINDS.values() for name in kind.misuses]
        metafunc.parametrize(("misused", "misuse"), cases, ids=names)
