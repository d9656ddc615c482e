"""What the options of `sans-rtc peer` about media mean together."""

from __future__ import annotations

import os
from argparse import Namespace
from typing import TYPE_CHECKING

from sans_rtc.errors import InvalidArgument
from sans_rtc_demo.peer_command import MEDIA_SUFFIXES
from sans_rtc_demo.peer_media import MediaOptions

if TYPE_CHECKING:
    from sans_rtc_demo.peer_files import FilePlayer, FileRecorder

KINDS = ("audio", "video")


def media_options(arguments: Namespace) -> MediaOptions:
    """What of audio and video; files are opened.

    Kinds that are not named follow from the rest: what a file has or takes, both where packets are echoed.
    Errors  InvalidArgument for what does not go together, or without the extra av; CodecFailed for what is no film
    """
    path = _recording(arguments, is_of_media=True)
    if arguments.media_echo and arguments.play is not None:
        raise InvalidArgument("--media-echo and --play would both send: choose one")
    player = None if arguments.play is None else _player(arguments.play)
    recorder = None if path is None else _recorder(path)
    kinds = tuple(kind for kind in KINDS if getattr(arguments, kind))
    if not kinds and arguments.media_echo:
        kinds = KINDS
    elif not kinds:
        played = player.codecs() if player is not None else {}
        kinds = tuple(kind for kind in KINDS if kind in played or (recorder is not None and recorder.codecs(kind)))
    return MediaOptions(kinds=kinds, is_echoing=arguments.media_echo, player=player, recorder=recorder)


def session_recording(arguments: Namespace) -> str | None:
    """The file that the session is to be recorded in, for `sans-rtc trace`. Errors: InvalidArgument."""
    return _recording(arguments, is_of_media=False)


def _recording(arguments: Namespace, *, is_of_media: bool) -> str | None:
    paths = [path for path in arguments.record if path.lower().endswith(MEDIA_SUFFIXES) is is_of_media]
    if len(paths) > 1:
        raise InvalidArgument(f"--record: {paths[0]} and {paths[1]} would hold the same: choose one")
    return paths[0] if paths else None


def _player(path: str) -> FilePlayer:
    _require_av("--play")
    from sans_rtc_demo.peer_files import FilePlayer

    return FilePlayer(path)


def _recorder(path: str) -> FileRecorder:
    _require_av("--record of audio and video")
    from sans_rtc_demo.peer_files import FileRecorder

    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise InvalidArgument(f"--record: there is no folder {folder}")
    return FileRecorder(path)


def _require_av(option: str) -> None:
    try:
        import sans_rtc_av  # noqa: F401
    except ImportError as error:
        raise InvalidArgument(f"{option} needs PyAV: pip install 'sans-rtc[av]'") from error
