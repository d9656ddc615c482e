"""`sans-rtc trace` as a user meets it: what it says where a file is not what it should be, and what it leaves."""

import os

import pytest

import sans_rtc
from sans_rtc.sctp import Association, SctpConfig
from sans_rtc.testing import SeededEntropy
from sans_rtc.trace import Record, RecordKind, make_recorded, read_records
from sans_rtc.trace.wire import serialize_header
from sans_rtc_demo.main import main
from sans_rtc_demo.trace_files import Unreadable, write

# Each action with what it takes besides FILE; {out} is where it writes.
ACTIONS = {
    "info": [],
    "replay": [],
    "diff": ["{good}"],
    "keylog": [],
    "cut": ["-o", "{out}"],
    "export": ["--pcapng", "{out}"],
    "redact": ["{out}"],
    "report": ["-o", "{out}"],
}
WRITING = ("cut", "export", "redact", "report")


@pytest.fixture
def good(tmp_path):
    records = []
    association = make_recorded(Association, SctpConfig(), entropy=SeededEntropy(1), sink=records.append)
    association.connect(0.0)
    association.take_datagrams(0.0)
    association.handle_timer(5.0)
    association.take_datagrams(5.0)
    path = tmp_path / "good.rec"
    path.write_bytes(b"".join(records))
    return path


def trace(action, file, good, out):
    return main(["trace", action, str(file), *[part.format(good=good, out=out) for part in ACTIONS[action]]])


@pytest.mark.parametrize("action", ACTIONS)
def test_good_recording_is_taken(action, good, tmp_path, capsys):
    status = trace(action, good, good, tmp_path / "out")
    assert status == (1 if action == "keylog" else 0)
    assert (tmp_path / "out").exists() is (action in WRITING)
    assert capsys.readouterr().err == ("" if status == 0 else f"sans-rtc trace: {good}: there are no keys in it\n")


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("missing", "No such file or directory"),
        ("folder", "Is a directory"),
        ("empty", "this is not a recording, it ends too soon"),
        ("other", "this is not a recording"),
    ],
)
def test_what_is_no_recording_is_named_and_nothing_is_written(action, kind, said, good, tmp_path, capsys):
    file = tmp_path / kind
    if kind == "folder":
        file.mkdir()
    elif kind != "missing":
        file.write_bytes(b"" if kind == "empty" else b"something else altogether")
    assert trace(action, file, good, tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert error == f"sans-rtc trace: {file}: {said}\n"
    assert not (tmp_path / "out").exists()


def test_other_file_of_a_diff_is_named(good, tmp_path, capsys):
    (tmp_path / "other").write_bytes(b"something else altogether")
    assert main(["trace", "diff", str(good), str(tmp_path / "other")]) == 2
    assert main(["trace", "diff", str(good), str(tmp_path / "missing")]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"sans-rtc trace: {tmp_path / 'other'}: this is not a recording")
    assert second == f"sans-rtc trace: {tmp_path / 'missing'}: No such file or directory"


@pytest.mark.parametrize("action", WRITING)
def test_what_is_read_is_not_overwritten(action, good, tmp_path, capsys):
    before = good.read_bytes()
    (tmp_path / "link").symlink_to(good)
    for out in (good, tmp_path / "link"):
        assert trace(action, good, good, out) == 2
        assert "would overwrite what is read" in capsys.readouterr().err
    assert good.read_bytes() == before


@pytest.mark.parametrize("action", WRITING)
def test_output_that_cannot_be_written_is_named(action, good, tmp_path, capsys):
    assert trace(action, good, good, tmp_path / "gone" / "out") == 2
    assert capsys.readouterr().err == f"sans-rtc trace: {tmp_path}/gone/out: No such file or directory\n"
    assert trace(action, good, good, tmp_path) == 2
    assert capsys.readouterr().err == f"sans-rtc trace: {tmp_path}: Is a directory\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no device that is always full here")
@pytest.mark.parametrize("action", WRITING)
def test_full_disk_is_told(action, good, capsys):
    assert trace(action, good, good, "/dev/full") == 2
    assert capsys.readouterr().err == "sans-rtc trace: /dev/full: No space left on device\n"
    assert os.path.exists("/dev/full")


def test_failure_midway_leaves_no_half_of_an_output(tmp_path):
    def pieces():
        yield b"first"
        raise Unreadable("no more")

    with pytest.raises(Unreadable):
        write(tmp_path / "out", pieces())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("action", WRITING)
def test_output_is_its_owners_alone_even_where_it_was_not(action, good, tmp_path):
    out = tmp_path / "out"
    out.write_bytes(b"old")
    out.chmod(0o644)
    assert trace(action, good, good, out) == 0
    assert out.stat().st_mode & 0o777 == 0o600


def test_keys_that_are_not_there_are_told(good, capsys):
    assert main(["trace", "keylog", str(good)]) == 1
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", f"sans-rtc trace: {good}: there are no keys in it\n")


@pytest.mark.parametrize("span", [["--from", "5", "--to", "2"], ["--from", "nan"]])
def test_cut_of_no_span_is_refused(span, good, tmp_path, capsys):
    try:
        status = main(["trace", "cut", str(good), *span, "-o", str(tmp_path / "out")])
    except SystemExit as exit_info:
        status = exit_info.code
    assert status == 2
    assert capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("library", "said"),
    [
        (sans_rtc.__version__, f"by this version of sans_rtc, {sans_rtc.__version__}"),
        ("0.0.9", f"by sans_rtc 0.0.9, and this is {sans_rtc.__version__}"),
        ("", "a recording of another version"),
    ],
)
def test_difference_tells_which_version_has_recorded(good, tmp_path, capsys, library, said):
    records = list(read_records(good.read_bytes()))
    made = serialize_header(has_payloads=True, has_secrets=True, library=library)
    drawn = next(number for number, record in enumerate(records) if record.kind is RecordKind.ENTROPY)
    records[drawn] = Record(RecordKind.ENTROPY, bytes(len(records[drawn].body)))
    other = tmp_path / "other"
    other.write_bytes(made + b"".join(record.serialize() for record in records[1:]))
    assert main(["trace", "replay", str(other)]) == 1
    assert said in capsys.readouterr().err
    assert main(["trace", "info", str(other)]) == 0
    assert f"library     {f'sans_rtc {library}' if library else 'unknown'}\n" in capsys.readouterr().out


def test_bug_of_the_machine_is_shown_with_status_1(good, monkeypatch, capsys):
    def connect(self, now):
        raise LookupError("a bug")

    monkeypatch.setattr(Association, "connect", connect)
    assert main(["trace", "replay", str(good)]) == 1
    error = capsys.readouterr().err
    assert "LookupError: a bug" in error and error.splitlines()[-1].startswith("The machine raised this")


@pytest.mark.parametrize("action", ["info", "diff", "keylog", "report"])
def test_reader_who_has_seen_enough_is_no_error(action, good, tmp_path, monkeypatch, capsys):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as nobody:
        monkeypatch.setattr("sys.stdout", nobody)
        status = trace(action, good, good, tmp_path / "out")
        monkeypatch.undo()
    assert status == (1 if action == "keylog" else 2)
    assert "pipe" not in capsys.readouterr().err
