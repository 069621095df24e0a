"""What the media bench's publisher does: a paced picture, a voice, reports and repair."""

import asyncio
import secrets
import struct
import time
from collections import OrderedDict

from aiortc.rtp import (
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpRtpfbPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
)

from bench.rtc_clip import FRAME_RATE, Clip
from bench.rtc_peer import Peer
from rtc.sdp import OPUS, VP8
from rtc.track import PSFB_PLI, RTPFB_NACK
from tests.rtc.recording_source import tone

VOICE_EVERY_S = 0.02
BURST_PACKETS, BURST_EVERY_S = 5, 0.005  # a browser's pacer sends some packets every 5 ms
LATE_S = 0.3
KEPT_PACKETS = 2048
NTP_EPOCH = 2_208_988_800
CLOCK = {OPUS: 48_000, VP8: 90_000}
STAMP = struct.Struct("!d")
_HEADER = struct.Struct("!BBHIIHH")
_SEND_TIME_UNITS = 1 << 18  # of a second, 24 bits of them (abs-send-time)


class Publisher:
    """Sends a clip over and over at its own pace; a PLI brings the key frame, a NACK the packet.

    With `stamped` each packet ends with the time at which it was sent.
    """

    def __init__(self, peer: Peer, clip: Clip, *, stamped: bool = False) -> None:
        self.peer = peer
        self.sent = 0
        self.frames = 0
        self.repeated = 0
        self.key_frames_asked = 0
        self._clip, self._stamped = clip, stamped
        self._frame = 0
        self._wide = 0
        self._sequences = {kind: secrets.randbelow(1000) for kind in CLOCK}
        self._packets = dict.fromkeys(CLOCK, 0)
        self._bytes = dict.fromkeys(CLOCK, 0)
        self._kept: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._began = time.monotonic()
        peer.on_rtcp = self._rtcp

    async def run(self, seconds: float) -> int:
        """Sends for so long; the packets sent in this time."""
        before, loop = self.sent, asyncio.get_running_loop()
        began = loop.time()
        frame_at = voice_at = report_at = began
        bursts: list[tuple[float, list[tuple[bytes, bool]], int]] = []
        while (now := loop.time()) < began + seconds or bursts:
            if now - min(frame_at, voice_at) > LATE_S:  # a camera does not make up for lost time
                frame_at = voice_at = now
            if now >= frame_at and now < began + seconds:
                bursts += self._next_frame(frame_at)
                frame_at += 1 / FRAME_RATE
            while bursts and bursts[0][0] <= now:
                _, packets, timestamp = bursts.pop(0)
                for payload, last in packets:
                    self._send(VP8, timestamp, payload, marker=last)
            while voice_at <= now:
                self._send(OPUS, self._time(OPUS, voice_at), self._next_voice(), marker=False)
                voice_at += VOICE_EVERY_S
            if now >= report_at:
                report_at += 1
                self._report()
            due = min(frame_at, voice_at, *(each[0] for each in bursts[:1]))
            await asyncio.sleep(max(0.0, due - loop.time()))
        return self.sent - before

    def _next_frame(self, at: float) -> list[tuple[float, list[tuple[bytes, bool]], int]]:
        payloads = self._clip.frames[self._frame % len(self._clip.frames)]
        self._frame += 1
        self.frames += 1
        timestamp = self._time(VP8, at)
        marked = [(payload, payload is payloads[-1]) for payload in payloads]
        return [
            (at + i // BURST_PACKETS * BURST_EVERY_S, marked[i : i + BURST_PACKETS], timestamp)
            for i in range(0, len(marked), BURST_PACKETS)
        ]

    def _next_voice(self) -> bytes:
        packets = tone()
        return packets[self._packets[OPUS] % len(packets)]

    def _time(self, kind: int, at: float) -> int:
        return int((at - self._began) * CLOCK[kind]) & 0xFFFFFFFF

    def _send(self, kind: int, timestamp: int, payload: bytes, *, marker: bool) -> None:
        self._sequences[kind] = sequence = (self._sequences[kind] + 1) & 0xFFFF
        self._wide = (self._wide + 1) & 0xFFFF
        extensions = self._extensions(voice=kind == OPUS)
        second = kind | (0x80 if marker else 0)
        ssrc, words = self.peer.ssrcs[kind], len(extensions) // 4
        packet = _HEADER.pack(0x90, second, sequence, timestamp, ssrc, 0xBEDE, words)
        if self._stamped:
            payload = payload[: -STAMP.size] + STAMP.pack(time.time())
        packet += extensions + payload
        self.peer.send_rtp(packet)
        self.sent += 1
        self._packets[kind] += 1
        self._bytes[kind] += len(payload)
        self._kept[ssrc, sequence] = packet
        if len(self._kept) > KEPT_PACKETS:
            self._kept.popitem(last=False)

    def _extensions(self, *, voice: bool) -> bytes:
        send_time = int(time.time() % 64 * _SEND_TIME_UNITS) & 0xFFFFFF
        each = b"\x22" + send_time.to_bytes(3, "big") + b"\x31" + self._wide.to_bytes(2, "big")
        if voice:
            each += b"\x10\x9e"  # heard, 30 dB below the loudest
        return each + bytes(-len(each) % 4)

    def _report(self) -> None:
        now, wall = asyncio.get_running_loop().time(), time.time() + NTP_EPOCH
        for kind, ssrc in self.peer.ssrcs.items():
            info = RtcpSenderInfo(
                ntp_timestamp=int(wall * (1 << 32)) & (1 << 64) - 1,
                rtp_timestamp=self._time(kind, now),
                packet_count=self._packets[kind] & 0xFFFFFFFF,
                octet_count=self._bytes[kind] & 0xFFFFFFFF,
            )
            self.peer.send_rtcp(bytes(RtcpSrPacket(ssrc=ssrc, sender_info=info)))

    def _rtcp(self, data: bytes) -> None:
        try:
            packets = RtcpPacket.parse(data)
        except ValueError:
            return
        for packet in packets:
            if isinstance(packet, RtcpPsfbPacket) and packet.fmt == PSFB_PLI:
                self.key_frames_asked += 1
                self._frame = 0
            elif isinstance(packet, RtcpRtpfbPacket) and packet.fmt == RTPFB_NACK:
                for sequence in packet.lost:
                    kept = self._kept.get((packet.media_ssrc, sequence & 0xFFFF))
                    if kept is not None:
                        self.repeated += 1
                        self.peer.send_rtp(kept)
