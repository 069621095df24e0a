"""Visits: who sees one, what opening and closing do."""

from datetime import date, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from people import facts
from people.policy import ANONYMOUS, Kind
from people.refused import Forbidden, NotFound
from people.relations import Relations, end
from telemed.visits import (
    NewVisit,
    Visits,
    VisitSide,
    VisitState,
    book,
    close_visit,
    get_visit,
    my_visits,
    open_visit,
    require_join,
)
from tests.telemed.clinic_house import House

MINUTE = timedelta(minutes=1)


def another(house: House, **more: object) -> NewVisit:
    fields = {
        "organisation_id": house.clinic,
        "patient_id": house.other_patient,
        "doctor_id": house.doctor,
        "starts_at": datetime.fromisoformat("2026-03-02T12:00:00Z"),
        "ends_at": datetime.fromisoformat("2026-03-02T12:30:00Z"),
    }
    return NewVisit(**(fields | more))  # type: ignore[arg-type]


async def test_nobody_signed_in_finds_no_visit(
    db: AsyncSession, house: House, now: datetime
) -> None:
    """Anonymous."""
    with pytest.raises(NotFound):
        await get_visit(db, ANONYMOUS, house.visit, now)
    with pytest.raises(NotFound):
        await require_join(db, ANONYMOUS, house.visit, now)
    assert await my_visits(db, ANONYMOUS, None, now) == []


@pytest.mark.parametrize("who", ["colleague", "foreign_doctor", "other_patient", "administrator"])
async def test_a_stranger_finds_no_visit(
    db: AsyncSession, house: House, now: datetime, who: str
) -> None:
    """Nor can one be opened, closed or joined; it is as absent as a random id."""
    actor = await house.as_(db, getattr(house, who))
    for visit in (house.visit, uuid4()):
        for verb in (get_visit, open_visit, close_visit, require_join):
            with pytest.raises(NotFound):
                await verb(db, actor, visit, now)
    assert await my_visits(db, actor, None, now) == []


async def test_each_side_sees_the_other(db: AsyncSession, house: House, now: datetime) -> None:
    """By name, with the clinic."""
    seen = await get_visit(db, await house.as_(db, house.doctor), house.visit, now)
    assert (seen.my_side, seen.other.id, seen.other.name) == (
        VisitSide.DOCTOR,
        house.patient,
        "Ринат Хасан",
    )
    seen = await get_visit(db, await house.as_(db, house.patient), house.visit, now)
    assert (seen.my_side, seen.other.id) == (VisitSide.PATIENT, house.doctor)
    assert seen.organisation.name == "Айболит"
    assert (seen.state, seen.grants) == (VisitState.BOOKED, [])


async def test_opening_grants_media_to_both(db: AsyncSession, house: House, now: datetime) -> None:
    """And is said once, however often it is asked."""
    doctor = await house.as_(db, house.doctor)
    facts.take(db)
    opened = await open_visit(db, doctor, house.visit, now)
    again = await open_visit(db, doctor, house.visit, now + MINUTE)
    assert opened == again
    assert (opened.state, opened.opened_at) == (VisitState.OPEN, now)
    assert opened.grants == ["audio", "video", "screen"]
    mine = await require_join(db, await house.as_(db, house.patient), house.visit, now)
    assert mine.grants == ["audio", "video", "screen"]
    assert facts.take(db) == [facts.VisitOpened(at=now, visit_id=house.visit)]


async def test_a_patient_neither_opens_nor_closes(
    db: AsyncSession, house: House, now: datetime
) -> None:
    """The visit is visible, the act forbidden."""
    patient = await house.as_(db, house.patient)
    for verb in (open_visit, close_visit):
        with pytest.raises(Forbidden):
            await verb(db, patient, house.visit, now)


async def test_closing_ends_every_live_right_and_keeps_the_papers(
    db: AsyncSession, house: House, now: datetime
) -> None:
    """Both see the visit afterwards; nobody joins or opens it again."""
    await open_visit(db, await house.as_(db, house.doctor), house.visit, now)
    facts.take(db)
    later = now + 20 * MINUTE
    closed = await close_visit(db, await house.as_(db, house.doctor), house.visit, later)
    assert (closed.state, closed.closed_at, closed.grants) == (VisitState.CLOSED, later, [])
    assert facts.take(db) == [facts.VisitClosed(at=later, visit_id=house.visit)]
    for who in (house.doctor, house.patient):
        actor = await house.as_(db, who, later)
        assert (await get_visit(db, actor, house.visit, later)).state is VisitState.CLOSED
        with pytest.raises(Forbidden):
            await require_join(db, actor, house.visit, later)
        with pytest.raises(Forbidden):
            await open_visit(db, actor, house.visit, later)
    kinds = select(Relations.kind).where(
        Relations.about_id == house.visit, Relations.until.is_(None)
    )
    assert (await db.scalars(kinds)).all() == ["record"]


