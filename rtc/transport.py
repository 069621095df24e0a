"""One peer connection's transport at the worker: ICE-lite, DTLS, SRTP keys and its life."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, cast

from aiortc import (
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    RTCIceTransport,
)

from rtc import srtp
from rtc.ice import DtlsPipe, IceLite
from rtc.messages import Direction
from rtc.stun import Address

if TYPE_CHECKING:
    from rtc.track import Track

log = logging.getLogger(__name__)

CONSENT_S = 30.0  # RFC 7675 section 5.1
HANDSHAKE_S = 20.0
HANDSHAKE_TRIES = 50  # each forged record from the peer's own address costs one
RENEW_S = 86400.0


class Wire(Protocol):
    """What a transport needs of the UDP port."""

    def send(self, data: bytes, address: Address) -> None: ...
    def enter(self, transport: "Transport") -> None: ...
    def forget(self, transport: "Transport") -> None: ...


class Transport:
    """Lives from its first offer until it is closed; a closed one is never used again.

    `on_change(transport, reason)` is called once when media may flow (reason "") and once at the
    end with the reason of `TransportFailed`, but not when `close` was called without a reason.
    """

    def __init__(
        self,
        wire: Wire,
        certificate: RTCCertificate,
        direction: Direction,
        on_change: Callable[["Transport", str], None],
    ) -> None:
        self.id = secrets.token_hex(8)
        self.direction = direction
        self.ice = IceLite()
        self.heard_at = time.monotonic()
        self.connected = False
        self.closed = False
        self.answered = False
        self.rx: srtp.Session = None
        self.tx: srtp.Session = None
        self.tracks: dict[int, Track] = {}  # publish: by payload type
        self.watched: dict[int, Track] = {}  # subscribe: by our SSRC
        self.refused: dict[int, int] = {}  # packets dropped for want of a grant, by payload type
        self.estimate_bps: int | None = None  # what the viewer's browser says his link carries
        self.rtt_s = 0.1
        self.resent_at: dict[tuple[int, int], float] = {}
        self._certificate = certificate
        self._wire = wire
        self._on_change = on_change
        self._pipe = DtlsPipe(self._send_dtls)
        self._dtls: RTCDtlsTransport | None = None
        self._task: asyncio.Task[None] | None = None
        wire.enter(self)

    @property
    def address(self) -> Address | None:
        """Where the peer is now."""
        return self.ice.address

    @property
    def fingerprint(self) -> str:
        """Our certificate's SHA-256 for SDP."""
        prints = self._certificate.getFingerprints()
        return next(each.value for each in prints if each.algorithm == "sha-256")

    def restart_ice(self) -> None:
        """Adds credentials for the next offer; the old ones stay valid until the one after."""
        self._wire.forget(self)
        self.ice.restart()
        self._wire.enter(self)

    def start(self, fingerprints: list[tuple[str, str]]) -> None:
        """Begins the handshake with the peer that owns one of these certificates; once."""
        if self.answered or self.closed:
            return
        self.answered = True
        peer = RTCDtlsParameters([RTCDtlsFingerprint(*each) for each in fingerprints])
        self._task = asyncio.create_task(self._secure(peer))

    def dtls_received(self, data: bytes) -> bool:
        """Takes a DTLS datagram from a known address; False when the queue is full."""
        return self._pipe.put(data)

    def send_rtcp(self, packet: bytes) -> None:
        """Seals and sends RTCP, if there is a connection."""
        if self.connected and self.address is not None:
            sealed = srtp.protect_rtcp(self.tx, packet)
            if sealed:
                self._wire.send(sealed, self.address)

    def send_rtp(self, packet: bytes) -> None:
        """Seals and sends one RTP packet that was sent before."""
        if self.connected and self.address is not None:
            sealed = srtp.protect_rtp(self.tx, packet)
            if sealed:
                self._wire.send(sealed, self.address)

    def expire(self, now: float) -> None:
        """Closes a transport whose peer has been silent for `CONSENT_S`."""
        if now - self.heard_at > CONSENT_S:
            self.close("expired" if self.answered else "unanswered")

    def close(self, reason: str = "") -> None:
        """Closes for good; a reason is told through `on_change`."""
        if self.closed:
            return
        self.closed, self.connected = True, False
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        if self._dtls is not None:
            _last_words.add(last := asyncio.ensure_future(self._dtls.stop()))
            last.add_done_callback(_last_words.discard)
        self._pipe.close()
        self._wire.forget(self)
        if reason:
            self._on_change(self, reason)

    async def _secure(self, peer: RTCDtlsParameters) -> None:
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                for _ in range(HANDSHAKE_TRIES):
                    if await self._handshake(peer):
                        return
        except TimeoutError:
            pass
        self.close("dtls")

    async def _handshake(self, peer: RTCDtlsParameters) -> bool:
        """One try; False when it may be repeated, since a forger can spoil one."""
        pipe = cast("RTCIceTransport", self._pipe)
        dtls = RTCDtlsTransport(pipe, [self._certificate])
        dtls._set_role("server")  # noqa: SLF001 - "controlled" would mean client; contract-tested
        self._dtls, self._pipe.encrypted = dtls, lambda: dtls.encrypted
        await dtls.start(peer)
        if dtls.state == "connected":
            self.rx, self.tx = srtp.sessions(dtls)
            self.connected = True
            dtls.on("statechange", self._dtls_ended)
            self._on_change(self, "")
            return True
        if dtls.encrypted or self.closed:  # the handshake was whole: it is somebody else
            raise TimeoutError
        return False

    def _dtls_ended(self) -> None:
        self.close("peer_closed")

    def _send_dtls(self, data: bytes) -> None:
        if self.address is not None:
            self._wire.send(data, self.address)


_last_words: set[asyncio.Future[None]] = set()


async def wait_last_words() -> None:
    """Waits until closed transports have told their peers."""
    await asyncio.gather(*_last_words, return_exceptions=True)


class Certificates:
    """The worker's certificate: one for all transports, renewed daily for the new ones."""

    def __init__(self) -> None:
        self._made_at = time.monotonic()
        self._current = RTCCertificate.generateCertificate()

    def current(self) -> RTCCertificate:
        """The certificate for a new transport."""
        if time.monotonic() - self._made_at > RENEW_S:
            self._made_at = time.monotonic()
            self._current = RTCCertificate.generateCertificate()
        return self._current
