"""The hot path: a publisher's packet to all viewers, without a queue or a coroutine.

Opened once, header patched once; at the end of a wake-up of the port copied, sealed and sent per
viewer (`rtc.fan_out`).
"""

import logging
import struct
from dataclasses import dataclass

from rtc import rtx, simulcast, srtp, vp8
from rtc.extensions import hide_send_time, wide_number
from rtc.fan_out import FanOut
from rtc.key_frames import HEADER_BYTES
from rtc.layer import Layer, Outgoing
from rtc.leg import Leg
from rtc.track import Track
from rtc.transport import Transport

log = logging.getLogger(__name__)

COMPLAIN_EVERY_S = 10.0
_SEQUENCE_TIMESTAMP_SSRC = struct.Struct("!HII")
_SSRC = struct.Struct("!I")


@dataclass
class Counters:
    """Since the worker's start."""

    packets_in: int = 0
    packets_out: int = 0
    dropped_no_grant: int = 0
    dropped_send: int = 0
    dropped_surplus: int = 0
    resent: int = 0
    refused_datagrams: int = 0
    dropped_pipe: int = 0


class Forwarder:
    """Works on the slots of `rtc.srtp`, where the port has put a wake-up's datagrams."""

    def __init__(self, counters: Counters, fan_out: FanOut) -> None:
        self._counters = counters
        self._fan_out = fan_out
        self._pending: list[Layer] = []  # with packets to be fanned out
        self._complained_at = float("-inf")

    def packet(self, transport: Transport, slot: int, size: int, now: float) -> bool:
        """Takes the SRTP packet of `size` bytes that lies in a slot, where it stays until `flush`.

        False: it is forged, or came before.
        """
        size = srtp.unprotect(transport.rx, slot, size)
        if size <= HEADER_BYTES:
            self._counters.refused_datagrams += 1
            return size > 0
        view = srtp.received_views[slot][:size]
        if transport.arrivals is not None and (at := wide_number(view)):
            transport.arrivals.put(view[at] << 8 | view[at + 1], now)
        payload_type = view[1] & 0x7F
        repairs = payload_type in rtx.PAYLOAD_TYPES
        payload_type -= repairs
        track = transport.tracks.get(payload_type)
        if track is None or not track.live:
            self._counters.dropped_no_grant += 1
            transport.refused[payload_type] = transport.refused.get(payload_type, 0) + 1
        elif not track.affords(size, now):
            self._counters.dropped_surplus += 1
        else:
            self._counters.packets_in += 1
            if track.loudness is not None:
                track.loudness.heard(view, now)
            if repairs:
                self._repair(track, slot, view, now)
            else:
                self._forward(track, slot, view, now)
        return True

    def _repair(self, track: Track, slot: int, view: memoryview, now: float) -> None:
        """A packet that is sent again as a stream of its own becomes what it was."""
        layer = track.layer_of(_SSRC.unpack_from(view, 8)[0], view, repairs=True)
        size = rtx.unwrap(view, len(view))
        if layer is None or layer.reception is None or size <= HEADER_BYTES:
            return
        if layer.reception.lacks(view[2] << 8 | view[3]):
            layer.reception.repaired += 1
            _SSRC.pack_into(view, 8, layer.reception.ssrc)
            self._forward(track, slot, view[:size], now)

    def _forward(self, track: Track, slot: int, view: memoryview, now: float) -> None:
        sequence, timestamp, ssrc = _SEQUENCE_TIMESTAMP_SSRC.unpack_from(view, 2)
        layer = track.layer_of(ssrc, view)
        if layer is not None:
            self._pass(layer, slot, view, (sequence, timestamp, ssrc), now)

    def numbered(self, layer: Layer, slot: int, size: int, now: float) -> None:
        """Takes a plain packet in a slot, with its layer's numbers: from a room's home."""
        view = srtp.received_views[slot][:size]
        self._pass(layer, slot, view, _SEQUENCE_TIMESTAMP_SSRC.unpack_from(view, 2), now)

    def _pass(
        self, layer: Layer, slot: int, view: memoryview, head: tuple[int, int, int], now: float
    ) -> None:
        sequence, timestamp, ssrc = head
        index = layer.received(ssrc, sequence, timestamp, now)
        if index is not None and layer.awaits_key:
            index = layer.begin(view, ssrc, sequence, timestamp, now)
        if index is None:
            return
        if layer.waiting:
            self.flush(now)  # what came before goes the old way
            simulcast.switch(layer, index, view, now)
        self._number(layer, view, index, timestamp, now)
        if layer.legs or layer.outlets:
            if not layer.pending:
                self._pending.append(layer)
            layer.pending.append((slot, len(view), index, wide_number(view)))
        for tap in layer.taps:
            tap.packet(view, index, now)

    @staticmethod
    def _number(layer: Layer, view: memoryview, index: int, timestamp: int, now: float) -> None:
        """Makes it the packet viewers see who never left the layer, and keeps it."""
        track = layer.track
        layer.weigh(len(view), now)
        sequence = (index + layer.sequence_offset) & 0xFFFF
        timestamp = (timestamp + layer.timestamp_offset) & 0xFFFFFFFF
        _SEQUENCE_TIMESTAMP_SSRC.pack_into(view, 2, sequence, timestamp, track.ssrc)
        layer.sent(sequence, timestamp, now)
        if track.hides_send_time:
            hide_send_time(view)
        if layer.ids is not None:
            vp8.seen(layer.ids, view)
        if layer.ring is not None:
            layer.ring.put(sequence, now, bytes(view))
            layer.seen(view, now)

    def flush(self, now: float) -> None:
        """Sends all that was taken to its viewers; after this the slots are free."""
        pending, self._pending = self._pending, []
        for layer in pending:
            packets, layer.pending = layer.pending, []
            try:
                for outlet in layer.outlets:
                    outlet.put(layer, packets)
                sent, dropped = self._send(layer, packets, now)
            except Exception:  # a mistake with one track must not silence the others
                if now - self._complained_at > COMPLAIN_EVERY_S:
                    self._complained_at = now
                    log.exception("the copies of a packet were not made")
                continue
            self._counters.packets_out += sent
            self._counters.dropped_send += dropped

    def _send(self, layer: Layer, packets: list[Outgoing], now: float) -> tuple[int, int]:
        if not layer.legs:
            return 0, 0
        if not layer.thin:  # as nearly always
            return self._fan_out.send(layer.legs, packets, now)
        whole = [each for each in layer.legs if each.thin is None]
        sent, dropped = self._fan_out.send(whole, packets, now)
        for leg in [*layer.thin]:
            for packet in packets:
                more = self._send_thin(leg, packet, now)
                sent, dropped = sent + more[0], dropped + more[1]
        return sent, dropped

    def _send_thin(self, leg: Leg, packet: Outgoing, now: float) -> tuple[int, int]:
        """One packet to one who gets fewer frames: his numbers may move with each."""
        slot, size, index, _ = packet
        if leg.thin is None:
            return self._fan_out.send([leg], [packet], now)
        if index < leg.first_index:
            return 0, 0
        shift = leg.thin.take(srtp.received_views[slot][:size], index, now)
        newest, over = leg.shift, leg.thin.over
        if over:
            leg.whole(index)
        if shift is None:
            return 0, 0
        leg.shift, leg.is_stale = shift, True
        try:
            return self._fan_out.send([leg], [packet], now)
        finally:
            leg.shift, leg.is_stale = newest, True
