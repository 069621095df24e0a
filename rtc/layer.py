"""One encoding of a track: what its publisher sends under one SSRC, and who gets it."""

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aiortc.rtp import RTCP_RTPFB, RtcpPsfbPacket, RtcpSenderInfo, RtcpSrPacket

from rtc.reception import Reception
from rtc.ring import Ring
from rtc.twcc import WIRE_BYTES
from rtc.vp8 import Ids

if TYPE_CHECKING:
    from rtc.follower import Follower
    from rtc.leg import Leg
    from rtc.outlet import Outlet
    from rtc.tap import TapLeg
    from rtc.track import Track

OUR_SSRC = 1  # of our receiver reports and requests; Chromium uses the same for a receive-only end
PSFB_PLI = 1
RTPFB_NACK = 1
SENDING_S = 1.0  # what sent nothing for this long is muted: nobody to ask
RATE_OVER_S = 1.0

EVERYTHING = -(1 << 62)  # before every index

# A packet that lies opened and patched in a slot of `rtc.srtp`: slot, size, index in its layer, and
# where its transport-wide number lies, or 0.
Outgoing = tuple[int, int, int, int]


FOLLOWING = 16  # packets that one entry of a NACK names beside its first
_FEEDBACK = struct.Struct("!BBHII")
_LOST = struct.Struct("!HH")


def nack(ssrc: int, lost: Sequence[int]) -> bytes:
    """Asks for packets of a stream (RFC 4585 section 6.2.1); `lost` goes up, over the wrap too.

    aiortc's own packet raises where the numbers wrap.
    """
    parts: list[tuple[int, int]] = []
    for sequence in lost:
        if parts and 0 < (ahead := (sequence - parts[-1][0]) & 0xFFFF) <= FOLLOWING:
            parts[-1] = (parts[-1][0], parts[-1][1] | 1 << ahead - 1)
        else:
            parts.append((sequence, 0))
    head = _FEEDBACK.pack(0x80 | RTPFB_NACK, RTCP_RTPFB, 2 + len(parts), OUR_SSRC, ssrc)
    return head + b"".join(_LOST.pack(*each) for each in parts)


