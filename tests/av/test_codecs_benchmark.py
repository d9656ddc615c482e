"""The command that measures codecs runs and names them all."""

import pytest

pytest.importorskip("av", reason="PyAV is not installed: pip install 'sans-rtc[av]'")

from benchmarks import codecs
from sans_rtc_av import available_encoders


def test_every_codec_that_is_built_in_is_measured(capsys):
    assert codecs.main(["--frames", "3", "--rounds", "1", "--width", "64", "--height", "64"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in available_encoders())
