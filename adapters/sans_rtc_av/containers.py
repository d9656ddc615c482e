"""The table of files that a recorder writes: what each takes as it is, and what becomes of the rest."""

from __future__ import annotations

import os
from collections.abc import Mapping

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc.rtp.payload import MediaKind
from sans_rtc_av.formats import Format

# delay_moov: the beginning is written with the first fragment, when it is known which track begins later.
_FRAGMENTS = {
    "movflags": "frag_keyframe+delay_moov+default_base_moof", "frag_duration": "1000000", "flush_packets": "1"
}  # fmt: skip
_CLUSTERS = {"cluster_time_limit": "1000", "flush_packets": "1"}


@attrs.frozen(slots=True)
class FileFormat:
    """One kind of file.

    name         FFmpeg's name of it
    copies       encoding names of RTP that it takes without transcoding
    sound_codec  what other audio becomes: "opus", or "pcm": samples of 16 bits; None: it takes none
    is_timeless  it has no timestamps: gaps become silence
    track_max    how many tracks it takes
    options      of FFmpeg's muxer; those of mkv, webm and mp4 let what has been written be read after a crash
    """

    name: str
    copies: frozenset[str]
    sound_codec: str | None = None
    is_timeless: bool = False
    track_max: int = 64
    options: Mapping[str, str] = attrs.field(factory=dict)

    def stored_as(self, row: Format) -> str | None:
        """The encoding name of the copy, "pcm" or "opus" for audio that is transcoded, None: it is not taken."""
        if row.name in self.copies:
            return row.name
        return self.sound_codec if row.kind is MediaKind.AUDIO else None


FILE_FORMATS: Mapping[str, FileFormat] = {
    ".mkv": FileFormat(
        "matroska",
        frozenset({"VP8", "VP9", "AV1", "H264", "opus"}),
        sound_codec="pcm",
        options=_CLUSTERS,
    ),
    ".webm": FileFormat("webm", frozenset({"VP8", "VP9", "AV1", "opus"}), sound_codec="opus", options=_CLUSTERS),
    ".mp4": FileFormat("mp4", frozenset({"H264", "AV1", "opus"}), sound_codec="opus", options=_FRAGMENTS),
    ".wav": FileFormat("wav", frozenset({"PCMU", "PCMA"}), sound_codec="pcm", is_timeless=True, track_max=1),
    ".ogg": FileFormat("ogg", frozenset({"opus"}), sound_codec="opus", track_max=1),
    ".ivf": FileFormat("ivf", frozenset({"VP8", "VP9", "AV1"}), track_max=1),
}


def file_format_of(path: str) -> FileFormat:
    """The kind of file by the end of its name; InvalidArgument for another one."""
    suffix = os.path.splitext(path)[1].lower()
    found = FILE_FORMATS.get(suffix)
    if found is None:
        raise InvalidArgument(f"no file of kind {suffix!r} is written: {', '.join(FILE_FORMATS)}")
    return found
