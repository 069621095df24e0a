"""The ICE-lite end of one transport: credentials, the peer's addresses, and the pipe for DTLS."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from rtc.stun import BINDING_REQUEST, Address, Stun, success

QUEUED_DTLS_DATAGRAMS = 32  # a handshake needs fewer than ten
ALERT = 21  # DTLS record type
MAX_ADDRESSES = 8  # a peer that shows more source addresses forgets the oldest
MAX_CREDENTIALS = 2  # both are valid during an ICE restart


@dataclass(frozen=True)
class Credentials:
    """ICE ufrag and password (RFC 8445 section 5.3: ≥ 24 and ≥ 128 random bits)."""

    ufrag: str = field(default_factory=lambda: secrets.token_hex(6))
    password: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)


class IceLite:
    """Answers a controlling peer's checks and remembers where he is; never sends a check itself."""

    def __init__(self) -> None:
        self.credentials = [Credentials()]
        self.addresses: list[Address] = []
        self.address: Address | None = None  # where to send

    @property
    def newest(self) -> Credentials:
        """The credentials the next offer carries."""
        return self.credentials[-1]

    def restart(self) -> Credentials | None:
        """Adds new credentials; gives those that are no longer valid."""
        self.credentials.append(Credentials())
        return self.credentials.pop(0) if len(self.credentials) > MAX_CREDENTIALS else None

    def check(self, stun: Stun, source: Address) -> bytes | None:
        """Answer to a peer's check, None for a forged one.

        The first valid source is taken at once: with ICE-lite Chromium's first check does not
        nominate yet. Later only a nomination under the newest credentials moves the peer.
        """
        if stun.kind != BINDING_REQUEST:
            return None
        ufrag = stun.username.partition(":")[0]
        known = next((each for each in self.credentials if each.ufrag == ufrag), None)
        if known is None or not stun.signed_by(known.password):
            return None
        if self.address is None or (stun.use_candidate and known is self.newest):
            self.address = source
        return success(stun, source, known.password)


class DtlsPipe:
    """What `RTCDtlsTransport` takes for its ICE transport; only DTLS datagrams pass through it."""

    role = "controlled"
    state = "completed"

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send_datagram = send
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.encrypted: Callable[[], bool] = lambda: False

    def put(self, data: bytes) -> bool:
        """Queues a received datagram; False when it had to be dropped."""
        if self._queue.qsize() >= QUEUED_DTLS_DATAGRAMS:
            return False
        self._queue.put_nowait(data)
        return True

    def close(self) -> None:
        """Ends the pending and every later `_recv`."""
        self._queue.put_nowait(None)

    async def _recv(self) -> bytes:
        data = await self._queue.get()
        if data is None:
            self._queue.put_nowait(None)
            raise ConnectionError("closed")
        return data

    async def _send(self, data: bytes) -> None:
        # OpenSSL answers a forged handshake record with a plaintext alert, and that would end the
        # genuine peer's handshake. A real failure is told by signalling instead.
        if data[0] == ALERT and not self.encrypted():
            return
        self._send_datagram(data)
