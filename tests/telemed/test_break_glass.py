"""An emergency opens a record for an hour, is told at once, and is judged by somebody else."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from people.audit import AuditActs, AuditReads
from people.break_glass import (
    LASTS,
    AlreadyReviewed,
    NewBreakGlass,
    OpenedRecord,
    PatientNotFound,
    Verdict,
    break_glass,
    end_break_glass,
    review,
    reviews,
)
from people.facts import RightsChanged, take
from people.notices import Notices
from people.organisations import Organisations
from people.persons import Persons
from people.policy import Kind, Right
from people.refused import Forbidden, NotFound, OutOfRange
from people.relations import actor_of, grant
from people.sessions import Caller
from people.step_up import FRESH, StepUpNeeded
from storage.engine import new_id
from telemed import record
from telemed.record import RecordWay
from tests.telemed.clinic_house import NOW, House

REASON = "Без сознания, нужны прежние измерения давления"
LATER = NOW + timedelta(minutes=10)


async def caller(db: AsyncSession, person: UUID, **changes: Any) -> Caller:
    actor = await actor_of(db, person, NOW)
    fresh = Caller(session_id=new_id(), actor=actor, person_id=person, proved_at=NOW)
    return msgspec.structs.replace(fresh, **changes)


async def opened(db: AsyncSession, house: House, **new: Any) -> OpenedRecord:
    fields: dict[str, Any] = {"reason": REASON, "person_id": house.other_patient} | new
    wanted = NewBreakGlass(**fields)
    who = await caller(db, house.doctor)
    return await break_glass(db, who, house.clinic, wanted, NOW)


async def told(db: AsyncSession, person: UUID) -> list[tuple[str, bool]]:
    query = select(Notices.code, Notices.critical).where(Notices.person_id == person)
    rows = (await db.execute(query.order_by(Notices.id))).all()
    return [(code, critical) for code, critical in rows]


async def test_a_doctor_without_a_relation_sees_the_record_for_an_hour_and_no_longer(
    db: AsyncSession, house: House
) -> None:
    stranger = await house.as_(db, house.doctor)
    with pytest.raises(NotFound):
        await record.get_record(db, stranger, house.other_patient, None, NOW)
    grant_ = await opened(db, house)
    assert grant_.until == NOW + LASTS
    doctor = await house.as_(db, house.doctor)
    seen = await record.get_record(db, doctor, house.other_patient, None, NOW)
    assert (seen.way, seen.opened_by, seen.until) == (
        RecordWay.BREAK_GLASS,
        grant_.id,
        grant_.until,
    )
    # Also with the rights of a moment ago: an hour is an hour.
    with pytest.raises(NotFound):
        await record.get_record(db, doctor, house.other_patient, None, grant_.until)


async def test_the_patient_hears_of_it_at_once_and_the_administrator_too(
    db: AsyncSession, house: House
) -> None:
    grant_ = await opened(db, house)
    assert await told(db, house.other_patient) == [("break_glass_opened", True)]
    assert await told(db, house.administrator) == [("break_glass_to_review", False)]
    assert [f.person_id for f in take(db) if isinstance(f, RightsChanged)] == [house.doctor]
    acts = (await db.scalars(select(AuditActs).where(AuditActs.act == "break_glass"))).all()
    assert [(row.actor_id, row.subject_id) for row in acts] == [(house.doctor, house.other_patient)]
    assert (await opened(db, house)).id == grant_.id  # a repeat opens nothing anew
    assert len(await told(db, house.other_patient)) == 1


async def test_every_look_leaves_a_trace(db: AsyncSession, house: House) -> None:
    await opened(db, house)
    doctor = await house.as_(db, house.doctor)
    await record.get_record(db, doctor, house.other_patient, None, LATER)
    query = select(AuditReads).where(AuditReads.subject_id == house.other_patient)
    rows = (await db.scalars(query)).all()
    assert {(row.actor_id, row.act, row.organisation_id) for row in rows} == {
        (house.doctor, "see_record", house.clinic)
    }
    assert {"persons", "readings", "visits"} <= {name for row in rows for name in row.tables}


async def test_it_costs_a_reason_and_a_fresh_proof(db: AsyncSession, house: House) -> None:
    for reason in ("", "срочно", " " * 30, "x" * 1001):
        with pytest.raises(OutOfRange):
            await opened(db, house, reason=reason)
    stale = await caller(db, house.doctor, proved_at=NOW - FRESH - timedelta(seconds=1))
    wanted = NewBreakGlass(reason=REASON, person_id=house.other_patient)
    with pytest.raises(StepUpNeeded):
        await break_glass(db, stale, house.clinic, wanted, NOW)


async def test_only_a_doctor_on_duty_of_this_clinic_breaks_its_glass(
    db: AsyncSession, house: House
) -> None:
    wanted = NewBreakGlass(reason=REASON, person_id=house.other_patient)
    with pytest.raises(NotFound):
        await break_glass(db, await caller(db, house.foreign_doctor), house.clinic, wanted, NOW)
    for person in (house.administrator, house.patient):
        with pytest.raises(Forbidden):
            await break_glass(db, await caller(db, person), house.clinic, wanted, NOW)
    # The foreign doctor's own clinic has no such patient.
    foreign = await caller(db, house.foreign_doctor)
    with pytest.raises(PatientNotFound):
        await break_glass(db, foreign, house.other_clinic, wanted, NOW)


async def test_a_school_has_no_records_to_open(db: AsyncSession, house: House) -> None:
    change = update(Organisations).where(Organisations.id == house.clinic).values(kind="school")
    await db.execute(change)
    db.expire_all()
    with pytest.raises(Forbidden):
        await opened(db, house)


async def test_a_patient_is_found_by_full_name_and_birth_date_and_by_nothing_less(
    db: AsyncSession, house: House
) -> None:
    person = await db.get_one(Persons, house.other_patient)
    person.born_on = date(1990, 5, 1)
    await db.flush()
    names = {"family_name": person.family_name.upper(), "given_name": f" {person.given_name}"}
    named = {"person_id": None, **names, "born_on": date(1990, 5, 1)}
    for less in ({"born_on": None}, {"born_on": date(1990, 5, 2)}, {"given_name": ""}):
        with pytest.raises(PatientNotFound):
            await opened(db, house, **named | less)
    kept = select(AuditActs.act).where(AuditActs.actor_id == house.doctor)
    assert (await db.scalars(kept)).all() == ["break_glass_missed"] * 3
    assert PatientNotFound.keeps_writes  # so that asking around leaves its trace
    assert (await opened(db, house, **named)).person.id == house.other_patient


async def test_it_ends_by_hand_of_the_doctor_or_the_administrator(
    db: AsyncSession, house: House
) -> None:
    grant_ = await opened(db, house)
    for person in (house.colleague, house.other_patient):
        with pytest.raises(NotFound):
            await end_break_glass(db, await house.as_(db, person), grant_.id, LATER)
    await end_break_glass(db, await house.as_(db, house.doctor), grant_.id, LATER)
    doctor = await house.as_(db, house.doctor, LATER)
    with pytest.raises(NotFound):
        await record.get_record(db, doctor, house.other_patient, None, LATER)
    await end_break_glass(db, await house.as_(db, house.administrator), grant_.id, LATER)
    administrator = await house.as_(db, house.administrator)
    [row] = await reviews(db, administrator, house.clinic, LATER)
    assert row.ended_at == LATER


async def test_the_administrator_judges_once_and_both_sides_hear_of_it(
    db: AsyncSession, house: House
) -> None:
    grant_ = await opened(db, house)
    doctor = await house.as_(db, house.doctor)
    await record.get_record(db, doctor, house.other_patient, None, LATER)
    administrator = await house.as_(db, house.administrator)
    [waits] = await reviews(db, administrator, house.clinic, LATER)
    assert (waits.reason, waits.reviewed_at, waits.reads) == (REASON, None, 3)
    await review(db, administrator, grant_.id, Verdict(justified=False, review="Родня"), LATER)
    [judged] = await reviews(db, administrator, house.clinic, LATER)
    assert judged.reviewed_by is not None
    assert (judged.reviewed_by.id, judged.justified) == (house.administrator, False)
    assert judged.review == "Родня"
    with pytest.raises(AlreadyReviewed):
        await review(db, administrator, grant_.id, Verdict(justified=True), LATER)
    for person in (house.doctor, house.other_patient):
        assert ("break_glass_unjustified", False) in await told(db, person)


async def test_nobody_judges_himself_and_nobody_else_judges(db: AsyncSession, house: House) -> None:
    grant_ = await opened(db, house)
    verdict = Verdict(justified=True)
    for person in (house.doctor, house.colleague, house.other_patient, house.foreign_doctor):
        with pytest.raises(NotFound):
            await review(db, await house.as_(db, person), grant_.id, verdict, LATER)
    hat = Right(
        actor_id=house.doctor,
        kind=Kind.ADMINISTRATION,
        organisation_id=house.clinic,
        since=NOW,
    )
    await grant(db, hat, "test")
    with pytest.raises(Forbidden):
        await review(db, await house.as_(db, house.doctor), grant_.id, verdict, LATER)
    with pytest.raises(NotFound):
        await reviews(db, await house.as_(db, house.foreign_doctor), house.clinic, LATER)
