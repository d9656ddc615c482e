"""What a run has said, as a digest: two runs of a seed are the same where these are, to the byte and the instant."""

import hashlib


class Transcript:
    """A `Watch` that stands before another one, and takes down every datagram: when, whose, to whom, its bytes."""

    def __init__(self, network):
        self._network = network
        self._digest = hashlib.blake2b(digest_size=8)
        self._watch = network.watch
        self.on_event, self.on_step = self._watch.on_event, self._watch.on_step
        network.watch = self

    def on_datagram(self, program, datagram):
        """See `Watch`."""
        remote = datagram.path.remote
        line = f"{self._network.now!r} {program.host.name} {remote.host} {remote.port} {len(datagram.data)} "
        self._digest.update(line.encode() + datagram.data)
        self._watch.on_datagram(program, datagram)

    def digest(self, *told):
        """Of everything until now, and of what else has come of the run."""
        whole = self._digest.copy()
        whole.update(repr(told).encode())
        return whole.hexdigest()
