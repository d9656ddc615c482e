"""A data channel for asyncio: the one of all event loops, with signals and locks of asyncio under it."""

from sans_rtc_net.async_channel import DataChannel

__all__ = ["DataChannel"]
