"""What listens to a track beside its viewers: the recording of a lesson."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from rtc.follower import Follower, shifted
from rtc.layer import Layer
from rtc.simulcast import Shift

if TYPE_CHECKING:
    from rtc.track import Track

log = logging.getLogger(__name__)

COMPLAIN_EVERY_S = 10.0
LARGER_AFTER_S = 10.0  # a change of size shows in the film


class Tap(Protocol):
    """Gets what the viewers of a track get; it runs in the hot path and must not block."""

    def packet(self, packet: bytes, now: float) -> None:
        """One RTP packet as the viewers see it: their SSRC, sequence and time; in no sure order."""

    def report(self, ntp: int, rtp_timestamp: int, now: float) -> None:
        """A sender report: 64-bit NTP of the sender's clock at an RTP time of the viewers."""

    def restarted(self) -> None:
        """The source is another one now, and its NTP clock may be another."""


class TapLeg(Follower):
    """A tap's stream. It follows the largest layer that arrives: a browser stops the larger ones
    when its link or its processor has no room for them.
    """

    __slots__ = ("_changed_at", "_complained_at", "tap")

    def __init__(self, track: "Track", tap: Tap) -> None:
        super().__init__(track)
        self.tap = tap
        self._changed_at = float("-inf")
        self._complained_at = float("-inf")

    def among(self, layer: Layer) -> list[Any]:
        """See Follower."""
        return layer.taps

    def onto(self, layer: Layer, index: int, shift: Shift, now: float) -> None:
        """See Follower."""
        super().onto(layer, index, shift, now)
        self._changed_at = now
        self.restarted(now)

    def follow(self, now: float) -> None:
        """Changes to a smaller layer when its own has stopped, to a larger one after a while."""
        arriving = [each for each in self.track.layers if each.arrives(now)]
        if not arriving or self.wanted is arriving[-1]:
            return
        if self.wanted not in arriving or now - self._changed_at >= LARGER_AFTER_S:
            self.want(arriving[-1], now)

    def packet(self, view: memoryview, index: int, now: float) -> None:
        """Takes a layer's packet."""
        if index < self.first_index:
            return
        packet = bytearray(view)
        if any(self.shift):
            shifted(memoryview(packet), self.shift)
        with self._alone(now):
            self.tap.packet(bytes(packet), now)

    def report(self, ntp: int, rtp_timestamp: int, now: float) -> None:
        """Takes a sender report of a layer."""
        with self._alone(now):
            self.tap.report(ntp, (rtp_timestamp + self.shift.timestamp) & 0xFFFFFFFF, now)

    def restarted(self, now: float) -> None:
        """The source or its size is another one now."""
        with self._alone(now):
            self.tap.restarted()

    @contextmanager
    def _alone(self, now: float) -> Iterator[None]:
        """A recording's mistake must not silence the class."""
        try:
            yield
        except Exception:
            if now - self._complained_at > COMPLAIN_EVERY_S:
                self._complained_at = now
                log.exception("a recording stumbled")
