"""Files of a visit: patient and doctor hand them in while it lasts, both look at them."""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

from people import audit, files
from people.facts import VisitFilesChanged, emit
from people.files import Files, FoundFile, NewFile, Place, Stored
from people.personal_keys import key_of_known
from people.policy import Act, Actor, require
from people.refused import Forbidden, NotFound
from storage.data_keys import DataKey
from storage.file_checks import Kind
from telemed.visits import Visits, VisitSide, VisitState, measured, thing, window

ABOUT = "visit"


class VisitFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file in a visit's list. `mine`: handed in by the reader; `lost`: its bytes are gone."""

    id: UUID
    name: str
    kind: Kind
    size: int
    at: datetime
    side: VisitSide
    mine: bool
    preview: bool
    lost: bool


class Begun(msgspec.Struct, frozen=True):
    """What is known before a byte was taken: the key to seal with, or the file that is there."""

    data_key: DataKey
    there: VisitFile | None


async def require_adding(db: AsyncSession, actor: Actor, visit_id: UUID, now: datetime) -> None:
    """Refuse whoever may not hand in here now. Raises NotFound, Forbidden, ConsentWithdrawn."""
    await _open(db, actor, visit_id, now)


async def begin(
    db: AsyncSession, actor: Actor, visit_id: UUID, new: NewFile, now: datetime
) -> Begun:
    """Refuse whoever may not hand in, before a byte of it is taken.

    Raises NotFound, Forbidden, ConsentWithdrawn, FilesFull, FileIdUsed.
    """
    visit, person_id = await _open(db, actor, visit_id, now)
    place = _place(visit)
    key = await key_of_known(db, visit.patient_id, now)
    sent_before = await files.there(db, person_id, place, new)
    if sent_before is not None:
        return Begun(key, _shown(visit, sent_before, key, person_id))
    await files.require_room(db, person_id, place, new.received)
    return Begun(key, None)


async def add(  # noqa: PLR0917 - who, where, what came and what is kept of it
    db: AsyncSession,
    actor: Actor,
    visit_id: UUID,
    new: NewFile,
    stored: Stored,
    now: datetime,
) -> VisitFile:
    """Attach a file that lies in the store; rights are judged anew, minutes may have passed.

    Raises as `begin`.
    """
    visit, person_id = await _open(db, actor, visit_id, now)
    key = await key_of_known(db, visit.patient_id, now)
    made = await files.hand_in(db, person_id, _place(visit), new, stored, key, now)
    details = {"kind": stored.kind.value}
    await audit.acted(db, actor.id, "file_added", thing(visit), now, details=details)
    emit(db, VisitFilesChanged(at=now, visit_id=visit.id))
    return _shown(visit, made, key, person_id)


async def visit_files(
    db: AsyncSession, actor: Actor, visit_id: UUID, now: datetime
) -> list[VisitFile]:
    """Give the files of a visit, the oldest first. Raises NotFound, ConsentWithdrawn."""
    visit = await measured(db, actor, visit_id, now)
    rows = await _read(db, actor, visit, files.about(visit.id), now)
    if not rows or actor.id is None:
        return []
    key = await key_of_known(db, visit.patient_id, now)
    return [_shown(visit, one, key, actor.id) for one in rows]


async def find(
    db: AsyncSession,
    actor: Actor,
    visit_id: UUID,
    file_id: UUID,
    now: datetime,
    *,
    preview: bool = False,
    kind: Kind | None = None,
) -> FoundFile:
    """Find a file, or its small picture, and record that it is read. Raises NotFound, FileLost.

    Of another kind than is asked for, it is not there.
    Commit before the bytes are read: no connection is held while the object store is asked.
    """
    visit = await measured(db, actor, visit_id, now)
    query = files.about(visit.id).where(Files.id == file_id)
    if kind is not None:
        query = query.where(Files.kind == kind.value)
    rows = await _read(db, actor, visit, query, now)
    if not rows:
        raise NotFound
    return files.found(rows[0], await key_of_known(db, visit.patient_id, now), preview=preview)


async def remove(
    db: AsyncSession, actor: Actor, visit_id: UUID, file_id: UUID, now: datetime
) -> None:
    """Take back what one handed in oneself, while the visit lasts. Raises NotFound, Forbidden."""
    visit, person_id = await _open(db, actor, visit_id, now)
    query = files.about(visit.id).where(Files.id == file_id)
    rows = await _read(db, actor, visit, query, now)
    if not rows:
        raise NotFound
    if rows[0].handed_in_by != person_id:
        raise Forbidden(Act.ADD_VISIT_FILE, thing(visit), person_id)
    await files.remove(db, rows[0], now)
    await audit.acted(db, actor.id, "file_removed", thing(visit), now)
    emit(db, VisitFilesChanged(at=now, visit_id=visit.id))


async def _open(
    db: AsyncSession, actor: Actor, visit_id: UUID, now: datetime
) -> tuple[Visits, UUID]:
    """A visit that the actor may hand files in to now."""
    visit = await measured(db, actor, visit_id, now)
    require(actor, Act.ADD_VISIT_FILE, thing(visit), now)
    over = visit.state == VisitState.CLOSED or now > window(visit).until
    if over or actor.id is None:
        raise Forbidden(Act.ADD_VISIT_FILE, thing(visit), actor.id)
    return visit, actor.id


async def _read(
    db: AsyncSession, actor: Actor, visit: Visits, query: Select[Files], now: datetime
) -> list[Files]:
    purpose = audit.Purpose(Act.SEE_VISIT_FILES, thing(visit), now)
    return [row[0] for row in await audit.read(db, actor, query, purpose)]


def _place(visit: Visits) -> Place:
    return Place(ABOUT, visit.id, visit.patient_id, visit.organisation_id)


def _shown(visit: Visits, file: Files, data_key: DataKey, reader: UUID) -> VisitFile:
    patients = file.handed_in_by == visit.patient_id
    return VisitFile(
        id=file.id,
        name=files.name_of(file, data_key),
        kind=Kind(file.kind),
        size=file.size,
        at=file.at,
        side=VisitSide.PATIENT if patients else VisitSide.DOCTOR,
        mine=file.handed_in_by == reader,
        preview=file.preview_size is not None,
        lost=file.lost_at is not None,
    )
