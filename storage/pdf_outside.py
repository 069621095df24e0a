"""Prints signed by a service outside: a qualified signature, as far as the service's is one.

The service is told a digest and sends back a signature (CMS, as PAdES wants it); what the paper
says never leaves the house. docs/documents.md describes what goes over the wire. What comes back
is believed only after it has been verified: it signs this very digest, and its certificate leads
to an authority of the settings.
"""

import asyncio
import io
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import httpx
import msgspec
from asn1crypto import x509 as asn1_x509
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import signers
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko.sign.validation.status import SignatureCoverageLevel
from pyhanko_certvalidator import ValidationContext

from storage import pdf_seals, pdf_signing
from storage.outside_signer import OutsideSigner, certificates_in
from storage.signing import b64, public_of

PROTOCOL: Final = "yanasha-signer-1"
# For the whole of one question. A certificate asks two, and whoever signs there next waits for both
# within the 15 s after which a silent database counts as stopped (api/house.py).
PATIENCE_S: Final = 6.0
# After it failed nobody waits for it again at once.
_REST_S: Final = 5.0
# Each holds a connection to the database: a service that hangs must not take all of them.
_AT_ONCE: Final = 4
_MOST_BYTES: Final = 24_000
_SEAL_BYTES: Final = 1_000
_BROKEN: Final = (ValueError, TypeError, LookupError, AttributeError, RecursionError)


class ServiceAway(Exception):  # noqa: N818 - states a fact
    """The service does not answer in time, or says that it cannot."""


class ServiceUnfit(Exception):  # noqa: N818 - states a fact
    """The service answered, and it is no signature of this document that we may believe."""


class Asked(msgspec.Struct, frozen=True):
    """For whom a signature is wanted: ids and the number, by which the service may choose a key."""

    organisation: UUID
    signer: UUID
    number: str


class _Question(msgspec.Struct, frozen=True):
    protocol: str
    digest_algorithm: str
    digest: str
    organisation: UUID
    signer: UUID
    number: str


class SigningService:
    """The service of the settings; one in a process, which remembers that it failed just now."""

    def __init__(
        self,
        place: OutsideSigner,
        *,
        patience_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._place = place
        self._patience_s = patience_s
        self._clock = clock
        self._busy = 0
        self._rests_until = clock()
        self._tls = ssl.create_default_context()
        self.authorities = [
            asn1_x509.Certificate.load(der) for der in certificates_in(place.authorities)
        ]

    async def signature(self, digest: bytes, asked: Asked) -> bytes:
        """Ask for a signature over this digest. Raises ServiceAway, ServiceUnfit."""
        question = _Question(
            PROTOCOL, "sha256", b64(digest), asked.organisation, asked.signer, asked.number
        )
        token = self._place.token
        headers = {"Content-Type": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        async with self._turn():
            try:
                async with asyncio.timeout(self._patience_s):
                    return await self._asked(msgspec.json.encode(question), headers)
            except (TimeoutError, httpx.HTTPError, ServiceAway) as away:
                self._rests_until = self._clock() + _REST_S
                raise ServiceAway(
                    f"The signature service is away: {type(away).__name__}."
                ) from away

    async def _asked(self, body: bytes, headers: dict[str, str]) -> bytes:
        client = httpx.AsyncClient(
            timeout=self._patience_s, follow_redirects=False, trust_env=False, verify=self._tls
        )
        async with (
            client,
            client.stream("POST", self._place.url, content=body, headers=headers) as answer,
        ):
            if answer.status_code in {408, 425, 429} or answer.is_server_error:
                raise ServiceAway
            if answer.status_code != httpx.codes.OK:
                raise ServiceUnfit(f"The signature service refused: HTTP {answer.status_code}.")
            found = b""
            async for part in answer.aiter_bytes():
                found += part
                if len(found) > _MOST_BYTES:
                    raise ServiceUnfit("The signature service sent more than any signature is.")
            return found

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._busy >= _AT_ONCE or self._clock() < self._rests_until:
            raise ServiceAway("The signature service is busy, or failed just now.")
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1


class OutsidePdfSigner:
    """Signs prints by the service, and seals them with the organisation's own key."""

    def __init__(
        self, service: SigningService, seed: bytes, organisation: str, asked: Asked
    ) -> None:
        self._service = service
        self._seed = seed
        self._organisation = organisation
        self._asked = asked

    async def sign(self, pdf: bytes, now: datetime) -> bytes:
        """Give the print with a signature over all of it. Raises ServiceAway, ServiceUnfit."""
        prepared, page = await asyncio.to_thread(_prepare, pdf, self._organisation)
        container = await self._service.signature(prepared.document_digest, self._asked)
        return await asyncio.to_thread(self._finish, prepared, page, container, now)

    def _finish(self, prepared: Any, page: io.BytesIO, container: bytes, now: datetime) -> bytes:
        try:
            whole = pdf_seals.sealed(self._seed, prepared.document_digest, container)
            prepared.fill_with_cms(page, whole)
            pdf = page.getvalue()
            verified = _verified(pdf, self._service.authorities, now)
        except (*_BROKEN, *pdf_signing.BROKEN) as broken:
            raise ServiceUnfit("The signature service sent what is no signature.") from broken
        if not verified or not pdf_signing.verify([public_of(self._seed)], pdf).genuine:
            raise ServiceUnfit(
                "The signature service signed something else, or with a certificate of no "
                "authority of YANASHA_SIGNER_CA."
            )
        return pdf


def _prepare(pdf: bytes, name: str) -> tuple[Any, io.BytesIO]:
    """Leave room for a signature, and give the digest of all around it."""
    nobody = signers.ExternalSigner(
        signing_cert=None,
        cert_registry=None,
        signature_value=_MOST_BYTES,
    )
    page = io.BytesIO()
    digesting = signers.PdfSigner(pdf_signing.metadata(name), nobody).async_digest_doc_for_signing(
        pdf_signing.as_it_is(pdf),
        bytes_reserved=2 * (_MOST_BYTES + _SEAL_BYTES),
        output=page,
    )
    prepared, _, _ = asyncio.run(digesting)  # it awaits nothing: this thread has no loop
    return prepared, page


def _verified(pdf: bytes, authorities: list[asn1_x509.Certificate], now: datetime) -> bool:
    """Whether another maker's validator finds it whole, over all of it and by whom we trust."""
    context = ValidationContext(trust_roots=authorities, moment=now, allow_fetching=False)
    found = PdfFileReader(io.BytesIO(pdf)).embedded_signatures
    status = validate_pdf_signature(found[0], context)
    everything = status.coverage is SignatureCoverageLevel.ENTIRE_FILE
    return len(found) == 1 and everything and status.intact and status.valid and status.trusted
