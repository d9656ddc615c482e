"""Profiles, master keys, what DTLS exports; what is not supported; what must not show."""

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.srtp import (
    DTLS_EXPORTER_LABEL,
    MasterKey,
    SrtpConfig,
    SrtpProfile,
    SrtpReceiver,
    SrtpSender,
    dtls_keying_material_bytes,
    keys_from_dtls,
)


@pytest.mark.proves("RFC3711-5.3-2-06a1")
@pytest.mark.parametrize(
    ("profile", "size"),
    [
        (SrtpProfile.AES128_CM_SHA1_80, 60),
        (SrtpProfile.AES128_CM_SHA1_32, 60),
        (SrtpProfile.AES256_CM_SHA1_80, 92),
        (SrtpProfile.AES256_CM_SHA1_32, 92),
        (SrtpProfile.AEAD_AES_128_GCM, 56),
        (SrtpProfile.AEAD_AES_256_GCM, 88),
    ],
)
def test_dtls_exports_two_keys_and_two_salts(profile, size):
    assert dtls_keying_material_bytes(profile) == size


@pytest.mark.proves("RFC5764-4.2-1-8d37", "RFC5764-4.2-2-9a3d")
def test_exported_bytes_are_client_key_server_key_client_salt_server_salt():
    exported = b"c" * 16 + b"s" * 16 + b"1" * 14 + b"2" * 14
    send, receive = keys_from_dtls(SrtpProfile.AES128_CM_SHA1_80, exported, is_client=True)
    assert (send, receive) == (MasterKey(b"c" * 16, b"1" * 14), MasterKey(b"s" * 16, b"2" * 14))
    assert keys_from_dtls(SrtpProfile.AES128_CM_SHA1_80, exported, is_client=False) == (receive, send)


def test_label_is_that_of_rfc_5764():
    assert DTLS_EXPORTER_LABEL == b"EXTRACTOR-dtls_srtp"


@pytest.mark.proves("RFC5764-4.2-1-8d37", "RFC5764-4.2-2-9a3d")
def test_client_and_server_understand_each_other_and_not_themselves(profile, tools):
    exported = bytes(range(dtls_keying_material_bytes(profile)))
    client_sends, client_receives = keys_from_dtls(profile, exported, is_client=True)
    server_sends, server_receives = keys_from_dtls(profile, exported, is_client=False)
    for send, receive, own in (
        (client_sends, server_receives, client_receives),
        (server_sends, client_receives, server_receives),
    ):
        data = SrtpSender(profile, send).protect_rtp(tools.rtp(1))
        assert SrtpReceiver(profile, receive).unprotect_rtp(data) == tools.rtp(1)
        assert SrtpReceiver(profile, own).unprotect_rtp(data) is None


@pytest.mark.parametrize("size", [0, 59, 61])
def test_export_of_another_size_is_refused(size):
    with pytest.raises(InvalidArgument):
        keys_from_dtls(SrtpProfile.AES128_CM_SHA1_80, bytes(size), is_client=True)


@pytest.mark.parametrize("number", [0, 5, 6, 9, 0xFFFF])
def test_unknown_profile_is_refused(number):
    with pytest.raises(InvalidArgument):
        dtls_keying_material_bytes(number)
    with pytest.raises(InvalidArgument):
        SrtpSender(number, MasterKey(bytes(16), bytes(14)))


def test_profile_may_be_the_number_that_dtls_negotiated(tools):
    sender = SrtpSender(7, tools.master_of(7))
    assert sender.profile is SrtpProfile.AEAD_AES_128_GCM


@pytest.mark.proves("RFC3711-3.2.1-5-14e2", "RFC3711-9.2-8-9932")
@pytest.mark.parametrize("end", [SrtpSender, SrtpReceiver])
@pytest.mark.parametrize(("key", "salt"), [(15, 14), (17, 14), (32, 14), (16, 12), (16, 13), (16, 15), (0, 0)])
def test_key_or_salt_of_another_size_is_refused(end, key, salt):
    with pytest.raises(InvalidArgument):
        end(SrtpProfile.AES128_CM_SHA1_80, MasterKey(bytes(key), bytes(salt)))


@pytest.mark.proves("RFC3711-4.3.1-4-79ca", "RFC3711-4.3.1-11-646a", "RFC3711-5.3-2-06a1", "RFC3711-11.4-3-b4e7")
@pytest.mark.parametrize("rate", [1, 2, 1 << 24, -1])
def test_key_derivation_rate_other_than_0_is_refused_clearly(rate):
    with pytest.raises(InvalidArgument, match="derived once"):
        SrtpConfig(key_derivation_rate=rate)


@pytest.mark.proves("RFC3711-3.3.2-2-4897")
@pytest.mark.parametrize(
    "settings",
    [
        {"replay_window_size": 63},
        {"replay_window_size": (1 << 15) + 1},
        {"stream_count_max": 0},
        {"encrypted_extension_ids": {0}},
        {"encrypted_extension_ids": {256}},
    ],
)
def test_setting_out_of_range_is_refused(settings):
    with pytest.raises(InvalidArgument):
        SrtpConfig(**settings)


def test_unknown_cryptex_policy_is_refused():
    with pytest.raises(ValueError):
        SrtpConfig(cryptex="perhaps")


def test_no_key_material_shows_in_what_is_printed(profile, tools, make_pair):
    pair = make_pair(profile)
    pair.receive(pair.send(1))
    pair.receive(b"\x80" * 100)
    pair.receive_rtcp(pair.sender.protect_rtcp(tools.rtcp()))
    shown = "".join(
        str(what) + repr(what)
        for end in (pair.sender, pair.receiver)
        for what in (pair.master, end, end.stats, end.explain(), end._keys, end._keys.transform, end._config)
    )
    for secret in (pair.master.key, pair.master.salt):
        assert secret.hex() not in shown
        assert repr(secret)[2:-1] not in shown


def test_explanation_tells_each_ssrc_and_each_discard(tools, make_pair):
    pair = make_pair()
    for number in (65535, 0, 1):
        pair.receive(pair.send(number))
    pair.receive_rtcp(pair.sender.protect_rtcp(tools.rtcp()))
    pair.receive(b"")
    explanation = pair.receiver.explain()
    (rtp,) = explanation.rtp
    assert (rtp.ssrc, rtp.rollover_counter, rtp.sequence_number, rtp.packet_count) == (tools.SSRC, 1, 1, 3)
    assert explanation.rtcp[0].packet_count == 1
    assert str(explanation).splitlines() == [
        "AEAD_AES_128_GCM",
        "  RTP cafebabe: 3 packets, rollover counter 1, last 1",
        "  RTCP cafebabe: 1 packets, rollover counter 0, last 0",
        "  discarded 1: truncated",
    ]
