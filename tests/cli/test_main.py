"""The command `sans-rtc` itself: its subcommands, its version, and what it says when something is missing."""

import sys

import pytest

import sans_rtc
from sans_rtc_demo import main as main_module
from sans_rtc_demo.main import SUBCOMMANDS, main


def run(*arguments):
    """Run the command line; argparse leaves by SystemExit."""
    try:
        return main(arguments)
    except SystemExit as left:
        return left.code


def test_version_is_that_of_the_package(capsys):
    assert run("--version") == 0
    assert capsys.readouterr().out == f"sans-rtc {sans_rtc.__version__}\n"


def test_help_names_every_subcommand(capsys):
    assert run("--help") == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in SUBCOMMANDS)


def test_without_a_subcommand_it_shows_help_and_fails(capsys):
    assert run() == 2
    assert "peer" in capsys.readouterr().err


def test_an_unknown_subcommand_fails(capsys):
    assert run("pear") == 2
    assert "pear" in capsys.readouterr().err


def test_peer_help_lists_its_options(capsys):
    assert run("peer", "--help") == 0
    shown = capsys.readouterr().out
    for option in ("--offer", "--channel", "--echo", "--stun", "--bind", "--port", "--no-trickle", "--discard"):
        assert option in shown


def test_an_unknown_option_fails(capsys):
    assert run("peer", "--ofer") == 2
    assert "--ofer" in capsys.readouterr().err


def test_peer_does_not_import_what_the_demo_needs(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "starlette", None)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "sans_rtc_demo.demo_command", raising=False)
    assert run("peer", "--help") == 0
    assert "sans_rtc_demo.demo_command" not in sys.modules


def test_a_missing_package_is_named_with_what_brings_it(capsys, monkeypatch):
    def fail(name):
        raise ModuleNotFoundError("No module named 'starlette'", name="starlette")

    monkeypatch.setattr(main_module.importlib, "import_module", fail)
    assert run("demo") == 1
    error = capsys.readouterr().err
    assert "starlette" in error
    assert "sans-rtc[demo]" in error


@pytest.mark.parametrize("arguments", [("--port", "x"), ("--bind",), ("--channel",)])
def test_bad_options_fail(arguments, capsys):
    assert run("peer", *arguments) == 2
