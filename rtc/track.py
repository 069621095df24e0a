"""One member's audio or video as the viewers see it: one SSRC for the member's whole stay."""

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aiortc.rtp import (
    RtcpRrPacket,
    RtcpSdesPacket,
    RtcpSourceInfo,
    RtcpSrPacket,
)

from rtc import simulcast
from rtc.key_frames import BEGINS_KEY_FRAME, BEGINS_WHOLE_PICTURE
from rtc.layer import OUR_SSRC as OUR_SSRC  # noqa: PLC0414 - also ours to give
from rtc.layer import PSFB_PLI as PSFB_PLI  # noqa: PLC0414
from rtc.layer import RTPFB_NACK as RTPFB_NACK  # noqa: PLC0414
from rtc.layer import SENDING_S as SENDING_S  # noqa: PLC0414
from rtc.layer import Layer
from rtc.messages import Codec, Kind
from rtc.sdp import CLOCK_RATE, PAYLOAD_TYPE
from rtc.speaker import Loudness
from rtc.tap import Tap, TapLeg
from rtc.transport import Transport
from rtc.vp8 import Ids

if TYPE_CHECKING:
    from rtc.leg import Leg
    from rtc.outlet import Outlet

KEY_FRAME_EVERY_S = 0.5  # Chromium ignores a request within 0.3 s of the one before
SDES_CNAME = 1
MAX_SOURCES = 32  # a publisher who changes his SSRC more often than this is up to no good

MOST_BPS = 2_500_000  # what a publisher may send at all
TOLERANCE = 2  # a browser obeys on average; what is more than so many times its figure is dropped
BURST_S = 1.0  # a key frame comes at once
_REPAIRS = 0x5A5A5A5A

_EMPTY_REPORT = bytes(RtcpRrPacket(ssrc=OUR_SSRC))


def _any_packet(packet: memoryview) -> bool:
    """A voice may be joined anywhere."""
    del packet
    return True


