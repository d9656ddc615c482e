import attrs
import pytest

from sans_rtc.datachannel import ChannelConfig, DataChannels
from sans_rtc.errors import InvalidState


@attrs.define
class RecordingTransport:
    """Stands for an association: remembers every verb; sending can be made to fail."""

    sent: list = attrs.Factory(list)
    consumed: int = 0
    resets: list = attrs.Factory(list)
    weights: dict = attrs.Factory(dict)
    thresholds: dict = attrs.Factory(dict)
    buffered: dict = attrs.Factory(dict)
    error: Exception | None = None

    def send(self, stream_id, ppid, data, reliability, now):
        if self.error:
            raise self.error
        self.sent.append((stream_id, ppid, data, reliability))

    def consume(self, byte_count, now):
        self.consumed += byte_count

    def reset_streams(self, stream_ids, now):
        if isinstance(self.error, InvalidState):
            raise self.error
        self.resets += stream_ids

    def set_stream_weight(self, stream_id, weight, now):
        self.weights[stream_id] = weight

    def set_low_threshold(self, stream_id, threshold_bytes, now):
        self.thresholds[stream_id] = threshold_bytes

    def buffered_bytes(self, stream_id):
        return self.buffered.get(stream_id, 0)


@pytest.fixture
def transport():
    return RecordingTransport()


@pytest.fixture
def connected(transport):
    """Make channels over the recording transport, connected as the DTLS client unless told otherwise."""

    def make(*, is_dtls_client=True, message_bytes_max=262_144, streams_max=65_535, **config):
        channels = DataChannels(ChannelConfig(**config))
        channels.on_connected(
            transport,
            is_dtls_client=is_dtls_client,
            message_bytes_max=message_bytes_max,
            streams_max=streams_max,
            now=0.0,
        )
        return channels

    return make


@pytest.fixture(scope="session")
def make_transport():
    return RecordingTransport
