"""One member's audio or video as the viewers see it: one SSRC for the member's whole stay."""

import secrets
import struct
from typing import Any

from aiortc.rtp import (
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSdesPacket,
    RtcpSourceInfo,
    RtcpSrPacket,
)

from rtc.key_frames import BEGINS_KEY_FRAME
from rtc.messages import Codec, Kind
from rtc.reception import Reception
from rtc.ring import Ring
from rtc.sdp import CLOCK_RATE, PAYLOAD_TYPE
from rtc.tap import Tap
from rtc.transport import Transport

OUR_SSRC = 1  # of our receiver reports and requests; Chromium uses the same for a receive-only end
KEY_FRAME_EVERY_S = 0.5  # Chromium ignores a request within 0.3 s of the one before
SENDING_S = 1.0  # a track that sent nothing for this long is muted: nobody to ask
PSFB_PLI = 1
RTPFB_NACK = 1
SDES_CNAME = 1
CATCH_UP_STEP = 0x1000  # see `catch_up`
MAX_SOURCES = 32  # a publisher who changes his SSRC more often than this is up to no good

MOST_BPS = 2_500_000  # what a publisher may send at all
TOLERANCE = 2  # a browser obeys on average; what is more than so many times its figure is dropped
BURST_S = 1.0  # a key frame comes at once

_EMPTY_REPORT = bytes(RtcpRrPacket(ssrc=OUR_SSRC))


