"""What this room puts into a person's archive beside its tables: files, signed documents.

What is about the person, as the pages show it: no drafts, nothing that was taken back, and of a
document all forms that there are of it. A file or a print whose object is gone is named as lost: it
keeps nobody from the rest.
"""

from collections.abc import AsyncIterator
from uuid import UUID

import msgspec
from sqlalchemy import select

from people import audit, files
from people.document_contents import Audience
from people.document_deliveries import deliveries
from people.document_prints import object_about, object_key
from people.documents import (
    DRAFT,
    Documents,
    DocumentViews,
    get_document,
    open_key,
    seen,
    texts_of,
    visible_to,
)
from people.exports import PAGE, Part, Source, exports, one
from people.files import Files, FoundFile
from people.policy import Act, Thing
from storage.data_keys import DataKey, keys_of
from storage.file_checks import KINDS, Kind
from storage.objects import ObjectMissing
from storage.sealed_objects import DamagedObject, read_sealed


@exports
async def export_files(source: Source) -> AsyncIterator[Part]:
    """Each file as it is kept, and behind it what is known of it, its name too."""
    me = source.caller.person_id
    purpose = audit.Purpose(Act.SEE_VISIT_FILES, Thing(subject_id=me), source.now)
    mine = select(Files).where(Files.owner_id == me, Files.removed_at.is_(None))
    query = mine.order_by(Files.id).limit(PAGE)
    while True:
        async with source.transaction() as db:
            rows = await audit.read(db, source.caller.actor, query, purpose)
            key = (await keys_of(db, [me])).get(me)
        for (row,) in rows:
            if key is not None:
                async for part in _file(source, row, key):
                    yield part
        if len(rows) < PAGE:
            return
        query = mine.where(Files.id > rows[-1][0].id).order_by(Files.id).limit(PAGE)


@exports
async def export_documents(source: Source) -> AsyncIterator[Part]:
    """Of each signed document every signed form, every print, and where it went."""
    me = source.caller.person_id
    query = visible_to(me, source.now).with_only_columns(Documents.id)
    mine = query.where(Documents.subject_id == me, Documents.state != DRAFT)
    async with source.transaction() as db:
        ids = (await db.scalars(mine.order_by(Documents.id))).all()
    for document_id in ids:
        async for part in _document(source, document_id):
            yield part


async def _file(source: Source, row: Files, key: DataKey) -> AsyncIterator[Part]:
    lost: list[str] = []
    name = f"files/{row.id}.{KINDS[Kind(row.kind)].endings[0]}"
    if row.lost_at is None:
        yield name, _pieces(_whole(source, files.found(row, key)), name, lost)
    said = {
        "id": row.id,
        "name": files.name_of(row, key),
        "size": row.size,
        "at": row.at,
        "about_kind": row.about_kind,
        "about_id": row.about_id,
        "organisation_id": row.organisation_id,
        "handed_in_by": row.handed_in_by,
        "lost": row.lost_at is not None or bool(lost),
    }
    yield f"files/{row.id}.json", one(msgspec.json.encode(said))


async def _document(source: Source, document_id: UUID) -> AsyncIterator[Part]:
    actor, now, lost = source.caller.actor, source.now, list[str]()
    async with source.transaction() as db:
        row = await seen(db, actor, document_id, now)
        document = await get_document(db, actor, document_id, now)
        went = (await deliveries(db, actor, document_id, now)).deliveries
        texts = await texts_of(db, actor, row, Act.SEE_DOCUMENT, now)
        key = await open_key(db, row, now)
        of_it = select(DocumentViews).where(DocumentViews.document_id == document_id)
        views = (await db.scalars(of_it.order_by(DocumentViews.audience))).all()
    folder = f"documents/{document_id}"
    for audience in Audience:
        if audience.value in texts:
            yield f"{folder}/{audience.value}.json", one(texts[audience.value])
    for view in views:
        if view.pdf_sha256 is not None:
            name = f"{folder}/{view.audience}.pdf"
            about = object_about(view.id)
            pieces = read_sealed(source.objects, object_key(view.id), key, about)
            yield name, _pieces(pieces, name, lost)
    said = {"document": document, "deliveries": went, "lost": lost}
    yield f"{folder}/about.json", one(msgspec.json.encode(said))


async def _pieces(pieces: AsyncIterator[bytes], name: str, lost: list[str]) -> AsyncIterator[bytes]:
    """Give what can be read of an object, and note its name when that is not all of it."""
    try:
        async for piece in pieces:
            yield piece
    except (ObjectMissing, DamagedObject):
        lost.append(name)


def _whole(source: Source, found: FoundFile) -> AsyncIterator[bytes]:
    return files.read(source.objects, found, 0, found.size)
