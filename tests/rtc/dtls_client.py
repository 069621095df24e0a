"""A DTLS client without a network: OpenSSL between two lists of datagrams."""

import os
from contextlib import suppress

from aiortc import RTCCertificate
from aiortc.rtcdtlstransport import SRTP_PROFILES
from OpenSSL import SSL

from rtc.dtls import records_of

CERTIFICATE = RTCCertificate.generateCertificate()
FINGERPRINTS = [
    (each.algorithm, each.value)
    for each in CERTIFICATE.getFingerprints()
    if each.algorithm == "sha-256"
]


class DtlsClient:
    """Speaks when asked to; a datagram holds what OpenSSL wrote at once, or one record of it."""

    def __init__(self, context: SSL.Context | None = None) -> None:
        context = context or CERTIFICATE._create_ssl_context(SRTP_PROFILES)
        self.connection = SSL.Connection(context)
        self.connection.set_connect_state()
        self.whole = False

    def says(self) -> list[bytes]:
        """Goes on with the handshake; what it sends."""
        try:
            self.connection.do_handshake()
        except SSL.WantReadError:
            pass
        else:
            self.whole = True
        return self.written()

    def written(self) -> list[bytes]:
        """The records OpenSSL has written, each a datagram of its own."""
        data = b""
        with suppress(SSL.Error):
            while True:
                data += self.connection.bio_read(1 << 14)
        return records_of(data)

    def hears(self, datagrams: list[bytes]) -> None:
        """Takes what the server has sent."""
        for each in datagrams:
            self.connection.bio_write(each)


def forged_hello(cookie: bytes = b"", *, record_number: int = 0) -> bytes:
    """A complete ClientHello such as a stranger can write; OpenSSL would answer it."""
    connection = SSL.Connection(CERTIFICATE._create_ssl_context(SRTP_PROFILES))
    connection.set_connect_state()
    connection.set_ciphertext_mtu(1400)
    with suppress(SSL.WantReadError):
        connection.do_handshake()
    hello = bytearray(connection.bio_read(1 << 14))
    hello[5:11] = record_number.to_bytes(6, "big")
    hello[27:59] = os.urandom(32)
    at = 60 + hello[59]  # the length of the (empty) cookie
    assert hello[at] == 0
    hello[at : at + 1] = bytes([len(cookie)]) + cookie
    hello[14:17] = hello[22:25] = (len(hello) - 25).to_bytes(3, "big")
    hello[11:13] = (len(hello) - 13).to_bytes(2, "big")
    return bytes(hello)
