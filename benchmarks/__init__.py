"""Benchmarks of `sans_rtc` beside other stacks: `python -m benchmarks NAME --vs aiortc`; see docs/benchmarks.md."""
