"""PAdES signatures of printed documents, and their verification with one Ed25519 public key.

Readers of PDF hardly know Ed25519, so each print is signed (PAdES B-B, ECDSA P-256, by pyHanko)
with a key that is used once; its certificate is issued by the organisation's Ed25519 key. Where a
service outside signs, that key seals the service's signature (storage/pdf_seals.py). Nothing else
is believed: whoever holds the public key verifies prints and signed JSON alike.

`verify` reads no PDF: a stranger's file is searched for one signature that covers all of it, byte
by byte, and whose container has one possible spelling. What was changed, or added behind the
signature as PDF allows, counts as forged. A print is known by the digest of what its signature
covers: whatever may be done to the signature itself, it stays the same print.
"""

import asyncio
import hashlib
import re
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from asn1crypto import cms, core, tsp
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from storage import pdf_seals
from storage.signing import Why, key_id, public_of

# A certificate is believed because of its issuer; it says for how long the print is meant to last.
_LASTS: Final = timedelta(days=365 * 75)
_MOST_SIGNATURE: Final = 64_000
_RANGE: Final = re.compile(rb"/ByteRange ?\[ ?(\d{1,10}) (\d{1,10}) (\d{1,10}) (\d{1,10}) ?\]")
# X.520's 64 letters are counted in bytes by the library: 32 of a Cyrillic name.
_NAME_MOST: Final = 64
# Registers the attribute `signing_certificate_v2`, which `cms` alone cannot read.
_ = tsp.SigningCertificateV2
# Order of P-256 (SEC 2). Where (r, s) is a signature, (r, order - s) is one as well: no key needed.
P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


# Whatever parsers of ASN.1 and certificates make of a stranger's bytes.
BROKEN: Final = (
    *(ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError),
    *(InvalidSignature, UnsupportedAlgorithm),
)


class PdfVerdict(msgspec.Struct, frozen=True):
    """Which of our keys stands behind a print, and what it covers; or why it counts as forged."""

    key: str | None = None
    digest: bytes | None = None
    why: Why | None = None

    @property
    def genuine(self) -> bool:
        """Whether one of the given keys stands behind exactly this file."""
        return self.why is None


class OwnSigner:
    """Signs with a certificate that the organisation's own key issues."""

    def __init__(self, seed: bytes, organisation: str) -> None:
        self._seed = seed
        self._organisation = organisation

    async def sign(self, pdf: bytes, now: datetime) -> bytes:
        """Give the print with a signature over all of it."""
        return await asyncio.to_thread(self._sign, pdf, now)

    def _sign(self, pdf: bytes, now: datetime) -> bytes:
        from storage.pdf_writing import signed  # noqa: PLC0415 - loads half a second of libraries

        key = ec.generate_private_key(ec.SECP256R1())
        issued = _issue(self._seed, self._organisation, key.public_key(), now)
        certificate = issued.public_bytes(serialization.Encoding.DER)
        return signed(pdf, certificate, _der(key), self._organisation)


def verify(public_keys: Iterable[bytes], file: bytes) -> PdfVerdict:
    """Say whether one of these Ed25519 keys (32 raw bytes each) stands behind this print."""
    try:
        digest, container = _covered(file)
        return _judge(list(public_keys), digest, container)
    except BROKEN:
        return PdfVerdict(why=Why.CHANGED)


def covered(file: bytes) -> bytes:
    """Give the digest of what a print's signature covers: its name. Raises ValueError."""
    return _covered(file)[0]


def _covered(file: bytes) -> tuple[bytes, bytes]:
    """Give the digest of everything but the signature, and the signature's container."""
    ranges = _RANGE.findall(file)
    if len(ranges) != 1:
        raise ValueError("not one signature")
    start, length, after, rest = (int(number) for number in ranges[0])
    hole = file[length:after]
    if start != 0 or after + rest != len(file) or len(hole) > 2 * _MOST_SIGNATURE:
        raise ValueError("a signature over a part")
    if hole[:1] != b"<" or hole[-1:] != b">":
        raise ValueError("no container")
    raw = bytes.fromhex(hole[1:-1].decode("ascii"))
    if raw.hex().upper().encode() != hole[1:-1]:
        raise ValueError("another spelling")
    container = raw[: _der_length(raw)]
    if raw[len(container) :].strip(b"\0"):
        raise ValueError("something behind the container")
    digest = hashlib.sha256(file[:length])
    digest.update(file[after:])
    return digest.digest(), container


