"""The command `sans-rtc`: a peer to talk to from scripts, and a demonstration in the browser."""
