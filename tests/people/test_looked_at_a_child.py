"""Who looked at a child: what a guardian is shown of it, and what is not his business."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from people import audit
from people.audit_reports import who_looked
from people.organisations import Organisations
from people.persons import Persons
from people.policy import Kind, Right, Thing
from people.relations import actor_of, grant
from storage.engine import new_id


async def test_a_guardian_sees_no_other_guardian_and_a_school_only_when_it_is_open(
    db: AsyncSession, clinic: Organisations, doctor: Persons, patient: Persons, now: datetime
) -> None:
    """The child sees all of it; a doctor who is its parent is shown for what he did on duty."""
    school, mother, father, teacher = (new_id() for _ in range(4))
    db.add(Organisations(id=school, kind="school", name="Гимназия"))
    for one in (mother, father, teacher):
        db.add(Persons(id=one, family_name="-", given_name="-", created_at=now))
    await db.flush()

    def right(who: UUID, kind: Kind) -> Right:
        return Right(actor_id=who, kind=kind, subject_id=patient.id, since=now)

    for one in (mother, father, doctor.id):
        await grant(db, right(one, Kind.CHILD_HEALTH), "test")
    for who, where in (
        (doctor.id, clinic.id),
        (doctor.id, None),
        (mother, None),
        (father, None),
        (teacher, school),
    ):
        thing = Thing(subject_id=patient.id, organisation_id=where)
        await audit.acted(db, who, "looked", thing, now - timedelta(minutes=1))

    async def seen(by: UUID) -> set[tuple[UUID | None, UUID | None]]:
        found = await who_looked(db, await actor_of(db, by, now), patient.id, now)
        return {
            (one.who.id if one.who else None, one.organisation.id if one.organisation else None)
            for one in found.items
        }

    hers = {(doctor.id, clinic.id), (mother, None)}
    assert await seen(mother) == hers
    assert len(await seen(patient.id)) == 5
    await grant(db, right(mother, Kind.CHILD_SCHOOL), "test")
    assert await seen(mother) == hers | {(teacher, school)}
