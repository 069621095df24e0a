"""A signature service over real HTTP, with authorities made for the test."""

import asyncio
import json
import threading
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from asn1crypto import keys as asn1_keys
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pyhanko.sign import signers
from pyhanko_certvalidator.registry import SimpleCertificateStore

from storage.outside_signer import OutsideSigner
from storage.signing import unb64
from tests.telemed.clinic_house import NOW

TOKEN = "word-of-the-clinic"


class Authority:
    """An authority, and somebody whose signing key it vouches for."""

    def __init__(self, name: str) -> None:
        root, leaf = (
            ec.generate_private_key(ec.SECP256R1()),
            ec.generate_private_key(ec.SECP256R1()),
        )
        issuer = _name(f"Authority {name}")
        self.root = (
            _certificate(issuer, issuer, root.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(sign=False), critical=True)
            .sign(root, hashes.SHA256())
        )
        signer = (
            # Made for this very signature, by a clock that is ahead of ours.
            _certificate(
                issuer,
                _name(f"Doctor of {name}"),
                leaf.public_key(),
                NOW + timedelta(seconds=30),
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(sign=True), critical=True)
            .sign(root, hashes.SHA256())
        )
        der = leaf.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        self._signer = signers.SimpleSigner(
            signing_cert=_asn1(signer),
            signing_key=asn1_keys.PrivateKeyInfo.load(der),
            cert_registry=SimpleCertificateStore(),  # type: ignore[no-untyped-call]
        )

    def sign(self, digest: bytes) -> bytes:
        """A detached signature over a digest, as PAdES wants it."""
        made = asyncio.run(self._signer.async_sign(digest, "sha256", use_pades=True))
        packed: bytes = made.dump()
        return packed

    @property
    def pem(self) -> bytes:
        """What an operator is handed of it."""
        return self.root.public_bytes(serialization.Encoding.PEM)

    @property
    def trusted(self) -> asn1_x509.Certificate:
        """The same for pyHanko."""
        return _asn1(self.root)


def _name(word: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, word)])


def _certificate(
    issuer: x509.Name,
    subject: x509.Name,
    public: ec.EllipticCurvePublicKey,
    since: datetime = NOW - timedelta(days=1),
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(NOW + timedelta(days=1))
    )


def _usage(*, sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=sign,
        content_commitment=sign,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=not sign,
        crl_sign=not sign,
        encipher_only=False,
        decipher_only=False,
    )


def _asn1(certificate: x509.Certificate) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load(certificate.public_bytes(serialization.Encoding.DER))


class Service(ThreadingHTTPServer):
    """A signature service, which a test may let fail."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._folder = folder
        self.authority, self.stranger = Authority("A"), Authority("B")
        self.how = "well"
        self.questions: list[dict[str, Any]] = []
        self.stopped = threading.Event()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}/sign"

    @property
    def place(self) -> OutsideSigner:
        """What the operator has set."""
        authorities, token = self._folder / "ca.pem", self._folder / "token"
        authorities.write_bytes(self.authority.pem)
        token.write_text(f"{TOKEN}\n")
        return OutsideSigner(self.url, authorities, token)

    def answer(self, digest: bytes) -> tuple[int, bytes]:
        """What it says, as the test wants it."""
        right = self.authority.sign(digest)
        answers = {
            "well": (200, right),
            "fails": (500, right),
            "refuses": (403, b"{}"),
            "moved": (302, b""),
            "nonsense": (200, b"<html>sign in, please</html>"),
            "empty": (200, b""),
            "endless": (200, right + bytes(1 << 20)),
            "padded": (200, right + b"\0"),
            "half": (200, right[:-10]),
            "another": (200, self.authority.sign(bytes(32))),
            "stranger": (200, self.stranger.sign(digest)),
        }
        return answers[self.how]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        service = self.server
        assert isinstance(service, Service)
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        service.questions.append({**asked, "word": self.headers["Authorization"]})
        if service.how == "hangs":
            service.stopped.wait(20)
            return
        status, body = service.answer(unb64(asked["digest"]))
        self.send_response(status)
        self.send_header("Location", "http://127.0.0.1:9/")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *said: Any) -> None:
        """Nothing: the test's output is the test's."""
