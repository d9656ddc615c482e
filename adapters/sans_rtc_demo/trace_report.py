"""`sans-rtc trace report`: a recording as one page, for a person to see what went wrong."""

from __future__ import annotations

import argparse
from pathlib import Path

from sans_rtc.trace.report import render_report, summary_of
from sans_rtc.trace.report_data import gather, survey
from sans_rtc_demo.trace_files import records_of, write_text


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe the action's options."""
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="PAGE", help="the HTML file to write")


def report(arguments: argparse.Namespace) -> int:
    """Write the page, and its summary to the standard output."""
    data = gather(records_of(arguments.file), survey(records_of(arguments.file)))
    for sentence in summary_of(data):
        print(sentence)
    return write_text(arguments.output, [render_report(data, arguments.file.name)])
