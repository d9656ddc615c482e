"""The application's side of media, without a loop."""

from sans_rtc.media import StreamEnded, StreamEndReason
from sans_rtc.peer.events import TransceiverAdded, TransceiverStopped
from sans_rtc.rtp.payload.interface import MediaKind
from sans_rtc_net.media_inbox import MediaInboxes


class Signal:
    def notify(self):
        pass


def test_what_ends_with_a_transceiver_may_be_told_after_its_end():
    inboxes = MediaInboxes(Signal, lambda callback, value: None)
    for event in (
        TransceiverAdded(1, MediaKind.VIDEO),
        TransceiverStopped(1),
        StreamEnded(1, 77, "", StreamEndReason.REMOVED),
    ):
        inboxes.on_event(event)
    assert inboxes.by_handle == {}