async def test_closing_twice_is_closing_once(db: AsyncSession, house: House, now: datetime) -> None:
    """A repeat after a lost answer gets the same answer."""
    closed = await close_visit(db, await house.as_(db, house.doctor), house.visit, now)
    later = now + MINUTE
    doctor = await house.as_(db, house.doctor, later)
    assert await close_visit(db, doctor, house.visit, later) == closed


async def test_a_doctor_who_left_the_clinic_loses_the_visit(
    db: AsyncSession, house: House, now: datetime
) -> None:
    """At the moment the duty ends, the appointment notwithstanding."""
    later = now + MINUTE
    await db.execute(
        update(Relations)
        .where(Relations.actor_id == house.doctor, Relations.kind == Kind.DUTY.value)
        .values(until=later)
    )
    with pytest.raises(NotFound):
        await get_visit(db, await house.as_(db, house.doctor, later), house.visit, later)


async def test_a_revoked_appointment_stops_the_doctor_at_once(
    db: AsyncSession, house: House, now: datetime
) -> None:
    """Also with rights that were loaded a moment ago."""
    doctor = await house.as_(db, house.doctor)
    await end(db, Kind.APPOINTMENT, house.visit, now + MINUTE)
    with pytest.raises(NotFound):
        await open_visit(db, doctor, house.visit, now + MINUTE)


async def test_only_the_clinics_administrator_books_its_doctors_and_patients(
    db: AsyncSession, house: House, now: datetime
) -> None:
    """Neither the doctor, nor somebody of another clinic, nor for strangers."""
    administrator = await house.as_(db, house.administrator)
    for who in (house.doctor, house.patient, house.foreign_doctor):
        with pytest.raises(Forbidden):
            await book(db, await house.as_(db, who), another(house), now)
    for wrong in (
        {"organisation_id": house.other_clinic},
        {"doctor_id": house.foreign_doctor},
        {"patient_id": house.colleague},
    ):
        with pytest.raises(Forbidden):
            await book(db, administrator, another(house, **wrong), now)
    facts.take(db)
    visit = await book(db, administrator, another(house), now)
    booked, *told = facts.take(db)
    assert booked == facts.VisitBooked(at=now, visit_id=visit)
    assert [fact.person_id for fact in told if isinstance(fact, facts.NoticeMade)] == [
        house.other_patient,
        house.doctor,
    ]


@pytest.mark.parametrize(
    "wrong",
    [{"ends_at": datetime.fromisoformat("2026-03-02T12:00:00Z")}, {"state": "unheard of"}],
)
async def test_the_database_refuses_a_visit_that_cannot_be(
    db: AsyncSession, house: House, wrong: dict[str, object]
) -> None:
    """Times in the wrong order, an unknown state."""
    with pytest.raises(IntegrityError):
        await db.execute(
            update(Visits)
            .where(Visits.id == house.visit)
            .values({"starts_at": datetime.fromisoformat("2026-03-02T12:00:00Z")} | wrong)
        )


async def test_the_day_is_the_clinics_local_day(
    db: AsyncSession, house: House, now: datetime
) -> None:
    """A visit from 23:40 to 00:20 in Kazan belongs to both days, in order of time."""
    administrator = await house.as_(db, house.administrator)
    at = datetime.fromisoformat("2026-03-02T20:40:00Z")
    late = another(house, starts_at=at, ends_at=at + 40 * MINUTE)
    night = await book(db, administrator, late, now)
    doctor = await house.as_(db, house.doctor)
    today = [one.id for one in await my_visits(db, doctor, None, now)]
    assert today == [house.visit, night]
    assert [one.id for one in await my_visits(db, doctor, date(2026, 3, 2), now)] == today
    assert [one.id for one in await my_visits(db, doctor, date(2026, 3, 3), now)] == [night]
    assert await my_visits(db, doctor, date(2026, 3, 4), now) == []
    assert [one.id for one in await my_visits(db, doctor, None, at + MINUTE * 25)] == [night]


async def test_before_midnight_the_day_shows_what_begins_soon_behind_it(
    db: AsyncSession, house: House, now: datetime
) -> None:
    administrator = await house.as_(db, house.administrator)
    at = datetime.fromisoformat("2026-03-02T22:00:00Z")  # one o'clock at night in Kazan
    night = await book(db, administrator, another(house, starts_at=at, ends_at=at + MINUTE), now)
    doctor = await house.as_(db, house.doctor)
    before = at - timedelta(hours=2)
    assert night in {one.id for one in await my_visits(db, doctor, None, before)}
    assert night not in {one.id for one in await my_visits(db, doctor, date(2026, 3, 2), before)}
    assert night not in {
        one.id for one in await my_visits(db, doctor, None, at - timedelta(hours=4))
    }
