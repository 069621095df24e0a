"""What this room takes away of an erased person: what was measured, and whatever else lies plain.

Notes and ECG objects are sealed under the destroyed key, but for those from before there were keys:
these are taken away too. Visits stay as ids and times, and keep other organisations' administrators
from erasing the person.
"""

from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, select, update

from people import audit
from people.device_tokens import Devices
from people.erasure import forgets, keeps_elsewhere
from storage.jobs import Work
from telemed.ecg import EcgFrames, EcgStreams
from telemed.ecg_chunks import forget_plain_chunks
from telemed.notes import VisitNotes
from telemed.reading_tables import ReadingDays, ReadingHours, ReadingKeys, Readings
from telemed.visits import Visits


@keeps_elsewhere
def visits_elsewhere(person_id: UUID, organisation_id: UUID) -> ColumnElement[bool]:
    """SQL: the person was, or will be, a patient of another organisation."""
    return exists().where(Visits.patient_id == person_id, Visits.organisation_id != organisation_id)


@forgets
async def forget(work: Work, person_id: UUID) -> None:
    """Delete readings, what hours and days came to, loose frames, plain objects and notes.

    Raises ObjectsAway: the erasure is not done before plain objects are gone.
    """
    streams = select(EcgStreams.stream).where(EcgStreams.person_id == person_id)
    devices = select(Devices.id).where(Devices.person_id == person_id)
    visits = select(Visits.id).where(Visits.patient_id == person_id)
    for statement in (
        update(VisitNotes)
        .where(VisitNotes.visit_id.in_(visits), VisitNotes.sealed.is_(None))
        .values(text=None, sealed=b""),
        delete(ReadingKeys).where(ReadingKeys.device_id.in_(devices)),
        delete(ReadingHours).where(ReadingHours.person_id == person_id),
        delete(ReadingDays).where(ReadingDays.person_id == person_id),
        delete(Readings).where(Readings.person_id == person_id),
        delete(EcgFrames).where(EcgFrames.stream.in_(streams)),
    ):
        quietly = statement.execution_options(synchronize_session=False, **audit.WRITE_PATH)
        await work.db.execute(quietly)
    await forget_plain_chunks(work, person_id)
