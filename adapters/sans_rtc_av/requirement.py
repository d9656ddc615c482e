"""What this package needs, said clearly where it is not there: PyAV is an extra, `pip install sans-rtc[av]`."""

from __future__ import annotations

from sans_rtc.errors import LocalError, SansRtcError


class MissingCodecs(LocalError, ImportError):
    """PyAV is not installed, or its build lacks what was asked for."""


class CodecFailed(SansRtcError):
    """An encoder, or the writer of a file, could not do its work; what FFmpeg says is in the message."""


def require_av() -> None:
    """Raise MissingCodecs where PyAV cannot be imported."""
    try:
        import av  # noqa: F401
    except ImportError as error:
        raise MissingCodecs(f"sans_rtc_av needs PyAV: pip install 'sans-rtc[av]' ({error})") from error
