"""Drivers of several tempers: each stands between a machine and the link and asserts the contract as it goes."""

from sans_rtc.testing import ContractMonitor, SeededEntropy


class Punctual(ContractMonitor):
    """Asserts that a timer that has been handled is not due any more once everything was taken."""

    def __init__(self, machine):
        super().__init__(machine)
        self._fired_at = None

    def receive(self, datagram, now):
        super().receive(datagram, now)
        self._fired_at = None

    def handle_timer(self, now):
        super().handle_timer(now)
        self._fired_at = now

    def take_events(self):
        events = super().take_events()
        if not events and self._fired_at is not None:
            assert self.machine.deadline > self._fired_at, "the timer is due again as soon as it has been handled"
            self._fired_at = None
        return events


class Late(Punctual):
    """Comes this much too late to every deadline."""

    LATE_S = 0.7

    @property
    def deadline(self):
        return self.machine.deadline + self.LATE_S


class Sloppy(ContractMonitor):
    """Takes datagrams and events now and then, in no good order, and comes with handle_timer unasked."""

    RETRY_S = 0.001

    def __init__(self, machine):
        super().__init__(machine)
        self._chance = SeededEntropy("sloppy")
        self._retry_at = float("inf")

    def take_datagrams(self, now):
        return () if self._forgets(now) else super().take_datagrams(now)

    def take_events(self):
        return () if self._forgets(self._now) else super().take_events()

    def handle_timer(self, now):
        self._retry_at = float("inf")
        super().handle_timer(now)

    @property
    def deadline(self):
        return min(self._retry_at, self.machine.deadline)

    def _forgets(self, now):
        if self._chance.fraction() < 0.5:
            return False
        self._retry_at = min(self._retry_at, now + self.RETRY_S)
        return True


class Reader(ContractMonitor):
    """Reads everything that can be read, twice, before and after each call."""

    reads = ()

    def receive(self, datagram, now):
        self._read()
        super().receive(datagram, now)
        self._read()

    def handle_timer(self, now):
        self._read()
        super().handle_timer(now)
        self._read()

    def take_datagrams(self, now):
        self._read()
        datagrams = super().take_datagrams(now)
        self._read()
        return datagrams

    def take_events(self):
        self._read()
        events = super().take_events()
        self._read()
        return events

    def _read(self):
        assert read_all(self.machine, self.reads) == read_all(self.machine, self.reads), "reading twice differs"


def read_all(machine, reads):
    """What every property of a machine says, and what these functions of it return, as text."""
    names = [name for name in dir(type(machine)) if not name.startswith("_")]
    properties = [name for name in names if isinstance(getattr(type(machine), name), property)]
    found = [repr(getattr(machine, name)) for name in properties]
    return [*found, repr(getattr(machine, "stats", None)), *[repr(read(machine)) for read in reads]]
