"""The record layer (RFC 6347 section 4.1): epochs, sequence numbers, replay windows; datagrams apart into records.

    type | version | epoch, 16 bits | sequence_number, 48 | length, 16 | fragment

Whoever uses it deals in content types, epochs and plaintext; how a record looks and is protected is the business of the
protections installed per epoch. Epoch 0 is not protected, and so has no replay window:
deviation: RFC 6347 section 4.1.2.6 says SHOULD, but one forged record with a high number would move the window past all
genuine ones. Repeated handshake messages are told by their message_seq instead.
"""

from __future__ import annotations

from typing import TypeAlias

from sans_rtc.dtls.ciphers import HEADER_BYTES, RECORD_HEADER, NullProtection, Protection
from sans_rtc.dtls.config import DtlsConfig
from sans_rtc.dtls.early import EarlyBuffer
from sans_rtc.dtls.stats import DiscardReason, DtlsStats
from sans_rtc.dtls.wire import ContentType, ProtocolVersion
from sans_rtc.replay_window import ReplayWindow

OpenedRecord: TypeAlias = tuple[int, int, int, bytes]
"""Content type, epoch, sequence number, plaintext. A plain tuple: one is made for every packet."""

PLAINTEXT_BYTES_MAX = 1 << 14  # RFC 6347 section 4.1
_BODY_BYTES_MAX = PLAINTEXT_BYTES_MAX + 2048  # RFC 5246 section 6.2.3
SEQUENCE_NUMBER_MAX = (1 << 48) - 1
_CONTENT_TYPES = frozenset(map(int, ContentType))
_VERSION = int(ProtocolVersion.DTLS_1_2)
# A ClientHello's record may carry 1.0 (RFC 6347 section 4.2.1 for HelloVerifyRequest; browsers do it for ClientHello).
_PLAIN_VERSIONS = (int(ProtocolVersion.DTLS_1_2), int(ProtocolVersion.DTLS_1_0))


class _WriteEpoch:
    """Sequence numbers and protection of what is written in one epoch."""

    __slots__ = ("base", "next_number", "protection")

    def __init__(self, epoch: int, protection: Protection) -> None:
        self.base = epoch << 48
        self.next_number = 0
        self.protection = protection


class _ReadEpoch:
    """Replay window and protection of what is read in one epoch; no window where nothing is authentic."""

    __slots__ = ("forgery_count", "protection", "window")

    def __init__(self, protection: Protection, window: ReplayWindow | None) -> None:
        self.protection = protection
        self.window = window
        self.forgery_count = 0


