"""Signing a document where a service outside signs its prints: before it counts as signed at all.

The service's signature is asked for in the transaction that signs, so that a service that is away
leaves a draft and the number free. The print waits sealed in the database until that transaction
has committed: the object store has no part in it, and keeps nothing of a signing that failed.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final
from uuid import UUID

from people.document_contents import Audience
from people.document_pages import page_of
from people.refused import Refused
from storage.pdf_outside import Asked, OutsidePdfSigner, ServiceAway, ServiceUnfit, SigningService

log = logging.getLogger(__name__)

_RETRY_AFTER_S: Final = 10


class SignerAway(Refused):
    """The signature service outside does not answer: nothing was signed, no number is used up."""

    status = 503
    code = "signer_away"

    def __init__(self) -> None:
        super().__init__(retry_after_s=_RETRY_AFTER_S)


class SignatureUnfit(Refused):
    """The service outside answered with no signature that we may believe: nothing was signed."""

    status = 503
    code = "signature_unfit"


class Outside:
    """The service, and where a print's code leads."""

    def __init__(self, service: SigningService, url: str) -> None:
        self._service = service
        self._url = url

    @asynccontextmanager
    async def turn(self, organisation: UUID) -> AsyncIterator[None]:
        """Hold a place at the service while an organisation signs. Raises SignerAway."""
        try:
            async with self._service.turn(organisation):
                yield
        except ServiceAway as away:
            log.warning(str(away))
            raise SignerAway from away

    async def prints(
        self,
        bodies: Mapping[Audience, tuple[bytes, str]],
        seed: bytes,
        organisation: str,
        asked: Asked,
        *,
        now: datetime,
    ) -> dict[Audience, bytes]:
        """Give the signed print of each reader's signed file and line.

        Raises SignerAway, SignatureUnfit.
        """
        signer = OutsidePdfSigner(self._service, seed, organisation, asked)
        found = {}
        try:
            for audience, (file, line) in bodies.items():
                page = await asyncio.to_thread(page_of, file, address_of(self._url, line))
                found[audience] = await signer.sign(page, now)
        except ServiceAway as away:
            log.warning(str(away))
            raise SignerAway from away
        except ServiceUnfit as unfit:
            log.warning(str(unfit))
            raise SignatureUnfit from unfit
        return found


def address_of(url: str, line: str) -> str:
    """What a print's QR code says: where to ask, and the signed line."""
    return f"{url}/#/verify/{line}"


def print_part(audience: Audience) -> str:
    """Under which name a print waits among the document's texts."""
    return f"print:{audience.value}"
