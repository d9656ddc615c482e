"""Every input that was ever worth keeping, through its target: what was found once stays fixed."""

import pytest

from fuzz.table import CORPUS, load, names

FILES_MAX = 30
FILE_BYTES_MAX = 4096


@pytest.mark.parametrize("name", names())
def test_target_holds_on_its_whole_corpus(name):
    target = load(name)
    for path in sorted((CORPUS / name).iterdir()):
        try:
            target.run(path.read_bytes())
        except BaseException as error:
            error.add_note(f"on {path}; python -m fuzz {name} --replay {path}")
            raise


@pytest.mark.parametrize("name", names())
def test_corpus_is_small(name):
    files = list((CORPUS / name).iterdir())
    assert 0 < len(files) <= FILES_MAX
    assert max(path.stat().st_size for path in files) <= FILE_BYTES_MAX


@pytest.mark.parametrize("name", names())
def test_target_takes_no_bytes_and_any_bytes(name):
    target = load(name)
    for data in (b"", b"\x00", b"\xff" * 40):
        target.run(data)
