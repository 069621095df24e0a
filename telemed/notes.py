"""The doctor's note of a visit: a versioned draft, so that two tabs cannot overwrite each other.

Only the last text is kept: a signed document, with every version readable, is made of it later.
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from sqlalchemy import ForeignKey, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from people import audit
from people.facts import NoteWritten, emit
from people.policy import Act, Actor, require
from people.refused import Refused
from storage.engine import Base
from telemed.visits import Visits, seen, thing


@audit.health_table
class VisitNotes(Base):
    """The note of a visit; no row is version 0, an empty note."""

    __tablename__ = "visit_notes"

    visit_id: Mapped[UUID] = mapped_column(ForeignKey("visits.id"), primary_key=True)
    text: Mapped[str]
    version: Mapped[int]
    written_by: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    written_at: Mapped[datetime]


class Note(msgspec.Struct, frozen=True):
    """A note as the doctor reads it."""

    text: str
    version: int


class NoteChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new text, and the version that was on screen while it was written."""

    text: Annotated[str, msgspec.Meta(max_length=20_000)]
    version: Annotated[int, msgspec.Meta(ge=0, le=2**31)]


class NoteChanged(Refused):
    """Somebody wrote in between; params carry the current `text` and `version`."""

    status = 409
    code = "note_changed"


async def get_note(db: AsyncSession, actor: Actor, visit_id: UUID, now: datetime) -> Note:
    """Give the note of a visit to its doctor. Raises NotFound, or Forbidden for the patient."""
    visit = await seen(db, actor, visit_id, now)
    return await _read(db, actor, visit, now)


async def put_note(
    db: AsyncSession, actor: Actor, visit_id: UUID, change: NoteChange, now: datetime
) -> Note:
    """Replace the text that was read. Raises NoteChanged when it is no longer the current one.

    The same change sent again after a lost answer is answered as if for the first time.
    """
    visit = await seen(db, actor, visit_id, now)
    require(actor, Act.WRITE_NOTE, thing(visit), now)
    row = {"text": change.text, "written_by": actor.id, "written_at": now}
    version = change.version + 1
    if change.version == 0:
        first = insert(VisitNotes).values(visit_id=visit.id, version=version, **row)
        written = first.on_conflict_do_nothing().returning(VisitNotes.version)
        stored = await db.scalar(written, execution_options=audit.WRITE_PATH)
    else:
        same = (VisitNotes.visit_id == visit.id) & (VisitNotes.version == change.version)
        stored = await db.scalar(
            update(VisitNotes)
            .where(same)
            .values(version=version, **row)
            .returning(VisitNotes.version)
            .execution_options(synchronize_session=False, **audit.WRITE_PATH)
        )
    if stored is not None:
        details = {"version": str(version)}
        await audit.acted(db, actor.id, "note_written", thing(visit), now, details=details)
        emit(db, NoteWritten(at=now, visit_id=visit.id, version=version))
        return Note(change.text, version)
    current = await _read(db, actor, visit, now)
    if current == Note(change.text, version):
        return current
    raise NoteChanged(text=current.text, version=current.version)


async def _read(db: AsyncSession, actor: Actor, visit: Visits, now: datetime) -> Note:
    query = select(VisitNotes.text, VisitNotes.version).where(VisitNotes.visit_id == visit.id)
    rows = await audit.read(db, actor, query, audit.Purpose(Act.READ_NOTE, thing(visit), now))
    return Note(rows[0].text, rows[0].version) if rows else Note("", 0)
