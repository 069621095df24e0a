"""The DTLS server of one transport: its handshake begins with a cookie (RFC 6347 section 4.2.1).

A ClientHello is plaintext, so whoever guesses the peer's address can forge one. Nothing is kept for
it and no ServerHello answers it: only a ClientHello that repeats the cookie, which went to the
peer's own address, opens a connection. It costs the genuine peer one round trip.
"""

import asyncio
import hmac
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from OpenSSL import SSL

from rtc.aiortc_parts import Identity, Keys, is_of

COOKIE_BYTES = 20
MAX_DATAGRAM_BYTES = 1200  # fits every path a browser's media fits
DATAGRAMS_A_SECOND = 100  # taken from one peer; a handshake needs ten
MOST_RECORDS = 16  # of one datagram; each is a call of OpenSSL, and 150 fit into one
MOST_BEGUN = 4  # handshakes with one peer; each costs two operations with keys
AGAIN_S = 0.05  # a flight is not repeated faster for a repeated ClientHello

_RECORD_BYTES, _MESSAGE_BYTES = 13, 12
_CHANGE, _ALERT, _HANDSHAKE = 20, 21, 22
_CLIENT_HELLO, _HELLO_VERIFY_REQUEST = 1, 3
_VERSION = b"\xfe\xff"  # what a HelloVerifyRequest says whatever will be agreed
_SESSION_ID_AT = _RECORD_BYTES + _MESSAGE_BYTES + 2 + 32  # behind version and random
_READ_BYTES = 1 << 14


class Hello(NamedTuple):
    """What identifies a ClientHello."""

    random: bytes
    cookie: bytes


def read_hello(record: bytes) -> Hello | None:
    """The ClientHello (or its first part) in an unsealed record; None for anything else."""
    if len(record) <= _SESSION_ID_AT or record[0] != _HANDSHAKE or record[1] != _VERSION[0]:
        return None
    message = record[_RECORD_BYTES:_SESSION_ID_AT]
    if any(record[3:5]) or message[0] != _CLIENT_HELLO or any(message[6:9]):  # epoch; part's place
        return None
    at = _SESSION_ID_AT + 1 + record[_SESSION_ID_AT]
    cookie = record[at + 1 : at + 1 + record[at]] if at < len(record) else b""
    return Hello(message[-32:], cookie)


def hello_verify_request(cookie: bytes) -> bytes:
    """The datagram that asks for a ClientHello with this cookie.

    Its record number is 0, whatever number the ClientHello had: a forged one could else make the
    peer take our later records for old ones.
    """
    body = _VERSION + bytes([len(cookie)]) + cookie
    size = len(body).to_bytes(3, "big")
    message = bytes([_HELLO_VERIFY_REQUEST]) + size + bytes(5) + size + body
    return bytes([_HANDSHAKE]) + _VERSION + bytes(8) + len(message).to_bytes(2, "big") + message


def records_of(datagram: bytes) -> list[bytes]:
    """The DTLS records of a datagram; the rest after a false length is left out."""
    records, at = [], 0
    while at + _RECORD_BYTES <= len(datagram):
        end = at + _RECORD_BYTES + int.from_bytes(datagram[at + 11 : at + 13], "big")
        if end > len(datagram):
            break
        records.append(datagram[at:end])
        at = end
    return records


def _nobody(*_: object) -> None:
    """Hears what one that has ended would say."""


