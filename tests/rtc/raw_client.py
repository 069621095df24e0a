"""A browser's media end without a browser: controlling ICE, DTLS client, plain RTP in and out.

Used by the worker's tests, by lesson tests and by benchmarks. Nothing is decoded; packets are bytes.
"""

import asyncio
import os
import re
import socket
import struct
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Self

from aiortc import RTCCertificate, RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport
from pylibsrtp import Error as SrtpError

from rtc import stun
from rtc.messages import Offer, TrackInfo
from rtc.sdp import H264_CAMERA, H264_SCREEN, KIND_OF, OPUS, VP8, VP8_SCREEN

CHECK_EVERY_S = 2.0
RETRY_S = 0.05
CERTIFICATE = RTCCertificate.generateCertificate()


def rtp(payload_type: int, sequence: int, timestamp: int, ssrc: int, payload: bytes) -> bytes:
    """A plain RTP packet without extensions; the marker is set on video only."""
    second = payload_type | (0x80 if payload_type != OPUS else 0)
    fields = (0x80, second, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc)
    return struct.pack("!BBHII", *fields) + payload


def vp8(*, key: bool, size: int = 800) -> bytes:
    """A VP8 payload: descriptor that starts a frame, and a frame header that says key or not."""
    return b"\x10" + (b"\x10" if key else b"\x11") + bytes(size - 2)


def h264(*, key: bool, size: int = 800) -> bytes:
    """An H264 payload: parameter sets and the beginning of an IDR picture, or a slice of another."""
    if not key:
        return b"\x41" + bytes(size - 1)
    sps, pps = bytes.fromhex("6742e01f"), bytes.fromhex("68ce3c80")
    nals = [sps, pps, b"\x65" + bytes(size - 16)]
    return b"\x78" + b"".join(len(each).to_bytes(2, "big") + each for each in nals)


class Source:
    """Makes the packets of one synthetic track; `codec` is the room's."""

    def __init__(
        self,
        kind: str,
        ssrc: int | None = None,
        sequence: int | None = None,
        *,
        codec: str = "vp8",
    ) -> None:
        self.kind = kind
        self.codec = codec
        self.ssrc = ssrc or int.from_bytes(os.urandom(4), "big") | 1
        self.sequence = int.from_bytes(os.urandom(2), "big") if sequence is None else sequence
        self.timestamp = int.from_bytes(os.urandom(4), "big")

    def next(self, *, key: bool = False, size: int = 800, level: int | None = None) -> bytes:
        """The next packet: 20 ms of sound, as loud as `level` (-dBov) says, or a whole picture."""
        self.sequence += 1
        if self.kind == "audio":
            self.timestamp += 960
            if level is not None:
                told = b"\xbe\xde\0\1" + bytes((0x10, level, 0, 0)) + bytes(80)
                loud = rtp(OPUS, self.sequence, self.timestamp, self.ssrc, told)
                return bytes((loud[0] | 0x10,)) + loud[1:]
            return rtp(OPUS, self.sequence, self.timestamp, self.ssrc, bytes(80))
        self.timestamp += 3000
        if self.codec == "h264":
            payload_type = H264_SCREEN if self.kind == "screen" else H264_CAMERA
            payload = h264(key=key, size=size)
            return rtp(payload_type, self.sequence, self.timestamp, self.ssrc, payload)
        payload_type = VP8_SCREEN if self.kind == "screen" else VP8
        return rtp(payload_type, self.sequence, self.timestamp, self.ssrc, vp8(key=key, size=size))


class Received:
    """One received track: sequence numbers and, when asked, packets."""

    def __init__(self) -> None:
        self.count = 0
        self.sequences: list[int] = []
        self.packets: list[bytes] = []