class Track:
    """Source, viewers, retransmission ring and key-frame requests of one published track.

    The publisher may reload his page: sequence numbers and timestamps go on where they stopped, so
    the viewers need no new offer. All offsets are the track's, not the viewer's: the header is
    patched once for everybody.

    H264 begins with a key frame each time: its packets do not say which pictures they refer to, so
    a browser would paint one pupil's movement over another's face.
    """

    def __init__(
        self, member: str, kind: Kind, codec: Codec = "vp8", *, most_bps: int = MOST_BPS
    ) -> None:
        self.member = member
        self.kind = kind
        self.is_picture = kind != "audio"
        self.most_bps = most_bps
        self._s_per_byte = 8 / (TOLERANCE * most_bps)
        self._used_until = 0.0  # so far its share of the time is used up by what it sent
        self.hides_send_time = False  # another publisher's clock must not be mixed with this one's
        self.payload_type = PAYLOAD_TYPE[codec][kind]
        self.ssrc = secrets.randbelow(0xFFFFFFFE) + 2
        self.live = False  # a publish grant is there now
        self.source: Transport | None = None
        self.legs: list[Transport] = []  # connected viewers
        self.tap: Tap | None = None
        self.ring = Ring() if self.is_picture else None
        self.reception: Reception | None = None
        self.first_index = 0
        self.sequence_offset = 0
        self.timestamp_offset = 0
        self.begins_key_frame = BEGINS_KEY_FRAME[codec]
        self.key_wanted = False
        self.awaits_key = False  # nothing is forwarded before the key frame
        self.heard_at = 0.0
        self._begins_with_key = self.is_picture and codec == "h264"
        self._sources = 0
        self._source_ssrc: int | None = None  # the one anchored last
        self._clock_rate = CLOCK_RATE[kind]
        self._last_sequence: int | None = None
        self._last_timestamp = 0
        self.last_at = 0.0
        self._key_asked_at = 0.0
        self.report_middle = 0  # middle bits of the NTP time of the last forwarded sender report
        self.report_at = 0.0
        cname = RtcpSourceInfo(ssrc=self.ssrc, items=[(SDES_CNAME, member.encode())])
        self._description = bytes(RtcpSdesPacket(chunks=[cname]))

    def published_by(self, source: Transport | None) -> None:
        """Takes a new publish transport, or none."""
        self.source = source
        self.live = False
        self.reception = None
        self._sources = 0
        self._source_ssrc = None

    @property
    def last_sequence(self) -> int | None:
        """The newest number the viewers have seen."""
        return self._last_sequence

    def arrives(self, now: float) -> bool:
        """Whether it is being sent now."""
        return self.live and now - self.heard_at <= SENDING_S

    def set_live(self, live: bool) -> None:
        """Gives or takes the grant; after a pause the stream is anchored anew."""
        if not live:
            self.reception = None
        self.live = live

    def affords(self, size: int, now: float) -> bool:
        """Takes a packet's bytes from what may be sent; False: the packet is surplus."""
        used = max(self._used_until, now - BURST_S) + size * self._s_per_byte
        if used > now:
            return False
        self._used_until = used
        return True

    def received(self, ssrc: int, sequence: int, timestamp: int, now: float) -> int | None:
        """Index of a packet in its stream; None for one from before the anchor."""
        self.heard_at = now
        reception = self.reception
        if reception is None or reception.ssrc != ssrc:
            reception = self._anchor(ssrc, sequence, timestamp, now)
            if reception is None:
                return None
        index = reception.take(sequence, timestamp, now)
        return index if index >= self.first_index else None

    def _anchor(self, ssrc: int, sequence: int, timestamp: int, now: float) -> Reception | None:
        if ssrc != self._source_ssrc:  # the same one after a mute is no new source
            self._source_ssrc = ssrc
            self._sources += 1
        if self._sources > MAX_SOURCES:
            if self.source is not None:
                self.source.close("too_many_sources")
            return None
        self.reception = Reception(ssrc, sequence, self._clock_rate)
        self.first_index = sequence
        if self._last_sequence is not None:
            passed = max(1, int((now - self.last_at) * self._clock_rate))
            self.sequence_offset = (self._last_sequence + 1 - sequence) & 0xFFFF
            self.timestamp_offset = (self._last_timestamp + passed - timestamp) & 0xFFFFFFFF
            self.key_wanted = self.is_picture
        if self._begins_with_key:
            self.awaits_key = self.key_wanted = True
        if self.tap is not None:
            self.tap.restarted()
        return self.reception

    def begin(
        self, packet: memoryview, ssrc: int, sequence: int, timestamp: int, now: float
    ) -> int | None:
        """Index of the packet if it begins the key frame where the viewers' stream begins."""
        if not self.begins_key_frame(packet):
            self.repeat_key_request(now)
            return None
        self.reception = None
        index = self.received(ssrc, sequence, timestamp, now)
        self.awaits_key = False
        return index

    def sent(self, sequence: int, timestamp: int, now: float) -> None:
        """Remembers the newest packet the viewers saw: a new source goes on from it."""
        last = self._last_sequence
        if last is None or (sequence - last) & 0xFFFF < 0x8000:  # noqa: PLR2004 - half the circle
            self._last_sequence, self._last_timestamp, self.last_at = sequence, timestamp, now

    def seen(self, packet: memoryview, now: float) -> None:
        """A picture's packet came: the key frame that was asked for, or one behind a gap."""
        if self.key_wanted and self.begins_key_frame(packet):
            self.key_wanted = False
        if self.reception is not None and self.reception.missing:
            self.ask_missing(now)

    def ask_key_frame(self, now: float) -> None:
        """Asks the publisher, now or as soon as it is allowed, until the key frame is here."""
        if self.is_picture:
            self.key_wanted = True
            self.repeat_key_request(now)

    def repeat_key_request(self, now: float) -> None:
        """Sends the pending request if it is time."""
        if not self.key_wanted or now - self._key_asked_at < KEY_FRAME_EVERY_S:
            return
        if self.reception is None or not self.arrives(now):
            return
        self._key_asked_at = now
        pli = RtcpPsfbPacket(fmt=PSFB_PLI, ssrc=OUR_SSRC, media_ssrc=self.reception.ssrc)
        self._to_source(pli)

    def ask_missing(self, now: float) -> None:
        """Asks the publisher for the packets that did not arrive."""
        if not self.is_picture or self.reception is None or not self.reception.missing:
            return
        lost = self.reception.due(now)
        if lost:
            self._to_source(
                RtcpRtpfbPacket(
                    fmt=RTPFB_NACK, ssrc=OUR_SSRC, media_ssrc=self.reception.ssrc, lost=lost
                )
            )

    def forward_report(self, report: RtcpSrPacket, now: float) -> None:
        """Passes a sender report on, so that the viewers can keep lips and voice together."""
        if self.reception is None or report.ssrc != self.reception.ssrc or not self.live:
            return
        if self.awaits_key:  # the offset to the viewers' time is not known yet
            return
        info = report.sender_info
        self.reception.heard_report(info.ntp_timestamp, now)
        self.report_middle, self.report_at = (info.ntp_timestamp >> 16) & 0xFFFFFFFF, now
        info.rtp_timestamp = (info.rtp_timestamp + self.timestamp_offset) & 0xFFFFFFFF
        packet = bytes(RtcpSrPacket(ssrc=self.ssrc, sender_info=info)) + self._description
        for leg in self.legs:
            leg.send_rtcp(packet)
        if self.tap is not None:
            self.tap.report(info.ntp_timestamp, info.rtp_timestamp, now)

    def catch_up(self, viewer: Transport, left_at: int) -> None:
        """Leads a viewer who was away since packet `left_at` to the present one by empty packets.

        Both ends of his SRTP count the wraps of the sequence number from what they have seen: after
        a jump of half the circle each packet would look old and be refused.
        """
        if self._last_sequence is None:
            return
        missed = (self._last_sequence - left_at) & 0xFFFF
        for ahead in range(CATCH_UP_STEP, missed, CATCH_UP_STEP):
            viewer.send_rtp(
                struct.pack(
                    "!BBHIII",
                    0xA0,  # version 2, all payload is padding
                    self.payload_type,
                    (left_at + ahead) & 0xFFFF,
                    self._last_timestamp,
                    self.ssrc,
                    4,
                )
            )

    def _to_source(self, packet: Any) -> None:
        if self.source is not None:
            self.source.send_rtcp(_EMPTY_REPORT + bytes(packet))