class DtlsServer:
    """Takes datagrams, gives datagrams; has no task of its own, only OpenSSL's timer.

    `on_change()` is called when the handshake is whole (`keys` is there, if a profile was agreed),
    when one was spoilt, and when the peer has said goodbye (`ended`).
    """

    def __init__(
        self, identity: Identity, send: Callable[[bytes], None], on_change: Callable[[], None]
    ) -> None:
        self.keys: Keys | None = None
        self.whole = False
        self.spoilt = False
        self.ended = False
        self._identity = identity
        self._send = send
        self._on_change = on_change
        self._cookie = secrets.token_bytes(COOKIE_BYTES)
        self._connection: SSL.Connection | None = None
        self._random = b""
        self._begun = 0
        self._flight: list[bytes] = []
        self._flight_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._heard_at = 0.0
        self._taken = 0  # in this second

    def received(self, datagram: bytes, now: float) -> bool:
        """Takes a datagram from a known address; False when it was refused unread."""
        if int(now) != int(self._heard_at):
            self._taken = 0
        self._heard_at = now
        self._taken += 1
        if self._taken > DATAGRAMS_A_SECOND or self.ended:
            return False
        for record in records_of(datagram)[:MOST_RECORDS]:
            if self.ended:
                break
            if self._connection is None:
                self._greet(record)
            elif self.whole:
                self._read(record)
            else:
                self._handshake(record, now)
        return True

    def is_of(self, fingerprints: list[tuple[str, str]]) -> bool:
        """Whether the peer has shown the certificate with these fingerprints."""
        return self._connection is not None and is_of(self._connection, fingerprints)

    def close(self) -> None:
        """Says goodbye, if there is somebody to say it to."""
        self._disarm()
        self.ended = True
        if self._connection is not None and self.whole:
            with suppress(SSL.Error):
                self._connection.shutdown()
            self._flush()
        # OpenSSL keeps much of each, and nothing that has ended waits for the collector.
        self._connection = None
        self._send, self._on_change = _nobody, _nobody

    def _greet(self, record: bytes) -> None:
        hello = read_hello(record)
        if hello is None:
            return
        if not hmac.compare_digest(hello.cookie, self._cookie):
            self._send(hello_verify_request(self._cookie))
            return
        if self._begun >= MOST_BEGUN:
            return
        self._begun += 1
        connection = SSL.Connection(self._identity.context)
        connection.set_app_data(self._cookie)
        connection.set_accept_state()
        connection.set_ciphertext_mtu(MAX_DATAGRAM_BYTES)
        connection.bio_write(record)
        try:
            connection.DTLSv1_listen()
        except SSL.Error:  # a cookie's owner who speaks nonsense
            return
        self._connection, self._random = connection, hello.random
        self._step()

    def _handshake(self, record: bytes, now: float) -> None:
        hello = read_hello(record)
        if hello is not None and not hmac.compare_digest(hello.cookie, self._cookie):
            return  # late or forged; the peer is past that
        # OpenSSL would wait for its own second to be over before it repeats what was lost.
        lost = hello is not None and hello.random == self._random
        if lost and now - self._flight_at >= AGAIN_S:
            self._flight_at = now
            for datagram in self._flight:
                self._send(datagram)
        if record[0] in {_CHANGE, _HANDSHAKE} and self._connection is not None:
            self._connection.bio_write(record)  # no alert: unsealed, anybody may have written it
            self._step()

    def _step(self) -> None:
        if self._connection is None:
            return
        self._disarm()
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            self._flush()
            self._arm()
        except SSL.Error:
            self._spoil()
        else:
            self.whole = True
            self._flush()
            self.keys = Keys.of(self._connection)
            self._on_change()

    def _read(self, record: bytes) -> None:
        if self._connection is None or (record[0] == _ALERT and not any(record[3:5])):
            return
        self._connection.bio_write(record)
        try:
            while self._connection.recv(_READ_BYTES):
                pass  # nothing is said over DTLS itself
        except SSL.ZeroReturnError:
            self.ended = True
        except SSL.Error:
            pass
        self._flush()
        if self.ended:
            self._on_change()

    def _flush(self) -> None:
        """Sends what OpenSSL has written: whole records, as many as a datagram holds."""
        if self._connection is None:
            return
        written = b""
        with suppress(SSL.Error):
            while True:
                written += self._connection.bio_read(_READ_BYTES)
        datagrams = [b""]
        for record in records_of(written):
            if len(datagrams[-1]) + len(record) > MAX_DATAGRAM_BYTES:
                datagrams.append(b"")
            datagrams[-1] += record
        if datagrams[-1]:
            self._flight = datagrams
            self._flight_at = self._heard_at
        for datagram in filter(None, datagrams):
            self._send(datagram)

    def _arm(self) -> None:
        timeout_s = self._connection.DTLSv1_get_timeout() if self._connection is not None else None
        if timeout_s is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(timeout_s, self._again)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _again(self) -> None:
        """OpenSSL's time is up: the last flight again."""
        self._timer = None
        if self._connection is None or self.whole or self.ended:
            return
        try:
            self._connection.DTLSv1_handle_timeout()
        except SSL.Error:  # too often
            self._spoil()
            return
        self._flush()
        self._arm()

    def _spoil(self) -> None:
        """Whoever did it, a peer who has not heard our first flight may begin once more.

        OpenSSL's alert is not sent: unsealed, it would end the genuine peer's handshake because of
        a forged record, and a real failure is told by signalling.
        """
        self._connection = None
        self.spoilt = True
        self._on_change()
