"""Retention: what is past its time goes, what is held or still needed stays."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from people.holds import LegalHolds
from people.notices import Notices, notify
from people.organisations import Organisations
from people.persons import Persons
from people.retention import CLASSES, retain
from people.sessions import Sessions, start_session
from storage.engine import Base
from storage.jobs import Work
from storage.objects import Objects
from storage.settings import Settings

NETWORK = "10.0.0.0/24"


@pytest.fixture
def house(
    db: AsyncSession, objects: Objects, stores: Settings, now: datetime
) -> Callable[[int], Work]:
    """What a job is given, so many days later."""
    return lambda days: Work(db, objects, stores, now + timedelta(days=days))


async def left(db: AsyncSession, table: type[Base], person: Persons) -> int:
    """Rows of the person."""
    own = table.__table__.c.person_id == person.id
    return await db.scalar(select(func.count()).select_from(table).where(own)) or 0


async def test_old_rows_go_and_those_of_a_held_person_stay(
    db: AsyncSession,
    clinic: Organisations,
    patient: Persons,
    doctor: Persons,
    house: Callable[[int], Work],
) -> None:
    """An ended session after 90 days, a read notice after a year; one day before, nothing."""
    now = house(0).now
    db.add(
        LegalHolds(
            organisation_id=clinic.id,
            person_id=doctor.id,
            reason="суд",
            set_by=doctor.id,
            set_at=now,
        )
    )
    for person in (patient, doctor):
        await start_session(db, person.id, NETWORK, now, staff=False)
        await notify(db, person.id, "link_issued", {}, now)
    await db.execute(update(Sessions).values(ended_at=now))
    await db.execute(update(Notices).values(read_at=now))

    for days, sessions, notices in ((89, 1, 1), (91, 0, 1), (364, 0, 1), (366, 0, 0)):
        await retain(house(days))
        assert await left(db, Sessions, patient) == sessions, days
        assert await left(db, Notices, patient) == notices, days
    assert (await left(db, Sessions, doctor), await left(db, Notices, doctor)) == (1, 1)


async def test_a_live_session_and_an_unread_notice_stay_however_old(
    db: AsyncSession, patient: Persons, house: Callable[[int], Work]
) -> None:
    """What a person is owed is left to the person."""
    now = house(0).now
    await notify(db, patient.id, "link_issued", {}, now - timedelta(days=4000))
    await start_session(db, patient.id, NETWORK, now, staff=False)
    await retain(house(0))
    assert (await left(db, Sessions, patient), await left(db, Notices, patient)) == (1, 1)


def test_every_class_says_why_and_none_is_of_health() -> None:
    """Health records are never deleted for their age."""
    assert all(one.why and one.kept >= timedelta(days=1) for one in CLASSES)
    tables = {one.table.__tablename__ for one in CLASSES}
    assert not tables & {"readings", "visit_notes", "visits", "ecg_chunks", "audit_acts"}
    assert len(tables) == len(CLASSES)
