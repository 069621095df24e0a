"""What this room takes away of a health record that is past its time, and what a hold keeps.

Visits with their notes, what was measured, ECG. Its objects go a day later: a backup that runs
counts on the objects of its point in time.
"""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from people import audit
from people.facts import RightsChanged, emit
from people.health_retention import dates, dates_of_one, forgets_record
from people.held_objects import lies
from people.policy import Kind
from people.relations import Relations
from storage.jobs import Work, enqueue, job
from telemed.ecg import EcgChunks, EcgFrames, EcgStreams
from telemed.ecg_strips import EcgStrips
from telemed.erasing import forget_measured
from telemed.notes import VisitNotes
from telemed.reading_tables import ReadingDays, Readings
from telemed.visits import Visits

OBJECTS_KEPT: Final = timedelta(days=1)
# Streams of one job: its arguments are a row of the queue.
_AT_ONCE: Final = 500


@dates
def visits(person_id: Any) -> Select[datetime]:
    """SQL: when visits were over."""
    over = func.greatest(Visits.closed_at, Visits.ends_at)
    return select(over).where(Visits.patient_id == person_id)


@dates
def notes(person_id: Any) -> Select[datetime]:
    """SQL: when notes were last written."""
    of_visit = VisitNotes.visit_id == Visits.id
    return (
        select(VisitNotes.written_at).join(Visits, of_visit).where(Visits.patient_id == person_id)
    )


@dates
def strips(person_id: Any) -> Select[datetime]:
    """SQL: when strips of an ECG were attached."""
    return select(EcgStrips.made_at).where(EcgStrips.person_id == person_id)


@dates
def measured(person_id: Any) -> Select[datetime]:
    """SQL: ends of the days on which something was measured."""
    end = ReadingDays.since + timedelta(days=1)
    return select(end).where(ReadingDays.person_id == person_id)


@dates_of_one
def readings(person_id: Any) -> Select[datetime]:
    """SQL: when it was measured or came, also what no day has counted yet.

    A device's clock may be years behind, and a file of ten years ago may have come today.
    """
    last = func.greatest(Readings.taken_at, Readings.received_at)
    return select(last).where(Readings.person_id == person_id)


@dates
def recorded(person_id: Any) -> Select[datetime]:
    """SQL: when a recorder last sent, or said that it would."""
    last = func.greatest(EcgStreams.opened_at, EcgStreams.last_started_at)
    return select(last).where(EcgStreams.person_id == person_id)


@lies
async def recordings(db: AsyncSession, person_id: UUID) -> list[str]:
    """Keys of the objects of the person's recordings."""
    query = (
        select(EcgChunks.object_key)
        .join(EcgStreams, EcgStreams.stream == EcgChunks.stream)
        .where(EcgStreams.person_id == person_id)
    )
    return list((await db.scalars(query, execution_options=audit.WRITE_PATH)).all())


@forgets_record
async def forget_record(work: Work, person_id: UUID) -> None:
    """Delete what was measured, recordings, notes and visits; doctors' rights to them end."""
    db = work.db
    await forget_measured(db, person_id)
    query = select(EcgStreams.stream).where(EcgStreams.person_id == person_id)
    found = await db.scalars(query, execution_options=audit.WRITE_PATH)
    streams = [one.hex for one in found.all()]
    later = work.now + OBJECTS_KEPT
    for at in range(0, len(streams), _AT_ONCE):
        some = streams[at : at + _AT_ONCE]
        await enqueue(db, "telemed.delete_recordings", at=later, streams=some)
    theirs = select(Visits.id).where(Visits.patient_id == person_id)
    own = select(EcgStreams.stream).where(EcgStreams.person_id == person_id)
    for statement in (
        delete(EcgFrames).where(EcgFrames.stream.in_(own)),
        delete(EcgChunks).where(EcgChunks.stream.in_(own)),
        delete(EcgStreams).where(EcgStreams.person_id == person_id),
        delete(VisitNotes).where(VisitNotes.visit_id.in_(theirs)),
        delete(Visits).where(Visits.patient_id == person_id),
    ):
        quietly = statement.execution_options(synchronize_session=False, **audit.WRITE_PATH)
        await db.execute(quietly)
    ended = await db.scalars(
        update(Relations)
        .where(
            Relations.subject_id == person_id,
            Relations.kind == Kind.RECORD.value,
            Relations.live(work.now),
        )
        .values(until=work.now)
        .returning(Relations.actor_id)
        .execution_options(synchronize_session=False)
    )
    for actor_id in sorted(set(ended.all())):
        emit(db, RightsChanged(at=work.now, person_id=actor_id))


@job("telemed.delete_recordings")
async def delete_recordings(work: Work, streams: list[str]) -> None:
    """Delete the objects of recordings that have no row any more."""
    for stream in map(UUID, streams):
        there = select(EcgStreams.stream).where(EcgStreams.stream == stream)
        if await work.db.scalar(there, execution_options=audit.WRITE_PATH) is not None:
            continue  # its row is there: nothing may be taken
        for key in await work.objects.keys(f"ecg/{stream}/"):
            await work.objects.delete(key)
