"""One picture in several sizes: which stream is which layer, and how a viewer changes between them.

The publisher names a layer in the first packets of its stream (RFC 8852), until our reports tell
him that we know. A viewer is moved with the first packet of a key frame, and sees one stream go on:
its sequence numbers by one, its time by what has passed, VP8's picture ids by one.
"""

import struct
from typing import TYPE_CHECKING, NamedTuple

from rtc import vp8
from rtc.extensions import REPAIRED_RID, rid

if TYPE_CHECKING:
    from rtc.follower import Follower
    from rtc.layer import Layer
    from rtc.track import Track

RIDS = ("q", "h", "f")  # a quarter, a half, the full size; as offered
LATE = 64  # packets: a key frame further behind is no place to begin

_SEQUENCE_TIMESTAMP = struct.Struct("!HI")


class Shift(NamedTuple):
    """What is added to a layer's numbers for one viewer."""

    sequence: int
    timestamp: int
    picture_id: int
    tl0: int


NO_SHIFT = Shift(0, 0, 0, 0)


class Newest(NamedTuple):
    """The last that a viewer has got of a track, in his numbers."""

    sequence: int
    timestamp: int
    at: float
    picture_id: int | None
    tl0: int | None


def learn(track: "Track", packet: memoryview) -> "Layer | None":
    """The layer of a stream not heard before; None as long as it does not say."""
    if not track.rids:
        return track.top
    name = rid(packet)
    return _layer(track, name)


def repaired(track: "Track", packet: memoryview) -> "Layer | None":
    """The layer whose packets a stream of retransmissions not heard before sends again."""
    if not track.rids:
        return track.top
    return _layer(track, rid(packet, REPAIRED_RID))


def _layer(track: "Track", name: str) -> "Layer | None":
    if name not in track.rids:
        return None
    return next((each for each in track.layers if each.rid == name), None)


def newest(leg: "Follower") -> Newest | None:
    """Where the leg's stream stands; None before its first packet."""
    layer, shift = leg.layer, leg.shift
    if layer is None:
        return leg.left
    if layer.last_sequence is None:
        return None
    ids, picture_id, tl0 = layer.ids, None, None
    if ids is not None and ids.picture_id is not None:
        picture_id = (ids.picture_id + shift.picture_id) & ids.picture_mask
    if ids is not None and ids.tl0 is not None:
        tl0 = (ids.tl0 + shift.tl0) & 0xFF
    return Newest(
        (layer.last_sequence + shift.sequence) & 0xFFFF,
        (layer.last_timestamp + shift.timestamp) & 0xFFFFFFFF,
        layer.last_at,
        picture_id,
        tl0,
    )


def switch(layer: "Layer", index: int, packet: memoryview, now: float) -> None:
    """Moves all who wait for the layer, if this packet begins a key frame of it."""
    if not layer.begins_whole_picture(packet):
        return
    if layer.reception is not None and layer.reception.highest - index > LATE:
        return
    for leg in [*layer.waiting]:
        begin(leg, layer, index, packet, now)


def begin(leg: "Follower", layer: "Layer", index: int, packet: memoryview, now: float) -> None:
    """Lets a leg's stream go on with this packet of a layer, as its publisher sent it."""
    last, leg.left = newest(leg), None
    if last is None:
        leg.onto(layer, index, NO_SHIFT, now)
        return
    sequence, timestamp = _SEQUENCE_TIMESTAMP.unpack_from(packet, 2)
    passed = max(1, int((now - last.at) * layer.clock_rate))
    first = vp8.read(packet) if last.picture_id is not None or last.tl0 is not None else None
    picture_id = tl0 = 0
    if first is not None and first.picture_id is not None and last.picture_id is not None:
        picture_id = (last.picture_id + 1 - first.picture_id) & vp8.LONG
    if first is not None and first.tl0 is not None and last.tl0 is not None:
        tl0 = (last.tl0 + 1 - first.tl0) & 0xFF
    shift = Shift(
        (last.sequence + 1 - sequence - layer.sequence_offset) & 0xFFFF,
        (last.timestamp + passed - timestamp - layer.timestamp_offset) & 0xFFFFFFFF,
        picture_id,
        tl0,
    )
    leg.onto(layer, index, shift, now)


def leave(leg: "Follower") -> None:
    """Ends what a leg gets, but remembers where its stream stands."""
    leg.left = newest(leg)
    leg.off()
