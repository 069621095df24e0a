"""One viewer of one track: which layer he gets, and how its numbers become his."""

import struct
from typing import Any

from rtc import simulcast, vp8
from rtc.layer import EVERYTHING, Layer
from rtc.ring import KEEP_S
from rtc.simulcast import NO_SHIFT, Newest, Shift
from rtc.track import Track
from rtc.transport import Transport

CATCH_UP_STEP = 0x1000  # see `catch_up`
REMEMBERED_SHIFTS = 8  # a NACK is answered for two seconds; layers change less often than that
HALF = 0x8000

_SEQUENCE_TIMESTAMP = struct.Struct("!HI")


class Leg:
    """Lives as long as its viewer watches the track."""

    __slots__ = (
        "_history",
        "bytes_by_python",
        "first_index",
        "is_stale",
        "layer",
        "left",
        "packets_by_python",
        "segments",
        "shift",
        "state",
        "track",
        "transport",
        "wanted",
    )

    def __init__(self, transport: Transport, track: Track, now: float) -> None:
        self.transport = transport
        self.track = track
        self.layer: Layer | None = track.top
        self.wanted: Layer | None = track.top
        self.shift = NO_SHIFT
        self.left: Newest | None = None  # where his stream stood when he was taken off
        self.first_index = EVERYTHING  # of the layer: what is older belongs to the one before
        self.packets_by_python = 0
        self.bytes_by_python = 0
        self.state: Any = None  # of the C fan-out, with its own counters
        self.is_stale = False  # so that the state must be made anew
        self.segments = True  # the way to him takes several datagrams in one send
        # Where each shift began, in the viewer's numbers, and when; the first holds from ever.
        self._history: list[tuple[int, float, Layer, Shift]] = [(0, now, track.top, NO_SHIFT)]
        track.legs.append(self)
        track.top.legs.append(self)
        transport.watched[track.ssrc] = self
        track.top.ask_key_frame(now)

    def end(self) -> None:
        """The viewer watches the track no more."""
        self._unlist()
        self.layer = self.wanted = None
        self.track.legs.remove(self)
        self.transport.watched.pop(self.track.ssrc, None)

    @property
    def sent_packets(self) -> int:
        """Sent to the viewer so far."""
        counted: int = self.state.struct.packets if self.state is not None else 0
        return self.packets_by_python + counted

    @property
    def sent_bytes(self) -> int:
        """Of those packets, before they were sealed."""
        counted: int = self.state.struct.bytes if self.state is not None else 0
        return self.bytes_by_python + counted

    @property
    def last_sequence(self) -> int | None:
        """The newest number of the viewer's stream; None before there was one."""
        if self.layer is None or self.layer.last_sequence is None:
            return None
        return (self.layer.last_sequence + self.shift.sequence) & 0xFFFF

    def ask_key_frame(self, now: float) -> None:
        """The viewer cannot decode what he has."""
        layer = self.layer or self.wanted
        if layer is not None:
            layer.ask_key_frame(now)

    def want(self, layer: Layer | None, now: float) -> None:
        """Lets the viewer have a layer from its next key frame on; None: nothing from now on."""
        if layer is self.wanted:
            return
        if self.wanted is not None and self in self.wanted.waiting:
            self.wanted.waiting.remove(self)
        self.wanted = layer
        if layer is None:
            simulcast.leave(self)
        elif layer is not self.layer:
            layer.waiting.append(self)
            layer.track.repeat_key_request(now)

    def onto(self, layer: Layer, index: int, shift: Shift, now: float) -> None:
        """Puts the viewer on a layer from its packet `index` on."""
        self._unlist()
        self.layer = self.wanted = layer
        self.shift, self.first_index, self.is_stale = shift, index, True
        layer.legs.append(self)
        begins = (index + layer.sequence_offset + shift.sequence) & 0xFFFF
        self._history = [*self._history[1 - REMEMBERED_SHIFTS :], (begins, now, layer, shift)]

    def off(self) -> None:
        """Takes the viewer off his layer."""
        self._unlist()
        self.layer = None

    def _unlist(self) -> None:
        for listed in (self.layer, self.wanted):
            if listed is not None:
                if self in listed.legs:
                    listed.legs.remove(self)
                if self in listed.waiting:
                    listed.waiting.remove(self)

    def kept(self, sequence: int, now: float) -> bytes | None:
        """The packet of that number as this viewer saw it, while its layer's ring has it."""
        while len(self._history) > 1 and now - self._history[1][1] > KEEP_S:
            del self._history[0]  # no ring has it any more, and its numbers come round again
        _, _, layer, shift = next(
            (each for each in reversed(self._history[1:]) if (sequence - each[0]) & 0xFFFF < HALF),
            self._history[0],
        )
        if layer.ring is None:
            return None
        packet = layer.ring.get((sequence - shift.sequence) & 0xFFFF, now)
        if packet is None or shift is NO_SHIFT:
            return packet
        copy = bytearray(packet)
        shifted(memoryview(copy), shift)
        return bytes(copy)

    def catch_up(self, left_at: int) -> None:
        """Leads a viewer who was away since packet `left_at` to the present one by empty packets.

        Both ends of his SRTP count the wraps of the sequence number from what they have seen: after
        a jump of half the circle each packet would look old and be refused.
        """
        last, layer = self.last_sequence, self.layer
        if last is None or layer is None:
            return
        missed = (last - left_at) & 0xFFFF
        for ahead in range(CATCH_UP_STEP, missed, CATCH_UP_STEP):
            self.transport.send_rtp(
                struct.pack(
                    "!BBHIII",
                    0xA0,  # version 2, all payload is padding
                    self.track.payload_type,
                    (left_at + ahead) & 0xFFFF,
                    layer.last_timestamp,
                    self.track.ssrc,
                    4,
                )
            )


def shifted(packet: memoryview, shift: Shift) -> None:
    """Gives a layer's packet a viewer's numbers, in place."""
    sequence, timestamp = _SEQUENCE_TIMESTAMP.unpack_from(packet, 2)
    sequence, timestamp = sequence + shift.sequence, timestamp + shift.timestamp
    _SEQUENCE_TIMESTAMP.pack_into(packet, 2, sequence & 0xFFFF, timestamp & 0xFFFFFFFF)
    if shift.picture_id or shift.tl0:
        vp8.patch(packet, shift.picture_id, shift.tl0)
