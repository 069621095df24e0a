"""Putting a PAdES signature into a print, by pyHanko; and its word on one from outside.

Imported only where something is signed: pyHanko takes half a second to load, and whoever verifies
a print of ours (storage/pdf_signing.py) has no need of it.
"""

import asyncio
import io
from datetime import datetime, timedelta
from typing import Any, Final

from asn1crypto import keys as asn1_keys
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import signers
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko.sign.validation.status import SignatureCoverageLevel
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.registry import SimpleCertificateStore

from storage.pdf_signing import P256_ORDER

_FIELD: Final = "Signature"
# A service's clock may be ahead of ours, and its certificate may be made for this very signature.
_CLOCKS_APART: Final = timedelta(minutes=2)


class _LowSigner(signers.SimpleSigner):
    """Of the two signatures that ECDSA has for everything, the one with the smaller `s`."""

    def sign_raw(self, data: bytes, digest_algorithm: str) -> bytes:
        r, s = decode_dss_signature(super().sign_raw(data, digest_algorithm))
        return encode_dss_signature(r, min(s, P256_ORDER - s))


class _AsItIs(IncrementalPdfFileWriter):
    """Leaves the metadata as the printer wrote it.

    pyHanko would spell it anew, with the properties of PDF/A's schemas as references, and no print
    was changed later than it was made.
    """

    def _update_meta(self) -> None:
        pass


def signed(pdf: bytes, certificate: bytes, key: bytes, name: str) -> bytes:
    """Sign a print with a P-256 key (PKCS 8) and its certificate (DER): invisible, over all."""
    signer = _LowSigner(
        signing_cert=asn1_x509.Certificate.load(certificate),
        signing_key=asn1_keys.PrivateKeyInfo.load(key),
        cert_registry=SimpleCertificateStore(),  # type: ignore[no-untyped-call]
    )
    out = io.BytesIO()
    signers.PdfSigner(_metadata(name), signer).sign_pdf(_as_it_is(pdf), output=out)
    return out.getvalue()


def prepare(pdf: bytes, name: str, room: int) -> tuple[Any, io.BytesIO]:
    """Leave room for somebody else's signature, and give the digest of all around it."""
    nobody = signers.ExternalSigner(signing_cert=None, cert_registry=None, signature_value=room)
    page = io.BytesIO()
    digesting = signers.PdfSigner(_metadata(name), nobody).async_digest_doc_for_signing(
        _as_it_is(pdf), bytes_reserved=room, output=page
    )
    prepared, _, _ = asyncio.run(digesting)  # it awaits nothing: this thread has no loop
    return prepared, page


def verified(pdf: bytes, authorities: list[asn1_x509.Certificate], now: datetime) -> bool:
    """Whether another maker's validator finds it whole, over all of it and by whom we trust."""
    context = ValidationContext(
        trust_roots=authorities, moment=now, allow_fetching=False, time_tolerance=_CLOCKS_APART
    )
    found = PdfFileReader(io.BytesIO(pdf)).embedded_signatures
    status = validate_pdf_signature(found[0], context)
    everything = status.coverage is SignatureCoverageLevel.ENTIRE_FILE
    return len(found) == 1 and everything and status.intact and status.valid and status.trusted


def _metadata(name: str) -> signers.PdfSignatureMetadata:
    return signers.PdfSignatureMetadata(
        field_name=_FIELD,
        md_algorithm="sha256",
        name=name,
        subfilter=SigSeedSubFilter.PADES,
        certify=False,
    )


def _as_it_is(pdf: bytes) -> IncrementalPdfFileWriter:
    return _AsItIs(io.BytesIO(pdf))