class RawTransport(asyncio.DatagramProtocol):
    """One transport of a page: the peer of one of the worker's offers."""

    role = "controlling"
    state = "completed"
    layers: Sequence[str] = ()  # that it answers to send where it is asked for layers
    numbers = False  # whether it agrees to transport-wide numbers and to repair streams

    def __init__(self, offer: Offer, *, count_only: bool = False) -> None:
        self.id = offer.transport
        self.direction = offer.direction
        self.count_only = count_only
        self.encrypted_packets = 0
        self.received: dict[int, Received] = defaultdict(Received)
        self.rtcp: list[bytes] = []
        self.on_rtcp: Callable[[bytes], None] = lambda _: None
        self.ignored_stun = 0
        self.lose = 0  # this many of the next RTP packets are lost on their way here
        self.tracks: list[TrackInfo] = []
        self.ssrc_of: dict[tuple[str, str], int] = {}
        self._changed = asyncio.Event()
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._checked = asyncio.Event()
        self.opened = asyncio.Event()
        self.ended = asyncio.Event()  # the worker has said goodbye
        self._udp: asyncio.DatagramTransport | None = None
        self._dtls: RTCDtlsTransport | None = None
        self._rx: Any = None
        self._tx: Any = None
        self._keep: asyncio.Task[None] | None = None
        self._moved_to: RawTransport | None = None
        self._ours = os.urandom(4).hex()
        self.take(offer)

    # signalling

    def take(self, offer: Offer) -> None:
        """Reads a first or a later offer of this transport."""
        self.offer = offer.sdp
        self.tracks = offer.tracks
        self._ufrag = self._value("ice-ufrag:")
        self._password = self._value("ice-pwd:")
        self._fingerprint = self._value("fingerprint:sha-256 ")
        host, port = self._value(r"candidate:1 1 udp \d+ ").split()[:2]
        self.remote = (host, int(port))
        for member, kind, ssrc in self._offered_ssrcs():
            self.ssrc_of[member, kind] = ssrc

    def _value(self, name: str) -> str:
        found = re.search(f"^a={name}(.*?)\r?$", self.offer, re.MULTILINE)
        assert found, f"the offer has no {name}"
        return found[1]

    def _offered_ssrcs(self) -> list[tuple[str, str, int]]:
        pattern = r"^a=ssrc:(\d+) msid:(\S+) \S+\.(audio|video|screen)\r?$"
        found = re.findall(pattern, self.offer, re.MULTILINE)
        repairs = re.findall(r"^a=ssrc-group:FID \d+ (\d+)", self.offer, re.MULTILINE)
        return [(member, kind, int(ssrc)) for ssrc, member, kind in found if ssrc not in repairs]

    def answer(self, sends: Sequence[str] = ("audio", "video", "screen")) -> str:
        """The answer: active DTLS, every offered m-line taken up (of kinds `sends` if publishing)."""
        digest = next(
            each.value for each in CERTIFICATE.getFingerprints() if each.algorithm == "sha-256"
        )
        lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0"]
        for part in re.split(r"^(?=m=)", self.offer, flags=re.MULTILINE)[1:]:
            kind = KIND_OF[int(part.splitlines()[0].split()[3])]
            mid = re.search(r"^a=mid:(\S+)", part, re.MULTILINE)
            assert mid
            if "a=recvonly" in part:
                direction = "sendonly" if kind in sends else "inactive"
            else:
                direction = "recvonly" if "a=sendonly" in part else "inactive"
            if self.layers and "a=simulcast:recv" in part:
                direction += "\r\na=simulcast:send " + ";".join(self.layers)
            lines += [
                part.splitlines()[0],
                f"a=mid:{mid[1]}",
                f"a={direction}",
                "a=setup:active",
                f"a=fingerprint:sha-256 {digest}",
                f"a=ice-ufrag:{self._ours}",
                "a=ice-pwd:" + "p" * 24,
            ]
            if self.numbers:
                lines += re.findall(
                    r"^a=(?:extmap:3|rtpmap:\d+ rtx).*?(?=\r?$)", part, re.MULTILINE
                )
        return "\r\n".join(lines) + "\r\n"

    # transport

    async def open(self, host: str = "127.0.0.1") -> None:
        """Opens a socket (a new one when called again, as after a change of network)."""
        if self._udp is not None:
            self._udp.close()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        sock.bind((host, 0))
        loop = asyncio.get_running_loop()
        self._udp, _ = await loop.create_datagram_endpoint(lambda: self, sock=sock)
        self.opened.set()

    @property
    def local(self) -> tuple[str, int]:
        """Our address, as the worker sees it on loopback."""
        assert self._udp is not None
        address: tuple[str, int] = self._udp.get_extra_info("sockname")
        return address

    async def check(self) -> None:
        """Repeats the ICE check until the worker has answered one."""
        self._checked.clear()
        while not self._checked.is_set():
            self.send_check()
            try:
                async with asyncio.timeout(RETRY_S):
                    await self._checked.wait()
            except TimeoutError:
                continue

    def send_check(self) -> None:
        """Sends one nominating check."""
        self.send_raw(
            stun.request(
                f"{self._ufrag}:{self._ours}",
                self._password,
                use_candidate=True,
                tie_breaker=b"raw-peer",
            )
        )

    async def connect(self) -> None:
        """ICE, then DTLS; the worker must have the answer by now or soon."""
        if self._udp is None:
            await self.open()
        await self.check()
        dtls = RTCDtlsTransport(self, [CERTIFICATE])  # type: ignore[arg-type]
        dtls._set_role("client")
        await dtls.start(RTCDtlsParameters([RTCDtlsFingerprint("sha-256", self._fingerprint)]))
        assert dtls.state == "connected", dtls.state
        self._dtls, self._rx, self._tx = dtls, dtls._rx_srtp, dtls._tx_srtp
        self._keep = asyncio.create_task(self._consent())
        dtls.on("statechange", self.ended.set)
        self._changed.set()

    async def _consent(self) -> None:
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            self.send_check()

    async def close(self, *, say_goodbye: bool = True) -> None:
        """Closes, with or without telling the worker."""
        if self._keep is not None:
            self._keep.cancel()
        if not say_goodbye:
            self.send_raw = lambda _: None  # type: ignore[method-assign]
        if self._dtls is not None:
            await self._dtls.stop()
        self._queue.put_nowait(None)
        if self._udp is not None:
            self._udp.close()

    def send_raw(self, data: bytes) -> None:
        """Sends a datagram as it is."""
        assert self._udp is not None
        self._udp.sendto(data, self.remote)

    def send_rtp(self, packet: bytes) -> None:
        """Seals and sends."""
        self.send_raw(self._tx.protect(packet))

    def send_rtcp(self, packet: bytes) -> None:
        """Seals and sends."""
        self.send_raw(self._tx.protect_rtcp(packet))

    async def until(self, true: Callable[[], bool], timeout_s: float = 10.0) -> None:
        """Waits for a condition that only arriving packets can make true."""
        async with asyncio.timeout(timeout_s):
            while not true():
                self._changed.clear()
                await self._changed.wait()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        del addr
        first = data[0]
        if first < 4:
            self._stun(data)
        elif first < 64:
            self._queue.put_nowait(data)
        elif self.lose and not 192 <= data[1] <= 223:
            self.lose -= 1
        elif self.count_only and not 192 <= data[1] <= 223:
            self.encrypted_packets += 1
        elif self._rx is not None:
            self._media(data)

    def _stun(self, data: bytes) -> None:
        answer = stun.parse(data)
        if answer.kind == stun.BINDING_SUCCESS and answer.signed_by(self._password):
            self._checked.set()
        else:
            self.ignored_stun += 1

    def _media(self, data: bytes) -> None:
        try:
            if 192 <= data[1] <= 223:
                packet = self._rx.unprotect_rtcp(data)
                self.rtcp.append(packet)
                self.on_rtcp(packet)
            else:
                packet = self._rx.unprotect(data)
                sequence, _, ssrc = struct.unpack_from("!HII", packet, 2)
                track = self.received[ssrc]
                track.count += 1
                track.sequences.append(sequence)
                track.packets.append(packet)
        except SrtpError:
            return
        self._changed.set()

    # what RTCDtlsTransport asks of its ICE transport

    async def _recv(self) -> bytes:
        data = await self._queue.get()
        if data is None:
            self._queue.put_nowait(None)
            raise ConnectionError("closed")
        return data

    async def _send(self, data: bytes) -> None:
        self.send_raw(data)


