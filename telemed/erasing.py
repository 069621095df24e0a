"""What this room takes away of an erased person: what was measured, and whatever else lies plain.

Notes and ECG objects are sealed under the destroyed key, but for those from before there were keys:
these are taken away too. Visits stay as ids and times, and no erasure comes without the word of
the organisation where one was.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from people import audit
from people.device_tokens import Devices
from people.erasure import forgets
from people.keepers import keeps, keeps_later
from storage.jobs import Work
from telemed.ecg import EcgFrames, EcgStreams
from telemed.ecg_chunks import forget_plain_chunks
from telemed.ecg_strips import EcgStrips
from telemed.notes import VisitNotes
from telemed.reading_tables import ReadingDays, ReadingHours, ReadingKeys, Readings
from telemed.visits import Visits


@keeps
def visits_kept(person_id: Any) -> Select[UUID, datetime]:
    """SQL: where the person was, or will be, a patient, and since when."""
    since = func.coalesce(Visits.closed_at, Visits.starts_at)
    return select(Visits.organisation_id, since).where(Visits.patient_id == person_id)


@keeps_later
def notes_kept(person_id: Any) -> Select[UUID, datetime]:
    """SQL: where a note about the person was written, and when last: visits are over before it."""
    of_visit = VisitNotes.visit_id == Visits.id
    written = select(Visits.organisation_id, VisitNotes.written_at).join(VisitNotes, of_visit)
    return written.where(Visits.patient_id == person_id)


@keeps_later
def strips_kept(person_id: Any) -> Select[UUID, datetime]:
    """SQL: where a strip of the person's ECG was attached, and when: also after a visit."""
    of_visit = EcgStrips.visit_id == Visits.id
    attached = select(Visits.organisation_id, EcgStrips.made_at).join(EcgStrips, of_visit)
    return attached.where(Visits.patient_id == person_id)


@forgets
async def forget(work: Work, person_id: UUID) -> None:
    """Delete readings, what hours and days came to, loose frames, plain objects and notes.

    Raises ObjectsAway: the erasure is not done before plain objects are gone.
    """
    visits = select(Visits.id).where(Visits.patient_id == person_id)
    plain = (
        update(VisitNotes)
        .where(VisitNotes.visit_id.in_(visits), VisitNotes.sealed.is_(None))
        .values(text=None, sealed=b"")
    )
    quietly = plain.execution_options(synchronize_session=False, **audit.WRITE_PATH)
    await work.db.execute(quietly)
    await forget_measured(work.db, person_id)
    await forget_plain_chunks(work, person_id)


async def forget_measured(db: AsyncSession, person_id: UUID) -> None:
    """Delete readings, what hours and days came to, loose frames, and strips."""
    streams = select(EcgStreams.stream).where(EcgStreams.person_id == person_id)
    devices = select(Devices.id).where(Devices.person_id == person_id)
    for statement in (
        delete(ReadingKeys).where(ReadingKeys.device_id.in_(devices)),
        delete(ReadingHours).where(ReadingHours.person_id == person_id),
        delete(ReadingDays).where(ReadingDays.person_id == person_id),
        delete(Readings).where(Readings.person_id == person_id),
        delete(EcgFrames).where(EcgFrames.stream.in_(streams)),
        delete(EcgStrips).where(EcgStrips.person_id == person_id),
    ):
        quietly = statement.execution_options(synchronize_session=False, **audit.WRITE_PATH)
        await db.execute(quietly)
