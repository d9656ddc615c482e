"""What the mDNS tests share: addresses, a querier on them, answers in short."""

import pytest

from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.mdns import MdnsConfig, Querier
from sans_rtc.mdns.wire import DnsMessage, address_record, serialize_message
from sans_rtc.testing import SeededEntropy

LOCAL = Address("192.0.2.10", 5353)
RESPONDER = Address("192.0.2.20", 5353)


@pytest.fixture
def name():
    return "1f4712db-ea17-4bcf-a596-105139dfd8bf.local"


@pytest.fixture
def make_querier():
    """make_querier(**config): a querier with one IPv4 address on port 5353."""

    def make(*addresses, trace=None, seed=1, **config):
        querier = Querier(MdnsConfig(**config), entropy=SeededEntropy(seed), trace=trace)
        for address in addresses or (LOCAL,):
            querier.add_local_address(address, 1000.0)
        return querier

    return make


@pytest.fixture
def answer():
    """answer(name, *hosts): the datagram of a response with these addresses."""

    def make(name, *hosts, ttl_s=120, path=None, flushes_cache=True, **header):
        records = [address_record(name, host, ttl_s, flushes_cache=flushes_cache) for host in hosts]
        message = DnsMessage(is_response=True, is_authoritative=True, answers=records, **header)
        return Datagram(serialize_message(message), path or Path(LOCAL, RESPONDER))

    return make
