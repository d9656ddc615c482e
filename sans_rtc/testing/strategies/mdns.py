"""DNS messages as multicast DNS carries them (RFC 1035, RFC 6762)."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from sans_rtc.mdns.wire import DnsMessage, Question, Record, RecordType, nsec_record, serialize_message
from sans_rtc.testing.strategies.nearly import U16, nearly

_LABELS = st.text("abcxyzABC019-_ä", min_size=1, max_size=12)
_TTLS = st.integers(0, 0x7FFFFFFF)
_TYPES = st.one_of(st.sampled_from(RecordType).map(int), U16)


def dns_names() -> SearchStrategy[str]:
    """A name of one to four labels in text form, most often below `.local`."""
    joined = st.lists(_LABELS, min_size=1, max_size=3).map(".".join)
    return st.one_of(joined.map(lambda name: name + ".local"), joined)


def _address_records() -> SearchStrategy[Record]:
    def make(name: str, packed: bytes, ttl_s: int, flushes: bool) -> Record:
        kind = RecordType.A if len(packed) == 4 else RecordType.AAAA
        return Record(name, kind, ttl_s, packed, flushes)

    packed = st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16))
    return st.builds(make, dns_names(), packed, _TTLS, st.booleans())


def dns_records() -> SearchStrategy[Record]:
    """`Record`: an address of a name, the statement that it has no others, or one of any type."""
    negative = st.builds(nsec_record, dns_names(), st.lists(st.integers(1, 255), min_size=1, max_size=4), _TTLS)
    other = st.builds(Record, dns_names(), U16, _TTLS, st.binary(max_size=30), st.booleans(), st.integers(0, 0x7FFF))
    return st.one_of(_address_records(), negative, other)


def dns_messages() -> SearchStrategy[DnsMessage]:
    """`DnsMessage`: a query or a response with a few questions and records in any section."""
    questions = st.builds(Question, dns_names(), _TYPES, st.booleans(), st.integers(0, 0x7FFF))
    records = st.lists(dns_records(), max_size=3)
    return st.builds(
        DnsMessage,
        U16,
        st.booleans(),
        st.booleans(),
        st.booleans(),
        st.integers(0, 15),
        st.integers(0, 15),
        st.lists(questions, max_size=3),
        records,
        records,
        records,
    )


def dns_datagrams() -> SearchStrategy[bytes]:
    """The bytes of a valid message, names not compressed."""
    return dns_messages().map(serialize_message)


def nearly_dns_datagrams() -> SearchStrategy[bytes]:
    """Bytes that are nearly a message: damaged, or with a name that is a pointer to anywhere."""
    pointing = st.builds(
        lambda counts, target, rest: bytes(4) + counts + (0xC000 | target).to_bytes(2, "big") + rest,
        st.lists(st.integers(0, 3), min_size=4, max_size=4).map(
            lambda counts: b"".join(count.to_bytes(2, "big") for count in counts)
        ),
        st.integers(0, 0x3FFF),
        st.binary(max_size=40),
    )
    return st.one_of(nearly(dns_datagrams()), pointing)
