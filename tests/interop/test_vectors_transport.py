"""rfc-vectors of STUN, DTLS, SRTP and SCTP against what is not ours: aioice, OpenSSL, `cryptography`, tshark."""

import hashlib
import hmac
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from interop_peers.absent import give_up
from interop_peers.dissection import LINKTYPE_SCTP, dissect, fields_of, write_capture
from interop_peers.processes import Missing

from sans_rtc.dtls.handshake import parse_fragments
from sans_rtc.trace.decode import decode_capture

pytestmark = pytest.mark.interop

VECTORS = Path(__file__).parents[2] / "rfc-vectors"
CAPTURES = VECTORS / "captures"
HASHES = {"sha1": hashes.SHA1, "sha256": hashes.SHA256}
CHECKED = ["-o", "sctp.checksum:CRC 32c"]
GOOD = "1"


def load(name):
    return json.loads((VECTORS / f"{name}.json").read_text())


def octets(value):
    return bytes.fromhex("".join(value).replace(" ", ""))


@pytest.fixture
def tshark():
    """tshark(function, arguments): what it gives, or the test given up."""

    def ask(function, *arguments):
        try:
            return function(*arguments)
        except Missing as missing:
            give_up(missing)

    return ask


@pytest.fixture(scope="module")
def openssl():
    """openssl(arguments, input): what the command prints."""
    command = shutil.which("openssl")
    if command is None:
        give_up("no openssl")

    def run(*arguments, data=b""):
        return subprocess.run([command, *arguments], input=data, capture_output=True, check=True, timeout=30).stdout

    return run


# --- STUN


@pytest.mark.parametrize("name", ["stun/rfc5769", "stun/rfc8489"])
def test_aioice_reads_and_checks_the_messages(name):
    stun = pytest.importorskip("aioice.stun")
    for vector in load(name)["vectors"]:
        message = stun.parse_message(octets(vector["message"]))  # it checks FINGERPRINT
        assert message.message_class.name.replace("RESPONSE", "SUCCESS_RESPONSE") == vector["class"]
        for attribute, expected in vector["attributes"].items():
            found = message.attributes.get(attribute.replace("_", "-"))
            found = found.decode() if isinstance(found, bytes) else found
            assert found is None or found == (tuple(expected) if isinstance(expected, list) else expected), attribute
        credentials = vector["credentials"]
        if credentials["mechanism"] == "short-term":
            assert message.check_message_integrity(credentials["password"].encode())
            assert not message.check_message_integrity(b"another")


def test_tshark_reads_the_messages(tshark, tmp_path):
    vectors = [vector for name in ("stun/rfc5769", "stun/rfc8489") for vector in load(name)["vectors"]]
    names = ["stun.id", "stun.att.username", "stun.att.realm", "stun.att.nonce", "stun.att.crc32.status"]
    rows = tshark(dissect, tmp_path, "stun-udp", [octets(vector["message"]) for vector in vectors], names)
    for vector, (number, *texts, status) in zip(vectors, rows, strict=True):
        assert number == [octets(vector["message"])[8:20].hex()]
        for name, found in zip(("USERNAME", "REALM", "NONCE"), texts, strict=True):
            if name in vector["attributes"] and found:
                assert found[0].strip('"') == vector["attributes"][name]
        assert status in ([], [GOOD])


def test_aioice_reads_the_checks_of_browsers():
    stun = pytest.importorskip("aioice.stun")
    for capture in load("stun/captures")["captures"]:
        message = stun.parse_message(octets([capture["data"]]))
        known = {name.replace("-", "_") for name in message.attributes}
        assert known <= set(capture["attributes"])
        assert {"MESSAGE_INTEGRITY", "FINGERPRINT"} <= known


# --- DTLS


@pytest.mark.parametrize("row", load("dtls/rfc5869")["vectors"], ids=lambda row: row["section"])
def test_cryptography_extracts_and_expands_to_the_same(row):
    ikm, salt, info, prk, okm = (bytes.fromhex(row[name]) for name in ("ikm", "salt", "info", "prk", "okm"))
    algorithm = HASHES[row["hash"]]()
    assert HKDF(algorithm, len(okm), salt, info).derive(ikm) == okm
    assert HKDFExpand(algorithm, len(okm), info).derive(prk) == okm


