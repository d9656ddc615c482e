"""`explain()` tells where a connection stands and why, in a sentence, and changes nothing."""

import pytest

from sans_rtc.datachannel import ChannelOptions
from sans_rtc.ice import AddressFilter, IceConfig
from sans_rtc.machine import Address
from sans_rtc.peer import ConnectionState, Description, DtlsState, PeerConfig, PeerConnection, SctpState
from sans_rtc.testing import SeededEntropy


def cause(peer):
    return peer.explain().likely_cause


def replace_lines(description, prefix, replacement):
    """The description with every line that begins so replaced; None: left out."""
    lines = [
        replacement if line.startswith(prefix) else line
        for line in description.sdp.splitlines()
        if replacement is not None or not line.startswith(prefix)
    ]
    return Description(description.type, "\r\n".join(lines) + "\r\n")


def exchange(pair, *, change_answer=lambda answer: answer):
    """Offer and answer without trickling; the answer can be tampered with."""
    pair.trickles = False
    offerer, answerer = pair.peers
    pair.answer_offer()
    pair.link.flush()
    offerer.set_remote_description(change_answer(answerer.local_description), pair.now)
    pair.link.flush()


def test_before_anything(pair):
    assert cause(pair.peers[0]) == "nothing has been negotiated yet: make an offer, or set the peer's"


def test_offer_without_answer(pair):
    peer = pair.peers[0]
    peer.create_channel("x", ChannelOptions(), pair.now)
    peer.set_local_description(None, pair.now)
    pair.link.flush()
    assert peer.explain().waiting_for == "the peer's answer"
    assert "not been answered" in cause(peer)


def test_answer_lost_in_signalling_while_packets_arrive(pair):
    offerer = pair.peers[0]
    pair.answer_offer()
    pair.link.run_for(1)
    assert cause(offerer) == "the peer's packets arrive already, but set_remote_description was not called"


def test_offer_that_nobody_answers_here(pair):
    offerer, answerer = pair.peers
    offerer.create_channel("x", ChannelOptions(), pair.now)
    offerer.set_local_description(None, pair.now)
    answerer.set_remote_description(offerer.local_description, pair.now)
    assert answerer.explain().waiting_for == "our answer"


def test_peer_without_candidates(pair):
    exchange(pair, change_answer=lambda answer: replace_lines(answer, "a=candidate", None))
    assert "no candidate that can be used" in cause(pair.peers[0])


def test_peer_whose_candidates_do_not_arrive(pair):
    def without_candidates(answer):
        return replace_lines(replace_lines(answer, "a=candidate", None), "a=end-of-candidates", None)

    exchange(pair, change_answer=without_candidates)
    assert cause(pair.peers[0]) == "no candidate of the peer has arrived: does the signalling carry them?"


def test_name_that_does_not_resolve(pair):
    name = "0f2a5e6c-0000-4000-8000-000000000001.local"
    line = f"a=candidate:1 1 udp 2130706431 {name} 5000 typ host"

    def with_name(answer):
        return replace_lines(replace_lines(answer, "a=candidate", line), "a=end-of-candidates", None)

    exchange(pair, change_answer=with_name)
    assert name in cause(pair.peers[0])
    assert "resolve" in cause(pair.peers[0])


def test_no_version_of_ip_in_common(pair):
    line = "a=candidate:1 1 udp 2130706431 2001:db8::1 5000 typ host"
    exchange(pair, change_answer=lambda answer: replace_lines(answer, "a=candidate", line))
    assert "no version of IP in common: IPv4 here, IPv6 there" in cause(pair.peers[0])


def test_wrong_password(pair):
    password = "a=ice-pwd:" + "x" * 24
    exchange(pair, change_answer=lambda answer: replace_lines(answer, "a=ice-pwd", password))
    pair.link.run_for(2)
    assert "credentials are other than signalled" in cause(pair.peers[0])


def test_everything_is_dropped(pair):
    pair.link.filter = lambda end, datagram: None
    exchange(pair)
    pair.link.run_for(1)
    assert "nothing has come back yet: a firewall or NAT may drop them" in cause(pair.peers[0])
    pair.link.run_for(60)
    assert pair.peers[0].connection_state is ConnectionState.FAILED
    assert "a relay (TURN) would be needed" in cause(pair.peers[0])


def test_one_direction_is_dropped(pair):
    pair.link.filter = lambda end, datagram: None if end == 0 else datagram
    exchange(pair)
    pair.link.run_for(1)
    assert "packets are lost one way" in cause(pair.peers[0])


def test_peer_that_does_not_speak_dtls(pair):
    pair.link.filter = lambda end, datagram: None if datagram.data[0] > 3 else datagram
    exchange(pair)
    pair.link.run_for(1)
    explanation = pair.peers[0].explain()
    assert explanation.waiting_for == "DTLS: the peer's next flight"
    assert explanation.dtls_state is DtlsState.CONNECTING


def test_peer_that_fell_silent(pair):
    pair.connect()
    pair.link.filter = lambda end, datagram: None
    pair.link.run_for(5)
    assert "has stopped answering" in cause(pair.peers[0])
    pair.link.run_for(60)
    assert "consent to send has expired" in cause(pair.peers[0])


def test_connected(pair):
    pair.connect()
    explanation = pair.peers[0].explain()
    assert explanation.waiting_for == ""
    assert explanation.likely_cause.startswith("connected over UDP from 10.0.0.1:5000 to 10.0.0.2:5000")
    assert explanation.sctp_state is SctpState.CONNECTED


def test_ended(pair):
    pair.connect()
    pair.peers[0].close(pair.now)
    pair.link.run_for(2)
    assert "has ended (closed)" in cause(pair.peers[0])
    assert "has ended (closed_by_peer)" in cause(pair.peers[1])


def test_all_local_addresses_filtered_out():
    config = PeerConfig(ice=IceConfig(address_filter=AddressFilter(families=(6,))))
    peer = PeerConnection(config, entropy=SeededEntropy(1))
    other = PeerConnection(entropy=SeededEntropy(2))
    other.create_channel("x", ChannelOptions(), 0.0)
    other.set_local_description(None, 0.0)
    peer.set_remote_description(other.local_description, 0.0)
    peer.set_local_description(None, 0.0)
    peer.add_local_address(Address("10.0.0.1", 5000), "eth0", 0.0)
    peer.end_of_local_addresses(0.0)
    assert "every local address is filtered out: 10.0.0.1:5000" in cause(peer)


def test_page_names_pairs_channels_and_discards(pair):
    pair.connect("chat")
    page = str(pair.peers[0].explain())
    for words in ("host 10.0.0.1:5000 -> host 10.0.0.2:5000: succeeded selected", "channel 'chat' (id", "SCTP: "):
        assert words in page


@pytest.mark.parametrize("moment_s", [0.0, 0.001, 0.003, 0.005, 0.01, 1.0])
def test_explaining_changes_nothing(make_pair, moment_s):
    def run(*, asks):
        pair = make_pair(seed=5)
        exchange(pair)
        pair.link.run_for(moment_s)
        if asks:
            for peer in pair.peers:
                assert str(peer.explain()) == str(peer.explain())
        pair.link.run_for(2)
        return [datagram.data for end in (0, 1) for datagram in pair.link.sent[end]]

    assert run(asks=True) == run(asks=False)
