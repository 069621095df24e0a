"""Prints: the page of a signed body (people/document_pages.py) with a PAdES signature over it.

The job runs after the signing has committed, once for each reader; the print is kept as an object
sealed under the person's key, and only its digest is written beside the register's row. Where a
service outside signs, it did so before (people/document_outside.py): the print then waits among
the document's sealed texts, and the job carries it to the store.
"""

import asyncio
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from people import audit
from people.document_contents import Audience
from people.document_outside import address_of, print_part
from people.document_pages import page_of
from people.document_signing import PRINT
from people.documents import Documents, DocumentTexts, DocumentViews, about
from people.organisation_keys import seed_of
from people.organisations import Organisations
from people.refused import Refused
from storage import data_keys
from storage.data_keys import DataKey, KeyGone
from storage.jobs import Work, job
from storage.objects import Objects
from storage.pdf_signing import OwnSigner, covered
from storage.sealed_objects import put_sealed, read_whole


class DocumentPrinting(Refused):
    """It is signed, and its print is being made: ask again in a moment."""

    status = 409
    code = "document_printing"


@job(PRINT)
async def print_document(work: Work, view_id: UUID) -> None:
    """Print one signed body; printed twice is printed once: a second run waits for the first."""
    view = await work.db.get(DocumentViews, view_id, with_for_update=True)
    if view is None or view.pdf_sha256 is not None:
        return
    row = await work.db.get_one(Documents, view.document_id)
    place = await work.db.get_one(Organisations, row.organisation_id)
    try:
        key = await data_keys.key_of(work.db, row.subject_id, work.now)
    except KeyGone:
        return  # erased between signing and printing: there is nothing left to print
    texts = await _texts(work.db, row, key)
    waiting = print_part(Audience(view.audience))
    pdf = texts.get(waiting)
    if view.audience not in texts:
        return  # past the time for which it is kept
    if pdf is None:
        seed = await seed_of(work.db, work.settings.home, place.id, work.now)
        address = address_of(work.settings.urls[0], view.line)
        page = await asyncio.to_thread(page_of, texts[view.audience], address)
        pdf = await OwnSigner(seed, place.name).sign(page, work.now)
    await put_sealed(work.objects, object_key(view.id), pdf, key, object_about(view.id))
    await work.db.execute(
        update(DocumentViews)
        .where(DocumentViews.id == view.id)
        .values(pdf_sha256=covered(pdf))
        .execution_options(synchronize_session=False)
    )
    there = delete(DocumentTexts).where(
        DocumentTexts.document_id == row.id, DocumentTexts.part == waiting
    )
    await work.db.execute(there, execution_options={"synchronize_session": False})


async def read_print(
    db: AsyncSession, objects: Objects, key: DataKey, document_id: UUID, audience: Audience
) -> bytes:
    """Give a print. Raises DocumentPrinting, ObjectsAway, DamagedObject."""
    query = select(DocumentViews.id, DocumentViews.pdf_sha256).where(
        DocumentViews.document_id == document_id, DocumentViews.audience == audience.value
    )
    found = (await db.execute(query)).one_or_none()
    if found is None or found.pdf_sha256 is None:
        raise DocumentPrinting
    return await read_whole(objects, object_key(found.id), key, object_about(found.id))


def object_key(view_id: UUID) -> str:
    """Where a print lies in the object store."""
    return f"documents/{view_id}.pdf"


def object_about(view_id: UUID) -> bytes:
    """What a sealed print is bound to."""
    return f"document_views.pdf:{view_id}".encode()


async def _texts(db: AsyncSession, row: Documents, key: DataKey) -> dict[str, bytes]:
    query = select(DocumentTexts.part, DocumentTexts.sealed).where(
        DocumentTexts.document_id == row.id
    )
    rows = await db.execute(query, execution_options=audit.WRITE_PATH)
    return {part: key.open(sealed, about(row.id, part)) for part, sealed in rows}