@pytest.mark.parametrize("row", load("dtls/rfc5869")["vectors"][:3], ids=lambda row: row["section"])
def test_openssl_extracts_and_expands_to_the_same(openssl, row):
    options = {"digest": row["hash"].upper(), "hexkey": row["ikm"], "hexsalt": row["salt"], "hexinfo": row["info"]}
    given = [part for name, value in options.items() if value for part in ("-kdfopt", f"{name}:{value}")]
    printed = openssl("kdf", "-keylen", str(len(row["okm"]) // 2), *given, "HKDF")
    assert printed.decode().strip().replace(":", "").lower() == row["okm"]


def test_cryptography_goes_through_the_key_schedule_to_the_same():
    trace = load("dtls/rfc8448")
    exchange, messages = trace["shared_secret"], trace["messages"]
    public = X25519PublicKey.from_public_bytes(bytes.fromhex(exchange["server_public"]))
    private = X25519PrivateKey.from_private_bytes(bytes.fromhex(exchange["client_private"]))
    assert private.exchange(public).hex() == exchange["value"]
    hellos = bytes.fromhex(messages["client_hello"] + messages["server_hello"])
    assert hashlib.sha256(hellos).hexdigest() == messages["transcript_hash"]
    for row in trace["extracted"]:
        assert HKDF.extract(hashes.SHA256(), bytes.fromhex(row["salt"]), bytes.fromhex(row["ikm"])).hex() == row["prk"]
    for row in trace["expanded"]:
        label, context, size = b"tls13 " + row["label"].encode(), bytes.fromhex(row["context"]), len(row["output"]) // 2
        info = size.to_bytes(2) + bytes([len(label)]) + label + bytes([len(context)]) + context
        found = HKDFExpand(hashes.SHA256(), size, info).derive(bytes.fromhex(row["secret"]))
        assert found.hex() == row["output"], row["name"]


def prf_of(openssl, digest, secret, seed, size):
    options = ("-kdfopt", f"digest:{digest}", "-kdfopt", f"hexsecret:{secret}", "-kdfopt", f"hexseed:{seed}")
    return openssl("kdf", "-keylen", str(size), *options, "TLS1-PRF").decode().strip().replace(":", "").lower()


def test_openssl_has_the_same_prf(openssl):
    for vector in load("dtls/prf")["vectors"]:
        seed, size = vector["label"].encode().hex() + vector["seed"], len(vector["output"]) // 2
        assert prf_of(openssl, vector["hash"].upper(), vector["secret"], seed, size) == vector["output"]


def test_openssl_exports_the_same(openssl):
    session = load("dtls/exporter")
    for vector in session["vectors"]:
        seed = vector["label"].encode().hex() + session["client_random"] + session["server_random"]
        if vector["context"] is not None:
            seed += f"{len(vector['context']) // 2:04x}" + vector["context"]
        found = prf_of(openssl, "SHA256", session["master_secret"], seed, len(vector["output"]) // 2)
        assert found == vector["output"]


def test_tshark_reads_the_client_hellos_of_browsers(tshark, tmp_path):
    for hello in load("dtls/client_hellos")["hellos"]:
        datagrams = [bytes.fromhex(datagram) for datagram in hello["datagrams"]]
        names = ["dtls.handshake.random", "dtls.handshake.ciphersuite"]
        rows = tshark(dissect, tmp_path, "dtls", datagrams, names)
        body = parse_fragments(datagrams[0][13:])[0].body  # the first part: version, random, session, cookie, suites
        at = 36 + body[34] + body[35 + body[34]]
        size = int.from_bytes(body[at : at + 2])
        suites = [int.from_bytes(body[index : index + 2]) for index in range(at + 2, at + 2 + size, 2)]
        found = [(random[0], [int(suite, 0) for suite in theirs]) for random, theirs in rows if random]
        assert found and set(map(str, found)) == {str((body[2:34].hex(), suites))}, hello["name"]


def test_tshark_decrypts_the_session_of_firefox_to_the_same(tshark):
    session = load("dtls/firefox_dtls12")
    options = ["-o", f"tls.keylog_file:{CAPTURES / 'firefox_dtls12.keys'}", "-Y", "dtls.app_data"]
    rows = tshark(fields_of, CAPTURES / "firefox_dtls12.pcapng", ["frame.number", "data.data"], *options)
    found = {int(number[0]): data for number, data in rows}
    plain = {row["frame"]: [row["plaintext"]] for row in session["datagrams"] if "plaintext" in row}
    opened = {number: data for number, data in found.items() if number in plain}
    assert len(opened) == 19  # and two alerts, which it shows in another field
    assert opened == {number: plain[number] for number in opened}


@pytest.mark.parametrize("name", sorted(path.stem for path in CAPTURES.glob("*.pcapng")))
def test_tshark_finds_as_many_stun_messages_in_the_captures(tshark, name):
    """Outside of TURN and of the DTLS that Chromium puts into STUN, which its dissector does not know."""
    rows = tshark(fields_of, CAPTURES / f"{name}.pcapng", ["frame.number"], "-Y", "stun && !classicstun")
    ours = [
        message for message in decode_capture((CAPTURES / f"{name}.pcapng").read_bytes()) if message.layer == "stun"
    ]
    assert len(rows) == len(ours) >= 4


# --- SRTP


def keystream_of(openssl, key, iv, size):
    """AES in counter mode over zeros, by the openssl command."""
    cipher = f"-aes-{8 * len(key)}-ctr"
    return openssl("enc", cipher, "-K", key.hex(), "-iv", iv.hex(), "-nopad", data=bytes(size))


@pytest.mark.parametrize("name", ["srtp/rfc3711", "srtp/rfc6188"])
def test_openssl_makes_the_same_keystreams_and_keys(openssl, name):
    for row in load(name)["keystreams"]:
        iv = int(row["salt"], 16) << 16 ^ row["ssrc"] << 64 ^ row["index"] << 16
        stream = keystream_of(openssl, bytes.fromhex(row["key"]), iv.to_bytes(16), 16 * (0xFF01 + 1))
        for number, block in row["blocks"].items():
            assert stream[16 * int(number, 16) :][:16].hex() == block
    for row in load(name)["derivations"]:
        for derived in row["derived"]:
            found = derived_of(openssl, row, derived["label"], len(derived["value"]) // 2)
            assert found.hex() == derived["value"]


def derived_of(openssl, row, label, size):
    """RFC 3711 4.3.1 without a key derivation rate, and 4.3.3; a salt of 96 bits is padded (RFC 7714 section 11)."""
    salt = int(row["master_salt"].ljust(28, "0"), 16)
    return keystream_of(openssl, bytes.fromhex(row["master_key"]), ((salt ^ label << 48) << 16).to_bytes(16), size)


@pytest.mark.parametrize("kind", ["rtp", "rtcp"])
def test_cryptography_seals_the_gcm_packets_to_the_same(kind):
    for row in load("srtp/rfc7714")[kind]:
        packet, salt = bytes.fromhex(row["packet"]), int(row["salt"], 16)
        header = 12 if kind == "rtp" else 8
        ssrc = int.from_bytes(packet[8:12] if kind == "rtp" else packet[4:8])
        nonce = (salt ^ ssrc << 48 ^ row["index"]).to_bytes(12)
        aead = AESGCM(bytes.fromhex(row["key"]))
        if kind == "rtp":
            sealed = packet[:header] + aead.encrypt(nonce, packet[header:], packet[:header])
        elif row["encrypted"]:
            word = (row["index"] | 1 << 31).to_bytes(4)
            sealed = packet[:header] + aead.encrypt(nonce, packet[header:], packet[:header] + word) + word
        else:
            word = row["index"].to_bytes(4)
            sealed = packet + aead.encrypt(nonce, b"", packet + word) + word
        assert sealed.hex() == row["protected"], row["section"]


def test_openssl_encrypts_header_extensions_one_by_one_to_the_same(openssl):
    """RFC 6904: the keystream under the labels 6 and 7, behind a mask of the elements that are meant."""
    for row in load("srtp/rfc6904")["vectors"]:
        key, salt = derived_of(openssl, row, 6, 16), derived_of(openssl, row, 7, 14)
        assert (key.hex(), salt.hex()) == (row["header_key"], row["header_salt"])
        extension = bytes.fromhex(row["extension"])
        iv = int.from_bytes(salt) << 16 ^ row["ssrc"] << 64 ^ row["index"] << 16
        stream, mask, at = keystream_of(openssl, key, iv.to_bytes(16), len(extension)), bytearray(len(extension)), 0
        while at < len(extension):
            number, size = extension[at] >> 4, (extension[at] & 15) + 1 if extension[at] else 0
            if number in row["encrypted_ids"]:
                mask[at + 1 : at + 1 + size] = b"\xff" * size
            at += 1 + size
        sealed = bytes(byte ^ key_ & chosen for byte, key_, chosen in zip(extension, stream, mask, strict=True))
        assert sealed.hex() == row["encrypted"]


def test_openssl_and_cryptography_encrypt_whole_headers_to_the_same(openssl):
    """RFC 9335: contributing sources, extension and payload are one text, around the word before the extension."""
    for suite in load("srtp/rfc9335")["suites"]:
        is_gcm = "GCM" in suite["profile"]
        key = derived_of(openssl, suite, 0, len(suite["master_key"]) // 2)
        salt = int.from_bytes(derived_of(openssl, suite, 2, 12 if is_gcm else 14))
        tag_key = derived_of(openssl, suite, 1, 20)
        for row in suite["packets"]:
            packet = bytes.fromhex(row["packet"])
            at = 12 + 4 * (packet[0] & 15)  # of the extension's word
            kind = b"\xc0\xde" if packet[at : at + 2] == b"\xbe\xde" else b"\xc2\xde"
            word, text = kind + packet[at + 2 : at + 4], packet[12:at] + packet[at + 4 :]
            ssrc, number = int.from_bytes(packet[8:12]), int.from_bytes(packet[2:4])
            if is_gcm:
                sealed = AESGCM(key).encrypt((salt ^ ssrc << 48 ^ number).to_bytes(12), text, packet[:12] + word)
            else:
                stream = keystream_of(openssl, key, (salt << 16 ^ ssrc << 64 ^ number << 16).to_bytes(16), len(text))
                sealed = bytes(a ^ b for a, b in zip(text, stream, strict=True))
            protected = packet[:12] + sealed[: at - 12] + word + sealed[at - 12 :]
            if not is_gcm:
                protected += hmac.digest(tag_key, protected + bytes(4), "sha1")[:10]
            assert protected.hex() == row["protected"], row["name"]


# --- SCTP


def test_tshark_finds_in_the_packets_what_is_written_of_them(tshark, tmp_path):
    packets = load("sctp/packets")["packets"]
    capture = write_capture(tmp_path / "sctp.pcap", [bytes.fromhex(each["data"]) for each in packets], LINKTYPE_SCTP)
    names = ["sctp.checksum.status", "sctp.verification_tag", "sctp.chunk_type", "sctp.data_tsn_raw"]
    names += ["sctp.data_payload_proto_id", "sctp.sack_cumulative_tsn_ack_raw", "rtcdc.message_type", "rtcdc.label"]
    names += ["sctp.init_credit", "sctp.initack_credit"]
    for packet, row in zip(packets, tshark(fields_of, capture, names, *CHECKED), strict=True):
        status, tag, chunks, tsn, ppid, acknowledged, dcep, label, *windows = row
        assert status == [GOOD]
        assert (int(tag[0], 0), [int(chunk) for chunk in chunks]) == (packet["tag"], packet["chunks"])
        message, described = packet.get("message", {}), packet.get("dcep", {})
        assert [int(value) for value in (*tsn, *ppid)] == [message[name] for name in ("tsn", "ppid") if name in message]
        assert [int(value) for value in acknowledged] == [
            packet[name] for name in ("acknowledged_tsn",) if name in packet
        ]
        assert [int(value, 0) for value in dcep] == [described[name] for name in ("type",) if name in described]
        assert label == [described[name] for name in ("label",) if described.get(name)]
        window = [packet["init"]["window_bytes"]] if "init" in packet else []
        assert [int(value) for values in windows for value in values] == window


def test_tshark_has_the_same_checksums_where_a_vector_can_be_a_packet(tshark, tmp_path):
    """Its bytes 8 to 11, where a packet has its checksum, must be zero."""
    vectors = [(octets([each["data"]]), octets([each["crc"]])) for each in load("sctp/rfc3720")["vectors"]]
    packets = [data[:8] + crc + data[12:] for data, crc in vectors if not any(data[8:12])]
    assert len(packets) == 2
    capture = write_capture(tmp_path / "crc.pcap", packets, LINKTYPE_SCTP)
    assert tshark(fields_of, capture, ["sctp.checksum.status"], *CHECKED) == [[[GOOD]]] * 2


def test_google_crc32c_has_the_same_checksums():
    """It is what `sctp.wire` goes on from piece to piece with; here it is asked for the whole at once."""
    google_crc32c = pytest.importorskip("google_crc32c")
    for each in load("sctp/rfc3720")["vectors"]:
        assert google_crc32c.value(octets([each["data"]])).to_bytes(4, "little").hex() == each["crc"]
