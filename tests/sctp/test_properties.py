"""Whatever bytes come, in whatever order, state and time: no exception, bounded memory, the contract holds."""

from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.errors import LocalError
from sans_rtc.sctp import RELIABLE, Association, Message, Reliability, SctpConfig
from sans_rtc.sctp.chunks import CHUNKS, CookieAck
from sans_rtc.sctp.wire import Sealer, serialize_chunk
from sans_rtc.testing import ContractMonitor, SeededEntropy, drain

CONFIG = SctpConfig(
    receive_window_bytes=20_000,
    message_bytes_max=10_000,
    send_buffer_bytes_max=50_000,
    streams_outbound=8,
    streams_inbound_max=8,
    init_retransmissions_max=2,
    association_retransmissions_max=3,
    heartbeat_interval_s=1.0,
)
TSN = 1000
STATES = [
    "closed",
    "cookie-wait",
    "cookie-echoed",
    "established",
    "shutdown-pending",
    "shutdown-sent",
    "shutdown-received",
]

small = st.integers(0, 12)
words = st.one_of(st.integers(0, 40), st.integers(TSN - 5, TSN + 60), st.integers(0, 0xFFFFFFFF))
near = st.integers(0, 40)


@st.composite
def plausible_chunk(draw):
    """A chunk of a known type whose fields are often near what is expected."""
    kind = draw(st.sampled_from(sorted(CHUNKS)))
    flags = draw(st.integers(0, 15))
    if kind == 0:
        tsn = (TSN + draw(st.integers(-3, 30))) & 0xFFFFFFFF
        head = tsn.to_bytes(4, "big") + draw(small).to_bytes(2, "big") + draw(small).to_bytes(2, "big") + bytes(4)
        return serialize_chunk(0, flags, head + bytes(draw(st.sampled_from([0, 1, 10, 1000, 4000]))))
    if kind in (3, 7, 192):
        value = b"".join(draw(words).to_bytes(4, "big") for _ in range(draw(st.integers(1, 6))))
        return serialize_chunk(kind, flags, value)
    if kind == 130:
        number = draw(st.one_of(st.integers(TSN - 1, TSN + 3), words)).to_bytes(4, "big")
        rest = b"".join(draw(words).to_bytes(4, "big") for _ in range(draw(st.integers(0, 3))))
        value = draw(st.integers(13, 18)).to_bytes(2, "big") + (8 + len(rest)).to_bytes(2, "big") + number + rest
        return serialize_chunk(kind, 0, value)
    return serialize_chunk(kind, flags, draw(st.binary(max_size=40)))


any_chunk = st.one_of(
    plausible_chunk(),
    st.builds(serialize_chunk, st.integers(0, 255), st.integers(0, 255), st.binary(max_size=60)),
)

actions = st.one_of(
    st.tuples(st.just("bytes"), st.binary(max_size=60)),
    st.tuples(st.just("packet"), st.lists(any_chunk, min_size=1, max_size=4)),
    st.tuples(st.just("sack"), st.tuples(near, st.lists(near, max_size=4), near)),
    st.tuples(st.just("wait"), st.floats(0.0, 3.0)),
    st.tuples(
        st.just("send"), st.tuples(st.integers(0, 9), st.sampled_from([1, 1000, 5000]), st.booleans(), st.booleans())
    ),
    st.tuples(st.just("reset"), st.lists(st.integers(0, 7), max_size=3)),
    st.tuples(st.just("consume"), st.integers(0, 2000)),
    st.tuples(st.just("take"), st.none()),
    st.tuples(st.just("close"), st.none()),
)