class RecordLayer:
    """Seals and opens the records of one connection."""

    __slots__ = (
        "_current",
        "_current_read",
        "_early",
        "_read",
        "_replay_window_size",
        "_stats",
        "_write",
        "read_epoch",
        "write_epoch",
    )

    def __init__(self, config: DtlsConfig, stats: DtlsStats) -> None:
        self._replay_window_size = config.replay_window_size
        self._stats = stats
        plain = NullProtection()
        self._current = _WriteEpoch(0, plain)
        self._write = {0: self._current}
        self._current_read = _ReadEpoch(plain, None)
        self._read = {0: self._current_read}
        self._early: EarlyBuffer[tuple[int, int, bytes]] = EarlyBuffer(
            config.early_record_count_max, config.early_bytes_max
        )
        self.write_epoch = 0
        self.read_epoch = 0

    # writing

    def seal(self, content_type: int, data: bytes) -> bytes:
        """Make one record in the current epoch."""
        epoch = self._current
        number = epoch.next_number
        assert number <= SEQUENCE_NUMBER_MAX, "the connection ends before its sequence numbers do"
        epoch.next_number = number + 1
        return epoch.protection.seal(content_type, epoch.base | number, data)

    def seal_in(self, epoch_number: int, content_type: int, data: bytes) -> bytes:
        """Make one record in a certain epoch: a retransmitted flight keeps its epochs (RFC 6347 section 4.1)."""
        epoch = self._write[epoch_number]
        number = epoch.next_number
        assert number <= SEQUENCE_NUMBER_MAX, "the connection ends before its sequence numbers do"
        epoch.next_number = number + 1
        return epoch.protection.seal(content_type, epoch.base | number, data)

    def install_write(self, epoch: int, protection: Protection) -> None:
        """Have this protection ready for `seal_in`; earlier epochs stay for retransmissions."""
        self._write[epoch] = _WriteEpoch(epoch, protection)

    def use_write(self, epoch: int) -> None:
        """Make `seal` write in this epoch: the peer is being told."""
        self._current = self._write[epoch]
        self.write_epoch = epoch

    def set_write_number(self, epoch: int, number: int) -> None:
        """Continue an epoch with this sequence number, as the cookie exchange needs (RFC 6347 section 4.2.1)."""
        self._write[epoch].next_number = number

    @property
    def next_write_number(self) -> int:
        """The sequence number of the current epoch's next record: how many its key has protected."""
        return self._current.next_number

    @property
    def overhead_bytes(self) -> int:
        """What the current epoch adds to the data of a record."""
        return self._current.protection.overhead_bytes

    def overhead_bytes_in(self, epoch: int) -> int:
        """What an epoch adds to the data of a record."""
        return self._write[epoch].protection.overhead_bytes

    # reading

    def install_read(self, epoch: int, protection: Protection) -> None:
        """Read with this protection, too, from now on."""
        self._current_read = self._read[epoch] = _ReadEpoch(protection, ReplayWindow(self._replay_window_size))
        self.read_epoch = epoch

    def end_handshake(self) -> None:
        """From now on only the current epoch is read: nothing unprotected, and nothing kept for a next epoch."""
        self._read = {self.read_epoch: self._read[self.read_epoch]}
        self._early.close()

    def open(self, datagram: bytes) -> list[OpenedRecord]:
        """Take a datagram apart and open its records. What is not a record, or not authentic, is discarded and counted;
        records of the next epoch are kept for `open_early`."""
        size = len(datagram)
        if not size:
            self._stats.discard(DiscardReason.EMPTY_DATAGRAM)
        opened: list[OpenedRecord] = []
        start = 0
        while start < size:  # each round takes the header's 13 bytes at least
            body = start + HEADER_BYTES
            if body > size:
                self._stats.discard(DiscardReason.MALFORMED_RECORD)
                break
            content_type, version, numbers, length = RECORD_HEADER.unpack_from(datagram, start)
            start = body + length
            if start > size or length > _BODY_BYTES_MAX or content_type not in _CONTENT_TYPES:
                self._stats.discard(DiscardReason.MALFORMED_RECORD)
                break
            epoch = numbers >> 48
            if version != _VERSION and (epoch or version not in _PLAIN_VERSIONS):
                self._stats.discard(DiscardReason.WRONG_RECORD_VERSION)
                continue
            self._open_record(content_type, numbers, datagram[body:start], opened)
        return opened

    def open_data(self, datagram: bytes) -> bytes | None:
        """The short way for what almost every datagram of an established connection is: one record of application data
        in the current epoch. None for everything else and for whatever is wrong; `open` tells, and counts.
        """
        size = len(datagram)
        if size <= HEADER_BYTES:
            return None
        content_type, version, numbers, length = RECORD_HEADER.unpack_from(datagram)
        epoch = self._current_read
        window = epoch.window
        number = numbers & SEQUENCE_NUMBER_MAX
        if (
            content_type != ContentType.APPLICATION_DATA
            or size - HEADER_BYTES != length
            or numbers >> 48 != self.read_epoch
            or version != _VERSION
            or length > _BODY_BYTES_MAX
            or window is None
            or (number <= window.highest and not window.is_fresh(number))
        ):
            return None
        data = epoch.protection.open(content_type, numbers, datagram, HEADER_BYTES)
        if not data or len(data) > PLAINTEXT_BYTES_MAX:
            return None
        window.accept(number)
        return data

    def open_early(self) -> list[OpenedRecord]:
        """Open the records that came before the keys of their epoch; call it after `install_read`."""
        opened: list[OpenedRecord] = []
        for content_type, numbers, body in self._early.take():
            self._open_record(content_type, numbers, body, opened)
        return opened

    @property
    def has_early(self) -> bool:
        """Whether records of the next epoch wait for its keys."""
        return len(self._early) > 0

    @property
    def forgery_count(self) -> int:
        """Records of the current read epoch that were not authentic."""
        epoch = self._read.get(self.read_epoch)
        return epoch.forgery_count if epoch is not None else 0

    def _open_record(self, content_type: int, numbers: int, body: bytes, opened: list[OpenedRecord]) -> None:
        epoch_number = numbers >> 48
        number = numbers & SEQUENCE_NUMBER_MAX
        epoch = self._read.get(epoch_number)
        if epoch is None:
            self._keep_early(epoch_number, content_type, numbers, body)
            return
        window = epoch.window
        if window is not None and not window.is_fresh(number):
            self._stats.discard(DiscardReason.REPLAYED)
            return
        data = epoch.protection.open(content_type, numbers, body)
        if data is None:
            # RFC 6347 section 4.1.2.1: "DTLS implementations SHOULD silently discard records with bad MACs".
            epoch.forgery_count += 1
            self._stats.discard(DiscardReason.BAD_MAC)
            return
        if window is not None:
            # RFC 6347 section 4.1.2.6: "The receive window is updated only if the MAC verification succeeds."
            window.accept(number)
        if not data or len(data) > PLAINTEXT_BYTES_MAX:
            self._stats.discard(DiscardReason.EMPTY_RECORD if not data else DiscardReason.MALFORMED_RECORD)
            return
        opened.append((content_type, epoch_number, number, data))

    def _keep_early(self, epoch: int, content_type: int, numbers: int, body: bytes) -> None:
        if epoch != self.read_epoch + 1:
            self._stats.discard(DiscardReason.UNKNOWN_EPOCH)
            return
        if not self._early.add((content_type, numbers, body), len(body)):
            self._stats.discard(DiscardReason.EARLY_RECORD_OVERFLOW)
