"""The pytest fixtures that this library brings, in a pytest of its own; and the page that tells of them."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "testing-your-app.md"


@pytest.fixture
def run_pytest(tmp_path):
    """Runs a pytest with the plugin on a file of tests, and returns what it prints."""

    def run(text, *arguments):
        (tmp_path / "test_app.py").write_text(text)
        paths = os.pathsep.join([str(ROOT), str(ROOT / "adapters")])
        environment = {**os.environ, "PYTHONPATH": paths, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        command = [sys.executable, "-m", "pytest", "-p", "sans_rtc.pytest_plugin", "-p", "no:cacheprovider", "-q"]
        done = subprocess.run(
            [*command, *arguments, "test_app.py"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.stdout + done.stderr

    return run


def test_fixtures_do_what_the_page_says(run_pytest):
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    said = run_pytest("\n\n".join(blocks))
    count = sum(len(re.findall(r"^def test_", block, re.MULTILINE)) for block in blocks)
    assert count >= 5
    assert f"{count} passed" in said, said


SEEDS = """
def test_one(rtc_seed, rtc_entropy, rtc_network):
    assert rtc_entropy("a")(8) == rtc_entropy("a")(8) != rtc_entropy("b")(8)
    print("seed", rtc_seed, rtc_network.chance(8).hex())

def test_other(rtc_seed, rtc_network):
    print("seed", rtc_seed, rtc_network.chance(8).hex())
"""


def test_each_test_has_a_seed_of_its_own_that_stays_the_same(run_pytest):
    first, again, asked = (
        re.findall(r"seed \S+ \w+", run_pytest(SEEDS, "-s", *more)) for more in ((), (), ("--rtc-seed", "7"))
    )
    assert len(set(first)) == 2
    assert first == again
    assert not set(first) & set(asked)


def test_report_of_a_failed_test_tells_its_seed(run_pytest):
    said = run_pytest("def test_it(rtc_call):\n    raise ValueError\n", "--rtc-seed", "9")
    assert "seed: '9/test_it'" in said


def test_plugin_is_found_by_its_entry_point():
    entries = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    assert entries == {"pytest11": {"sans_rtc": "sans_rtc.pytest_plugin"}}


def test_nothing_imports_pytest_but_the_plugin():
    code = "import sys, sans_rtc.peer, sans_rtc.testing; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0


def test_plugin_brings_no_machine_before_a_fixture_is_asked_for():
    code = "import sys, sans_rtc.pytest_plugin; sys.exit('sans_rtc.peer' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0
