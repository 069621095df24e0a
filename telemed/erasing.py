"""What this room takes away of an erased person: what was measured, which lies plain.

Notes and ECG objects are sealed under the destroyed key; visits stay as ids and times.
"""

from uuid import UUID

from sqlalchemy import delete, select

from people import audit
from people.device_tokens import Devices
from people.erasure import forgets
from storage.jobs import Work
from telemed.ecg import EcgFrames, EcgStreams
from telemed.reading_tables import ReadingDays, ReadingHours, ReadingKeys, Readings


@forgets
async def forget(work: Work, person_id: UUID) -> None:
    """Delete readings, what hours and days came to, and frames that are in no object yet."""
    streams = select(EcgStreams.stream).where(EcgStreams.person_id == person_id)
    devices = select(Devices.id).where(Devices.person_id == person_id)
    for statement in (
        delete(ReadingKeys).where(ReadingKeys.device_id.in_(devices)),
        delete(ReadingHours).where(ReadingHours.person_id == person_id),
        delete(ReadingDays).where(ReadingDays.person_id == person_id),
        delete(Readings).where(Readings.person_id == person_id),
        delete(EcgFrames).where(EcgFrames.stream.in_(streams)),
    ):
        quietly = statement.execution_options(synchronize_session=False, **audit.WRITE_PATH)
        await work.db.execute(quietly)