class Track:
    """Source, layers and viewers of one published track; its `rids` go from small to large.

    H264 begins with a key frame each time: its packets do not say which pictures they refer to, so
    a browser would paint one pupil's movement over another's face.
    """

    make_layer = Layer

    def __init__(
        self,
        member: str,
        kind: Kind,
        codec: Codec = "vp8",
        *,
        most_bps: int = MOST_BPS,
        rids: Sequence[str] = ("",),
        ssrc: int = 0,
    ) -> None:
        self.member = member
        self.kind = kind
        self.codec = codec
        self.is_picture = kind != "audio"
        self.loudness = None if self.is_picture else Loudness()
        self.most_bps = most_bps
        self._s_per_byte = 8 / (TOLERANCE * most_bps)
        self._used_until = 0.0  # so far its share of the time is used up by what it sent
        self.hides_send_time = False  # another publisher's clock must not be mixed with this one's
        self.payload_type = PAYLOAD_TYPE[codec][kind]
        self.clock_rate = CLOCK_RATE[kind]
        self.begins_key_frame = BEGINS_KEY_FRAME[codec]
        self.begins_whole_picture = BEGINS_WHOLE_PICTURE[codec] if self.is_picture else _any_packet
        self.begins_with_key = self.is_picture and codec == "h264"
        self.ssrc, self.rtx_ssrc = ssrc, ssrc ^ _REPAIRS
        while min(self.ssrc, self.rtx_ssrc) <= OUR_SSRC:
            self.ssrc = secrets.randbits(32)
            self.rtx_ssrc = self.ssrc ^ _REPAIRS
        self.live = False  # a publish grant is there now
        self.source: Transport | None = None
        self.legs: list[Leg] = []  # connected viewers
        self.outlets: list[Outlet] = []  # branches of the room, with viewers of their own
        self.recorded: TapLeg | None = None  # where a recording's stream of it stands
        self.layers = [self.make_layer(self, rid) for rid in rids]
        self.top = self.layers[-1]
        self.rids: frozenset[str] = frozenset()  # that the publisher tells apart
        if codec == "vp8" and len(rids) > 1:
            for layer in self.layers:
                layer.ids = Ids()
        self._layer_of: dict[int, Layer] = {}  # by the publisher's SSRC, of media or repair
        self._sources = 0
        self._key_asked_at = 0.0
        cname = RtcpSourceInfo(ssrc=self.ssrc, items=[(SDES_CNAME, member.encode())])
        self.description = bytes(RtcpSdesPacket(chunks=[cname]))

    @property
    def is_published(self) -> bool:
        """Whether there is somebody whose media go into it."""
        return self.source is not None

    def published_by(self, source: Transport | None) -> None:
        """Takes a new publish transport, or none."""
        self.source = source
        self.live = False
        if self.loudness is not None:
            self.loudness.reset()
        self._sources = 0
        self._layer_of.clear()
        for layer in self.layers:
            layer.end()

    def layer_of(self, ssrc: int, packet: memoryview, *, repairs: bool = False) -> Layer | None:
        """The layer a publisher's stream is, or repairs; None as long as it does not say."""
        layer = self._layer_of.get(ssrc)
        if layer is None:
            layer = (simulcast.repaired if repairs else simulcast.learn)(self, packet)
            if layer is not None and len(self._layer_of) < 2 * MAX_SOURCES:
                self._layer_of[ssrc] = layer
        return layer

    @property
    def tap(self) -> Tap | None:
        """Who listens beside the viewers."""
        return self.recorded.tap if self.recorded is not None else None

    @tap.setter
    def tap(self, tap: Tap | None) -> None:
        if self.recorded is not None:
            self.recorded.unlist()
        self.recorded = TapLeg(self, tap) if tap is not None else None

    def takes_source(self, *, new: bool) -> bool:
        """Counts the publisher's SSRCs; False: that was one too many."""
        self._sources += new
        if self._sources <= MAX_SOURCES:
            return True
        if self.source is not None:
            self.source.close("too_many_sources")
        return False

    def arrives(self, now: float) -> bool:
        """Whether anything of it is being sent now."""
        return any(layer.arrives(now) for layer in self.layers)

    def set_live(self, live: bool) -> None:
        """Gives or takes the grant; after a pause the stream is anchored anew."""
        if not live:
            for layer in self.layers:
                layer.silence()
            if self.loudness is not None:
                self.loudness.reset()
        self.live = live

    def affords(self, size: int, now: float) -> bool:
        """Takes a packet's bytes from what may be sent; False: the packet is surplus."""
        used = max(self._used_until, now - BURST_S) + size * self._s_per_byte
        if used > now:
            return False
        self._used_until = used
        return True

    def ask_key_frame(self, now: float) -> None:
        """Asks the publisher for a key frame of each layer he sends."""
        for layer in self.layers:
            if layer.reception is not None:
                layer.ask_key_frame(now)

    def repeat_key_request(self, now: float) -> None:
        """Sends the pending requests of all layers at once, if it is time."""
        if now - self._key_asked_at < KEY_FRAME_EVERY_S:
            return
        requests = b"".join(layer.key_request(now) for layer in self.layers)
        if requests:
            self._key_asked_at = now
            self.to_source(requests)

    def ask_missing(self, now: float) -> None:
        """Asks the publisher for the packets that did not arrive."""
        for layer in self.layers:
            layer.ask_missing(now)

    def forward_report(self, report: RtcpSrPacket, now: float) -> None:
        """Passes a sender report on to those who get the layer it is about."""
        for layer in self.layers:
            if layer.reception is not None and layer.reception.ssrc == report.ssrc:
                layer.forward_report(report, now)

    def to_source(self, packets: bytes) -> None:
        """Sends RTCP to the publisher."""
        if self.source is not None:
            self.source.send_rtcp(_EMPTY_REPORT + packets)
