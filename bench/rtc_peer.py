"""The one client of the media bench, the same for our worker, Janus and aiortc's relay.

It speaks ICE, DTLS and SRTP itself and never decodes. A counting viewer is not woken by packets: a
sweep empties its socket every 20 ms, so that no server is charged for waking the clients.
"""

import asyncio
import os
import re
import socket
import struct
import time
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    pack_remb_fci,
)

from rtc import stun, twcc
from rtc.extensions import TRANSPORT_WIDE, element
from rtc.messages import Direction, Offer
from rtc.sdp import OPUS, VP8
from tests.rtc.raw_client import CERTIFICATE, RawTransport

FIRST_REPEAT_S = 0.05
SWEEP_S = 0.02
TELL_S = 0.1
RECEIVE_BUFFER = 4 << 20
RECEIVER_SSRC = 77
CARRIED_BPS = 20_000_000  # what a viewer says his link carries
SO_TIMESTAMPNS = 35  # <asm-generic/socket.h>; the module `socket` has no name for it
NOWHERE = ("127.0.0.1", 9)  # a full ICE agent may check us before we have its answer: it asks again
VP8_LAST = 0x80 | VP8  # second byte of a picture's last packet
PASSWORD = "p" * 24  # RawTransport's
MEDIA = {OPUS, VP8}
WIDE_HEAD = TRANSPORT_WIDE << 4 | 1
EXTENSIONS = (
    "a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    f"a=extmap:{TRANSPORT_WIDE} {twcc.URI}",
)
_TIMESPEC = struct.Struct("qq")
_CANDIDATE = re.compile(r"(?m)^a=candidate:\S+ 1 (?:udp|UDP) ")  # whatever foundation it has
_KEPT = ("a=mid:", "a=rtpmap:", "a=fmtp:", "a=rtcp-fb:", "a=extmap:", "a=rtcp-mux", "a=rtcp-rsize")


class _Udp:
    """A socket behind the few methods RawTransport asks of asyncio's datagram transport."""

    def __init__(self, sock: socket.socket, forget: Callable[[], None]) -> None:
        self.socket = sock
        self._forget = forget

    def sendto(self, data: bytes, address: tuple[str, int]) -> None:
        self.socket.sendto(data, address)

    def get_extra_info(self, name: str) -> Any:
        assert name == "sockname"
        return self.socket.getsockname()

    def close(self) -> None:
        self._forget()
        self.socket.close()


