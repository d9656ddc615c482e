"""Every block of Python in the README and the tutorial runs as it stands, in a process of its own."""

import re

import pytest

from tests.docs.pages import ROOT, blocks, run_block

PAGES = ["README.md", "docs/tutorial.md", "docs/embedding.md", "docs/mux.md", "docs/snapshots.md"]


@pytest.mark.parametrize(
    "block",
    [pytest.param(block, id=f"{page}-{number}") for page in PAGES for number, block in enumerate(blocks(page), 1)],
)
def test_example_runs_and_is_quiet_on_stderr(block):
    assert run_block(block) == (0, [])


def test_readme_example_has_about_fifteen_lines():
    block = blocks("README.md")[0]
    assert len([line for line in block.splitlines() if line.strip()]) <= 16


def test_links_between_the_pages_lead_somewhere():
    broken = []
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            if not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert broken == []
