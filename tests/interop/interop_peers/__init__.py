"""Peers that this project did not write, and its own, behind one small interface.

session     the interface: one connection of one peer, and the host that has many
messages    what is sent: every peer makes the same bytes from the same numbers, so that only hashes travel back
page.js     the interface inside a browser, media.js for audio and video; chromium and firefox bring requests to it
lines       the interface over JSON lines; aiortc_peer.py and pion/*.go are at the other end
local       this project's own connection; command the same from its command line
relay       a way between two peers that loses some of their media
tone        what fake microphones hear
signalling  carries descriptions and candidates between two sessions
pair        the two sessions of a test
network     a network namespace with nothing but loopback
"""
