"""ECG files in a person's record: those of all their visits, to who may see visits and readings.

A file is both, a part of a visit and what was measured: a share that opens one of the two alone
does not open it.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from people import audit, files
from people.files import Files, FoundFile
from people.personal_keys import key_of_known
from people.policy import Actor
from people.refused import NotFound
from storage.file_checks import Kind
from telemed.record import RecordField, opened
from telemed.visit_files import ABOUT

SHOWN: Final = 200


class RecordEcgFile(msgspec.Struct, frozen=True, kw_only=True):
    """An ECG file of a record; `lost`: its bytes are gone."""

    id: UUID
    visit_id: UUID
    name: str
    size: int
    at: datetime
    lost: bool


async def ecg_files(
    db: AsyncSession, actor: Actor, person_id: UUID, organisation_id: UUID | None, now: datetime
) -> list[RecordEcgFile]:
    """Give the ECG files of a record, the newest first. Raises NotFound unless they are open."""
    purpose = await _open(db, actor, person_id, organisation_id, now)
    query = _of(person_id).order_by(Files.at.desc(), Files.id).limit(SHOWN)
    rows = [row[0] for row in await audit.read(db, actor, query, purpose)]
    if not rows:
        return []
    key = await key_of_known(db, person_id, now)
    return [
        RecordEcgFile(
            id=row.id,
            visit_id=row.about_id,
            name=files.name_of(row, key),
            size=row.size,
            at=row.at,
            lost=row.lost_at is not None,
        )
        for row in rows
    ]


async def find(  # noqa: PLR0917 - who, whose, where from, what, when
    db: AsyncSession,
    actor: Actor,
    person_id: UUID,
    organisation_id: UUID | None,
    file_id: UUID,
    now: datetime,
) -> FoundFile:
    """Find one of them, and record that it is read. Raises NotFound, FileLost."""
    purpose = await _open(db, actor, person_id, organisation_id, now)
    rows = await audit.read(db, actor, _of(person_id).where(Files.id == file_id), purpose)
    if not rows:
        raise NotFound
    return files.found(rows[0][0], await key_of_known(db, person_id, now))


async def _open(
    db: AsyncSession, actor: Actor, person_id: UUID, organisation_id: UUID | None, now: datetime
) -> audit.Purpose:
    await opened(db, actor, person_id, organisation_id, RecordField.VISITS, now)
    return await opened(db, actor, person_id, organisation_id, RecordField.READINGS, now)


def _of(person_id: UUID) -> Select[Files]:
    return select(Files).where(
        Files.owner_id == person_id,
        Files.about_kind == ABOUT,
        Files.kind == Kind.ECG.value,
        Files.removed_at.is_(None),
    )
