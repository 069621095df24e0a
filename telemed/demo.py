"""Demo visits: for each doctor one that is about to begin, and one two hours later.

`python -m telemed.demo --json`, after people.demo. A run finds the visits of this hour or books new
ones: whenever it runs, there is a visit to walk into. Documents come from visits of the days before
the first run (telemed/demo_documents.py), readings of weeks from homes that live (demo_days.py).
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from people.demo import AIBOLIT, CLINIC_7, demo_id, program, rounded
from people.relations import actor_of
from storage.settings import Settings
from telemed.demo_days import seed_days
from telemed.demo_documents import seed_documents
from telemed.visits import NewVisit, Visits, VisitState, book

CLINICS = {
    CLINIC_7: (
        "admin.gulnara",
        (("doctor.amina", "patient.rinat"), ("doctor.ivan", "patient.olga")),
        (("doctor.amina", "parent.damir"), ("doctor.ivan", "patient.rinat")),
        # A child, whose father sees it as well.
        (("doctor.ivan", "pupil.aidar"),),
    ),
    AIBOLIT: (
        "admin.boris",
        (("doctor.pavel", "patient.timur"), ("doctor.leila", "patient.maria")),
        (("doctor.pavel", "patient.maria"), ("doctor.leila", "patient.timur")),
        (),
    ),
}
_EARLIER = timedelta(minutes=10)
_LONG = timedelta(hours=2)
_SHORT = timedelta(minutes=30)


async def seed(db: AsyncSession, _key: bytes, now: datetime) -> dict[str, Any]:
    """Book what is not booked yet; give the visits that are still to be held."""
    start = rounded(now) - _EARLIER
    visits: list[dict[str, Any]] = []
    for clinic, (administrator, first, later, last) in CLINICS.items():
        times = (
            (first, start, _LONG),
            (later, start + _LONG, _SHORT),
            (last, start + _LONG + _SHORT, _SHORT),
        )
        for pairs, starts_at, length in times:
            for doctor, patient in pairs:
                new = NewVisit(
                    organisation_id=demo_id(clinic),
                    doctor_id=demo_id(doctor),
                    patient_id=demo_id(patient),
                    starts_at=starts_at,
                    ends_at=starts_at + length,
                )
                visits.append(await _visit(db, demo_id(administrator), new, now))
    return {"visits": visits}


async def _visit(
    db: AsyncSession, administrator_id: UUID, new: NewVisit, now: datetime
) -> dict[str, Any]:
    """Find the pair's next visit that is not over, or book one."""
    query = (
        select(Visits)
        .where(
            Visits.doctor_id == new.doctor_id,
            Visits.patient_id == new.patient_id,
            Visits.organisation_id == new.organisation_id,
            Visits.state != VisitState.CLOSED.value,
            Visits.ends_at > now,
        )
        .order_by(Visits.starts_at)
        .limit(1)
    )
    row = await db.scalar(query)
    if row is None:
        await book(db, await actor_of(db, administrator_id, now), new, now)
        row = await db.get_one(Visits, new.id)
    return {
        "id": str(row.id),
        "patient_id": str(row.patient_id),
        "doctor_id": str(row.doctor_id),
        "organisation_id": str(row.organisation_id),
        "starts_at": row.starts_at.isoformat(),
    }


async def _whole(db: AsyncSession, key: bytes, now: datetime) -> dict[str, Any]:
    made = await seed(db, key, now)
    await seed_days(db, now)
    await seed_documents(db, Settings.from_env().home, now)
    return made


if __name__ == "__main__":
    program(_whole, "Book the demo visits around now, and sign the demo documents.")
