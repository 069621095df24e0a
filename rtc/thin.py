"""Fewer pictures a second: a viewer on a thin link is spared the frames no other refers to.

A browser asked for two temporal layers (`scalabilityMode: "L1T2"`) marks every second frame so: in
H264 by nal_ref_idc 0, in VP8 by a temporal id over 0. They are left out whole; his numbers go on
without a gap: what comes late goes where its number was kept for it.
"""

import struct
from typing import TYPE_CHECKING

from rtc.key_frames import is_vp8_key_frame, payload_at
from rtc.messages import Codec
from rtc.ring import KEEP_S
from rtc.simulcast import Shift

if TYPE_CHECKING:
    from rtc.layer import Layer
    from rtc.leg import Leg

REMEMBERED = 64  # missing packets a number is kept for
LEAST_SHARE = 0.15  # of a layer's bytes: for less no frame is left out
SHARE_S = 1.0

_SLICE, _PREFIX = 1, 14
_STAP_A, _FU_A = 24, 28
_TIMESTAMP = struct.Struct("!I")


def is_spare(packet: memoryview, codec: Codec) -> bool:
    """Whether nothing refers to the frame a packet is of; a cut or hostile one is needed."""
    return _is_spare_h264(packet) if codec == "h264" else _temporal(packet)[0] > 0


def _is_spare_h264(packet: memoryview) -> bool:
    at = payload_at(packet)
    if len(packet) < at + 2 or packet[at] & 0x60:
        return False
    kind = packet[at] & 0x1F
    if kind == _FU_A:
        kind = packet[at + 1] & 0x1F
    if kind != _STAP_A:
        return kind in {_SLICE, _PREFIX}
    at += 1
    while len(packet) > at + 2:
        if packet[at + 2] & 0x1F == _SLICE:
            return True
        at += 2 + (packet[at] << 8 | packet[at + 1])
    return False


def _temporal(packet: memoryview) -> tuple[int, bool]:
    """VP8's temporal id, 0 where there is none; and whether the full rate may begin there."""
    at = payload_at(packet)
    if len(packet) < at + 2 or not packet[at] & 0x80 or not packet[at + 1] & 0x20:
        return 0, True
    parts, at = packet[at + 1], at + 2
    if parts & 0x80 and len(packet) > at:
        at += 2 if packet[at] & 0x80 else 1
    at += bool(parts & 0x40)
    if len(packet) <= at:
        return 0, False
    number = packet[at] >> 6
    # Its frame refers to lower ones only (RFC 7741 section 4.2: Y).
    return number, is_vp8_key_frame(packet) or bool(number and packet[at] & 0x20)


def share(layer: "Layer", now: float) -> float:
    """The part of a layer's bytes that may be left out, of the last second."""
    if layer.ring is None:
        return 0.0
    codec = layer.track.codec
    spare = whole = 0
    for packet in layer.ring.since(now - SHARE_S):
        whole += len(packet)
        spare += len(packet) if is_spare(memoryview(packet), codec) else 0
    return spare / whole if whole else 0.0


class Thin:
    """How one viewer's numbers follow a layer's while frames are left out, from the next one on."""

    def __init__(self, leg: "Leg", layer: "Layer", highest: int | None) -> None:
        """`highest`: the newest packet's index that went the usual way."""
        self.ends = False  # as soon as a frame allows
        self.over = False  # and nothing is waited for that was missing meanwhile
        self._full = False  # nothing is left out any more
        self._leg = leg
        self._layer = layer
        self._codec = layer.track.codec
        self._source = layer.reception
        self._highest = highest
        # Of the frame under way he gets the rest.
        self._whole = layer.last_timestamp if layer.last_sequence is not None else None
        self._cut: int | None = None  # the frame that is left out
        self._moved = False  # his numbers have, since the last packet he got
        # What is missing: its place, whether frames were left out then, and when that was.
        self._holes: dict[int, tuple[Shift, bool, float]] = {}

    def take(self, packet: memoryview, index: int, now: float) -> Shift | None:
        """The viewer's shift for a packet of the layer, or None where he does not get it."""
        if self._source is not self._layer.reception:  # another source counts anew
            self._source, self._highest = self._layer.reception, None
            self._holes.clear()
        (timestamp,) = _TIMESTAMP.unpack_from(packet, 4)
        if self._highest is not None:
            if index <= self._highest:
                return self._late(packet, index, timestamp)
            if index > self._highest + 1:
                self._miss(self._highest + 1, index, now)
        self._highest = index
        if self.ends and timestamp not in {self._cut, self._whole}:
            self._full = self._full or self._may_end(packet)
        self.over = self._full and not self._holes
        if not self._full and timestamp != self._whole and is_spare(packet, self._codec):
            self._leave_out(is_new=timestamp != self._cut)
            self._cut = timestamp
            return None
        self._whole = timestamp
        self._remember(index, now)
        return self._leg.shift

    def _leave_out(self, *, is_new: bool) -> None:
        shift, self._moved = self._leg.shift, True
        frames = is_new and self._codec == "vp8"
        self._leg.shift = shift._replace(
            sequence=(shift.sequence - 1) & 0xFFFF, picture_id=(shift.picture_id - frames) & 0x7FFF
        )

    def _may_end(self, packet: memoryview) -> bool:
        return self._codec == "h264" or _temporal(packet)[1]

    def _remember(self, index: int, now: float) -> None:
        if self._moved:
            self._moved = False
            self._leg.remember(index, self._leg.shift, now)

    def _miss(self, first: int, end: int, now: float) -> None:
        self._remember(first, now)
        for index in range(max(first, end - REMEMBERED), end):
            self._holes[index] = self._leg.shift, not self._full, now
        while self._holes:
            oldest = next(iter(self._holes))
            if len(self._holes) <= REMEMBERED and now - self._holes[oldest][2] < KEEP_S:
                return
            del self._holes[oldest]

    def _late(self, packet: memoryview, index: int, timestamp: int) -> Shift | None:
        """A number is sealed once: what comes late goes where it was kept, or nowhere."""
        place, thinned, _ = self._holes.pop(index, (None, False, 0.0))
        if place is None or not thinned or not is_spare(packet, self._codec):
            return place
        self._leg.send_hollow(index, timestamp, place)
        return None
