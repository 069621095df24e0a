"""What listens to a track beside its viewers: the recording of a lesson."""

from typing import Protocol


class Tap(Protocol):
    """Gets what the viewers of a track get; it runs in the hot path and must not block."""

    def packet(self, packet: bytes, now: float) -> None:
        """One RTP packet as the viewers see it: their SSRC, sequence and time; in no sure order."""

    def report(self, ntp: int, rtp_timestamp: int, now: float) -> None:
        """A sender report: 64-bit NTP of the sender's clock at an RTP time of the viewers."""

    def restarted(self) -> None:
        """The source is another one now, and its NTP clock may be another."""
