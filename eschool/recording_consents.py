"""Who of those present has not agreed to being recorded: nothing is recorded while there is one.

The teacher counts as present as long as the lesson runs. Names are for the teacher alone; the class
learns that a recording waits, not for whom.
"""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from eschool.lessons import Lessons, LessonSide, seen, side_of, thing
from people.consents import Audience, Purpose, agreed
from people.organisations import Ref
from people.persons import Persons, full_name
from people.policy import Act, Actor, require
from people.refused import Refused


class ConsentMissing(Refused):
    """Somebody present has not agreed; `params["people"]` names them to the teacher."""

    status = 409
    code = "consent_missing"

    def __init__(self, people: list[Ref]) -> None:
        super().__init__(people=[{"id": str(one.id), "name": one.name} for one in people])


class RecordingConsents(msgspec.Struct, frozen=True):
    """Whether the reader has agreed, and to the teacher who of those present has not."""

    mine: bool
    missing: list[Ref]


async def missing(
    db: AsyncSession,
    lesson: Lessons,
    audience: Audience,
    present: Collection[UUID],
    now: datetime,
) -> list[Ref]:
    """Those present who have not agreed to a recording for this circle, in order of names."""
    here = {*present, lesson.teacher_id}
    have = await agreed(
        db, here, Purpose.RECORDING_LESSON, lesson.organisation_id, now, scope=audience
    )
    if have >= here:
        return []
    query = (
        select(Persons)
        .where(Persons.id.in_(here - have))
        .order_by(Persons.family_name, Persons.given_name, Persons.id)
    )
    people = (await db.scalars(query)).all()
    return [Ref(one.id, full_name(one.given_name, one.family_name)) for one in people]


async def recording_consents(
    db: AsyncSession,
    actor: Actor,
    lesson_id: UUID,
    audience: Audience,
    now: datetime,
    *,
    present: Collection[UUID],
) -> RecordingConsents:
    """Say how consents stand in a room. Raises NotFound and Forbidden for who may not sit in it."""
    lesson = await seen(db, actor, lesson_id, now)
    require(actor, Act.JOIN_LESSON, thing(lesson), now)
    if actor.id is None:
        return RecordingConsents(mine=False, missing=[])
    mine = {actor.id}
    have = await agreed(
        db, mine, Purpose.RECORDING_LESSON, lesson.organisation_id, now, scope=audience
    )
    leads = side_of(actor, lesson, now) is LessonSide.TEACHER
    names = await missing(db, lesson, audience, present, now) if leads else []
    return RecordingConsents(mine=have == mine, missing=names)