def _judge(public_keys: list[bytes], digest: bytes, container: bytes) -> PdfVerdict:
    if pdf_seals.is_sealed(container):
        named = pdf_seals.judge(public_keys, digest, container)
        if named is None:
            return PdfVerdict(why=Why.OTHER_KEY)
        return PdfVerdict(key=named, digest=digest)
    signed = cms.ContentInfo.load(container, strict=True)["content"]
    signer = signed["signer_infos"][0]
    certificate = signed["certificates"][0].chosen
    der = certificate.dump()
    attributes = signer["signed_attrs"]
    signature = signer["signature"].native
    if _packed(certificate, attributes, signature) != container:
        raise ValueError("another spelling of the container")
    said: dict[str, Any] = {one["type"].native: one["values"][0].native for one in attributes}
    named = said["signing_certificate_v2"]["certs"][0]["cert_hash"]
    if (said["content_type"], said["message_digest"]) != ("data", digest):
        raise ValueError("signed another file")
    if len(said) != len(attributes) or named != hashlib.sha256(der).digest():
        raise ValueError("signed with another certificate")
    issued = x509.load_der_x509_certificate(der)
    issuer = str(issued.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
    public = next((key for key in public_keys if key_id(key) == issuer), None)
    if public is None:
        return PdfVerdict(why=Why.OTHER_KEY)
    Ed25519PublicKey.from_public_bytes(public).verify(
        issued.signature, issued.tbs_certificate_bytes
    )
    used = issued.public_key()
    if not isinstance(used, ec.EllipticCurvePublicKey):
        raise TypeError("no key for such a signature")
    if decode_dss_signature(signature)[1] > P256_ORDER // 2:
        raise ValueError("the other spelling of the signature")
    used.verify(signature, attributes.untag().dump(), ec.ECDSA(hashes.SHA256()))
    return PdfVerdict(key=issuer, digest=digest)


def _packed(certificate: Any, attributes: Any, signature: bytes) -> bytes:
    """Spell the container of these three parts: all else in it is always the same."""
    tbs = certificate["tbs_certificate"]
    serial = cms.IssuerAndSerialNumber(
        {"issuer": tbs["issuer"], "serial_number": tbs["serial_number"]}
    )
    signer = cms.SignerInfo(
        {
            "version": "v1",
            "sid": cms.SignerIdentifier({"issuer_and_serial_number": serial}),
            "digest_algorithm": {"algorithm": "sha256"},
            "signed_attrs": attributes,
            "signature_algorithm": {"algorithm": "sha256_ecdsa"},
            "signature": signature,
        }
    )
    content = cms.SignedData(
        {
            "version": "v1",
            "digest_algorithms": [{"algorithm": "sha256"}],
            "encap_content_info": {"content_type": "data"},
            "certificates": [certificate],
            "signer_infos": [signer],
        }
    )
    packed: bytes = cms.ContentInfo({"content_type": "signed_data", "content": content}).dump()
    return packed


def _issue(
    seed: bytes, organisation: str, public: ec.EllipticCurvePublicKey, now: datetime
) -> x509.Certificate:
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, key_id(public_of(seed)))])
    name = _cut(organisation.strip()) or "-"
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(int.from_bytes(secrets.token_bytes(16), "big") | 1)
        .not_valid_before(now)
        .not_valid_after(now + _LASTS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=True,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=False,
                crl_sign=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .sign(Ed25519PrivateKey.from_private_bytes(seed), None)
    )


def _cut(name: str) -> str:
    return name.encode()[:_NAME_MOST].decode(errors="ignore")


def _der(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _der_length(raw: bytes) -> int:
    """Length of the DER value that `raw` begins with. Raises ValueError."""
    header = core.Sequence.load(raw[:_MOST_SIGNATURE], strict=False)
    return len(header.dump())
