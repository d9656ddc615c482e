"""`sans-rtc peer`: the command line of the scriptable peer; what it does is in `peer_script`."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2

TURN_USER_VARIABLE = "SANS_RTC_TURN_USERNAME"
TURN_PASSWORD_VARIABLE = "SANS_RTC_TURN_PASSWORD"

# A --record that ends so takes audio and video; the table of sans_rtc_av, which is not always installed.
MEDIA_SUFFIXES = (".webm", ".mkv", ".mp4", ".ogg", ".wav", ".ivf")

DESCRIPTION = """\
A WebRTC peer that signals by JSON lines on stdin and stdout, so that any program can carry them to the other side.

It says, one object a line:
  {"type": "offer" or "answer", "sdp": ...}
  {"type": "candidate", "candidate": ... or null at the end, "sdpMid": ..., "sdpMLineIndex": ...}
  {"type": "state", "connection": ..., "ice": ...}
  {"type": "channel", "label": ..., "id": ...}   and "channel-closed"
  {"type": "message", "label": ..., "text": ... or "base64": ...}
  {"type": "summary", "messages": ..., "bytes": ..., ...}   with --discard, once a second
  {"type": "track", "kind": ..., "mid": ...}   the peer sends audio or video
  {"type": "media", "kind": ..., "mid": ..., "frames": ..., "packets": ..., "bytes": ..., "bitrate_bps": ...}
                                               what has come, once a second while something does
  {"type": "keyframe-requested", "mid": ..., "rid": ...}   the peer wants a keyframe
  {"type": "played", "frames": ...}   the end of --play;  {"type": "recorded", "mid": ..., "frames": ...} of --record
  {"type": "stats", "stats": [...]}   the answer to it
  {"type": "error", "message": ...}
  {"type": "closed", "reason": ..., ...}   the last line

It takes:
  {"type": "offer" or "answer", "sdp": ...}
  {"type": "candidate", "candidate": ..., "sdpMid": ..., "sdpMLineIndex": ...}
  {"type": "create-channel", "label": ...}   and "ordered", "max_retransmits", "lifetime_s", "protocol", "negotiated_id"
  {"type": "send", "label": ..., "text": ... or "base64": ...}
  {"type": "close-channel", "label": ...}
  {"type": "restart-ice"}   makes an offer with new credentials; data flow on meanwhile
  {"type": "network-changed"}   looks which addresses this machine has now
  {"type": "request-keyframe", "mid": ...}
  {"type": "stats"}   asks for all that is counted, as a browser's getStats has it
  {"type": "explain"}
  {"type": "close"}   as the end of the input does

