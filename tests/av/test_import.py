"""PyAV is an extra: nothing but sans_rtc_av imports it, and its absence is said clearly. These run without it."""

import subprocess
import sys

import pytest

HEAVY = {"av", "numpy", "sans_rtc_av"}


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


def test_core_and_adapters_import_no_codec():
    packages = "sans_rtc.rtp.payload, sans_rtc.peer, sans_rtc_net.blocking, sans_rtc_asyncio"
    done = run(f"import {packages}, sys; print(*sorted({HEAVY!r} & set(sys.modules)))")
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


def test_core_and_adapters_name_no_codec_in_their_imports():
    """Read from the files, so that an import inside of a function counts."""
    import ast
    from pathlib import Path

    import sans_rtc
    import sans_rtc_asyncio

    core, adapters = Path(sans_rtc.__file__).parent, Path(sans_rtc_asyncio.__file__).parents[1]
    folders = [core, *(adapters / f"sans_rtc_{name}" for name in ("net", "asyncio", "trio", "anyio"))]
    found = []
    for path in (path for folder in folders for path in folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            found += [f"{path}: {name}" for name in names if name.partition(".")[0] in HEAVY]
    assert found == []


def test_absence_of_pyav_is_said_with_what_to_do():
    code = (
        "import sys; sys.modules['av'] = None\n"
        "from sans_rtc.errors import LocalError\n"
        "try:\n"
        "    import sans_rtc_av\n"
        "except LocalError as error:\n"
        "    print(isinstance(error, ImportError), error)\n"
    )
    done = run(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("True sans_rtc_av needs PyAV: pip install 'sans-rtc[av]'")


def test_sans_rtc_av_needs_no_numpy():
    pytest.importorskip("av", reason="PyAV is not installed: pip install 'sans-rtc[av]'")
    code = (
        "import sys; sys.modules['numpy'] = None\n"
        "from sans_rtc_av import *\n"
        "encoder = new_encoder('VP8'); frame = encoder.encode(PictureSource().frame(0))[0]\n"
        "print(frame_number_of(new_decoder('VP8').decode(frame.data, frame.timestamp)[0]))\n"
    )
    done = run(code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")
