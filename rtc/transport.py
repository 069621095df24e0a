"""One peer connection's transport at the worker: ICE-lite, DTLS, SRTP keys and its life."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from rtc import srtp
from rtc.aiortc_parts import Identity, Keys
from rtc.dtls import DtlsServer
from rtc.ice import IceLite
from rtc.messages import Direction
from rtc.quality import Heard
from rtc.rate import Rate
from rtc.stun import Address
from rtc.twcc import Arrivals, Sent

if TYPE_CHECKING:
    from rtc.leg import Leg
    from rtc.track import Track

log = logging.getLogger(__name__)

CONSENT_S = 30.0  # RFC 7675 section 5.1
HANDSHAKE_S = 20.0
SPOILT_S = 2.0  # a browser that is past the beginning can only join anew: it is told soon
RENEW_S = 86400.0
MAX_SSRCS = 64  # libsrtp keeps a stream for each a peer has sealed a packet with


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
        identity: Identity,
        direction: Direction,
        on_change: Callable[["Transport", str], None],
    ) -> None:
        self.id = secrets.token_hex(8)
        self.direction = direction
        self.ice = IceLite()
        self.heard_at = time.monotonic()
        self.packet_at = 0.0  # when he last sealed something
        self.ssrcs: set[int] = set()  # under which he did
        self.connected = False
        self.closed = False
        self.answered = False
        self.rx: srtp.Session = None
        self.tx: srtp.Session = None
        self.tracks: dict[int, Track] = {}  # publish: by payload type
        self.watched: dict[int, Leg] = {}  # subscribe: by our SSRC
        self.arrivals: Arrivals | None = None  # of what he publishes, once he numbers it
        self.sent: Sent | None = None  # to him, once he has agreed to numbers
        self.rate = Rate(self, self.heard_at) if direction == "subscribe" else None
        self.refused: dict[int, int] = {}  # packets dropped for want of a grant, by payload type
        self.rtt_s = 0.1
        self.round_trip_s: float | None = None  # as measured last
        self.reports: dict[int, Heard] = {}  # subscribe: by our SSRC, of what he watches
        self.resent_at: dict[tuple[int, int], float] = {}
        self._identity = identity
        self._wire = wire
        self._on_change = on_change
        self._dtls = DtlsServer(identity, self._send_dtls, self._dtls_changed)
        self._keys: Keys | None = None  # what rx and tx point into
        self._peer: list[tuple[str, str]] = []  # fingerprints
        self._late: asyncio.TimerHandle | None = None
        wire.enter(self)

    @property
    def address(self) -> Address | None:
        """Where the peer is now."""
        return self.ice.address

    def is_at(self, host: str) -> bool:
        """Whether the peer was last seen on this host, by whatever port."""
        return self.address is not None and self.address[0] == host

    @property
    def fingerprint(self) -> str:
        """Our certificate's SHA-256 for SDP."""
        return self._identity.fingerprint

    def restart_ice(self) -> None:
        """Adds credentials for the next offer; the old ones stay valid until the one after."""
        self._wire.forget(self)
        self.ice.restart()
        self._wire.enter(self)

    def start(self, fingerprints: list[tuple[str, str]]) -> None:
        """Says whose certificate the peer must show; once. He may have begun the handshake."""
        if self.answered or self.closed:
            return
        self.answered = True
        self._peer = fingerprints
        self._give_up_in(SPOILT_S if self._dtls.spoilt else HANDSHAKE_S)
        self._secure()

    def _give_up_in(self, seconds: float) -> None:
        if self._late is not None:
            self._late.cancel()
        self._late = asyncio.get_running_loop().call_later(seconds, self.close, "dtls")

    def dtls_received(self, data: bytes, now: float) -> bool:
        """Takes a DTLS datagram from a known address; False when there were too many."""
        return self._dtls.received(data, now)

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

    def moved(self, now: float) -> None:
        """The peer's address has changed: what was lost on the way needs a key frame."""
        if self.rate is not None:
            self.rate.moved(now)
        for track in self.tracks.values():
            track.ask_key_frame(now)
        for leg in self.watched.values():
            leg.ask_key_frame(now)

    def expire(self, now: float) -> None:
        """Closes a transport whose peer has been silent for `CONSENT_S`."""
        self.ice.expire(now)
        if now - self.heard_at > CONSENT_S:
            self.close("expired" if self.answered else "unanswered")

    def close(self, reason: str = "") -> None:
        """Closes for good; a reason is told through `on_change`."""
        if self.closed:
            return
        self.closed, self.connected = True, False
        if self._late is not None:
            self._late.cancel()
        self._dtls.close()
        self._wire.forget(self)
        if reason:
            self._on_change(self, reason)
        self.rate = None  # it knows us: both would wait for the collector, with the keys

    def _dtls_changed(self) -> None:
        if self._dtls.ended:
            self.close("peer_closed")
        elif self._dtls.whole:
            self._secure()
        elif self.answered:
            self._give_up_in(SPOILT_S)

    def _secure(self) -> None:
        """Lets media flow once the handshake is whole and the peer is who his SDP said he is."""
        if not self._dtls.whole or not self.answered or self.connected or self.closed:
            return
        keys = self._dtls.keys
        if keys is None or not self._dtls.is_of(self._peer):
            self.close("dtls")
            return
        if self._late is not None:
            self._late.cancel()
        self._keys, self.rx, self.tx = keys, keys.rx, keys.tx
        self.connected = True
        asyncio.get_running_loop().call_soon(self._tell_connected)

    def _tell_connected(self) -> None:
        if not self.closed:
            self._on_change(self, "")

    def _send_dtls(self, data: bytes) -> None:
        if self.address is not None:
            self._wire.send(data, self.address)


class Certificates:
    """The worker's certificate: one for all transports, renewed daily for the new ones."""

    def __init__(self) -> None:
        self._made_at = time.monotonic()
        self._current = Identity.make()

    def current(self) -> Identity:
        """The certificate for a new transport."""
        if time.monotonic() - self._made_at > RENEW_S:
            self._made_at = time.monotonic()
            self._current = Identity.make()
        return self._current
