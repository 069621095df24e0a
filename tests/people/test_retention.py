"""Retention: what is past its time goes, what is held or still needed stays."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from people.holds import LegalHolds
from people.notices import Notices, notify
from people.organisations import Organisations
from people.persons import Persons
from people.policy import Actor
from people.refused import NotFound
from people.retention import CLASSES, KeptFor, kept_for, retain
from people.sessions import Sessions, start_session
from storage.bad_setting import BadSetting
from storage.engine import Base, new_id
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
    """Health records go as whole records, when an operator says so, and never row by row."""
    assert all(one.why and one.kept >= timedelta(days=1) for one in CLASSES)
    tables = {one.table.__tablename__ for one in CLASSES}
    assert not tables & {"readings", "visit_notes", "visits", "ecg_chunks", "audit_acts"}
    assert len(tables) == len({one.name for one in CLASSES}) == len(CLASSES)


def test_administrators_are_shown_every_class(
    stores: Settings, admin: Actor, clinic: Organisations, now: datetime
) -> None:
    """What an operator says of health records too; strangers are shown nothing."""
    kept = kept_for(replace(stores, keep_health_records_years=25), admin, clinic.id, now)
    assert kept[0] == KeptFor("health", years=25)
    assert {one.name for one in kept} == {"health", "audit", *(one.name for one in CLASSES)}
    assert kept_for(stores, admin, clinic.id, now)[0] == KeptFor("health")
    with pytest.raises(NotFound):
        kept_for(stores, Actor(new_id()), clinic.id, now)


@pytest.mark.parametrize("wrong", ["0", "2", "101", "-5", "25 лет", "2.5"])
def test_a_time_that_must_be_a_slip_is_refused(wrong: str) -> None:
    """What is deleted by mistake comes back from no setting."""
    with pytest.raises(BadSetting, match="YANASHA_KEEP_HEALTH_RECORDS_YEARS"):
        Settings.from_env({"YANASHA_KEEP_HEALTH_RECORDS_YEARS": wrong})


def test_without_a_word_of_the_operator_health_records_stay_for_ever() -> None:
    """And with one, programs that are started by others are told the same."""
    assert Settings.from_env({}).keep_health_records_years is None
    said = Settings.from_env({"YANASHA_KEEP_HEALTH_RECORDS_YEARS": "25"})
    assert Settings.from_env(said.to_env()).keep_health_records_years == 25
