"""The doctor's note of a visit: a versioned draft, so that two tabs cannot overwrite each other.

Only the last text is kept: a signed document, with every version readable, is made of it later.
It lies sealed under the patient's key, bound to its visit and version; notes from before that are
plain until `telemed.seal_notes` has been there, and are read all the same.
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from sqlalchemy import CheckConstraint, ForeignKey, Index, select, update
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from people import audit
from people.facts import NoteWritten, emit
from people.policy import Act, Actor, require
from people.refused import Refused
from storage.data_keys import KeyGone, key_of, keys_of, row
from storage.engine import Base
from storage.jobs import Work, job
from telemed.visits import Visits, seen, thing

SEALED_AT_ONCE = 200


@audit.health_table
class VisitNotes(Base):
    """The note of a visit; no row is version 0, an empty note."""

    __tablename__ = "visit_notes"

    visit_id: Mapped[UUID] = mapped_column(ForeignKey("visits.id"), primary_key=True)
    # From before notes were sealed.
    text: Mapped[str | None]
    sealed: Mapped[bytes | None]
    version: Mapped[int]
    written_by: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    written_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("num_nonnulls(text, sealed) = 1", name="text_or_sealed"),
        Index("ix_visit_notes_plain", "visit_id", postgresql_where=sql("sealed IS NULL")),
    )


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
    version = change.version + 1
    key = await key_of(db, visit.patient_id, now)
    sealed = key.seal(change.text.encode(), _about(visit.id, version))
    values = {"text": None, "sealed": sealed, "written_by": actor.id, "written_at": now}
    if change.version == 0:
        first = insert(VisitNotes).values(visit_id=visit.id, version=version, **values)
        written = first.on_conflict_do_nothing().returning(VisitNotes.version)
        stored = await db.scalar(written, execution_options=audit.WRITE_PATH)
    else:
        same = (VisitNotes.visit_id == visit.id) & (VisitNotes.version == change.version)
        stored = await db.scalar(
            update(VisitNotes)
            .where(same)
            .values(version=version, **values)
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
    query = select(VisitNotes.text, VisitNotes.sealed, VisitNotes.version).where(
        VisitNotes.visit_id == visit.id
    )
    rows = await audit.read(db, actor, query, audit.Purpose(Act.READ_NOTE, thing(visit), now))
    if not rows:
        return Note("", 0)
    note = rows[0]
    if note.sealed is None:
        return Note(note.text, note.version)
    key = (await keys_of(db, [visit.patient_id])).get(visit.patient_id)
    if key is None:
        raise KeyGone(visit.patient_id)
    return Note(key.open(note.sealed, _about(visit.id, note.version)).decode(), note.version)


def _about(visit_id: UUID, version: int) -> bytes:
    """Bound to the version too: an older text put back into its row does not open."""
    return row("visit_notes", "text", visit_id) + f":{version}".encode()


@job("telemed.seal_notes", cron="*/5 * * * *")
async def seal_notes(work: Work) -> None:
    """Seal some notes that are still plain; those of an erased patient are emptied."""
    query = (
        select(VisitNotes.visit_id, VisitNotes.text, VisitNotes.version, Visits.patient_id)
        .join(Visits, Visits.id == VisitNotes.visit_id)
        .where(VisitNotes.sealed.is_(None))
        .order_by(VisitNotes.visit_id)
        .limit(SEALED_AT_ONCE)
        .with_for_update(of=VisitNotes, skip_locked=True)
    )
    found = (await work.db.execute(query, execution_options=audit.WRITE_PATH)).all()
    for visit_id, plain, version, patient_id in found:
        try:
            key = await key_of(work.db, patient_id, work.now)
        except KeyGone:
            sealed = b""
        else:
            sealed = key.seal((plain or "").encode(), _about(visit_id, version))
        await work.db.execute(
            update(VisitNotes)
            .where(VisitNotes.visit_id == visit_id)
            .values(text=None, sealed=sealed)
            .execution_options(synchronize_session=False)
        )