class Driver:
    """Brings an association to a state and does things to it."""

    def __init__(self, sctp, state):
        self.check = sctp.check
        self.association = Association(CONFIG, entropy=SeededEntropy(state))
        self.raw = sctp.RawPeer(self.association, tsn=TSN, streams=8, window_bytes=30_000)
        raw = self.raw
        self.monitor = raw.monitor
        if state != "closed":
            self.association.connect(raw.now)
            raw.take()
        if state not in ("closed", "cookie-wait"):
            raw.send(raw.init(is_ack=True, cookie=b"c"))
            raw.take()
        if state not in ("closed", "cookie-wait", "cookie-echoed"):
            raw.send(CookieAck())
            raw.take()
        if state in ("shutdown-pending", "shutdown-received"):
            self.association.send(0, 51, bytes(3000), RELIABLE, raw.now)
            raw.take()
        if state in ("shutdown-pending", "shutdown-sent"):
            self.association.close(raw.now)
            raw.take()
        if state == "shutdown-received":
            raw.send(serialize_chunk(7, 0, ((raw.their_tsn - 1) & 0xFFFFFFFF).to_bytes(4, "big")))
            raw.take()
        assert self.association.state == state

    def do(self, name, argument):
        raw, association = self.raw, self.association
        match name:
            case "bytes":
                raw.receive(argument)
            case "packet":
                raw.receive(Sealer(5000, 5000, raw.their_tag).seal(b"".join(argument)))
            case "sack":
                count, gaps, window = argument
                edges = sorted(set(gaps))
                raw.send(raw.sack(count, gaps=[(edge, edge) for edge in edges], window_bytes=window * 1000))
            case "wait":
                raw.now += argument
                self.monitor.handle_timer(raw.now)
            case "send":
                stream_id, size, ordered, is_partial = argument
                association.send(
                    stream_id, 51, bytes(size), Reliability(ordered, max_retransmits=0 if is_partial else None), raw.now
                )
            case "reset":
                association.reset_streams(argument, raw.now)
            case "consume":
                association.consume(argument, raw.now)
            case "take":
                raw.take()
            case "close":
                self.monitor.close(raw.now)
        self.check(association)


@settings(max_examples=200, deadline=None)
@given(state=st.sampled_from(STATES), script=st.lists(actions, max_size=25))
def test_anything_in_any_state_keeps_the_contract(sctp, state, script):
    driver = Driver(sctp, state)
    for name, argument in script:
        try:
            driver.do(name, argument)
        except LocalError:
            driver.check(driver.association)
        held = driver.association._inbound.reassembly.held_bytes
        assert held <= 2 * CONFIG.receive_window_bytes + 5000
        assert len(driver.association._tcb.control) <= CONFIG.control_chunks_max
        assert driver.association._outbound.flow.scheduler.queued_bytes <= CONFIG.send_buffer_bytes_max
    driver.raw.take()


@settings(max_examples=100, deadline=None)
@given(script=st.lists(actions, max_size=15), state=st.sampled_from(STATES))
def test_equal_inputs_give_equal_bytes(sctp, script, state):
    outputs = []
    for _ in range(2):
        driver = Driver(sctp, state)
        said = []
        for name, argument in script:
            try:
                driver.do(name, argument)
            except LocalError:
                pass
            said += driver.raw.take_packets()
        outputs.append((said, driver.raw.events, driver.association.deadline))
    assert outputs[0] == outputs[1]


flips = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 4000), st.booleans()), max_size=12)


@settings(max_examples=150, deadline=None)
@given(flips=flips, seed=st.integers(0, 1000))
def test_flipped_real_packets_do_no_harm(sctp, flips, seed):
    """Bits of a real conversation are flipped, with the checksum mended or not."""
    ends = [Association(CONFIG, entropy=SeededEntropy(f"{seed} {index}")) for index in (0, 1)]
    monitors = [ContractMonitor(end) for end in ends]
    planned = {number: (bit, is_mended) for number, bit, is_mended in flips}
    now, number = 1000.0, 0
    for index, end in enumerate(ends):
        end.connect(now)
        end.send(index, 51, bytes(4000), RELIABLE, now)
        end.send(index, 51, b"x", Reliability(max_retransmits=0), now)
    for step in range(40):
        for index, monitor in enumerate(monitors):
            datagrams, events = drain(monitor, now)
            for event in events:
                if isinstance(event, Message):
                    ends[index].consume(len(event.data), now)
            for datagram in datagrams:
                if number in planned:
                    datagram = flip(datagram, *planned[number])
                number += 1
                monitors[1 - index].receive(datagram, now)
            sctp.check(ends[index])
        now += 0.05
        for monitor in monitors:
            monitor.handle_timer(now)
        if step == 10 and not ends[0].is_terminated:
            ends[0].close(now)
    for monitor in monitors:
        monitor.take_datagrams(now)
        monitor.take_events()
        monitor.check(now)


def flip(datagram, bit, is_mended):
    data = bytearray(datagram)
    position = bit % (len(data) * 8)
    data[position // 8] ^= 1 << position % 8
    if not is_mended:
        return bytes(data)
    source, destination, tag = (int.from_bytes(data[start:end], "big") for start, end in ((0, 2), (2, 4), (4, 8)))
    return Sealer(source, destination, tag).seal(bytes(data[12:]))
