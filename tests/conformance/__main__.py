"""Black-box conformance of a foreign peer:  python -m tests.conformance --against "COMMAND" [--slow] [--only RULE...]

COMMAND starts a peer that signals by JSON lines on stdin and stdout as `sans-rtc peer` does (docs/peer-command.md),
answers an offer, gathers 127.0.0.1, and sends every message of a data channel back. For ours:

    python -m tests.conformance --against "sans-rtc peer --echo --bind 127.0.0.1"

The tester is our machines with deliberate deviations. It prints a table of the rules; the status is 1 where one failed.
"""

import argparse
import sys

from tests.conformance.black_box.table import main

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description="Try a peer by black-box rules.")
    parser.add_argument("--against", required=True, metavar="COMMAND", help="starts the peer")
    parser.add_argument("--slow", action="store_true", help="also rules that take half a minute")
    parser.add_argument("--only", nargs="+", default=(), metavar="RULE", help="these rules only")
    parser.add_argument("--jobs", type=int, default=2, help="how many peers at a time")
    options = parser.parse_args()
    sys.exit(main(options.against, is_slow=options.slow, only=options.only, jobs=options.jobs))
