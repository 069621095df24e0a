"""Why a lesson was bad to see or hear: for its teacher, and for the school's administrator."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from eschool.groups import MOST_GROUPS, LessonGroupings, room_of
from eschool.lessons import Lessons, thing
from people.call_minutes import KEPT, CallMember, CallTimeline, names_of, told
from people.policy import Act, Actor, require
from people.refused import NotFound
from people.relations import allowed


async def lesson_call(
    db: AsyncSession, actor: Actor, lesson_id: UUID, now: datetime
) -> CallTimeline:
    """Give the timeline of a lesson and its groups. Raises NotFound, Forbidden (a pupil)."""
    if actor.id is None:
        raise NotFound
    seen = (
        allowed(
            act,
            actor.id,
            now,
            organisation=Lessons.organisation_id,
            about=(Lessons.id, Lessons.class_id),
        )
        for act in (Act.SEE_LESSON, Act.SEE_LESSON_QUALITY)
    )
    row = await db.scalar(select(Lessons).where(Lessons.id == lesson_id, or_(*seen)))
    if row is None:
        raise NotFound
    require(actor, Act.SEE_LESSON_QUALITY, thing(row), now)
    divided = select(LessonGroupings.id).where(LessonGroupings.lesson_id == row.id)
    # Also numbers that there were before it was divided anew, into fewer.
    numbers = range(1, MOST_GROUPS + 1)
    groups = [room_of(each, number) for each in await db.scalars(divided) for number in numbers]
    found, cut = await told(db, [row.id, *groups])
    names = await names_of(db, found)
    members = [
        CallMember(
            id=person_id,
            side="teacher" if person_id == row.teacher_id else "pupil",
            name=names.get(person_id),
            stretches=stretches,
        )
        for person_id, stretches in found.items()
    ]
    return CallTimeline(kept_days=KEPT.days, cut=cut, members=members)
