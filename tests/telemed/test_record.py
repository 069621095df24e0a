"""A record is open to the person, to a guardian of health, to a doctor as far as it was opened."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from devices.measurement import Kind as Measured
from devices.measurement import Measurement
from people.audit import AuditReads
from people.policy import Kind, Right
from people.refused import NotFound
from people.relations import Relations, grant
from people.shares import Shares
from storage.engine import new_id
from telemed import readings
from telemed.record import RecordField, RecordWay, get_record, open_records
from tests.telemed.clinic_house import NOW, House

HOUR = timedelta(hours=1)


async def give(db: AsyncSession, kind: Kind, actor: UUID, house: House, **more: object) -> None:
    fields = {"subject_id": house.patient, "since": NOW - HOUR, "until": NOW + HOUR} | more
    await grant(db, Right(actor_id=actor, kind=kind, **fields), "test")  # type: ignore[arg-type]


async def measured(db: AsyncSession, house: House) -> None:
    values = {"systolic": 128.0, "diastolic": 82.0, "pulse": 71.0}
    one = Measurement(
        kind=Measured.BLOOD_PRESSURE, values=values, unit="mmHg", sequence=1, taken_at=NOW
    )
    await readings.apply(db, readings.incoming(house.cuff, [one], NOW))


async def shared(db: AsyncSession, house: House, fields: list[str]) -> UUID:
    """A share to the colleague, as people/shares.py leaves it."""
    row = Shares(
        id=new_id(),
        person_id=house.patient,
        asked_by=house.colleague,
        organisation_id=house.clinic,
        asked_fields=fields,
        asked_at=NOW - HOUR,
        answer_until=NOW,
        answered_at=NOW - HOUR,
        answered_by=house.patient,
        fields=fields,
        until=NOW + HOUR,
    )
    db.add(row)
    await db.flush()
    where = {"organisation_id": house.clinic, "about_id": row.id}
    await give(db, Kind.SHARE, house.colleague, house, **where)
    return row.id


async def test_a_person_sees_everything_of_the_own_record(db: AsyncSession, house: House) -> None:
    await measured(db, house)
    seen = await get_record(db, await house.as_(db, house.patient), house.patient, None, NOW)
    assert (seen.way, seen.fields) == (RecordWay.SELF, list(RecordField))
    assert seen.readings is not None
    assert seen.visits is not None
    assert [one.values["systolic"] for one in seen.readings] == [128]
    assert [one.id for one in seen.visits] == [house.visit]


async def test_nobody_else_sees_that_there_is_one(db: AsyncSession, house: House) -> None:
    """Not even the doctor of a visit: a visit opens the visit."""
    for person in (house.doctor, house.colleague, house.administrator, house.other_patient):
        for place in (None, house.clinic, house.other_clinic):
            with pytest.raises(NotFound):
                await get_record(db, await house.as_(db, person), house.patient, place, NOW)
    assert (await db.scalars(select(AuditReads))).all() == []


async def test_a_guardian_sees_it_while_the_childs_health_is_his_business(
    db: AsyncSession, house: House
) -> None:
    parent = house.other_patient
    await give(db, Kind.GUARDIANSHIP, parent, house)
    await give(db, Kind.CHILD_SCHOOL, parent, house)
    with pytest.raises(NotFound):
        await get_record(db, await house.as_(db, parent), house.patient, None, NOW)
    await give(db, Kind.CHILD_HEALTH, parent, house)
    actor = await house.as_(db, parent)
    seen = await get_record(db, actor, house.patient, None, NOW)
    assert (seen.way, seen.until) == (RecordWay.GUARDIAN, NOW + HOUR)
    with pytest.raises(NotFound):
        await get_record(db, actor, house.patient, None, NOW + HOUR)


@pytest.mark.parametrize(
    "fields", [["readings"], ["visits"], ["identity"], ["identity", "readings", "visits"]]
)
async def test_a_share_opens_what_was_put_into_it_and_the_rest_is_not_there(
    db: AsyncSession, house: House, fields: list[str]
) -> None:
    await measured(db, house)
    share = await shared(db, house, fields)
    doctor = await house.as_(db, house.colleague)
    seen = await get_record(db, doctor, house.patient, None, NOW)
    assert (seen.way, seen.opened_by) == (RecordWay.SHARE, share)
    assert [field.value for field in seen.fields] == fields
    assert (seen.readings is not None, seen.visits is not None) == (
        "readings" in fields,
        "visits" in fields,
    )
    [listed] = await open_records(db, doctor, NOW)
    named = "identity" in fields
    assert [bool(one.person.name) for one in (seen, listed)] == [named, named]
    looked = (
        await db.scalars(select(AuditReads).where(AuditReads.subject_id == house.patient))
    ).all()
    tables = {name for row in looked for name in row.tables}
    assert ("readings" in tables, "visits" in tables) == ("readings" in fields, "visits" in fields)


async def test_a_share_dies_with_the_duty_and_holds_at_its_own_clinic_only(
    db: AsyncSession, house: House
) -> None:
    await shared(db, house, ["readings"])
    doctor = await house.as_(db, house.colleague)
    with pytest.raises(NotFound):
        await get_record(db, doctor, house.patient, house.other_clinic, NOW)
    duty = (Relations.actor_id == house.colleague) & (Relations.kind == Kind.DUTY.value)
    await db.execute(update(Relations).where(duty).values(until=NOW))
    left = await house.as_(db, house.colleague)
    with pytest.raises(NotFound):
        await get_record(db, left, house.patient, None, NOW)
    assert await open_records(db, left, NOW) == []


async def test_a_doctor_finds_the_records_that_are_open_to_him(
    db: AsyncSession, house: House
) -> None:
    share = await shared(db, house, ["visits"])
    [found] = await open_records(db, await house.as_(db, house.colleague), NOW)
    assert (found.person.id, found.way, found.opened_by) == (
        house.patient,
        RecordWay.SHARE,
        share,
    )
    assert await open_records(db, await house.as_(db, house.doctor), NOW) == []
