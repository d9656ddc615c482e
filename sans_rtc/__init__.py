"""WebRTC as pure state machines: bytes and time go in, bytes and events come out."""

__version__ = "0.1.0"