Two of them connect through nothing but two pipes; what the other says of itself is left out:
  mkfifo a b; sans-rtc peer --offer <a | tee /dev/stderr >b & sans-rtc peer --echo >a <b
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `peer` and its options to the command line."""
    parser = subparsers.add_parser(
        "peer",
        help="a peer that signals by JSON lines on stdin and stdout",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--offer", action="store_true", help="make the offer; without it, wait for one")
    parser.add_argument(
        "--channel",
        metavar="LABEL",
        action="append",
        default=[],
        help='create this channel; may be repeated (an offer without any has "data")',
    )
    parser.add_argument("--echo", action="store_true", help="send every message back on its channel")
    parser.add_argument("--discard", action="store_true", help="count messages and bytes instead of writing them out")
    parser.add_argument("--stun", metavar="URL", action="append", default=[], help="ask this server, stun:HOST[:PORT]")
    parser.add_argument(
        "--turn",
        metavar="URL",
        action="append",
        default=[],
        help="relay through this server, turn:HOST[:PORT][?transport=tcp] or turns:HOST[:PORT]; may be repeated",
    )
    parser.add_argument("--turn-user", metavar="NAME", help=f"who we are to it; else ${TURN_USER_VARIABLE}")
    parser.add_argument(
        "--turn-password",
        metavar="PASSWORD",
        help=f"others on this machine can see it here; else ${TURN_PASSWORD_VARIABLE}",
    )
    parser.add_argument("--relay-only", action="store_true", help="use and tell of nothing but relays")
    parser.add_argument(
        "--hide-addresses",
        action="store_true",
        help="tell .local names in place of this machine's addresses, which only our own network resolves",
    )
    parser.add_argument("--tls-ca", metavar="FILE", help="trust these certificates in place of the system's")
    parser.add_argument("--proxy", metavar="URL", help='reach TCP and TLS through this HTTP proxy; or "environment"')
    parser.add_argument("--tcp", action="store_true", help="candidates over TCP too")
    parser.add_argument("--lite", action="store_true", help="only answer checks: for a host with a public address")
    parser.add_argument("--bind", metavar="ADDRESS", action="append", default=[], help="use this local address only")
    parser.add_argument(
        "--port", metavar="N", type=int, default=0, help="use this local port, of UDP and with --tcp of TCP; 0: any"
    )
    parser.add_argument(
        "--no-trickle", dest="trickle", action="store_false", help="put all candidates into the description"
    )
    parser.add_argument("--audio", action="store_true", help="offer audio, and accept it")
    parser.add_argument("--video", action="store_true", help="offer video, and accept it")
    parser.add_argument(
        "--media-echo", action="store_true", help="send every packet of audio and video back as it came; needs no codec"
    )
    parser.add_argument(
        "--play",
        metavar="FILE",
        help='send this file, once; "test": a picture and a tone that Python draws. Needs the extra av',
    )
    parser.add_argument(
        "--record",
        metavar="FILE",
        action="append",
        default=[],
        help="record the session, keys and messages too, for `sans-rtc trace`; or, where FILE ends in "
        f"{' '.join(MEDIA_SUFFIXES)}, the audio and video that come, which needs the extra av. One of each at most",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the peer until its input, its connection or a signal ends it."""
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    from sans_rtc.errors import SansRtcError
    from sans_rtc.ice.config import IceConfig
    from sans_rtc.peer.config import PeerConfig
    from sans_rtc_asyncio import PeerConnection
    from sans_rtc_demo.jsonl import LineReader, LineWriter
    from sans_rtc_demo.peer_options import media_options, session_recording
    from sans_rtc_demo.peer_script import PeerScript, ScriptOptions

    try:
        media = media_options(arguments)
        connection = PeerConnection(
            PeerConfig(ice=IceConfig(is_lite=arguments.lite), accepts_media=bool(media.kinds)),
            stun_servers=arguments.stun,
            ice_servers=_turn_servers(arguments),
            ice_transport_policy="relay" if arguments.relay_only else None,
            tcp=arguments.tcp,
            tls_ca=arguments.tls_ca,
            proxy=arguments.proxy,
            hide_host_addresses=arguments.hide_addresses,
            bind=arguments.bind,
            port=arguments.port,
            record=session_recording(arguments),
        )
    except (SansRtcError, OSError) as error:
        print(f"sans-rtc peer: {error}", file=sys.stderr)
        return EXIT_USAGE
    options = ScriptOptions(
        is_offerer=arguments.offer,
        labels=tuple(arguments.channel),
        is_echoing=arguments.echo,
        is_discarding=arguments.discard,
        is_trickling=arguments.trickle,
        media=media,
    )
    script = PeerScript(connection, options, LineReader(sys.stdin.fileno()), LineWriter(sys.stdout.fileno()))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, script.stop)
        except NotImplementedError:  # a loop of Windows
            pass
    return EXIT_OK if await script.run() else EXIT_FAILED


def _turn_servers(arguments: argparse.Namespace) -> list[dict[str, object]]:
    """The servers of `--turn`, as `ice_servers` takes them."""
    username = arguments.turn_user or os.environ.get(TURN_USER_VARIABLE, "")
    credential = arguments.turn_password or os.environ.get(TURN_PASSWORD_VARIABLE, "")
    return [{"urls": url, "username": username, "credential": credential} for url in arguments.turn]
