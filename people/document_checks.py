"""Is this paper genuine? Answered to anybody who holds its QR code, its file or its print.

Nothing is told but what stands in the register: kind, number, organisation, day, and whether it
holds. What somebody holds in his hands he has shown by holding it; who it is about is not said.
"""

from datetime import date, datetime
from enum import StrEnum

import msgspec
from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from people import throttle
from people.document_contents import Audience, DocumentKind
from people.documents import Documents, DocumentViews
from people.organisation_keys import doubted_keys, doubtful, raw_keys
from people.organisations import Organisations
from storage import pdf_signing, signing

_PDF = b"%PDF-"


class CheckState(StrEnum):
    """What became of a paper."""

    GENUINE = "genuine"
    SUPERSEDED = "superseded"
    REVOKED = "revoked"
    # Signed with a key of ours, but the register does not know it: it was restored to before that.
    UNREGISTERED = "unregistered"
    # Signed when somebody else may have held the key; or with such a key, and not in the register.
    UNTRUSTED = "untrusted"
    FORGED = "forged"


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """The answer; of a forged paper nothing is said."""

    state: CheckState
    kind: DocumentKind | None = None
    audience: Audience | None = None
    number: str | None = None
    organisation: str | None = None
    signed_on: date | None = None
    ended_at: datetime | None = None


_FORGED = Checked(state=CheckState.FORGED)
_UNREGISTERED = Checked(state=CheckState.UNREGISTERED)
_UNTRUSTED = Checked(state=CheckState.UNTRUSTED)


async def check_line(db: AsyncSession, line: str, network: str, now: datetime) -> Checked:
    """Judge what a QR code holds. Raises TooManyAttempts."""
    await throttle.asked(db, "verify", network, now)
    verdict = signing.verify_line(await raw_keys(db), line)
    if verdict.body is None or verdict.key is None:
        return _FORGED
    await throttle.answered(db, "verify", network)
    row = _named(verdict.body.get("c"))
    return await _registered(db, verdict.key, row, DocumentViews.line == line)


async def check_file(db: AsyncSession, file: bytes, network: str, now: datetime) -> Checked:
    """Judge a file: signed JSON, or a printed PDF. Raises TooManyAttempts."""
    await throttle.asked(db, "verify", network, now)
    found = await (_check_pdf(db, file) if file.startswith(_PDF) else _check_json(db, file))
    if found is not _FORGED:
        await throttle.answered(db, "verify", network)
    return found


async def _check_json(db: AsyncSession, file: bytes) -> Checked:
    verdict = signing.verify(await raw_keys(db), file)
    if verdict.body is None or verdict.key is None:
        return _FORGED
    row, digest = _named(verdict.body.get("id")), signing.digest(verdict.body)
    return await _registered(db, verdict.key, row, DocumentViews.body_sha256 == digest)


async def _check_pdf(db: AsyncSession, file: bytes) -> Checked:
    verdict = pdf_signing.verify(await raw_keys(db), file)
    if verdict.digest is None or verdict.key is None:
        return _FORGED
    return await _registered(db, verdict.key, DocumentViews.pdf_sha256 == verdict.digest)


def _named(code: object) -> ColumnElement[bool]:
    """Find a row by what a signed thing calls itself: anybody may ask, so no register is read."""
    return DocumentViews.code == str(code)


async def _registered(db: AsyncSession, key: str, *which: ColumnElement[bool]) -> Checked:
    """Give what the register says of it; `key`: that signed it, or by which its print is known."""
    query = (
        select(DocumentViews, Documents.signed_at, Organisations.name)
        .join(Documents, Documents.id == DocumentViews.document_id)
        .join(Organisations, Organisations.id == DocumentViews.organisation_id)
        .where(*which)
        .limit(1)
    )
    found = (await db.execute(query)).one_or_none()
    doubted = await doubted_keys(db)
    if found is None:
        return _UNTRUSTED if key in doubted else _UNREGISTERED
    row, signed_at, organisation = found
    state = CheckState(row.ended) if row.ended else CheckState.GENUINE
    if doubtful(doubted, key, signed_at) and state is not CheckState.REVOKED:
        state = CheckState.UNTRUSTED
    return Checked(
        state=state,
        kind=DocumentKind(row.kind),
        audience=Audience(row.audience),
        number=row.number,
        organisation=organisation,
        signed_on=row.signed_on,
        ended_at=row.ended_at,
    )