class Layer:
    """Source, ring and key-frame wish of one encoding, and the legs that are on it.

    The publisher may reload his page: sequence numbers and timestamps go on where they stopped, so
    the viewers need no new offer. These offsets are the layer's: the header is patched once for
    everybody who has been on it from the start.
    """

    def __init__(self, track: "Track", rid: str) -> None:
        self.track = track
        self.rid = rid
        self.clock_rate = track.clock_rate
        self.begins_whole_picture = track.begins_whole_picture
        self.ids: Ids | None = None  # the newest, where a viewer may leave the layer
        self.ring = Ring() if track.is_picture else None
        self.reception: Reception | None = None
        self.legs: list[Leg] = []  # who gets it
        self.thin: list[Leg] = []  # of them those who get fewer frames
        self.taps: list[TapLeg] = []
        self.outlets: list[Outlet] = []  # branches of the room that need it
        self.waiting: list[Follower] = []  # who gets it from its next key frame on
        self.pending: list[Outgoing] = []  # what this wake-up of the port has brought
        self.first_index = 0
        self.sequence_offset = 0
        self.timestamp_offset = 0
        self.key_wanted = False
        self.awaits_key = False  # nothing is forwarded before the key frame
        self.heard_at = 0.0
        self.last_sequence: int | None = None  # the newest packet, as its viewers saw it
        self.last_timestamp = 0
        self.last_at = 0.0
        self.report_middle = 0  # middle bits of the NTP time of the last forwarded sender report
        self.report_at = 0.0
        self.bps = 0  # over the last second or so in which it arrived
        self._bytes = 0
        self._bytes_since = 0.0
        self._source_ssrc: int | None = None  # the one anchored last

    def end(self) -> None:
        """Forgets its source; who was on it stays."""
        self.silence()
        self._source_ssrc = None

    def silence(self) -> None:
        """Takes no more from its source, and sends nothing of it again."""
        self.reception = None
        if self.ring is not None:
            self.ring = Ring()

    def arrives(self, now: float) -> bool:
        """Whether it is being sent now."""
        return self.track.live and now - self.heard_at <= SENDING_S

    def weigh(self, size: int, now: float) -> None:
        """Counts a packet into `bps`, as it goes over a link."""
        size += WIRE_BYTES
        self._bytes += size
        passed = now - self._bytes_since
        if passed >= 2 * RATE_OVER_S:  # nothing came: the pause says nothing of what comes now
            self._bytes, self._bytes_since = size, now
        elif passed >= RATE_OVER_S:
            self.bps = int(8 * self._bytes / passed)
            self._bytes, self._bytes_since = 0, now

    def received(self, ssrc: int, sequence: int, timestamp: int, now: float) -> int | None:
        """Index of a packet in its stream; None for one from before the anchor or that has come."""
        self.heard_at = now
        reception = self.reception
        if reception is None or reception.ssrc != ssrc:
            reception = self._anchor(ssrc, sequence, timestamp, now)
            if reception is None:
                return None
        index = reception.take(sequence, timestamp, now)
        late = index < reception.highest
        if index < self.first_index or (late and self._has(index, now)):
            return None
        return index

    def _has(self, index: int, now: float) -> bool:
        """Whether a packet has come before, sent again in the repair stream.

        Two of one number are never sealed for a viewer: where they differ in a header his keys are
        spent (RFC 7714 section 9).
        """
        sequence = (index + self.sequence_offset) & 0xFFFF
        return self.ring is not None and self.ring.get(sequence, now) is not None

    def _anchor(self, ssrc: int, sequence: int, timestamp: int, now: float) -> Reception | None:
        track = self.track
        new = ssrc != self._source_ssrc  # the same one after a mute is no new source
        self._source_ssrc = ssrc
        if not track.takes_source(new=new):
            return None
        if new and self.ids is not None:
            self.ids = Ids()  # the new one's may look older
        self.reception = Reception(ssrc, sequence, self.clock_rate)
        self.first_index = sequence
        for follower in (*self.legs, *self.taps):
            follower.first_index, follower.is_stale = EVERYTHING, True
        if self.last_sequence is not None:
            passed = max(1, int((now - self.last_at) * self.clock_rate))
            self.sequence_offset = (self.last_sequence + 1 - sequence) & 0xFFFF
            self.timestamp_offset = (self.last_timestamp + passed - timestamp) & 0xFFFFFFFF
            self.key_wanted = track.is_picture
        if track.begins_with_key:
            self.awaits_key = self.key_wanted = True
        for tap in self.taps:
            tap.restarted(now)
        return self.reception

    def begin(
        self, packet: memoryview, ssrc: int, sequence: int, timestamp: int, now: float
    ) -> int | None:
        """Index of the packet if it begins the key frame where the viewers' stream begins."""
        if not self.track.begins_key_frame(packet):
            self.track.repeat_key_request(now)
            return None
        self.reception = None
        index = self.received(ssrc, sequence, timestamp, now)
        self.awaits_key = False
        return index

    def sent(self, sequence: int, timestamp: int, now: float) -> None:
        """Remembers the newest packet the viewers saw: a new source goes on from it."""
        last = self.last_sequence
        if last is None or (sequence - last) & 0xFFFF < 0x8000:  # noqa: PLR2004 - half the circle
            self.last_sequence, self.last_timestamp, self.last_at = sequence, timestamp, now

    def seen(self, packet: memoryview, now: float) -> None:
        """A picture's packet came: the key frame that was asked for, or one behind a gap."""
        if self.key_wanted and self.track.begins_key_frame(packet):
            self.key_wanted = False
        if self.reception is not None and self.reception.missing:
            self.ask_missing(now)

    def ask_key_frame(self, now: float) -> None:
        """Asks the publisher, now or as soon as it is allowed, until the key frame is here."""
        if self.track.is_picture:
            self.key_wanted = True
            self.track.repeat_key_request(now)

    def key_request(self, now: float) -> bytes:
        """The request that is pending; empty when nothing is, or nobody is there to ask."""
        wanted = self.track.is_picture and (self.key_wanted or self.waiting)
        if not wanted or self.reception is None or not self.arrives(now):
            return b""
        return bytes(RtcpPsfbPacket(fmt=PSFB_PLI, ssrc=OUR_SSRC, media_ssrc=self.reception.ssrc))

    def ask_missing(self, now: float) -> None:
        """Asks the publisher for the packets that did not arrive."""
        if not self.track.is_picture or self.reception is None or not self.reception.missing:
            return
        lost = self.reception.due(now)
        if lost:
            self.track.to_source(nack(self.reception.ssrc, lost))

    def forward_report(self, report: RtcpSrPacket, now: float) -> None:
        """Passes a sender report on, so that the viewers can keep lips and voice together."""
        track = self.track
        if self.reception is None or not track.live:
            return
        if self.awaits_key:  # the offset to the viewers' time is not known yet
            return
        info = report.sender_info
        self.reception.heard_report(info.ntp_timestamp, now)
        info.rtp_timestamp = (info.rtp_timestamp + self.timestamp_offset) & 0xFFFFFFFF
        for outlet in self.outlets:
            outlet.report(self, info)
        self.pass_report(info, now)

    def pass_report(self, info: RtcpSenderInfo, now: float) -> None:
        """Tells everybody on the layer what its time is by the sender's clock."""
        track, here = self.track, info.rtp_timestamp
        self.report_middle, self.report_at = (info.ntp_timestamp >> 16) & 0xFFFFFFFF, now
        for leg in self.legs:
            info.rtp_timestamp = (here + leg.shift.timestamp) & 0xFFFFFFFF
            packet = bytes(RtcpSrPacket(ssrc=track.ssrc, sender_info=info))
            leg.transport.send_rtcp(packet + track.description)
        for tap in self.taps:
            tap.report(info.ntp_timestamp, here, now)
