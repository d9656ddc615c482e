"""`sans-rtc peer` with faults that the black-box rules must find:  python -m tests.conformance.broken_peer"""

import sys

from sans_rtc.datachannel import DataChannels
from sans_rtc.dtls import session12
from sans_rtc.sctp import receiver
from sans_rtc.stun import wire
from sans_rtc_demo.main import main

parse_attributes, send = wire._parse_attributes, DataChannels.send

# It understands every attribute, believes every certificate and checksum, and takes texts for bytes.
wire._parse_attributes = lambda *arguments: (parse_attributes(*arguments)[0], ())
session12.matches_signalled = lambda *_: True
receiver.is_checksum_valid = lambda _: True
DataChannels.send = lambda self, handle, data, now: send(
    self, handle, data.encode() if isinstance(data, str) else data, now
)

if __name__ == "__main__":
    sys.exit(main(["peer", "--echo", "--bind", "127.0.0.1"]))
