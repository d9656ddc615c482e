"""A session between two peer connections on a network where strangers listen and speak.

Everything that the peers send is overheard, and comes again in other forms and from other places: while it is on its
way, right after it has arrived, and again at every stage of the session.
"""

from sans_rtc.datachannel import ChannelOptions
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.stun import Attribute, AttributeType, Message, MessageClass, Method, parse_message, serialize_message
from sans_rtc.testing import SeededEntropy
from tests.peer.conftest import HOSTS, Pair

# What a stranger can make without knowing a secret; "replayed" is the only form that is authentic.
MADE_UP = ("empty", "random", "cut", "flipped", "unproven")
FORMS = (*MADE_UP, "replayed")
STRANGERS = ("other host", "other port")
SOURCES = ("own address", *STRANGERS)

# The first byte decides where bytes go (RFC 7983); one of each kind, and of what nobody has.
FIRST_BYTES = (0, 1, 3, 17, 20, 22, 23, 63, 64, 100, 128, 200, 255)
DELAY_S = 0.001  # of the link
OVERTAKING_S, FOLLOWING_S = 0.0, 0.002
MESSAGES = 40  # each way
PROOFS = (AttributeType.MESSAGE_INTEGRITY, AttributeType.FINGERPRINT)


def forms_of(form, data, chance):
    """What a stranger makes of a datagram."""
    match form:
        case "empty":
            return [b""]
        case "random":
            return [bytes([FIRST_BYTES[chance.below(len(FIRST_BYTES))]]) + chance(chance.below(100))]
        case "cut":
            return [data[:size] for size in (1, len(data) // 2, len(data) - 1, chance.below(len(data)))]
        case "flipped":
            bits = 8 * len(data)
            return [flip(data, bit) for bit in (chance.below(min(bits, 104)), chance.below(bits), bits - 1)]
        case "unproven":
            return [unproven(data, chance)]
    return [data]


def flip(data, bit):
    """The bytes with one bit changed."""
    damaged = bytearray(data)
    damaged[bit // 8] ^= 0x80 >> bit % 8
    return bytes(damaged)


def unproven(data, chance):
    """A well-formed Binding request without the password: an overheard one where there is one, else one made up."""
    attributes = []
    if data[:2] == b"\x00\x01":
        attributes = [attribute for attribute in parse_message(data).attributes if attribute.type not in PROOFS]
    elif chance.below(2):
        attributes = [Attribute(AttributeType.USERNAME, "some:body")]
    request = Message(MessageClass.REQUEST, Method.BINDING, chance(12), attributes)
    return serialize_message(request, key=b"guessed", fingerprint=True)


def is_protected(data):
    """True for what an end can tell from a forgery: STUN, and DTLS under its keys. The handshake is not."""
    return data[0] <= 3 or (data[0] >= 20 and data[3:5] != b"\x00\x00")


def accounted(peer):
    """Everything that a peer has counted as left out, keepalives included, which prove nothing either."""
    explanation = peer.explain()
    discards = sum(sum(reasons.values()) for reasons in explanation.discards.values())
    return discards + explanation.ice.statistics.indications_received


class HostileSession(Pair):
    """A `Pair` among strangers, who send these forms of what they overhear from these sources.

    after_s     when a form of a datagram comes, from the moment at which the datagram was sent
    is_hostile  which datagrams they make something of
    overheard   two lists: what each end has been sent by the other
    traffic     when and what each end has sent to the other
    injected    how many hostile datagrams each end got
    strays      what the peers have sent to others than each other
    """

    def __init__(self, forms=(), sources=(), after_s=FOLLOWING_S, *, is_hostile=lambda data: True, **keywords):
        super().__init__(**keywords)
        self.forms, self.sources, self.after_s, self.is_hostile = forms, sources, after_s, is_hostile
        self.link.filter = self._route
        self.chance = SeededEntropy("hostile")
        self.overheard = ([], [])
        self.traffic = []
        self.injected = [0, 0]
        self.strays = []

    # -- the strangers ---------------------------------------------------------------------------------------------

    def strike(self, end, data, source, *, after_s=0.0, number=0):
        """Let bytes arrive at an end; strangers of other numbers have other addresses."""
        self.injected[end] += 1
        local, remote = Address(HOSTS[end], 5000), Address(HOSTS[1 - end], 5000)
        if source == "other host":
            remote = Address(f"198.51.{number % 100}.{number // 100 % 250 + 1}", 5000)
        elif source == "other port":
            remote = Address(remote.host, 10_000 + number % 50_000)
        self.link.inject(end, Datagram(data, Path(local, remote)), after_s=after_s)

    def volley(self):
        """What was overheard lately, again, in every form: a stage has been reached."""
        for end in (0, 1):
            for data in [b"\x16\xfe\xfd\x00\x01", *self.overheard[end]][-30:]:
                self._answer(end, data, 0.0)

    def _answer(self, end, data, after_s):
        for form in self.forms if self.is_hostile(data) else ():
            for source in self.sources:
                for hostile in forms_of(form, data, self.chance):
                    self.strike(end, hostile, source, after_s=after_s)

    def _route(self, end, datagram):
        """Overhear what goes to the peer; what goes to anybody else gets lost."""
        if datagram.path.remote != Address(HOSTS[1 - end], 5000):
            self.strays.append(datagram)
            return None
        self.overheard[1 - end].append(datagram.data)
        self.traffic.append((self.now, end, datagram.data))
        if not self.peers[1 - end].is_terminated:
            self._answer(1 - end, datagram.data, self.after_s)
        return datagram

    # -- the session -------------------------------------------------------------------------------------------------

    def live(self):
        """The whole session but for its end, with a volley at each stage; AssertionError where it stands still."""
        for stage in (self.describe, self.check_paths, self.secure, self.associate, self.open, self.transfer):
            self.volley()
            stage()
        self.volley()
        self.link.run_until(lambda: all(len(received) >= MESSAGES for received in self.messages), within_s=10.0)
        self.volley()
        self.link.run_for(3.0)
        return self

    def end(self):
        """A graceful end, with volleys in the middle of it."""
        self.peers[0].close(self.now)
        for _ in range(3):
            self.volley()
            self.link.run_for(0.4 * DELAY_S)
        self.link.run_for(8.0)

    def describe(self):
        offerer, answerer = self.peers
        self.mine = offerer.create_channel("test", ChannelOptions(), self.now)
        offerer.set_local_description(None, self.now)
        self.link.flush()
        answerer.set_remote_description(offerer.local_description, self.now)
        self.link.run_for(0.01)

    def check_paths(self):
        offerer, answerer = self.peers
        answerer.set_local_description(None, self.now)
        self.link.flush()
        offerer.set_remote_description(answerer.local_description, self.now)
        self.link.run_for(0.5 * DELAY_S)

    def secure(self):
        self.link.run_until(lambda: any(peer.explain().dtls_state != "new" for peer in self.peers), within_s=5.0)

    def associate(self):
        self.link.run_until(lambda: any(peer.explain().dtls_state == "connected" for peer in self.peers), within_s=5.0)

    def open(self):
        self.link.run_until(lambda: self.handle_at(1, "test") is not None, within_s=10.0)
        self.theirs = self.handle_at(1, "test")

    def transfer(self):
        for number in range(MESSAGES):
            self.peers[0].send(self.mine, message(0, number), self.now)
            self.peers[1].send(self.theirs, message(1, number), self.now)
        self.link.run_for(2 * DELAY_S)


def message(end, number):
    """One message of the transfer, the same at every run."""
    return bytes([end, number]) * (1 + number * 37 % 1500)


def expected(end):
    """What an end is to have received."""
    return [message(1 - end, number) for number in range(MESSAGES)]
