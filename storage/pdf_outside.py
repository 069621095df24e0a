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
from weakref import WeakValueDictionary

import httpx
import msgspec
from asn1crypto import x509 as asn1_x509

from storage import pdf_seals, pdf_signing
from storage.outside_signer import OutsideSigner, certificates_in
from storage.signing import b64, public_of

PROTOCOL: Final = "yanasha-signer-1"
# For the whole of one question; a certificate asks two.
PATIENCE_S: Final = 6.0
# After it failed nobody waits for it again at once.
_REST_S: Final = 5.0
# Each holds a connection to the database, whether it asks or waits for another of its organisation:
# a service that hangs or is slow must not take all of them.
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
        self._lines = WeakValueDictionary[UUID, asyncio.Lock]()
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
        if self._clock() < self._rests_until:
            raise ServiceAway("The signature service failed just now.")
        try:
            async with asyncio.timeout(self._patience_s):
                return await self._asked(msgspec.json.encode(question), self._headers())
        except (OSError, UnicodeError, httpx.HTTPError, httpx.InvalidURL, ServiceAway) as away:
            self._rests_until = self._clock() + _REST_S
            raise ServiceAway(f"The signature service is away: {type(away).__name__}.") from away

    def _headers(self) -> dict[str, str]:
        # Not packed: what is unpacked could be longer than what may be sent.
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        token = self._place.token
        return headers if token is None else headers | {"Authorization": f"Bearer {token}"}

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
            async for part in answer.aiter_raw():
                found += part
                if len(found) > _MOST_BYTES:
                    raise ServiceUnfit("The signature service sent more than any signature is.")
            return found

    @asynccontextmanager
    async def turn(self, organisation: UUID) -> AsyncIterator[None]:
        """Hold one of few places for a signing, one at a time of each organisation.

        To be held before the number is taken, for which others would wait in the database. Raises
        ServiceAway.
        """
        if self._busy >= _AT_ONCE or self._clock() < self._rests_until:
            raise ServiceAway("The signature service is busy, or failed just now.")
        self._busy += 1
        try:
            async with self._lines.setdefault(organisation, asyncio.Lock()):
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
        prepared, page = await asyncio.to_thread(self._prepare, pdf)
        container = await self._service.signature(prepared.document_digest, self._asked)
        return await asyncio.to_thread(self._finish, prepared, page, container, now)

    def _prepare(self, pdf: bytes) -> tuple[Any, io.BytesIO]:
        from storage.pdf_writing import prepare  # noqa: PLC0415 - loads half a second of libraries

        return prepare(pdf, self._organisation, 2 * (_MOST_BYTES + _SEAL_BYTES))

    def _finish(self, prepared: Any, page: io.BytesIO, container: bytes, now: datetime) -> bytes:
        from storage.pdf_writing import verified  # noqa: PLC0415 - as above

        try:
            whole = pdf_seals.sealed(self._seed, prepared.document_digest, container)
            prepared.fill_with_cms(page, whole)
            pdf = page.getvalue()
            known = verified(pdf, self._service.authorities, now)
        except (*_BROKEN, *pdf_signing.BROKEN) as broken:
            raise ServiceUnfit("The signature service sent what is no signature.") from broken
        if not known or not pdf_signing.verify([public_of(self._seed)], pdf).genuine:
            raise ServiceUnfit(
                "The signature service signed something else, or with a certificate of no "
                "authority of YANASHA_SIGNER_CA."
            )
        return pdf
