"""Classes by a list: each pupil can see who put whom where."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from eschool.lessons import Classes
from eschool.rosters import seat
from people.audit import AuditActs
from people.organisations import Organisations
from people.persons import Persons
from people.policy import Kind, Right
from people.relations import actor_of, grant
from storage.engine import new_id

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


async def test_a_class_given_or_ended_by_a_list_is_kept_for_the_pupil(db: AsyncSession) -> None:
    """Each change once; a list that says what is so already changes nothing."""
    school = Organisations(id=new_id(), kind="school", name="Гимназия")
    head, pupil = (
        Persons(id=new_id(), family_name="Ли", given_name=name, created_at=NOW)
        for name in ("Анна", "Олег")
    )
    db.add_all([school, head, pupil])
    await db.flush()
    right = Right(actor_id=head.id, kind=Kind.ADMINISTRATION, organisation_id=school.id, since=NOW)
    await grant(db, right, "test")
    actor = await actor_of(db, head.id, NOW)
    for minute, name in enumerate(("5Б", "5Б", "6Б")):
        now = NOW + timedelta(minutes=minute)
        await seat(db, actor, school.id, {pupil.id: (name,)}, now)
    named = select(Classes.name, Classes.id).where(Classes.organisation_id == school.id)
    ids: dict[str, UUID] = {row.name: row.id for row in await db.execute(named)}
    acts = select(AuditActs).where(AuditActs.subject_id == pupil.id)
    kept = [
        (one.at, one.act, one.about_id, one.actor_id, one.organisation_id)
        for one in await db.scalars(acts.order_by(AuditActs.at, AuditActs.act))
    ]
    later = NOW + timedelta(minutes=2)
    assert kept == [
        (NOW, "class_given", ids["5Б"], head.id, school.id),
        (later, "class_ended", ids["5Б"], head.id, school.id),
        (later, "class_given", ids["6Б"], head.id, school.id),
    ]