class Peer(RawTransport):
    """One connection of a client: answers a server's offer or makes its own."""

    def __init__(self, offer: Offer | None = None, direction: Direction = "subscribe") -> None:
        super().__init__(offer or Offer("bench", "peer", "", direction, "", []))
        self.ssrcs = {OPUS: int.from_bytes(os.urandom(4), "big") | 1}
        self.ssrcs[VP8] = self.ssrcs[OPUS] ^ 2
        self.carried_bps = CARRIED_BPS
        self.frames = 0  # pictures whose last packet came
        self.on_packet: Callable[[bytes, float], None] | None = None
        self._buffer = bytearray(2048)
        self._newest: dict[int, bytes] = {}  # sequence, time and SSRC by payload type
        self._arrivals: twcc.Arrivals | None = None  # told to the server where it wants to know
        self._wide_at: dict[int, int] = {}
        self._listens = False
        self.closed = False
        self._hears_dtls = False

    # signalling

    def take(self, offer: Offer) -> None:
        """As RawTransport's; without a description there is nothing to read yet."""
        if offer.sdp:
            sdp = _CANDIDATE.sub("a=candidate:1 1 udp ", offer.sdp)
            super().take(msgspec.structs.replace(offer, sdp=sdp))
        else:
            self.remote = NOWHERE

    def offer_sdp(self) -> str:
        """Our own offer, for servers that wait for one: a voice and a picture, one direction."""
        sends = self.direction == "publish"
        lines = _head(["0", "1"])
        for mid, payload_type in enumerate((OPUS, VP8)):
            voice = payload_type == OPUS
            lines += [
                f"m={'audio' if voice else 'video'} 9 UDP/TLS/RTP/SAVPF {payload_type}",
                "c=IN IP4 0.0.0.0",
                f"a=mid:{mid}",
                f"a={'sendonly' if sends else 'recvonly'}",
                "a=rtcp-mux",
                f"a=rtpmap:{payload_type} {'opus/48000/2' if voice else 'VP8/90000'}",
                *EXTENSIONS,
            ]
            if voice:
                lines += ["a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level"]
            else:
                feedback = ("nack", "nack pli", "ccm fir", "goog-remb", "transport-cc")
                lines += [f"a=rtcp-fb:{payload_type} {each}" for each in feedback]
            if sends:
                ssrc = self.ssrcs[payload_type]
                lines += [f"a=msid:bench {mid}", f"a=ssrc:{ssrc} cname:bench"]
            lines += self._ours_lines()
        return "\r\n".join(lines) + "\r\n"

    def answer(self, sends: Iterable[str] = ("audio", "video")) -> str:
        """Takes up all that is offered: codecs, feedback and extensions; no simulcast."""
        parts = re.split(r"^(?=m=)", self.offer, flags=re.MULTILINE)[1:]
        if twcc.URI in self.offer and self._arrivals is None:
            self._arrivals = twcc.Arrivals()
        lines = _head(re.findall(r"^a=mid:(\S+)", self.offer, re.MULTILINE))
        sent: set[str] = set()
        for part in parts:
            offered = part.splitlines()
            kind = offered[0][2:].split()[0]
            if "a=recvonly" in offered:
                direction = "sendonly" if kind in sends and kind not in sent else "inactive"
                sent.add(kind)
            else:
                direction = "recvonly" if "a=sendonly" in offered else "inactive"
            lines += [offered[0], "c=IN IP4 0.0.0.0", f"a={direction}"]
            lines += [line for line in offered if line.startswith(_KEPT)]
            lines += self._ours_lines()
        return "\r\n".join(lines) + "\r\n"

    def _ours_lines(self) -> list[str]:
        host, port = self.local
        digests = CERTIFICATE.getFingerprints()
        digest = next(each.value for each in digests if each.algorithm == "sha-256")
        return [
            "a=setup:active",
            f"a=fingerprint:sha-256 {digest}",
            f"a=ice-ufrag:{self._ours}",
            f"a=ice-pwd:{PASSWORD}",
            f"a=candidate:1 1 udp 2130706431 {host} {port} typ host",
            "a=end-of-candidates",
        ]

    # transport

    async def open(self, host: str = "127.0.0.1") -> None:
        """Opens the socket at `host`; everything that arrives wakes us until `count`."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sock.bind((host, 0))
        self._socket = sock
        self._udp = _Udp(sock, self._unlisten)  # type: ignore[assignment]
        self._listen()
        self.opened.set()

    async def close(self, *, say_goodbye: bool = True) -> None:
        """As RawTransport's; what is offered later is not answered."""
        self.closed = True
        await super().close(say_goodbye=say_goodbye)

    def _listen(self) -> None:
        asyncio.get_running_loop().add_reader(self._socket, self.drain)
        self._listens = True

    def _unlisten(self) -> None:
        if self._listens:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._listens = False

    def count(self) -> None:
        """From now on only a sweep reads the socket."""
        self.count_only = True
        self._unlisten()

    def stamp(self, on_packet: Callable[[bytes, float], None]) -> None:
        """Hands every packet, opened, to `on_packet` with the time at which the kernel had it."""
        self.on_packet = on_packet

    def drain(self) -> None:
        """Reads all that lies in the socket."""
        buffer, receive = self._buffer, self._socket.recvmsg_into
        places = [buffer]
        try:
            while True:
                size, extra, _, _ = receive(places, 64)
                if buffer[0] > 127 and not 192 <= buffer[1] <= 223 and self.count_only:
                    self._count(buffer, size, extra[0][2])
                else:
                    self.datagram_received(bytes(buffer[:size]), self.remote)
        except (BlockingIOError, ConnectionError):
            return

    def _count(self, buffer: bytearray, size: int, stamp: bytes) -> None:
        self.frames += buffer[1] == VP8_LAST
        kind = buffer[1] & 0x7F
        if kind in MEDIA:  # no repair, no padding of a probe
            self.encrypted_packets += 1
            self._newest[kind] = bytes(buffer[2:12])
        if self._arrivals is None and self.on_packet is None:
            return
        seconds, nanoseconds = _TIMESPEC.unpack(stamp)
        at = seconds + nanoseconds / 1e9
        if self._arrivals is not None:
            place = self._wide_at.get(kind, 0)
            if not place or buffer[place - 1] != WIDE_HEAD:
                place = self._wide_at[kind] = element(memoryview(buffer)[:size], TRANSPORT_WIDE)
            if place:
                self._arrivals.put(buffer[place] << 8 | buffer[place + 1], at)
        if self.on_packet is not None:
            self.on_packet(self._rx.unprotect(bytes(buffer[:size])), at)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """As RawTransport's."""
        self._hears_dtls = self._hears_dtls or 20 <= data[0] <= 63
        super().datagram_received(data, addr)

    async def _send(self, data: bytes) -> None:
        await super()._send(data)
        self._repeat(data, FIRST_REPEAT_S)

    def _repeat(self, data: bytes, after_s: float) -> None:
        """Until the server speaks DTLS: a browser repeats after 50 ms, OpenSSL after a second."""

        def again() -> None:
            if not self._hears_dtls and not self.closed:
                self.send_raw(data)
                self._repeat(data, 2 * after_s)

        if not self._hears_dtls:
            asyncio.get_running_loop().call_later(after_s, again)

    def _stun(self, data: bytes) -> None:
        try:
            request = stun.parse(data)
        except stun.MalformedStunError:  # libnice's keep-alive carries no integrity
            return
        if request.kind == stun.BINDING_REQUEST:  # a full ICE agent checks us too
            self.send_raw(stun.success(request, self.remote, PASSWORD))
            return
        super()._stun(data)

    @property
    def profile(self) -> bytes:
        """The SRTP profile DTLS agreed on."""
        assert self._dtls is not None
        ssl: Any = self._dtls._ssl  # noqa: SLF001 - there is no other way to ask
        name: bytes = ssl.get_selected_srtp_profile()
        return name

    # what a browser says

    def tell_arrivals(self) -> None:
        """Transport-wide feedback on what was counted; a browser gives it ten times a second."""
        if self._arrivals is None or VP8 not in self._newest:
            return
        ssrc = int.from_bytes(self._newest[VP8][6:], "big")
        for each in self._arrivals.feedback(time.time()):
            self.send_rtcp(twcc.pack(RECEIVER_SSRC, ssrc, each))

    def report(self) -> None:
        """Receiver report and REMB, once a second, over what has been counted."""
        reports = []
        for header in self._newest.values():
            sequence, _, ssrc = struct.unpack("!HII", header)
            reports.append(RtcpReceiverInfo(ssrc, 0, 0, sequence, 0, 0, 0))
        if not reports:
            return
        fci = pack_remb_fci(self.carried_bps, [each.ssrc for each in reports])
        remb = RtcpPsfbPacket(RTCP_PSFB_APP, RECEIVER_SSRC, 0, fci)
        self.send_rtcp(bytes(RtcpRrPacket(RECEIVER_SSRC, reports)) + bytes(remb))


def _head(mids: list[str]) -> list[str]:
    return [
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE " + " ".join(mids),
    ]


async def sweep(peers: Iterable[Peer]) -> None:
    """Empties the sockets of counting viewers and lets them report, until cancelled."""
    peers = list(peers)
    tell_at = report_at = time.monotonic()
    while True:
        for peer in peers:
            peer.drain()
        if time.monotonic() >= tell_at:
            tell_at += TELL_S
            for peer in peers:
                peer.tell_arrivals()
        if time.monotonic() >= report_at:
            report_at += 1
            for peer in peers:
                peer.report()
        await asyncio.sleep(SWEEP_S)
