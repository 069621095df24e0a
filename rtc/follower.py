"""Who follows a track from layer to layer, and how a layer's numbers become his."""

import struct
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from rtc import simulcast, vp8
from rtc.layer import EVERYTHING, Layer
from rtc.simulcast import NO_SHIFT, Newest, Shift

if TYPE_CHECKING:
    from rtc.track import Track

_SEQUENCE_TIMESTAMP = struct.Struct("!HI")


class Follower(ABC):
    """A viewer or a recording; `simulcast` moves it, and its stream goes on as one."""

    __slots__ = ("first_index", "is_stale", "layer", "left", "shift", "track", "wanted")

    def __init__(self, track: "Track") -> None:
        self.track = track
        self.layer: Layer | None = track.top
        self.wanted: Layer | None = track.top
        self.shift = NO_SHIFT
        self.left: Newest | None = None  # where his stream stood when he was taken off
        self.first_index = EVERYTHING  # of the layer: what is older belongs to the one before
        self.is_stale = False  # what was made of the numbers above must be made anew
        self.among(track.top).append(self)

    @abstractmethod
    def among(self, layer: Layer) -> list[Any]:
        """The list of those of his kind who get a layer."""

    def want(self, layer: Layer | None, now: float) -> None:
        """Lets him have a layer from its next key frame on; None: nothing from now on."""
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
        """Puts him on a layer from its packet `index` on."""
        del now
        self.unlist()
        self.layer = self.wanted = layer
        self.shift, self.first_index, self.is_stale = shift, index, True
        self.among(layer).append(self)

    def off(self) -> None:
        """Takes him off his layer."""
        self.unlist()
        self.layer = None

    def unlist(self) -> None:
        """Takes him out of the lists of the layers he has and wants."""
        for layer in (self.layer, self.wanted):
            if layer is not None:
                for listed in (self.among(layer), layer.waiting):
                    if self in listed:
                        listed.remove(self)

    def ask_key_frame(self, now: float) -> None:
        """He cannot decode what he has."""
        layer = self.layer or self.wanted
        if layer is not None:
            layer.ask_key_frame(now)


def shifted(packet: memoryview, shift: Shift) -> None:
    """Gives a layer's packet a viewer's numbers, in place."""
    sequence, timestamp = _SEQUENCE_TIMESTAMP.unpack_from(packet, 2)
    sequence, timestamp = sequence + shift.sequence, timestamp + shift.timestamp
    _SEQUENCE_TIMESTAMP.pack_into(packet, 2, sequence & 0xFFFF, timestamp & 0xFFFFFFFF)
    if shift.picture_id or shift.tl0:
        vp8.patch(packet, shift.picture_id, shift.tl0)
