"""The vectors of RFC 3711, 6188, 7714, 6904 and 9335, from rfc-vectors/srtp."""

import json
from pathlib import Path

import pytest

from sans_rtc.srtp import CryptexPolicy, MasterKey, SrtpConfig, SrtpReceiver, SrtpSender
from sans_rtc.srtp.ciphers import GcmTransform, Keystream
from sans_rtc.srtp.header import E_FLAG
from sans_rtc.srtp.keys import SessionKeys, derive_header_keys, derive_key, derive_rtp_keys
from sans_rtc.srtp.profile import PROFILES

VECTORS = Path(__file__).parents[2] / "rfc-vectors" / "srtp"
BY_NAME = {row.name: (profile, row) for profile, row in PROFILES.items()}


def load(name):
    return json.loads((VECTORS / name).read_text())


def rows(key, *files):
    return [pytest.param(row, id=f"{name[:-5]} {row['section']}") for name in files for row in load(name)[key]]


def session_keys(row):
    return SessionKeys(bytes.fromhex(row["key"]), bytes.fromhex(row["salt"]))


def master_key(row):
    return MasterKey(bytes.fromhex(row["master_key"]), bytes.fromhex(row["master_salt"]))


@pytest.mark.proves("RFC3711-4.1.1-1-3ec0", "RFC3711-4.1.1-2-c319", "RFC3711-4.1.1-3-d2f8")
@pytest.mark.parametrize("row", rows("keystreams", "rfc3711.json", "rfc6188.json"))
def test_keystream_of_aes_in_counter_mode(row):
    blocks = {int(number, 16): block for number, block in row["blocks"].items()}
    keystream = Keystream(session_keys(row)).apply(bytes(16 * (max(blocks) + 1)), row["ssrc"] << 48 | row["index"])
    assert {number: keystream[16 * number : 16 * number + 16].hex() for number in blocks} == blocks


@pytest.mark.proves(
    "RFC3711-4.3.1-1-e427",
    "RFC3711-4.3.1-6-baa8",
    "RFC3711-4.3.1-7-69ce",
    "RFC3711-4.3.1-8-1943",
    "RFC3711-4.3.1-9-f952",
    "RFC3711-4.3.3-1-e49c",
    "RFC3711-5.3-1-fb21",
    "RFC3711-5.1-2-3159",
    "RFC3711-5.1-3-967a",
    "RFC3711-4.3.1-5-75b5",
)
@pytest.mark.parametrize("row", rows("derivations", "rfc3711.json", "rfc6188.json"))
def test_keys_derived_from_a_master_key(row):
    for derived in row["derived"]:
        value = bytes.fromhex(derived["value"])
        assert derive_key(master_key(row), derived["label"], len(value)) == value


@pytest.mark.parametrize("row", rows("rtp", "rfc7714.json"))
def test_rtp_under_aes_gcm(row):
    _, profile_row = BY_NAME[row["profile"]]
    packet, protected = bytes.fromhex(row["packet"]), bytes.fromhex(row["protected"])
    number = int.from_bytes(packet[8:12], "big") << 48 | row["index"]
    transform = GcmTransform(profile_row, session_keys(row), session_keys(row))
    assert transform.seal_rtp(packet, 12, number).hex() == protected.hex()
    assert transform.open_rtp(protected, 12, number) == packet


@pytest.mark.proves("RFC3711-3.4-4-1196")
@pytest.mark.parametrize("row", rows("rtcp", "rfc7714.json"))
def test_rtcp_under_aes_gcm(row):
    _, profile_row = BY_NAME[row["profile"]]
    packet, protected = bytes.fromhex(row["packet"]), bytes.fromhex(row["protected"])
    ssrc = int.from_bytes(packet[4:8], "big")
    word = row["index"] | (E_FLAG if row["encrypted"] else 0)
    transform = GcmTransform(profile_row, session_keys(row), session_keys(row))
    assert transform.seal_rtcp(packet, ssrc, word).hex() == protected.hex()
    assert transform.open_rtcp(protected, ssrc, word) == packet


@pytest.mark.parametrize("row", rows("vectors", "rfc6904.json"))
def test_header_extensions_encrypted_one_by_one(row):
    profile, profile_row = BY_NAME[row["profile"]]
    header_keys = derive_header_keys(profile_row, master_key(row))
    assert header_keys.encryption.hex() == row["header_key"]
    assert header_keys.salt.hex() == row["header_salt"]

    extension = bytes.fromhex(row["extension"])
    fixed = b"\x90\x0f" + (row["index"] & 0xFFFF).to_bytes(2, "big") + bytes(4) + row["ssrc"].to_bytes(4, "big")
    packet = fixed + b"\xbe\xde" + (len(extension) // 4).to_bytes(2, "big") + extension + b"payload"
    config = SrtpConfig(encrypted_extension_ids=row["encrypted_ids"])
    protected = SrtpSender(profile, master_key(row), config).protect_rtp(packet)
    assert protected[16 : 16 + len(extension)].hex() == row["encrypted"]
    assert SrtpReceiver(profile, master_key(row), config).unprotect_rtp(protected) == packet


CRYPTEX = [
    pytest.param(suite, row, id=f"{suite['section']} {row['name']}")
    for suite in load("rfc9335.json")["suites"]
    for row in suite["packets"]
]


@pytest.mark.proves(
    "RFC3711-3.1-6-aa63",
    "RFC3711-3.3-1-c184",
    "RFC3711-3.3-2-0938",
    "RFC3711-4.2-1-3699",
    "RFC3711-4.2.1-1-ff2d",
    "RFC3711-4.2.1-2-7aff",
    "RFC3711-4.2.1-3-63f4",
    "RFC3711-4.3.1-2-8f06",
    "RFC3711-4.3.1-3-02c7",
    "RFC3711-5.1-1-a225",
    "RFC3711-5.2-1-f43e",
    "RFC3711-5.2-2-0709",
)
@pytest.mark.parametrize(("suite", "row"), CRYPTEX)
def test_headers_encrypted_with_cryptex(suite, row):
    profile, _ = BY_NAME[suite["profile"]]
    packet, protected = bytes.fromhex(row["packet"]), bytes.fromhex(row["protected"])
    config = SrtpConfig(cryptex=CryptexPolicy.REQUIRED)
    assert SrtpSender(profile, master_key(suite), config).protect_rtp(packet).hex() == protected.hex()
    assert SrtpReceiver(profile, master_key(suite), config).unprotect_rtp(protected) == packet


def test_master_salt_of_aes_gcm_is_padded_at_its_end():
    suite = load("rfc9335.json")["suites"][1]
    keys = derive_rtp_keys(BY_NAME[suite["profile"]][1], master_key(suite))
    assert (keys.encryption.hex(), keys.salt.hex()) == (suite["session_key"], suite["session_salt"])
