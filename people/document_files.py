"""Taking a signed document along: the signed JSON, or its print, as whoever may read it."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from people.document_contents import Audience
from people.document_deliveries import to_school
from people.document_prints import read_print
from people.documents import Documents, open_key, seen, texts_of
from people.policy import Act, Actor
from people.refused import NotFound
from storage.objects import Objects

Form = Literal["json", "pdf"]


class DocumentFile(msgspec.Struct, frozen=True):
    """A file and what it is called."""

    name: str
    content: bytes


async def own_file(
    db: AsyncSession,
    objects: Objects,
    actor: Actor,
    document_id: UUID,
    wanted: tuple[Audience, Form],
    *,
    now: datetime,
) -> DocumentFile:
    """Give a document to its person, guardian or doctor.

    Raises NotFound for a form it does not have, DocumentPrinting, DocumentErased.
    """
    row = await seen(db, actor, document_id, now)
    texts = await texts_of(db, actor, row, Act.SEE_DOCUMENT, now)
    return await _file(db, objects, row, texts, wanted, now=now)


async def school_file(
    db: AsyncSession,
    objects: Objects,
    actor: Actor,
    delivery_id: UUID,
    form: Form,
    *,
    now: datetime,
) -> DocumentFile:
    """Give a school what was given to it: never the full form. Raises as `own_file`."""
    row, school = await to_school(db, actor, delivery_id, now)
    texts = await texts_of(db, actor, row, Act.RECEIVE_DOCUMENTS, now, at=school)
    return await _file(db, objects, row, texts, (Audience.SCHOOL, form), now=now)


async def _file(
    db: AsyncSession,
    objects: Objects,
    row: Documents,
    texts: dict[str, bytes],
    wanted: tuple[Audience, Form],
    *,
    now: datetime,
) -> DocumentFile:
    audience, form = wanted
    if audience.value not in texts:
        raise NotFound
    name = f"{row.kind}-{row.number}.{form}"
    if form == "json":
        return DocumentFile(name, texts[audience.value])
    key = await open_key(db, row, now)
    return DocumentFile(name, await read_print(db, objects, key, row.id, audience))