class RawPage:
    """A member's page: answers every offer and keeps both transports.

    `say_answer(transport id, sdp)` carries the answer to the worker by whatever signalling there is.
    """

    make: type[RawTransport] = RawTransport
    layers: Sequence[str] = ()
    numbers = False

    def __init__(
        self,
        member: str,
        say_answer: Callable[[str, str], None],
        *,
        sends: Sequence[str] = ("audio", "video", "screen"),
        count_only: bool = False,
    ) -> None:
        self.member = member
        self.sends = sends
        self.count_only = count_only
        self.transports: dict[str, RawTransport] = {}
        self.publish: RawTransport | None = None
        self.subscribe: RawTransport | None = None
        self.offers: list[Offer] = []
        self._say_answer = say_answer
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def offered(self, offer: Offer) -> None:
        """Takes an offer from the signalling; answers, and connects when it is a new transport."""
        self.offers.append(offer)
        transport = self.transports.get(offer.transport)
        if transport is not None:
            transport.take(offer)
            self._say_answer(offer.transport, transport.answer(self.sends))
            self._changed.set()
            return
        transport = self.make(offer, count_only=self.count_only)
        transport.layers, transport.numbers = self.layers, self.numbers
        self.transports[offer.transport] = transport
        task = asyncio.create_task(self._connect(transport))
        self._tasks.add(task)

    async def _connect(self, transport: RawTransport) -> None:
        self._say_answer(transport.id, transport.answer(self.sends))
        await transport.connect()
        if transport.direction == "publish":
            self.publish = transport
        else:
            self.subscribe = transport
        self._changed.set()

    async def until(self, true: Callable[[], bool], timeout_s: float = 10.0) -> None:
        """Waits for a condition that only offers and connections can make true."""
        async with asyncio.timeout(timeout_s):
            while not true():
                self._changed.clear()
                await self._changed.wait()

    async def publishing(self) -> RawTransport:
        """The connected publish transport."""
        await self.until(lambda: self.publish is not None)
        assert self.publish is not None
        return self.publish

    async def watching(self, member: str, kind: str) -> tuple[RawTransport, int]:
        """The connected subscribe transport and the SSRC under which a member's track arrives."""
        await self.until(
            lambda: self.subscribe is not None and (member, kind) in self.subscribe.ssrc_of
        )
        assert self.subscribe is not None
        return self.subscribe, self.subscribe.ssrc_of[member, kind]

    async def close(self, *, say_goodbye: bool = True) -> None:
        """Closes both transports."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for transport in self.transports.values():
            await transport.close(say_goodbye=say_goodbye)


async def heard(publish: RawTransport, subscribe: RawTransport, ssrc: int) -> None:
    """Some sound, each piece after the one before has come."""
    source = Source("audio")
    for n in range(1, 6):
        publish.send_rtp(source.next())
        await subscribe.until(lambda n=n: subscribe.received[ssrc].count >= n)
