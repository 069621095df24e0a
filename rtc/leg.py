"""One viewer of one track: which layer he gets, and how its numbers become his."""

import struct
from collections import deque
from typing import TYPE_CHECKING, Any

from rtc import simulcast
from rtc.follower import Follower, shifted
from rtc.layer import Layer
from rtc.ring import KEEP_S
from rtc.simulcast import NO_SHIFT, Shift
from rtc.thin import Thin
from rtc.transport import Transport

if TYPE_CHECKING:
    from rtc.track import Track

CATCH_UP_STEP = 0x1000  # see `catch_up`
REMEMBERED_SHIFTS = 64  # a NACK is answered for two seconds; of a thin stream they change often
REMEMBERED_HOLLOW = 64
HALF = 0x8000


class Leg(Follower):
    """Lives as long as its viewer watches the track."""

    __slots__ = (
        "_history",
        "_hollow",
        "_since",
        "bytes_by_python",
        "packets_by_python",
        "segments",
        "slow",
        "state",
        "thin",
        "transport",
    )

    def __init__(self, transport: Transport, track: "Track", now: float) -> None:
        super().__init__(track)
        self.transport = transport
        self.packets_by_python = 0
        self.bytes_by_python = 0
        self.state: Any = None  # of the C fan-out, with its own counters
        self.segments = True  # the way to him takes several datagrams in one send
        self.slow = False  # he shall get fewer frames of the smallest layer
        self.thin: Thin | None = None  # he does
        self._hollow: deque[int] = deque(maxlen=REMEMBERED_HOLLOW)  # numbers that carry nothing
        self._since = now  # what came before was not for him
        # Where each shift began, in the viewer's numbers, and when; the first holds from ever.
        self._history: list[tuple[int, float, Layer, Shift]] = [(0, now, track.top, NO_SHIFT)]
        track.legs.append(self)
        transport.watched[track.ssrc] = self
        track.top.ask_key_frame(now)

    def among(self, layer: Layer) -> list[Any]:
        """See Follower."""
        return layer.legs

    def want_slow(self, *, slow: bool) -> None:
        """Lets him have fewer frames of a layer that is his, or all of them, from the next on."""
        self.slow = slow
        layer = self.layer
        if layer is None or layer is not self.wanted:
            return
        if self.thin is not None:
            self.thin.ends = not slow
        elif slow:
            reception = layer.reception
            self._thin_out(layer, None if reception is None else reception.highest)

    def _thin_out(self, layer: Layer, highest: int | None) -> None:
        self.thin = Thin(self, layer, highest)
        layer.thin.append(self)

    def whole(self, index: int) -> None:
        """He gets every frame again; what is older than this packet was for the thin stream."""
        if self.layer is not None and self.thin is not None:
            self.layer.thin.remove(self)
            self.thin, self.first_index, self.is_stale = None, index, True

    def unlist(self) -> None:
        """See Follower."""
        if self.layer is not None and self in self.layer.thin:
            self.layer.thin.remove(self)
        self.thin = None
        super().unlist()

    def end(self) -> None:
        """The viewer watches the track no more."""
        self.unlist()
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
        """The newest number of the viewer's stream, paused or not; None before there was one."""
        last = simulcast.newest(self)
        return last.sequence if last is not None else None

    def onto(self, layer: Layer, index: int, shift: Shift, now: float) -> None:
        """See Follower."""
        super().onto(layer, index, shift, now)
        self.remember(index, shift, now)
        if self.slow:
            self._thin_out(layer, index - 1)

    def remember(self, index: int, shift: Shift, now: float) -> None:
        """From this packet of his layer on his numbers are so."""
        if self.layer is not None:
            begins = (index + self.layer.sequence_offset + shift.sequence) & 0xFFFF
            place = (begins, now, self.layer, shift)
            self._history = [*self._history[1 - REMEMBERED_SHIFTS :], place]

    def send_hollow(self, index: int, timestamp: int, shift: Shift) -> None:
        """Fills the number that was kept for a packet with nothing, so that nobody waits for it."""
        if self.layer is not None:
            sequence = (index + self.layer.sequence_offset + shift.sequence) & 0xFFFF
            self._hollow.append(sequence)
            self._empty(sequence, (timestamp + shift.timestamp) & 0xFFFFFFFF)

    def kept(self, sequence: int, now: float) -> bytes | None:
        """The packet of that number as this viewer saw it, while its layer's ring has it."""
        while len(self._history) > 1 and now - self._history[1][1] > KEEP_S:
            del self._history[0]  # no ring has it any more, and its numbers come round again
        if sequence in self._hollow:
            return None
        _, _, layer, shift = next(
            (each for each in reversed(self._history[1:]) if (sequence - each[0]) & 0xFFFF < HALF),
            self._history[0],
        )
        if layer.ring is None:
            return None
        packet = layer.ring.get((sequence - shift.sequence) & 0xFFFF, now, self._since)
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
            self._empty((left_at + ahead) & 0xFFFF, layer.last_timestamp)

    def _empty(self, sequence: int, timestamp: int) -> None:
        track = self.track
        # Version 2, all payload is padding.
        head = (0xA0, track.payload_type, sequence, timestamp, track.ssrc, 4)
        self.transport.send_rtp(struct.pack("!BBHIII", *head))
