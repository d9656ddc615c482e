"""What every adapter shares and no event loop is needed for: sockets in bursts, interfaces, clocks, a blocking peer.

The parts are imported by their modules: `udp`, `binding`, `interfaces`, `driver`, `session`, `blocking`, ...
"""
